//! What a message costs in allocations, in the thread that drives it, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;

use roundtrip_core::admission::Limits;
use roundtrip_core::{Input, Machine, Observe, Tap, Time};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_net::{Accepted, Application, Backend, BindOptions, Control, ServerHandle};

use crate::counting::ALLOCATIONS;

const CONNECTIONS: usize = 8;
/// Messages on each of them until all has its size, and those that are counted.
const WARM: usize = 200;
const COUNTED: usize = 1000;

/// Reads its thread's counter at two points of a connection.
pub struct Counter {
    size: usize,
    received: usize,
    before: usize,
    /// With room for all: what is counted must not be counted itself.
    during: Arc<Mutex<Vec<usize>>>,
}

impl<M: Machine> Observe<M> for Counter {
    fn input(&mut self, _now: Time, input: &Input<M::Command>) {
        let Input::Data(bytes) = input else { return };
        let (from, to) = (self.received, self.received + bytes.len());
        self.received = to;
        let passes = |messages: usize| (from..to).contains(&(messages * self.size));
        if passes(WARM) {
            self.before = ALLOCATIONS.get();
        }
        if passes(WARM + COUNTED) {
            self.during.lock().unwrap().push(ALLOCATIONS.get() - self.before);
        }
    }
}

/// Echo sessions, each with a [`Counter`].
pub struct CountedEcho {
    size: usize,
    during: Arc<Mutex<Vec<usize>>>,
}

impl Application<Accepted> for CountedEcho {
    type Machine = Tap<EchoServer, Counter>;

    fn open(
        &self,
        now: Time,
        _accepted: &Accepted,
        _control: &Control<<Self::Machine as Machine>::Command>,
    ) -> Self::Machine {
        let counter = Counter { size: self.size, received: 0, before: 0, during: Arc::clone(&self.during) };
        Tap::new(EchoServer::new(ServerConfig::default().into(), now), counter)
    }
}

/// Allocations per message of this size in the thread that serves it: the most that any connection counted, divided by the
/// number of messages that its thread served meanwhile.
pub fn a_message(backend: impl Backend + Send + 'static, size: usize, connections_of_a_thread: usize) -> f64 {
    let listener = roundtrip_net::bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
    let address = listener.local_address().unwrap();
    let counted = Arc::new(Mutex::new(Vec::with_capacity(CONNECTIONS)));
    let handle = ServerHandle::new();
    let server = thread::spawn({
        let (handle, counted) = (handle.clone(), Arc::clone(&counted));
        move || {
            let service = CountedEcho { size, during: counted };
            backend.serve(vec![listener], Limits::default(), &handle, &service).unwrap();
        }
    });
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let (message, mut back) = (vec![7; size], vec![0; size]);
    // One more, for the last is looked at when the next one comes.
    for _ in 0..=WARM + COUNTED {
        for client in &mut clients {
            client.write_all(&message).unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut back).unwrap();
        }
    }
    drop(clients);
    handle.stop();
    server.join().unwrap();
    let counted = counted.lock().unwrap();
    assert_eq!(counted.len(), CONNECTIONS);
    let messages = (COUNTED * connections_of_a_thread) as f64;
    *counted.iter().max().unwrap() as f64 / messages
}
