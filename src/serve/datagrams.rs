//! `serve` over datagrams: one machine a socket, and what came of it.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::datagram::{DatagramAction, DatagramInput, DatagramMachine};
use roundtrip_echo::{
    DatagramEcho, DatagramEchoConfig, DatagramEchoCounts, DatagramEchoOutcome, DropReason, DroppedDatagram,
    End,
};
use roundtrip_std::{
    BindOptions, Clock, DatagramAddress, DatagramSocket, DatagramsEnded, Endpoint, SystemClock, bind_datagram,
};

use crate::cli::ServeArgs;
use crate::client::Stop;
use crate::datagrams::{self, Driver};
use crate::out::Complaints;
use crate::problem::{Exit, Problem, plain};
use crate::units::grouped;
use crate::warnings::RateLimit;

/// The sockets of datagrams that are served, before they are.
pub(super) struct Sockets {
    driver: Driver,
    config: Arc<DatagramEchoConfig>,
    bound: Vec<Bound>,
}

/// One of them.
struct Bound {
    socket: DatagramSocket,
    endpoint: Endpoint,
    counters: Arc<Counters>,
}

/// Those that are being served.
pub(super) struct Servers {
    stop: Arc<Stop>,
    threads: Vec<thread::JoinHandle<Result<DatagramsEnded<DatagramEchoOutcome>, Problem>>>,
    names: Vec<String>,
    complaints: Arc<Complaints>,
}

impl Sockets {
    /// Binds those of `endpoints` that are of datagrams; none if there are none.
    pub(super) fn bind(args: &ServeArgs, endpoints: &[(&str, Endpoint)]) -> Result<Option<Self>, Problem> {
        let named: Vec<_> = endpoints.iter().filter(|(_, endpoint)| endpoint.is_datagram()).collect();
        if named.is_empty() {
            return match args.max_rate {
                Some(_) => Err(Problem::usage(
                    "--max-rate is for datagrams, and there are none",
                    "leave out --max-rate, or listen on udp:HOST:PORT as well",
                )),
                None => Ok(None),
            };
        }
        let has_streams = named.len() < endpoints.len();
        refuse_options(args, has_streams)?;
        let driver =
            if has_streams { Driver::beside_streams(&args.driver) } else { Driver::new(&args.driver)? };
        let mut config = DatagramEchoConfig::default().drain(args.drain.max(Duration::from_nanos(1)));
        if let Some(rate) = args.max_rate {
            config.rate = rate.0;
        }
        config.validate()?;
        let config = Arc::new(config);
        let options =
            BindOptions::default().family(args.family()).socket_buffer(args.socket_buffer).keepalive(None);
        let mut sockets = Vec::new();
        for (name, endpoint) in named {
            datagrams::refuse_groups(name, endpoint)?;
            let socket = bind_datagram(endpoint, &options).map_err(|error| Problem::net(name, &error))?;
            let bound = socket.local_endpoint().map_err(|error| Problem::system("cannot serve", &error))?;
            refuse_everybody(name, &bound)?;
            sockets.push(Bound { socket, endpoint: bound, counters: Arc::default() });
        }
        Ok(Some(Self { driver, config, bound: sockets }))
    }

    /// Where they are.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.bound.iter().map(|bound| &bound.endpoint)
    }

    /// What is counted at each, from now on.
    pub(super) fn counters(&self) -> Vec<(String, Arc<Counters>)> {
        let counters = |bound: &Bound| (bound.endpoint.to_string(), Arc::clone(&bound.counters));
        self.bound.iter().map(counters).collect()
    }

    /// Serves each on a thread of its own.
    pub(super) fn serve(self, stop: &Arc<Stop>) -> Result<Servers, Problem> {
        let failed = |error: std::io::Error| Problem::system("cannot serve", &error);
        let complaints = Arc::new(Complaints::new().map_err(failed)?);
        let mut servers = Servers {
            stop: Arc::clone(stop),
            threads: Vec::new(),
            names: Vec::new(),
            complaints: Arc::clone(&complaints),
        };
        for Bound { socket, endpoint, counters } in self.bound {
            let name = endpoint.to_string();
            let port = if let Endpoint::Udp { port, .. } = endpoint { Some(port) } else { None };
            let (driver, config) = (self.driver, Arc::clone(&self.config));
            let (stop, complaints) = (Arc::clone(stop), Arc::clone(&complaints));
            let clock = SystemClock::new();
            let mut told = Told { name: name.clone(), limit: RateLimit::default(), clock, complaints };
            let serve = move || {
                let reach = |control| stop.watch(&control);
                let echo = |now| Counted { echo: DatagramEcho::new(config, port, now), counters };
                let ended = driver.drive(clock, socket, reach, echo, |unanswered| told.tell(&unanswered));
                ended.map_err(|error| Problem::system("cannot serve", &error))
            };
            let thread = thread::Builder::new().name("datagrams".into()).spawn(serve).map_err(failed)?;
            servers.threads.push(thread);
            servers.names.push(name);
        }
        Ok(servers)
    }
}

impl Servers {
    /// Waits until they are done, and says what came of each. Whether none of them was cut off, or failed.
    pub(super) fn join(self) -> Result<bool, Problem> {
        let mut is_whole = true;
        for (thread, name) in self.threads.into_iter().zip(self.names) {
            let ended = thread.join().unwrap_or_else(|_panic| {
                let cause = format!("a bug of this program broke {name}");
                Err(Problem::new(Exit::Internal, cause, "report it, with what is printed above"))
            });
            let ended = match ended {
                Ok(ended) => ended,
                Err(problem) => {
                    self.stop.stop();
                    return Err(problem);
                }
            };
            let DatagramEchoOutcome { end, received, echoed, unanswered, unsent, .. } = ended.outcome;
            let mut line = line(&name, [received, echoed, unanswered, unsent]);
            if ended.overflowed > 0 {
                let overflowed = grouped(ended.overflowed);
                let _ = write!(
                    line,
                    ", {overflowed} dropped by the system, for they came faster than they were read"
                );
            }
            if let (End::Failed(_), Some(failure)) = (end, &ended.failure) {
                let _ = write!(line, "; {}", plain(&failure.error));
            }
            self.complaints.complain(line);
            is_whole &= end == End::Stopped;
        }
        self.complaints.flush();
        Ok(is_whole)
    }
}

/// What is counted, in words.
fn line(name: &str, [received, echoed, unanswered, unsent]: [u64; 4]) -> String {
    let mut line = format!("{name}: {} came, {} echoed", grouped(received), grouped(echoed));
    for (count, what) in [(unanswered, "not answered"), (unsent, "not sent")] {
        if count > 0 {
            let _ = write!(line, ", {} {what}", grouped(count));
        }
    }
    line
}

/// What is counted at a socket, to be read by other threads than the one that serves it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    received: AtomicU64,
    echoed: AtomicU64,
    unanswered: AtomicU64,
    unsent: AtomicU64,
}

impl Counters {
    fn set(&self, counts: DatagramEchoCounts) {
        let DatagramEchoCounts { received, echoed, unanswered, unsent, .. } = counts;
        self.received.store(received, Ordering::Relaxed);
        self.echoed.store(echoed, Ordering::Relaxed);
        self.unanswered.store(unanswered, Ordering::Relaxed);
        self.unsent.store(unsent, Ordering::Relaxed);
    }

    /// In words, for the operator.
    pub(super) fn report(&self, name: &str) -> String {
        let Self { received, echoed, unanswered, unsent } = self;
        let counts = [received, echoed, unanswered, unsent].map(|count| count.load(Ordering::Relaxed));
        format!("counters: {}", line(name, counts))
    }
}

/// A server whose counts others see.
struct Counted {
    echo: DatagramEcho<DatagramAddress>,
    counters: Arc<Counters>,
}

impl DatagramMachine for Counted {
    type Address = DatagramAddress;
    type Event = DroppedDatagram<DatagramAddress>;
    type Outcome = DatagramEchoOutcome;

    fn handle(&mut self, now: Time, input: DatagramInput<DatagramAddress>) {
        self.echo.handle(now, input);
    }

    fn poll(&mut self, now: Time) -> DatagramAction<DatagramAddress, Self::Event, DatagramEchoOutcome> {
        let action = self.echo.poll(now);
        // Before it is carried out: a peer that has its answer finds it counted.
        self.counters.set(self.echo.counts());
        action
    }
}

/// What was said of datagrams that are not answered.
struct Told {
    name: String,
    limit: RateLimit,
    clock: SystemClock,
    complaints: Arc<Complaints>,
}

impl Told {
    fn tell(&mut self, unanswered: &DroppedDatagram<DatagramAddress>) {
        let line =
            || format!("{}: not answered: {}, {}", self.name, unanswered.from, words(unanswered.cause));
        if let Some(line) = self.limit.line(self.clock.now(), line) {
            self.complaints.complain(line);
        }
    }
}

/// Why a datagram is not answered.
const fn words(cause: DropReason) -> &'static str {
    match cause {
        DropReason::WellKnownPort => "a well-known port: what is there may answer for ever",
        DropReason::OwnPort => "the port of this server: what is there may answer for ever",
        DropReason::NoSender => "no socket that can be answered",
        DropReason::Loop => "the same datagram again and again: it may be going round",
        DropReason::Excess => "it sends more than its share of --max-rate",
        DropReason::TooLong => "a datagram of more than 64 KiB",
        DropReason::Full => "its queue is full, or the system's",
        DropReason::Unread => "it leaves earlier answers unread, and they take the room of others'",
        _ => "not to be answered",
    }
}

/// What means nothing over datagrams, or nothing beside them.
fn refuse_options(args: &ServeArgs, has_streams: bool) -> Result<(), Problem> {
    let one = "there are no connections, of which one could be waited for";
    datagrams::refuse("--once", args.once, one)?;
    datagrams::refuse("--record", args.record.is_some(), "there are no sessions")?;
    datagrams::refuse("--tls-cert", args.tls.is_given(), "TLS is for streams")?;
    for (option, is_given) in [
        ("--max-conns", args.max_conns.is_some()),
        ("--max-per-source", args.max_per_source.is_some()),
        ("--keepalive", args.keepalive.is_some()),
        ("--idle", args.idle.is_some()),
        ("--half-close-idle", args.half_close_idle.is_some()),
        ("--max-age", args.max_age.is_some()),
    ] {
        datagrams::refuse(option, is_given && !has_streams, "there are no connections")?;
    }
    Ok(())
}

/// Answers to whoever asks leave from the address that was asked, and so a socket has one.
fn refuse_everybody(name: &str, bound: &Endpoint) -> Result<(), Problem> {
    let Endpoint::Udp { host, port, .. } = bound else { return Ok(()) };
    if host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
        return Err(Problem::usage(
            format!("{name} is all addresses: an answer might leave from another one than was asked"),
            format!("name each address to serve, as in udp:127.0.0.1:{port} for this machine alone"),
        ));
    }
    Ok(())
}
