//! What may be written after `roundtrip load`.

use std::time::Duration;

use clap::Args;

use crate::cli::{ClientArgs, DriverArgs, parse_switch};
use crate::units::{parse_count, parse_duration, parse_memory, parse_rate};

#[derive(Debug, Args)]
#[command(after_help = LOAD_EXAMPLES)]
pub(crate) struct LoadArgs {
    /// Where to connect: HOST:PORT, unix:PATH, unix:@NAME, udp:HOST:PORT or unix-dgram:PATH [default: a server of its own on the loopback]
    #[arg(value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// Connections at one time
    #[arg(short = 'c', long, value_name = "N", default_value = "10", value_parser = parse_count)]
    pub(crate) connections: u64,
    /// Bytes of a message
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = parse_memory)]
    pub(crate) size: usize,
    /// Messages a second, on all connections together: an open loop, in which each counts from when it was due
    /// [default: a closed loop, in which the next is sent when one is back]
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub(crate) rate: Option<u64>,
    /// Messages sent and not yet back, at the most, on each connection [default: 1; with --rate 1024, or 64 MiB of them]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) in_flight: Option<u64>,
    /// How long
    #[arg(short = 'd', long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// Messages in all, on all connections together, instead of a time
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "duration")]
    pub(crate) count: Option<u64>,
    /// Begin the connections one after the other over so long, instead of at once
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) ramp: Option<Duration>,
    /// What the bytes are computed from, counted up by one for each connection [default: a random one]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Half-close when all is sent, and wait for the peer's end; off: close when all is back [default: on, where the endpoint has it]
    #[arg(long, value_name = "on|off", value_parser = parse_switch)]
    pub(crate) half_close: Option<bool>,
    #[command(flatten)]
    pub(crate) driver: DriverArgs,
    /// Print one JSON document instead, errors included; docs/schema/load.json describes it
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the latencies here, in the text form of the HDR histogram's plotters; -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<String>,
    /// Draw the latencies and the course of the load here; -: standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

const LOAD_EXAMPLES: &str = "\
Examples:
  roundtrip load                                     how fast is this machine's loopback?
  roundtrip load HOST:7007 -c 100 --rate 20k -d 30s  how long do messages take at 20,000 a second?
  roundtrip load HOST:7007 -c 1000 --ramp 10s        a thousand connections, 100 more each second
  roundtrip load HOST:7007 --size 16KiB --in-flight 8 --count 1M
  roundtrip load udp:HOST:7007 --rate 1k             over datagrams
  roundtrip load HOST:7007 --rate 5k --svg load.svg --hgrm load.hgrm

Exit codes: 0 ok, 1 verification failed, 2 usage, 3 timed out, interrupted, or not all was sent or
written, 4 cannot connect, 5 internal";
