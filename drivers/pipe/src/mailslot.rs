//! Mailslots: messages one way, to the one reader that a name has on a computer.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use roundtrip_core::datagram::{
    Datagram, DatagramAction, DatagramDriven, DatagramMachine, MAX_PAYLOAD, Unsent,
};
use roundtrip_core::{Failure, Time};
use roundtrip_net::{
    Call, CallFailed, Clock, Control, DatagramAddress, DatagramsEnded, Endpoint, MAILBOX, Mail, Mailbox,
    NetError, Stage, until,
};

use crate::system::{self, Event, Operation};

/// The reader's end of a mailslot.
#[derive(Debug)]
pub struct Mailslot {
    endpoint: Endpoint,
    longest: usize,
    reading: Operation,
}

/// A writer's end of a mailslot.
#[derive(Debug)]
pub struct Poster {
    writing: Operation,
}

fn failed(stage: Stage) -> impl Fn(io::Error) -> NetError {
    move |source| NetError::new(stage, source)
}

fn unsupported(endpoint: &Endpoint) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{endpoint} is no mailslot"))
}

/// Makes a mailslot. A longer message than `max=` is refused where it is written; without it, one of more than 65,507 bytes.
///
/// # Errors
///
/// [`NetError`] of the bind: `AddrInUse` if somebody reads that name on this computer; `Unsupported` for what is no mailslot,
/// and anywhere but on Windows.
pub fn bind_mailslot(endpoint: &Endpoint) -> Result<Mailslot, NetError> {
    let Endpoint::Mailslot { name, .. } = endpoint else {
        return Err(failed(Stage::Bind)(unsupported(endpoint)));
    };
    let longest = endpoint.longest_message().unwrap_or(MAX_PAYLOAD);
    let handle = system::create_mailslot(name, u32::try_from(longest).unwrap_or(u32::MAX));
    let handle = handle.map_err(|error| match error.raw_os_error() {
        Some(system::ALREADY_EXISTS) => {
            io::Error::new(io::ErrorKind::AddrInUse, "somebody reads a mailslot of that name")
        }
        _ => error,
    });
    let handle = handle.map_err(failed(Stage::Bind))?;
    let reading = Operation::new(Arc::new(handle)).map_err(failed(Stage::Socket))?;
    Ok(Mailslot { endpoint: endpoint.clone(), longest, reading })
}

/// Opens the way to a mailslot of this computer.
///
/// # Errors
///
/// [`NetError`] of the connect: `NotFound` if nobody reads that name; `Unsupported` for what is no mailslot, and anywhere but
/// on Windows.
pub fn connect_mailslot(endpoint: &Endpoint) -> Result<Poster, NetError> {
    let Endpoint::Mailslot { name, .. } = endpoint else {
        return Err(failed(Stage::Connect)(unsupported(endpoint)));
    };
    let handle = system::open_mailslot(name).map_err(|error| match error.raw_os_error() {
        Some(system::FILE_NOT_FOUND) => {
            io::Error::new(io::ErrorKind::NotFound, "nobody reads a mailslot of that name")
        }
        _ => error,
    });
    let handle = handle.map_err(failed(Stage::Connect))?;
    let writing = Operation::new(Arc::new(handle)).map_err(failed(Stage::Socket))?;
    Ok(Poster { writing })
}

impl Mailslot {
    /// What is posted to.
    pub const fn local_endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Poster {
    /// Posts a message: it is in the mailslot then, where nothing is lost while there is memory for it.
    ///
    /// # Errors
    ///
    /// What `WriteFile` says: the message is longer than the mailslot takes, or its reader is gone.
    pub fn post(&mut self, message: &[u8]) -> io::Result<()> {
        self.writing.write(Bytes::copy_from_slice(message))?;
        match self.writing.complete() {
            Some(Ok(wrote)) if wrote < message.len() => Err(io::ErrorKind::WriteZero.into()),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Drives one machine over a mailslot: make it, hand its [`Control`] to whoever should stop it, then
/// [`drive`](MailslotDriver::drive).
#[derive(Debug)]
pub struct MailslotDriver<T> {
    bell: Arc<Event>,
    mailbox: Mailbox<Infallible>,
    control: Control<Infallible>,
    clock: T,
}

impl<T: Clock> MailslotDriver<T> {
    /// A driver on this clock.
    ///
    /// # Errors
    ///
    /// If the system has no event left for the wake-up.
    pub fn new(clock: T) -> io::Result<Self> {
        let bell = Arc::new(Event::new()?);
        let (mailbox, control) = Mailbox::new(MAILBOX, bell.clone());
        Ok(Self { bell, mailbox, control, clock })
    }

    /// The way in, from any thread: to stop it, or abort it.
    pub fn control(&self) -> Control<Infallible> {
        self.control.clone()
    }

    /// Drives one machine over `mailslot` on this thread until it closes. What it sends cannot be sent.
    pub fn drive<M: DatagramMachine<Address = DatagramAddress>>(
        self,
        mut mailslot: Mailslot,
        machine: impl FnOnce(Time) -> M,
        mut events: impl FnMut(M::Event),
    ) -> DatagramsEnded<M::Outcome> {
        let mut now = self.clock.now();
        let (mut driven, mut failure) = (DatagramDriven::new(machine(now)), None);
        loop {
            match driven.step(now) {
                DatagramAction::Send(_) => driven.unsent(now, Unsent::Unreachable),
                DatagramAction::Event(event) => events(event),
                DatagramAction::Close(outcome) => {
                    let mut ended = DatagramsEnded::new(outcome);
                    ended.failure = failure;
                    return ended;
                }
                DatagramAction::Wait(_) => match self.mailbox.take(false) {
                    Some(Mail::Abort) => driven.abort(now),
                    Some(Mail::Stop) => driven.stop(now),
                    Some(Mail::Command(never)) => match never {},
                    None => {
                        if let Err(failed) = self.wait(&mut mailslot, &mut driven, &mut now) {
                            failure.get_or_insert(failed);
                            driven.failed(now, Failure::Io);
                        }
                    }
                },
            }
        }
    }

    /// Sleeps until something happens, and tells the machine of it. What is there is read before a passed deadline takes
    /// effect.
    fn wait<M: DatagramMachine<Address = DatagramAddress>>(
        &self,
        mailslot: &mut Mailslot,
        driven: &mut DatagramDriven<M>,
        now: &mut Time,
    ) -> Result<(), CallFailed> {
        let reading = &mut mailslot.reading;
        if driven.credit() > 0 && reading.is_idle() {
            match reading.read(mailslot.longest.max(1)) {
                Err(error) if is_nothing(&error) => {}
                begun => begun.map_err(Call::Read.failed())?,
            }
        }
        if (!reading.is_idle() && !reading.is_complete()) || driven.credit() == 0 {
            let waits: &[&Operation] = if driven.credit() > 0 { &[reading] } else { &[] };
            let woken = system::wait(&self.bell, waits, until(*now, driven.deadline()));
            *now = self.clock.now();
            // Whoever clears looks for mail afterwards.
            if woken.map_err(Call::Wait.failed())? {
                self.bell.clear();
            }
        } else {
            *now = self.clock.now();
        }
        if driven.credit() > 0
            && let Some(read) = reading.finish()
        {
            let read = match read {
                Err(error) if is_nothing(&error) => return Ok(()),
                read => read.map_err(Call::Read.failed())?,
            };
            let payload = Bytes::copy_from_slice(reading.filled(read));
            let refused = driven.received(*now, Datagram { peer: DatagramAddress::unnamed(), payload });
            debug_assert!(refused.is_ok(), "no more is received than there is credit for");
        }
        Ok(())
    }
}

/// Whether it only says that no message came in time.
fn is_nothing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(system::SEM_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mailslot_is_neither_bound_nor_connected_to() {
        let pipe: Endpoint = "pipe:echo".parse().unwrap();
        let bound = bind_mailslot(&pipe).unwrap_err();
        assert_eq!((bound.stage, bound.source.kind()), (Stage::Bind, io::ErrorKind::Unsupported));
        let connected = connect_mailslot(&pipe).unwrap_err();
        assert_eq!((connected.stage, connected.source.kind()), (Stage::Connect, io::ErrorKind::Unsupported));
    }
}
