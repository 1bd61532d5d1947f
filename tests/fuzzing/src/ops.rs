//! Operations against the reference models of the core's tests.

use std::time::Duration;

use roundtrip_core::{Action, Input, Machine, Time, Wait};
use roundtrip_echo::{
    ClientConfig, ConfigError, DatagramClientConfig, DatagramEchoConfig, EchoClient, EchoServer, Payload,
    PingerConfig, ServerConfig,
};

use crate::model::door::{Day, Door};
use crate::model::invariants::{
    assert_bytes_are_conserved, assert_contract, assert_counts_are_right, assert_memory_is_bounded,
    assert_work_is_bounded,
};
use crate::model::op::{Op, Served};
use crate::model::peer::{Session, Visited};
use crate::model::pinging::{Pinged, assert_timed};
use crate::model::slicing::{Round, Slicing, assert_judged_alike, assert_served_alike, assert_verified};
use crate::model::twin::Twin;
use crate::model::wire::{Damaged, Records, Wire};

/// A history of a server session, side by side with the reference.
pub fn server_ops(bytes: &[u8]) {
    let Served { setup, ops } = Served::decode(bytes);
    let bench = Twin::run(&setup, &ops).bench;
    assert_bytes_are_conserved(&bench);
    assert_memory_is_bounded(&setup, &bench);
    assert_contract(&bench);
    assert_work_is_bounded(&bench);
    if let Some(slicing) = sliced(bytes) {
        assert_served_alike(&setup, &rounds(&ops), &slicing, &Slicing::start());
    }
}

/// How an entry wants its streams cut, if it says so.
fn sliced(bytes: &[u8]) -> Option<Slicing> {
    Some(Slicing::decode(bytes)).filter(|slicing| *slicing != Slicing::start())
}

/// Rounds at the most, and bytes a round.
const ROUNDS: usize = 12;
const ROUND: usize = 255;
/// How long a round that ends with a deadline takes, nanoseconds.
const WHILE: u64 = 8;

/// What the same operations do to streams, from one moment to the next.
fn rounds(ops: &[Op]) -> Vec<Round> {
    let mut rounds = vec![Round::default()];
    for op in ops {
        let last = rounds.len() - 1;
        let round = &mut rounds[last];
        match *op {
            Op::Data(n) => round.sent = (round.sent + n).min(ROUND),
            Op::Wrote(n) => round.room = (round.room + n).min(ROUND),
            Op::WroteAll => round.room = ROUND,
            Op::Stop => round.stop = true,
            Op::Eof => round.fin = true,
            Op::Advance(nanos) => round.pause = nanos,
            Op::AdvanceToDeadline => round.pause = WHILE,
            Op::Poll | Op::Settle | Op::Abort | Op::Failed(_) => {}
        }
        if matches!(op, Op::Advance(_) | Op::AdvanceToDeadline) && rounds.len() < ROUNDS {
            rounds.push(Round::default());
        }
    }
    rounds
}

/// A history of a client session and its peer.
pub fn client_ops(bytes: &[u8]) {
    let Visited { setup, ops } = Visited::decode(bytes);
    let bench = Session::run(&setup, &ops).bench;
    assert_counts_are_right(&setup, &bench);
    assert_contract(&bench);
    if let Some(slicing) = sliced(bytes) {
        let damaged = Damaged::decode(bytes);
        assert_judged_alike(setup, damaged.damage(), damaged.reset, &slicing, &Slicing::start());
        assert_verified(&setup, &slicing);
    }
}

/// A history of a load's session and its peer.
pub fn pinger_ops(bytes: &[u8]) {
    let pinged = Pinged::decode(bytes);
    let bench = pinged.run();
    assert_contract(&bench);
    assert_timed(&pinged.setup, &bench);
}

/// A day at a door, to its end in two ways.
pub fn admission_ops(bytes: &[u8]) {
    let day = Day::decode(bytes);
    Door::assert_a_stop_ends(&day);
    Door::assert_a_heeded_stop_sweeps(&day);
}

/// The tag of the first field.
const CONFIG_TAG: u8 = 130;

/// The largest of what is counted in bytes.
const MOST: u64 = 1 << 30;
/// Bytes that a client sends.
const LEN: u64 = 64;

/// Any numbers for every field: a configuration is valid if, and only if, all are within their bounds, the error names the
/// first that is not, and a session takes it either way.
pub fn config_ops(bytes: &[u8]) {
    let mut fields = [None; 9];
    for (tag, number) in Records::of(bytes) {
        let index = usize::from(tag.wrapping_sub(CONFIG_TAG));
        if let Some(field) = fields.get_mut(index) {
            *field = Some(number);
        }
    }
    let size = |index: usize| usize::try_from(fields[index].unwrap_or(1)).unwrap_or(usize::MAX);
    let limit = |index: usize| fields[index].map(Duration::from_nanos);

    let server = ServerConfig::default().buffer(size(0)).chunk(size(1)).max_chunks(size(2));
    let server = server.idle(limit(3)).half_close_idle(limit(4)).max_age(limit(5));
    let span = |index| limit(index).unwrap_or(Duration::from_nanos(1));
    let server = server.quiet(span(6)).drain(span(7)).linger(span(8));
    let limits = ["idle", "half_close_idle", "max_age", "quiet", "drain", "linger"];
    let mut bounds =
        vec![("buffer", fields[0], MOST), ("chunk", fields[1], MOST), ("max_chunks", fields[2], u64::MAX)];
    bounds.extend(limits.into_iter().zip(&fields[3..]).map(|(name, field)| (name, *field, u64::MAX)));
    compare(server.validate(), first_out_of_bounds(&bounds));
    assert_takes_any(EchoServer::new(server.into(), Time::ZERO));

    let client = ClientConfig::default().window(size(0)).chunk(size(1)).write(size(2));
    let client = client
        .timeout(limit(3))
        .pause(limit(4))
        .stall(limit(5))
        .tail_wait(limit(7))
        .half_close(fields[6].is_some());
    let expected = first_out_of_bounds(&[
        ("window", fields[0], MOST),
        ("chunk", fields[1], MOST),
        ("write", fields[2], MOST),
        ("timeout", fields[3], u64::MAX),
        ("tail_wait", fields[7], u64::MAX),
        ("pause", fields[4], u64::MAX),
        ("stall", fields[5], u64::MAX),
    ]);
    compare(client.validate(), expected);
    assert_takes_any(EchoClient::new(client.into(), Payload::seeded(1, LEN), Time::ZERO));

    let pinger = PingerConfig::default().size(size(0)).in_flight(size(2)).chunk(size(1));
    let most = MOST.checked_div(fields[0].unwrap_or(1)).unwrap_or(0).min(1 << 20);
    let expected = first_out_of_bounds(&[
        ("size", fields[0], MOST),
        ("in_flight", fields[2], most),
        ("chunk", fields[1], MOST),
        ("timeout", fields[3], u64::MAX),
    ]);
    let pinger = pinger.timeout(limit(3)).half_close(fields[6].is_some());
    compare(pinger.validate(), expected);
    datagram_configs(&fields);
}

/// The same numbers for the configurations of datagram sessions.
fn datagram_configs(fields: &[Option<u64>; 9]) {
    let size = |index: usize| usize::try_from(fields[index].unwrap_or(1)).unwrap_or(usize::MAX);
    let limit = |index: usize| fields[index].map(Duration::from_nanos);
    let span = |index| limit(index).unwrap_or(Duration::from_nanos(1));
    let number = |index: usize| fields[index].map(|number| u32::try_from(number).unwrap_or(u32::MAX));

    let echo = DatagramEchoConfig::default().rate(number(0)).repeats(number(1)).quiet(span(6)).drain(span(7));
    let expected = first_out_of_bounds(&[
        ("rate", fields[0], 1_000_000_000),
        ("repeats", fields[1], u64::MAX),
        ("quiet", fields[6], u64::MAX),
        ("drain", fields[7], u64::MAX),
    ]);
    compare(echo.validate(), expected);

    let client = DatagramClientConfig::default().size(size(0)).in_flight(size(2));
    let client = client.wait(span(3)).timeout(limit(4)).settle(span(5));
    let expected = match size(0) {
        ..16 => Some(ConfigError::TooSmall { field: "size", min: 16 }),
        _ => first_out_of_bounds(&[
            ("size", fields[0], 65_507),
            ("in_flight", fields[2], 1 << 20),
            ("wait", fields[3], u64::MAX),
            ("timeout", fields[4], u64::MAX),
            ("settle", fields[5], u64::MAX),
        ]),
    };
    compare(client.validate(), expected);
}

/// The first of these fields, each with its largest value, that is zero or larger; one that is left out is neither.
fn first_out_of_bounds(fields: &[(&'static str, Option<u64>, u64)]) -> Option<ConfigError> {
    fields.iter().find_map(|&(field, value, most)| match value? {
        0 => Some(ConfigError::Zero { field }),
        value if value > most => {
            Some(ConfigError::TooLarge { field, max: usize::try_from(most).unwrap_or(usize::MAX) })
        }
        _ => None,
    })
}

/// A session with any configuration comes to a wait, which ends after now.
fn assert_takes_any(mut session: impl Machine) {
    let now = Time::ZERO;
    for _ in 0..=2 * LEN {
        match session.poll(now) {
            Action::Write(bytes) => session.handle(now, Input::Wrote(bytes.len())),
            Action::Wait(Wait { deadline, .. }) => {
                return assert!(deadline.is_none_or(|at| at > now), "I5: {deadline:?}");
            }
            Action::ShutdownWrite | Action::Event(_) => {}
            Action::Close { .. } => panic!("it closes before anything happened"),
        }
    }
    panic!("it does not come to a wait");
}

fn compare(validated: Result<(), ConfigError>, expected: Option<ConfigError>) {
    assert_eq!(validated.err(), expected);
    if let Some(error) = expected {
        let (ConfigError::Zero { field }
        | ConfigError::TooLarge { field, .. }
        | ConfigError::TooSmall { field, .. }) = error
        else {
            return;
        };
        assert!(error.to_string().starts_with(field), "{error}");
    }
}
