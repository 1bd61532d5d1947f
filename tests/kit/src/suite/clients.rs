//! Many connections from the client's side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::{Machine, Time};
use roundtrip_echo::{ClientConfig, ClientOutcome, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
use roundtrip_net::{Application, ConnectOptions, ConnectionReport, Control, Stream};

use super::common::{Running, echo, resets_are_told, soon, spawn};
use super::driver::TestBackend;

const BYTES: u64 = 100_000;

fn client(seed: usize, bytes: u64, now: Time) -> EchoClient {
    EchoClient::new(ClientConfig::default().into(), Payload::seeded(seed as u64, bytes), now)
}

fn dial(server: &Running) -> Stream {
    let endpoint = format!("tcp:{}", server.address).parse().unwrap();
    roundtrip_net::connect(&endpoint, &ConnectOptions::default()).unwrap()
}

/// Every end, with its number.
struct Told(Mutex<Sender<(usize, Verdict)>>);

impl Application<usize> for Told {
    type Machine = EchoClient;

    fn open(
        &self,
        now: Time,
        &index: &usize,
        _control: &Control<<EchoClient as Machine>::Command>,
    ) -> EchoClient {
        client(index, BYTES, now)
    }

    fn ended(&self, &index: &usize, ended: ConnectionReport<ClientOutcome>) {
        assert_eq!(ended.outcome.received, BYTES);
        self.0.lock().unwrap().send((index, ended.outcome.verdict)).unwrap();
    }
}

pub fn every_stream_is_driven_to_its_end_and_told_by_its_number(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    let streams: Vec<_> = (0..20).map(|_| dial(&server)).collect();
    let (sender, ended) = channel();
    let driven = spawn(move || backend.drive_all(streams, &Told(Mutex::new(sender))).map(|()| ended));
    let mut ended: Vec<_> = soon(&driven).unwrap().iter().collect();
    ended.sort_unstable();
    assert_eq!(ended, (0..20).map(|index| (index, Verdict::Verified)).collect::<Vec<_>>());
    assert_eq!(server.stop().admission.admitted, 20);
}

/// Whoever connects may take its time: the second stream is there only when the first session is over.
pub fn sessions_are_driven_while_others_are_still_connecting(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    let (sender, ended) = channel();
    let mut made = 0;
    let streams = {
        let (first, second) = (dial(&server), dial(&server));
        let mut streams = vec![second, first];
        std::iter::from_fn(move || {
            if made > 0 {
                let (index, _) = ended.recv_timeout(Duration::from_secs(30)).unwrap();
                assert_eq!(index, made - 1);
            }
            made += 1;
            streams.pop()
        })
    };
    let driven = spawn(move || backend.drive_all(streams, &Told(Mutex::new(sender))));
    soon(&driven).unwrap();
    server.stop();
}

struct Endless(Sender<Control<<EchoServer as Machine>::Command>>);

impl Application<usize> for Endless {
    type Machine = EchoServer;

    /// A server's session: it would wait for its peer for ever.
    fn open(
        &self,
        now: Time,
        _index: &usize,
        control: &Control<<EchoServer as Machine>::Command>,
    ) -> EchoServer {
        self.0.send(control.clone()).unwrap();
        EchoServer::new(ServerConfig::default().into(), now)
    }
}

pub fn a_control_reaches_its_session(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    let streams = [dial(&server), dial(&server)];
    let (sender, controls) = channel();
    let driven = spawn(move || backend.drive_all(streams, &Endless(sender)));
    for _ in 0..2 {
        soon(&controls).abort();
    }
    soon(&driven).unwrap();
    server.stop();
}

pub fn no_streams_are_nothing_to_wait_for(backend: impl TestBackend) {
    let machine = |now, &index: &usize| client(index, BYTES, now);
    backend.drive_all(Vec::new(), &machine).unwrap();
}

pub fn a_panic_resets_its_connection_and_reaches_the_caller(backend: impl TestBackend) {
    let server = echo(backend, ServerConfig::default(), Limits::default());
    let streams = [dial(&server)];
    let driven = spawn(move || {
        let machine = |_now, _: &usize| -> EchoClient { panic!("planted") };
        catch_unwind(AssertUnwindSafe(|| backend.drive_all(streams, &machine))).is_err()
    });
    assert!(soon(&driven));
    let end = soon(&server.ended).outcome.end;
    assert!(matches!(end, roundtrip_echo::End::Failed(_)) || !resets_are_told(), "{end:?}");
    server.stop();
}
