//! Every script, on sockets and in the simulator: what is observed is what the script says, and so the same.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[cfg(windows)]
use crate::backends::pipes::Pipes;
use crate::backends::simulated::Simulated;
use crate::backends::{Shipped, resets_are_told, shipped};
use roundtrip_conformance::sockets::{OnSockets, Sockets, Tcp, check_commands};
use roundtrip_conformance::{Script, Server, check, scripts};
use roundtrip_net::Backend;
use roundtrip_sim::choose::{Family, Faults};

/// Seeds that a script gets, but for those that move many bytes. `ROUNDTRIP_CONFORMANCE_SEEDS` asks for more.
const SEEDS: u64 = 2000;
/// Bytes that all seeds of a script may move together, for [`SEEDS`] seeds.
const BUDGET: u64 = 4 << 20;
/// Bytes of a script that is left to the calm network: segments that were cut are never joined again, so that a large
/// transfer takes millions of events.
const LARGE: u64 = 256 << 10;

fn simulated(faults: Faults) -> Simulated<Shipped> {
    Simulated { seed: 1, faults, session: shipped }
}

/// Faults that no application may notice: how the streams are cut, what comes first, how long it takes.
fn benign() -> Faults {
    [Family::Stall, Family::Reset, Family::Connect, Family::Stop, Family::Abort, Family::Crash, Family::Clock]
        .into_iter()
        .fold(Faults::SWARM, Faults::without)
}

fn seeds(script: &Script) -> u64 {
    let asked = std::env::var("ROUNDTRIP_CONFORMANCE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let wanted: u64 = asked.unwrap_or(SEEDS);
    match script.bytes() {
        LARGE.. => 0,
        bytes => (BUDGET / bytes.max(1) * wanted / SEEDS).clamp(1, wanted),
    }
}

/// Runs `each` on every script, as many at one time as there are `threads`; fails with all that it said.
fn on_every_script(threads: usize, each: impl Fn(&Script) -> Result<(), String> + Sync) {
    let scripts = scripts().unwrap();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = each(script) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} scripts fail:\n{}", failures.len(), failures.join("\n"));
}

/// Scripts whose ends only a reset tells apart.
const TOLD_BY_RESETS: &[&str] = &[
    "drain-limit",
    "force-server",
    "force-under-way",
    "half-close-idle-limit",
    "reset-after-the-echo",
    "reset-midway",
];

/// On the loopback, all at once: how busy the machine is changes nothing.
fn every_script_comes_to_its_end<B: Backend + Clone + Send + Sync + 'static>(backend: &B) {
    let told = resets_are_told();
    let subject = OnSockets::new(Tcp(backend.clone()));
    on_every_script(64, |script| {
        if !told && TOLD_BY_RESETS.contains(&script.name()) {
            return Ok(());
        }
        comes_to_its_end(&subject, script)
    });
    check_commands(backend).unwrap();
}

fn comes_to_its_end<N: Sockets>(subject: &OnSockets<N>, script: &Script) -> Result<(), String> {
    check(subject, script).map(drop).map_err(|failure| failure.to_string())
}

#[test]
fn every_script_comes_to_its_end_on_the_blocking_driver() {
    every_script_comes_to_its_end(&roundtrip_std::Std);
}

#[test]
fn every_script_comes_to_its_end_on_the_smol_driver() {
    every_script_comes_to_its_end(&roundtrip_smol::Smol::default());
}

#[cfg(unix)]
#[test]
fn every_script_comes_to_its_end_on_the_tokio_driver() {
    every_script_comes_to_its_end(&roundtrip_tokio::Tokio::default());
}

#[cfg(unix)]
#[test]
fn every_script_comes_to_its_end_on_the_reactor() {
    every_script_comes_to_its_end(&roundtrip_reactor::Reactor::default());
}

#[cfg(target_os = "linux")]
#[test]
fn every_script_comes_to_its_end_on_the_driver_of_completions() {
    every_script_comes_to_its_end(&roundtrip_uring::Uring::default());
}

/// What a Unix socket of packets can do of the scripts. The driver of completions does not take one.
#[cfg(target_os = "linux")]
#[test]
fn packets_do_not_show() {
    use roundtrip_conformance::Step;
    use roundtrip_conformance::sockets::Packets;
    let ran = AtomicUsize::new(0);
    on_every_script(64, |script| {
        let steps = || script.clients().iter().flat_map(roundtrip_conformance::Client::steps);
        let is_reset = |step: &Step| matches!(step, Step::Reset | Step::ExpectReset { .. });
        if script.is_together() || steps().any(is_reset) {
            return Ok(());
        }
        ran.fetch_add(1, Ordering::Relaxed);
        comes_to_its_end(&OnSockets::new(Packets(roundtrip_std::Std)), script)?;
        comes_to_its_end(&OnSockets::new(Packets(roundtrip_smol::Smol::default())), script)?;
        comes_to_its_end(&OnSockets::new(Packets(roundtrip_tokio::Tokio::default())), script)?;
        comes_to_its_end(&OnSockets::new(Packets(roundtrip_reactor::Reactor::default())), script)?;
        Ok(())
    });
    assert!(ran.into_inner() > 15);
}

/// What a pipe of messages can do of the scripts. Its clients are told apart by nothing; its reset is told by a server alone,
/// and by a client only as an end that was not marked.
#[cfg(windows)]
#[test]
fn pipes_of_messages_do_not_show() {
    use roundtrip_conformance::Step;
    let ran = AtomicUsize::new(0);
    on_every_script(8, |script| {
        let steps = || script.clients().iter().flat_map(roundtrip_conformance::Client::steps);
        if script.is_together() || steps().any(|step| matches!(step, Step::Reset)) {
            return Ok(());
        }
        ran.fetch_add(1, Ordering::Relaxed);
        comes_to_its_end(&OnSockets::new(Pipes), script)
    });
    assert!(ran.into_inner() > 20);
}

#[test]
fn every_script_comes_to_its_end_in_the_simulator() {
    on_every_script(2, |script| {
        check(&simulated(Faults::NONE), script).map(drop).map_err(|failure| failure.to_string())
    });
}

#[test]
fn chunking_order_and_latency_do_not_show() {
    on_every_script(2, |script| {
        let (mut tried, mut first) = (0, None);
        simulated(benign()).campaign(script, 0..seeds(script), |seed, observed| {
            tried += 1;
            let judged = match observed {
                Ok(observed) => script.judge(&observed).map_err(|disagreement| disagreement.to_string()),
                Err(wrong) => Err(format!("{}: {wrong}", script.name())),
            };
            if let Err(failure) = judged {
                first.get_or_insert(format!("{failure} (seed {seed})"));
            }
        });
        first.map_or(Ok(()), Err)
    });
}

/// Where a script leaves an end open, both are there to be seen: it is no more open than it has to be.
#[test]
fn what_a_script_leaves_open_is_open() {
    for script in scripts().unwrap() {
        for (number, client) in script.clients().iter().enumerate() {
            let Server::Says(says) = client.server() else { continue };
            if says.ends.len() == 1 {
                continue;
            }
            let mut seen = BTreeSet::new();
            simulated(benign()).campaign(&script, 0..seeds(&script), |_, observed| {
                seen.extend(observed.unwrap().sessions[number].map(|session| session.end));
            });
            assert_eq!(seen, says.ends.iter().copied().collect(), "{}", script.name());
        }
    }
}
