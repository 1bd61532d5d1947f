//! The codec: commands to bytes, bytes to replies.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use roundtrip_client::{ClientConfig, Codec, Decoded, Incoming};

use super::reply::{BadReply, Reply, parse_reply};
use crate::parse::{array, bulk};
use crate::server::MAX_WORD;

/// Speaks RESP2, for commands that are answered once each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redis;

/// Why a command has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisError {
    /// The command has no words: a server would not answer it.
    Empty,
    /// What the server sent is no reply.
    Reply(BadReply),
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty command"),
            Self::Reply(bad) => bad.fmt(f),
        }
    }
}

impl Error for RedisError {}

/// A command of these words, which are copied: its name and its arguments.
pub fn command<W: AsRef<[u8]>>(words: &[W]) -> Vec<Bytes> {
    words.iter().map(|word| Bytes::copy_from_slice(word.as_ref())).collect()
}

/// Bounds for the largest reply of this server. A server that is silent for 30 s is given up, and so is a connection that is not
/// used for as long.
pub fn config() -> ClientConfig {
    let idle = Some(Duration::from_secs(30));
    ClientConfig::default().session(crate::server::config().idle(idle))
}

impl Codec for Redis {
    type Request = Vec<Bytes>;
    type Response = Reply;
    type Push = Infallible;
    type Error = RedisError;

    fn encode(&mut self, words: Vec<Bytes>, out: &mut BytesMut) -> Result<(), RedisError> {
        if words.is_empty() {
            return Err(RedisError::Empty);
        }
        array(out, words.len());
        for word in &words {
            bulk(out, Some(word));
        }
        Ok(())
    }

    fn decode(&mut self, inbox: &mut BytesMut) -> Decoded<Self> {
        let reply = parse_reply(inbox, MAX_WORD).map_err(RedisError::Reply)?;
        Ok(reply.map(Incoming::Response))
    }
}
