//! What the ring owns, it keeps as long as the kernel needs it, whatever is asked of it meanwhile.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const NAME: Token = Token(7);

fn ring() -> ThreadRing {
    Prepared::new(Uring::default()).unwrap().start()
}

/// Bytes that tell when they are freed.
struct Witness(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Witness {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.fill(0);
        self.1.store(true, Ordering::Relaxed);
    }
}

/// A send that waits, for the socket takes no more; and whether its bytes were freed.
fn send_that_waits(uring: &mut ThreadRing) -> (LineId, UnixStream, Arc<AtomicBool>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while (&ours).write(&[0; 1 << 14]).is_ok() {}
    let freed = Arc::new(AtomicBool::new(false));
    let line = uring.attach(NAME, Rc::new(ours));
    uring.send(line, Bytes::from_owner(Witness(vec![7; 1000], Arc::clone(&freed))), false);
    uring.enter(Sleep::No).unwrap();
    assert!(uring.reap().is_none());
    (line, theirs, freed)
}

#[test]
fn bytes_are_kept_until_their_send_is_complete_though_nobody_wants_to_hear_of_it() {
    let mut uring = ring();
    let (line, _peer, freed) = send_that_waits(&mut uring);
    uring.detach(line);
    assert!(!freed.load(Ordering::Relaxed), "the kernel was not even told");
    while !freed.load(Ordering::Relaxed) {
        assert!(!uring.lines[line.0].sending.is_empty());
        uring.enter(Sleep::For(None)).unwrap();
        assert!(uring.reap().is_none(), "nobody wants to hear of it");
    }
    assert!(uring.lines[line.0].file.is_none(), "and the descriptor is let go of");
}

#[test]
fn a_ring_that_is_dropped_waits_for_the_kernel() {
    let mut uring = ring();
    let (_line, mut peer, freed) = send_that_waits(&mut uring);
    drop(uring);
    assert!(freed.load(Ordering::Relaxed), "it is no leak");
    // Nothing of it was sent, then or later.
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).unwrap();
    assert!(sent.iter().all(|byte| *byte == 0));
}

#[test]
#[should_panic(expected = "one Send at a time")]
fn a_second_send_does_not_take_the_place_of_the_first() {
    let mut uring = ring();
    let (line, _peer, _freed) = send_that_waits(&mut uring);
    uring.send(line, Bytes::from_static(b"x"), true);
}

#[test]
fn a_line_that_was_let_go_of_is_heard_of_no_more_and_its_place_is_used_again() {
    let mut uring = ring();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Rc::new(ours);
    let line = uring.attach(NAME, ours.clone());
    uring.watch(line, Watch::Once);
    uring.enter(Sleep::No).unwrap();
    theirs.write_all(b"x").unwrap();
    // It is ready, and was not told yet.
    uring.detach(line);
    while Rc::strong_count(&ours) > 1 {
        uring.enter(Sleep::For(None)).unwrap();
        assert!(uring.reap().is_none());
    }
    let next = uring.attach(Token(8), ours);
    assert_eq!(next, line);
    uring.receive(next, 10, false, false);
    uring.enter(Sleep::For(None)).unwrap();
    let done = uring.reap().unwrap();
    let What::Received(Ok(Received { bytes, .. })) = done.what else { panic!("{done:?}") };
    assert_eq!((done.name, &bytes[..]), (Token(8), &b"x"[..]));
}

/// More than the completion queue holds, and far more than the submission queue.
#[test]
fn completions_that_find_no_room_are_not_lost() {
    const LINES: usize = COMPLETIONS as usize + 2000;
    let mut uring = ring();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    let ours = Rc::new(ours);
    for name in 0..LINES {
        let line = uring.attach(Token(name), ours.clone());
        uring.watch(line, Watch::Once);
    }
    let mut told = vec![false; LINES];
    let mut rounds = 0;
    while told.contains(&false) {
        uring.enter(Sleep::No).unwrap();
        rounds += 1;
        assert!(rounds < 100, "{} are missing", told.iter().filter(|told| !**told).count());
        while let Some(done) = uring.reap() {
            assert!(!std::mem::replace(&mut told[done.name.0], true), "told twice");
        }
    }
    assert!(rounds > 1, "there was room for all");
}

#[test]
fn no_more_is_received_than_was_asked_for_and_a_buffer_is_used_again() {
    let options = Uring::default().buffers(std::num::NonZeroU16::MIN);
    let mut uring = Prepared::new(options).unwrap().start();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"abcdef").unwrap();
    drop(theirs);
    let line = uring.attach(NAME, Rc::new(ours));
    let mut came = Vec::new();
    for (most, wait) in [(2, false), (1, true), (100, false), (100, false)] {
        uring.receive(line, most, wait, false);
        uring.enter(Sleep::For(None)).unwrap();
        let Some(Done { what: What::Received(Ok(received)), .. }) = uring.reap() else {
            panic!("nothing came")
        };
        assert!(uring.is_idle(line));
        came.push(received.bytes);
    }
    assert_eq!(came, ["ab", "c", "def", ""]);
}

/// With a kernel that limits it, and with one that does not; whether it comes in small pieces or in large ones.
#[test]
fn a_receive_that_goes_on_stays_within_its_limit() {
    const LIMIT: usize = MANY + 1000;
    for (limits, piece) in [(true, 900), (true, 10_000), (false, 900), (false, 10_000)] {
        let mut uring = ring();
        uring.limits &= limits;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let line = uring.attach(NAME, Rc::new(ours));
        uring.receive(line, LIMIT, false, false);
        let mut came = 0;
        while !uring.is_idle(line) {
            theirs.write_all(&vec![7; piece]).unwrap();
            uring.enter(Sleep::For(None)).unwrap();
            while let Some(done) = uring.reap() {
                let What::Received(received) = done.what else { panic!("{:?}", done.what) };
                if let Ok(received) = received {
                    came += received.bytes.len();
                } else {
                    // The kernel knows no limit.
                    assert!(limits && !uring.limits);
                    uring.receive(line, LIMIT, false, false);
                }
            }
            assert!(came <= LIMIT, "{came} of {LIMIT}");
        }
        let least = if uring.limits { LIMIT / 2 } else { piece.min(LIMIT) };
        assert!(came >= least, "{came} of {LIMIT}");
    }
}

#[test]
fn a_thread_that_waits_is_roused_each_time() {
    let mut uring = ring();
    let wake = Arc::clone(uring.wake());
    for _ in 0..3 {
        assert!(wake.may_sleep());
        let waker = std::thread::spawn({
            let wake = Arc::clone(&wake);
            move || wake.ring(NAME)
        });
        uring.enter(Sleep::For(None)).unwrap();
        assert!(uring.reap().is_some_and(|done| done.name == WAKE));
        assert!(uring.reap().is_none(), "once");
        waker.join().unwrap();
        let mut rung = Vec::new();
        wake.hear(&mut rung);
        assert_eq!(rung, [NAME]);
    }
}
