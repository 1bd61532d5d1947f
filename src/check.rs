//! `check`: is every byte back, in order, with a clean end?

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread;

use roundtrip_core::Time;
use roundtrip_core::admission::Limits;
use roundtrip_core::echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig};
use roundtrip_std::{BindOptions, Clock, Endpoint, Family, Listener, Peer, ServerHandle, SystemClock};

use crate::cli::{self, CheckArgs};
use crate::problem::{Exit, Problem};
use crate::verdict::{Checked, render};
use crate::{client, out, units};

pub(crate) fn run(args: &CheckArgs) -> Result<Exit, Problem> {
    match &args.endpoint {
        Some(text) => check(args, text, &cli::endpoint(text)?),
        None => check_loopback(args),
    }
}

/// Checks a server of our own, so that nothing else is needed.
fn check_loopback(args: &CheckArgs) -> Result<Exit, Problem> {
    let (listener, endpoint) = own_listener(args)?;
    let handle = ServerHandle::new();
    let config = Arc::new(ServerConfig::default());
    let echo = |now, _peer: &Peer| EchoServer::new(Arc::clone(&config), now);
    thread::scope(|scope| {
        let server = thread::Builder::new()
            .spawn_scoped(scope, || roundtrip_std::serve(vec![listener], Limits::default(), &handle, &echo))
            .map_err(|error| Problem::system("cannot serve", &error))?;
        let exit = check(args, &endpoint.to_string(), &endpoint);
        // Nobody is left who could lose anything.
        handle.force();
        match server.join() {
            Ok(Ok(_served)) => exit,
            Ok(Err(error)) => Err(Problem::system("cannot serve", &error)),
            Err(_panic) => exit,
        }
    })
}

fn own_listener(args: &CheckArgs) -> Result<(Listener, Endpoint), Problem> {
    let options = BindOptions { family: args.client.family(), ..BindOptions::default() };
    let name = "localhost:0";
    let listener =
        roundtrip_std::bind(&cli::endpoint(name)?, &options).map_err(|error| Problem::net(name, &error))?;
    let endpoint = listener.local_endpoint().map_err(|error| Problem::system("cannot serve", &error))?;
    Ok((listener, endpoint))
}

fn check(args: &CheckArgs, name: &str, endpoint: &Endpoint) -> Result<Exit, Problem> {
    let seed = args.seed.unwrap_or_else(random_seed);
    let config = ClientConfig::builder().window(args.window).timeout(Some(args.client.timeout)).build()?;
    let payload = Payload::seeded(seed, args.bytes);
    let clock = SystemClock::new();
    let stream = client::connect(endpoint, &args.client).map_err(|error| Problem::net(name, &error))?;
    let ended = client::drive(clock, stream, |now| EchoClient::new(config.into(), payload, now))?;
    let checked = Checked {
        total: args.bytes,
        took: clock.now().since(Time::ZERO),
        timeout: args.client.timeout,
        again: again(args, seed),
    };
    let (lines, exit) = render(&checked, &ended.outcome);
    out::say(lines)?;
    Ok(exit)
}

/// The command that checks the same again: the options that decide what is sent, and what is not the default.
fn again(args: &CheckArgs, seed: u64) -> String {
    let mut words = vec!["roundtrip check".to_owned()];
    words.extend(args.endpoint.clone());
    words.push(format!("--bytes {} --seed {seed}", args.bytes));
    if args.window != ClientConfig::default().window() {
        words.push(format!("--window {}", args.window));
    }
    if Some(args.client.timeout) != ClientConfig::default().timeout() {
        words.push(format!("--timeout {}", units::duration(args.client.timeout)));
    }
    words.extend(match args.client.family() {
        Family::Any => None,
        Family::V4 => Some("-4".to_owned()),
        Family::V6 => Some("-6".to_owned()),
    });
    words.join(" ")
}

/// Short enough to be typed again.
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish() % 100_000
}
