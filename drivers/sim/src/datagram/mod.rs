//! Machines of datagrams, between which a datagram is lost, comes twice, late, out of order or damaged.

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::datagram::{Datagram, DatagramMachine, Unsent};

use crate::choose::Family;
use crate::context::Told;
use crate::run::{Run, Simulation};
use crate::scenario::{Draw, Reached, Violation};

/// Something to simulate over datagrams: a server, its clients, and what must hold, whatever happens between them.
///
/// A run has two phases: faults until [`DatagramSetup::heal_at`], then all heals, and every client must end within
/// [`DatagramSetup::settle`]; the server is stopped after them, and must end as well. It is run as [`OverDatagrams`].
pub trait DatagramScenario: Sync {
    /// The machine that all clients talk to.
    type Server: DatagramMachine<Address = SocketAddr>;
    /// A client.
    type Client: DatagramMachine<Address = SocketAddr>;

    /// What traces and reports call it.
    fn name(&self) -> &'static str;

    /// Sets a run up: how it goes, the server, and the clients. 0 from `draw` should be the smallest and simplest,
    /// because a failure is shrunk towards it.
    fn build(&self, draw: &mut Draw<'_>) -> (DatagramSetup, Self::Server, Clients<Self::Client>);

    /// Looks at a client that has closed: what came of it, and what passed.
    ///
    /// # Errors
    ///
    /// The invariant that is broken.
    fn client_closed(
        &self,
        outcome: &<Self::Client as DatagramMachine>::Outcome,
        passed: &Passed,
        reached: &mut Reached,
    ) -> Result<(), Violation> {
        let _ = (outcome, passed, reached);
        Ok(())
    }

    /// Looks at the server when it has closed, after all clients unless it was stopped before.
    ///
    /// # Errors
    ///
    /// The invariant that is broken.
    fn server_closed(
        &self,
        outcome: &<Self::Server as DatagramMachine>::Outcome,
        passed: &Passed,
        reached: &mut Reached,
    ) -> Result<(), Violation> {
        let _ = (outcome, passed, reached);
        Ok(())
    }

    /// States that a campaign must reach somewhere, or it fails: at most 64.
    fn goals(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Clients, each with its address.
pub type Clients<M> = Vec<(SocketAddr, M)>;

/// What passed between a machine and the network.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Passed {
    /// The address of the machine, if it has begun.
    pub address: Option<SocketAddr>,
    /// What it sent and the network took, in order.
    pub sent: Vec<Datagram<SocketAddr>>,
    /// What it was given, in order; damaged ones as they came.
    pub came: Vec<Datagram<SocketAddr>>,
    /// What it sent and the network did not take.
    pub unsent: Vec<(Datagram<SocketAddr>, Unsent)>,
    /// Datagrams that came and found the queue full.
    pub overflowed: u64,
    /// Datagrams that came and were not read when it closed.
    pub unread: u64,
    /// It was stopped, or aborted, before its time.
    pub interrupted: bool,
    /// The most that was unread of what it sent, bytes, where that counts against it.
    pub most_unread: u64,
    /// What it sent and found that room taken.
    pub crowded: u64,
}

/// How a run over datagrams is set up.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatagramSetup {
    /// Where the server is.
    pub server: SocketAddr,
    /// How long a datagram takes, one way.
    pub latency: Duration,
    /// What delays are counted in.
    pub quantum: Duration,
    /// The longest payload that a narrow path takes, bytes.
    pub mtu: usize,
    /// Datagrams that wait to be read, at the most: what comes then is lost.
    pub queue: usize,
    /// Bytes that the server may have sent and its clients not read, where what they leave unread takes the room of others,
    /// as on a Unix socket.
    pub send_queue: Option<u64>,
    /// So many clients, the first of them, never read.
    pub deaf: usize,
    /// When the faults end.
    pub heal_at: Duration,
    /// How long after that everything has to be over.
    pub settle: Duration,
    /// Events after which the run is taken to go on for ever.
    pub max_events: u64,
}

impl DatagramSetup {
    roundtrip_core::setters! {
        server: SocketAddr,
        latency: Duration,
        quantum: Duration,
        mtu: usize,
        queue: usize,
        send_queue: Option<u64>,
        deaf: usize,
        heal_at: Duration,
        settle: Duration,
        max_events: u64,
    }
}

impl DatagramSetup {
    /// 1 ms each way, narrow paths of 1,232 bytes (IPv6's least, RFC 8200 section 5), queues of 64; healed after 10 s, settled
    /// within 120 s.
    pub const fn new(server: SocketAddr) -> Self {
        Self {
            server,
            latency: Duration::from_millis(1),
            quantum: Duration::from_millis(1),
            mtu: 1232,
            queue: 64,
            send_queue: None,
            deaf: 0,
            heal_at: Duration::from_secs(10),
            settle: Duration::from_secs(120),
            max_events: 1_000_000,
        }
    }
}

/// A scenario over datagrams, as it is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct OverDatagrams<S>(pub S);

impl<S: DatagramScenario> Simulation for OverDatagrams<S> {
    type Memory = ();

    fn title(&self) -> &'static str {
        self.0.name()
    }

    fn aims(&self) -> &'static [&'static str] {
        self.0.goals()
    }

    fn has(&self, family: Family) -> bool {
        use Family::{Abort, Clock, Datagram, Latency, Order, ShortIo, Stop, Workload};
        matches!(family, Workload | Latency | Order | ShortIo | Stop | Abort | Clock | Datagram)
    }

    fn simulate<C: Told>(&self, (): &mut (), chooser: C) -> (Run, C) {
        world::run(&self.0, chooser)
    }
}

/// What a datagram takes in a send queue besides its payload, bytes: Linux counts as much for an empty one.
const OVERHEAD: u64 = 768;

/// What a datagram takes in a send queue, bytes.
const fn cost(datagram: &Datagram<SocketAddr>) -> u64 {
    datagram.payload.len() as u64 + OVERHEAD
}

/// A datagram with one bit of it changed; an empty one has none.
fn damaged(payload: &Bytes, which: usize) -> Bytes {
    let mut bytes = payload.to_vec();
    if let Some(index) = which.checked_rem(bytes.len()) {
        bytes[index] ^= 0x40;
    }
    bytes.into()
}
