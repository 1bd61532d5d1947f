//! Systems without named pipes: nothing can be made, and so nothing is ever called.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_net::Bell;

use super::Shape;

#[derive(Debug)]
pub(crate) struct Event(Infallible);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        Err(none())
    }

    pub(crate) const fn clear(&self) {
        match self.0 {}
    }
}

impl Bell for Event {
    fn ring(&self) {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Handle(Infallible);

impl Handle {
    pub(crate) const fn is_of_messages(&self) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) const fn read_messages(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) const fn disconnect(&self) {
        match self.0 {}
    }

    pub(crate) const fn unread(&self) -> u64 {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Operation(Infallible);

impl Operation {
    #[expect(clippy::needless_pass_by_value, reason = "where there are pipes, it is kept")]
    pub(crate) fn new(handle: Arc<Handle>) -> io::Result<Self> {
        match handle.0 {}
    }

    pub(crate) const fn is_idle(&self) -> bool {
        match self.0 {}
    }

    pub(crate) const fn is_complete(&self) -> bool {
        match self.0 {}
    }

    pub(crate) const fn connect(&mut self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) const fn read(&mut self, _most: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn write(&mut self, _bytes: Bytes) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) const fn finish(&mut self) -> Option<io::Result<usize>> {
        match self.0 {}
    }

    pub(crate) const fn cancel(&mut self) -> Option<io::Result<usize>> {
        match self.0 {}
    }

    pub(crate) const fn complete(&mut self) -> Option<io::Result<usize>> {
        match self.0 {}
    }

    pub(crate) const fn filled(&self, _read: usize) -> &[u8] {
        match self.0 {}
    }
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "only Windows has named pipes and mailslots")
}

pub(crate) fn create_pipe(_name: &str, _shape: Shape) -> io::Result<Handle> {
    Err(none())
}

pub(crate) fn open_pipe(_name: &str) -> io::Result<Handle> {
    Err(none())
}

pub(crate) fn wait_for_pipe(_name: &str, _timeout: Option<Duration>) -> io::Result<()> {
    Err(none())
}

pub(crate) fn create_mailslot(_name: &str, _longest: u32) -> io::Result<Handle> {
    Err(none())
}

pub(crate) fn open_mailslot(_name: &str) -> io::Result<Handle> {
    Err(none())
}

pub(crate) const fn wait(
    bell: &Event,
    _operations: &[&Operation],
    _timeout: Option<Duration>,
) -> io::Result<bool> {
    match bell.0 {}
}
