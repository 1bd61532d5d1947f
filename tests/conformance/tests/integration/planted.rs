//! Drivers with a bug: the scripts that are there for it notice, in the simulator and on sockets.

use crate::backends::planted::{Bug, Falsified};
#[cfg(unix)]
use crate::backends::reactor;
use crate::backends::simulated::Simulated;
#[cfg(target_os = "linux")]
use crate::backends::uring;
use crate::backends::{blocking, resets_are_told, smol};
use roundtrip_conformance::{Backend, Disagreement, Failure, Script, check, scripts};
use roundtrip_sim::choose::Faults;

fn script(name: &str) -> Script {
    scripts().unwrap().into_iter().find(|script| script.name() == name).unwrap()
}

fn disagreement(backend: &impl Backend, name: &str) -> Disagreement {
    match check(backend, &script(name)) {
        Err(Failure::Disagreement(disagreement)) => disagreement,
        Err(Failure::Run(error)) => panic!("{name}: {error}"),
        Ok(observed) => panic!("{name} passes: {observed:?}"),
    }
}

/// Which of these scripts notice the bug, and what the first of them sees instead.
fn noticed(bug: Bug, names: &[&str], observed: &str) {
    let simulated =
        Simulated { seed: 1, faults: Faults::NONE, session: move |session| Falsified::new(session, bug) };
    let session = move |session| Falsified::new(session, bug);
    for name in names {
        disagreement(&simulated, name);
    }
    assert_eq!(disagreement(&simulated, names[0]).observed, observed, "in the simulator");
    // A deadline that a driver forgets takes the client's whole patience, in real time.
    if bug != Bug::ForgetsDeadlines && (bug != Bug::ResetsForClose || resets_are_told()) {
        let on_std = disagreement(&blocking::Sockets { session }, names[0]);
        assert_eq!(on_std.observed, observed, "on the blocking driver");
        let on_smol = disagreement(&smol::Sockets { session }, names[0]);
        assert_eq!(on_smol.observed, observed, "on the smol driver");
        #[cfg(unix)]
        assert_eq!(
            disagreement(&reactor::Sockets { session }, names[0]).observed,
            observed,
            "on the reactor"
        );
        #[cfg(target_os = "linux")]
        assert_eq!(
            disagreement(&uring::Sockets { session }, names[0]).observed,
            observed,
            "on the driver of completions"
        );
    }
}

#[test]
fn a_stop_that_is_told_as_the_peers_end() {
    noticed(
        Bug::StopAsEnd,
        &["drain-limit", "stop-under-way", "stop-then-late-bytes", "force-server"],
        "step 4, `expect-reset`: the end, 4 bytes sent, 4 echoed",
    );
}

#[test]
fn the_last_byte_before_the_end_lost() {
    noticed(
        Bug::LosesTheLastByte,
        &[
            "half-close-with-the-first-byte",
            "half-close-under-way",
            "large",
            "tiny-server-buffer",
            "one-and-no-more",
        ],
        "step 3, `expect 1`: the end, 1 bytes sent, 0 echoed",
    );
}

#[test]
fn a_reset_instead_of_a_close() {
    noticed(
        Bug::ResetsForClose,
        &["idle-limit", "max-age"],
        "step 3, `expect-end`: the connection was reset, 4 bytes sent, 4 echoed",
    );
}

#[test]
fn a_close_instead_of_a_reset() {
    noticed(
        Bug::ClosesForReset,
        &["drain-limit", "force-server", "half-close-idle-limit"],
        "step 4, `expect-reset`: the end, 4 bytes sent, 4 echoed",
    );
}

#[test]
fn the_end_told_as_a_failure() {
    noticed(
        Bug::EndAsFailure,
        &["stop-while-idle", "plain-echo", "nothing-sent", "two-stopped-together", "backlog-of-a-drain"],
        "server reset received 5 echoed 5 dropped 0",
    );
}

#[test]
fn a_buffer_overwritten_while_it_is_being_written() {
    noticed(
        Bug::OverwritesItsBuffer,
        &["plain-echo", "pieces", "reset-midway", "stop-under-way"],
        "step 2, `expect 14`: a wrong byte at offset 13, 14 bytes sent, 13 echoed",
    );
}

#[test]
fn deadlines_slept_through() {
    noticed(
        Bug::ForgetsDeadlines,
        &["idle-limit", "max-age", "stop-while-idle", "session-drain-limit", "idle-limit-while-blocked"],
        "step 3, `expect-end`: nothing, for too long, 4 bytes sent, 4 echoed",
    );
}
