//! What befalls the world as a whole: decided at the start of a run, and carried out at its time.

use crate::choose::{Active, Entity, Site};
use crate::connection::Side;
use crate::context::Told;
use crate::line::What;
use crate::place::{AtClient, AtServer, Of};
use crate::queue::Kind;
use crate::scenario::Scenario;
use roundtrip_core::admission::AdmissionInput;

use super::door::ServerDoor;
use super::traffic::refill;
use super::{Halt, LENGTHS, MOMENTS, World, number};

/// What was decided at the start of the run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Planned {
    Heal,
    ServerStop,
    ServerForce,
    Crash,
    Restart,
    Jump(Side, u64),
    Freeze(Side, u64),
}

impl<S: Scenario, C: Told> World<'_, S, C> {
    pub(super) fn make_plans(&mut self) {
        let quantum = self.cx.quantum;
        self.plan_at(self.heal_at, Planned::Heal);
        let stop = self.moment(Site::SERVER_STOP, Entity::SERVER);
        if stop > 0 {
            self.plan_at(stop, Planned::ServerStop);
            let force = self.moment(Site::SERVER_FORCE, Entity::SERVER);
            if force > 0 {
                self.plan_at(stop + force, Planned::ServerForce);
            }
        }
        let crash = self.moment(Site::CRASH, Entity::SERVER);
        if crash > 0 {
            let back = quantum + self.moment(Site::RESTART, Entity::SERVER);
            self.plan_at(crash, Planned::Crash);
            self.plan_at(crash + back, Planned::Restart);
        }
        for (side, who) in [(Side::Client, Entity::CLIENTS), (Side::Server, Entity::SERVER)] {
            let jump = self.moment(Site::JUMP, who);
            if jump > 0 {
                let by = quantum * u64::from(1 + self.cx.choose(Site::JUMP_BY, &who, LENGTHS));
                self.plan_at(jump, Planned::Jump(side, by));
            }
            let freeze = self.moment(Site::FREEZE, who);
            if freeze > 0 {
                let lasts = quantum * u64::from(1 + self.cx.choose(Site::FREEZE_FOR, &who, LENGTHS));
                self.plan_at(freeze, Planned::Freeze(side, lasts));
            }
            let drift = [0, 10, -10][self.cx.choose(Site::DRIFT, &who, 3) as usize];
            match side {
                Side::Client => self.clients.clock.drift = drift,
                Side::Server => self.server.clock.drift = drift,
            }
        }
        for client in 0..self.setup.clients {
            self.cx.schedule(0, &Entity::WORLD, Kind::Dial, number(client));
        }
    }

    pub(super) fn moment(&mut self, site: Site, who: Entity) -> u64 {
        u64::from(self.cx.choose(site, &who, MOMENTS)) * self.cx.quantum
    }

    pub(super) fn plan_at(&mut self, at: u64, planned: Planned) {
        let index = u32::try_from(self.plan.len()).unwrap_or_default();
        self.plan.push(planned);
        self.cx.queue.push(at, 0, Kind::Plan, number(index));
    }

    pub(super) fn carry_out(&mut self, index: u32) -> Result<(), Halt> {
        let now = self.cx.now;
        match self.plan[index as usize] {
            Planned::Heal => {
                self.cx.tell(&Entity::WORLD, What::Heal, 0);
                self.cx.activate(Active::NONE);
                for slot in self.slots() {
                    let connection = &mut self.connections[slot as usize];
                    if connection.in_use {
                        connection.up.heal(self.setup.send_buffer, self.setup.window);
                        connection.down.heal(self.setup.send_buffer, self.setup.window);
                        self.make_room::<AtClient>(slot);
                        self.make_room::<AtServer>(slot);
                    }
                }
                Ok(())
            }
            Planned::ServerStop => self.command_server(What::ServerStop, AdmissionInput::Stop),
            Planned::ServerForce => self.command_server(What::ServerForce, AdmissionInput::Force),
            Planned::Crash => self.crash(),
            Planned::Restart => {
                if !self.door.drained {
                    self.cx.note(&Entity::SERVER, What::Restart, 0);
                    self.scenario.restart(&mut self.server.hub);
                    let stopping = self.door.stopping;
                    self.door = ServerDoor::new(&self.setup);
                    if stopping {
                        return self.command_server(What::ServerStop, AdmissionInput::Stop);
                    }
                }
                Ok(())
            }
            Planned::Jump(side, by) => {
                self.delayed();
                let (who, clock) = match side {
                    Side::Client => (Entity::CLIENTS, &mut self.clients.clock),
                    Side::Server => (Entity::SERVER, &mut self.server.clock),
                };
                clock.ahead += by;
                self.cx.note(&who, What::Jump, by);
                for slot in self.slots() {
                    match side {
                        Side::Client => self.arm_timer::<AtClient>(slot),
                        Side::Server => self.arm_timer::<AtServer>(slot),
                    }
                }
                if side == Side::Server { self.look_after_door() } else { Ok(()) }
            }
            Planned::Freeze(side, lasts) => {
                self.delayed();
                let lasts = lasts.min(self.heal_at.saturating_sub(now));
                let (who, frozen_until) = match side {
                    Side::Client => (Entity::CLIENTS, &mut self.clients.frozen_until),
                    Side::Server => (Entity::SERVER, &mut self.server.frozen_until),
                };
                *frozen_until = now + lasts;
                self.cx.note(&who, What::Freeze, lasts);
                Ok(())
            }
        }
    }

    /// Every connection has an excuse for a time-out.
    pub(super) fn delayed(&mut self) {
        self.connections.iter_mut().for_each(|connection| connection.injected.delay = true);
    }

    /// A pipe into this side was widened.
    pub(super) fn make_room<P: Of<S>>(&mut self, slot: u32) {
        let (cx, node, connection) = P::parts(self, slot);
        let (driver, rest) = P::driver(cx, node, connection);
        refill::<P::Other, C>(driver.cx, driver.rx, rest.peer, rest.peer_woken, driver.address);
    }
}
