//! The two sides of a connection as types, so that what holds for both is written once.

use std::marker::PhantomData;

use roundtrip_core::hub::Hub;

use crate::choose::Entity;
use crate::connection::{End, Injected, LinePlan, Side};
use crate::context::Context;
use crate::driver::Driver;
use crate::node::Node;
use crate::queue::Kind;
use crate::scenario::{ConnectionOf, Scenario};
use crate::world::World;

/// A side and its events.
pub(crate) trait Place {
    const SIDE: Side;
    /// A segment arrives here.
    const ARRIVE: Kind;
    const WAKE: Kind;
    const TIMER: Kind;
    const COMPLETE: Kind;
    type Other: Place<Other = Self>;
}

#[derive(Debug)]
pub(crate) struct AtClient;
#[derive(Debug)]
pub(crate) struct AtServer;

impl Place for AtClient {
    const SIDE: Side = Side::Client;
    const ARRIVE: Kind = Kind::Down;
    const WAKE: Kind = Kind::WakeClient;
    const TIMER: Kind = Kind::TimerClient;
    const COMPLETE: Kind = Kind::CompleteClient;
    type Other = AtServer;
}

impl Place for AtServer {
    const SIDE: Side = Side::Server;
    const ARRIVE: Kind = Kind::Up;
    const WAKE: Kind = Kind::WakeServer;
    const TIMER: Kind = Kind::TimerServer;
    const COMPLETE: Kind = Kind::CompleteServer;
    type Other = AtClient;
}

/// What else belongs to a connection, beside one end and its pipes.
pub(crate) struct Rest<'a> {
    /// Who is at the other end.
    pub(crate) peer: &'a Entity,
    pub(crate) peer_woken: &'a mut bool,
    pub(crate) calm: &'a mut bool,
    pub(crate) plan: &'a mut LinePlan,
    pub(crate) injected: &'a mut Injected,
}

/// A side in the world of a scenario.
pub(crate) trait Of<S: Scenario>: Place + Sized {
    type Hub: Hub;

    fn end_mut(connection: &mut ConnectionOf<S>) -> &mut End<<Self::Hub as Hub>::Session>;
    fn node<'w, C>(world: &'w World<'_, S, C>) -> &'w Node<Self::Hub>;
    fn node_mut<'w, C>(world: &'w mut World<'_, S, C>) -> &'w mut Node<Self::Hub>;

    /// The driver at this side of a connection, and the rest of that.
    fn driver<'w, C>(
        cx: &'w mut Context<C>,
        node: &'w mut Node<Self::Hub>,
        connection: &'w mut ConnectionOf<S>,
    ) -> (Driver<'w, Self, C, Self::Hub>, Rest<'w>);

    /// What that takes.
    fn parts<'w, C>(
        world: &'w mut World<'_, S, C>,
        slot: u32,
    ) -> (&'w mut Context<C>, &'w mut Node<Self::Hub>, &'w mut ConnectionOf<S>);
}

macro_rules! of {
    ($place:ident, $hub:ident, $end:ident, $node:ident, $peer:ident, $tx:ident, $rx:ident) => {
        impl<S: Scenario> Of<S> for $place {
            type Hub = S::$hub;

            #[inline(always)]
            fn end_mut(connection: &mut ConnectionOf<S>) -> &mut End<<S::$hub as Hub>::Session> {
                &mut connection.$end
            }

            #[inline(always)]
            fn node<'w, C>(world: &'w World<'_, S, C>) -> &'w Node<S::$hub> {
                &world.$node
            }

            #[inline(always)]
            fn node_mut<'w, C>(world: &'w mut World<'_, S, C>) -> &'w mut Node<S::$hub> {
                &mut world.$node
            }

            #[inline(always)]
            fn driver<'w, C>(
                cx: &'w mut Context<C>,
                node: &'w mut Node<S::$hub>,
                connection: &'w mut ConnectionOf<S>,
            ) -> (Driver<'w, Self, C, S::$hub>, Rest<'w>) {
                let driver = Driver {
                    cx,
                    node,
                    end: &mut connection.$end,
                    id: connection.id,
                    tx: &mut connection.$tx,
                    rx: &mut connection.$rx,
                    address: connection.address,
                    place: PhantomData,
                };
                let rest = Rest {
                    peer: &connection.$peer.who,
                    peer_woken: &mut connection.$peer.woken,
                    calm: &mut connection.calm,
                    plan: &mut connection.plan,
                    injected: &mut connection.injected,
                };
                (driver, rest)
            }

            #[inline(always)]
            fn parts<'w, C>(
                world: &'w mut World<'_, S, C>,
                slot: u32,
            ) -> (&'w mut Context<C>, &'w mut Node<S::$hub>, &'w mut ConnectionOf<S>) {
                (&mut world.cx, &mut world.$node, &mut world.connections[slot as usize])
            }
        }
    };
}

of!(AtClient, Client, client, clients, server, up, down);
of!(AtServer, Server, server, server, client, down, up);
