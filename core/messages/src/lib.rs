//! Messages that carry numbers, so that whoever hears them knows which are missing: nothing else about datagrams says so.
//!
//! ```text
//! @k3x9#17 text      the 17th message of the sender that calls itself k3x9, from 1
//! @k3x9!1000         its end mark: there were 1000
//! ```
//!
//! A sender is up to sixteen small letters and digits. The form is read by people as well, and takes little of the 424
//! bytes that some transports carry. The end mark says what no gap can: that the last messages are missing. What has another
//! form is a message without a number.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Sequenced`], [`Sender`] | the form, composed and parsed |
//! | [`Tracker`] | which messages of one sender came |
//! | [`Listener`] | a machine that hears any number of senders, until it has heard enough |

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;

mod listener;
mod tracker;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU64;

pub use listener::{Ending, Listener, ListenerConfig, ListenerReport, ReceivedMessage, SenderStats};
pub use tracker::{SequenceStatus, Tracker};

/// The longest name of a sender.
const NAME: usize = 16;
/// Its letters.
const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What a sender of numbered messages calls itself: 1 to 16 of `0` to `9` and `a` to `z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    name: [u8; NAME],
    len: u8,
}

impl Sender {
    /// The sender of this name; none if no sender can be called that.
    pub fn new(name: &[u8]) -> Option<Self> {
        let is_one = (1..=NAME).contains(&name.len()) && name.iter().all(|letter| LETTERS.contains(letter));
        let mut sender = Self { name: [0; NAME], len: u8::try_from(name.len()).ok()? };
        if is_one {
            sender.name[..name.len()].copy_from_slice(name);
        }
        is_one.then_some(sender)
    }

    /// The sender with this number, written with 36 digits.
    pub fn with_number(mut number: u64) -> Self {
        let mut digits = Vec::new();
        while digits.is_empty() || number > 0 {
            digits.extend(LETTERS.get(usize::try_from(number % 36).unwrap_or_default()));
            number /= 36;
        }
        digits.reverse();
        let mut sender = Self { name: [0; NAME], len: 0 };
        for (place, digit) in sender.name.iter_mut().zip(digits) {
            *place = digit;
            sender.len += 1;
        }
        sender
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        let name = self.name.get(..self.len.into()).unwrap_or_default();
        core::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.as_str())
    }
}

/// A message with a number, or the end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequenced<'a> {
    /// `@SENDER#NUMBER TEXT`
    Message {
        /// Who sent it.
        sender: Sender,
        /// How manieth it is.
        number: NonZeroU64,
        /// What it says: any bytes.
        text: &'a [u8],
    },
    /// `@SENDER!TOTAL`
    End {
        /// Who sent it.
        sender: Sender,
        /// How many messages there were: the number of the last.
        total: u64,
    },
}

impl<'a> Sequenced<'a> {
    /// What `message` says; none if it has another form. What is parsed is composed to the same bytes.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let rest = message.strip_prefix(b"@")?;
        let at = rest.iter().take(NAME + 1).position(|byte| matches!(byte, b'#' | b'!'))?;
        let (name, rest) = rest.split_at_checked(at)?;
        let sender = Sender::new(name)?;
        let (mark, rest) = rest.split_first()?;
        if *mark == b'!' {
            return Some(Self::End { sender, total: parse_number(rest)? });
        }
        let at = rest.iter().position(|byte| *byte == b' ')?;
        let (number, text) = rest.split_at_checked(at)?;
        let number = NonZeroU64::new(parse_number(number)?)?;
        Some(Self::Message { sender, number, text: text.get(1..)? })
    }

    /// The bytes that say so.
    pub fn compose(&self) -> Vec<u8> {
        let mut bytes = Vec::from(*b"@");
        match self {
            Self::Message { sender, number, text } => {
                bytes.extend_from_slice(sender.as_str().as_bytes());
                bytes.push(b'#');
                bytes.extend_from_slice(number.to_string().as_bytes());
                bytes.push(b' ');
                bytes.extend_from_slice(text);
            }
            Self::End { sender, total } => {
                bytes.extend_from_slice(sender.as_str().as_bytes());
                bytes.push(b'!');
                bytes.extend_from_slice(total.to_string().as_bytes());
            }
        }
        bytes
    }
}

/// A number as it is composed: in decimal, without a sign or a zero in front.
fn parse_number(digits: &[u8]) -> Option<u64> {
    let is_plain =
        digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits.first() != Some(&b'0'));
    core::str::from_utf8(digits).ok()?.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use quickcheck::quickcheck;

    fn sender(name: &str) -> Sender {
        Sender::new(name.as_bytes()).unwrap()
    }

    #[test]
    fn a_sender_is_shown_by_its_name() {
        assert_eq!(alloc::format!("{0} {0:?}", sender("k3x9")), "k3x9 Sender(k3x9)");
    }

    #[test]
    fn the_form_is_as_it_is_documented() {
        let message = Sequenced::Message {
            sender: sender("k3x9"),
            number: NonZeroU64::new(17).unwrap(),
            text: b"text",
        };
        assert_eq!(message.compose(), b"@k3x9#17 text");
        let end = Sequenced::End { sender: sender("k3x9"), total: 1000 };
        assert_eq!(end.compose(), b"@k3x9!1000");
        assert_eq!(Sequenced::parse(b"@k3x9#17 text"), Some(message));
        assert_eq!(Sequenced::parse(b"@k3x9!1000"), Some(end));
    }

    #[test]
    fn what_has_another_form_has_no_number() {
        for message in [
            "",
            "@",
            "text",
            "@a",
            "@a#",
            "@a#1",
            "@a#0 x",
            "@a#01 x",
            "@a#+1 x",
            "@a# x",
            "@#1 x",
            "@A#1 x",
            "@a b#1 x",
            "@a!",
            "@a!01",
            "@a!1 ",
            "@a!-1",
            "@a#18446744073709551616 x",
            "@12345678901234567#1 x",
            " @a#1 x",
        ] {
            assert_eq!(Sequenced::parse(message.as_bytes()), None, "{message}");
        }
        for message in ["@a#1 ", "@a#18446744073709551615 x", "@1234567890123456!0", "@a#1 @b#2 x"] {
            assert!(Sequenced::parse(message.as_bytes()).is_some(), "{message}");
        }
    }

    quickcheck! {
        fn what_is_composed_is_parsed(name: u64, number: u64, text: Vec<u8>) -> bool {
            let sender = Sender::with_number(name);
            let end = Sequenced::End { sender, total: number };
            let message = NonZeroU64::new(number).map(|number| Sequenced::Message { sender, number, text: &text });
            message.into_iter().chain([end]).all(|numbered| Sequenced::parse(&numbered.compose()) == Some(numbered))
        }

        fn what_is_parsed_is_composed_to_the_same(name: String, mark: bool, number: String, text: Vec<u8>) -> bool {
            let mut message = alloc::format!("@{name}{}{number}", if mark { '!' } else { '#' }).into_bytes();
            message.extend(text);
            Sequenced::parse(&message).is_none_or(|numbered| numbered.compose() == message)
        }

        fn a_name_is_one_of_letters(name: Vec<u8>) -> bool {
            Sender::new(&name).is_none_or(|sender| sender.as_str().as_bytes() == name)
        }

        fn every_number_is_a_name_of_its_own(a: u64, b: u64) -> bool {
            (Sender::with_number(a) == Sender::with_number(b)) == (a == b)
        }
    }
}
