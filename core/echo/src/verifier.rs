//! What was sent, held against what comes back.

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use super::diagnosis::{Diagnosis, Fault, FaultKind};
use super::evidence::Evidence;
use super::payload::Payload;

/// Hands out a payload piece by piece, and verifies every byte of it that comes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verifier {
    payload: Payload,
    /// Bytes handed out.
    sent: u64,
    received: u64,
    /// From the first wrong byte on.
    diagnosis: Option<Box<Diagnosis>>,
    /// Where pieces are composed; recycled once the driver has dropped them.
    block: BytesMut,
}

/// What came of bytes that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// They are right.
    Right,
    /// The first wrong byte was seen, now or before; what kind of fault it is, is not clear yet.
    Wrong,
    /// What kind of fault it is.
    Fault(Fault),
}

impl Verifier {
    pub(super) fn new(payload: Payload) -> Self {
        Self { payload, sent: 0, received: 0, diagnosis: None, block: BytesMut::new() }
    }

    /// Bytes handed out.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that came back, wrong ones included.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that came back before the first wrong one.
    pub(super) fn right(&self) -> u64 {
        self.diagnosis.as_deref().map_or(self.received, Diagnosis::at)
    }

    /// Bytes of the payload that were not handed out yet, as many as fit into memory.
    pub(super) fn left(&self) -> usize {
        usize::try_from(self.payload.len() - self.sent).unwrap_or(usize::MAX)
    }

    /// Bytes handed out and not back, as many as fit into memory.
    pub(super) fn in_flight(&self) -> usize {
        usize::try_from(self.sent.saturating_sub(self.received)).unwrap_or(usize::MAX)
    }

    /// The first wrong bytes.
    pub(super) fn evidence(&self) -> Evidence {
        self.diagnosis.as_deref().map_or(Evidence::NONE, Diagnosis::evidence)
    }

    /// Whether all that was sent is back, and right.
    pub(super) const fn is_whole(&self) -> bool {
        self.received == self.sent && self.diagnosis.is_none()
    }

    /// The next `size` bytes, which are not more than are [left](Self::left).
    pub(super) fn send(&mut self, size: usize) -> Bytes {
        let bytes = self.payload.compose(self.sent, size, &mut self.block);
        self.sent += size as u64;
        bytes
    }

    /// Bytes came back.
    pub(super) fn receive(&mut self, data: &[u8]) -> Check {
        if let Some(diagnosis) = self.diagnosis.take() {
            self.received += data.len() as u64;
            return self.diagnose(diagnosis, data);
        }
        // What was not sent cannot come back, even if it is what would have been sent.
        let due = &data[..data.len().min(self.in_flight())];
        let right = self.payload.matching(self.received, due);
        let at = self.received + right as u64;
        self.received += data.len() as u64;
        if right == data.len() {
            return Check::Right;
        }
        self.diagnose(Box::new(Diagnosis::new(at, self.sent)), &data[right..])
    }

    /// The stream is over, for the reason `kind` unless a fault is being diagnosed.
    pub(super) fn finish(&self, kind: FaultKind) -> Fault {
        match &self.diagnosis {
            Some(diagnosis) => diagnosis.fault(diagnosis.finish(&self.payload)),
            None => Fault { at: self.received, kind },
        }
    }

    fn diagnose(&mut self, mut diagnosis: Box<Diagnosis>, data: &[u8]) -> Check {
        diagnosis.keep(data);
        let check = match diagnosis.feed(&self.payload, data) {
            None => Check::Wrong,
            Some(kind) => Check::Fault(diagnosis.fault(kind)),
        };
        self.diagnosis = Some(diagnosis);
        check
    }
}
