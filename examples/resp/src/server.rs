//! Which command is which, and what is answered.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use roundtrip_core::Time;
use roundtrip_core::protocol::{Io, Need, Protocol, SessionConfig};

use crate::keys::{Keys, NoCount};
use crate::parse::{array, bulk, error, integer, parse, simple};

/// The largest key or value, bytes.
pub(crate) const MAX_WORD: usize = 512 << 10;

/// The largest answer, bytes of values.
const MAX_REPLY: usize = 16 << 20;

/// The keys of a server, which all of its connections share.
pub type SharedKeys = Arc<Mutex<Keys>>;

/// One connection of a server that speaks RESP2.
#[derive(Clone, Debug)]
pub struct Resp {
    keys: SharedKeys,
}

/// Bounds that let a command of the largest words in.
pub fn config() -> SessionConfig {
    SessionConfig::default().inbox(2 * MAX_WORD + (64 << 10)).outbox(256 << 10)
}

impl Resp {
    /// A connection to these keys.
    pub const fn new(keys: SharedKeys) -> Self {
        Self { keys }
    }
}

impl Protocol for Resp {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Infallible>) -> Need {
        // Locked once for all that came at once: nothing in here waits.
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        while io.room() > 0 {
            match parse(io.inbox(), MAX_WORD) {
                Ok(Some(words)) => {
                    if !answer(&mut keys, &words, io.outbox()) {
                        io.finish();
                        return Need::Bytes;
                    }
                }
                Ok(None) => return Need::Bytes,
                Err(malformed) => {
                    io.outbox().extend_from_slice(malformed.reply().as_bytes());
                    io.finish();
                    return Need::Bytes;
                }
            }
        }
        Need::Room
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, Infallible>) {
        error(io.outbox(), "ERR Protocol error: command too large");
    }
}

/// Carries out a command; whether the session goes on.
fn answer(keys: &mut Keys, words: &[BytesMut], out: &mut BytesMut) -> bool {
    let Some((name, args)) = words.split_first() else { return true };
    let name = name.to_ascii_uppercase();
    match (&name[..], args) {
        (b"PING", []) => simple(out, "PONG"),
        (b"PING" | b"ECHO", [text]) => bulk(out, Some(text)),
        (b"GET", [key]) => bulk(out, keys.get(key)),
        (b"SET", [key, value]) => {
            keys.set(key, value);
            simple(out, "OK");
        }
        (b"SET", [_, _, ..]) => error(out, "ERR syntax error"),
        (b"MSET", [_, _, ..]) if args.len().is_multiple_of(2) => {
            for pair in args.chunks_exact(2) {
                keys.set(&pair[0], &pair[1]);
            }
            simple(out, "OK");
        }
        (b"MGET", [_, ..]) => {
            // Many names of one large value make an answer that no memory holds.
            if args.iter().filter_map(|key| keys.get(key)).map(<[u8]>::len).sum::<usize>() > MAX_REPLY {
                error(out, "ERR the reply is too large");
                return true;
            }
            array(out, args.len());
            for key in args {
                bulk(out, keys.get(key));
            }
        }
        (b"DEL", [_, ..]) => integer(out, count(args, |key| keys.delete(key))),
        (b"EXISTS", [_, ..]) => integer(out, count(args, |key| keys.exists(key))),
        (b"INCR", [key]) => match keys.increment(key) {
            Ok(count) => integer(out, count),
            Err(NoCount::NoInteger) => error(out, "ERR value is not an integer or out of range"),
            Err(NoCount::Overflow) => error(out, "ERR increment or decrement would overflow"),
        },
        // What clients ask before they begin; there is nothing to tell.
        (b"COMMAND", _) => array(out, 0),
        (b"CONFIG", [get, _]) if get.eq_ignore_ascii_case(b"GET") => array(out, 0),
        (b"QUIT", _) => {
            simple(out, "OK");
            return false;
        }
        (
            b"PING" | b"ECHO" | b"GET" | b"SET" | b"MSET" | b"MGET" | b"DEL" | b"EXISTS" | b"INCR"
            | b"CONFIG",
            _,
        ) => {
            let name = name.to_ascii_lowercase();
            error(out, &format!("ERR wrong number of arguments for '{}' command", name.escape_ascii()));
        }
        _ => {
            let mut text = format!("ERR unknown command '{}', with args beginning with: ", shown(&words[0]));
            for arg in args.iter().take(20) {
                text.extend(["'", &shown(arg), "' "]);
            }
            error(out, &text);
        }
    }
    true
}

fn count(keys: &[BytesMut], mut is: impl FnMut(&[u8]) -> bool) -> i64 {
    keys.iter().map(|key| i64::from(is(key))).sum()
}

/// The beginning of what a client sent, for its eyes.
fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned()
}
