//! How a connection comes to be: dialled, answered by the server's system, and the line between decided upon.

use roundtrip_core::hub::ConnectionId;

use crate::choose::{Entity, Site};
use crate::connection::{Connection, Door, EndPlan, Injected, LinePlan, Silence};
use crate::context::{Context, DELAYS, Told};
use crate::line::What;
use crate::place::{AtClient, AtServer, Place};
use crate::queue::{Address, Kind, MAX_SLOTS};
use crate::scenario::{DriverFlaw, Scenario};

use super::{Halt, LENGTHS, MOMENTS, World, nanos};

/// Bytes of a tiny window.
const WINDOWS: u32 = 2048;

impl<S: Scenario, C: Told> World<'_, S, C> {
    pub(super) fn dial(&mut self, client: u32) -> Result<(), Halt> {
        let round = self.rounds[client as usize];
        self.rounds[client as usize] += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.connections.len()).unwrap_or(MAX_SLOTS);
            self.connections.push(Connection::new(Address::new(slot, 0)));
            slot
        });
        self.clients.post.grow(slot);
        self.server.post.grow(slot);
        self.clients.post.slots[client as usize] = slot;
        self.server.post.slots[client as usize] = slot;
        let (here, there) = (Entity::client(client, round, slot), Entity::server(client, round, slot));
        self.cx.chooser.begin(here);
        self.cx.chooser.begin(there);
        let connection = &mut self.connections[slot as usize];
        connection.id = ConnectionId::new(u64::from(round) << 32 | u64::from(client));
        connection.in_use = true;
        connection.calm = false;
        connection.injected = Injected::default();
        connection.plan = LinePlan::default();
        connection.door = Door::Outside;
        let earlier = (connection.client.submitted, connection.server.submitted);
        connection.client.reset(here);
        connection.server.reset(there);
        if self.cx.driver_flaw == DriverFlaw::AcceptsStaleCompletions {
            (connection.client.submitted, connection.server.submitted) = earlier;
        }
        let address = connection.address;
        let (latency, timeout) = (self.cx.latency, nanos(self.setup.connect_timeout));
        match self.cx.choose(Site::DIAL, &here, 4) {
            0 => {
                self.cx.note(&here, What::Dial, 0);
                let at = self.cx.now + latency + self.cx.delay(Site::LATENCY, &here);
                self.cx.schedule(at, &here, Kind::Syn, address);
            }
            1 => {
                self.cx.note(&here, What::Dial, 0);
                return self.never(slot, What::Refused);
            }
            2 => {
                self.cx.note(&here, What::Dial, 0);
                let at = self.cx.now + timeout;
                self.cx.schedule(at, &here, Kind::Hung, address);
            }
            _ => return self.never(slot, What::NotDialled),
        }
        Ok(())
    }

    /// There will be no connection.
    pub(super) fn never(&mut self, slot: u32, why: What) -> Result<(), Halt> {
        let connection = &mut self.connections[slot as usize];
        self.cx.note(&connection.client.who, why, 0);
        connection.injected.refused = true;
        connection.client.closed = true;
        connection.server.closed = true;
        self.finish_if_over(slot)
    }

    /// A SYN reaches the server's system, which answers it by itself.
    pub(super) fn syn(&mut self, slot: u32) -> Result<(), Halt> {
        if !self.door.listening {
            return self.never(slot, What::Refused);
        }
        let connection = &mut self.connections[slot as usize];
        let (here, there) = (&{ connection.client.who }, &{ connection.server.who });
        let cx = &mut self.cx;
        let (send_buffer, window) = (self.setup.send_buffer, self.setup.window);
        let mut bytes = |site, who, calm: usize| match cx.choose(site, who, WINDOWS) {
            0 => calm,
            tiny => calm.min(tiny as usize),
        };
        connection.up.open(bytes(Site::SEND_BUFFER, here, send_buffer), bytes(Site::WINDOW, there, window));
        connection.down.open(bytes(Site::SEND_BUFFER, there, send_buffer), bytes(Site::WINDOW, here, window));
        for (index, (who, pipe)) in
            [(here, &mut connection.up), (there, &mut connection.down)].into_iter().enumerate()
        {
            pipe.per_byte = u64::from(cx.choose(Site::BANDWIDTH, who, DELAYS)) * cx.quantum / 1024;
            let after = cx.choose(Site::STALL, who, MOMENTS);
            if after > 0 {
                let lasts = match cx.choose(Site::STALL_FOR, who, LENGTHS) {
                    last if last == LENGTHS - 1 => u64::MAX / 2,
                    quanta => u64::from(1 + quanta) * cx.quantum,
                };
                connection.plan.silences[index] = Silence { after, lasts };
            }
        }
        connection.plan.reset_after = cx.choose(Site::RESET, here, MOMENTS);
        connection.plan.blackhole_after = cx.choose(Site::BLACKHOLE, here, MOMENTS);
        connection.plan.trouble = connection.plan.has_any();
        let end_plan = |cx: &mut Context<C>, who| {
            let completion = cx.choose(Site::COMPLETION, who, DELAYS);
            let plan = EndPlan {
                stop_after: cx.choose(Site::STOP, who, MOMENTS),
                stop_again_after: cx.choose(Site::STOP_AGAIN, who, MOMENTS),
                abort_after: cx.choose(Site::ABORT, who, MOMENTS),
                abort_late: cx.choose(Site::ABORT_LATE, who, MOMENTS),
            };
            (completion, plan)
        };
        (connection.client.completion, connection.client.plan) = end_plan(cx, here);
        (connection.server.completion, connection.server.plan) = end_plan(cx, there);
        connection.client.next_trouble = connection.client.plan.next(0);
        connection.server.next_trouble = connection.server.plan.next(0);
        connection.door = Door::Waiting;
        cx.note(here, What::Connected, 0);
        let address = connection.address;
        if cx.choose(Site::ABORT_BEFORE_ACCEPT, here, 2) == 1 {
            connection.injected.reset = true;
            connection.client.closed = true;
            connection.down.closed = true;
            cx.reset(&mut connection.up, here, AtServer::ARRIVE, address);
        } else {
            let latency = cx.latency;
            cx.wake(&mut connection.client.woken, here, latency, AtClient::WAKE, address);
        }
        self.door.backlog.push_back(slot);
        self.look_after_door()
    }
}
