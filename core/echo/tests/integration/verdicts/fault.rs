//! The faults that are planted, and what a client should say about each.

use roundtrip_echo::{Fault, FaultKind, PeerEnd, Verdict};

use super::path::{PAUSE, Path};

/// One fault of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Planted {
    None,
    /// `bytes` from `at` on do not come.
    Lost {
        at: usize,
        bytes: usize,
    },
    /// `bytes` from `at` on come twice.
    Duplicated {
        at: usize,
        bytes: usize,
    },
    /// The block of `first` bytes at `at` and the `second` bytes after it change places.
    Swapped {
        at: usize,
        first: usize,
        second: usize,
    },
    /// Bits of `times` bytes are flipped, every `apart` bytes from `at` on.
    Flipped {
        at: usize,
        mask: u8,
        times: usize,
        apart: usize,
    },
    /// So many bytes come after everything.
    Trailing {
        bytes: usize,
    },
    /// Nothing comes from `to` on.
    Cut {
        to: usize,
    },
}

/// A byte of the tampered stream: where it comes from, and how it is changed; foreign bytes come from the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tampered {
    pub(crate) from: usize,
    pub(crate) flip: u8,
    pub(crate) foreign: bool,
}

impl Planted {
    /// What the path makes of a stream of `len` bytes.
    pub(crate) fn tamper(self, len: usize) -> Vec<Tampered> {
        let mut stream: Vec<_> = (0..len).map(|from| Tampered { from, flip: 0, foreign: false }).collect();
        match self {
            Self::None => {}
            Self::Lost { at, bytes } => drop(stream.drain(at..at + bytes)),
            Self::Duplicated { at, bytes } => {
                let again = stream[at..at + bytes].to_vec();
                drop(stream.splice(at + bytes..at + bytes, again));
            }
            Self::Swapped { at, first, second } => stream[at..at + first + second].rotate_left(first),
            Self::Flipped { at, mask, times, apart } => {
                for byte in stream[at..].iter_mut().step_by(apart).take(times) {
                    byte.flip = mask;
                }
            }
            Self::Trailing { bytes } => {
                stream.extend((0..bytes).map(|index| {
                    let flip = u8::try_from(index * 7 % 256).expect("a byte");
                    Tampered { from: len, flip, foreign: true }
                }));
            }
            Self::Cut { to } => stream.truncate(to),
        }
        stream
    }

    /// Runs it over `path`; panics if the verdict is not exact.
    pub(crate) fn assert_named(self, path: &Path) {
        let (delivered, outcome) = path.run(&self);
        let sent = path.stream();
        let sent = &sent[..usize::try_from(outcome.sent).expect("in memory")];
        let at = sent.iter().zip(&delivered).take_while(|(sent, came)| sent == came).count();
        let kind = if delivered == sent {
            assert_eq!(outcome.verdict, Verdict::Verified, "{self:?} on {path:?}");
            return;
        } else if at == delivered.len() && sent.len() < path.len {
            // What came is right as far as it goes, and the window waits for the rest.
            FaultKind::TimedOut
        } else if at == delivered.len() {
            FaultKind::Truncated { by: PeerEnd::Fin, after: Some(PAUSE) }
        } else {
            self.kind(sent, &delivered)
        };
        let expected = Verdict::Faulty(Fault { at: at as u64, kind });
        assert_eq!(outcome.verdict, expected, "{self:?} on {path:?}");
    }

    fn kind(self, sent: &[u8], delivered: &[u8]) -> FaultKind {
        match self {
            Self::Lost { bytes, .. } => FaultKind::Lost { bytes: bytes as u64 },
            Self::Duplicated { bytes, .. } => FaultKind::Duplicated { bytes: bytes as u64 },
            Self::Swapped { .. } => FaultKind::Reordered,
            // Flips may happen to make the same bytes in another order.
            Self::Flipped { .. } if sorted(sent) == sorted(delivered) => FaultKind::Reordered,
            Self::Flipped { .. } => FaultKind::Corrupted,
            // A foreign end may happen to be the end of what was sent, once more.
            Self::Trailing { bytes } if delivered.ends_with(&sent[sent.len().saturating_sub(bytes)..]) => {
                FaultKind::Duplicated { bytes: bytes as u64 }
            }
            Self::Trailing { .. } => FaultKind::Trailing,
            Self::None | Self::Cut { .. } => unreachable!("what comes is right"),
        }
    }
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}
