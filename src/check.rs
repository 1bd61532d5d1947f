//! `check`: is every byte back, in order, with a clean end?

mod args;
mod datagrams;
mod document;
mod probe;
mod progress;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Machine, Observe, Tap, Time};
use roundtrip_echo::{ClientConfig, ClientOutcome, EchoClient, Payload, Verdict};
use roundtrip_std::{Application, Clock, ConnectionReport, Control, Endpoint, FailedAttempt, SystemClock};

use self::progress::Counting;
use crate::cli;
use crate::client::{self, Signals, Stop};
use crate::driver::{self, Driver};
use crate::file::{self, Access, Output};
use crate::problem::{Exit, Problem, plain};
use crate::record::{self, CLIENT, Recording};
use crate::tls::{self, TlsCaller, TlsClients};
use crate::transport::{self, Stream};
use crate::verdict::{Checked, Ended, Further, Judged, Sent, Tail, Through, Unconnected, Unreached};
use crate::{json, loopback, out, units};
pub(crate) use args::CheckArgs;

/// The largest window: what a stalled client sends and has not read is still on its way.
const MAX_WINDOW: u64 = 1 << 30;
/// Waits for the last bytes before a half-close, one after the other while bytes seem to be withheld.
const TAIL_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// Bytes that are sent to find what withholds the last of them, at most: a prime number, which is no number of whole blocks.
const TAIL_BYTES: u64 = 99_991;
/// A connection that was cut after a longer time is not tried again.
const LONGEST_REPEATED: Duration = Duration::from_secs(10);
/// The longest wait for what is to come back after a pause that is tried for its length alone.
const RESUMED: Duration = Duration::from_secs(4);
/// The largest single write of a stalled client, whose window is as large as its payload.
const STALLED_WRITE: usize = 1 << 20;

pub(crate) fn run(args: &CheckArgs) -> Result<Exit, Problem> {
    let endpoint = args.endpoint.as_deref();
    if let Some(name) = endpoint {
        let endpoint = cli::endpoint(name)?;
        if endpoint.is_datagram() {
            return datagrams::run(args, name, &endpoint);
        }
    }
    if args.wait.is_some() {
        return Err(Problem::usage("--wait is for datagrams", "leave out --wait: --timeout is for streams"));
    }
    if args.rate.is_some() {
        return Err(Problem::usage(
            "--rate is for datagrams",
            "leave out --rate: `roundtrip load` paces messages",
        ));
    }
    let half_close = cli::half_close(args.half_close, endpoint)?;
    let parsed = endpoint.map(cli::endpoint).transpose()?;
    let driver = Driver::over(&args.driver, parsed.as_ref())?;
    if let Some(pipe) = parsed.as_ref().filter(|endpoint| transport::is_pipe(endpoint))
        && args.tls.is_given()
    {
        return Err(Problem::usage(format!("{pipe} speaks no TLS"), "leave out --tls-ca"));
    }
    let each = loopback::descriptors_each(endpoint, driver);
    let of_threads = loopback::descriptors_of_threads(endpoint, driver);
    let connections = driver::connections("--connections", Some(args.connections), each, of_threads)?;
    // Before anything is sent: a file that cannot be written should not cost a run.
    file::refuse_to_mix(&[("--record", args.record.as_ref())], args.json)?;
    let record = args.record.as_ref().map(|path| Output::new(path.as_ref(), Access::Private)).transpose()?;
    loopback::reach(endpoint, driver, args.client.family(), |name, endpoint| {
        let tls = args.tls.caller(&endpoint, args.client.connect_timeout.min(args.client.timeout))?;
        let seed = args.seed.unwrap_or_else(cli::random_seed);
        Run {
            args,
            driver,
            connections,
            half_close,
            seed,
            name: name.to_owned(),
            endpoint,
            tls,
            stop: Stop::on_signals(Signals::Abort)?,
        }
        .run(record)
    })
}

/// One run of the program: each size in each round is a check.
struct Run<'a> {
    args: &'a CheckArgs,
    driver: Driver,
    connections: usize,
    half_close: bool,
    seed: u64,
    name: String,
    endpoint: Endpoint,
    tls: Option<TlsCaller>,
    stop: Arc<Stop>,
}

impl Run<'_> {
    fn run(&self, record: Option<Output>) -> Result<Exit, Problem> {
        let mut checks = Vec::new();
        let exit = match record {
            None => self.rounds(&mut checks, &|_, _| ()),
            Some(output) => {
                let (seed, bytes) = (self.seed, self.args.bytes);
                let config = record::Checked::of(&config(self.args, bytes, self.half_close)?, seed, bytes);
                let recording = Recording::begin(output, self.args.record_limit, CLIENT, &config)?;
                let exit = self.rounds(&mut checks, &recording.watch());
                recording.finish(exit)
            }
        }?;
        if self.args.json {
            json::deliver(&document::Document::of(self.args, self.half_close, self.seed, exit, checks))?;
        }
        Ok(exit)
    }

    /// Checks one after the other, up to the first that is not well. Those for a document are left to it.
    fn rounds<O: Observe<EchoClient> + Send>(
        &self,
        checks: &mut Vec<document::Check>,
        watch: &(impl Fn(ConnectionId, Time) -> O + Sync),
    ) -> Result<Exit, Problem> {
        let sizes = if self.args.sizes.is_empty() { &[self.args.bytes][..] } else { &self.args.sizes };
        let (mut exit, mut passed) = (Exit::Ok, None);
        'rounds: for round in 1..=self.args.repeat {
            for &total in sizes {
                let (checked, judged) = self.check(total, round, passed, watch)?;
                exit = judged.exit;
                passed = passed.max(Some(total));
                if self.args.json {
                    checks.push(document::Check::of(&checked, &judged, round, self.seed));
                } else {
                    out::deliver(judged.lines(&checked))?;
                }
                if exit != Exit::Ok {
                    break 'rounds;
                }
            }
        }
        Ok(exit)
    }

    fn check<O: Observe<EchoClient> + Send>(
        &self,
        total: u64,
        round: u64,
        passed: Option<u64>,
        watch: &(impl Fn(ConnectionId, Time) -> O + Sync),
    ) -> Result<(Checked, Judged), Problem> {
        let args = self.args;
        let clock = SystemClock::new();
        // All are there before the first one sends.
        let (streams, unconnected) = self.connect()?;
        let socket = streams.first().and_then(Stream::socket);
        let addresses =
            socket.and_then(|socket| Some((socket.peer().ok()?.address()?, socket.local_address().ok()?)));
        let unreached = socket.map(unreached).unwrap_or_default();
        let config = config(args, total, self.half_close)?;
        let window = config.window.min(config.write).min(config.chunk);
        let mut driven = self.drive(config, total, 0, streams, watch)?;
        let further = if unconnected.is_none() && !self.stop.is_stopped() {
            let endpoint = addresses.map(|(peer, _)| reached(peer)).transpose()?;
            self.further(endpoint.as_ref().unwrap_or(&self.endpoint), total, round, &mut driven)?
        } else {
            None
        };
        let checked = Checked {
            total: Some(total),
            sent: Sent::Seeded(self.seed),
            took: clock.now().since(Time::ZERO),
            timeout: args.client.timeout,
            half_close: self.half_close,
            window: Some(window),
            pause: args.pause,
            stall: args.stall,
            connections: self.connections,
            unconnected,
            unreached,
            addresses,
            further,
            round: (args.repeat > 1).then_some((round, args.repeat)),
            passed,
            through: driven.through,
            again: self.again(total),
        };
        let judged = Judged::of(&checked, &driven.ended);
        Ok((checked, judged))
    }

    /// Drives these connections, the first of which has the number `first`, until all are over.
    fn drive<O: Observe<EchoClient> + Send>(
        &self,
        config: ClientConfig,
        total: u64,
        first: usize,
        streams: Vec<Stream>,
        watch: &(impl Fn(ConnectionId, Time) -> O + Sync),
    ) -> Result<Driven, Problem> {
        let sessions = Sessions {
            config: Arc::new(config),
            seed: self.seed,
            total,
            first,
            stop: &self.stop,
            watch,
            back: Arc::default(),
            ended: Mutex::default(),
        };
        let clock = SystemClock::new();
        let all = total.saturating_mul(streams.len() as u64);
        let drive = || match &self.tls {
            None => (self.driver.drive_all(clock, streams, &sessions), Vec::new()),
            Some(caller) => {
                let clients = TlsClients::new(&sessions, caller);
                (self.driver.drive_all(clock, streams, &clients), clients.into_ended())
            }
        };
        let (driven, layers) = progress::shown(&sessions.back, all, drive)?;
        driven.map_err(|error| Problem::system("cannot run so many connections", &error))?;
        self.stop.forget();
        let ended = sessions.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let of = |index: usize| {
            let ended = ended.iter().find(|ended| ended.connection == first + index);
            ended.map(|ended| &ended.outcome)
        };
        let refused = layers.iter().filter(|(index, ended)| ended.is_refusal(of(*index)));
        // One of many that was refused is a fault like another.
        if let Some((_, ended)) = refused.clone().next().filter(|_| refused.count() == layers.len()) {
            return Err(tls::refused(&self.name, ended));
        }
        let through = match &self.tls {
            None => Through::Nothing,
            Some(_) => Through::Tls(layers.iter().find_map(|(_, ended)| ended.words())),
        };
        Ok(Driven { ended, through })
    }

    /// Makes a further connection: where all is well, one that looks for bytes that are withheld until the half-close; after a
    /// fault, one that tells which of its causes it was, if one can.
    fn further(
        &self,
        endpoint: &Endpoint,
        total: u64,
        round: u64,
        before: &mut Driven,
    ) -> Result<Option<Further>, Problem> {
        let (args, ended) = (self.args, &before.ended);
        let timeout = args.client.timeout;
        let config = config(args, total, self.half_close)?;
        if ended.iter().all(|ended| ended.outcome.verdict == Verdict::Verified) {
            if !self.half_close || round > 1 {
                return Ok(None);
            }
            let waits = TAIL_WAITS.map(|wait| (wait.min(timeout / 2), timeout));
            return self.tail(endpoint, &waits, total, before);
        }
        let is_first = round == 1 && ended.iter().all(|ended| ended.outcome.verdict != Verdict::Verified);
        if let Some(pause) = args.pause
            && is_first
            && ended.iter().any(|ended| ended.is_forgotten(total))
        {
            let config = config.pause(Some(pause / 2)).timeout(Some(timeout.min(RESUMED)));
            return Ok(self.another(endpoint, config, total).map(Further::ShorterPause));
        }
        if args.stall.is_some() {
            if !self.half_close || !ended.iter().any(Ended::is_unfinished) {
                return Ok(None);
            }
            return Ok(self.another(endpoint, config.half_close(false), total).map(Further::NotHalfClosed));
        }
        if ended.iter().any(Ended::is_stuck_before_half_close) {
            let wait = TAIL_WAITS[0].min(timeout / 2);
            return self.tail(endpoint, &[(wait, 2 * wait)], total, before);
        }
        let is_cut =
            ended.iter().any(|ended| ended.is_cut_half_way() && ended.outcome.age <= LONGEST_REPEATED);
        if is_cut && args.pause.is_none() {
            return Ok(self.another(endpoint, config, total).map(Further::Again));
        }
        Ok(None)
    }

    /// Looks for bytes that the path withholds until a half-close. Each wait for them comes with a timeout.
    fn tail(
        &self,
        endpoint: &Endpoint,
        waits: &[(Duration, Duration)],
        total: u64,
        before: &mut Driven,
    ) -> Result<Option<Further>, Problem> {
        let args = self.args;
        let total = total.min(TAIL_BYTES);
        let mut tail = None;
        for &(wait, timeout) in waits {
            let stream = match client::connect(endpoint, &args.client) {
                Ok(stream) => stream,
                Err(error) => return Ok(Some(Further::NoTail(plain(&error.source)))),
            };
            let config = config(args, total, true)?.pause(None).stall(None);
            // A small window would wait for what is withheld.
            let config = config.window(ClientConfig::default().window);
            let config = config.tail_wait(Some(wait)).timeout(Some(timeout));
            // That TLS is refused here says nothing of the connections before.
            let driven = match self.drive(config, total, self.connections, vec![stream], &|_, _| ()) {
                Ok(driven) => driven,
                Err(problem) => return Ok(Some(Further::NoTail(problem.cause().to_owned()))),
            };
            let Some(&ended) = driven.ended.first() else { break };
            if ended.outcome.verdict == Verdict::Aborted {
                return Ok(Some(Further::NoTail("interrupted".to_owned())));
            }
            if let Through::Tls(Some(_)) = driven.through {
                before.through = driven.through;
            }
            tail = Some(Tail { ended, wait, total });
            // A path that was slow once is not slow again after four times as long.
            if ended.withheld().is_none() {
                break;
            }
        }
        Ok(tail.map(Further::Tail))
    }

    /// What came of one more connection; none if it could not be made.
    fn another(&self, endpoint: &Endpoint, config: ClientConfig, total: u64) -> Option<Ended> {
        let stream = client::connect(endpoint, &self.args.client).ok()?;
        let driven = self.drive(config, total, self.connections, vec![stream], &|_, _| ());
        driven.ok()?.ended.first().copied()
    }

    /// All the connections, and those that could not be made. An error if there is none.
    fn connect(&self) -> Result<(Vec<Stream>, Option<Unconnected>), Problem> {
        let (mut streams, mut unconnected) = (Vec::new(), None::<Unconnected>);
        for number in 0..self.connections {
            if self.stop.is_stopped() {
                break;
            }
            match client::connect(&self.endpoint, &self.args.client) {
                Ok(stream) => streams.push(stream),
                Err(error) if streams.is_empty() => return Err(Problem::net(&self.name, &error)),
                Err(error) => {
                    let is_refused = error.source.kind() == io::ErrorKind::ConnectionRefused;
                    let failed = unconnected.get_or_insert(Unconnected {
                        count: 0,
                        is_refused,
                        why: plain(&error.source),
                    });
                    // Each of the others would take as long to fail.
                    failed.count += if is_refused { 1 } else { self.connections - number };
                    if !is_refused {
                        break;
                    }
                }
            }
        }
        Ok((streams, unconnected))
    }

    /// The command that checks this size again: the options that decide what is sent, and what is not the default.
    fn again(&self, total: u64) -> String {
        let args = self.args;
        let size = |bytes: usize| bytes.to_string();
        let mut words = vec!["roundtrip check".to_owned()];
        words.extend(args.endpoint.as_deref().map(units::quoted));
        words.push(format!("--bytes {total} --seed {}", self.seed));
        let many = |count: u64| (count > 1).then(|| count.to_string());
        let options = [
            ("--connections", many(args.connections)),
            ("--repeat", many(args.repeat)),
            ("--half-close", args.half_close.filter(|on| !on).map(|_off| "off".to_owned())),
            ("--pause", args.pause.map(units::duration)),
            ("--stall", args.stall.map(units::duration)),
            ("--window", args.window.map(size)),
            ("--write", args.write.map(size)),
            ("--read", args.read.map(size)),
        ];
        words.extend(options.into_iter().filter_map(|(option, value)| Some(format!("{option} {}", value?))));
        words.extend(args.driver.again());
        words.extend(args.tls.again());
        words.extend(args.client.again());
        words.join(" ")
    }
}

/// The policy of each session.
fn config(args: &CheckArgs, total: u64, half_close: bool) -> Result<ClientConfig, Problem> {
    let mut config = ClientConfig::default()
        .half_close(half_close)
        .pause(args.pause)
        .stall(args.stall)
        .timeout(Some(args.client.timeout));
    if args.stall.is_some() {
        config.window = driver::in_memory(total.min(MAX_WINDOW));
        config.write = STALLED_WRITE;
    }
    if let Some(window) = args.window {
        config.window = window;
    }
    if let Some(write) = args.write {
        config.write = write;
    }
    if let Some(read) = args.read {
        config.chunk = read;
    }
    config.validate()?;
    Ok(config)
}

/// The endpoint of an address that was connected to, so that those of a name that did not answer cost nothing again.
fn reached(address: SocketAddr) -> Result<Endpoint, Problem> {
    cli::endpoint(&address.to_string())
}

/// The addresses that were connected to in vain before that of this socket.
fn unreached(socket: &roundtrip_std::Stream) -> Vec<Unreached> {
    let attempts = socket.failed_attempts().iter();
    let of = |attempt: &FailedAttempt| Unreached {
        address: attempt.address,
        error: plain(&attempt.error),
        seconds: attempt.took.as_secs_f64(),
    };
    attempts.map(of).collect()
}

/// What came of driving connections.
struct Driven {
    ended: Vec<Ended>,
    through: Through,
}

/// Connections that are driven at once, and what came of them in the order in which they ended.
struct Sessions<'a, W> {
    config: Arc<ClientConfig>,
    seed: u64,
    total: u64,
    /// The number of the first of them.
    first: usize,
    stop: &'a Stop,
    /// Makes the observer of each.
    watch: &'a W,
    /// Bytes that came back on all of them.
    back: Arc<AtomicU64>,
    ended: Mutex<Vec<Ended>>,
}

impl<W, O> Application<usize> for Sessions<'_, W>
where
    W: Fn(ConnectionId, Time) -> O + Sync,
    O: Observe<EchoClient>,
{
    type Machine = Tap<EchoClient, Counting<O>>;

    fn open(
        &self,
        now: Time,
        &index: &usize,
        control: &Control<<EchoClient as Machine>::Command>,
    ) -> Self::Machine {
        self.stop.watch(control);
        let number = (self.first + index) as u64;
        let observer = (self.watch)(ConnectionId::new(number), now);
        let observer = Counting { observer, back: Arc::clone(&self.back) };
        let payload = Payload::seeded(self.seed.wrapping_add(number), self.total);
        Tap::new(EchoClient::new(Arc::clone(&self.config), payload, now), observer)
    }

    fn ended(&self, &index: &usize, report: ConnectionReport<ClientOutcome>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(Ended::of(self.first + index, &report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(options: &str) -> ClientConfig {
        let cli::Verb::Check(args) = cli::parsed(options).unwrap() else { unreachable!() };
        config(&args, 3000, args.half_close.unwrap_or(true)).unwrap()
    }

    #[test]
    fn every_option_reaches_the_sessions() {
        assert_eq!(configured("check"), ClientConfig::default());
        let options =
            "check --window 7 --write 5 --read 3 --half-close off --pause 2s --stall 1s --timeout 4s";
        let expected = ClientConfig::default()
            .window(7)
            .write(5)
            .chunk(3)
            .half_close(false)
            .pause(Some(Duration::from_secs(2)))
            .stall(Some(Duration::from_secs(1)))
            .timeout(Some(Duration::from_secs(4)));
        assert_eq!(configured(options), expected);
    }

    #[test]
    fn a_stalled_session_sends_everything_unless_it_is_told_otherwise() {
        let config = configured("check --stall 1s");
        assert_eq!((config.window, config.write), (3000, STALLED_WRITE));
        let config = configured("check --stall 1s --window 9 --write 2");
        assert_eq!((config.window, config.write), (9, 2));
    }
}
