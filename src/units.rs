//! Numbers with units, read from the command line and shown to people.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Threads that are still of use on the largest machines.
const MAX_THREADS: usize = 1024;

/// `10,000,000`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 byte`, `10,000 bytes`
pub(crate) fn bytes(number: u64) -> String {
    many(number, "byte")
}

/// `1 message`, `10,000 messages`
pub(crate) fn many(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// What no shell makes anything of, besides letters and digits.
const PLAIN: &[u8] = if cfg!(windows) { br"-_./:,@+=[]\" } else { b"-_./:,@%+=[]" };

/// As a word that a shell takes for one.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    if cfg!(windows) {
        format!("\"{}\"", word.replace('"', r#"\""#))
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// `30s`, `1m30s`: as one word, so that it can be given to an option again.
pub(crate) fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// `3 ms`, `30.0 s`: as people read it.
pub(crate) fn elapsed(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// `88 µs`, `1.24 ms`, `1.02 s`: to three digits.
pub(crate) fn latency(duration: Duration) -> String {
    let (amount, unit) = match duration {
        _ if duration < Duration::from_millis(1) => (duration.as_secs_f64() * 1e6, "µs"),
        _ if duration < Duration::from_secs(1) => (duration.as_secs_f64() * 1e3, "ms"),
        _ => (duration.as_secs_f64(), "s"),
    };
    format!("{} {unit}", three_digits(amount))
}

/// The rate per second; 0 of no time at all.
#[expect(clippy::cast_precision_loss, reason = "told to a few digits")]
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// `10.2 MB/s`, of so many bytes a second.
pub(crate) fn rate(bytes: f64) -> String {
    let units = [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")];
    let (divisor, unit) = units.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or((1.0, "B/s"));
    format!("{} {unit}", three_digits(bytes / divisor))
}

fn three_digits(amount: f64) -> String {
    match amount {
        ..9.995 => format!("{amount:.2}"),
        ..99.95 => format!("{amount:.1}"),
        _ => format!("{amount:.0}"),
    }
}

/// A number of bytes, or of anything else: `512`, `64KiB`, `10MB`, `20k`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    number(text).ok_or_else(|| {
        "not a size\nwrite a number with or without a unit, as in 512, 64KiB or 10MB".to_owned()
    })
}

/// A number with or without a unit, below 10^18.
fn number(text: &str) -> Option<u64> {
    const TOO_LARGE: u64 = 1_000_000_000_000_000_000;
    // The library rounds what has more digits than 64 bits hold, and beyond them.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let number = (digits <= 18).then(|| parse_size::parse_size(text).ok())?;
    number.filter(|number| *number < TOO_LARGE)
}

/// A size that must not be zero and must fit into memory.
pub(crate) fn parse_memory(text: &str) -> Result<usize, String> {
    match usize::try_from(parse_size(text)?) {
        Ok(0) => Err("it must not be 0\nleave the option out for its default".to_owned()),
        Ok(size) if size <= 1 << 30 => Ok(size),
        _ => Err("more than 1 GiB\nuse at most 1GiB".to_owned()),
    }
}

/// A number of things that must not be zero: `100`, `10k`.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let number = number(text).filter(|_| !text.contains('.'));
    match number.ok_or("not a count\nwrite a whole number, as in 100 or 10k")? {
        0 => Err("it must not be 0\nleave the option out for its default".to_owned()),
        count => Ok(count),
    }
}

/// A number of things a second: `100`, `20k`.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let rate = parse_count(text)?;
    if rate > 1_000_000_000 {
        return Err("more than one a nanosecond\nuse at most 1G".to_owned());
    }
    Ok(rate)
}

/// A number of things a second at the most, or no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxRate(pub(crate) Option<u32>);

/// A number of things a second at the most: `20k`, or `off`.
pub(crate) fn parse_max_rate(text: &str) -> Result<MaxRate, String> {
    if text == "off" {
        return Ok(MaxRate(None));
    }
    let rate = parse_rate(text)?;
    u32::try_from(rate).map(|rate| MaxRate(Some(rate))).map_err(|_| "use at most 1G".to_owned())
}

/// Leading bits of an IPv6 address: 1 to 128.
pub(crate) fn parse_prefix(text: &str) -> Result<u8, String> {
    let bits = text.strip_prefix('/').unwrap_or(text).parse().ok().filter(|bits| (1..=128).contains(bits));
    bits.ok_or_else(|| "not a prefix length\nwrite 1 to 128, as in 64".to_owned())
}

/// A number of threads, at least 1.
pub(crate) fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = usize::try_from(parse_count(text)?).ok().filter(|threads| *threads <= MAX_THREADS);
    threads
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| format!("{MAX_THREADS} threads are the most\nmore than there are cores are of no use"))
}

/// A time to look for something before sleeping.
pub(crate) fn parse_spin(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_millis(10);
    let spin = parse_duration(text)?;
    if spin <= LONGEST {
        Ok(spin)
    } else {
        Err("longer than 10ms\nwhat comes later than in some 100us gains nothing by it".to_owned())
    }
}

/// A time that must not be zero: `250ms`, `10s`, `1m 30s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(1000 * 366 * 24 * 3600);
    // The library panics where parts that it can hold add up to more than it can.
    let is_short =
        text.len() <= 64 && text.split(|char: char| !char.is_ascii_digit()).all(|run| run.len() <= 11);
    let parsed = if is_short { humantime::parse_duration(text).ok() } else { None };
    match parsed {
        Some(duration) if duration > LONGEST => {
            Err("more than a thousand years\nuse at most 1000y".to_owned())
        }
        Some(Duration::ZERO) => Err("it must not be 0\nleave the option out for its default".to_owned()),
        Some(duration) => Ok(duration),
        None => Err("not a time\nwrite a number with a unit, as in 250ms, 10s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped: Vec<_> = [0, 999, 1000, 123_456, 10_000_000].map(grouped).into();
        assert_eq!(grouped, ["0", "999", "1,000", "123,456", "10,000,000"]);
        assert_eq!((bytes(1), bytes(2)), ("1 byte".into(), "2 bytes".into()));
        let times = [0, 999, 1000, 59_960].map(|millis| elapsed(Duration::from_millis(millis)));
        assert_eq!(times, ["0 ms", "999 ms", "1.0 s", "60.0 s"]);
    }

    #[test]
    fn a_word_for_a_shell_is_quoted_where_it_must_be() {
        for plain in ["127.0.0.1:7", "[::1]:7", "unix:/run/echo.sock,mode=0660", "unix:@name"] {
            assert_eq!(quoted(plain), plain);
        }
        if cfg!(windows) {
            assert_eq!(quoted(r"C:\a.record"), r"C:\a.record");
            assert_eq!(quoted(r"C:\a b"), r#""C:\a b""#);
            assert_eq!(quoted(""), r#""""#);
        } else {
            assert_eq!(quoted("unix:/a b"), "'unix:/a b'");
            assert_eq!(quoted("it's"), r"'it'\''s'");
            assert_eq!(quoted(""), "''");
        }
    }

    #[test]
    fn sizes_take_units_of_both_kinds() {
        let sizes: Vec<_> =
            ["512", "64KiB", "10MB", "20k", "1.5MB"].map(|text| parse_size(text).unwrap()).into();
        assert_eq!(sizes, [512, 65536, 10_000_000, 20_000, 1_500_000]);
        for bad in ["", "-1", "x", "10XB", "1e400", "99999999999999999999EB", "0x10"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_must_not_be_zero_is_not() {
        assert!(parse_memory("0").is_err() && parse_count("0").is_err() && parse_duration("0s").is_err());
        assert!(parse_memory("1GiB").is_ok() && parse_memory("1.1GiB").is_err());
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration(Duration::from_secs(90)), "1m30s");
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("10").is_err());
        assert!(parse_duration("1000y").is_ok() && parse_duration("1010y").is_err());
        // Both libraries go wrong here.
        assert!(parse_duration("18446744073709551610.5s5.5s").is_err());
        assert!(
            parse_size("184467440737095516155").is_err() && parse_count("184467440737095516155").is_err()
        );
        assert_eq!(parse_size("999999999999999999"), Ok(999_999_999_999_999_999));
        assert!(parse_size("1000PB").is_err());
    }
}
