//! I8: whatever a driver calls, [`Driven`] tells the machine what it asked for, and nothing else.

use bytes::Bytes;
use roundtrip_core::{Action, Driven, Failure, Input, Machine, Teardown, Time, Wait};

const NOW: Time = Time::from_nanos(50);

/// Asserts that every input is legal, and asks for what it is told to.
#[derive(Clone, Debug)]
struct Strict {
    next: Wait,
    write: usize,
    read: usize,
    commands: usize,
    outstanding: usize,
    eof: bool,
    closed: bool,
    ending: bool,
}

impl Machine for Strict {
    type Command = u8;
    type Event = u8;
    type Outcome = ();

    fn handle(&mut self, _: Time, input: Input<u8>) {
        match input {
            _ if self.closed => {}
            Input::Data(bytes) => {
                assert!((1..=self.read).contains(&bytes.len()), "I6: {} under {}", bytes.len(), self.read);
                assert!(!self.eof, "data after the end");
                self.read -= bytes.len();
            }
            Input::Eof => assert!(!std::mem::replace(&mut self.eof, true), "a second end"),
            Input::Wrote(wrote) => {
                assert!((1..=self.outstanding).contains(&wrote), "{wrote} of {}", self.outstanding);
                self.outstanding -= wrote;
            }
            Input::Command(_) => {
                assert!(self.commands > 0, "a command without credit");
                self.commands -= 1;
            }
            Input::Stop => {}
            Input::Abort | Input::Failed(_) => (self.read, self.commands, self.ending) = (0, 0, true),
        }
    }

    fn poll(&mut self, _: Time) -> Action<u8, ()> {
        if self.ending {
            self.closed = true;
            return Action::Close { how: Teardown::Reset, outcome: () };
        }
        if self.write > 0 && self.outstanding == 0 {
            self.outstanding = std::mem::take(&mut self.write);
            return Action::Write(vec![0; self.outstanding].into());
        }
        (self.read, self.commands) = (self.next.read, self.next.commands);
        Action::Wait(self.next)
    }
}

quickcheck::quickcheck! {
    /// I8: whatever a driver calls in whatever order, the machine is told what it asked for, and nothing else.
    fn a_machine_hears_legal_inputs_only(calls: Vec<(u8, u8)>) -> bool {
        let strict = Strict {
            next: Wait { read: 5, commands: 2, deadline: Some(Time::MAX) },
            write: 0,
            read: 0,
            commands: 0,
            outstanding: 0,
            eof: false,
            closed: false,
            ending: false,
        };
        let mut driven = Driven::new(strict);
        for (call, n) in calls {
            let n = usize::from(n % 12);
            let bytes = || Bytes::from(vec![0; n]);
            match call % 16 {
                0..4 => drop(driven.step(NOW)),
                4 | 5 => drop(driven.data(NOW, bytes())),
                6 => drop(driven.data_within_credit(NOW, bytes())),
                7 => driven.wrote(NOW, n.min(driven.pending().len())),
                8 => drop(driven.take(NOW, n)),
                9 => drop(driven.command(NOW, 0)),
                10 => drop(driven.step_taking(NOW, n)),
                11 if n == 0 => driven.eof(NOW),
                12 => driven.stop(NOW),
                13 if n == 0 => driven.abort(NOW),
                14 if n == 0 => driven.failed(NOW, Failure::Io),
                _ => {}
            }
            if n == 3 {
                // What it asks for next differs.
                let mut machine = driven.clone().into_machine();
                machine.write = usize::from(call % 7);
                machine.next = Wait { read: usize::from(call % 9), ..machine.next };
                if machine.outstanding == 0 && !machine.closed && !machine.eof && !machine.ending {
                    driven = Driven::new(Strict { read: 0, commands: 0, ..machine });
                }
            }
        }
        true
    }
}
