//! What a runtime provides.

use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

/// A timer of a runtime.
pub trait Timer: Send {
    /// A timer that is not set.
    fn new() -> Self;

    /// Sets it to expire after `delay` from now, instead of when it would have.
    fn set_after(&mut self, delay: Duration);

    /// Ready once it has expired; if it has not, has the task woken when it does. Called only after it was set.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A runtime that runs tasks beside each other. `'a` is what they may borrow: nothing, where that is `'static`.
pub trait Spawn<'a> {
    /// Runs this future to its end.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'a);
}
