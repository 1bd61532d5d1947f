//! Writing a record.

use std::fmt::{self, Debug};
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Action, Input, Machine, Observe, Time};

use crate::hash::mix;
use crate::lines::{MAGIC, MAX_HEADER, VERSION};
use crate::{CommandBytes, MAX_INPUT, line};

/// Writes one record, shared by the connections of a process. Clones write the same one.
///
/// What it writes is buffered, 64 KiB of it, until a connection is gone. A write that fails ends the record and nothing else:
/// [`finish`](Self::finish) tells what happened.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<State>>);

struct State {
    /// None once the record is finished, or broken.
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    /// The line that is being made.
    line: Vec<u8>,
    /// The checksum of the line before.
    sum: u64,
    /// Why there is no more.
    error: Option<io::Error>,
    /// Bytes that were written, and how many may be.
    written: u64,
    limit: u64,
    /// What to do when the limit is reached.
    reached: Option<Box<dyn FnOnce() + Send>>,
}

impl Recorder {
    /// Begins a record: of machines of this name, a single word, made with this configuration. Whoever replays the record
    /// is told both.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is empty or more than a word, the configuration has a control character in it, or both are
    /// longer than 60 KiB. Later errors are kept until the [end](Self::finish).
    pub fn new(out: impl Write + Send + 'static, machine: &str, config: &str) -> io::Result<Self> {
        let is_word = !machine.is_empty() && !machine.contains(|char: char| char.is_whitespace());
        let is_line = !machine.chars().chain(config.chars()).any(char::is_control);
        if !is_word || !is_line || machine.len() + config.len() > MAX_HEADER - 4096 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the name or the configuration is no line",
            ));
        }
        let out: Box<dyn Write + Send> = Box::new(out);
        let out = BufWriter::with_capacity(64 << 10, out);
        let mut state = State {
            out: Some(out),
            line: Vec::new(),
            sum: 0,
            error: None,
            written: 0,
            limit: u64::MAX,
            reached: None,
        };
        let _ = state.write(|line| drop(write!(line, "{MAGIC}{VERSION} {machine} {config}")));
        state.flush();
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Ends the record before it is longer than this many bytes, and calls `reached` then, once. The connections go on without
    /// it. A record that ended so is replayed up to there, and [breaks off](crate::Replayed::torn).
    #[must_use]
    pub fn with_limit(self, bytes: u64, reached: impl FnOnce() + Send + 'static) -> Self {
        let mut state = self.state();
        state.limit = bytes;
        state.reached = Some(Box::new(reached));
        drop(state);
        self
    }

    /// Whether there is no more to come: a write failed, or the limit was reached.
    pub fn is_over(&self) -> bool {
        self.state().out.is_none()
    }

    /// A connection begins: the observer of its machine, for a [`Tap`](roundtrip_core::Tap). Call it before the machine is
    /// made, at the same `now`; no two connections may have one name at a time. When the observer is dropped, the
    /// connection is gone.
    pub fn open(&self, connection: ConnectionId, now: Time) -> Observer {
        let observer = Observer { recorder: self.clone(), connection, latest: now };
        observer.write(|line| line.extend_from_slice(b"open"));
        observer
    }

    /// Ends the record. Connections that are still there are no longer recorded. That a limit ended it before is no error.
    ///
    /// # Errors
    ///
    /// The first error there was: then the record is not whole.
    pub fn finish(self) -> io::Result<()> {
        self.write(|line| line.extend_from_slice(b"whole"));
        let mut state = self.state();
        state.flush();
        state.out = None;
        state.error.take().map_or(Ok(()), Err)
    }

    fn write(&self, make: impl FnOnce(&mut Vec<u8>)) {
        let reached = self.state().write(make);
        // Others' code is not called under the lock.
        if let Some(reached) = reached {
            reached();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what `make` puts into a line, if the record is not over. What to call if it is from now on, for its limit.
    fn write(&mut self, make: impl FnOnce(&mut Vec<u8>)) -> Option<Box<dyn FnOnce() + Send>> {
        let out = self.out.as_mut()?;
        self.line.clear();
        make(&mut self.line);
        self.sum = mix(self.sum, &self.line);
        // Writing to memory does not fail.
        let _ = writeln!(self.line, " {:016x}", self.sum);
        let written = self.written.saturating_add(self.line.len() as u64);
        if written > self.limit {
            self.flush();
            self.out = None;
            return self.reached.take();
        }
        self.written = written;
        if let Err(error) = out.write_all(&self.line) {
            self.fail(error);
        }
        None
    }

    /// Hands over what is buffered.
    fn flush(&mut self) {
        if let Some(Err(error)) = self.out.as_mut().map(Write::flush) {
            self.fail(error);
        }
    }

    /// There is no more.
    fn fail(&mut self, error: io::Error) {
        // Apart, or dropping it would try once more.
        drop(self.out.take().map(BufWriter::into_parts));
        self.error.get_or_insert(error);
    }
}

impl Drop for State {
    /// A process that ends without finishing the record, in a panic, leaves what there is.
    fn drop(&mut self) {
        self.flush();
    }
}

/// Records one connection: see [`Recorder::open`].
pub struct Observer {
    recorder: Recorder,
    connection: ConnectionId,
    latest: Time,
}

impl Observer {
    /// A line of this connection.
    fn write(&self, make: impl FnOnce(&mut Vec<u8>)) {
        self.recorder.write(|line| {
            let _ = write!(line, "{} {} ", self.connection.number(), self.latest.as_nanos());
            make(line);
        });
    }

    fn input<C>(&self, input: &Input<C>, to_bytes: impl FnOnce(&C) -> Vec<u8>) {
        // Others' code is not called under the lock.
        let input = match input {
            Input::Data(bytes) => Input::Data(bytes.clone()),
            Input::Command(command) => Input::Command(to_bytes(command)),
            Input::Wrote(n) => Input::Wrote(*n),
            Input::Eof => Input::Eof,
            Input::Stop => Input::Stop,
            Input::Abort => Input::Abort,
            Input::Failed(failure) => Input::Failed(*failure),
        };
        if let Input::Data(bytes) = &input
            && bytes.len() > MAX_INPUT
        {
            return self.too_large(bytes.len());
        }
        if let Input::Command(bytes) = &input
            && bytes.len() > MAX_INPUT
        {
            return self.too_large(bytes.len());
        }
        self.write(|line| line::write_input(line, &input));
    }

    fn too_large(&self, len: usize) {
        let why = format!("an input of {len} bytes is more than a record takes");
        let mut state = self.recorder.state();
        state.flush();
        state.fail(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
}

impl<M> Observe<M> for Observer
where
    M: Machine<Command: CommandBytes, Event: Debug, Outcome: Debug>,
{
    fn input(&mut self, now: Time, input: &Input<M::Command>) {
        self.latest = now;
        Self::input(self, input, M::Command::to_bytes);
    }

    fn action(&mut self, now: Time, action: &Action<M::Event, M::Outcome>) {
        self.latest = now;
        let action = line::action(action);
        self.write(|line| drop(write!(line, "out {action}")));
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.write(|line| line.extend_from_slice(b"gone"));
        self.recorder.state().flush();
    }
}

impl Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("connection", &self.connection).finish_non_exhaustive()
    }
}
