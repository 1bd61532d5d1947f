//! Connecting without blocking the runtime.

use roundtrip_net::{ConnectOptions, Endpoint, NetError, Stage, Stream};

/// Connects to `endpoint`: resolves its name, and tries its addresses in turn, each within `options.timeout`.
///
/// Runs on a thread of tokio's blocking pool, because the system resolves names in calls that block.
///
/// Cancel safety: dropped before it is done, the future lets the attempt end by itself, and the connection is closed.
///
/// # Errors
///
/// What failed, and at which step.
pub async fn connect(endpoint: Endpoint, options: ConnectOptions) -> Result<Stream, NetError> {
    let connecting = tokio::task::spawn_blocking(move || roundtrip_net::connect(&endpoint, &options));
    // The runtime is shutting down, or connecting panicked.
    connecting.await.unwrap_or_else(|error| Err(NetError::new(Stage::Connect, error.into())))
}
