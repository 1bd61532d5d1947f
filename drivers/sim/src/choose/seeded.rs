//! Choices from a seed.

use super::{Active, Chooser, Entity, Family, Pace, Site};

/// Knuth's and Steele's odd constant: 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Sites, rounded up to a power of two: every index that fits is in the table.
const SITES: usize = 64;
const _: () = assert!(Site::COUNT <= SITES, "every site has its place");

/// The output function of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): with a state that counts in steps of
/// its constant, the published generator; with any other input, a good hash of 64 bits.
#[inline]
pub const fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Coins that are tossed for one choice: a fault is that those of its site all fall the same way.
const TOSSED: u32 = 5;
/// All of these never fall the same way.
const NEVER: u64 = u64::MAX;
/// No coin at all.
const ALWAYS: u64 = 0;

/// Which families of faults a campaign draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    families: u32,
    swarm: bool,
}

impl Faults {
    /// Each family is on in every other run, each site with an odds of its own: swarm testing (Groce et al., ISSTA
    /// 2012). What is always on together hides what shows only alone.
    pub const SWARM: Self = Self { families: u32::MAX, swarm: true };
    /// No faults at all; the workload is still drawn.
    pub const NONE: Self = Self { families: Family::Workload.bit(), swarm: false };
    /// Every family in every run, with one odds.
    pub const ALL: Self = Self { families: u32::MAX, swarm: false };

    /// The same without this family.
    pub const fn without(self, family: Family) -> Self {
        Self { families: self.families & !family.bit(), swarm: self.swarm }
    }
}

/// Draws every choice from one seed, with a stream of its own for each entity.
#[derive(Clone, Debug)]
pub struct Seeded {
    base: u64,
    families: u32,
    active: Active,
    /// By site: which of the coins have to fall for a fault.
    coins: [u64; SITES],
    /// By entity.
    streams: Vec<Stream>,
}

/// The random numbers of one entity.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    state: u64,
    /// Coins that were not tossed yet, below a bit that is always set.
    coins: u64,
}

impl Stream {
    const fn next(&mut self) -> u64 {
        let draw = mix(self.state);
        self.state = self.state.wrapping_add(GAMMA);
        draw
    }

    #[cold]
    const fn refill(&mut self) {
        self.coins = self.next() | 1 << 63;
    }

    /// Tosses coins for one choice: whether all of these fall.
    #[inline(always)]
    const fn toss(&mut self, coins: u64) -> bool {
        if self.coins < 1 << TOSSED {
            self.refill();
        }
        let fell = self.coins & coins == 0;
        self.coins >>= TOSSED;
        fell
    }
}

impl Seeded {
    /// The choices of `seed`, from the families that `faults` leave.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let coins = [ALWAYS; SITES];
        let mut seeded = Self { base: 0, families: 0, active: Active::NONE, coins, streams: Vec::new() };
        seeded.reseed(seed, faults);
        seeded
    }

    /// Starts again with another seed, in the same memory.
    pub fn reseed(&mut self, seed: u64, faults: Faults) {
        self.base = mix(seed.wrapping_add(GAMMA));
        self.streams.clear();
        for who in Entity::OF_THE_RUN {
            self.begin(who);
        }
        let coins = mix(self.base ^ 0x5357_4152_4d00);
        self.families = 0;
        for family in Family::ALL {
            let coin = !faults.swarm || family == Family::Workload || coins & u64::from(family.bit()) != 0;
            if coin && faults.families & family.bit() != 0 {
                self.families |= family.bit();
            }
        }
        self.active = Active::NONE;
        for site in Site::all() {
            self.coins[site.index()] = NEVER;
            if self.families & site.family().bit() != 0 {
                self.coins[site.index()] = self.coins_of(site, faults.swarm);
                self.active = self.active.with(site);
            }
        }
    }

    fn coins_of(&self, site: Site, swarm: bool) -> u64 {
        let draw = mix(self.base ^ (0x4f44_4453_0000 + site.index() as u64));
        // One in two to the power of this.
        let rarity = match site.pace() {
            None | Some(Pace::Size) => return ALWAYS,
            Some(Pace::Deadly) if swarm => 2 + draw % 3,
            Some(Pace::Once) if swarm => 1 + draw % 2,
            Some(Pace::Each) if swarm => 1 + draw % 5,
            Some(Pace::Deadly) => 4,
            Some(Pace::Once) => 2,
            Some(Pace::Each) => 3,
        };
        (1 << rarity) - 1
    }

    /// The families that are on in this run, the workload left out.
    pub fn mask(&self) -> impl Iterator<Item = Family> {
        let families = self.families;
        Family::ALL
            .into_iter()
            .filter(move |family| *family != Family::Workload && families & family.bit() != 0)
    }
}

impl Chooser for Seeded {
    #[inline]
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        let stream = &mut self.streams[who.index() as usize];
        if stream.toss(self.coins[site.index()]) { value(stream, site, n) } else { 0 }
    }

    fn active(&self) -> Active {
        self.active
    }

    fn begin(&mut self, who: Entity) {
        let index = who.index() as usize;
        if index >= self.streams.len() {
            self.streams.resize(index + 1, Stream::default());
        }
        self.streams[index] = Stream { state: mix(self.base ^ who.key() << 8), coins: 0 };
    }
}

/// What is chosen where it is not the benign; of a workload, anything.
#[inline(never)]
fn value(stream: &mut Stream, site: Site, n: u32) -> u32 {
    if n == 2 && site.pace().is_some() {
        return 1;
    }
    let draw = stream.next();
    let (high, low) = (draw >> 32, draw & u64::from(u32::MAX));
    if site.pace().is_none() {
        return below(high, n);
    }
    if n <= 4 {
        return 1 + below(high, n - 1);
    }
    // Every order of magnitude is as likely as any other.
    let span = n - 1;
    let magnitude = 1 + below(high, u32::BITS - span.leading_zeros());
    let most = 1_u64.checked_shl(magnitude).unwrap_or(u64::MAX).min(u64::from(span));
    1 + below(low, u32::try_from(most).unwrap_or(span))
}

/// Scales 32 random bits to a number below `n`.
#[inline]
const fn below(bits: u64, n: u32) -> u32 {
    ((bits * n as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation (Vigna, `splitmix64.c`) for the state 1234567.
    #[test]
    fn the_published_outputs() {
        let outputs = (1..=5).map(|step| mix(1_234_567_u64.wrapping_add(GAMMA.wrapping_mul(step))));
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert!(outputs.eq(published));
    }

    #[test]
    fn a_connection_more_changes_no_others_choices() {
        let draws = |others: u32| {
            let mut seeded = Seeded::new(7, Faults::ALL);
            for slot in 0..=others {
                seeded.begin(Entity::client(slot, 0, slot));
            }
            let mut drawn = Vec::new();
            for _ in 0..200 {
                for other in 1..=others {
                    seeded.choose(Site::LATENCY, Entity::client(other, 0, other), 1000);
                }
                drawn.push(seeded.choose(Site::LATENCY, Entity::client(0, 0, 0), 1000));
            }
            drawn
        };
        assert_eq!(draws(0), draws(9));
    }

    #[test]
    fn choices_stay_below_their_bound_and_reach_all_values() {
        let mut seeded = Seeded::new(1, Faults::ALL);
        for n in [2, 3, 4, 5, 17, 1000, u32::MAX] {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..5000 {
                let v = seeded.choose(Site::LATENCY, Entity::WORLD, n);
                assert!(v < n);
                seen.insert(v);
            }
            assert!(n > 17 || seen.len() == n as usize, "{n}: {seen:?}");
        }
    }

    #[test]
    fn without_faults_only_the_workload_is_drawn() {
        let mut seeded = Seeded::new(3, Faults::NONE);
        for site in Site::all() {
            let benign = (0..100).all(|_| seeded.choose(site, Entity::WORLD, 9) == 0);
            assert_eq!(benign, site.family() != Family::Workload, "{site}");
        }
        assert_eq!(seeded.mask().count(), 0);
    }
}
