//! TLS as a codec: the one place that feeds a connection of rustls.

use std::fmt;
use std::io::{BufRead, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{BufMut, Bytes, BytesMut};
use roundtrip_core::layer::{Codec, Decoded};
use rustls::Connection;

use crate::TlsFault;

/// Bytes that are encrypted at a time: two records (RFC 8446 section 5.1).
const CHUNK: usize = 32 << 10;

/// One side of a TLS connection, to be [layered](roundtrip_core::layer::Layered).
pub struct Tls {
    connection: Connection,
    /// Bytes that were decrypted and not given yet.
    decrypted: usize,
    /// Our `close_notify` was said.
    finished: bool,
}

/// Bytes of a record's header, and of what follows it at the most: RFC 8446 section 5.2, and 5246 section 6.2.3.
const HEADER: usize = 5;
const RECORD: usize = (16 << 10) + 2048;

impl Tls {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection, decrypted: 0, finished: false }
    }

    /// Gives what was decrypted, at most `max` bytes of it, or the peer's end.
    fn take(&mut self, max: usize) -> Option<Decoded> {
        let mut reader = self.connection.reader();
        match reader.fill_buf() {
            Ok([]) => Some(Decoded::End),
            Ok(bytes) => {
                let bytes = Bytes::copy_from_slice(&bytes[..bytes.len().min(max)]);
                reader.consume(bytes.len());
                self.decrypted -= bytes.len();
                Some(Decoded::Data(bytes))
            }
            // More is needed. What the transport's end means is the layer's to say.
            Err(_) => None,
        }
    }

    /// Reads one record, which is whole.
    fn read(&mut self, record: &mut &[u8]) -> Result<(), TlsFault> {
        while self.connection.read_tls(record).unwrap_or(0) > 0 {
            let connection = &mut self.connection;
            // A debug build of rustls asserts that no fault is found after `close_notify` was sent, and the peer's bytes
            // decide that (rustls issue 959).
            let state = if cfg!(debug_assertions) && self.finished {
                catch_unwind(AssertUnwindSafe(|| connection.process_new_packets()))
                    .map_err(|_| TlsFault::Other("a bad record after the end".to_owned()))?
            } else {
                connection.process_new_packets()
            };
            self.decrypted = state?.plaintext_bytes_to_read();
        }
        Ok(())
    }
}

/// How much of what came is read at once: a record, or, where none can begin, all of it. None while it is not whole, so
/// that what is not whole stays where it is counted.
fn record(received: &[u8]) -> Option<usize> {
    let header = received.first_chunk::<HEADER>()?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    // Change of cipher, alert, handshake and data, of any version 3.
    if !(20..=23).contains(&header[0]) || header[1] != 3 || length > RECORD {
        return Some(received.len());
    }
    Some(HEADER + length).filter(|whole| *whole <= received.len())
}

impl Codec for Tls {
    type Fault = TlsFault;

    fn is_open(&self) -> bool {
        !self.connection.is_handshaking()
    }

    fn decode(&mut self, received: &mut BytesMut, max: usize) -> Result<Decoded, TlsFault> {
        loop {
            if max > 0
                && let Some(decoded) = self.take(max)
            {
                return Ok(decoded);
            }
            let Some(length) = record(received) else { return Ok(Decoded::More) };
            let record = received.split_to(length);
            self.read(&mut &record[..])?;
            if max == 0 && self.is_open() {
                return Ok(Decoded::More);
            }
        }
    }

    fn held(&self) -> usize {
        self.decrypted
    }

    fn encode(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<usize, TlsFault> {
        let taken = self.connection.writer().write(&plain[..plain.len().min(CHUNK)]);
        self.speak(out);
        match taken {
            Ok(taken) if taken > 0 => Ok(taken),
            // Keys that may not be used any more, and cannot be renewed (TLS 1.2).
            Ok(_) => Err(TlsFault::Other(ErrorKind::WriteZero.to_string())),
            Err(error) => Err(TlsFault::Other(error.to_string())),
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.finished = true;
        self.connection.send_close_notify();
        self.speak(out);
    }

    fn speak(&mut self, out: &mut BytesMut) {
        // Writing to memory does not fail.
        while self.connection.wants_write() && self.connection.write_tls(&mut out.writer()).is_ok() {}
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.connection.protocol_version();
        f.debug_struct("Tls")
            .field("open", &self.is_open())
            .field("version", &version)
            .finish_non_exhaustive()
    }
}
