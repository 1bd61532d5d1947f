//! Bytes as the choices of a simulated run.
//!
//! An entry is a version, which scenario, which families of faults (two bytes, the low one first, a bit for each of
//! [`Family::ALL`]), and then what [`FuzzBytes`] reads: one byte for a choice from up to 256 values, two for one from
//! more. Where it ends all is benign, and so is every choice of a family that is off, for which nothing is read. A
//! scenario that there is not is taken modulo those that there are; an entry of another version is the calm run.

use std::cell::RefCell;

use roundtrip_scenarios::{Datagrams, Echo, Load, Server};
use roundtrip_sim::choose::{Active, Chooser, Entity, Family, FuzzBytes, Site};
use roundtrip_sim::{OverDatagrams, Reached, Recording, Run, Runner, Simulation, Trace, diagram};

/// The version that is written and read.
const VERSION: u8 = 1;
/// The scenarios, by their number in an entry.
pub const SCENARIOS: [&str; 4] = ["echo", "server", "load", "datagrams"];

thread_local! {
    static ECHO: RefCell<Runner<'static, Echo>> = RefCell::new(Runner::new(&Echo));
    static SERVER: RefCell<Runner<'static, Server>> = RefCell::new(Runner::new(&Server));
    static LOAD: RefCell<Runner<'static, Load>> = RefCell::new(Runner::new(&Load));
    static DATAGRAMS: RefCell<Runner<'static, OverDatagrams<Datagrams>>> =
        RefCell::new(Runner::new(&OverDatagrams(Datagrams)));
}

/// Runs the schedule that these bytes are.
///
/// # Panics
///
/// If an invariant of the scenario does not hold: with what was found, as a diagram, and as a trace that
/// `roundtrip sim replay` runs again.
pub fn schedule(bytes: &[u8]) {
    reached(bytes);
}

/// The same; the scenario's number, and the goals that the run reached.
///
/// # Panics
///
/// As [`schedule`] does.
pub fn reached(bytes: &[u8]) -> (usize, Reached) {
    let (entry, run) = (Entry::of(bytes), run(bytes));
    if !run.verdict.is_pass() {
        match entry.scenario {
            0 => entry.explain(&Echo),
            1 => entry.explain(&Server),
            2 => entry.explain(&Load),
            _ => entry.explain(&OverDatagrams(Datagrams)),
        }
    }
    (entry.scenario, run.reached)
}

/// What comes of the schedule that these bytes are.
pub fn run(bytes: &[u8]) -> Run {
    #[cfg(roundtrip_planted)]
    plant();
    let entry = Entry::of(bytes);
    let mut masked = entry.chooser();
    // One copy of the simulator serves all choosers, those of `fuzz/examples/planted_bugs.rs` included.
    let chooser: &mut dyn Chooser = &mut masked;
    match entry.scenario {
        0 => ECHO.with_borrow_mut(|runner| runner.run(chooser)),
        1 => SERVER.with_borrow_mut(|runner| runner.run(chooser)),
        2 => LOAD.with_borrow_mut(|runner| runner.run(chooser)),
        _ => DATAGRAMS.with_borrow_mut(|runner| runner.run(chooser)),
    }
}

/// Switches the bug on whose number is in `ROUNDTRIP_PLANTED`.
#[cfg(roundtrip_planted)]
fn plant() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let number = std::env::var("ROUNDTRIP_PLANTED").ok().and_then(|number| number.parse().ok());
        roundtrip_scenarios::plant(number.unwrap_or(0));
    });
}

/// An entry that makes the choices which `chooser` makes, none of another family than `families`; what came of it.
pub fn entry<S: Simulation>(
    scenario: &S,
    number: u8,
    families: impl IntoIterator<Item = Family>,
    chooser: impl Chooser,
) -> (Vec<u8>, Run) {
    let on = families.into_iter().fold(0, |on, family| on | bit(family));
    let mut bytes = vec![VERSION, number];
    bytes.extend_from_slice(&on.to_le_bytes());
    let mut written = Written { chooser, families: Families::new(on), bytes };
    let run = Runner::new(scenario).run(&mut written);
    let mut bytes = written.bytes;
    // What is left out is benign.
    while bytes.len() > 4 && bytes.last() == Some(&0) {
        bytes.pop();
    }
    (bytes, run)
}

const fn bit(family: Family) -> u16 {
    1 << family as u16
}

struct Entry<'a> {
    scenario: usize,
    families: Families,
    choices: &'a [u8],
}

impl<'a> Entry<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match bytes {
            [VERSION, scenario, low, high, choices @ ..] => Self {
                scenario: usize::from(*scenario) % SCENARIOS.len(),
                families: Families::new(u16::from_le_bytes([*low, *high])),
                choices,
            },
            _ => Self { scenario: 0, families: Families::new(0), choices: &[] },
        }
    }

    fn chooser(&self) -> Masked<'a> {
        Masked { families: self.families, choices: FuzzBytes::new(self.choices) }
    }

    /// Says what fails, and how to see it again.
    fn explain<S: Simulation>(&self, scenario: &S) -> ! {
        let recording: Recording = Runner::new(scenario).record(self.chooser());
        let verdict = &recording.run.verdict;
        panic!(
            "{} fails: {}: {}\n\n{}\nas a trace, for `roundtrip sim replay`:\n{}",
            scenario.title(),
            verdict.id(),
            verdict.found(),
            diagram(&recording),
            Trace::new(scenario.title(), None, recording.clone())
        );
    }
}

/// Families that are on, and the sites of these.
#[derive(Clone, Copy, Debug)]
struct Families {
    on: u16,
    active: Active,
}

impl Families {
    fn new(on: u16) -> Self {
        let on = on | bit(Family::Workload);
        thread_local! {
            static SITES: Vec<(Site, u16)> = Site::all().map(|site| (site, bit(site.family()))).collect();
        }
        let active = SITES.with(|sites| {
            let sites = sites.iter().filter(|(_, family)| on & family != 0);
            sites.fold(Active::NONE, |active, (site, _)| active.with(*site))
        });
        Self { on, active }
    }

    fn has(self, site: Site) -> bool {
        self.on & bit(site.family()) != 0
    }
}

/// The choices of an entry.
struct Masked<'a> {
    families: Families,
    choices: FuzzBytes<'a>,
}

impl Chooser for Masked<'_> {
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        if self.families.has(site) { self.choices.choose(site, who, n) } else { 0 }
    }

    fn active(&self) -> Active {
        self.families.active
    }
}

/// Writes down what another chooser chooses, as [`FuzzBytes`] reads it.
struct Written<C> {
    chooser: C,
    families: Families,
    bytes: Vec<u8>,
}

impl<C: Chooser> Chooser for Written<C> {
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        if !self.families.has(site) {
            return 0;
        }
        let [low, high, ..] = self.chooser.choose(site, who, n).to_le_bytes();
        self.bytes.push(low);
        if n > 256 {
            self.bytes.push(high);
            u32::from(u16::from_le_bytes([low, high]))
        } else {
            u32::from(low)
        }
    }

    fn active(&self) -> Active {
        self.families.active
    }

    fn begin(&mut self, who: Entity) {
        self.chooser.begin(who);
    }
}
