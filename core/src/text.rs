//! Text of others, as a person is shown it: what peers, files, certificates and the command line say.
//!
//! A terminal obeys control characters, and some characters that are not seen reorder or hide what is around them
//! (UAX #9; CVE-2021-42574). They are shown as what they are; all other text stays as it is.

use core::fmt::{self, Write};

/// A character that a terminal obeys, or that is invisible: controls, line and paragraph separators, bidirectional controls,
/// and characters without a width.
pub const fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// The text in one line, with [hidden](is_hidden) characters as Rust escapes them: `\n`, `\u{1b}`.
///
/// ```
/// let name = "echo\u{1b}[2J\u{202e}é";
/// assert_eq!(roundtrip_core::text::escaped(name).to_string(), r"echo\u{1b}[2J\u{202e}é");
/// ```
pub const fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| {
            if is_hidden(char) { write!(f, "{}", char.escape_default()) } else { f.write_char(char) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_shown_and_what_is_seen_stays() {
        for seen in ["this is a test", "naïve 日本語 עברית עַרַבִית", "\\ ' \" `", "│ ─ µs … 🙂", ""]
        {
            assert_eq!(escaped(seen).to_string(), seen);
        }
        let hidden = (0..=0x10_ffff).filter_map(char::from_u32).filter(|char| is_hidden(*char));
        for char in hidden.clone() {
            let shown = escaped(char.encode_utf8(&mut [0; 4])).to_string();
            assert!(shown.starts_with('\\') && shown.is_ascii() && !shown.chars().any(is_hidden), "{shown}");
        }
        assert!((0..=0x9f).filter_map(char::from_u32).all(|char| is_hidden(char) == char.is_control()));
        for bidi in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200e}', '\u{200f}', '\u{61c}'] {
            assert!(is_hidden(bidi), "{bidi:?}");
        }
        assert_eq!(hidden.count(), 65 + 1 + 5 + 7 + 10 + 1);
    }
}
