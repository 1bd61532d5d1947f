//! The tutorial's code, as it is on its page, and what the page says of it.

use std::convert::Infallible;

use roundtrip_core::bytes::Bytes;
use roundtrip_core::{Action, Input, Machine, Teardown, Time, Wait};

#[derive(Default)]
struct Shout {
    /// In capitals, and not handed out yet.
    queue: Vec<u8>,
    /// Bytes of the outstanding write.
    writing: usize,
    ended: bool,
    failed: bool,
}

impl Machine for Shout {
    type Command = Infallible;
    type Event = Infallible;
    /// Whether it came to its own end.
    type Outcome = bool;

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => self.queue.extend(bytes.to_ascii_uppercase()),
            Input::Wrote(n) => self.writing -= n,
            Input::Eof | Input::Stop => self.ended = true,
            Input::Abort | Input::Failed(_) => self.failed = true,
            Input::Command(never) => match never {},
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, bool> {
        if self.failed {
            return Action::Close { how: Teardown::Reset, outcome: false };
        }
        if self.ended && self.writing == 0 && (!FIXED.get() || self.queue.is_empty()) {
            return Action::Close { how: Teardown::Graceful, outcome: true };
        }
        if self.writing == 0 && !self.queue.is_empty() {
            self.writing = self.queue.len();
            return Action::Write(Bytes::from(std::mem::take(&mut self.queue)));
        }
        let room = if self.ended { 0 } else { 64_usize.saturating_sub(self.queue.len()) };
        Action::Wait(Wait { read: room, commands: 0, deadline: None })
    }
}

use roundtrip_core::hub::{ConnectionId, Each};
use roundtrip_sim::{Draw, Moment, Reached, Scenario, Setup, Violation};

struct Caller {
    text: Option<Bytes>,
    writing: usize,
    shut: bool,
    heard: Vec<u8>,
    over: bool,
}

impl Machine for Caller {
    type Command = Infallible;
    type Event = Infallible;
    type Outcome = Vec<u8>; // what came back

    fn handle(&mut self, _now: Time, input: Input) {
        match input {
            Input::Data(bytes) => self.heard.extend(bytes),
            Input::Wrote(n) => self.writing -= n,
            Input::Eof | Input::Stop | Input::Abort | Input::Failed(_) => self.over = true,
            Input::Command(never) => match never {},
        }
    }

    fn poll(&mut self, _now: Time) -> Action<Infallible, Vec<u8>> {
        if self.over {
            return Action::Close { how: Teardown::Graceful, outcome: self.heard.clone() };
        }
        if let Some(text) = self.text.take() {
            self.writing = text.len();
            return Action::Write(text);
        }
        if self.writing == 0 && !self.shut {
            self.shut = true;
            return Action::ShutdownWrite;
        }
        Action::Wait(Wait { read: 64, commands: 0, deadline: None })
    }
}

struct Shouting;

type Servers = Each<fn(Time, ConnectionId) -> Shout>;
type Clients = Each<Box<dyn FnMut(Time, ConnectionId) -> Caller>>;

impl Scenario for Shouting {
    type Server = Servers;
    type Client = Clients;

    fn name(&self) -> &'static str {
        "shouting"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Clients, Servers) {
        let text: &'static str = draw.one_of(0, &["hey", "is anybody there?"]);
        let call = move |_now, _id| {
            let text = Some(Bytes::from_static(text.as_bytes()));
            Caller { text, writing: 0, shut: false, heard: Vec::new(), over: false }
        };
        let setup = Setup::default().clients(1 + draw.below(1, 3));
        (setup, Each(Box::new(call)), Each(|_now, _id| Shout::default()))
    }

    /// Looked at after every event: what must never be.
    fn check(&self, moment: &Moment<'_, Self>, _reached: &mut Reached) -> Result<(), Violation> {
        let held = moment.connection.server().machine().map_or(0, |shout| shout.queue.len() + shout.writing);
        if held > 128 {
            return Err(Violation::new("memory", format!("{held} bytes are held")));
        }
        Ok(())
    }

    /// Looked at once a connection is over: what must have come of it.
    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (client, server) = (moment.connection.client(), moment.connection.server());
        let injected = moment.connection.injected();
        // Only a session that says it came to its own end, on a line that nobody cut, promises anything.
        let promised = server.outcome() == Some(&true) && !injected.reset && !injected.server_stop;
        let gave_up = injected.client_abort || injected.client_stop;
        if let Some(heard) = client.outcome().filter(|_| promised && !gave_up) {
            reached.reach(0);
            if heard.len() as u64 != client.written() {
                let found = format!("{} of {} bytes came back", heard.len(), client.written());
                return Err(Violation::new("nothing-lost", found));
            }
        }
        Ok(())
    }

    /// A campaign that never gets so far has shown nothing.
    fn goals(&self) -> &'static [&'static str] {
        &["a whole conversation"]
    }
}

thread_local! {
    /// Whether the machine is the mended one of the page's end.
    static FIXED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

const PAGE: &str = include_str!("../../TUTORIAL.md");

/// Found on one thread, because the fix is one thread's.
fn campaign(seeds: std::ops::Range<u64>) -> roundtrip_sim::campaign::Report {
    use roundtrip_sim::campaign::{Campaign, Progress, run};
    run(&Shouting, &Campaign::new(seeds), &Progress::default())
}

#[test]
fn the_page_shows_this_code() {
    let source = include_str!("tutorial.rs").replace(" && (!FIXED.get() || self.queue.is_empty())", "");
    let blocks: Vec<_> = PAGE.split("```rust").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (_, code) = block.split_once('\n').unwrap();
        assert!(source.contains(code), "{code}");
    }
}

#[test]
fn the_page_tells_what_is_found() {
    use roundtrip_sim::choose::{Faults, Seeded};
    use roundtrip_sim::{Runner, diagram, shrink};
    let first = campaign(0..1000).failures[0].seed;
    let failure = Runner::new(&Shouting).record(Seeded::new(first, Faults::SWARM));
    let small = shrink(&Shouting, failure).recording;
    let told = format!("seed {first}: {}: {}", small.run.verdict.id(), small.run.verdict.found());
    assert!(PAGE.contains(&told), "{told}");
    let picture = diagram(&small);
    assert!(PAGE.contains(picture.trim_end()), "{picture}");
    assert!(small.run.events <= 20);
}

#[test]
fn the_fix_on_the_page_mends_it() {
    FIXED.set(true);
    let report = campaign(0..10_000);
    assert!(report.is_pass() && report.missed().next().is_none(), "{report}");
}
