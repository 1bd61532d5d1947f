//! What `listen` says of the messages, for people.

use std::fmt::{self, Write as _};

use roundtrip_core::text::is_hidden;
use roundtrip_messages::{Ending, ListenerReport, Sender, SenderStats, Tracker};
use roundtrip_std::DatagramAddress;

use crate::problem::Exit;
use crate::units::{grouped, many};

/// Gaps that are told, of each sender.
const GAPS: usize = 20;

/// What came of listening.
pub(super) struct Told<'a> {
    pub(super) ending: Ending,
    pub(super) report: &'a ListenerReport<DatagramAddress>,
    pub(super) overflowed: u64,
    pub(super) exit: Exit,
}

/// The line that a message is printed as, without its end.
pub(super) fn line(message: &[u8], raw: bool) -> Vec<u8> {
    if raw {
        return message.to_vec();
    }
    let mut line = String::new();
    for chunk in message.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_hidden(c) {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line.into_bytes()
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenerReport { heard, plain, too_long, unfollowed, senders, .. } = self.report;
        write!(f, "heard {}, {}", many(*heard, "message"), ending(self.ending))?;
        for (sender, followed) in senders {
            write_sender(f, sender, followed)?;
        }
        if *plain > 0 {
            write!(f, "\n  {} without a number: whether any is missing is not known", grouped(*plain))?;
        }
        if *unfollowed > 0 {
            write!(f, "\n  {} of so many senders that they were not followed", grouped(*unfollowed))?;
        }
        if *too_long > 0 {
            write!(f, "\nFAIL  {} too long to be taken", were(*too_long))?;
        }
        if self.overflowed > 0 {
            let dropped = were(self.overflowed);
            write!(f, "\nFAIL  {dropped} dropped here, not read in time\n  try: a larger --socket-buffer")?;
        }
        if self.exit == Exit::Incomplete {
            write!(f, "\nincomplete: what was waited for did not come")?;
        }
        Ok(())
    }
}

fn write_sender(
    f: &mut fmt::Formatter<'_>,
    sender: &Sender,
    SenderStats { from, tracker, .. }: &SenderStats<DatagramAddress>,
) -> fmt::Result {
    let mark = if tracker.is_whole() { "ok" } else { "FAIL" };
    write!(f, "\n{mark}  {sender} ({from}): {}", grouped(tracker.came()))?;
    match tracker.total() {
        Some(total) => write!(f, " of {} came", many(total, "message"))?,
        None => f.write_str(" came, no end mark: the last may be missing")?,
    }
    if tracker.is_whole() && tracker.total().is_some() {
        f.write_str(", each once and in order")?;
    }
    if tracker.missing_count() > 0 {
        write!(f, "\n  missing {}: ", grouped(tracker.missing_count()))?;
        write_gaps(f, tracker)?;
    }
    for (count, what) in
        [(tracker.twice(), "twice"), (tracker.late(), "late, after one that was posted later")]
    {
        if count > 0 {
            write!(f, "\n  {} came {what}", grouped(count))?;
        }
    }
    if tracker.forgotten() > 0 {
        write!(f, "\n  {} came late or twice: too much was missing to tell", grouped(tracker.forgotten()))?;
    }
    if tracker.contradicts() {
        f.write_str("\n  numbers after the end mark, or two of these: are there two senders of that name?")?;
    }
    Ok(())
}

/// `17, 40-41`
fn write_gaps(f: &mut fmt::Formatter<'_>, tracker: &Tracker) -> fmt::Result {
    if !tracker.is_exact() {
        f.write_str("some further back than is remembered, ")?;
    }
    for (index, range) in tracker.missing().take(GAPS).enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        match range.into_inner() {
            (first, last) if first == last => write!(f, "{first}")?,
            (first, last) => write!(f, "{first}-{last}")?,
        }
    }
    match tracker.missing().count().saturating_sub(GAPS) {
        0 => Ok(()),
        more => write!(f, ", and {} more", many(more as u64, "gap")),
    }
}

/// `1 message was`, `10 messages were`
fn were(count: u64) -> String {
    format!("{} {}", many(count, "message"), if count == 1 { "was" } else { "were" })
}

const fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::EndMark => "then an end mark",
        Ending::Count => "as many as were asked for",
        Ending::Limit => "then the time was over",
        Ending::Stopped => "then it was stopped",
        Ending::Failed(_) => "then the socket failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_and_commands_no_terminal() {
        for (message, printed) in [
            (&b"plain"[..], &b"plain"[..]),
            ("grün ✓".as_bytes(), "grün ✓".as_bytes()),
            (b"two\nlines\r\t\x1b[2J\x00", b"two\\nlines\\r\\t\\u{1b}[2J\\u{0}"),
            ("\u{9b}2J".as_bytes(), b"\\u{9b}2J"),
            ("\u{202e}cba\u{2028}".as_bytes(), b"\\u{202e}cba\\u{2028}"),
            (b"a\xff\xc3(", b"a\\xff\\xc3("),
            (b"", b""),
        ] {
            assert_eq!(line(message, false), printed);
            assert_eq!(line(message, true), message);
        }
    }
}
