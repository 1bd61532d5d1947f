//! A server that sends more than was asked for, over real sockets.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use bytes::{Buf, BytesMut};
use roundtrip_client::{CallError, Client, ClientConfig, ClientEvents, Codec, Decoded, Incoming, client};
use roundtrip_core::protocol::SessionEnd;
use roundtrip_std::{ConnectOptions, Driver, SystemClock, connect};

/// Lines: those that begin with `+` are responses, the others come unasked.
struct Lines;

impl Codec for Lines {
    type Request = String;
    type Response = String;
    type Push = String;
    type Error = Infallible;

    fn encode(&mut self, request: String, out: &mut BytesMut) -> Result<(), Infallible> {
        out.extend_from_slice(request.as_bytes());
        out.extend_from_slice(b"\n");
        Ok(())
    }

    fn decode(&mut self, inbox: &mut BytesMut) -> Decoded<Self> {
        let Some(end) = inbox.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line = String::from_utf8(inbox.split_to(end).to_vec()).unwrap();
        inbox.advance(1);
        Ok(Some(match line.strip_prefix('+') {
            Some(response) => Incoming::Response(response.to_owned()),
            None => Incoming::Push(line),
        }))
    }
}

/// A client of a server that answers each request with 100 lines unasked and a response, until one says `die`.
fn noisy(config: ClientConfig, prepare: impl FnOnce(&mut ClientEvents<Lines>)) -> Client<Lines> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || serve(&listener.accept().unwrap().0));
    let stream = connect(&endpoint, &ConnectOptions::default()).unwrap();
    let driver = Driver::new(SystemClock::new()).unwrap();
    let (client, machine, mut events) = client(driver.control(), Lines, config);
    prepare(&mut events);
    thread::spawn(|| driver.drive_into(stream, machine, events));
    client
}

fn serve(mut stream: &TcpStream) {
    for line in BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| line != "die") {
        for number in 0..100 {
            writeln!(stream, "{line} {number}").unwrap();
        }
        writeln!(stream, "+{line}").unwrap();
    }
}

#[test]
fn all_of_it_is_received_in_order_however_slowly() {
    let mut pushes = None;
    let client = noisy(ClientConfig::default().pushes(2), |events| pushes = events.pushes());
    let mut pushes = pushes.unwrap();
    let received = thread::spawn(move || std::iter::from_fn(|| pushes.recv_blocking()).collect::<Vec<_>>());
    let replies: Vec<_> = (0..10).map(|call| client.send_blocking(format!("call {call}")).unwrap()).collect();
    for (call, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.wait(), Ok(format!("call {call}")));
    }
    drop(client);
    let expected: Vec<_> =
        (0..10).flat_map(|call| (0..100).map(move |number| format!("call {call} {number}"))).collect();
    assert_eq!(received.join().unwrap(), expected);
}

#[test]
fn what_is_not_received_is_dropped_and_holds_nothing_back() {
    let client = noisy(ClientConfig::default(), |_events| {});
    assert_eq!(client.call_blocking("one".to_owned()), Ok("one".to_owned()));
    let client = noisy(ClientConfig::default(), |events| drop(events.pushes()));
    assert_eq!(client.call_blocking("two".to_owned()), Ok("two".to_owned()));
}

#[test]
fn an_abort_loses_the_calls_of_a_connection_that_is_held_back() {
    let mut pushes = None;
    let client = noisy(ClientConfig::default().pushes(1), |events| pushes = events.pushes());
    let mut pushes = pushes.unwrap();
    let reply = client.send_blocking("one".to_owned()).unwrap();
    assert_eq!(pushes.recv_blocking(), Some("one 0".to_owned()));
    // The response is behind 99 lines, of which one has room.
    client.abort();
    assert!(matches!(reply.wait(), Err(CallError::Gone | CallError::Ended(SessionEnd::Aborted))));
    assert_eq!(client.call_blocking("two".to_owned()), Err(CallError::Gone));
}

#[test]
fn a_server_that_dies_loses_all_calls() {
    let client = noisy(ClientConfig::default(), |_events| {});
    // Windows drops what was not read before a reset.
    assert_eq!(client.call_blocking("one".to_owned()), Ok("one".to_owned()));
    let replies: Vec<_> = ["die", "two"].map(|line| client.send_blocking(line.to_owned())).into();
    for reply in replies {
        let result = reply.and_then(roundtrip_client::Response::wait);
        assert!(
            matches!(result, Err(CallError::Gone | CallError::Closed | CallError::Ended(_))),
            "{result:?}"
        );
    }
}
