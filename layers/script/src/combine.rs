//! Two futures at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Which of two futures completed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Raced<A, B> {
    /// The first one, with its output.
    First(A),
    /// The second one, with its output.
    Second(B),
}

/// Waits for both futures.
pub async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_output, mut second_output) = (None, None);
    poll_fn(|context| {
        if first_output.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            first_output = Some(output);
        }
        if second_output.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            second_output = Some(output);
        }
        match (first_output.take(), second_output.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            outputs => {
                (first_output, second_output) = outputs;
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for one of two futures and drops the other. If both are ready, the first one wins: the same always.
///
/// Reads that are dropped before they complete took nothing; a [`write`](crate::ScriptIo::write) may have queued a part.
pub async fn race<A: Future, B: Future>(first: A, second: B) -> Raced<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Raced::First(output)),
        Poll::Pending => second.as_mut().poll(context).map(Raced::Second),
    })
    .await
}
