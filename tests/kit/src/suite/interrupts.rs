//! A machine that never waits is interrupted, so that a stop, an abort and the other connections have their turn.

use std::io::Write;

use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};
use roundtrip_net::{Control, SystemClock};

use super::common::{pair, soon, spawn};
use super::driver::{Connection, SocketDriver};
use super::misbehaving::{Fault, Faulty};

pub fn stop_and_abort_are_seen_within_32_actions<D: SocketDriver>() {
    for request in [Control::stop, Control::abort] {
        let (mut client, server) = pair();
        client.write_all(b"!").unwrap();
        let driver = Connection::<D, _, _>::new(SystemClock::new());
        let control = driver.control();
        let driven = spawn(move || {
            let mut events = 0;
            let machine = |_now| Faulty::new(Fault::EndlessEvents);
            let count = |()| {
                events += 1;
                if events == 1 {
                    request(&control);
                }
            };
            drop(driver.drive(server, machine, count));
            events
        });
        let events = soon(&driven);
        assert!((1..=32).contains(&events), "{events} events");
    }
}

/// Takes a command at each wait, and answers a byte with more events than a driver carries out in one piece.
struct Bursty {
    events: u32,
    waits: bool,
    ended: bool,
    commands: u32,
}

impl Machine for Bursty {
    type Command = ();
    type Event = ();
    type Outcome = u32;

    fn handle(&mut self, _now: Time, input: Input<()>) {
        match input {
            Input::Data(_) => self.events = 100,
            Input::Command(()) => {
                assert!(std::mem::take(&mut self.waits), "a command without credit");
                self.commands += 1;
            }
            Input::Eof => self.ended = true,
            Input::Wrote(_) | Input::Failed(_) | Input::Stop | Input::Abort => {}
        }
    }

    fn poll(&mut self, _now: Time) -> Action<(), u32> {
        self.waits = self.events == 0;
        if self.events > 0 {
            self.events -= 1;
            return Action::Event(());
        }
        if self.ended && self.commands > 0 {
            return Action::Close { how: Teardown::Graceful, outcome: self.commands };
        }
        Action::Wait(Wait { read: usize::from(!self.ended), commands: 1, deadline: None })
    }
}

pub fn a_command_waits_until_a_machine_that_is_interrupted_waits<D: SocketDriver>() {
    let (mut client, server) = pair();
    client.write_all(b"!").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let driver = Connection::<D, _, _>::new(SystemClock::new());
    let control = driver.control();
    let driven = spawn(move || {
        let mut posted = false;
        let machine = |_now| Bursty { events: 0, waits: false, ended: false, commands: 0 };
        let post = |()| {
            if !std::mem::replace(&mut posted, true) {
                control.try_send(()).unwrap();
            }
        };
        driver.drive(server, machine, post).outcome
    });
    assert_eq!(soon(&driven), 1);
}
