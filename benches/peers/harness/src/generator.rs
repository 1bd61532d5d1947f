//! One generator for all servers: it compares every byte, and does as little else as it can, for it is often the side
//! that has no time left.

mod bulk;
mod churn;
mod pingpong;

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::server::Address;

/// How long nothing may come back before a server is taken as stuck.
pub const STUCK: Duration = Duration::from_secs(5);

/// What the connections of a generator do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Load {
    /// A message is sent again as soon as it is back.
    PingPong { connections: usize, size: usize },
    /// As much as fits, both ways at once.
    Bulk,
    /// Connect, send, half-close, read to the end, close.
    Churn,
}

/// What was done in a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Messages, connections of a churn, or GiB there and back.
    pub units: f64,
    pub took: Duration,
    /// The message that took longest, if they are timed.
    pub longest: Duration,
}

/// The connections to one server.
#[derive(Debug)]
pub enum Generator {
    PingPong(pingpong::PingPong),
    Bulk(bulk::Bulk),
    Churn(churn::Churn),
}

impl Generator {
    pub fn connect(load: Load, address: &Address) -> io::Result<Self> {
        Ok(match load {
            Load::PingPong { connections, size } => {
                Self::PingPong(pingpong::PingPong::connect(address, connections, size)?)
            }
            Load::Bulk => Self::Bulk(bulk::Bulk::connect(address)?),
            Load::Churn => Self::Churn(churn::Churn::new(address)?),
        })
    }

    /// Works for so long, and until all that is on the way is back: nothing of it falls into another's slice.
    pub fn slice(&mut self, time: Duration) -> io::Result<Work> {
        match self {
            Self::PingPong(pingpong) => pingpong.slice(time),
            Self::Bulk(bulk) => bulk.slice(time),
            Self::Churn(churn) => churn.slice(time),
        }
    }
}

/// Waits for events, but not for ever.
fn wait(poll: &mut Poll, events: &mut Events) -> io::Result<Instant> {
    match poll.poll(events, Some(STUCK)) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
        Err(error) => return Err(error),
        Ok(()) if events.is_empty() => return Err(io::Error::other("nothing came back for five seconds")),
        Ok(()) => {}
    }
    Ok(Instant::now())
}

/// Bytes of which no two places look alike, the same for all.
fn pattern(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(64);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}
