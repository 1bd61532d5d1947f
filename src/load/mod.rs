//! `load`: many messages, each verified, each timed.

mod args;
mod datagrams;
mod dial;
mod document;
mod hgrm;
mod plan;
mod record;
mod report;
mod sessions;
mod svg;
mod watch;

use std::sync::atomic::Ordering;
use std::time::Duration;

use roundtrip_echo::{ConfigError, PingerConfig};
use roundtrip_std::{Clock, Endpoint, NetError, SystemClock};

use crate::cli;
use crate::client::{self, Signals, Stop};
use crate::driver::{self, Driver};
use crate::file::{self, Access, Output};
use crate::problem::{Exit, Problem, plain};
use crate::verdict::{Checked, Judged, Sent};
use crate::{json, loopback, out, platform, units};
pub(crate) use args::LoadArgs;
use plan::{Length, Plan};
use report::Report;
use sessions::Sessions;
use watch::Watched;

/// From the moment when all is connected to the first message, and so much more for each connection: so long it takes
/// to begin them.
const LEAD: Duration = Duration::from_millis(1);
const LEAD_EACH: Duration = Duration::from_micros(50);
/// What may be on its way on a connection of an open loop, if nothing else is said.
const OPEN_MESSAGES: usize = 1024;
const OPEN_BYTES: usize = 64 << 20;
/// What the messages of all connections may take together, unless each is small: 1 GiB.
const MAX_BYTES: u64 = 1 << 30;
const OPEN_MESSAGE: usize = 64 << 10;
/// Records are kept apart for so many threads.
const MAX_RECORDS: usize = 8;

pub(crate) fn run(args: &LoadArgs) -> Result<Exit, Problem> {
    platform::exact_timers();
    let endpoint = args.endpoint.as_deref();
    if let (Some(hgrm), Some(svg)) = (&args.hgrm, &args.svg)
        && hgrm == svg
    {
        return Err(Problem::usage("--hgrm and --svg name the same file", "name two"));
    }
    file::refuse_to_mix(&[("--hgrm", args.hgrm.as_ref()), ("--svg", args.svg.as_ref())], args.json)?;
    if let Some(name) = endpoint {
        let endpoint = cli::endpoint(name)?;
        if endpoint.is_datagram() {
            return datagrams::run(args, name, &endpoint);
        }
    }
    let half_close = cli::half_close(args.half_close, endpoint)?;
    let driver = Driver::over(&args.driver, endpoint.map(cli::endpoint).transpose()?.as_ref())?;
    let each = loopback::descriptors_each(endpoint, driver);
    let of_threads = loopback::descriptors_of_threads(endpoint, driver);
    driver::connections("--connections", Some(args.connections), each, of_threads)?;
    let load = Load {
        args,
        driver,
        plan: Plan::new(args)?,
        config: config(args, half_close)?,
        half_close,
        seed: args.seed.unwrap_or_else(cli::random_seed),
        hgrm: output(args.hgrm.as_ref())?,
        svg: output(args.svg.as_ref())?,
    };
    loopback::reach(endpoint, driver, args.client.family(), |name, endpoint| load.run(name, &endpoint))
}

struct Load<'a> {
    args: &'a LoadArgs,
    driver: Driver,
    plan: Plan,
    config: PingerConfig,
    half_close: bool,
    seed: u64,
    hgrm: Option<Output>,
    svg: Option<Output>,
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
            return Err(match failures.take() {
                (_, Some(error)) if !stop.is_stopped() => Problem::net(name, &error),
                _ => Problem::new(
                    Exit::Incomplete,
                    "interrupted before a connection was made",
                    "give it more time, or less with --connect-timeout",
                ),
            });
        }
        let count = u32::try_from(connected.len()).unwrap_or(u32::MAX);
        let start = clock.now().after(LEAD + LEAD_EACH * count);
        let threads = self.driver.threads().map_or(MAX_RECORDS, usize::from).min(plan.connections);
        let sessions = Sessions::new(plan, self.config.clone(), self.seed, (clock, start), &stop, threads)?;
        // What is overdue by then is given up.
        let limit = plan.lasts().filter(|_| plan.rate.is_some());
        let limit = limit.map(|lasts| start.after(lasts).after(args.client.timeout));
        let driven = watch::watched(&sessions, clock, limit, || {
            self.driver.drive_all(clock, connected.into_iter().chain(streams), &sessions)
        })?;
        // What was measured until then is told all the same.
        let trouble = driven.map_err(|error| Problem::system("cannot run so many connections", &error)).err();
        if let Some(problem) = &trouble {
            out::complain(problem);
        }
        self.tell(&sessions, clock.now().since(start), failures.take(), trouble.is_some())
    }

    /// Writes the files and prints the result.
    fn tell(
        self,
        sessions: &Sessions<'_>,
        took: Duration,
        (unconnected, error): (u64, Option<NetError>),
        impaired: bool,
    ) -> Result<Exit, Problem> {
        let record = sessions.record();
        let ended = sessions.ended();
        let checked = Checked {
            took,
            timeout: self.args.client.timeout,
            half_close: self.half_close,
            // Those that never began are not well.
            connections: self.plan.connections - driver::in_memory(unconnected).min(self.plan.connections),
            ..Checked::new(Sent::Seeded(self.seed), self.again())
        };
        let why = error.map(|error| plain(&error.source));
        let size = self.config.size as u64;
        let mut report = Report {
            plan: self.plan,
            size,
            scheduled: sessions.scheduled(),
            sent: ended.iter().map(|ended| ended.outcome.sent / size).sum(),
            in_flight: self.config.in_flight,
            judged: Judged::of(&checked, &ended),
            sent_bytes: ended.iter().map(|ended| ended.outcome.sent).sum(),
            received_bytes: ended.iter().map(|ended| ended.outcome.received).sum(),
            unconnected,
            unconnected_why: why.as_deref(),
            took,
            checked,
            record,
            overdue: sessions.overdue.load(Ordering::Relaxed),
            impaired,
        };
        if report.judged.exit == Exit::Ok {
            // The last period belongs to it as well.
            report.took = took.max(self.plan.lasts().unwrap_or_default());
        }
        let written = [
            self.hgrm.as_ref().map(|file| file.write(&hgrm::text(&report.record.latency))),
            self.svg.as_ref().map(|file| {
                let (head, told) = (report.headline(), report.lines());
                file.write(&svg::picture(&head, &told, &report.checked.again, &report.record, report.took))
            }),
        ];
        // What a file lacks makes the load incomplete; the result is told all the same.
        for problem in written.into_iter().flatten().filter_map(Result::err) {
            report.impaired = true;
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
        words.extend(args.endpoint.as_deref().map(units::quoted));
        words.push(format!("-c {} --size {} --seed {}", args.connections, args.size, self.seed));
        words.push(length_words(&self.plan));
        let options = [
            args.rate.map(|rate| format!("--rate {rate}")),
            args.in_flight.map(|messages| format!("--in-flight {messages}")),
            args.ramp.map(|ramp| format!("--ramp {}", units::duration(ramp))),
            args.half_close.filter(|on| !on).map(|_off| "--half-close off".to_owned()),
        ];
        words.extend(options.into_iter().flatten());
        words.extend(args.driver.again());
        words.extend(args.client.again());
        words.join(" ")
    }
}

fn config(args: &LoadArgs, half_close: bool) -> Result<PingerConfig, Problem> {
    // Each connection composes a message at one go.
    if (args.size as u64).saturating_mul(args.connections) > MAX_BYTES && args.size > OPEN_MESSAGE {
        let (size, connections) = (units::bytes(args.size as u64), args.connections);
        return Err(Problem::usage(
            format!("messages of {size} on {connections} connections take too much memory"),
            format!("ask for at most --size {}", MAX_BYTES / args.connections),
        ));
    }
    let config = PingerConfig::default()
        .size(args.size)
        .in_flight(in_flight(args))
        .timeout(Some(args.client.timeout))
        .half_close(half_close);
    config.validate().map_err(|error| {
        let ConfigError::TooLarge { field: "in_flight", max } = error else { return error.into() };
        let (asked, size) = (in_flight(args), units::bytes(args.size as u64));
        let cause = format!("--in-flight {asked} is too much for messages of {size}");
        Problem::usage(cause, format!("ask for at most {max}"))
    })?;
    Ok(config)
}

/// As many as may be on their way; in an open loop so many that it is the peer who is measured, and not this.
fn in_flight(args: &LoadArgs) -> usize {
    match (args.in_flight, args.rate) {
        (Some(messages), _) => driver::in_memory(messages),
        (None, None) => 1,
        (None, Some(_)) => (OPEN_BYTES / args.size).clamp(1, OPEN_MESSAGES),
    }
}

/// How long, as options say it.
fn length_words(plan: &Plan) -> String {
    match plan.length {
        Length::Lasts(lasts) => format!("-d {}", units::duration(lasts)),
        Length::Count(count) => format!("--count {count}"),
    }
}

/// A file that an option asks for, before anything is sent.
fn output(path: Option<&String>) -> Result<Option<Output>, Problem> {
    path.map(|path| Output::new(path.as_ref(), Access::Shared)).transpose()
}
