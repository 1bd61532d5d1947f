//! `load` over datagrams: a thread a socket, and what became of each datagram, and when.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_echo::{DatagramClient, DatagramClientConfig, DatagramOutcome, DatagramResult, Schedule};
use roundtrip_std::{Clock, DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, SystemClock};
use serde::Serialize;

use super::document::{Course, Lag, Late, latency_of};
use super::plan::Plan;
use super::record::{Record, Records};
use super::report::{lag_words, latency_line, pace};
use super::{LEAD, LEAD_EACH, LoadArgs, MAX_RECORDS, OPEN_MESSAGES, hgrm, length_words, output, svg, watch};
use crate::client::{Signals, Stop};
use crate::datagrams::{self, Driver};
use crate::file::Output;
use crate::problem::{Exit, Problem, plain};
use crate::units::{self, bytes, grouped, latency, many, rate};
use crate::verdict::datagrams::{Checked, Fault, Findings, Judged, Options};
use crate::{cli, driver, json, out};

/// Descriptors of a socket and its driver's wake-up.
const DESCRIPTORS: u64 = 2;
/// And what threads wait on.
const OTHER_DESCRIPTORS: u64 = 6;

pub(super) fn run(args: &LoadArgs, name: &str, endpoint: &Endpoint) -> Result<Exit, Problem> {
    datagrams::refuse_groups(name, endpoint)?;
    datagrams::refuse("--half-close", args.half_close.is_some(), "they have no end")?;
    let driver = Driver::new(&args.driver)?;
    driver::connections("--connections", Some(args.connections), DESCRIPTORS, OTHER_DESCRIPTORS)?;
    let plan = Plan::new(args)?;
    let config = config(args, endpoint)?;
    let seed = args.seed.unwrap_or_else(cli::random_seed);
    let files = Files { hgrm: output(args.hgrm.as_ref())?, svg: output(args.svg.as_ref())? };
    let (stop, clock) = (Stop::on_signals(Signals::StopFirst)?, SystemClock::new());
    let sockets = datagrams::connect(name, endpoint, &args.client, plan.connections, &stop)?;
    let start = clock.now().after(LEAD + LEAD_EACH * u32::try_from(sockets.len()).unwrap_or(u32::MAX));
    let load = Load {
        plan,
        driver,
        config: Arc::new(config),
        seed,
        clock,
        start,
        stop: &stop,
        overdue: AtomicBool::new(false),
        scheduled: AtomicU64::new(0),
        records: Records::new(plan.connections.min(MAX_RECORDS), start, &plan)?,
    };
    let limit = plan.lasts().filter(|_| plan.rate.is_some());
    let limit = limit.map(|lasts| start.after(lasts).after(args.client.timeout));
    let ended = watch::watched(&load, clock, limit, || load.drive(sockets))??;
    load.tell(args, name, &ended, &files)
}

fn config(args: &LoadArgs, endpoint: &Endpoint) -> Result<DatagramClientConfig, Problem> {
    let in_flight = match (args.in_flight, args.rate) {
        (Some(datagrams), _) => driver::in_memory(datagrams),
        (None, None) => 1,
        (None, Some(_)) => OPEN_MESSAGES,
    };
    datagrams::check_size("--size", args.size, endpoint)?;
    let config = DatagramClientConfig::default().size(args.size).in_flight(in_flight);
    let config = config.timeout(Some(args.client.timeout));
    config.validate()?;
    Ok(config)
}

struct Files {
    hgrm: Option<Output>,
    svg: Option<Output>,
}

type Ended = DatagramsEnded<DatagramOutcome>;

struct Load<'a> {
    plan: Plan,
    driver: Driver,
    config: Arc<DatagramClientConfig>,
    seed: u64,
    clock: SystemClock,
    start: Time,
    stop: &'a Stop,
    overdue: AtomicBool,
    /// Datagrams that are to be sent by the sockets that began.
    scheduled: AtomicU64,
    records: Records,
}

impl watch::Watched for Load<'_> {
    fn record(&self) -> Record {
        self.records.sum()
    }

    fn start(&self) -> Time {
        self.start
    }

    fn give_up(&self) {
        if !self.stop.is_stopped() {
            self.overdue.store(true, Ordering::Relaxed);
            self.stop.stop();
        }
    }
}

impl Load<'_> {
    fn drive(&self, sockets: Vec<DatagramSocket>) -> Result<Vec<Ended>, Problem> {
        datagrams::drive_all(sockets, |index, socket| self.drive_one(index, socket))
    }

    fn drive_one(&self, index: usize, socket: DatagramSocket) -> std::io::Result<Ended> {
        let begins = self.plan.begins(index);
        let schedule = self.plan.schedule(index, self.start, begins);
        self.scheduled.fetch_add(schedule.messages, Ordering::Relaxed);
        let server = datagrams::peer(&socket)?;
        let machine = |now| self.client(index, schedule, server, now);
        let reach = |control| self.stop.watch(&control);
        let ended = self.driver.drive(self.clock, socket, reach, machine, |fate| self.add(index, fate));
        if let Ok(ended) = &ended {
            self.give_up(index, &schedule, ended.outcome.counts.sent);
        }
        ended
    }

    fn client(
        &self,
        index: usize,
        schedule: Schedule,
        server: DatagramAddress,
        now: Time,
    ) -> DatagramClient<DatagramAddress> {
        let seed = self.seed.wrapping_add(index as u64);
        DatagramClient::new(Arc::clone(&self.config), schedule, server, seed, now)
    }

    fn add(&self, index: usize, fate: DatagramResult) {
        let mut record = self.records.of(index);
        match fate {
            DatagramResult::Back(trip) => record.add(trip),
            DatagramResult::GivenUp(due) => record.give_up(due, true, self.clock.now()),
        }
    }

    /// In an open loop: what was due and was not sent.
    fn give_up(&self, index: usize, schedule: &Schedule, sent: u64) {
        let now = self.clock.now();
        let mut record = self.records.of(index);
        for number in sent..schedule.messages {
            let Some(due) = schedule.due(number).filter(|due| *due < now) else { break };
            record.give_up(due, false, now);
        }
    }

    /// Writes the files and prints the result.
    fn tell(&self, args: &LoadArgs, name: &str, ended: &[Ended], files: &Files) -> Result<Exit, Problem> {
        // The last period belongs to it as well, if it was not cut short.
        let planned = self.plan.lasts().filter(|_| !self.stop.is_stopped()).unwrap_or_default();
        let took = datagrams::latest(ended).since(self.start).max(planned);
        let sending = datagrams::active(ended).since(self.start).max(planned);
        let checked = Checked {
            options: Options::Load { paced: self.plan.rate.is_some() },
            count: ended.iter().map(|ended| ended.outcome.counts.sent).max().unwrap_or(0),
            size: self.config.size as u64,
            wait: self.config.wait,
            timeout: args.client.timeout,
            took,
            connections: self.plan.connections,
            round: None,
            again: self.again(args, name),
        };
        let failure =
            ended.iter().find_map(|ended| ended.failure.as_ref()).map(|failed| plain(&failed.error));
        let judged = Judged::of(&checked, ended, failure);
        if let Some(why) = judged.unreachable() {
            return Err(datagrams::unreachable(name, why));
        }
        let record = watch::Watched::record(self);
        let report = Report { load: self, checked, judged, record, took, sending };
        let (head, told) = (report.headline(), report.lines());
        let written = [
            files.hgrm.as_ref().map(|file| file.write(&hgrm::text(&report.record.latency))),
            files.svg.as_ref().map(|file| {
                file.write(&svg::picture(&head, &told, &report.checked.again, &report.record, took))
            }),
        ];
        let mut exit = report.exit();
        // What a file lacks makes the load incomplete; the result is told all the same.
        for problem in written.into_iter().flatten().filter_map(Result::err) {
            exit = if exit == Exit::Ok { Exit::Incomplete } else { exit };
            out::complain(problem);
        }
        if args.json {
            json::deliver(&report.document(args, name, exit))?;
        } else {
            out::deliver(told)?;
        }
        Ok(exit)
    }

    fn again(&self, args: &LoadArgs, name: &str) -> String {
        let mut words = vec![format!("roundtrip load {}", units::quoted(name))];
        words.push(format!("-c {} --size {} --seed {}", args.connections, args.size, self.seed));
        words.push(length_words(&self.plan));
        let options = [
            args.rate.map(|rate| format!("--rate {rate}")),
            args.in_flight.map(|datagrams| format!("--in-flight {datagrams}")),
            args.ramp.map(|ramp| format!("--ramp {}", units::duration(ramp))),
        ];
        words.extend(options.into_iter().flatten());
        words.extend(args.driver.again());
        words.extend(args.client.again());
        words.join(" ")
    }
}

struct Report<'a> {
    load: &'a Load<'a>,
    checked: Checked,
    judged: Judged,
    record: Record,
    took: Duration,
    /// The same without the wait for what never came.
    sending: Duration,
}

impl Report<'_> {
    /// Datagrams that were to be sent, where that is known.
    fn scheduled(&self) -> Option<u64> {
        self.load.plan.scheduled(self.load.scheduled.load(Ordering::Relaxed))
    }

    /// Datagrams that were to be sent and were not.
    fn unsent(&self) -> u64 {
        self.scheduled().map_or(0, |scheduled| scheduled.saturating_sub(self.judged.findings.sent))
    }

    fn is_overdue(&self) -> bool {
        self.load.overdue.load(Ordering::Relaxed) && self.unsent() > 0
    }

    fn exit(&self) -> Exit {
        let is_whole = !self.is_overdue() && self.judged.findings.sent > 0;
        if self.judged.exit == Exit::Ok && !is_whole { Exit::Incomplete } else { self.judged.exit }
    }

    fn headline(&self) -> String {
        let findings = &self.judged.findings;
        let what = format!("{} of {}", many(findings.back, "datagram"), bytes(self.checked.size));
        let seconds = self.took.as_secs_f64();
        match &self.judged.found {
            Some(found) => format!("FAIL  {}", found.what),
            None if self.is_overdue() => format!(
                "INCOMPLETE  the rate was not reached: {} never sent; {what} back, {seconds:.3} s",
                many(self.unsent(), "datagram")
            ),
            None if self.exit() == Exit::Ok => format!("ok  {what} back, once and in order, {seconds:.3} s"),
            None => format!("INCOMPLETE  stopped; {what} back, {seconds:.3} s"),
        }
    }

    fn lines(&self) -> String {
        let (plan, findings) = (&self.load.plan, &self.judged.findings);
        let sockets = many(plan.connections as u64, "socket");
        let mut text = self.headline();
        let _ = match plan.rate {
            Some(rate) => write!(
                text,
                "\n  open loop, {}/s on {sockets}: latency counts from when a datagram was due",
                grouped(rate)
            ),
            None => write!(
                text,
                "\n  closed loop on {sockets}: a stall is seen only by what is in flight (--rate sees all of it)"
            ),
        };
        let _ = write!(text, "\n  {}", findings.line());
        if plan.rate.is_some() {
            let _ = write!(text, "   late starts {}", grouped(self.record.late));
            if self.record.late > 0 {
                let _ = write!(text, " (the latest by {})", latency(self.record.latest));
            }
            lag_words(&mut text, &self.record);
        }
        latency_line(&mut text, &self.record);
        let (there, back) = (self.per_second(findings.sent), self.per_second(findings.back));
        #[expect(clippy::cast_precision_loss, reason = "told to three digits")]
        let size = self.checked.size as f64;
        let _ = write!(
            text,
            "\n  {} datagrams/s, {} there, {} back",
            pace(back),
            rate(there * size),
            rate(back * size)
        );
        if let Some(likely) = self.judged.found.as_ref().and_then(|found| found.likely.as_ref()) {
            let _ = write!(text, "\n  likely: {likely}\n  again: {}", self.checked.again);
        }
        text
    }

    fn per_second(&self, count: u64) -> f64 {
        units::per_second(count, self.sending)
    }

    fn document<'d>(&'d self, args: &LoadArgs, name: &'d str, exit: Exit) -> Document<'d> {
        Document {
            result: json::result(exit, self.judged.found.is_some()),
            exit: exit as u8,
            endpoint: name,
            driver: self.load.driver.name(),
            seed: self.load.seed,
            r#loop: if args.rate.is_some() { "open" } else { "closed" },
            connections: args.connections,
            datagram_bytes: self.checked.size,
            in_flight: self.load.config.in_flight,
            rate_per_second: args.rate,
            wait_seconds: self.checked.wait.as_secs_f64(),
            timeout_seconds: self.checked.timeout.as_secs_f64(),
            seconds: self.took.as_secs_f64(),
            sending_seconds: self.sending.as_secs_f64(),
            scheduled: self.scheduled(),
            findings: self.judged.findings,
            late_starts: args.rate.map(|_| Late::of(&self.record)),
            lag: args.rate.map(|_| Lag::of(&self.record)),
            latency_seconds: latency_of(&self.record),
            datagrams_per_second: self.per_second(self.judged.findings.back),
            fault: self.judged.found.as_ref().map(Fault::of),
            course: Course::of(&self.record),
            again: &self.checked.again,
        }
    }
}

/// What `load --json` prints over datagrams: `docs/schema/load.json`.
#[derive(Serialize)]
struct Document<'a> {
    result: &'static str,
    exit: u8,
    endpoint: &'a str,
    driver: &'static str,
    seed: u64,
    r#loop: &'static str,
    connections: u64,
    datagram_bytes: u64,
    in_flight: usize,
    rate_per_second: Option<u64>,
    wait_seconds: f64,
    timeout_seconds: f64,
    seconds: f64,
    sending_seconds: f64,
    scheduled: Option<u64>,
    findings: Findings,
    late_starts: Option<Late>,
    lag: Option<Lag>,
    latency_seconds: Option<std::collections::BTreeMap<String, f64>>,
    datagrams_per_second: f64,
    fault: Option<Fault>,
    course: Course,
    again: &'a str,
}
