//! An operation of a script, as a future.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::ScriptIo;
use crate::state::{Need, State};

/// What a script may complete without waiting and without moving anything, before it is taken for one that never waits.
pub(crate) const MAX_TURNS: u32 = 1_000_000;

/// Completes when `ready` gives something else than a need.
pub(crate) struct Operation<'a, C, E, F> {
    io: &'a ScriptIo<C, E>,
    /// Its place among those that wait.
    place: Option<usize>,
    ready: F,
}

impl<'a, C, E, F> Operation<'a, C, E, F> {
    pub(crate) const fn new(io: &'a ScriptIo<C, E>, ready: F) -> Self {
        Self { io, place: None, ready }
    }
}

impl<T, C, E, F> Future for Operation<'_, C, E, F>
where
    F: FnMut(&mut State<C, E>) -> Result<T, Need> + Unpin,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let mut state = this.io.shared.state();
        match (this.ready)(&mut state) {
            Ok(value) => {
                state.completed += 1;
                let is_endless = state.completed > MAX_TURNS;
                let waker = this.place.take().and_then(|place| state.leave(place));
                drop(state);
                drop(waker);
                if is_endless {
                    never_waits(this.io.shared.name);
                }
                Poll::Ready(value)
            }
            Err(need) => {
                state.wait(&mut this.place, need, context.waker());
                Poll::Pending
            }
        }
    }
}

impl<C, E, F> Drop for Operation<'_, C, E, F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // Dropped without the lock: with the last of it may go a future that has operations of its own.
            let waker = self.io.shared.state().leave(place);
            drop(waker);
        }
    }
}

/// Nothing would wake the script.
#[cold]
#[expect(clippy::panic, reason = "a script broke the contract of machines")]
pub(crate) fn waits_elsewhere(name: &str) -> ! {
    panic!(
        "I4: {name} waits for something that is no operation of its `ScriptIo`, so nothing would wake it: send the \
         application an `event` and wait for a `command`"
    )
}

/// Going on would hold the thread for ever.
#[cold]
#[expect(clippy::panic, reason = "a script broke the contract of machines")]
pub(crate) fn never_waits(name: &str) -> ! {
    panic!("I5: {name} goes on without waiting: {MAX_TURNS} operations that moved nothing")
}
