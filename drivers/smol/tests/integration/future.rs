//! What only a driver of futures can get wrong: how long it runs, what it leaves when it is dropped, how large it is.

use std::convert::Infallible;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use roundtrip_core::{Action, Input, Machine, Time, Wait};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_smol::{Driver, SystemClock};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn echo(now: Time) -> EchoServer {
    EchoServer::new(Arc::new(ServerConfig::default()), now)
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Reads a byte at a time, and counts them for whoever looks.
struct Nibbler(Arc<AtomicUsize>);

impl Machine for Nibbler {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ();

    fn handle(&mut self, _now: Time, input: Input) {
        if let Input::Data(bytes) = input {
            self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, ()> {
        Action::Wait(Wait { read: 1, commands: 0, deadline: None })
    }
}

#[test]
fn a_peer_with_much_to_say_gets_so_many_turns_and_no_more() {
    let (mut client, server) = pair();
    client.write_all(&[0; 1000]).unwrap();
    let eaten = Arc::new(AtomicUsize::new(0));
    let driver = Driver::new(SystemClock::new());
    let nibbler = Nibbler(Arc::clone(&eaten));
    let mut driven =
        pin!(driver.drive(roundtrip_smol::Stream::from(server), |_now| nibbler, |never| match never {}));
    for polls in 1..10 {
        assert!(poll_once(driven.as_mut()).is_pending());
        let so_far = eaten.load(Ordering::Relaxed);
        assert!(so_far <= 32 * polls, "{so_far} turns in {polls} wake-ups");
    }
    assert!(eaten.load(Ordering::Relaxed) > 32, "it goes on where it was");
}

#[test]
fn a_connection_that_is_dropped_is_reset_begun_or_not() {
    for polls in [0, 1] {
        let (mut client, server) = pair();
        {
            let mut driven = pin!(roundtrip_smol::drive(roundtrip_smol::Stream::from(server), echo));
            for _ in 0..polls {
                assert!(poll_once(driven.as_mut()).is_pending());
            }
        }
        let told = match client.read(&mut [0]) {
            // wine may take a reset for an end when it reads, and not when it writes.
            Ok(0) if cfg!(windows) => client.write(b"x"),
            read => read,
        };
        assert_eq!(told.unwrap_err().kind(), ErrorKind::ConnectionReset, "after {polls} polls");
    }
}

/// A control that outlives its connection reaches nobody; a session is woken by nothing but its own.
#[test]
fn a_future_may_be_sent_to_another_thread_between_two_polls() {
    let (mut client, server) = pair();
    let driver = Driver::new(SystemClock::new());
    let control = driver.control();
    let mut driven =
        Box::pin(driver.drive(roundtrip_smol::Stream::from(server), echo, |never| match never {}));
    assert!(poll_once(driven.as_mut()).is_pending());
    let ended = std::thread::spawn(move || roundtrip_smol::block_on(driven));
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    control.abort();
    assert_eq!(ended.join().unwrap().outcome.echoed, 1);
}

#[test]
fn a_connection_that_waits_is_small() {
    let (_client, server) = pair();
    let driver = Driver::new(SystemClock::new());
    let driven = driver.drive(roundtrip_smol::Stream::from(server), echo, |never| match never {});
    let (session, future) = (size_of::<EchoServer>(), size_of_val(&driven));
    println!("machine {session} bytes, future {future} bytes");
    // 32 bytes of it are what a driver knows of a cut, and of a machine that never waits.
    assert!(future <= session + 544, "machine {session} bytes, future {future} bytes");
}
