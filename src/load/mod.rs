//! `load`: many messages, each verified, each timed.

mod dial;
mod document;
mod hgrm;
mod plan;
mod record;
mod report;
mod sessions;
mod svg;
mod watch;

use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roundtrip_core::echo::{ConfigError, PingerConfig};
use roundtrip_std::{Clock, Endpoint, NetError, SystemClock};

use crate::cli::{self, LoadArgs};
use crate::client::{self, Signals, Stop};
use crate::driver::{self, Driver};
use crate::problem::{Exit, Problem, plain};
use crate::verdict::{Checked, Judged};
use crate::{json, loopback, out, units};
use plan::{Length, Plan};
use report::Report;
use sessions::Sessions;

/// From the moment when all is connected to the first message, and so much more for each connection: so long it takes
/// to begin them.
const LEAD: Duration = Duration::from_millis(1);
const LEAD_EACH: Duration = Duration::from_micros(50);
/// What may be on its way on a connection of an open loop, if nothing else is said.
const OPEN_MESSAGES: usize = 1024;
const OPEN_BYTES: usize = 64 << 20;
/// Records are kept apart for so many threads.
const MAX_RECORDS: usize = 8;

pub(crate) fn run(args: &LoadArgs) -> Result<Exit, Problem> {
    let driver = Driver::new(args.driver, args.threads)?;
    // A server of our own takes as many.
    let each = driver.descriptors_each() * if args.endpoint.is_none() { 2 } else { 1 };
    driver::connections("--connections", Some(args.connections), each)?;
    let load = Load {
        args,
        driver,
        plan: Plan::new(args)?,
        config: config(args)?,
        seed: args.seed.unwrap_or_else(cli::random_seed),
        // Before anything is sent: a file that cannot be written should not cost a run.
        hgrm: args.hgrm.as_deref().map(create).transpose()?,
        svg: args.svg.as_deref().map(create).transpose()?,
    };
    match &args.endpoint {
        Some(text) => load.run(text, &cli::endpoint(text)?),
        None => loopback::serve_during(driver, args.client.family(), |endpoint| {
            load.run(&endpoint.to_string(), &endpoint)
        }),
    }
}

struct Load<'a> {
    args: &'a LoadArgs,
    driver: Driver,
    plan: Plan,
    config: PingerConfig,
    seed: u64,
    hgrm: Option<(File, &'a str)>,
    svg: Option<(File, &'a str)>,
}

impl Load<'_> {
    fn run(self, name: &str, endpoint: &Endpoint) -> Result<Exit, Problem> {
        let (args, plan, clock) = (self.args, self.plan, SystemClock::new());
        let stop = Stop::on_signals(Signals::StopFirst)?;
        let mut streams =
            dial::dial(endpoint, client::options(&args.client), plan, (clock, clock.now()), &stop)?;
        let failures = streams.failures();
        // Without a ramp all are there before the first one sends.
        let connected: Vec<_> =
            if plan.ramp.is_zero() { streams.by_ref().collect() } else { streams.by_ref().take(1).collect() };
        if connected.is_empty() {
            return match failures.take() {
                (_, Some(error)) => Err(Problem::net(name, &error)),
                (_, None) => {
                    Err(Problem::new(Exit::Incomplete, "stopped before a connection was made", "wait longer"))
                }
            };
        }
        let count = u32::try_from(connected.len()).unwrap_or(u32::MAX);
        let start = clock.now().after(LEAD + LEAD_EACH * count);
        let threads = self.driver.threads().map_or(MAX_RECORDS, usize::from).min(plan.connections);
        let sessions = Sessions::new(plan, self.config.clone(), self.seed, start, &stop, threads)?;
        // What is overdue by then is given up.
        let limit = plan.lasts().map(|lasts| start.after(lasts).after(args.client.timeout));
        let driven = watch::watched(&sessions, clock, limit, || {
            self.driver.drive_all(clock, connected.into_iter().chain(streams), &sessions)
        })?;
        driven.map_err(|error| Problem::system("cannot run so many connections", &error))?;
        self.tell(&sessions, failures.take())
    }

    /// Writes the files and prints the result.
    fn tell(
        self,
        sessions: &Sessions<'_>,
        (unconnected, error): (u64, Option<NetError>),
    ) -> Result<Exit, Problem> {
        let record = sessions.record();
        let outcomes = sessions.outcomes();
        let checked = Checked {
            total: None,
            took: record.last.since(sessions.start),
            timeout: self.args.client.timeout,
            half_close: self.args.half_close,
            stall: None,
            connections: outcomes.len(),
            round: None,
            again: self.again(),
        };
        let why = error.map(|error| plain(&error.source));
        let mut report = Report {
            plan: self.plan,
            size: self.config.size() as u64,
            in_flight: self.config.in_flight(),
            judged: Judged::of(&checked, &outcomes),
            sent_bytes: outcomes.iter().map(|(_, outcome)| outcome.sent).sum(),
            received_bytes: outcomes.iter().map(|(_, outcome)| outcome.received).sum(),
            unconnected,
            unconnected_why: why.as_deref(),
            took: checked.took,
            checked,
            record,
            overdue: sessions.overdue.load(Ordering::Relaxed),
            is_written: true,
        };
        let written = [
            self.hgrm.as_ref().map(|file| write(file, &hgrm::text(&report.record.latency))),
            self.svg.as_ref().map(|file| write(file, &svg::picture(&report))),
        ];
        // What a file lacks makes the load incomplete; the result is told all the same.
        for problem in written.into_iter().flatten().filter_map(Result::err) {
            report.is_written = false;
            out::complain(problem);
        }
        if self.args.json {
            json::deliver(&document::Document::of(self.args, self.seed, &report))?;
        } else {
            out::deliver(report.lines())?;
        }
        Ok(report.exit())
    }

    /// The command that does the same again: the options that decide what is sent, and what is not the default.
    fn again(&self) -> String {
        let args = self.args;
        let mut words = vec!["roundtrip load".to_owned()];
        words.extend(args.endpoint.clone());
        words.push(format!("-c {} --size {} --seed {}", args.connections, args.size, self.seed));
        words.push(match self.plan.length {
            Length::Lasts(lasts) => format!("-d {}", units::duration(lasts)),
            Length::Count(count) => format!("--count {count}"),
        });
        let options = [
            args.rate.map(|rate| format!("--rate {rate}")),
            args.in_flight.map(|messages| format!("--in-flight {messages}")),
            args.ramp.map(|ramp| format!("--ramp {}", units::duration(ramp))),
            (!args.half_close).then(|| "--half-close off".to_owned()),
            (args.driver != cli::Driver::Smol).then(|| format!("--driver {}", args.driver.name())),
            args.threads.map(|threads| format!("--threads {threads}")),
        ];
        words.extend(options.into_iter().flatten());
        words.extend(args.client.again());
        words.join(" ")
    }
}

fn config(args: &LoadArgs) -> Result<PingerConfig, Problem> {
    let builder = PingerConfig::builder().size(args.size).in_flight(in_flight(args));
    let built = builder.timeout(Some(args.client.timeout)).half_close(args.half_close).build();
    built.map_err(|error| {
        let ConfigError::TooLarge { field: "in_flight", max } = error else { return error.into() };
        let (asked, size) = (in_flight(args), units::bytes(args.size as u64));
        let cause = format!("--in-flight {asked} is too much for messages of {size}");
        Problem::usage(cause, format!("ask for at most {max}"))
    })
}

/// As many as may be on their way; in an open loop so many that it is the peer who is measured, and not this.
fn in_flight(args: &LoadArgs) -> usize {
    match (args.in_flight, args.rate) {
        (Some(messages), _) => driver::in_memory(messages),
        (None, None) => 1,
        (None, Some(_)) => (OPEN_BYTES / args.size).clamp(1, OPEN_MESSAGES),
    }
}

fn create(path: &str) -> Result<(File, &str), Problem> {
    File::create(path).map(|file| (file, path)).map_err(|error| {
        let cause = format!("cannot write {}: {}", path.escape_debug(), plain(&error));
        Problem::usage(cause, "name a file in a folder that can be written to")
    })
}

fn write((file, path): &(File, &str), text: &str) -> Result<(), Problem> {
    let mut file = file;
    file.write_all(text.as_bytes())
        .and_then(|()| match file.sync_all() {
            // A pipe or a terminal has nothing to wait for.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        })
        .map_err(|error| {
            let cause = format!("cannot write {}: {}", path.escape_debug(), plain(&error));
            Problem::new(Exit::Incomplete, cause, "name a file where there is room for it")
        })
}
