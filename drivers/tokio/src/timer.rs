//! Timers of tokio.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use roundtrip_task::Timer;
use tokio::time::{Instant, Sleep, sleep};

/// A timer of tokio, which is made when it is set for the first time.
#[derive(Debug)]
pub struct TokioTimer(Option<Pin<Box<Sleep>>>);

impl Timer for TokioTimer {
    fn new() -> Self {
        Self(None)
    }

    fn set_after(&mut self, delay: Duration) {
        match &mut self.0 {
            None => self.0 = Some(Box::pin(sleep(delay))),
            // As `sleep` does, for a time that no clock will show.
            Some(timer) => {
                let now = Instant::now();
                let far = Duration::from_secs(86_400 * 365 * 30);
                timer.as_mut().reset(now.checked_add(delay).unwrap_or(now + far));
            }
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Pending,
            Some(timer) => timer.as_mut().poll(cx),
        }
    }
}
