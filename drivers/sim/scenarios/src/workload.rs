//! What the echo sessions are configured with and send, drawn anew for each run; 0 is the simplest everywhere.

use std::sync::Arc;
use std::time::Duration;

use roundtrip_echo::{ClientConfig, ServerConfig};

use roundtrip_sim::{Draw, Setup};

/// Configurations and payloads of one run.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) server: Arc<ServerConfig>,
    pub(super) limits: TimeLimits,
    pub(super) client: Arc<ClientConfig>,
    pub(super) seed: u64,
    pub(super) len: u64,
    window: usize,
    send_buffer: usize,
}

/// The server's limits in time, as the oracle needs them.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimits {
    pub(super) idle: Option<Duration>,
    pub(super) half_close_idle: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) quiet: Duration,
    pub(super) drain: Duration,
    pub(super) linger: Duration,
}

impl TimeLimits {
    /// A configuration with these limits.
    pub(super) fn config(&self, buffer: usize, chunk: usize, max_chunks: usize) -> Arc<ServerConfig> {
        let config = ServerConfig::default().buffer(buffer).chunk(chunk).max_chunks(max_chunks);
        let config = config.idle(self.idle).half_close_idle(self.half_close_idle).max_age(self.max_age);
        Arc::new(config.quiet(self.quiet).drain(self.drain).linger(self.linger))
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sites of these draws; the scenarios' own begin at 16.
mod site {
    pub(super) const LEN: u8 = 0;
    pub(super) const SEED: u8 = 1;
    pub(super) const BUFFER: u8 = 2;
    pub(super) const CHUNK: u8 = 3;
    pub(super) const MAX_CHUNKS: u8 = 4;
    pub(super) const IDLE: u8 = 5;
    pub(super) const HALF_CLOSE_IDLE: u8 = 6;
    pub(super) const MAX_AGE: u8 = 7;
    pub(super) const QUIET: u8 = 8;
    pub(super) const DRAIN: u8 = 9;
    pub(super) const LINGER: u8 = 10;
    pub(super) const CLIENT_WINDOW: u8 = 11;
    pub(super) const CLIENT_CHUNK: u8 = 12;
    pub(super) const TIMEOUT: u8 = 13;
    pub(super) const WINDOW: u8 = 14;
    pub(super) const SEND_BUFFER: u8 = 15;
}

impl Workload {
    /// Bytes that a client sends. Few: what goes wrong in long runs goes wrong in short ones, of which there are more.
    const LENGTHS: [u64; 8] = [32, 1, 9, 17, 32, 64, 64, 128];

    pub(super) fn draw(draw: &mut Draw<'_>) -> Self {
        let buffer = draw.one_of(site::BUFFER, &[64 << 10, 1, 2, 4, 8, 16, 64]);
        let chunk = draw.one_of(site::CHUNK, &[64 << 10, 1, 3, 16, 64]);
        let limits = TimeLimits {
            idle: draw.one_of(site::IDLE, &[None, None, None, Some(ms(10)), Some(ms(20)), Some(ms(50))]),
            half_close_idle: draw.one_of(site::HALF_CLOSE_IDLE, &[None, None, Some(ms(15)), Some(ms(60))]),
            max_age: draw.one_of(site::MAX_AGE, &[None, None, None, None, Some(ms(30)), Some(ms(200))]),
            quiet: draw.one_of(site::QUIET, &[ms(1000), ms(1), ms(2), ms(10)]),
            drain: draw.one_of(site::DRAIN, &[ms(5000), ms(3), ms(6), ms(50)]),
            linger: draw.one_of(site::LINGER, &[ms(2000), ms(4), ms(30)]),
        };
        let max_chunks = draw.one_of(site::MAX_CHUNKS, &[16, 1, 2, 3]);
        let len = draw.one_of(site::LEN, &Self::LENGTHS);
        // Sixteen times round full windows is enough: more makes a run longer, not harder.
        let least = usize::try_from(len / 16).unwrap_or(usize::MAX);
        let client = ClientConfig::default()
            .window(draw.one_of(site::CLIENT_WINDOW, &[64 << 10, 64 << 10, 64 << 10, 1, 16, 64]).max(least))
            .chunk(draw.one_of(site::CLIENT_CHUNK, &[64 << 10, 1, 7, 64]))
            .timeout(draw.one_of(site::TIMEOUT, &[None, None, Some(ms(50)), Some(ms(300)), Some(ms(2000))]));
        Self {
            server: limits.config(buffer, chunk, max_chunks),
            limits,
            client: Arc::new(client),
            seed: u64::from(draw.below(site::SEED, u32::MAX)),
            len,
            window: draw.one_of(site::WINDOW, &[64 << 10, 1, 4, 8, 16]).max(least),
            send_buffer: draw.one_of(site::SEND_BUFFER, &[64 << 10, 1, 4, 8, 16]).max(least),
        }
    }

    /// A network that goes with it, for so many clients.
    pub(super) fn setup(&self, clients: u32) -> Setup {
        Setup::default()
            .clients(clients)
            .window(self.window)
            .send_buffer(self.send_buffer)
            .driver_flaw(crate::planted::driver_flaw())
    }
}
