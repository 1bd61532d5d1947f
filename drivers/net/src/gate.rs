//! What stands between the listeners of a server and its sessions: the admission policy, and a [`Control`] of each session.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roundtrip_core::Time;
use roundtrip_core::admission::{Accept, AcceptError, Admission, AdmissionAction, AdmissionInput, Limits};
use roundtrip_core::hub::ConnectionId;

use crate::{Accepted, Bell, Control, Peer, ServerStats, Source, classify};

/// Stops a server and reads its counters, from any thread. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ServerHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    force: AtomicBool,
    /// Wakes the acceptor, once there is one.
    bell: Mutex<Option<Arc<dyn Bell>>>,
    stats: Mutex<ServerStats>,
}

impl ServerHandle {
    /// A handle for one server. What is asked before that server runs is done when it does.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drains: closes the listeners once their backlogs are empty, and stops every session.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.ring();
    }

    /// Ends the drain now: aborts every session that is left.
    pub fn force(&self) {
        self.0.force.store(true, Ordering::Release);
        self.ring();
    }

    /// The counters of the server, as they are now.
    pub fn stats(&self) -> ServerStats {
        *self.lock_stats()
    }

    fn lock_stats(&self) -> MutexGuard<'_, ServerStats> {
        // Nothing that can panic runs under this lock.
        self.0.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For drivers: from here on, each request rings this bell. What was asked before is there to be taken.
    pub fn ring_with(&self, bell: Arc<dyn Bell>) {
        *self.0.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(bell);
    }

    fn ring(&self) {
        let bell = self.0.bell.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bell) = bell {
            bell.ring();
        }
    }
}

/// The admission policy of one server, carried out: a driver accepts, and asks here which connections to admit.
///
/// `C` is the command of a session. It calls neither the application nor a machine, so that it is whole even where one
/// panicked.
pub struct AdmissionGate<C> {
    admission: Admission<Source>,
    ipv6_prefix: u8,
    handle: ServerHandle,
    /// Reaches every session that is open.
    sessions: BTreeMap<ConnectionId, Control<C>>,
    next: u64,
    /// `StopAll` was said: it holds for sessions to come as well.
    stopping: bool,
    /// The acceptor sleeps on something that the end of a session may change.
    waits_for_sessions: bool,
    panicked: u64,
}

impl<C> AdmissionGate<C> {
    /// A gate that admits what `limits` allow, until it is stopped through `handle`.
    pub fn new(limits: Limits, handle: &ServerHandle) -> Self {
        Self {
            ipv6_prefix: limits.ipv6_prefix,
            admission: Admission::new(limits),
            handle: handle.clone(),
            sessions: BTreeMap::new(),
            next: 0,
            stopping: false,
            waits_for_sessions: false,
            panicked: 0,
        }
    }

    /// Carries out what was asked of the server and what the policy wants, until it waits: what to do with the
    /// listeners, and when to come back at the latest. None once the server is drained.
    ///
    /// A driver clears its bell first.
    pub fn obey(&mut self, now: Time) -> Option<(Accept, Option<Time>)> {
        if self.handle.0.stop.swap(false, Ordering::Acquire) {
            self.tell(now, AdmissionInput::Stop);
        }
        if self.handle.0.force.swap(false, Ordering::Acquire) {
            self.tell(now, AdmissionInput::Force);
        }
        loop {
            match self.admission.poll(now) {
                // Connections are decided where they are accepted.
                AdmissionAction::Admit(_) | AdmissionAction::Refuse(_) => {}
                AdmissionAction::StopAll => {
                    self.stopping = true;
                    self.sessions.values().for_each(Control::stop);
                }
                AdmissionAction::AbortAll => self.abort_all(),
                AdmissionAction::Wait { accept, deadline } => {
                    self.waits_for_sessions = accept != Accept::Open;
                    return Some((accept, deadline));
                }
                AdmissionAction::Drained => return None,
            }
        }
    }

    /// Asks the policy about a connection that was accepted. None if it is refused: then it must be closed.
    pub fn admit(&mut self, now: Time, peer: Peer, control: &Control<C>) -> Option<Accepted> {
        self.tell(now, AdmissionInput::Accepted(peer.source(self.ipv6_prefix)));
        let admitted = matches!(self.admission.poll(now), AdmissionAction::Admit(_));
        self.publish();
        if !admitted {
            return None;
        }
        if self.stopping {
            control.stop();
        }
        let id = ConnectionId::new(self.next);
        self.next += 1;
        self.sessions.insert(id, control.clone());
        Some(Accepted { id, peer })
    }

    /// Aborts every session that is open.
    pub fn abort_all(&self) {
        self.sessions.values().for_each(Control::abort);
    }

    /// During a sweep, every backlog was found empty.
    pub fn swept(&mut self, now: Time) {
        self.tell(now, AdmissionInput::Swept);
    }

    /// Accepting failed.
    pub fn accept_failed(&mut self, now: Time, error: &io::Error) {
        let class = classify::accept(error).unwrap_or(AcceptError::Exhausted);
        self.tell(now, AdmissionInput::AcceptFailed(class));
        self.publish();
    }

    /// The session of this connection is over and the connection torn down. Whether the acceptor must be woken.
    #[must_use = "the server sleeps on it"]
    pub fn ended(&mut self, now: Time, accepted: &Accepted) -> bool {
        self.sessions.remove(&accepted.id);
        self.tell(now, AdmissionInput::Ended(accepted.peer.source(self.ipv6_prefix)));
        self.publish();
        self.waits_for_sessions
    }

    /// A machine or the application panicked.
    pub fn panicked(&mut self) {
        self.panicked += 1;
        self.publish();
    }

    /// What came of the server so far.
    pub const fn stats(&self) -> ServerStats {
        ServerStats { admission: self.admission.stats(), panicked: self.panicked }
    }

    /// Has the handle show the counters as they are now.
    fn publish(&self) {
        *self.handle.lock_stats() = self.stats();
    }

    fn tell(&mut self, now: Time, input: AdmissionInput<Source>) {
        let heard = self.admission.handle(now, input);
        debug_assert!(heard.is_ok(), "{heard:?}");
    }
}

impl<C> fmt::Debug for AdmissionGate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionGate").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::tests::Count;
    use crate::{Mail, Mailbox};
    use std::net::SocketAddr;

    fn peer() -> Peer {
        Peer::new(SocketAddr::from(([192, 0, 2, 1], 80)))
    }

    #[test]
    fn what_was_asked_before_the_server_ran_is_done_when_it_does() {
        let handle = ServerHandle::new();
        handle.stop();
        let bell = Arc::new(Count::default());
        handle.ring_with(bell.clone());
        let mut gate = AdmissionGate::<u8>::new(Limits::default(), &handle);
        assert!(matches!(gate.obey(Time::ZERO), Some((Accept::Sweep, Some(_)))));
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
        handle.clone().force();
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert_eq!(gate.obey(Time::ZERO), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let admitted = |ipv6_prefix, addresses: &[&str]| {
            let limits = Limits::default().per_source(Some(1)).ipv6_prefix(ipv6_prefix);
            let mut gate = AdmissionGate::<u8>::new(limits, &ServerHandle::new());
            let control = Mailbox::new(1, Arc::new(Count::default())).1;
            let peers =
                addresses.iter().map(|address| Peer::new(SocketAddr::new(address.parse().unwrap(), 80)));
            peers.filter(|peer| gate.admit(Time::ZERO, *peer, &control).is_some()).count()
        };
        let network: Vec<_> = (1..=600).map(|host| format!("2001:db8:0:1:{host:x}::1")).collect();
        let network: Vec<_> = network.iter().map(String::as_str).collect();
        assert_eq!(admitted(64, &network), 1);
        assert_eq!(admitted(128, &network), 600);
        assert_eq!(admitted(0, &["2001:db8::1", "fe80::1"]), 1);
        assert_eq!(admitted(64, &["2001:db8:0:1::1", "2001:db8:0:2::1"]), 2);
        assert_eq!(admitted(48, &["2001:db8:0:1::1", "2001:db8:0:2::1"]), 1);
        assert_eq!(admitted(64, &["::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"]), 2);
    }

    #[test]
    fn a_session_that_comes_during_a_drain_is_stopped_and_its_end_is_waited_for() {
        let handle = ServerHandle::new();
        let mut gate = AdmissionGate::<u8>::new(Limits::default(), &handle);
        let (first, channel) = Mailbox::new(1, Arc::new(Count::default()));
        let first_caller = gate.admit(Time::ZERO, peer(), &channel).unwrap();
        assert!(gate.obey(Time::ZERO).is_some() && first.is_empty());
        handle.stop();
        assert!(gate.obey(Time::ZERO).is_some());
        assert_eq!(first.take(false), Some(Mail::Stop));
        let (second, channel) = Mailbox::new(1, Arc::new(Count::default()));
        let second_caller = gate.admit(Time::ZERO, peer(), &channel).unwrap();
        assert_eq!(second.take(false), Some(Mail::Stop));
        gate.swept(Time::ZERO);
        assert!(matches!(gate.obey(Time::ZERO), Some((Accept::Closed, _))));
        assert!(gate.ended(Time::ZERO, &first_caller), "a drain waits for it");
        assert!(gate.ended(Time::ZERO, &second_caller));
        assert_eq!(gate.obey(Time::ZERO), None);
        let stats = handle.stats();
        assert_eq!((stats.admission.admitted, stats.admission.live, stats.panicked), (2, 0, 0));
        gate.panicked();
        assert_eq!(handle.stats(), gate.stats());
    }
}
