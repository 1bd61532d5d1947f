//! A 64-byte message through an echo server: data, write, wrote, wait. And one of 64 bytes, and of 16 KiB, from a pinger
//! and back to it: composed, written, verified, timed.
//!
//! `message_path raw|driven|block|ping|ping-16k N` does it N times, for an instruction counter to count; `benches/instructions/instructions.sh`
//! runs it under one. `block` is the part of the work that is not the machine's: recycling the block that the
//! bytes come from. There is no clock in it, so `cargo bench` runs it once and prints nothing.

use std::hint::black_box;
use std::process::ExitCode;

use bytes::{Bytes, BytesMut};
use roundtrip_core::{Action, Driven, Input, Machine, Step, Time};
use roundtrip_echo::{EchoServer, Pinger, PingerConfig, Schedule, ServerConfig};

const MESSAGE: usize = 64;

/// What a driver reads into: always the same memory.
struct Block(Option<Bytes>);

impl Block {
    fn new() -> Self {
        let mut block = BytesMut::zeroed((64 << 10) + 1);
        drop(block.split_off(64 << 10));
        Self(Some(block.freeze()))
    }

    fn read(&mut self) -> Bytes {
        let Some(Ok(mut block)) = self.0.take().map(Bytes::try_into_mut) else { unreachable!() };
        black_box(block.as_mut_ptr());
        let block = block.freeze();
        let message = block.slice(..MESSAGE);
        self.0 = Some(block);
        message
    }
}

fn raw(server: &mut EchoServer, now: Time, message: Bytes) {
    server.handle(now, Input::Data(message));
    let Action::Write(bytes) = server.poll(now) else { unreachable!() };
    drop(black_box(bytes));
    server.handle(now, Input::Wrote(MESSAGE));
    let Action::Wait(wait) = server.poll(now) else { unreachable!() };
    black_box(wait);
}

fn driven(server: &mut Driven<EchoServer>, now: Time, message: Bytes) {
    let rest = server.data(now, message);
    assert!(rest.is_empty());
    let Step::Write = server.step(now) else { unreachable!() };
    let wrote = black_box(server.pending()).len();
    server.wrote(now, wrote);
    let Step::Wait(wait) = server.step(now) else { unreachable!() };
    black_box(wait);
}

fn ping(pinger: &mut Driven<Pinger>, now: Time) {
    let Step::Write = pinger.step(now) else { unreachable!() };
    let bytes = pinger.take(now, usize::MAX);
    let Step::Wait(_) = pinger.step(now) else { unreachable!() };
    let rest = pinger.data(now, bytes);
    assert!(rest.is_empty());
    let Step::Event(trip) = pinger.step(now) else { unreachable!() };
    black_box(trip);
}

fn pinger(size: usize) -> Driven<Pinger> {
    let config = PingerConfig::default().size(size).timeout(None);
    Driven::new(Pinger::new(config.into(), Schedule::closed_loop(Time::ZERO), 1, Time::ZERO))
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (what, count) = (args.next(), args.next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(1));
    let mut block = Block::new();
    let mut server = EchoServer::new(ServerConfig::default().into(), Time::ZERO);
    let times = (0..count).map(Time::from_nanos);
    match what.as_deref() {
        Some("block") => times.for_each(|_now| drop(black_box(block.read()))),
        Some("driven") => {
            let mut server = Driven::new(server);
            let _ = server.step(Time::ZERO);
            times.for_each(|now| driven(&mut server, now, block.read()));
        }
        Some("ping") => {
            let mut pinger = pinger(64);
            times.for_each(|now| ping(&mut pinger, now));
        }
        Some("ping-16k") => {
            let mut pinger = pinger(16 << 10);
            times.for_each(|now| ping(&mut pinger, now));
        }
        // `cargo bench` passes options of its own.
        Some("raw" | "--bench") | None => {
            let _ = server.poll(Time::ZERO);
            times.for_each(|now| raw(&mut server, now, block.read()));
        }
        Some(other) => {
            eprintln!("unknown path `{other}`: raw, driven, block, ping or ping-16k");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
