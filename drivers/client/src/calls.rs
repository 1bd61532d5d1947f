//! The protocol of a connection: calls go in, each comes out once, answered or lost.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;

use bytes::BytesMut;
use roundtrip_core::Time;
use roundtrip_core::protocol::{Io, Need, Protocol, SessionConfig, SessionEnd};

/// How requests become bytes, and bytes responses. Responses come in the order of their requests.
pub trait Codec: Sized {
    /// What is asked.
    type Request;
    /// What is answered.
    type Response;
    /// What the server sends unasked; `Infallible` if it sends nothing.
    type Push;
    /// Why a request cannot be sent, or bytes are no response.
    type Error: Clone;

    /// The connection begins: what is written before the first request, if anything.
    fn begin(&mut self, out: &mut BytesMut) {
        let _ = out;
    }

    /// Writes a request to the end of `out`.
    ///
    /// # Errors
    ///
    /// If it cannot be sent: then its call is refused, and nothing may have been written.
    fn encode(&mut self, request: Self::Request, out: &mut BytesMut) -> Result<(), Self::Error>;

    /// Takes one message from the front of `inbox`; none if it is not whole yet.
    ///
    /// # Errors
    ///
    /// If it is none, and never will be: then the connection ends, and all calls are lost.
    fn decode(&mut self, inbox: &mut BytesMut) -> Decoded<Self>;
}

/// What [`Codec::decode`] gives.
pub type Decoded<C> =
    Result<Option<Incoming<<C as Codec>::Response, <C as Codec>::Push>>, <C as Codec>::Error>;

/// A message from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<R, P> {
    /// The response to the oldest request in flight.
    Response(R),
    /// Unasked.
    Push(P),
}

/// A request, and a token that comes back with its result: a sender, a number, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<R, T> {
    /// What is asked.
    pub request: R,
    /// Comes back with the result.
    pub token: T,
}

/// What a connection tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent<R, P, E, T> {
    /// A call is over.
    Done {
        /// As it was given.
        token: T,
        /// The response.
        result: Result<R, CallError<E>>,
    },
    /// The server sent something unasked.
    Push(P),
}

/// Why a call has no response. Unless it says that nothing was sent, the server may have carried it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The request cannot be sent. Nothing was.
    Refused(E),
    /// The connection had ended. Nothing was sent.
    Gone,
    /// The connection ended before the response.
    Ended(SessionEnd),
    /// The server ended the connection before the response.
    Closed,
    /// The server sent what is no message, in response to this call or one before it.
    Malformed(E),
    /// A message was larger than [`SessionConfig::inbox`], in response to this call or one before it.
    TooLarge,
    /// The server sent a response that nothing had asked for.
    Unasked,
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "request not sent: {error}"),
            Self::Gone => f.write_str("request not sent: the connection has ended"),
            Self::Ended(end) => write!(f, "the connection ended before the response: {end:?}"),
            Self::Closed => f.write_str("the server closed the connection before the response"),
            Self::Malformed(error) => write!(f, "malformed response: {error}"),
            Self::TooLarge => f.write_str("response too large"),
            Self::Unasked => f.write_str("the server sent a response without a request"),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(error) | Self::Malformed(error) => Some(error),
            Self::Gone | Self::Ended(_) | Self::Closed | Self::TooLarge | Self::Unasked => None,
        }
    }
}

/// How a client bounds memory and time.
///
/// | field | default | meaning |
/// | --- | --- | --- |
/// | `session` | `SessionConfig::default()` | `inbox` holds the largest response; `idle` also ends a connection that is not used for that long |
/// | `in_flight` | 128 | maximum requests without a response; more wait |
/// | `pushes` | 16 | maximum messages sent unasked that wait to be received; while they do, nothing is read |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Bounds of the connection.
    pub session: SessionConfig,
    /// Maximum requests without a response, at least 1.
    pub in_flight: usize,
    /// Maximum messages sent unasked that wait to be received, at least 1.
    pub pushes: usize,
}

impl ClientConfig {
    roundtrip_core::setters! {
        session: SessionConfig,
        in_flight: usize,
        pushes: usize,
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { session: SessionConfig::default(), in_flight: 128, pushes: 16 }
    }
}

/// One connection: sends up to a number of requests without waiting for responses, and tells of each call exactly once, in the
/// order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls<C, T> {
    codec: C,
    in_flight: VecDeque<T>,
    max_in_flight: usize,
}

type EventOf<C, T> = CallEvent<<C as Codec>::Response, <C as Codec>::Push, <C as Codec>::Error, T>;

impl<C: Codec, T> Calls<C, T> {
    /// A connection that was asked nothing yet. A maximum of 0 is taken as 1.
    pub fn new(codec: C, max_in_flight: usize) -> Self {
        Self { codec, in_flight: VecDeque::new(), max_in_flight: max_in_flight.max(1) }
    }

    /// Requests without a response.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn done(io: &mut Io<'_, EventOf<C, T>>, token: T, result: Result<C::Response, CallError<C::Error>>) {
        io.event(CallEvent::Done { token, result });
    }

    fn take(&mut self, io: &mut Io<'_, EventOf<C, T>>) -> Result<(), CallError<C::Error>> {
        while !io.inbox().is_empty() {
            match self.codec.decode(io.inbox()).map_err(CallError::Malformed)? {
                None => break,
                Some(Incoming::Push(push)) => io.event(CallEvent::Push(push)),
                Some(Incoming::Response(response)) => {
                    let token = self.in_flight.pop_front().ok_or(CallError::Unasked)?;
                    Self::done(io, token, Ok(response));
                }
            }
        }
        Ok(())
    }

    fn lose_all(&mut self, error: &CallError<C::Error>, io: &mut Io<'_, EventOf<C, T>>) {
        for token in self.in_flight.drain(..) {
            Self::done(io, token, Err(error.clone()));
        }
    }
}

impl<C: Codec, T> Protocol for Calls<C, T> {
    type Command = Call<C::Request, T>;
    type Event = EventOf<C, T>;

    fn begin(&mut self, _now: Time, io: &mut Io<'_, Self::Event>) {
        self.codec.begin(io.outbox());
    }

    fn receive(&mut self, _now: Time, io: &mut Io<'_, Self::Event>) -> Need {
        let taken = self.take(io);
        let ended = if io.peer_ended() { Err(CallError::Closed) } else { Ok(()) };
        if let Err(error) = taken.and(ended) {
            self.lose_all(&error, io);
            io.finish();
        }
        Need::Bytes
    }

    fn command_capacity(&self) -> usize {
        self.max_in_flight.saturating_sub(self.in_flight.len())
    }

    fn command(&mut self, _now: Time, call: Self::Command, io: &mut Io<'_, Self::Event>) {
        let Call { request, token } = call;
        let before = io.outbox().len();
        match self.codec.encode(request, io.outbox()) {
            Ok(()) => self.in_flight.push_back(token),
            Err(error) => {
                io.outbox().truncate(before);
                Self::done(io, token, Err(CallError::Refused(error)));
            }
        }
    }

    fn on_message_too_large(&mut self, _now: Time, io: &mut Io<'_, Self::Event>) {
        self.lose_all(&CallError::TooLarge, io);
    }

    fn ended(&mut self, _now: Time, end: SessionEnd, io: &mut Io<'_, Self::Event>) {
        self.lose_all(&CallError::Ended(end), io);
    }
}
