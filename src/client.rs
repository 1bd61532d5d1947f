//! What the verbs that connect have in common.

use std::convert::Infallible;

use roundtrip_core::{Machine, Time};
use roundtrip_std::{ConnectOptions, Driver, Ended, Endpoint, NetError, Stream, SystemClock};

use crate::cli::ClientArgs;
use crate::problem::Problem;
use crate::signals;

pub(crate) fn connect(endpoint: &Endpoint, args: &ClientArgs) -> Result<Stream, NetError> {
    let options = ConnectOptions {
        family: args.family(),
        timeout: Some(args.connect_timeout),
        socket_buffer: args.socket_buffer,
    };
    roundtrip_std::connect(endpoint, &options)
}

/// Drives a client until it closes; SIGINT and SIGTERM abort it.
pub(crate) fn drive<M: Machine<Command: Send + 'static, Event = Infallible>>(
    clock: SystemClock,
    stream: Stream,
    machine: impl FnOnce(Time) -> M,
) -> Result<Ended<M::Outcome>, Problem> {
    let driver = Driver::new(clock).map_err(|error| Problem::system("cannot wait", &error))?;
    let control = driver.control();
    signals::watch(move |_count| control.abort())?;
    Ok(driver.drive(stream, machine, |never| match never {}))
}
