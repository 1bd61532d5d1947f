//! A stop ends a session in bounded time, whatever its peer does or does not do.

use bytes::Bytes;
use roundtrip_core::{Action, Input, Machine, Teardown, Time};
use roundtrip_echo::{EchoServer, End, ServerConfig, ServerOutcome};

/// What a peer did before it fell silent; it takes none of what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Nothing,
    Sent,
    SentAndEnded,
}

/// Lets every deadline pass, with the peer's end after `end_after` of them, until the session closes.
fn outlast(mut server: EchoServer, mut end_after: Option<usize>) -> (Time, Teardown, ServerOutcome) {
    let mut now = Time::ZERO;
    for _ in 0..20 {
        match server.poll(now) {
            Action::Wait(wait) => {
                if end_after == Some(0) {
                    server.handle(now, Input::Eof);
                    end_after = None;
                    continue;
                }
                end_after = end_after.map(|left| left - 1);
                now = wait.deadline.expect("a stopped session has a deadline");
            }
            Action::Close { how, outcome } => return (now, how, outcome),
            Action::Write(_) | Action::ShutdownWrite => {}
            Action::Event(never) => match never {},
        }
    }
    panic!("it does not end");
}

#[test]
fn every_silent_peer_is_outlasted_within_drain_and_linger() {
    for did in [Did::Nothing, Did::Sent, Did::SentAndEnded] {
        for end_after in [None, Some(0), Some(1)] {
            let mut server = EchoServer::new(ServerConfig::default().into(), Time::ZERO);
            let Action::Wait(_) = server.poll(Time::ZERO) else { unreachable!() };
            if did != Did::Nothing {
                server.handle(Time::ZERO, Input::Data(Bytes::from_static(b"unread")));
            }
            if did == Did::SentAndEnded {
                server.handle(Time::ZERO, Input::Eof);
            }
            server.handle(Time::ZERO, Input::Stop);
            let end_after = end_after.filter(|_| did != Did::SentAndEnded);
            let (now, how, outcome) = outlast(server, end_after);
            assert!(now.as_nanos() <= 7_000_000_000, "{did:?}: {now:?}");
            // Nobody may take a part for the whole.
            let whole = did == Did::Nothing;
            assert_eq!(how, if whole { Teardown::Graceful } else { Teardown::Reset }, "{did:?}");
            assert_eq!(outcome.dropped, if whole { 0 } else { 6 });
            assert!(matches!(outcome.end, End::Stopped | End::Clean), "{:?}", outcome.end);
        }
    }
}
