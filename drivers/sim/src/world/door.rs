//! The server's door: its listener, the policy behind it, and the process that holds both.

use std::collections::VecDeque;

use roundtrip_core::Teardown;
use roundtrip_core::admission::{Accept, AcceptError, Admission, AdmissionAction, AdmissionInput};

use crate::choose::{Entity, Site};
use crate::connection::Door;
use crate::context::Told;
use crate::driver::Cause;
use crate::line::What;
use crate::node::{Command, Mailbox};
use crate::place::AtServer;
use crate::queue::Kind;
use crate::run::Verdict;
use crate::scenario::{Scenario, Setup, Violation};

use super::traffic::open;
use super::{Halt, World, number};

/// The server's listener and the policy behind it.
#[expect(clippy::struct_excessive_bools, reason = "each on its own")]
#[derive(Debug)]
pub(super) struct ServerDoor {
    pub(super) admission: Admission<u32>,
    pub(super) backlog: VecDeque<u32>,
    pub(super) listening: bool,
    /// The process lives.
    pub(super) alive: bool,
    /// `StopAll` was said: it holds for sessions to come as well.
    pub(super) stopping: bool,
    pub(super) drained: bool,
    /// The connection that is being decided.
    pub(super) deciding: u32,
    pub(super) timer: u64,
}

impl ServerDoor {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            admission: Admission::new(setup.limits.clone()),
            backlog: VecDeque::new(),
            listening: true,
            alive: true,
            stopping: false,
            drained: false,
            deciding: 0,
            timer: u64::MAX,
        }
    }
}

impl<S: Scenario, C: Told> World<'_, S, C> {
    pub(super) fn command_server(&mut self, what: What, input: AdmissionInput<u32>) -> Result<(), Halt> {
        // A stop is for whoever runs the server: it is remembered while the process is down.
        self.door.stopping = true;
        if !self.door.alive {
            return Ok(());
        }
        self.cx.note(&Entity::SERVER, what, 0);
        self.tell_door(input)?;
        self.look_after_door()
    }

    pub(super) fn tell_door(&mut self, input: AdmissionInput<u32>) -> Result<(), Halt> {
        let now = self.server.clock.local(self.cx.now);
        self.door
            .admission
            .handle(now, input)
            .map_err(|misuse| Violation::new("admission-misuse", misuse.to_string()).into())
    }

    /// Obeys the server's policy until it waits.
    pub(super) fn look_after_door(&mut self) -> Result<(), Halt> {
        if !self.door.alive || self.door.drained {
            return Ok(());
        }
        if self.cx.now < self.server.frozen_until {
            self.arm_door(self.server.frozen_until);
            return Ok(());
        }
        for _ in 0..10_000 {
            let now = self.server.clock.local(self.cx.now);
            match self.door.admission.poll(now) {
                AdmissionAction::Admit(_) => self.admit(self.door.deciding)?,
                AdmissionAction::Refuse(_) => self.turn_away(self.door.deciding, What::TurnedAway)?,
                AdmissionAction::StopAll => {
                    self.door.stopping = true;
                    self.every_session(Mailbox::stop);
                }
                AdmissionAction::AbortAll => self.every_session(Mailbox::abort),
                AdmissionAction::Wait { accept, deadline } => {
                    if accept == Accept::Closed && self.door.listening {
                        self.close_listener()?;
                    }
                    if matches!(accept, Accept::Open | Accept::Sweep) {
                        if let Some(slot) = self.door.backlog.pop_front() {
                            self.accept(slot)?;
                            continue;
                        }
                        if accept == Accept::Sweep {
                            self.tell_door(AdmissionInput::Swept)?;
                            continue;
                        }
                    }
                    if let Some(deadline) = deadline {
                        self.arm_door(self.server.clock.due(deadline, self.cx.now));
                    }
                    return Ok(());
                }
                AdmissionAction::Drained => {
                    self.door.drained = true;
                    self.cx.note(&Entity::SERVER, What::Drained, 0);
                    return self.close_listener();
                }
            }
        }
        Err(Verdict::Livelock("the server's admission policy".to_owned()).into())
    }

    pub(super) fn arm_door(&mut self, at: u64) {
        if at < self.door.timer {
            self.door.timer = at;
            self.cx.schedule(at, &Entity::SERVER, Kind::Door, number(0));
        }
    }

    /// Puts something into the mailbox of every session of the server, and wakes it.
    pub(super) fn every_session(&mut self, put: impl Fn(&mut Mailbox<Command<S::Server>>)) {
        for (slot, connection) in (0..).zip(&mut self.connections) {
            if connection.in_use && connection.server.session.is_some() {
                connection.injected.server_stop = true;
                put(self.server.post.of(slot));
                self.server.post.woken.push(slot);
            }
        }
        self.wake_receivers();
    }

    pub(super) fn close_listener(&mut self) -> Result<(), Halt> {
        self.door.listening = false;
        while let Some(slot) = self.door.backlog.pop_front() {
            self.turn_away(slot, What::TurnedAway)?;
        }
        Ok(())
    }

    /// The process dies; the system closes its sockets.
    pub(super) fn crash(&mut self) -> Result<(), Halt> {
        if self.door.drained {
            return Ok(());
        }
        self.cx.note(&Entity::SERVER, What::Crash, 0);
        self.door.alive = false;
        self.door.listening = false;
        for slot in self.slots() {
            let connection = &mut self.connections[slot as usize];
            if connection.in_use && connection.door == Door::Inside && !connection.server.closed {
                connection.injected.crash = true;
                connection.door = Door::Gone;
                connection.calm = false;
                self.tear_down::<AtServer>(slot, Teardown::Graceful);
                self.finish_if_over(slot)?;
            }
        }
        self.close_listener()
    }

    /// Takes a connection out of the backlog.
    pub(super) fn accept(&mut self, slot: u32) -> Result<(), Halt> {
        let there = self.connections[slot as usize].server.who;
        match self.cx.choose(Site::ACCEPT, &there, 3) {
            0 => {
                self.door.deciding = slot;
                self.tell_door(AdmissionInput::Accepted(self.source(slot)))
            }
            1 => {
                self.turn_away(slot, What::AcceptFailed)?;
                self.tell_door(AdmissionInput::AcceptFailed(AcceptError::Connection))
            }
            _ => {
                self.cx.note(&there, What::AcceptFailed, 1);
                self.door.backlog.push_front(slot);
                self.tell_door(AdmissionInput::AcceptFailed(AcceptError::Exhausted))
            }
        }
    }

    pub(super) fn source(&self, slot: u32) -> u32 {
        self.connections[slot as usize].client.who.number() % self.setup.sources.max(1)
    }

    pub(super) fn admit(&mut self, slot: u32) -> Result<(), Halt> {
        let now = self.server.clock.local(self.cx.now);
        let connection = &mut self.connections[slot as usize];
        connection.door = Door::Inside;
        self.cx.note(&connection.server.who, What::Admitted, 0);
        self.server.post.of(slot).open(connection.id);
        if self.door.stopping {
            connection.injected.server_stop = true;
            self.server.post.of(slot).stop();
            connection.server.mail = true;
        }
        open(&mut connection.server, &mut self.server.hub, connection.id, now);
        self.notified::<AtServer>(slot, Cause::Ready)
    }

    /// Closes a connection that the server does not want, or lost.
    pub(super) fn turn_away(&mut self, slot: u32, what: What) -> Result<(), Halt> {
        let connection = &mut self.connections[slot as usize];
        connection.injected.refused = true;
        connection.door = Door::Gone;
        connection.calm = false;
        self.cx.note(&connection.server.who, what, 0);
        // Refused, it was accepted and is closed; lost, or left in the backlog of a closed listener, it is reset.
        let is_refused = what == What::TurnedAway && self.door.listening;
        let how = if is_refused { Teardown::Graceful } else { Teardown::Reset };
        self.tear_down::<AtServer>(slot, how);
        self.finish_if_over(slot)
    }
}
