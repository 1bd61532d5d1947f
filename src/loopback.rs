//! Whom the verbs talk to: an endpoint, or a server of our own, so that they need nothing else.

use std::sync::Arc;
use std::thread;

use roundtrip_core::admission::Limits;
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_std::{Accepted, BindOptions, Endpoint, Family, ServerHandle};

use crate::cli;
use crate::driver::Driver;
use crate::problem::{Exit, Problem};
use crate::transport::{self, Listener};

/// Does `work` with this endpoint, as it was written and as it is; if there is none, while a server of our own echoes on a
/// free port of the loopback.
pub(crate) fn reach(
    endpoint: Option<&str>,
    driver: Driver,
    family: Family,
    work: impl FnOnce(&str, Endpoint) -> Result<Exit, Problem>,
) -> Result<Exit, Problem> {
    match endpoint {
        Some(text) => {
            let endpoint = cli::endpoint(text)?;
            driver.takes(&endpoint)?;
            // A port that was left out is said.
            let mut port = String::new();
            if let Endpoint::Tcp { port: number, .. } | Endpoint::Udp { port: number, .. } = &endpoint {
                port = number.to_string();
            }
            let name = if text.contains(&port) { text.to_owned() } else { endpoint.to_string() };
            work(&name, endpoint)
        }
        None => serve_during(driver, family, |endpoint| work(&endpoint.to_string(), endpoint)),
    }
}

/// Descriptors that each connection there takes: a server of our own takes as many.
pub(crate) const fn descriptors_each(endpoint: Option<&str>, driver: Driver) -> u64 {
    driver.descriptors_each() * if endpoint.is_none() { 2 } else { 1 }
}

/// Descriptors that threads take, those of a server of our own included, and its listener.
pub(crate) fn descriptors_of_threads(endpoint: Option<&str>, driver: Driver) -> u64 {
    if endpoint.is_none() { 2 * driver.descriptors_of_threads() + 1 } else { driver.descriptors_of_threads() }
}

fn serve_during(
    driver: Driver,
    family: Family,
    work: impl FnOnce(Endpoint) -> Result<Exit, Problem>,
) -> Result<Exit, Problem> {
    let (listener, endpoint) = bind(family)?;
    let handle = ServerHandle::new();
    let config = Arc::new(ServerConfig::default());
    let echo = |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now);
    thread::scope(|scope| {
        // However this ends, the server does: nobody is left who could lose anything.
        let ends = Ends(handle.clone());
        let server = thread::Builder::new()
            .spawn_scoped(scope, || driver.serve(vec![listener], Limits::default(), &handle, &echo))
            .map_err(|error| Problem::system("cannot serve", &error))?;
        let exit = work(endpoint);
        drop(ends);
        match server.join() {
            Ok(Ok(_served)) => exit,
            Ok(Err(error)) => Err(Problem::system("cannot serve", &error)),
            Err(_panic) => exit,
        }
    })
}

/// Ends a server when it is dropped.
struct Ends(ServerHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.force();
    }
}

fn bind(family: Family) -> Result<(Listener, Endpoint), Problem> {
    let options = BindOptions::default().family(family);
    let name = "localhost:0";
    let listener =
        transport::bind(&cli::endpoint(name)?, &options).map_err(|error| Problem::net(name, &error))?;
    let endpoint = listener.local_endpoint().map_err(|error| Problem::system("cannot serve", &error))?;
    Ok((listener, endpoint))
}
