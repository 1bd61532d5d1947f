//! What may be written after `roundtrip check`.

use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::{ClientArgs, DriverArgs, parse_switch};
use crate::tls::CheckTlsArgs;
use crate::units::{parse_count, parse_duration, parse_memory, parse_rate, parse_size};

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Where to connect: HOST:PORT, unix:PATH, unix:@NAME, udp:HOST:PORT or unix-dgram:PATH [default: a server of its own on the loopback]
    #[arg(value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// Bytes to send
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = parse_bytes)]
    pub(crate) bytes: u64,
    /// Several sizes instead, each in a check of its own: 1,512,64KiB
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_bytes, conflicts_with = "bytes")]
    pub(crate) sizes: Vec<u64>,
    /// What the bytes are computed from, counted up by one for each connection [default: a random one]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Connections at one time, each with the whole payload
    #[arg(short = 'c', long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub(crate) connections: u64,
    /// Do all of it so many times; the first failure is the end
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub(crate) repeat: u64,
    /// Half-close when all is sent, and wait for the peer's end; off: close when all is back [default: on, where the endpoint has it]
    #[arg(long, value_name = "on|off", value_parser = parse_switch)]
    pub(crate) half_close: Option<bool>,
    /// Be silent for so long when the first half is back: finds idle time-outs on the path
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) pause: Option<Duration>,
    /// Simulate a slow reader: read nothing for TIME
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) stall: Option<Duration>,
    /// Bytes sent and not yet back, at the most [default: 64KiB; with --stall all of them, up to 1GiB; over datagrams at most 64 of them, on all sockets together]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) window: Option<usize>,
    /// Largest single write; with --write 1 --read 1 it is one byte at a time; over datagrams the size of each [default: what the window allows; over datagrams 1200]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) write: Option<usize>,
    /// Largest single read [default: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) read: Option<usize>,
    /// Over datagrams: send at most N a second, on all sockets together
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub(crate) rate: Option<u64>,
    /// Over datagrams: one that is not back by then is lost [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// Write all that passes through the sessions here, every byte of it, for `roundtrip replay`; -: standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "sizes")]
    pub(crate) record: Option<String>,
    /// End the record at this size, with a warning; the check goes on
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_count)]
    pub(crate) record_limit: u64,
    #[command(flatten)]
    pub(crate) driver: DriverArgs,
    /// Print one JSON document instead, errors included; docs/schema/check.json describes it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) tls: CheckTlsArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  roundtrip check HOST:7007 --sizes 1,1KiB,10MB      three sizes, one line each
  roundtrip check HOST:7007 --bytes 10kB --write 1 --read 1   one byte at a time
  roundtrip check HOST:7007 --pause 2m               does the path bear two minutes of silence?
  roundtrip check HOST:7007 --stall 5s               does it bear a client that does not read?
  roundtrip check HOST:7007 -c 100 --repeat 10       a hundred connections at once, ten times
  roundtrip check HOST:7007 --record session.record  and roundtrip replay session.record
  roundtrip check HOST:7007 --half-close off         and without a half-close?
  roundtrip check HOST:7007 --tls-ca ca.pem          over TLS
  roundtrip check udp:HOST:7007                      what becomes of each datagram?

Exit codes: 0 ok, 1 verification failed, 2 usage, 3 timed out, interrupted, or nobody takes the
result or the record, 4 cannot connect, 5 internal";

fn parse_bytes(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("there is nothing to check in 0 bytes\nsend at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}
