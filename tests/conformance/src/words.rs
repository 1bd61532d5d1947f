//! The words of the language: numbers, durations, and how a session ended.

use std::fmt;
use std::time::Duration;

use roundtrip_core::Failure;
use roundtrip_echo::{End, Limit};

use crate::error::Cause;

/// The largest number that a script can name, 2^40: sums of a script's numbers stay in range.
const MAX_COUNT: u64 = 1 << 40;

/// From the longest: a duration is shown in the first that divides it.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// How sessions end, and what that is called.
const ENDS: [(&str, End); 9] = [
    ("clean", End::Clean),
    ("stopped", End::Stopped),
    ("aborted", End::Aborted),
    ("idle", End::TimedOut(Limit::Idle)),
    ("half-close-idle", End::TimedOut(Limit::HalfCloseIdle)),
    ("max-age", End::TimedOut(Limit::MaxAge)),
    ("reset", End::Failed(Failure::Reset)),
    ("truncated", End::Failed(Failure::Truncated)),
    ("io", End::Failed(Failure::Io)),
];

/// A count, 0 to 2^40.
pub(crate) fn count(text: &str) -> Result<u64, Cause> {
    match text.parse() {
        Ok(count) if count <= MAX_COUNT => Ok(count),
        _ => Err(Cause::Count(text.to_owned())),
    }
}

/// A duration of at least a nanosecond, such as `50ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, Cause> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    match (number.parse::<u64>(), unit) {
        (Ok(number @ 1..), Some((_, nanos))) if number <= MAX_COUNT * 1_000_000 / nanos => {
            Ok(Duration::from_nanos(number * nanos))
        }
        _ => Err(Cause::Duration(text.to_owned())),
    }
}

/// One end, by its name.
pub(crate) fn end(text: &str) -> Result<End, Cause> {
    ENDS.iter()
        .find(|(name, _)| *name == text)
        .map(|(_, end)| *end)
        .ok_or_else(|| Cause::End(text.to_owned()))
}

/// What an end is called; those that no session comes to have their name in the core.
pub(crate) struct EndName(pub(crate) End);

impl fmt::Display for EndName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ENDS.iter().find(|(_, end)| *end == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// A duration as [`duration`] reads it.
pub(crate) struct Pretty(pub(crate) Duration);

impl fmt::Display for Pretty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let unit = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit)));
        unit.map_or(Ok(()), |(name, unit)| write!(f, "{}{name}", nanos / u128::from(*unit)))
    }
}

/// A count, or `*` where it is left open.
pub(crate) struct Open(pub(crate) Option<u64>);

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(f),
            None => f.write_str("*"),
        }
    }
}
