//! How a session ends, and that it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::{Failure, Step, Teardown};
use roundtrip_script::{ScriptConfig, ScriptEnd};

use crate::bench::{Bench, NOW, after, small};

fn config() -> ScriptConfig {
    let nanos = Duration::from_nanos;
    small(8).grace(nanos(100)).linger(nanos(10)).idle(Some(nanos(1000)))
}

type Plain<O> = Bench<O, &'static str, &'static str>;

#[test]
fn what_is_queued_is_written_then_it_half_closes_and_waits_for_the_peers_end() {
    let mut bench = Plain::new(config(), |io| async move {
        io.write("bye").await;
        7
    });
    assert_eq!(bench.write(2), "by");
    let machine = bench.session.machine();
    assert_eq!((machine.output(), machine.held()), (Some(&7), 1));
    assert_eq!(bench.wait().read, 8);
    assert_eq!(bench.session.take(bench.now, 1), "e");
    let wait = bench.half_closes().wait();
    assert_eq!((wait.read, wait.deadline), (8, Some(after(10))));
    // What still comes is dropped, and counted; it holds no credit.
    assert_eq!(bench.data(b"late").wait().read, 8);
    let (how, outcome) = bench.eof().close();
    assert_eq!((how, outcome.end, outcome.output), (Teardown::Graceful, ScriptEnd::Finished, Some(7)));
    assert_eq!((outcome.received, outcome.sent, outcome.unread, outcome.unsent), (4, 3, 4, 0));
    assert_eq!(bench.close().1, outcome, "I3");
}

#[test]
fn a_peer_that_does_not_end_is_waited_for_no_longer_than_linger() {
    let mut bench = Plain::new(config(), |_io| async {});
    bench.half_closes().wait();
    bench.now = after(9);
    bench.wait();
    bench.now = after(10);
    assert_eq!(bench.close().1.end, ScriptEnd::Finished);
}

#[test]
fn a_script_that_is_stopped_may_end_by_itself_within_the_grace_period() {
    let mut bench = Plain::new(config(), |io| async move {
        while let Ok(Ok(request)) = io.until_stopped(io.read_exact(1)).await {
            io.write(request).await;
        }
        io.write("bye").await;
    });
    bench.wait();
    bench.data(b"x");
    // Its answer is under way.
    assert_eq!(bench.write(0), "");
    bench.session.stop(bench.now);
    bench.session.stop(bench.now);
    assert_eq!(bench.wait().deadline, Some(after(100)));
    assert_eq!(bench.session.take(bench.now, 1), "x");
    assert_eq!(bench.write(3), "bye");
    bench.output();
}

#[test]
fn a_script_that_does_not_end_is_cut_off_when_the_grace_period_is_over() {
    let mut bench = Plain::new(config(), |io| async move {
        io.write("abcd").await;
        io.read_exact(5).await
    });
    assert_eq!(bench.write(1), "a");
    bench.session.stop(NOW);
    for byte in 0..4 {
        // Neither bytes nor a second stop move the end.
        bench.now = after(20 * byte);
        bench.session.stop(bench.now);
        assert_eq!(bench.wait().deadline, Some(after(100)));
        bench.data(b"x");
    }
    bench.now = after(100);
    let (how, outcome) = bench.close();
    assert_eq!((how, outcome.end, outcome.output), (Teardown::Reset, ScriptEnd::Stopped, None));
    assert_eq!((outcome.received, outcome.sent, outcome.unread, outcome.unsent), (4, 1, 4, 3));
}

#[test]
fn a_peer_that_takes_a_byte_now_and_then_does_not_outlast_the_grace_period() {
    let mut bench = Plain::new(config(), |io| async move { io.write("abcdefgh").await });
    assert_eq!(bench.write(1), "a");
    bench.session.stop(NOW);
    for byte in 1..7 {
        bench.now = after(16 * byte);
        assert_eq!(bench.wait().deadline, Some(after(100)));
        assert_eq!(bench.session.take(bench.now, 1).len(), 1);
    }
    bench.now = after(100);
    let outcome = bench.close().1;
    assert_eq!((outcome.end, outcome.output, outcome.unsent), (ScriptEnd::Stopped, Some(()), 1));
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn after_an_abort_or_a_failure_events_still_leave_and_the_script_is_gone() {
    for failure in [None, Some(Failure::Reset)] {
        let dropped = Arc::new(AtomicBool::new(false));
        let guard = OnDrop(Arc::clone(&dropped));
        let mut bench = Plain::new(config().events(2), |io| async move {
            let _guard = guard;
            io.write("lost").await;
            for event in ["a", "b", "c"] {
                io.event(event).await;
            }
        });
        assert_eq!(bench.event(), "a");
        match failure {
            None => bench.session.abort(NOW),
            Some(failure) => bench.session.failed(NOW, failure),
        }
        assert!(dropped.load(Ordering::Relaxed));
        assert_eq!(bench.event(), "b");
        let (how, outcome) = bench.close();
        let end = failure.map_or(ScriptEnd::Aborted, ScriptEnd::Failed);
        assert_eq!((how, outcome.end, outcome.unsent), (Teardown::Reset, end, 4));
    }
}

#[test]
fn what_the_script_returned_is_kept_when_the_transport_fails_afterwards() {
    let mut bench = Plain::new(config(), |io| async move {
        io.write("bye").await;
        7
    });
    assert_eq!(bench.write(0), "");
    bench.session.failed(NOW, Failure::Io);
    let outcome = bench.close().1;
    assert_eq!((outcome.end, outcome.output), (ScriptEnd::Failed(Failure::Io), Some(7)));
}

#[test]
fn a_reset_drops_what_is_queued_and_keeps_what_the_script_returned() {
    let mut bench = Plain::new(config(), |io| async move {
        io.write("half of").await;
        io.reset();
        7
    });
    let (how, outcome) = bench.close();
    assert_eq!((how, outcome.end, outcome.output), (Teardown::Reset, ScriptEnd::Reset, Some(7)));
    assert_eq!(outcome.unsent, 7);
}

#[test]
fn a_connection_on_which_nothing_moves_is_reset() {
    let mut bench = Plain::new(config(), |io| async move { io.read_exact(2).await });
    assert_eq!(bench.wait().deadline, Some(after(1000)));
    bench.now = after(500);
    assert_eq!(bench.data(b"a").wait().deadline, Some(after(1500)));
    bench.now = after(1500);
    assert_eq!(bench.close().1.end, ScriptEnd::Idle);
}

#[test]
fn what_the_peer_sends_to_a_script_that_returned_does_not_keep_it_from_idling_out() {
    let mut bench = Plain::new(config(), |io| async move { io.write("never taken").await });
    assert_eq!(bench.write(8).len(), 8);
    assert_eq!(bench.write(0), "");
    bench.wait();
    bench.now = after(999);
    bench.data(b"more").wait();
    bench.now = after(1000);
    let outcome = bench.close().1;
    assert_eq!((outcome.end, outcome.unread, outcome.unsent), (ScriptEnd::Idle, 4, 3));
}

#[test]
fn what_waits_at_the_peers_end_is_read_before_it() {
    let mut bench = Plain::new(config(), |io| async move { io.read_exact(2).await });
    bench.wait();
    bench.data(b"ab").eof();
    assert_eq!(bench.step(), Step::ShutdownWrite);
    let (how, outcome) = bench.close();
    assert_eq!((how, outcome.output), (Teardown::Graceful, Some(Ok(Bytes::from_static(b"ab")))));
}
