//! Clients that send 64-byte messages to the shipped echo server and verify what comes back, one at a time.
//!
//! `echo CLIENTS MESSAGES` sends so many each, without faults: the workload that other simulators are measured with.
//! `echo faults SEEDS` runs so many seeds of 10 clients and 10 messages each under all faults, and `echo seeds SEEDS`
//! those of the scenario `echo`; both print how many events there were. There is no clock in it: `drivers/sim/scenarios/benches/event-path.sh`
//! counts its instructions and times it from outside, and `cargo bench` runs it once.

mod ping;

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use ping::{PingPong, VERIFIED};
use roundtrip_scenarios::Echo;
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Runner, Scenario};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|text| text.parse::<u32>().ok());
    match (args.first().map(String::as_str), number(0), number(1)) {
        (Some("faults"), _, Some(seeds)) => {
            run_seeds(&PingPong { clients: 10, messages: 10 }, seeds);
        }
        (Some("seeds"), _, Some(seeds)) => run_seeds(&Echo, seeds),
        (_, Some(clients), Some(messages)) => {
            let scenario = PingPong { clients, messages };
            let run = Runner::new(&scenario).run(Seeded::new(1, Faults::NONE));
            assert!(run.verdict.is_pass(), "{run:?}");
            let verified = VERIFIED.load(Ordering::Relaxed);
            if verified != u64::from(clients) * u64::from(messages) {
                eprintln!("only {verified} messages came back as they were sent");
                return ExitCode::FAILURE;
            }
            println!("{verified} messages verified");
        }
        (None | Some("--bench"), ..) => run_seeds(&Echo, 100),
        _ => {
            eprintln!("echo CLIENTS MESSAGES | faults SEEDS | seeds SEEDS");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn run_seeds<S: Scenario>(scenario: &S, seeds: u32) {
    let mut runner = Runner::new(scenario);
    let mut seeded = Seeded::new(0, Faults::SWARM);
    let mut events = 0;
    for seed in 0..u64::from(seeds) {
        seeded.reseed(seed, Faults::SWARM);
        events += runner.run(&mut seeded).events;
    }
    println!("{events} events in {seeds} seeds");
}
