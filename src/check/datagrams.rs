//! `check` over datagrams: what becomes of each that is sent?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_echo::{
    ConfigError, DatagramClient, DatagramClientConfig, DatagramOutcome, DatagramResult, Schedule,
};
use roundtrip_std::{DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, SystemClock};
use serde::Serialize;

use super::{CheckArgs, probe, progress};
use crate::client::{Signals, Stop};
use crate::datagrams::{self, Driver};
use crate::problem::{Exit, Problem, plain};
use crate::units::{self, duration};
use crate::verdict::datagrams::{Checked, Fault, Findings, Judged, Options};
use crate::{cli, driver, json, out};

/// Bytes sent and not yet back, at the most, and datagrams: what the kernel's queue of the receiver has room for by default
/// (socket(7): `rmem_default`), small ones as well as large ones, of all sockets together.
const WINDOW: usize = 64 << 10;
const IN_FLIGHT: usize = 64;
/// Datagrams in flight at a rate, which bounds them itself unless they are lost.
const IN_FLIGHT_AT_A_RATE: usize = 1024;
/// How long datagrams that were given up are waited for at the end, at most.
const LATE: Duration = Duration::from_secs(4);

pub(super) fn run(args: &CheckArgs, name: &str, endpoint: &Endpoint) -> Result<Exit, Problem> {
    datagrams::refuse_groups(name, endpoint)?;
    for (option, is_given, why) in [
        ("--half-close", args.half_close.is_some(), "they have no end"),
        ("--pause", args.pause.is_some(), "there is no connection that could be silent"),
        ("--stall", args.stall.is_some(), "what is not read is lost"),
        ("--read", args.read.is_some(), "each is read whole"),
        ("--record", args.record.is_some(), "there is no session"),
        ("--tls-ca", args.tls.is_given(), "TLS is for streams"),
    ] {
        datagrams::refuse(option, is_given, why)?;
    }
    let driver = Driver::new(&args.driver)?;
    let connections = driver::connections("--connections", Some(args.connections), 2, 6)?;
    let seed = args.seed.unwrap_or_else(cli::random_seed);
    let config = Arc::new(config(args, endpoint)?);
    let stop = Stop::on_signals(Signals::Abort)?;
    Run { args, driver, connections, seed, name, endpoint, config, stop }.run()
}

/// How each socket goes about it.
fn config(args: &CheckArgs, endpoint: &Endpoint) -> Result<DatagramClientConfig, Problem> {
    let timeout = args.client.timeout;
    let mut config = DatagramClientConfig::default().timeout(Some(timeout)).settle_late(LATE.min(timeout));
    if let Some(wait) = args.wait {
        config.wait = wait;
    }
    let size = args.write.unwrap_or(config.size);
    datagrams::check_size("--write", size, endpoint)?;
    let in_flight = match args.window {
        Some(window) => window / size,
        None if args.rate.is_some() => IN_FLIGHT_AT_A_RATE,
        None => (WINDOW / size).min(IN_FLIGHT) / driver::in_memory(args.connections),
    };
    config = config.size(size).in_flight(in_flight.max(1));
    config.validate().map_err(|error| {
        let ConfigError::TooLarge { field: "in_flight", max } = error else { return error.into() };
        let most = max.saturating_mul(size);
        Problem::usage(
            format!("--window is more than {} datagrams", units::grouped(max as u64)),
            format!("use --window {most}, or less"),
        )
    })?;
    Ok(config)
}

/// One run of the program: each size in each round is a check.
struct Run<'a> {
    args: &'a CheckArgs,
    driver: Driver,
    connections: usize,
    seed: u64,
    name: &'a str,
    endpoint: &'a Endpoint,
    config: Arc<DatagramClientConfig>,
    stop: Arc<Stop>,
}

type Ended = DatagramsEnded<DatagramOutcome>;

impl Run<'_> {
    fn run(&self) -> Result<Exit, Problem> {
        let args = self.args;
        let sizes = if args.sizes.is_empty() { &[args.bytes][..] } else { &args.sizes };
        let (mut exit, mut checks) = (Exit::Ok, Vec::new());
        'rounds: for round in 1..=args.repeat {
            for &total in sizes {
                let (checked, judged) = self.check(total, round)?;
                exit = judged.exit;
                if args.json {
                    checks.push(Check::of(&checked, &judged, round));
                } else {
                    out::deliver(judged.lines(&checked))?;
                }
                if exit != Exit::Ok {
                    break 'rounds;
                }
            }
        }
        if args.json {
            json::deliver(&self.document(exit, checks))?;
        }
        Ok(exit)
    }

    fn check(&self, total: u64, round: u64) -> Result<(Checked, Judged), Problem> {
        let (args, clock) = (self.args, SystemClock::new());
        let size = self.config.size as u64;
        let count = total.div_ceil(size);
        // All are there before the first one sends.
        let sockets =
            datagrams::connect(self.name, self.endpoint, &args.client, self.connections, &self.stop)?;
        let peer = sockets.first().and_then(DatagramSocket::peer).and_then(DatagramAddress::internet);
        let all = count.saturating_mul(size).saturating_mul(sockets.len() as u64);
        let back = AtomicU64::new(0);
        let drive =
            || datagrams::drive_all(sockets, |index, socket| self.drive(clock, index, socket, count, &back));
        let ended = progress::shown(&back, all, drive)??;
        self.stop.forget();
        let checked = Checked {
            options: Options::Check,
            count,
            size,
            wait: self.config.wait,
            timeout: args.client.timeout,
            took: datagrams::latest(&ended).since(Time::ZERO),
            connections: self.connections,
            round: (args.repeat > 1).then_some((round, args.repeat)),
            again: self.again(total),
        };
        let failure =
            ended.iter().find_map(|ended| ended.failure.as_ref()).map(|failed| plain(&failed.error));
        let mut judged = Judged::of(&checked, &ended, failure);
        // Nobody was ever there: there was nothing to check.
        if let Some(why) = judged.unreachable() {
            return Err(datagrams::unreachable(self.name, why));
        }
        if let Some(peer) = peer.filter(|_| judged.is_silent())
            && let Some(likely) = probe::likely(peer, self.config.size)
        {
            judged.explain(likely);
        }
        Ok((checked, judged))
    }

    fn drive(
        &self,
        clock: SystemClock,
        index: usize,
        socket: DatagramSocket,
        count: u64,
        back: &AtomicU64,
    ) -> std::io::Result<Ended> {
        let server = datagrams::peer(&socket)?;
        let period = self.args.rate.map(|rate| {
            // Each of the sockets has an equal part of the rate.
            let nanos = self.args.connections.saturating_mul(1_000_000_000) / rate;
            Duration::from_nanos(nanos)
        });
        let machine = |now| {
            let schedule =
                period.map_or_else(|| Schedule::closed_loop(now), |period| Schedule::open_loop(now, period));
            let schedule = schedule.messages(count);
            DatagramClient::new(
                Arc::clone(&self.config),
                schedule,
                server,
                self.seed.wrapping_add(index as u64),
                now,
            )
        };
        let size = self.config.size as u64;
        let results = |result| {
            if let DatagramResult::Back(_) = result {
                back.fetch_add(size, Ordering::Relaxed);
            }
        };
        self.driver.drive(clock, socket, |control| self.stop.watch(&control), machine, results)
    }

    /// The command that checks this size again: the options that decide what is sent, and what is not the default.
    fn again(&self, total: u64) -> String {
        let args = self.args;
        let many = |count: u64| (count > 1).then(|| count.to_string());
        let mut words = vec![format!("roundtrip check {}", units::quoted(self.name))];
        words.push(format!("--bytes {total} --seed {}", self.seed));
        let options = [
            ("--connections", many(args.connections)),
            ("--repeat", many(args.repeat)),
            ("--window", args.window.map(|size| size.to_string())),
            ("--write", args.write.map(|size| size.to_string())),
            ("--rate", args.rate.map(|rate| rate.to_string())),
            ("--wait", args.wait.map(duration)),
        ];
        words.extend(options.into_iter().filter_map(|(option, value)| Some(format!("{option} {}", value?))));
        words.extend(args.driver.again());
        words.extend(args.client.again());
        words.join(" ")
    }

    fn document(&self, exit: Exit, checks: Vec<Check>) -> Document<'_> {
        Document {
            result: checks.last().map_or("incomplete", |check| check.result),
            exit: exit as u8,
            endpoint: self.name,
            driver: self.driver.name(),
            seed: self.seed,
            connections: self.args.connections,
            rounds: self.args.repeat,
            datagram_bytes: self.config.size,
            in_flight: self.config.in_flight,
            rate_per_second: self.args.rate,
            wait_seconds: self.config.wait.as_secs_f64(),
            timeout_seconds: self.args.client.timeout.as_secs_f64(),
            checks,
        }
    }
}

/// What `check --json` prints over datagrams: `docs/schema/check.json`.
#[derive(Serialize)]
struct Document<'a> {
    result: &'static str,
    exit: u8,
    endpoint: &'a str,
    driver: &'static str,
    seed: u64,
    connections: u64,
    rounds: u64,
    datagram_bytes: usize,
    in_flight: usize,
    rate_per_second: Option<u64>,
    wait_seconds: f64,
    timeout_seconds: f64,
    checks: Vec<Check>,
}

/// One size in one round.
#[derive(Serialize)]
struct Check {
    result: &'static str,
    round: u64,
    datagrams: u64,
    seconds: f64,
    connections_ok: usize,
    connections_failed: usize,
    findings: Findings,
    fault: Option<Fault>,
    again: String,
}

impl Check {
    fn of(checked: &Checked, judged: &Judged, round: u64) -> Self {
        Self {
            result: json::result(judged.exit, judged.found.is_some()),
            round,
            datagrams: checked.count,
            seconds: checked.took.as_secs_f64(),
            connections_ok: judged.verified,
            connections_failed: judged.failed,
            findings: judged.findings,
            fault: judged.found.as_ref().map(Fault::of),
            again: checked.again.clone(),
        }
    }
}
