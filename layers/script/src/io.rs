//! What a script can do.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roundtrip_core::Time;

use crate::combine::{Raced, race};
use crate::operation::Operation;
use crate::state::{Need, Shared, State, WriteSide};

/// The connection as its script sees it.
///
/// No operation fails because the transport does: a script whose transport failed, or that was aborted, is dropped where it
/// waits. Operations complete without waiting if they can. An operation that is dropped before it completes did nothing, with
/// two exceptions: [`write`](Self::write) may have queued a part, and [`shut_down_write`](Self::shut_down_write) half-closes
/// all the same.
pub struct ScriptIo<C = Infallible, E = Infallible> {
    pub(crate) shared: Arc<Shared<C, E>>,
}

impl<C, E> fmt::Debug for ScriptIo<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScriptIo").field(&self.shared.name).finish()
    }
}

impl<C, E> ScriptIo<C, E> {
    const fn operation<T, F>(&self, ready: F) -> Operation<'_, C, E, F>
    where
        F: FnMut(&mut State<C, E>) -> Result<T, Need> + Unpin,
    {
        Operation::new(self, ready)
    }

    /// Reads exactly `n` bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::Eof`] if the peer ended before, [`ReadError::TooLong`] if the inbox never holds that many. Nothing is
    /// taken then.
    pub async fn read_exact(&self, n: usize) -> Result<Bytes, ReadError> {
        self.operation(|state| {
            let limit = state.inbox_limit();
            if state.inbox.len() >= n {
                Ok(Ok(state.take(n)))
            } else if n > limit {
                Ok(Err(ReadError::TooLong { limit }))
            } else if state.peer_ended {
                Ok(Err(ReadError::Eof { received: state.inbox.len() }))
            } else {
                Err(Need::Bytes(n))
            }
        })
        .await
    }

    /// [Reads exactly](Self::read_exact) `N` bytes, as an array: for a pattern, such as `let [5, method] = …`.
    ///
    /// # Errors
    ///
    /// Those of [`read_exact`](Self::read_exact).
    pub async fn read_array<const N: usize>(&self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(&self.read_exact(N).await?);
        Ok(array)
    }

    /// Reads up to the end of the first `delimiter`, which is included: at most `max` bytes, and no more than the inbox holds.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLong`] if the first `max` bytes have no delimiter, [`ReadError::Eof`] if the peer ended before one.
    /// Nothing is taken then.
    pub async fn read_until(&self, delimiter: impl AsRef<[u8]>, max: usize) -> Result<Bytes, ReadError> {
        let delimiter = delimiter.as_ref();
        // What was looked at, counted from the beginning of the stream: each byte is looked at once.
        let mut searched = 0;
        self.operation(|state| {
            let limit = max.min(state.inbox_limit());
            let window = &state.inbox[..state.inbox.len().min(limit)];
            let from = usize::try_from(u64::saturating_sub(searched, state.taken)).unwrap_or(usize::MAX);
            let from = from.saturating_sub(delimiter.len().saturating_sub(1)).min(window.len());
            if let Some(at) = find(&window[from..], delimiter) {
                return Ok(Ok(state.take(from + at + delimiter.len())));
            }
            searched = state.taken + window.len() as u64;
            if window.len() == limit {
                Ok(Err(ReadError::TooLong { limit }))
            } else if state.peer_ended {
                Ok(Err(ReadError::Eof { received: window.len() }))
            } else {
                Err(Need::Bytes(window.len() + 1))
            }
        })
        .await
    }

    /// Reads what is there, at least one byte and at most `max`; `None` once the peer ended. How many bytes it gives depends on
    /// how the network cut the stream. A `max` of 0 is taken as 1.
    pub async fn read_some(&self, max: usize) -> Option<Bytes> {
        self.operation(|state| match state.inbox.len() {
            0 if state.peer_ended => Ok(None),
            0 => Err(Need::Bytes(1)),
            held => Ok(Some(state.take(held.min(max.max(1))))),
        })
        .await
    }

    /// Whether the peer ended and all it sent was taken. Waits until there is a byte or the end.
    pub async fn at_eof(&self) -> bool {
        self.operation(|state| match (state.inbox.is_empty(), state.peer_ended) {
            (false, _) => Ok(false),
            (true, true) => Ok(true),
            (true, false) => Err(Need::Bytes(1)),
        })
        .await
    }

    /// Queues bytes to be written, and waits for room in the outbox where there is none. It completes when the last byte is
    /// queued. If it is dropped before, a part may be queued.
    ///
    /// Bytes arrive while it waits, until the inbox is full. Two scripts that write without reading wait for each other once
    /// all buffers between them are full: [`join`](crate::join) does both at once.
    ///
    /// # Panics
    ///
    /// After [`shut_down_write`](Self::shut_down_write).
    pub async fn write(&self, bytes: impl AsRef<[u8]>) {
        let mut left = bytes.as_ref();
        self.operation(|state| {
            assert!(
                state.write_side == WriteSide::Open,
                "I7: {} writes after its half-close",
                self.shared.name
            );
            let (queued, rest) = left.split_at(left.len().min(state.room()));
            state.outbox.extend_from_slice(queued);
            state.note_moved(queued.len());
            left = rest;
            if left.is_empty() { Ok(()) } else { Err(Need::Write) }
        })
        .await;
    }

    /// Waits until the transport took all that was queued.
    pub async fn flush(&self) {
        self.operation(|state| if state.unsent() == 0 { Ok(()) } else { Err(Need::Write) }).await;
    }

    /// Half-closes: waits until all that was queued is written and the transport was told. Reading goes on. It happens at the
    /// end of the script anyway. Once it was polled it happens, even if it is dropped before it completes.
    pub async fn shut_down_write(&self) {
        self.operation(|state| match state.write_side {
            WriteSide::HalfClosed => Ok(()),
            WriteSide::Open | WriteSide::Closing => {
                state.write_side = WriteSide::Closing;
                Err(Need::HalfClose)
            }
        })
        .await;
    }

    /// Waits for `duration` from now, the time of the call.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> {
        self.sleep_until(self.now().after(duration))
    }

    /// Waits until a point in time.
    pub fn sleep_until(&self, time: Time) -> impl Future<Output = ()> {
        self.operation(move |state| if state.now >= time { Ok(()) } else { Err(Need::At(time)) })
    }

    /// Waits for `future`, no longer than `limit` from now. A future that is ready at the limit wins.
    ///
    /// Put a whole login into one future, and bytes that trickle do not extend its limit.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if it is not ready at the limit; it is dropped then.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, TimedOut> {
        match race(future, self.sleep(limit)).await {
            Raced::First(output) => Ok(output),
            Raced::Second(()) => Err(TimedOut),
        }
    }

    /// Tells the application something. Waits while the queue of events is full.
    pub async fn event(&self, event: E) {
        let mut event = Some(event);
        // A closure that takes it by reference can be moved, whatever an event is.
        let event = &mut event;
        self.operation(|state| {
            if state.events.len() >= state.config.events.max(1) {
                return Err(Need::EventRoom);
            }
            state.events.extend(event.take());
            state.note_moved(1);
            Ok(())
        })
        .await;
    }

    /// Waits for a command from the application. Commands stay in the mailbox until the script waits for one.
    pub async fn command(&self) -> C {
        self.operation(|state| {
            let command = state.commands.pop_front().ok_or(Need::Command)?;
            state.note_moved(1);
            Ok(command)
        })
        .await
    }

    /// Whether the session was asked to [stop](roundtrip_core::Input::Stop). A script that goes on is cut off when the grace
    /// period is over.
    pub fn is_stopped(&self) -> bool {
        self.shared.state().stopped
    }

    /// Waits for `future`, unless the session is asked to stop. A future that is ready wins. For where a conversation can end
    /// in order, such as between two requests.
    ///
    /// # Errors
    ///
    /// [`Stopped`] once the session was asked to stop; the future is dropped then.
    pub async fn until_stopped<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        let stopped = self.operation(|state| if state.stopped { Ok(()) } else { Err(Need::Stop) });
        match race(future, stopped).await {
            Raced::First(output) => Ok(output),
            Raced::Second(()) => Err(Stopped),
        }
    }

    /// Makes the end of the script a reset: when it returns, what is queued and not written is dropped, and the peer does not
    /// take what it got for the whole.
    pub fn reset(&self) {
        self.shared.state().reset = true;
    }

    /// The time. It stands still until the script waits.
    pub fn now(&self) -> Time {
        self.shared.state().now
    }
}

/// Where `needle` begins.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [] => Some(0),
        [byte] => bytes.iter().position(|other| other == byte),
        _ => bytes.windows(needle.len()).position(|window| window == needle),
    }
}

/// Why a read gave nothing. What was received can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadError {
    /// The peer ended before the message was complete.
    Eof {
        /// Bytes of it that were received.
        received: usize,
    },
    /// The message is longer than allowed.
    TooLong {
        /// Bytes that are.
        limit: usize,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof { received } => write!(f, "the peer ended after {received} bytes of a message"),
            Self::TooLong { limit } => write!(f, "message longer than {limit} bytes"),
        }
    }
}

impl Error for ReadError {}

/// The time limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

/// The session was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl Error for Stopped {}
