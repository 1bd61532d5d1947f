//! Futures that share a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use roundtrip_core::protocol::{Session, SessionConfig};
use roundtrip_smol::{Control, Driver, SendError, Stream, SystemClock};

use super::{Call, Client, Done, Lost, Reply};

/// A connection that any number of tasks call. It ends when this is dropped.
#[derive(Debug)]
pub struct Connection {
    control: Control<Call<Promise>>,
}

impl Connection {
    /// The connection, and the future that drives `stream` until it has ended: spawn that. Dropped, it resets the connection,
    /// and all calls are lost.
    pub fn new(stream: Stream, config: SessionConfig) -> (Self, impl Future<Output = ()> + Send) {
        let driver = Driver::new(SystemClock::new());
        let control = driver.control();
        let client = move |now| Session::new(Client::new(), Arc::new(config), now);
        let driven = driver.drive(stream, client, |Done { token, result }| Promise::tell(&token, result));
        (Self { control }, async { drop(driven.await) })
    }

    /// Calls; the answer is to be awaited. The call is made at once, and dropping the answer takes nothing back and
    /// disturbs nobody.
    ///
    /// The answer is [`Lost::Busy`] if as many calls wait as a mailbox holds.
    pub fn call<W: AsRef<[u8]>>(&self, words: &[W]) -> Answer {
        let slot = Arc::default();
        let posted = self.control.post(Call::new(words, Promise(Arc::clone(&slot))));
        if let Err(SendError::Full(call)) = posted {
            call.token.tell(Err(Lost::Busy));
        }
        Answer(slot)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.control.stop();
    }
}

/// What [`Connection::call`] gives: the answer, in time.
#[derive(Debug)]
#[must_use = "an answer that is not awaited is not heard"]
pub struct Answer(Arc<Slot>);

/// The other side of an [`Answer`]. Dropped before it told anything, the call is lost.
#[derive(Debug)]
struct Promise(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Reply, Lost>>,
    waiting: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// The first to tell is heard.
    fn tell(&self, result: Result<Reply, Lost>) {
        let mut state = self.0.lock();
        state.result.get_or_insert(result);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.tell(Err(Lost::Gone));
    }
}

impl Future for Answer {
    type Output = Result<Reply, Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if let Some(result) = &state.result {
            return Poll::Ready(result.clone());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}
