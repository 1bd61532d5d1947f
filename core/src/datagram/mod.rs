//! Datagrams: the contract of machines whose transport keeps the boundaries of messages, and promises nothing else.
//!
//! A [`DatagramMachine`] is to a socket of datagrams what a [`Machine`](crate::Machine) is to a stream: inputs go in,
//! actions come out, and nothing else happens. What differs follows from what a datagram is. There is no connection, so
//! each one says where it came from or goes to; there is no end but a stop; and whatever is sent may be lost on its way
//! (RFC 768), so that a transport that takes nothing just now is not waited for: the machine is [told](DatagramInput::Unsent),
//! and decides.
//!
//! # A driver in ten lines
//!
//! ```
//! use roundtrip_core::bytes::Bytes;
//! use roundtrip_core::datagram::{Datagram, DatagramAction, DatagramDriven};
//! use roundtrip_echo::{DatagramEcho, DatagramEchoConfig};
//! use roundtrip_core::Time;
//! use core::net::SocketAddr;
//!
//! let now = Time::ZERO;
//! let mut echo = DatagramDriven::new(DatagramEcho::new(DatagramEchoConfig::default().into(), Some(7007), now));
//! let peer: SocketAddr = "127.0.0.1:50000".parse()?;
//! let mut unread = vec![Datagram { peer, payload: Bytes::from_static(b"this is a test") }];
//! let mut sent = Vec::new();
//! loop {
//!     match echo.step(now) {
//!         DatagramAction::Send(datagram) => sent.push(datagram), // a socket might tell that it did not take it
//!         DatagramAction::Event(unanswered) => panic!("{unanswered:?}"),
//!         DatagramAction::Wait(_) => match unread.pop() {
//!             Some(datagram) => echo.received(now, datagram)?,
//!             None => break, // a driver would sleep here
//!         },
//!         DatagramAction::Close(_) => break,
//!     }
//! }
//! assert_eq!(sent, [Datagram { peer, payload: Bytes::from_static(b"this is a test") }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod driven;

use core::fmt::Debug;
use core::hash::Hash;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::{Failure, Time};

pub use driven::{DatagramDriven, Uncredited};

/// The longest payload of a UDP datagram over IPv4, bytes: 65,535 less the headers of IP and UDP (RFC 768, RFC 791).
pub const MAX_PAYLOAD: usize = 65_507;

/// One message, and who is at its other end: who sent it, or who is to have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Datagram<A> {
    /// Where it came from, or goes to.
    pub peer: A,
    /// What it carries; may be empty.
    pub payload: Bytes,
}

/// What a machine may know of an address.
pub trait Address: Clone + Debug + Eq + Hash {
    /// Its port, where the transport has such.
    fn port(&self) -> Option<u16>;

    /// Whether it stands for one socket that an answer can be sent to: neither a group nor a broadcast address, nor one
    /// that is not filled in.
    fn is_answerable(&self) -> bool;
}

impl Address for SocketAddr {
    fn port(&self) -> Option<u16> {
        Some(Self::port(self))
    }

    fn is_answerable(&self) -> bool {
        let is_one = match self.ip().to_canonical() {
            IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_unspecified() && !ip.is_broadcast(),
            IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
        };
        is_one && Self::port(self) != 0
    }
}

/// What the outside tells a datagram machine.
///
/// Exhaustive on purpose: a new variant must break the build of every driver that does not know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatagramInput<A> {
    /// One came, within the credit of the last [`DatagramWait`].
    Received(Datagram<A>),
    /// One came, within the credit, that was longer than the driver could take: what it carried is gone.
    TooLong {
        /// Where it came from.
        from: A,
    },
    /// The last [`DatagramAction::Send`] did not leave, and will not: told before the next poll.
    Unsent(Unsent),
    /// How much of what was sent is unread, where the transport keeps it in the sender's queue. Told after each
    /// [`DatagramAction::Send`] that was taken, and at each wake-up while anything is unread, before the next poll.
    SendQueue(SendQueue),
    /// Finish gracefully: answer what is there already, take on nothing new.
    Stop,
    /// Give up now; what is unsent is dropped.
    Abort,
    /// The transport is gone: on a socket that is connected, [`Failure::Reset`] says that nobody is there (ICMP port
    /// unreachable, RFC 1122 section 4.1.3.3).
    Failed(Failure),
}

/// What the receivers on the same machine have not read yet, of all that one socket sent them.
///
/// A Unix socket's datagram counts against its sender's `SO_SNDBUF` until its receiver reads it (unix(7)), so receivers
/// that do not read take the room of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendQueue {
    /// Bytes that are unread, with what the kernel needs to keep them.
    pub unread: u64,
    /// Bytes after which nothing more is taken.
    pub size: u64,
}

/// Why a datagram did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsent {
    /// The transport takes nothing just now: its queue, or that of the receiver on the same machine, is full.
    Full,
    /// The transport takes no datagram of that length.
    TooLong,
    /// Nobody is there.
    Refused,
    /// There is no way there, or it is forbidden.
    Unreachable,
    /// Any other error of the operating system.
    Io,
}

/// What the driver does next. Obey it, then poll again, until [`Wait`](Self::Wait) or [`Close`](Self::Close).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an action that is not carried out is lost"]
pub enum DatagramAction<A, E, O> {
    /// Offer it to the transport once, without waiting. If it is not taken, say so with [`DatagramInput::Unsent`].
    Send(Datagram<A>),
    /// Something the application should know.
    Event(E),
    /// Nothing to do until something in [`DatagramWait`] happens.
    Wait(DatagramWait),
    /// The machine is done, and this came of it. Terminal: every later poll gives the same.
    Close(O),
}

/// The only source of permission to read and to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatagramWait {
    /// Datagrams that may be read before the next poll; 0 means do not read.
    pub read: usize,
    /// Poll again no later than this. Always after the `now` of the poll that returned it.
    pub deadline: Option<Time>,
}

/// A protocol of datagrams as a value.
///
/// What it owes, in the words of [`Machine`](crate::Machine): **I2** what it holds is bounded; **I3** `Close` is stable,
/// and after `Abort` or `Failed` only events precede it; **I4** a `Wait` has read credit or a deadline; **I5** a deadline
/// lies after `now`, and an input leads to boundedly many actions; **I10** a poll takes constant time. After `Stop` it ends
/// in bounded time, whatever its peers do.
///
/// A datagram beyond the credit, and whatever comes after the machine *returned* `Close`, is dropped by the machine:
/// datagrams may be. [`DatagramDriven`] hands them back instead.
pub trait DatagramMachine {
    /// Where datagrams come from and go to.
    type Address;
    /// What a running machine tells the application; [`Infallible`](core::convert::Infallible) when nothing leaves.
    type Event;
    /// What came of it.
    type Outcome: Clone;

    /// Takes one input. Legal at any moment.
    fn handle(&mut self, now: Time, input: DatagramInput<Self::Address>);

    /// What to do next. Deadlines that have passed by `now` take effect here.
    fn poll(&mut self, now: Time) -> DatagramAction<Self::Address, Self::Event, Self::Outcome>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_one_socket_can_be_answered() {
        for (address, is_answerable) in [
            ("192.0.2.1:7", true),
            ("[2001:db8::1]:7", true),
            ("[::ffff:192.0.2.1]:7", true),
            ("192.0.2.1:0", false),
            ("0.0.0.0:7", false),
            ("[::]:7", false),
            ("255.255.255.255:7", false),
            ("224.0.0.1:7", false),
            ("[ff02::1]:7", false),
            ("[::ffff:224.0.0.1]:7", false),
            ("[::ffff:0.0.0.0]:7", false),
        ] {
            let parsed: SocketAddr = address.parse().unwrap();
            assert_eq!(parsed.is_answerable(), is_answerable, "{address}");
            assert_eq!(Address::port(&parsed), Some(parsed.port()));
        }
    }
}
