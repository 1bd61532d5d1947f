//! In the steady state no event costs an allocation, counted by the allocator itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ping::{PingPong, Pingers, Servers};
use roundtrip_sim::choose::{Chooser, Family, Faults, Seeded};
use roundtrip_sim::{Draw, Moment, Reached, Runner, Scenario, Setup, Violation};
use roundtrip_testkit::counting::ALLOCATIONS;

const CLIENTS: u32 = 10;
const MESSAGES: u32 = 2000;
/// Events after which everything has its size, and before which no client has finished.
const STEADY: std::ops::Range<usize> = 5_000..20_000;

/// Ping-pong, with a look at the counter at two moments.
struct Watched {
    calls: AtomicUsize,
    before: AtomicUsize,
    during: AtomicUsize,
}

impl Scenario for Watched {
    type Server = Servers;
    type Client = Pingers;

    fn name(&self) -> &'static str {
        "watched"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Pingers, Servers) {
        PingPong { clients: CLIENTS, messages: MESSAGES }.build(draw)
    }

    fn check(&self, _: &Moment<'_, Self>, _: &mut Reached) -> Result<(), Violation> {
        let allocations = ALLOCATIONS.get();
        match self.calls.fetch_add(1, Ordering::Relaxed) {
            call if call == STEADY.start => self.before.store(allocations, Ordering::Relaxed),
            call if call == STEADY.end => {
                self.during.store(allocations - self.before.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    }
}

fn counted(name: &str, chooser: impl Chooser) {
    let watched = Watched {
        calls: AtomicUsize::new(0),
        before: AtomicUsize::new(0),
        during: AtomicUsize::new(usize::MAX),
    };
    let run = Runner::new(&watched).run(chooser);
    assert!(run.verdict.is_pass(), "{name}: {run:?}");
    let allocations = watched.during.into_inner();
    assert_eq!(allocations, 0, "{name}: {allocations} allocations in {} events", STEADY.len());
}

#[test]
fn no_event_allocates_in_the_steady_state() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
    counted("calm", Seeded::new(1, Faults::NONE));
    // What ends connections ends the steady state, and cut messages are joined by the server's machine.
    let delays = [
        Family::Split,
        Family::ShortIo,
        Family::Window,
        Family::Stall,
        Family::Reset,
        Family::Connect,
        Family::Stop,
        Family::Abort,
        Family::Crash,
    ];
    let delays = delays.into_iter().fold(Faults::ALL, Faults::without);
    counted("delays", Seeded::new(1, delays));
}
