//! `serve stdio:`: one session over standard input and output, as a super-server (inetd, systemd) starts it, or a pipe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::hub::ConnectionId;
use roundtrip_core::{Observe, Time};
use roundtrip_echo::EchoServer;
use roundtrip_std::{BindOptions, Driver, Stream, SystemClock, plain};

use crate::problem::{Exit, Problem};
use crate::service::Echo;
use crate::{platform, signals};

/// The one connection.
const CONNECTION: ConnectionId = ConnectionId::new(0);

pub(crate) fn serve<W, O>(
    echo: &Arc<Echo<W>>,
    options: &BindOptions,
    drain: Duration,
) -> Result<Exit, Problem>
where
    W: Fn(ConnectionId, Time) -> O + Send + Sync + 'static,
    O: Observe<EchoServer>,
{
    let unusable = |error| Problem::system("cannot use standard input", &error);
    match platform::stdin_stream(options).map_err(unusable)? {
        Some(stream) => over_socket(echo, stream, drain)?,
        None => over_pipes(echo).map_err(unusable)?,
    }
    echo.say_goodbye();
    Ok(if echo.totals().is_whole() { Exit::Ok } else { Exit::Incomplete })
}

/// A socket can be half-closed and reset, and signals reach the session.
fn over_socket<W, O>(echo: &Arc<Echo<W>>, stream: Stream, drain: Duration) -> Result<(), Problem>
where
    W: Fn(ConnectionId, Time) -> O + Send + Sync + 'static,
    O: Observe<EchoServer>,
{
    let peer = stream.peer().map_or_else(|_| "standard input".to_owned(), |peer| peer.to_string());
    let driver = Driver::new(SystemClock::new()).map_err(|error| Problem::system("cannot wait", &error))?;
    let control = driver.control();
    let stopped = Arc::clone(echo);
    signals::watch_stops(move |count| {
        if count == 1 {
            stopped.draining(drain);
            control.stop();
        } else {
            control.abort();
        }
    })?;
    let ended = driver.drive(stream, |now| echo.begin(CONNECTION, now), |never| match never {});
    echo.end(&peer, ended);
    Ok(())
}

/// Anything else is read and written until it ends; a signal ends the process.
fn over_pipes<W, O>(echo: &Echo<W>) -> io::Result<()>
where
    W: Fn(ConnectionId, Time) -> O,
    O: Observe<EchoServer>,
{
    let (reader, writer) = platform::stdio_files()?;
    let machine = |now| echo.begin(CONNECTION, now);
    let ended = plain::drive(reader, writer, &SystemClock::new(), machine, |never| match never {});
    echo.end(&"standard input", ended);
    Ok(())
}
