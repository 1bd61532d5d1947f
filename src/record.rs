//! `--record`: what is written down of the sessions, and with which configuration.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_core::hub::ConnectionId;
use roundtrip_echo::{ClientConfig, ConfigError, ServerConfig};
use roundtrip_record::{Observer, Recorder};
use serde::{Deserialize, Serialize};

use crate::file::{Growing, Output};
use crate::out::{self, Complaints};
use crate::problem::{Exit, Problem};
use crate::units;

/// The machines in a record of `serve`, and in one of `check`.
pub(crate) const SERVER: &str = "echo-server";
pub(crate) const CLIENT: &str = "echo-client";

/// A record that is being written.
pub(crate) struct Recording {
    recorder: Recorder,
    output: Output,
    file: Growing,
    complaints: Arc<Complaints>,
}

impl Recording {
    /// Begins the record, of these machines with this configuration; it ends at `limit` bytes.
    pub(crate) fn begin(
        output: Output,
        limit: u64,
        machine: &str,
        config: &impl Serialize,
    ) -> Result<Self, Problem> {
        let config = serde_json::to_string(config)
            .map_err(|error| Problem::system("cannot write the configuration", &error.into()))?;
        let complaints = Complaints::new().map_err(|error| Problem::system("cannot record", &error))?;
        let complaints = Arc::new(complaints);
        let (recorder, file) = output.begin(|writer, replaces| {
            let recorder = Recorder::new(writer, machine, &config)?;
            // What was there before goes only if there is room for the first line.
            if replaces && recorder.is_over() {
                return recorder.finish().and(Err(io::ErrorKind::StorageFull.into()));
            }
            Ok(recorder)
        })?;
        let told = Arc::clone(&complaints);
        let recorder = recorder.with_limit(limit, move || {
            told.complain(format!(
                "warning: the record ends here, at its limit of {}: the sessions go on\n  try: --record-limit SIZE",
                units::bytes(limit)
            ));
        });
        Ok(Self { recorder, output, file, complaints })
    }

    /// What observes each connection.
    pub(crate) fn watch(&self) -> impl Fn(ConnectionId, Time) -> Observer + Send + Sync + use<> {
        let recorder = self.recorder.clone();
        move |connection, now| recorder.open(connection, now)
    }

    /// Ends the record of a verb that came to this end. One that is not whole makes it incomplete; what else there is to
    /// tell is told all the same.
    pub(crate) fn finish(self, exit: Result<Exit, Problem>) -> Result<Exit, Problem> {
        let finished = self.recorder.finish().and_then(|()| self.file.sync());
        self.complaints.flush();
        let Err(error) = finished else { return exit };
        out::complain(self.output.incomplete(&error));
        exit.map(|exit| if exit == Exit::Ok { Exit::Incomplete } else { exit })
    }
}

/// A [`ServerConfig`] in a record.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Served {
    buffer: usize,
    chunk: usize,
    max_chunks: usize,
    idle_ns: Option<u64>,
    half_close_idle_ns: Option<u64>,
    max_age_ns: Option<u64>,
    quiet_ns: u64,
    drain_ns: u64,
    linger_ns: u64,
}

impl Served {
    pub(crate) fn of(config: &ServerConfig) -> Self {
        Self {
            buffer: config.buffer,
            chunk: config.chunk,
            max_chunks: config.max_chunks,
            idle_ns: config.idle.map(nanos),
            half_close_idle_ns: config.half_close_idle.map(nanos),
            max_age_ns: config.max_age.map(nanos),
            quiet_ns: nanos(config.quiet),
            drain_ns: nanos(config.drain),
            linger_ns: nanos(config.linger),
        }
    }

    pub(crate) fn config(&self) -> Result<ServerConfig, ConfigError> {
        let config = ServerConfig::default()
            .buffer(self.buffer)
            .chunk(self.chunk)
            .max_chunks(self.max_chunks)
            .idle(self.idle_ns.map(Duration::from_nanos))
            .half_close_idle(self.half_close_idle_ns.map(Duration::from_nanos))
            .max_age(self.max_age_ns.map(Duration::from_nanos))
            .quiet(Duration::from_nanos(self.quiet_ns))
            .drain(Duration::from_nanos(self.drain_ns))
            .linger(Duration::from_nanos(self.linger_ns));
        config.validate()?;
        Ok(config)
    }
}

/// A [`ClientConfig`] in a record, and what the payloads are made from: that of connection N has the seed N higher.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checked {
    pub(crate) seed: u64,
    pub(crate) bytes: u64,
    window: usize,
    chunk: usize,
    write: usize,
    timeout_ns: Option<u64>,
    half_close: bool,
    pause_ns: Option<u64>,
    stall_ns: Option<u64>,
}

impl Checked {
    pub(crate) fn of(config: &ClientConfig, seed: u64, bytes: u64) -> Self {
        Self {
            seed,
            bytes,
            window: config.window,
            chunk: config.chunk,
            write: config.write,
            timeout_ns: config.timeout.map(nanos),
            half_close: config.half_close,
            pause_ns: config.pause.map(nanos),
            stall_ns: config.stall.map(nanos),
        }
    }

    pub(crate) fn config(&self) -> Result<ClientConfig, ConfigError> {
        let config = ClientConfig::default()
            .window(self.window)
            .chunk(self.chunk)
            .write(self.write)
            .timeout(self.timeout_ns.map(Duration::from_nanos))
            .half_close(self.half_close)
            .pause(self.pause_ns.map(Duration::from_nanos))
            .stall(self.stall_ns.map(Duration::from_nanos));
        config.validate()?;
        Ok(config)
    }
}

/// What is more than 64 bits hold passes the end of time either way.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        let span = |seconds| Duration::new(seconds, 7);
        let server = ServerConfig::default().buffer(1).chunk(1).max_chunks(3).quiet(span(4)).drain(span(5));
        for config in [
            ServerConfig::default().buffer(9).chunk(8).max_chunks(7),
            server.linger(span(6)).idle(Some(span(1))).half_close_idle(Some(span(2))).max_age(Some(span(3))),
        ] {
            assert_eq!(read_back(&Served::of(&config)).config().unwrap(), config);
        }
        let client = ClientConfig::default().window(1).chunk(2).write(3);
        for config in [
            client.clone().timeout(None).half_close(false),
            client.timeout(Some(span(1))).pause(Some(span(2))).stall(Some(span(3))),
        ] {
            let checked = read_back(&Checked::of(&config, 5, 6));
            assert_eq!((checked.config().unwrap(), checked.seed, checked.bytes), (config, 5, 6));
        }
    }
}
