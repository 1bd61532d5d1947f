//! Threads that share a connection.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use roundtrip_core::protocol::{Session, SessionConfig};
use roundtrip_std::{Control, Driver, SendError, Stream, SystemClock};

use super::{Call, Client, Done, Lost, Reply};

type Token = SyncSender<Result<Reply, Lost>>;

/// A connection that any number of threads call; a thread of its own drives it, until the connection ends or this is
/// dropped.
#[derive(Debug)]
pub struct Connection {
    control: Control<Call<Token>>,
}

impl Connection {
    /// Begins to drive `stream`.
    ///
    /// # Errors
    ///
    /// If there is no thread, or no descriptor, to drive it with.
    pub fn new(stream: Stream, config: SessionConfig) -> io::Result<Self> {
        let driver = Driver::new(SystemClock::new())?;
        let control = driver.control();
        let client = move |now| Session::new(Client::new(), Arc::new(config), now);
        let answer = |Done { token, result }: Done<Token>| {
            // Whoever asked waits, and there is room for one.
            let _ = token.try_send(result);
        };
        thread::Builder::new().spawn(move || drop(driver.drive(stream, client, answer)))?;
        Ok(Self { control })
    }

    /// Calls, and waits for the answer.
    ///
    /// # Errors
    ///
    /// If there is none; [`Lost::Busy`] at once, without waiting, if as many calls of other threads wait as a mailbox
    /// holds.
    pub fn call<W: AsRef<[u8]>>(&self, words: &[W]) -> Result<Reply, Lost> {
        let (token, answer) = sync_channel(1);
        self.control.post(Call::new(words, token)).map_err(|error| match error {
            SendError::Full(_) => Lost::Busy,
            SendError::Gone(_) => Lost::Gone,
        })?;
        // A call that the session never took is dropped with its token.
        answer.recv().unwrap_or(Err(Lost::Gone))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.control.stop();
    }
}
