//! The machine.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};

use crate::operation::{MAX_TURNS, never_waits, waits_elsewhere};
use crate::state::{Need, Shared, WriteSide};
use crate::{ScriptConfig, ScriptEnd, ScriptIo, ScriptOutcome};

/// A [`Machine`] that runs an `async fn`: see the [crate](crate).
///
/// When the script returns, what it queued is written, the write side is half-closed, and the peer's end is waited for, so
/// that closing does not destroy bytes on their way.
pub struct Script<O, C = Infallible, E = Infallible> {
    /// Gone once it returned or was cut off.
    future: Option<Pin<Box<dyn Future<Output = O> + Send>>>,
    config: Arc<ScriptConfig>,
    shared: Arc<Shared<C, E>>,
    /// Of the future; made once.
    waker: Waker,
    output: Option<O>,
    stopped_at: Option<Time>,
    last_activity: Time,
    /// Since when the peer's end alone is waited for.
    lingering_since: Option<Time>,
    end: Option<ScriptEnd>,
    received: u64,
    sent: u64,
    /// Bytes received and not taken when the script ended, and all that came after.
    dropped: u64,
}

impl<O, C: Send + 'static, E: Send + 'static> Script<O, C, E> {
    /// A session that begins at `now`. The script runs when the machine is polled, and never outside.
    ///
    /// `config` is shared by all sessions; `ScriptConfig::default().into()` makes the `Arc`. A closure names the type of its
    /// parameter: `|io: ScriptIo| async move { … }`. Outcomes are copied, so `O` must be [`Clone`] to have a [`Machine`]: an
    /// error that is not, such as a `Box<dyn Error>`, is returned as text or in an `Arc`.
    pub fn new<F>(config: Arc<ScriptConfig>, now: Time, script: impl FnOnce(ScriptIo<C, E>) -> F) -> Self
    where
        F: Future<Output = O> + Send + 'static,
    {
        let shared = Arc::new(Shared::new(type_name::<F>(), Arc::clone(&config), now));
        let waker = Waker::from(Arc::clone(&shared));
        let future = Box::pin(script(ScriptIo { shared: Arc::clone(&shared) }));
        Self {
            future: Some(future),
            config,
            shared,
            waker,
            output: None,
            stopped_at: None,
            last_activity: now,
            lingering_since: None,
            end: None,
            received: 0,
            sent: 0,
            dropped: 0,
        }
    }
}

impl<O, C, E> Script<O, C, E> {
    /// What the script returned, once it did.
    pub const fn output(&self) -> Option<&O> {
        self.output.as_ref()
    }

    /// Bytes held: received and not taken, and queued and not written.
    pub fn held(&self) -> usize {
        let state = self.shared.state();
        state.inbox.len() + state.unsent()
    }

    /// Lets the script go on, if something that it waits for happened.
    fn run(&mut self, now: Time) {
        let Some(future) = &mut self.future else { return };
        let mut state = self.shared.state();
        if state.deadline().is_some_and(|at| at <= now) {
            state.wake(|need| matches!(need, Need::At(at) if at <= now));
        }
        if !self.shared.take_woken() {
            return;
        }
        state.now = now;
        state.completed = 0;
        drop(state);
        let mut context = Context::from_waker(&self.waker);
        // Again if it was woken meanwhile: one part of it may have completed what another one waits for.
        for _ in 0..MAX_TURNS {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return self.finish(now, output);
            }
            if !self.shared.take_woken() {
                // A stop need not come.
                let can_go_on = self.shared.state().needs().any(|need| need != Need::Stop);
                if can_go_on {
                    return;
                }
                waits_elsewhere(self.shared.name);
            }
        }
        never_waits(self.shared.name)
    }

    fn finish(&mut self, now: Time, output: O) {
        self.output = Some(output);
        self.last_activity = now;
        self.future = None;
        let mut state = self.shared.state();
        // It is read on, so that closing does not reset, and dropped.
        self.dropped += state.inbox.len() as u64;
        state.inbox = BytesMut::new();
        state.commands.clear();
        if state.write_side == WriteSide::Open {
            state.write_side = WriteSide::Closing;
        }
        if state.reset {
            self.end = Some(ScriptEnd::Reset);
        }
    }

    /// Ends the session now, the script with it.
    fn close(&mut self, end: ScriptEnd) {
        self.end = Some(end);
        self.future = None;
    }

    /// When the session's own limits pass.
    fn limit(&self) -> Option<Time> {
        let after = |since: Time, limit: Duration| since.after(limit.max(Duration::from_nanos(1)));
        if let Some(since) = self.lingering_since {
            return Some(after(since, self.config.linger));
        }
        let idle = self.config.idle.map(|idle| after(self.last_activity, idle));
        let stop = self.stopped_at.map(|stopped| after(stopped, self.config.grace));
        idle.into_iter().chain(stop).min()
    }

    fn pass_limits(&mut self, now: Time) {
        if self.limit().is_some_and(|at| at <= now) {
            self.close(match (self.lingering_since, self.stopped_at) {
                (Some(_), _) => ScriptEnd::Finished,
                (None, Some(_)) => ScriptEnd::Stopped,
                (None, None) => ScriptEnd::Idle,
            });
        }
    }
}

impl<O: Clone, C, E> Script<O, C, E> {
    fn closed(&self, end: ScriptEnd) -> Action<E, ScriptOutcome<O>> {
        let how = match end {
            ScriptEnd::Finished => Teardown::Graceful,
            ScriptEnd::Reset
            | ScriptEnd::Stopped
            | ScriptEnd::Idle
            | ScriptEnd::Aborted
            | ScriptEnd::Failed(_) => Teardown::Reset,
        };
        let state = self.shared.state();
        let outcome = ScriptOutcome {
            end,
            output: self.output.clone(),
            received: self.received,
            sent: self.sent,
            unread: self.dropped + state.inbox.len() as u64,
            unsent: state.unsent(),
        };
        Action::Close { how, outcome }
    }
}

impl<O: Clone, C, E> Machine for Script<O, C, E> {
    type Command = C;
    type Event = E;
    type Outcome = ScriptOutcome<O>;

    fn handle(&mut self, now: Time, input: Input<C>) {
        if self.end.is_some() {
            return;
        }
        let mut state = self.shared.state();
        match input {
            Input::Data(bytes) => {
                self.received += bytes.len() as u64;
                if self.future.is_none() {
                    self.dropped += bytes.len() as u64;
                    return;
                }
                self.last_activity = now;
                state.inbox.extend_from_slice(&bytes);
                state.wake_readers();
            }
            Input::Eof => {
                state.peer_ended = true;
                self.last_activity = now;
                state.wake_readers();
            }
            Input::Wrote(wrote) => {
                state.outstanding -= wrote;
                self.sent += wrote as u64;
                self.last_activity = now;
                state.wake(|need| need == Need::Write);
            }
            Input::Command(command) => {
                if self.future.is_some() {
                    state.commands.push_back(command);
                    state.wake(|need| need == Need::Command);
                }
            }
            Input::Stop => {
                state.stopped = true;
                self.stopped_at.get_or_insert(now);
                state.wake(|need| need == Need::Stop);
            }
            Input::Abort => {
                drop(state);
                self.close(ScriptEnd::Aborted);
            }
            Input::Failed(failure) => {
                drop(state);
                self.close(ScriptEnd::Failed(failure));
            }
        }
    }

    fn poll(&mut self, now: Time) -> Action<E, ScriptOutcome<O>> {
        if self.end.is_none() {
            self.run(now);
        }
        if self.end.is_none() {
            self.pass_limits(now);
        }
        let mut state = self.shared.state();
        if let Some(event) = state.events.pop_front() {
            state.wake(|need| need == Need::EventRoom);
            return Action::Event(event);
        }
        if let Some(end) = self.end {
            drop(state);
            return self.closed(end);
        }
        if state.outstanding == 0 {
            if !state.outbox.is_empty() {
                let bytes = state.outbox.split().freeze();
                state.outstanding = bytes.len();
                return Action::Write(bytes);
            }
            if state.write_side == WriteSide::Closing {
                state.write_side = WriteSide::HalfClosed;
                state.wake(|need| need == Need::HalfClose);
                return Action::ShutdownWrite;
            }
            if self.future.is_none() {
                if state.peer_ended {
                    drop(state);
                    self.close(ScriptEnd::Finished);
                    return self.closed(ScriptEnd::Finished);
                }
                self.lingering_since.get_or_insert(now);
            }
        }
        let read = if state.peer_ended { 0 } else { state.inbox_limit().saturating_sub(state.inbox.len()) };
        let commands = state.needs().filter(|need| *need == Need::Command).count();
        let deadline = state.deadline();
        Action::Wait(Wait { read, commands, deadline: self.limit().into_iter().chain(deadline).min() })
    }
}

impl<O, C, E> fmt::Debug for Script<O, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("script", &self.shared.name)
            .field("returned", &self.output.is_some())
            .field("end", &self.end)
            .field("received", &self.received)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
