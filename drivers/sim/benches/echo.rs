//! Clients that send 64-byte messages to the shipped echo server and verify what comes back, one at a time.
//!
//! `echo CLIENTS MESSAGES` sends so many each, without faults: the workload that other simulators are measured with.
//! `echo faults SEEDS` runs so many seeds of 10 clients and 10 messages each under all faults, and `echo seeds SEEDS`
//! those of the scenario `echo`; both print how many events there were. There is no clock in it: `drivers/sim/benches/figures`
//! counts its instructions and times it from outside, and `cargo bench` runs it once.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::echo::{EchoServer, ServerConfig};
use roundtrip_core::hub::{ConnectionId, Hub, Mail};
use roundtrip_core::{Action, Input, Machine, Misuse, Teardown, Time, Wait};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::scenarios::Echo;
use roundtrip_sim::{Draw, Runner, Scenario, Setup};

/// Bytes of a message.
const MESSAGE: usize = 64;
/// What messages are cut from, each from another place, so that no two of the last two hundred are the same.
static TEXT: [u8; 1 << 14] = text();

/// Bytes that do not repeat soon.
const fn text() -> [u8; 1 << 14] {
    let mut text = [0; 1 << 14];
    let mut state = 1_u32;
    let mut at = 0;
    while at < text.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text[at] = (state >> 24) as u8;
        at += 1;
    }
    text
}

/// Sends a message, waits for all of it to come back, and sends the next; then half-closes and reads to the end.
#[derive(Debug)]
struct Pinger {
    left: u32,
    /// Where in the text the present message begins.
    from: usize,
    verified: u32,
    /// Bytes of the message that are not back.
    due: usize,
    writing: usize,
    shut: bool,
    over: Option<u32>,
}

impl Machine for Pinger {
    type Command = Infallible;
    type Event = Infallible;
    /// Messages that came back as they were sent; 0 if anything was wrong.
    type Outcome = u32;

    fn handle(&mut self, _now: Time, input: Input) -> Result<(), Misuse> {
        match input {
            Input::Data(bytes) => {
                let from = self.from + MESSAGE - self.due;
                if TEXT.get(from..from + bytes.len()) == Some(&*bytes) {
                    self.due -= bytes.len();
                    self.verified += u32::from(self.due == 0);
                } else {
                    self.over = Some(0);
                }
            }
            Input::Wrote(n) => self.writing -= n,
            Input::Eof => self.over = Some(if self.shut && self.due == 0 { self.verified } else { 0 }),
            Input::Stop => self.left = 0,
            Input::Abort | Input::Failed(_) => self.over = Some(0),
            Input::Command(never) => match never {},
        }
        Ok(())
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, u32> {
        if let Some(outcome) = self.over {
            return Action::Close { how: Teardown::Graceful, outcome };
        }
        if self.due == 0 && self.writing == 0 && !self.shut {
            if self.left == 0 {
                self.shut = true;
                return Action::ShutdownWrite;
            }
            self.left -= 1;
            self.from = (self.from + MESSAGE) % (TEXT.len() - MESSAGE);
            self.due = MESSAGE;
            self.writing = MESSAGE;
            return Action::Write(Bytes::from_static(&TEXT[self.from..self.from + MESSAGE]));
        }
        Action::Wait(Wait { read: self.due.max(1), commands: 0, deadline: None })
    }
}

struct PingPong {
    clients: u32,
    messages: u32,
}

struct Pingers {
    messages: u32,
}

/// Messages that came back as they were sent.
static VERIFIED: AtomicU64 = AtomicU64::new(0);

struct Servers(Arc<ServerConfig>);

impl Hub for Pingers {
    type Session = Pinger;

    fn open(&mut self, _now: Time, id: ConnectionId) -> Pinger {
        // Each client begins at another place of the text.
        let from = usize::try_from(id.number()).unwrap_or(0) * 97 % TEXT.len();
        Pinger { left: self.messages, from, verified: 0, due: 0, writing: 0, shut: false, over: None }
    }

    fn closed(&mut self, _now: Time, _id: ConnectionId, verified: u32, _mail: &mut dyn Mail<Infallible>) {
        VERIFIED.fetch_add(u64::from(verified), Ordering::Relaxed);
    }
}

impl Hub for Servers {
    type Session = EchoServer;

    fn open(&mut self, now: Time, _id: ConnectionId) -> EchoServer {
        EchoServer::new(Arc::clone(&self.0), now)
    }
}

impl Scenario for PingPong {
    type Server = Servers;
    type Client = Pingers;

    fn name(&self) -> &'static str {
        "ping-pong"
    }

    fn build(&self, _draw: &mut Draw<'_>) -> (Setup, Pingers, Servers) {
        let setup = Setup {
            clients: self.clients,
            // A calm run has no faults to heal from.
            heal_at: Duration::from_secs(100_000),
            max_events: u64::MAX,
            ..Setup::default()
        };
        (setup, Pingers { messages: self.messages }, Servers(Arc::new(ServerConfig::default())))
    }
}

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
