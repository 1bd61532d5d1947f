//! TLS as a codec: the one place that feeds a connection of rustls.

use std::fmt;
use std::io::{BufRead, ErrorKind, Write};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use roundtrip_core::layer::{Codec, Decoded};
use rustls::Connection;

use crate::TlsFault;

/// Bytes that are encrypted at a time: two records (RFC 8446 section 5.1).
const CHUNK: usize = 32 << 10;

/// One side of a TLS connection, to be [layered](roundtrip_core::layer::Layered).
pub struct Tls(Connection);

impl Tls {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Gives what was decrypted, at most `max` bytes of it, or the peer's end.
    fn decrypted(&mut self, max: usize) -> Option<Decoded> {
        let mut reader = self.0.reader();
        match reader.fill_buf() {
            Ok([]) => Some(Decoded::End),
            Ok(bytes) => {
                let bytes = Bytes::copy_from_slice(&bytes[..bytes.len().min(max)]);
                reader.consume(bytes.len());
                Some(Decoded::Data(bytes))
            }
            // It is never told of the transport's end, so there is one reason: more is needed.
            Err(_) => None,
        }
    }
}

impl Codec for Tls {
    type Fault = TlsFault;

    fn is_open(&self) -> bool {
        !self.0.is_handshaking()
    }

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, TlsFault> {
        loop {
            if max > 0
                && let Some(decoded) = self.decrypted(max)
            {
                return Ok(decoded);
            }
            // With nothing decrypted there is room for a record; after its end the peer is not listened to.
            let taken = self.0.read_tls(&mut &received[..]).unwrap_or(0);
            if taken == 0 {
                return Ok(Decoded::More);
            }
            received.advance(taken);
            self.0.process_new_packets()?;
            if max == 0 && self.is_open() {
                return Ok(Decoded::More);
            }
        }
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, TlsFault> {
        let taken = self.0.writer().write(&plain[..plain.len().min(CHUNK)]);
        self.speak(out);
        match taken {
            Ok(taken) if taken > 0 => Ok(taken),
            // Keys that may not be used any more, and cannot be renewed (TLS 1.2).
            Ok(_) => Err(TlsFault::Other(ErrorKind::WriteZero.to_string())),
            Err(error) => Err(TlsFault::Other(error.to_string())),
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.0.send_close_notify();
        self.speak(out);
    }

    fn speak(&mut self, out: &mut BytesMut) {
        // Writing to memory does not fail.
        while self.0.wants_write() && self.0.write_tls(&mut out.writer()).is_ok() {}
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.0.protocol_version();
        f.debug_struct("Tls").field("open", &self.is_open()).field("version", &version).finish()
    }
}
