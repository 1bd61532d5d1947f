//! Drivers with a bug: the scripts that are there for it notice, in the simulator and on sockets.

use crate::backends::loses_stop::LosesStop;
use crate::backends::planted::{Bug, Falsified};
use crate::backends::resets_are_told;
use crate::backends::simulated::Simulated;
use roundtrip_conformance::sockets::{OnSockets, Tcp, check_commands};
use roundtrip_conformance::{Disagreement, Failure, Script, Subject, check, scripts};
use roundtrip_sim::choose::Faults;

fn script(name: &str) -> Script {
    scripts().unwrap().into_iter().find(|script| script.name() == name).unwrap()
}

fn disagreement(subject: &impl Subject, name: &str) -> Disagreement {
    match check(subject, &script(name)) {
        Err(Failure::Disagreement(disagreement)) => disagreement,
        Err(Failure::Run(error)) => panic!("{name}: {error}"),
        Ok(observed) => panic!("{name} passes: {observed:?}"),
    }
}

/// Which of these scripts notice the bug, and what the first of them sees instead.
fn noticed(bug: Bug, names: &[&str], observed: &str) {
    let simulated =
        Simulated { seed: 1, faults: Faults::NONE, session: move |session| Falsified::new(session, bug) };
    for name in names {
        disagreement(&simulated, name);
    }
    assert_eq!(disagreement(&simulated, names[0]).observed, observed, "in the simulator");
    // A deadline that a driver forgets takes the client's whole patience, in real time.
    if bug != Bug::ForgetsDeadlines && (bug != Bug::ResetsForClose || resets_are_told()) {
        let on =
            |backend: &str, noticed: Disagreement| assert_eq!(noticed.observed, observed, "on {backend}");
        let session = move |session| Falsified::new(session, bug);
        on("std", disagreement(&OnSockets::new(Tcp(roundtrip_std::Std)).with_session(session), names[0]));
        let smol = OnSockets::new(Tcp(roundtrip_smol::Smol::default())).with_session(session);
        on("smol", disagreement(&smol, names[0]));
        #[cfg(unix)]
        {
            let reactor = OnSockets::new(Tcp(roundtrip_reactor::Reactor::default())).with_session(session);
            on("the reactor", disagreement(&reactor, names[0]));
        }
        #[cfg(target_os = "linux")]
        {
            let uring = OnSockets::new(Tcp(roundtrip_uring::Uring::default())).with_session(session);
            on("the driver of completions", disagreement(&uring, names[0]));
        }
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

/// Every script passes: none has a stop and a command for one session.
#[test]
fn a_stop_that_is_lost_behind_a_command() {
    for name in ["plain-echo", "stop-while-idle", "two-stopped-together"] {
        let subject = OnSockets::new(Tcp(LosesStop));
        assert!(check(&subject, &script(name)).is_ok(), "{name}");
    }
    let failure = check_commands(&LosesStop).unwrap_err().to_string();
    assert_eq!(
        failure,
        "a stop behind commands before the session begins: expected [Stop, Command(1), Command(2)], \
         and the session was told [Command(1), Command(2)]"
    );
}
