//! A message of 64 bytes that is sent back: by a script, and by a [`Session`] with the same bounds.
//!
//! `message_path script|session N` does it N times, for an instruction counter to count:
//! `benches/instructions/count.sh`. There is no clock in it, so `cargo bench` runs it once and prints nothing.

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::protocol::{Io, Need, Protocol, Session, SessionConfig};
use roundtrip_core::{Driven, Machine, Step, Time};
use roundtrip_script::{Script, ScriptConfig, ScriptIo};

const SIZE: usize = 64;

async fn echo(io: ScriptIo) {
    while let Ok(message) = io.read_exact(SIZE).await {
        io.write(message).await;
    }
}

struct Echo;

impl Protocol for Echo {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, _: Time, io: &mut Io<'_, Infallible>) -> Need {
        while io.inbox().len() >= SIZE {
            if io.room() == 0 {
                return Need::Room;
            }
            let message = io.inbox().split_to(SIZE);
            io.outbox().extend_from_slice(&message);
        }
        Need::Bytes
    }
}

fn run<M: Machine>(machine: M, count: u64) {
    let mut session = Driven::new(machine);
    let block = BytesMut::zeroed(4096).split().freeze();
    let Step::Wait(_) = session.step(Time::ZERO) else { unreachable!() };
    for now in (0..count).map(Time::from_nanos) {
        let message: Bytes = block.slice(..SIZE);
        assert!(session.data(now, message).is_empty());
        let Step::Write = session.step(now) else { unreachable!() };
        let wrote = black_box(session.pending()).len();
        session.wrote(now, wrote);
        let Step::Wait(wait) = session.step(now) else { unreachable!() };
        black_box(wait);
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (what, count) = (args.next(), args.next().and_then(|count| count.parse().ok()).unwrap_or(1));
    match what.as_deref() {
        // `cargo bench` passes options of its own.
        Some("script" | "--bench") | None => {
            run(Script::<()>::new(Arc::new(ScriptConfig::default()), Time::ZERO, echo), count);
        }
        Some("session") => run(Session::new(Echo, Arc::new(SessionConfig::default()), Time::ZERO), count),
        Some(other) => {
            eprintln!("unknown path `{other}`: script or session");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
