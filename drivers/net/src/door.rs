//! What stands between a server's listeners and its sessions: the admission policy, and the way into each session.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roundtrip_core::Time;
use roundtrip_core::admission::{Accept, AcceptError, Admission, AdmissionAction, AdmissionInput, Limits};
use roundtrip_core::hub::ConnectionId;

use crate::{Bell, Caller, Control, Peer, Served, Source, classify};

/// Stops a server from any thread. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ServerHandle(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    stop: AtomicBool,
    force: AtomicBool,
    /// Wakes whoever obeys the policy, once there is somebody.
    bell: Mutex<Option<Arc<dyn Bell>>>,
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

/// The admission policy of one server, obeyed: a driver accepts, and asks here whom it lets in.
///
/// `C` is what can be said to a session. No service and no machine is called by it, so that it is whole even where
/// one panicked.
pub struct Door<C> {
    admission: Admission<Source>,
    ipv6_prefix: u8,
    handle: ServerHandle,
    /// The way into every session that is open.
    sessions: BTreeMap<ConnectionId, Control<C>>,
    next: u64,
    /// `StopAll` was said: it holds for sessions to come as well.
    stopping: bool,
    /// Whoever obeys the policy sleeps on something that the end of a session may change.
    needs_word: bool,
    panicked: u64,
}

impl<C> Door<C> {
    /// A door that lets in whom `limits` allow, until it is told otherwise through `handle`.
    pub fn new(limits: Limits, handle: &ServerHandle) -> Self {
        Self {
            ipv6_prefix: limits.ipv6_prefix,
            admission: Admission::new(limits),
            handle: handle.clone(),
            sessions: BTreeMap::new(),
            next: 0,
            stopping: false,
            needs_word: false,
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
                    self.needs_word = accept != Accept::Open;
                    return Some((accept, deadline));
                }
                AdmissionAction::Drained => return None,
            }
        }
    }

    /// Asks the policy about a connection that was accepted. Its name, if it is let in; else it must be closed.
    pub fn admit(&mut self, now: Time, peer: Peer, control: &Control<C>) -> Option<Caller> {
        self.tell(now, AdmissionInput::Accepted(peer.source(self.ipv6_prefix)));
        let AdmissionAction::Admit(_) = self.admission.poll(now) else { return None };
        if self.stopping {
            control.stop();
        }
        let id = ConnectionId::new(self.next);
        self.next += 1;
        self.sessions.insert(id, control.clone());
        Some(Caller { id, peer })
    }

    /// Aborts every session that is open.
    pub fn abort_all(&self) {
        self.sessions.values().for_each(Control::abort);
    }

    /// During a sweep, nobody was waiting any more.
    pub fn swept(&mut self, now: Time) {
        self.tell(now, AdmissionInput::Swept);
    }

    /// Accepting failed.
    pub fn accept_failed(&mut self, now: Time, error: &io::Error) {
        let class = classify::accept(error).unwrap_or(AcceptError::Exhausted);
        self.tell(now, AdmissionInput::AcceptFailed(class));
    }

    /// The session of this caller is over and its connection torn down. Whether whoever obeys the policy must be
    /// woken.
    #[must_use = "the server sleeps on it"]
    pub fn ended(&mut self, now: Time, caller: &Caller) -> bool {
        self.sessions.remove(&caller.id);
        self.tell(now, AdmissionInput::Ended(caller.peer.source(self.ipv6_prefix)));
        self.needs_word
    }

    /// A machine or the service panicked.
    pub const fn panicked(&mut self) {
        self.panicked += 1;
    }

    /// What came of the server so far.
    pub const fn served(&self) -> Served {
        Served { tally: self.admission.tally(), panicked: self.panicked }
    }

    fn tell(&mut self, now: Time, input: AdmissionInput<Source>) {
        let heard = self.admission.handle(now, input);
        debug_assert!(heard.is_ok(), "{heard:?}");
    }
}

impl<C> fmt::Debug for Door<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("served", &self.served()).finish_non_exhaustive()
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
        let mut door = Door::<u8>::new(Limits::default(), &handle);
        assert!(matches!(door.obey(Time::ZERO), Some((Accept::Sweep, Some(_)))));
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
        handle.clone().force();
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert_eq!(door.obey(Time::ZERO), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let admitted = |ipv6_prefix, addresses: &[&str]| {
            let limits = Limits::default().per_source(Some(1)).ipv6_prefix(ipv6_prefix);
            let mut door = Door::<u8>::new(limits, &ServerHandle::new());
            let control = Mailbox::new(1, Arc::new(Count::default())).1;
            let peers =
                addresses.iter().map(|address| Peer::new(SocketAddr::new(address.parse().unwrap(), 80)));
            peers.filter(|peer| door.admit(Time::ZERO, *peer, &control).is_some()).count()
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
        let mut door = Door::<u8>::new(Limits::default(), &handle);
        let (first, way_in) = Mailbox::new(1, Arc::new(Count::default()));
        let first_caller = door.admit(Time::ZERO, peer(), &way_in).unwrap();
        assert!(door.obey(Time::ZERO).is_some() && first.is_empty());
        handle.stop();
        assert!(door.obey(Time::ZERO).is_some());
        assert_eq!(first.take(false), Some(Mail::Stop));
        let (second, way_in) = Mailbox::new(1, Arc::new(Count::default()));
        let second_caller = door.admit(Time::ZERO, peer(), &way_in).unwrap();
        assert_eq!(second.take(false), Some(Mail::Stop));
        door.swept(Time::ZERO);
        assert!(matches!(door.obey(Time::ZERO), Some((Accept::Closed, _))));
        assert!(door.ended(Time::ZERO, &first_caller), "a drain waits for it");
        assert!(door.ended(Time::ZERO, &second_caller));
        assert_eq!(door.obey(Time::ZERO), None);
        assert_eq!((door.served().tally.admitted, door.served().tally.live), (2, 0));
    }
}
