//! The client's session: send a payload, half-close, and verify every byte that comes back.

use alloc::sync::Arc;
use core::convert::Infallible;

use bytes::BytesMut;

use super::config::ClientConfig;
use super::diagnosis::{Diagnosis, Fault, FaultKind, PeerEnd};
use super::payload::Payload;
use crate::{Action, Failure, Input, Machine, Misuse, Teardown, Time, Wait};

/// One echo session of a client, with at most `window` bytes sent and not yet echoed.
///
/// At the first wrong byte it stops sending, half-closes, and reads on only until the kind of the fault is
/// clear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EchoClient {
    config: Arc<ClientConfig>,
    payload: Payload,
    /// Bytes handed out in writes.
    sent: u64,
    /// Bytes of the outstanding write that the transport has not taken.
    outstanding: usize,
    received: u64,
    /// What is left of the last wait's read credit.
    credit: usize,
    /// Nothing more is to be sent, for `Stop` or for a fault.
    cut: bool,
    /// When we half-closed.
    shut: Option<Time>,
    /// When a byte last moved, either way.
    moved: Time,
    diagnosis: Option<Diagnosis>,
    verdict: Option<Verdict>,
    /// Where writes are composed; recycled once the driver has dropped them.
    block: BytesMut,
}

/// Whether the path carried the bytes faithfully, both ways, to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The whole payload came back in order, and then an orderly end.
    Verified,
    /// It did not.
    Faulty(Fault),
    /// Stopped before all was sent; what was sent came back in order, and then an orderly end.
    Stopped,
    /// Aborted before there was a verdict.
    Aborted,
}

/// What came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Bytes that the transport took.
    pub sent: u64,
    /// Bytes that came back, wrong ones included.
    pub received: u64,
}

impl EchoClient {
    /// A session that begins at `now`.
    pub fn new(config: Arc<ClientConfig>, payload: Payload, now: Time) -> Self {
        Self {
            config,
            payload,
            sent: 0,
            outstanding: 0,
            received: 0,
            credit: 0,
            cut: false,
            shut: None,
            moved: now,
            diagnosis: None,
            verdict: None,
            block: BytesMut::new(),
        }
    }

    /// Bytes that the transport took so far.
    pub const fn sent(&self) -> u64 {
        self.sent - self.outstanding as u64
    }

    /// Bytes that came back so far.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes the next write may have; 0 if it has to wait for the window.
    ///
    /// It waits for a quarter of the window to be free (RFC 9293 section 3.8.6.2.1 does so for half), or a
    /// peer that echoes single bytes would be sent single bytes.
    fn next_write(&self) -> usize {
        if self.cut {
            return 0;
        }
        let left = usize::try_from(self.payload.len() - self.sent).unwrap_or(usize::MAX);
        let in_flight = usize::try_from(self.sent - self.received).unwrap_or(usize::MAX);
        let room = self.config.window.saturating_sub(in_flight);
        if room < left.min(self.config.window.div_ceil(4)) { 0 } else { room.min(left) }
    }

    fn verify(&mut self, data: &[u8]) {
        if let Some(mut diagnosis) = self.diagnosis.take() {
            self.received += data.len() as u64;
            return self.diagnose(&mut diagnosis, data);
        }
        // What was not sent cannot come back, even if it is what would have been sent.
        let in_flight = usize::try_from(self.sent - self.received).unwrap_or(usize::MAX);
        let due = &data[..data.len().min(in_flight)];
        let right = self.payload.matching(self.received, due);
        let at = self.received + right as u64;
        self.received += data.len() as u64;
        if right < data.len() {
            self.cut = true;
            self.diagnose(&mut Diagnosis::new(at, self.sent), &data[right..]);
        }
    }

    fn diagnose(&mut self, diagnosis: &mut Diagnosis, data: &[u8]) {
        match diagnosis.feed(&self.payload, data) {
            Some(kind) => self.verdict = Some(Verdict::Faulty(diagnosis.fault(kind))),
            None => self.diagnosis = Some(diagnosis.clone()),
        }
    }

    /// The stream is over, for the reason `kind` unless a fault is being diagnosed.
    fn fail(&mut self, kind: FaultKind) {
        let fault = match &self.diagnosis {
            Some(diagnosis) => diagnosis.fault(diagnosis.finish(&self.payload)),
            None => Fault { at: self.received, kind },
        };
        self.verdict = Some(Verdict::Faulty(fault));
    }

    fn ended(&mut self, now: Time, by: PeerEnd) {
        let all_back = self.received == self.sent && self.diagnosis.is_none() && by == PeerEnd::Fin;
        if all_back && self.sent == self.payload.len() {
            self.verdict = Some(Verdict::Verified);
        } else if all_back && self.cut {
            self.verdict = Some(Verdict::Stopped);
        } else {
            self.fail(FaultKind::Truncated { by, after: self.shut.map(|shut| now.since(shut)) });
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.config.timeout.map(|timeout| self.moved.after(timeout))
    }
}

impl Machine for EchoClient {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = ClientOutcome;

    fn handle(&mut self, now: Time, input: Input) -> Result<(), Misuse> {
        if self.verdict.is_some() {
            return Ok(());
        }
        match input {
            Input::Data(bytes) => {
                let delivered = bytes.len();
                if delivered == 0 {
                    return Err(Misuse::EmptyData);
                }
                if delivered > self.credit {
                    return Err(Misuse::OverCredit { delivered, credit: self.credit });
                }
                self.credit -= delivered;
                self.moved = now;
                self.verify(&bytes);
            }
            Input::Eof => self.ended(now, PeerEnd::Fin),
            Input::Wrote(wrote) => {
                if wrote == 0 {
                    return Err(Misuse::ZeroWrote);
                }
                if wrote > self.outstanding {
                    return Err(Misuse::OverWrote { wrote, outstanding: self.outstanding });
                }
                self.outstanding -= wrote;
                self.moved = now;
            }
            Input::Command(never) => match never {},
            Input::Stop => self.cut = true,
            Input::Abort => self.verdict = Some(Verdict::Aborted),
            Input::Failed(Failure::Reset) => self.ended(now, PeerEnd::Reset),
            Input::Failed(Failure::Truncated) => self.ended(now, PeerEnd::Truncated),
            Input::Failed(Failure::Io) => self.ended(now, PeerEnd::Error),
        }
        Ok(())
    }

    fn poll(&mut self, now: Time) -> Action<Infallible, ClientOutcome> {
        let deadline = self.deadline();
        if self.verdict.is_none() && deadline.is_some_and(|at| at <= now) {
            self.fail(FaultKind::TimedOut);
        }
        if let Some(verdict) = self.verdict {
            let how = match verdict {
                Verdict::Verified | Verdict::Stopped => Teardown::Graceful,
                Verdict::Faulty(_) | Verdict::Aborted => Teardown::Reset,
            };
            let outcome = ClientOutcome { verdict, sent: self.sent(), received: self.received };
            return Action::Close { how, outcome };
        }
        if self.outstanding == 0 && self.shut.is_none() {
            let size = self.next_write();
            if size > 0 {
                let bytes = self.payload.compose(self.sent, size, &mut self.block);
                self.sent += size as u64;
                self.outstanding = size;
                return Action::Write(bytes);
            }
            if self.cut || self.sent == self.payload.len() {
                self.shut = Some(now);
                return Action::ShutdownWrite;
            }
        }
        self.credit = self.config.chunk;
        Action::Wait(Wait { read: self.credit, commands: 0, deadline })
    }
}
