//! The one source of nondeterminism: every choice that a run makes is asked for here, by name.

mod bytes;
mod exhaustive;
mod logged;
mod names;
mod replay;
mod seeded;

pub use bytes::FuzzBytes;
pub use exhaustive::Exhaustive;
pub use logged::Logged;
pub(crate) use names::Pace;
pub use names::{Entity, Family, NameError, Site};
pub use replay::Replay;
pub use seeded::{Faults, Seeded, mix};

/// Makes every choice of a run.
///
/// 0 is always the benign one: everything that is ready, at once, whole, in order. So a chooser that knows nothing
/// gives a calm network, what is missing from a recorded run is calm, and a fuzzer that ran out of input ends soon.
pub trait Chooser {
    /// A number below `n`, which is at least 2.
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32;

    /// The sites at which anything but 0 can be chosen: the others need not be asked. The same from the first choice
    /// to the last.
    fn active(&self) -> Active {
        Active::ALL
    }

    /// `who` begins: what is chosen for it has nothing to do with who had its [index](Entity::index) before.
    fn begin(&mut self, who: Entity) {
        let _ = who;
    }
}

impl<C: Chooser + ?Sized> Chooser for &mut C {
    fn choose(&mut self, site: Site, who: Entity, n: u32) -> u32 {
        (**self).choose(site, who, n)
    }

    fn active(&self) -> Active {
        (**self).active()
    }

    fn begin(&mut self, who: Entity) {
        (**self).begin(who);
    }
}

/// A set of the model's sites; those of the workload are asked for in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active(u64);

impl Active {
    /// Every site.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The same with this site.
    #[must_use]
    pub const fn with(self, site: Site) -> Self {
        if site.index() < 64 { Self(self.0 | 1 << site.index()) } else { self }
    }

    pub(crate) const fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    #[inline]
    pub(crate) const fn has(self, site: Site) -> bool {
        self.0 >> site.index() & 1 != 0
    }
}

/// A choice that was not the benign one: all there is to know of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decision {
    /// Whose choice.
    pub who: Entity,
    /// Which choice.
    pub site: Site,
    /// The how manieth at this site for this entity, from 0.
    pub k: u32,
    /// How many values there were to choose from.
    pub n: u32,
    /// What was chosen, 1 to `n - 1`.
    pub v: u32,
}

/// How often each site was asked for each entity.
#[derive(Clone, Debug)]
struct Counts(Vec<[u32; Site::COUNT]>);

impl Counts {
    /// Nobody was asked yet; those of the run as a whole have begun.
    fn new() -> Self {
        Self(vec![[0; Site::COUNT]; Entity::OF_THE_RUN.len()])
    }

    fn begin(&mut self, who: Entity) {
        let index = who.index() as usize;
        if index < self.0.len() {
            self.0[index] = [0; Site::COUNT];
        } else {
            self.0.resize(index + 1, [0; Site::COUNT]);
        }
    }

    #[inline]
    fn next(&mut self, site: Site, who: Entity) -> u32 {
        let count = &mut self.0[who.index() as usize][site.index()];
        let k = *count;
        *count += 1;
        k
    }
}
