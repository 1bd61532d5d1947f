//! `serve`: echo every byte until the peer half-closes.

mod datagrams;

use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Observe, Time};
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_std::{BindOptions, Endpoint, ServerHandle};
use roundtrip_tls::Acceptor;

use crate::cli::{self, ServeArgs};
use crate::client::Stop;
use crate::driver::{self, Driver};
use crate::file::{Access, Output};
use crate::keepalive::KeepaliveArg;
use crate::problem::{Exit, Problem};
use crate::record::{Recording, SERVER, Served};
use crate::service::Echo;
use crate::signals::Signal;
use crate::tls::TlsEcho;
use crate::transcript::{self, BUFFER, ServerLines};
use crate::transport::{self, Listener};
use crate::{out, platform, signals, stdio};

/// After a stop: how long a session goes on echoing at the most; half of `--drain` if that is less.
const SESSION_DRAIN: Duration = Duration::from_secs(5);
/// And how long it then waits for the peer's end; a quarter of `--drain` if that is less.
const SESSION_LINGER: Duration = Duration::from_secs(2);
/// And how long its peer must be silent to be taken as done; a quarter of `--drain` if that is less.
const SESSION_QUIET: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ServeArgs) -> Result<Exit, Problem> {
    let endpoints = endpoints(args)?;
    let driver = Driver::over(&args.driver, endpoints.first())?;
    let config = ServerConfig::default()
        .buffer(if args.transcript { BUFFER } else { args.buffer })
        .idle(args.idle)
        .half_close_idle(args.half_close_idle)
        .max_age(args.max_age)
        // A session's own drain must be over before everybody is aborted.
        .drain(share(SESSION_DRAIN, args.drain, 2))
        .linger(share(SESSION_LINGER, args.drain, 4))
        .quiet(share(SESSION_QUIET, args.drain, 4));
    config.validate()?;
    let limits = Limits::default()
        .connections(driver::connections(
            "--max-conns",
            args.max_conns,
            driver.descriptors_each(),
            driver.descriptors_of_threads() + endpoints.len() as u64,
        )?)
        .per_source(args.max_per_source.map(driver::in_memory))
        .ipv6_prefix(args.source_prefix)
        .total(args.once.then_some(1))
        .drain(args.drain);
    endpoints.iter().try_for_each(|endpoint| driver.takes(endpoint))?;
    let acceptor = args.tls.acceptor()?;
    if acceptor.is_some()
        && let Some(pipe) = endpoints.iter().find(|endpoint| transport::is_pipe(endpoint))
    {
        return Err(Problem::usage(
            format!("{pipe} speaks no TLS"),
            "leave out --tls-cert, or listen on a socket",
        ));
    }
    // Before anything is bound: a file that cannot be written should not cost a session.
    if endpoints.contains(&Endpoint::Stdio) && args.record.as_deref() == Some("-") {
        return Err(Problem::usage(
            "stdio: and --record - both write to standard output",
            "name a file: --record FILE",
        ));
    }
    let record = args.record.as_ref().map(|path| Output::new(path.as_ref(), Access::Private)).transpose()?;
    let recording = |config: &ServerConfig| {
        let begin = |output: Output| Recording::begin(output, args.record_limit, SERVER, &Served::of(config));
        record.map(begin).transpose()
    };
    let options = BindOptions::default()
        .family(args.family())
        .socket_buffer(args.socket_buffer)
        .keepalive(KeepaliveArg::or_default(args.keepalive));
    if endpoints.contains(&Endpoint::Stdio) {
        if acceptor.is_some() {
            return Err(Problem::usage(
                "stdio: speaks no TLS",
                "leave out --tls-cert, or listen on a socket",
            ));
        }
        return match recording(&config)? {
            None => stdio::serve(&echo(config, unwatched)?, &options, args.drain),
            Some(recording) => {
                let exit = stdio::serve(&echo(config, recording.watch())?, &options, args.drain);
                recording.finish(exit)
            }
        };
    }
    let named: Vec<_> = args.endpoints.iter().map(String::as_str).zip(endpoints.iter().cloned()).collect();
    let datagrams = datagrams::Sockets::bind(args, &named)?;
    let mut listeners = Vec::new();
    for (name, endpoint) in named.iter().filter(|(_, endpoint)| !endpoint.is_datagram()) {
        let found = if *endpoint == Endpoint::Systemd {
            platform::passed_listeners(&options)
                .map(|found| found.into_iter().map(Listener::Socket).collect())
        } else {
            transport::bind(endpoint, &options).map(|listener| vec![listener])
        };
        match found {
            Ok(found) => listeners.extend(found),
            Err(error) if args.transcript => {
                transcript::no_socket(&error);
                return Ok(Exit::Failed);
            }
            Err(error) => return Err(Problem::net(name, &error)),
        }
    }
    let sockets = Bound { listeners, datagrams };
    if args.transcript {
        let echo = echo(config, |_, _| ServerLines::default())?;
        let exit = serve(driver, &echo, None, sockets, limits, true)?;
        // The tutorial's server ends with what its one client came to.
        let failed = echo.totals().last.as_ref().and_then(transcript::connection_failed).is_some();
        Ok(if failed { Exit::Failed } else { exit })
    } else if let Some(recording) = recording(&config)? {
        let exit = serve(driver, &echo(config, recording.watch())?, acceptor, sockets, limits, false);
        recording.finish(exit)
    } else {
        serve(driver, &echo(config, unwatched)?, acceptor, sockets, limits, false)
    }
}

/// Nobody watches the sessions.
const fn unwatched(_connection: ConnectionId, _now: Time) {}

/// Where to listen; standard input is one connection, and so it is alone.
fn endpoints(args: &ServeArgs) -> Result<Vec<Endpoint>, Problem> {
    let endpoints = args.endpoints.iter().map(|name| cli::endpoint(name)).collect::<Result<Vec<_>, _>>()?;
    if endpoints.contains(&Endpoint::Stdio) && (endpoints.len() > 1 || args.transcript) {
        return Err(Problem::usage(
            "stdio: is one connection, and neither listens nor prints",
            "leave out the other endpoints and --transcript, or stdio:",
        ));
    }
    let pipes = endpoints.iter().filter(|endpoint| transport::is_pipe(endpoint)).count();
    if pipes > 0 && pipes < endpoints.len() {
        return Err(Problem::usage(
            "one server listens on pipes or on sockets: each has a driver of its own",
            "start `roundtrip serve` for each",
        ));
    }
    if endpoints.iter().filter(|endpoint| **endpoint == Endpoint::Systemd).count() > 1 {
        return Err(Problem::usage("systemd: stands for all sockets that were passed", "name it once"));
    }
    Ok(endpoints)
}

fn echo<W>(config: ServerConfig, watch: W) -> Result<Arc<Echo<W>>, Problem> {
    Echo::new(config, watch).map_err(|error| Problem::system("cannot serve", &error))
}

/// As long as `usual`, but at most so large a part of the whole drain.
fn share(usual: Duration, drain: Duration, part: u32) -> Duration {
    usual.min(drain / part).max(Duration::from_nanos(1))
}

/// What is listened on.
struct Bound {
    listeners: Vec<Listener>,
    datagrams: Option<datagrams::Sockets>,
}

/// One line a listener, at once: scripts that asked for port 0 wait for it.
fn announce(bound: &Bound, transcript: bool) -> Result<(), Problem> {
    let streams = bound.listeners.iter().map(Listener::local_endpoint).collect::<Result<Vec<_>, _>>();
    let streams = streams.map_err(|error| Problem::system("cannot listen", &error))?;
    let datagrams = bound.datagrams.iter().flat_map(datagrams::Sockets::endpoints).cloned();
    for endpoint in streams.into_iter().chain(datagrams) {
        let line = format!("listening {}", endpoint.to_string().replacen(':', " ", 1));
        // The tutorial's server prints no such line.
        if transcript {
            out::complain(line);
        } else {
            out::say(line)?;
        }
    }
    Ok(())
}

fn serve<W, O>(
    driver: Driver,
    echo: &Arc<Echo<W>>,
    acceptor: Option<Acceptor>,
    bound: Bound,
    limits: Limits,
    transcript: bool,
) -> Result<Exit, Problem>
where
    W: Fn(ConnectionId, Time) -> O + Send + Sync + 'static,
    O: Observe<EchoServer> + Send,
{
    let (handle, stop) = (ServerHandle::new(), Arc::new(Stop::default()));
    let (drain, has_streams) = (limits.drain, !bound.listeners.is_empty());
    let datagrams = bound.datagrams.as_ref().map(datagrams::Sockets::counters).unwrap_or_default();
    signals::watch({
        let (handle, stop, echo) = (handle.clone(), Arc::clone(&stop), Arc::clone(echo));
        let mut stopping = false;
        move |signal| match signal {
            Signal::Report => {
                if has_streams {
                    echo.report();
                }
                for (name, counters) in &datagrams {
                    echo.inform(counters.report(name));
                }
            }
            Signal::Reload => echo.inform("SIGHUP: nothing to reload".to_owned()),
            Signal::Stop if stopping => {
                handle.force();
                stop.abort();
            }
            Signal::Stop => {
                stopping = true;
                if has_streams {
                    echo.draining(drain);
                }
                platform::tell_stopping();
                handle.stop();
                stop.stop();
            }
        }
    })?;
    // Whoever reads this may send a signal at once.
    announce(&bound, transcript)?;
    let datagrams = bound.datagrams.map(|sockets| sockets.serve(&stop)).transpose()?;
    platform::tell_ready();
    let mut is_whole = true;
    if has_streams {
        let served = match acceptor {
            None => driver.serve(bound.listeners, limits, &handle, &**echo),
            Some(acceptor) => driver.serve(bound.listeners, limits, &handle, &TlsEcho { echo, acceptor }),
        };
        let served = served.map_err(|error| Problem::system("cannot serve", &error))?;
        echo.say_goodbye();
        if served.panicked > 0 {
            let cause = format!("a bug of this program broke {} connections", served.panicked);
            return Err(Problem::new(Exit::Internal, cause, "report it, with what is printed above"));
        }
        is_whole = echo.totals().is_whole();
    }
    if let Some(datagrams) = datagrams {
        is_whole &= datagrams.join()?;
    }
    Ok(if is_whole { Exit::Ok } else { Exit::Incomplete })
}
