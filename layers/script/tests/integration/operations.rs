//! What a script can do, one operation at a time.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use roundtrip_script::{Raced, ReadError, ScriptConfig, Stopped, TimedOut, join, race};

use crate::bench::{Bench, after, small};

type Plain<O> = Bench<O, &'static str, &'static str>;

#[test]
fn an_exact_read_waits_for_all_its_bytes_and_takes_no_more() {
    let mut bench =
        Plain::new(small(8), |io| async move { (io.read_exact(3).await, io.read_exact(1).await) });
    assert_eq!(bench.wait().read, 8);
    assert_eq!(bench.data(b"ab").wait().read, 6);
    bench.data(b"cde");
    assert_eq!(bench.output(), (Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"d"))));
}

#[test]
fn an_exact_read_that_the_peer_breaks_off_says_how_much_came_and_takes_nothing() {
    let mut bench = Plain::new(small(8), |io| async move {
        (io.read_exact(3).await, io.read_some(9).await, io.read_some(9).await)
    });
    bench.wait();
    bench.data(b"ab").eof();
    let expected = (Err(ReadError::Eof { received: 2 }), Some(Bytes::from_static(b"ab")), None);
    assert_eq!(bench.output(), expected);
}

#[test]
fn an_exact_read_of_more_than_the_inbox_holds_is_too_long_at_once() {
    // A length that the peer chose must not stop the session for ever.
    let mut bench = Plain::new(small(8), |io| async move { io.read_exact(9).await });
    assert_eq!(bench.output(), Err(ReadError::TooLong { limit: 8 }));
}

#[test]
fn an_exact_read_may_fill_the_inbox_and_can_be_an_array() {
    let mut bench = Plain::new(small(4), |io| async move {
        let whole = io.read_exact(4).await;
        let [first, second] = io.read_array().await?;
        io.read_array::<1>().await.map(|[third]| (whole, [first, second, third]))
    });
    bench.wait();
    assert_eq!(bench.data(b"abcd").wait().read, 4);
    bench.data(b"123");
    assert_eq!(bench.output(), Ok((Ok(Bytes::from_static(b"abcd")), *b"123")));
}

#[test]
fn a_read_until_a_delimiter_includes_it_wherever_the_stream_is_cut() {
    let text = b"one\r\n\r\ntwo\rthree\r\n";
    for cut in 1..text.len() {
        let mut bench = Plain::new(small(32), |io| async move {
            [
                io.read_until(b"\r\n", 20).await,
                io.read_until(b"\r\n", 20).await,
                io.read_until(b"\r\n", 20).await,
                io.read_until(b"\r\n", 20).await,
            ]
        });
        bench.wait();
        bench.data(&text[..cut]).wait();
        bench.data(&text[cut..]).eof();
        let line = |text| Ok(Bytes::from_static(text));
        let lines =
            [line(b"one\r\n"), line(b"\r\n"), line(b"two\rthree\r\n"), Err(ReadError::Eof { received: 0 })];
        assert_eq!(bench.output(), lines, "cut at {cut}");
    }
}

#[test]
fn a_read_until_a_delimiter_counts_it_and_gives_up_at_its_limit() {
    let mut bench = Plain::new(small(8), |io| async move {
        (io.read_until(b"\n", 4).await, io.read_until(b"\n", 3).await, io.read_until(b"\n", 100).await)
    });
    bench.wait();
    bench.data(b"abc\nabc").wait();
    // The last one is bounded by the inbox; what the second one did not take is still there.
    bench.data(b"defgh");
    let too_long = |limit| Err(ReadError::TooLong { limit });
    assert_eq!(bench.output(), (Ok(Bytes::from_static(b"abc\n")), too_long(3), too_long(8)));
}

#[test]
fn the_end_of_the_stream_is_told_from_a_byte_that_is_to_come() {
    let mut bench =
        Plain::new(
            small(8),
            |io| async move { (io.at_eof().await, io.read_some(1).await, io.at_eof().await) },
        );
    bench.wait();
    bench.data(b"a").wait();
    bench.eof();
    assert_eq!(bench.output(), (false, Some(Bytes::from_static(b"a")), true));
}

#[test]
fn a_write_waits_for_room_and_reading_goes_on_meanwhile() {
    let mut bench = Plain::new(small(4), |io| async move {
        io.write("0123456789").await;
        io.read_exact(4).await
    });
    assert_eq!(bench.write(1), "0");
    assert_eq!(bench.wait().read, 4);
    bench.data(b"abcd");
    assert_eq!(bench.wait().read, 0);
    assert!(bench.session.machine().held() <= 8);
    assert_eq!(bench.session.take(bench.now, 3), "123");
    assert_eq!(bench.write(9), "4567");
    assert_eq!(bench.write(9), "89");
    assert_eq!(bench.output(), Ok(Bytes::from_static(b"abcd")));
}

#[test]
fn a_flush_waits_until_the_transport_took_all() {
    let mut bench = Plain::new(small(4), |io| async move {
        io.write("abc").await;
        io.event("queued").await;
        io.flush().await;
        io.event("written").await;
    });
    assert_eq!(bench.event(), "queued");
    assert_eq!(bench.write(2), "ab");
    bench.wait();
    assert_eq!(bench.session.take(bench.now, 1), "c");
    assert_eq!(bench.event(), "written");
    bench.output();
}

#[test]
fn a_sleep_is_a_deadline_and_time_stands_still_between() {
    let mut bench = Plain::new(small(4), |io| async move {
        let began = io.now();
        io.sleep(Duration::ZERO).await;
        assert_eq!(io.now(), began);
        io.sleep(Duration::from_nanos(5)).await;
        io.now()
    });
    assert_eq!(bench.wait().deadline, Some(after(5)));
    bench.now = after(4);
    assert_eq!(bench.wait().deadline, Some(after(5)));
    bench.now = after(7);
    assert_eq!(bench.output(), after(7));
}

#[test]
fn what_is_ready_at_its_time_limit_is_in_time() {
    let script = |io: roundtrip_script::ScriptIo<&'static str, &'static str>| async move {
        io.timeout(Duration::from_nanos(5), io.read_exact(1)).await
    };
    let mut bench = Plain::new(small(4), script);
    bench.wait();
    bench.now = after(5);
    bench.data(b"a");
    assert_eq!(bench.output(), Ok(Ok(Bytes::from_static(b"a"))));
    let mut bench = Plain::new(small(4), script);
    bench.wait();
    bench.now = after(5);
    assert_eq!(bench.output(), Err(TimedOut));
}

#[test]
fn events_wait_while_their_queue_is_full() {
    let mut bench = Plain::new(small(4).events(2), |io| async move {
        for event in ["a", "b", "c", "d", "e"] {
            io.event(event).await;
        }
        io.write("x").await;
    });
    for event in ["a", "b", "c", "d", "e"] {
        assert_eq!(bench.event(), event);
    }
    assert_eq!(bench.write(1), "x");
}

#[test]
fn commands_are_welcome_only_while_the_script_waits_for_one() {
    let mut bench = Plain::new(small(4), |io| async move {
        io.read_exact(1).await.unwrap();
        let first = io.command().await;
        io.read_exact(1).await.unwrap();
        first
    });
    assert_eq!(bench.wait().commands, 0);
    assert_eq!(bench.data(b"a").wait().commands, 1);
    bench.session.command(bench.now, "first").unwrap();
    assert_eq!(bench.session.command(bench.now, "second"), Err("second"));
    assert_eq!(bench.wait().commands, 0);
    assert_eq!(bench.data(b"b").output(), "first");
}

#[test]
fn a_command_that_loses_the_race_is_kept_for_the_next_one() {
    let mut bench = Plain::new(small(4), |io| async move {
        let raced = race(io.read_exact(1), io.command()).await;
        (matches!(raced, Raced::First(Ok(_))), io.command().await)
    });
    bench.wait();
    bench.data(b"a");
    bench.session.command(bench.now, "kept").unwrap();
    assert_eq!(bench.output(), (true, "kept"));
}

#[test]
fn after_its_half_close_a_script_reads_on() {
    let mut bench = Plain::new(small(4), |io| async move {
        io.write("ab").await;
        io.shut_down_write().await;
        io.event("half-closed").await;
        io.read_exact(1).await
    });
    assert_eq!(bench.write(1), "a");
    bench.wait();
    assert_eq!(bench.session.take(bench.now, 1), "b");
    assert_eq!(bench.half_closes().event(), "half-closed");
    bench.wait();
    bench.data(b"c").wait();
    assert_eq!(bench.eof().close().1.output, Some(Ok(Bytes::from_static(b"c"))));
}

#[test]
#[should_panic(
    expected = "operations::writing_after_the_half_close_is_a_panic::{{closure}}::{{closure}} writes after"
)]
fn writing_after_the_half_close_is_a_panic() {
    let mut bench = Plain::new(small(4), |io| async move {
        io.shut_down_write().await;
        io.write("late").await;
    });
    let _ = bench.half_closes().step();
}

async fn asks_another_executor() {
    pending::<()>().await;
}

#[test]
#[should_panic(expected = "asks_another_executor::{{closure}} waits for something that is no operation")]
fn waiting_for_what_is_not_the_scripts_is_a_panic_and_no_silence() {
    let mut bench = Plain::new(small(4), |_io| asks_another_executor());
    let _ = bench.step();
}

#[test]
#[should_panic(expected = "send the application an `event` and wait for a `command`")]
fn a_stop_that_need_not_come_is_not_enough_to_wait_for() {
    let mut bench = Plain::new(small(4), |io| async move { io.until_stopped(pending::<()>()).await });
    let _ = bench.step();
}

#[test]
#[should_panic(expected = "goes on without waiting")]
fn a_script_that_never_waits_is_a_panic_and_no_silence() {
    let mut bench = Plain::new(small(4), |io| async move {
        loop {
            io.sleep(Duration::ZERO).await;
        }
    });
    let _ = bench.step();
}

#[test]
#[should_panic(expected = "goes on without waiting")]
fn a_script_that_wakes_itself_for_ever_is_a_panic_and_no_silence() {
    let mut bench = Plain::new(small(4), |_io| {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    });
    let _ = bench.step();
}

#[test]
fn a_stop_ends_what_waits_unless_stopped_and_nothing_else() {
    let mut bench = Plain::new(small(4), |io| async move {
        assert!(!io.is_stopped());
        let line = io.until_stopped(io.read_exact(2)).await;
        assert!(io.is_stopped());
        (line, io.read_exact(1).await)
    });
    bench.wait();
    bench.data(b"a");
    bench.session.stop(bench.now);
    let expected = (Err(Stopped), Ok(Bytes::from_static(b"a")));
    assert_eq!(bench.output(), expected);
}

/// What one part of a script hands to another.
#[derive(Default)]
struct Slot(Mutex<(Option<Bytes>, Option<Waker>)>);

impl Slot {
    fn put(&self, bytes: Bytes) {
        let mut slot = self.0.lock().unwrap();
        slot.0 = Some(bytes);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }

    async fn take(&self) -> Bytes {
        poll_fn(|context| {
            let mut slot = self.0.lock().unwrap();
            slot.1 = Some(context.waker().clone());
            slot.0.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[test]
fn parts_of_a_script_wake_each_other_in_any_order() {
    let mut bench = Plain::new(small(4), |io| async move {
        let slot = Slot::default();
        // The one that waits is polled first.
        join(async { io.write(slot.take().await).await }, async {
            slot.put(io.read_exact(2).await.unwrap());
        })
        .await;
    });
    bench.wait();
    bench.data(b"ab");
    assert_eq!(bench.write(2), "ab");
}

#[test]
fn an_operation_that_is_kept_and_not_polled_neither_spins_nor_is_lost() {
    let mut bench = Plain::new(small(2), |io| async move {
        let mut tick = pin!(io.sleep(Duration::from_nanos(5)));
        assert!(matches!(race(tick.as_mut(), io.read_exact(1)).await, Raced::Second(Ok(_))));
        io.write("abcd").await;
        tick.await;
        io.now()
    });
    assert_eq!(bench.wait().deadline, Some(after(5)));
    bench.data(b"x");
    assert_eq!(bench.write(0), "");
    assert_eq!(bench.wait().deadline, Some(after(5)));
    bench.now = after(6);
    assert_eq!(bench.wait().deadline, None);
    assert_eq!(bench.session.take(bench.now, 2), "ab");
    assert_eq!(bench.write(2), "cd");
    assert_eq!(bench.output(), after(6));
}

#[test]
fn a_machine_that_is_dropped_drops_its_script_and_all_it_shared() {
    let held = Arc::new(());
    let mut bench = Plain::new(ScriptConfig::default(), |io| {
        let held = Arc::clone(&held);
        async move {
            io.read_exact(1).await.unwrap();
            drop(held);
        }
    });
    bench.wait();
    assert_eq!(Arc::strong_count(&held), 2);
    drop(bench);
    assert_eq!(Arc::strong_count(&held), 1);
}
