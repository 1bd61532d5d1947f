//! A hub behind listening sockets: what the connections of a server share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roundtrip_core::hub::{ConnectionId, Hub, Mail, SendError};
use roundtrip_core::{Machine, Time};

use crate::{Accepted, Application, Clock, ConnectionReport, Control, Panic};

type Command<H> = <<H as Hub>::Session as Machine>::Command;
type Event<H> = <<H as Hub>::Session as Machine>::Event;
type Outcome<H> = <<H as Hub>::Session as Machine>::Outcome;

/// A [`Hub`] as the [`Application`] of a server: its calls come one after the other, whichever thread a connection runs on.
///
/// Mail is posted before the next call begins, so that all who get the same mail get it in the same order.
pub struct SharedHub<H: Hub, T> {
    clock: T,
    state: Mutex<State<H>>,
}

struct State<H: Hub> {
    hub: H,
    sessions: Sessions<Command<H>>,
}

/// The ways into the sessions that are open.
struct Sessions<C>(BTreeMap<ConnectionId, Control<C>>);

impl<H: Hub, T: Clock> SharedHub<H, T> {
    /// This hub, told the time of this clock.
    pub const fn new(hub: H, clock: T) -> Self {
        Self { clock, state: Mutex::new(State { hub, sessions: Sessions(BTreeMap::new()) }) }
    }

    /// Gives the hub back.
    pub fn into_hub(self) -> H {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).hub
    }

    fn state(&self) -> MutexGuard<'_, State<H>> {
        // A hub that panicked is called again: it is no less whole than after an error of its own.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H, T> Application<Accepted> for SharedHub<H, T>
where
    H: Hub<Session: Machine<Command: Send>> + Send,
    T: Clock,
{
    type Machine = H::Session;

    fn open(&self, now: Time, accepted: &Accepted, control: &Control<Command<H>>) -> H::Session {
        let mut state = self.state();
        state.sessions.0.insert(accepted.id, control.clone());
        state.hub.open(now, accepted.id)
    }

    fn event(&self, accepted: &Accepted, _control: &Control<Command<H>>, event: Event<H>) {
        let mut state = self.state();
        // Read under the lock, so that it does not go back from one call to the next.
        let now = self.clock.now();
        let State { hub, sessions } = &mut *state;
        hub.event(now, accepted.id, event, sessions);
    }

    fn ended(&self, accepted: &Accepted, report: ConnectionReport<Outcome<H>>) {
        let mut state = self.state();
        let now = self.clock.now();
        let State { hub, sessions } = &mut *state;
        sessions.0.remove(&accepted.id);
        hub.closed(now, accepted.id, report.outcome, sessions);
    }

    /// There is no outcome for the hub. What it sends to the session from here on comes [back](SendError::Gone).
    fn panicked(&self, accepted: &Accepted, _panic: Panic) {
        self.state().sessions.0.remove(&accepted.id);
    }
}

impl<C> Mail<C> for Sessions<C> {
    fn send(&mut self, to: ConnectionId, command: C) -> Result<(), SendError<C>> {
        let Some(control) = self.0.get(&to) else { return Err(SendError::Gone(command)) };
        control.try_send(command)
    }

    fn stop(&mut self, to: ConnectionId) {
        if let Some(control) = self.0.get(&to) {
            control.stop();
        }
    }

    fn abort(&mut self, to: ConnectionId) {
        if let Some(control) = self.0.get(&to) {
            control.abort();
        }
    }
}

impl<H: Hub, T> fmt::Debug for SharedHub<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHub").finish_non_exhaustive()
    }
}
