//! Connecting without blocking the executor.

use roundtrip_net::{ConnectOptions, Endpoint, NetError, Stream};

/// Connects to `endpoint`: resolves its name, and tries its addresses in turn, each within `options.timeout`.
///
/// Runs on a thread of smol's blocking pool, because the system resolves names in calls that block.
///
/// Cancel safety: dropped before it is done, the future lets the attempt end by itself, and the connection is closed.
///
/// # Errors
///
/// What failed, and at which step.
pub async fn connect(endpoint: Endpoint, options: ConnectOptions) -> Result<Stream, NetError> {
    smol::unblock(move || roundtrip_net::connect(&endpoint, &options)).await
}
