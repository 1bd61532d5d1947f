//! What an application holds of a connection, and what its driver is given.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use roundtrip_core::Time;
use roundtrip_core::protocol::Session;
use roundtrip_net::{
    Bell, Control, EventReceiver, EventSender, EventSink, SendError, block_on, event_channel,
};

use crate::reply::{Reply, ReplySender};
use crate::{Call, CallError, CallEvent, Calls, ClientConfig, Codec};

/// What comes of a call.
pub type ResultOf<C> = Result<<C as Codec>::Response, CallError<<C as Codec>::Error>>;
/// The other end of a [`Response`].
pub type Token<C> = ReplySender<ResultOf<C>>;
type CallOf<C> = Call<<C as Codec>::Request, Token<C>>;

/// A client of the connection that `control` reaches, the machine to drive, and where its events go:
/// `driver.drive_into(stream, machine, events)`.
#[expect(clippy::type_complexity, reason = "what a driver takes, in its order")]
pub fn client<C: Codec>(
    control: Control<CallOf<C>>,
    codec: C,
    config: ClientConfig,
) -> (Client<C>, impl FnOnce(Time) -> Session<Calls<C, Token<C>>>, ClientEvents<C>) {
    let ClientConfig { session, in_flight, pushes } = config;
    let (sender, receiver) = event_channel(pushes);
    let machine = move |now| Session::new(Calls::new(codec, in_flight), Arc::new(session), now);
    let client = Client(Arc::new(StopOnDrop(control)));
    (client, machine, ClientEvents { pushes: sender, receiver: Some(receiver) })
}

/// A connection that any number of tasks and threads call. Cheap to clone. The connection is stopped when the last one is
/// dropped, and no [`Response`] is awaited any more.
pub struct Client<C: Codec>(Arc<StopOnDrop<CallOf<C>>>);

struct StopOnDrop<T>(Control<T>);

impl<T> Drop for StopOnDrop<T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<C: Codec> Client<C> {
    /// Sends a request, waiting for room if the connection is busy, and waits for the response.
    ///
    /// Cancel safety: dropped before the request was sent, nothing is; after that, the response is dropped.
    ///
    /// # Errors
    ///
    /// If there is no response. It never waits for a connection that has ended.
    pub async fn call(&self, request: C::Request) -> ResultOf<C> {
        self.send(request).await?.await
    }

    /// Sends a request, waiting for room if the connection is busy. The response is to be awaited: several calls of one task
    /// are in flight at once.
    ///
    /// # Errors
    ///
    /// [`CallError::Gone`] if the connection has ended.
    pub async fn send(&self, request: C::Request) -> Result<Response<C>, CallError<C::Error>> {
        let (token, reply) = Reply::new();
        self.0.0.send(Call { request, token }).await.map_err(|_| CallError::Gone)?;
        Ok(Response { reply, _client: self.clone() })
    }

    /// Sends a request if there is room.
    ///
    /// # Errors
    ///
    /// The request, and whether the connection has ended or only is busy.
    pub fn try_send(&self, request: C::Request) -> Result<Response<C>, SendError<C::Request>> {
        let (token, reply) = Reply::new();
        match self.0.0.try_send(Call { request, token }) {
            Ok(()) => Ok(Response { reply, _client: self.clone() }),
            Err(SendError::Full(call)) => Err(SendError::Full(call.request)),
            Err(SendError::Gone(call)) => Err(SendError::Gone(call.request)),
        }
    }

    /// [`call`](Self::call), blocking this thread. A task must not: it would block its executor.
    ///
    /// # Errors
    ///
    /// If there is no response.
    pub fn call_blocking(&self, request: C::Request) -> ResultOf<C> {
        self.send_blocking(request)?.wait()
    }

    /// [`send`](Self::send), blocking this thread.
    ///
    /// # Errors
    ///
    /// [`CallError::Gone`] if the connection has ended.
    pub fn send_blocking(&self, request: C::Request) -> Result<Response<C>, CallError<C::Error>> {
        let (token, reply) = Reply::new();
        self.0.0.send_blocking(Call { request, token }).map_err(|_| CallError::Gone)?;
        Ok(Response { reply, _client: self.clone() })
    }

    /// Ends the connection now: all calls are lost.
    pub fn abort(&self) {
        self.0.0.abort();
    }
}

impl<C: Codec> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Codec> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.0).finish()
    }
}

/// The response to a request in flight.
///
/// Cancel safety: dropped, the request is carried out all the same, and its response is dropped.
#[must_use = "a response is read by awaiting it"]
pub struct Response<C: Codec> {
    reply: Reply<ResultOf<C>>,
    /// The connection lasts as long as its response is awaited.
    _client: Client<C>,
}

impl<C: Codec> Response<C> {
    /// Blocks this thread until the response has come. A task must not: it would block its executor.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn wait(self) -> ResultOf<C> {
        block_on(self)
    }
}

impl<C: Codec> Future for Response<C> {
    type Output = ResultOf<C>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A call that the session never took is dropped with its token.
        Pin::new(&mut self.reply).poll(cx).map(|result| result.unwrap_or(Err(CallError::Gone)))
    }
}

impl<C: Codec> fmt::Debug for Response<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").finish_non_exhaustive()
    }
}

/// Hands each result to its caller, and what comes unasked to the channel of [`pushes`](Self::pushes).
pub struct ClientEvents<C: Codec> {
    pushes: EventSender<C::Push>,
    receiver: Option<EventReceiver<C::Push>>,
}

impl<C: Codec> ClientEvents<C> {
    /// Receives what the server sends unasked. While [`ClientConfig::pushes`] of it wait, nothing is read, responses
    /// neither. Not taken, or dropped, what comes unasked is dropped.
    pub const fn pushes(&mut self) -> Option<EventReceiver<C::Push>> {
        self.receiver.take()
    }
}

impl<C: Codec> EventSink<CallEvent<C::Response, C::Push, C::Error, Token<C>>> for ClientEvents<C> {
    fn attach(&mut self, bell: Arc<dyn Bell>) {
        // Nobody can take it any more.
        self.receiver = None;
        self.pushes.attach(bell);
    }

    fn has_room(&self) -> bool {
        self.pushes.has_room()
    }

    fn send(&mut self, event: CallEvent<C::Response, C::Push, C::Error, Token<C>>) {
        match event {
            CallEvent::Done { token, result } => token.send(result),
            CallEvent::Push(push) => self.pushes.send(push),
        }
    }
}

impl<C: Codec> fmt::Debug for ClientEvents<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientEvents").field("pushes", &self.pushes).finish_non_exhaustive()
    }
}
