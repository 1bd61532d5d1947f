//! One machine on its pipe: what it wants carried out, what it waits for, what comes of it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::{Driven, Failure, Machine, Step, Teardown, Time};
use roundtrip_net::{
    Call, CallFailed, Clock, ConnectionReport, MAX_ACTIONS, Mail, Mailbox, SystemClock, until,
};

use crate::stream::Stream;
use crate::system::{self, BROKEN_PIPE, Event, NO_DATA, PIPE_NOT_CONNECTED};

/// The longest read, and the longest write: one message, where there are messages.
const MOST: usize = 64 << 10;
/// How long a close in order waits until there is room for the end mark.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where our end stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Open,
    /// The end mark is being written.
    Ending,
    ConnectionReport,
}

pub(crate) struct Session<M> {
    pipe: Guarded,
    driven: Driven<M>,
    /// Read once a wake-up.
    now: Time,
    out: Out,
    /// The machine had more to say when it was interrupted.
    unfinished: bool,
    /// The peer's end was seen.
    finished: bool,
    /// Read without credit for it: it was there for the read when that was begun.
    held: Bytes,
    written: u64,
    failure: Option<CallFailed>,
}

/// A pipe that a server disconnects if it is dropped before its machine has closed: neither a panic nor giving up must look
/// like an orderly end. A client's end has no such thing.
struct Guarded {
    stream: Stream,
    is_armed: bool,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if self.is_armed {
            self.stream.handle.disconnect();
        }
    }
}

impl<M: Machine> Session<M> {
    pub(crate) fn new(stream: Stream, now: Time, machine: impl FnOnce(Time) -> M) -> Self {
        let pipe = Guarded { stream, is_armed: true };
        Self {
            pipe,
            driven: Driven::new(machine(now)),
            now,
            out: Out::Open,
            finished: false,
            unfinished: false,
            held: Bytes::new(),
            written: 0,
            failure: None,
        }
    }

    /// Carries out what the machine wants, but for reading and writing, until it waits or closes.
    pub(crate) fn advance(&mut self, mut events: impl FnMut(M::Event)) -> Option<(Teardown, M::Outcome)> {
        for _ in 0..MAX_ACTIONS {
            match self.driven.step(self.now) {
                // It is begun where the machine waits.
                Step::Write => {}
                Step::ShutdownWrite => self.half_close(),
                Step::Event(event) => events(event),
                Step::Wait(_) => {
                    self.unfinished = false;
                    return None;
                }
                Step::Close { how, outcome } => return Some((how, outcome)),
            }
        }
        self.unfinished = true;
        None
    }

    /// Delivers a mail or what was held, or begins what may begin, and sleeps until something happens.
    pub(crate) fn wait(&mut self, bell: &Event, mailbox: &Mailbox<M::Command>, clock: &impl Clock) {
        // A machine that has not come to a wait is interrupted by a stop or an abort only.
        if self.unfinished {
            self.now = clock.now();
            self.deliver(mailbox);
            return;
        }
        if self.deliver(mailbox) || self.deliver_held() || self.end_both() || !self.begin() {
            return;
        }
        let stream = &self.pipe.stream;
        let busy = stream.reading.is_complete() || stream.writing.is_complete();
        let deadline = self.driven.deadline();
        let timeout = if busy { Some(Duration::ZERO) } else { until(self.now, deadline) };
        let woken =
            if busy { Ok(false) } else { system::wait(bell, &[&stream.reading, &stream.writing], timeout) };
        self.now = clock.now();
        match woken {
            // Whoever clears looks for mail afterwards.
            Ok(rung) => {
                if rung {
                    bell.clear();
                }
                self.reap_write();
                self.reap_read();
            }
            Err(error) => self.fail(Call::Wait, error, Failure::Io),
        }
    }

    fn deliver(&mut self, mailbox: &Mailbox<M::Command>) -> bool {
        match mailbox.take(!self.unfinished && self.driven.command_credit() > 0) {
            Some(Mail::Abort) => self.driven.abort(self.now),
            Some(Mail::Stop) => self.driven.stop(self.now),
            Some(Mail::Command(command)) => {
                let refused = self.driven.command(self.now, command);
                debug_assert!(refused.is_ok(), "no command is taken without credit for it");
            }
            None => return false,
        }
        true
    }

    fn deliver_held(&mut self) -> bool {
        let delivers = !self.held.is_empty() && self.driven.credit() > 0;
        if delivers {
            let held = std::mem::take(&mut self.held);
            self.held = self.driven.data(self.now, held);
        }
        delivers
    }

    /// In a pipe of bytes, our end is that of both directions: once what has come is read, the machine is told so.
    fn end_both(&mut self) -> bool {
        let ends = self.out == Out::ConnectionReport && !self.pipe.stream.is_of_messages && !self.finished;
        if ends && !self.read_now() {
            self.finish();
        }
        ends
    }

    /// Begins what the machine wants written, and a read if it may; false if that failed, and the machine was told.
    fn begin(&mut self) -> bool {
        if let Some(pending) = self.driven.pending_bytes()
            && self.pipe.stream.writing.is_idle()
        {
            let bytes = pending.slice(..pending.len().min(MOST));
            if let Err(error) = self.pipe.stream.writing.write(bytes) {
                self.broke(error);
                return false;
            }
        }
        let credit = self.driven.credit().min(MOST);
        if credit > 0
            && !self.finished
            && self.held.is_empty()
            && self.pipe.stream.reading.is_idle()
            && let Err(error) = self.pipe.stream.reading.read(credit)
        {
            self.read_failed(error);
            return false;
        }
        true
    }

    fn reap_write(&mut self) {
        let Some(written) = self.pipe.stream.writing.finish() else { return };
        match (written, self.out) {
            (written, Out::Ending) => {
                self.out = Out::ConnectionReport;
                if let Err(error) = written {
                    self.mark_failed(error);
                }
            }
            (Ok(wrote), Out::Open | Out::ConnectionReport) => {
                self.written += wrote as u64;
                self.driven.wrote(self.now, wrote);
            }
            (Err(error), Out::Open | Out::ConnectionReport) => self.broke(error),
        }
    }

    fn reap_read(&mut self) {
        match self.pipe.stream.reading.finish() {
            None => {}
            Some(Ok(read)) => self.came(read),
            Some(Err(error)) => self.read_failed(error),
        }
    }

    fn came(&mut self, read: usize) {
        if read > 0 {
            let bytes = Bytes::copy_from_slice(self.pipe.stream.reading.filled(read));
            self.held = self.driven.data(self.now, bytes);
        } else if self.pipe.stream.is_of_messages {
            self.finish();
        }
        // Nothing was written to a pipe of bytes: nothing came.
    }

    fn finish(&mut self) {
        self.finished = true;
        self.driven.eof(self.now);
    }

    fn read_failed(&mut self, error: io::Error) {
        // What was written by then is written.
        self.reap_write();
        if error.raw_os_error() != Some(BROKEN_PIPE) {
            let failure = failure(&error);
            self.fail(Call::Read, error, failure);
        } else if self.pipe.stream.is_of_messages {
            // Closed without the mark: what came may not be all.
            self.fail(Call::Read, error, Failure::Truncated);
        } else {
            self.finish();
        }
    }

    /// Writing failed. What came before the pipe broke is still there, and is read first.
    fn broke(&mut self, error: io::Error) {
        let failure = failure(&error);
        if failure == Failure::Reset {
            while self.held.is_empty() && self.driven.credit() > 0 && self.read_now() {}
        }
        self.fail(Call::Write, error, failure);
    }

    /// Reads what is there, without waiting, if there is credit; whether there was anything.
    fn read_now(&mut self) -> bool {
        let credit = self.driven.credit().min(MOST);
        if credit == 0 || self.finished {
            return false;
        }
        let reading = &mut self.pipe.stream.reading;
        let read = match reading.cancel() {
            Some(Ok(read)) => read,
            // What was begun before brought nothing.
            Some(Err(_)) | None => match reading.read(credit).map(|()| reading.cancel()) {
                Ok(Some(Ok(read))) => read,
                _ => 0,
            },
        };
        if read > 0 {
            self.came(read);
        }
        read > 0
    }

    fn half_close(&mut self) {
        if self.out != Out::Open {
            return;
        }
        if !self.pipe.stream.is_of_messages {
            self.out = Out::ConnectionReport;
            return;
        }
        // Nothing is pending when a machine says so, and so nothing is in flight.
        match self.pipe.stream.writing.write(Bytes::new()) {
            Ok(()) => self.out = Out::Ending,
            Err(error) => {
                self.out = Out::ConnectionReport;
                self.mark_failed(error);
            }
        }
    }

    /// That the peer has closed is no error of ours: reading will tell how.
    fn mark_failed(&mut self, error: io::Error) {
        if failure(&error) != Failure::Reset {
            self.fail(Call::HalfClose, error, Failure::Io);
        }
    }

    fn fail(&mut self, call: Call, error: io::Error, failure: Failure) {
        self.failure.get_or_insert_with(|| call.failed()(error));
        self.driven.failed(self.now, failure);
    }

    /// Tears the pipe down as told; what came of it.
    pub(crate) fn close(
        &mut self,
        how: Teardown,
        outcome: M::Outcome,
        bell: &Event,
        mailbox: &Mailbox<M::Command>,
    ) -> ConnectionReport<M::Outcome> {
        if how == Teardown::Graceful {
            if self.pipe.stream.is_of_messages {
                self.half_close();
                self.wait_for_mark(bell, mailbox);
            }
            self.pipe.is_armed = false;
        }
        let stream = &mut self.pipe.stream;
        if let Some(Ok(wrote)) = stream.writing.cancel() {
            self.written += wrote as u64;
        }
        let mut unread = self.held.len() as u64;
        if let Some(Ok(read)) = stream.reading.cancel() {
            unread += read as u64;
        }
        if !self.finished {
            unread += stream.handle.unread();
        }
        let mut ended = ConnectionReport::new(outcome);
        (ended.written, ended.unread, ended.failure) = (self.written, unread, self.failure.take());
        ended
    }

    /// A pipe that is full has no room for the mark until its reader makes some. Who does not is not waited for long, and not
    /// once the session is to be aborted.
    fn wait_for_mark(&mut self, bell: &Event, mailbox: &Mailbox<M::Command>) {
        let clock = SystemClock::new();
        let ends = clock.now().after(PATIENCE);
        while self.out == Out::Ending {
            let left = ends.since(clock.now());
            let writing = &self.pipe.stream.writing;
            if left.is_zero() || matches!(mailbox.take(false), Some(Mail::Abort)) {
                return;
            }
            match system::wait(bell, &[writing], Some(left)) {
                Ok(true) => bell.clear(),
                Ok(false) => {}
                Err(_) => return,
            }
            if self.pipe.stream.writing.finish().is_some() {
                self.out = Out::ConnectionReport;
            }
        }
    }
}

/// What an error of a pipe says.
fn failure(error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(BROKEN_PIPE | NO_DATA | PIPE_NOT_CONNECTED) => Failure::Reset,
        _ => Failure::Io,
    }
}
