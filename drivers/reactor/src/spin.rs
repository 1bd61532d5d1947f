//! Looking for a while before sleeping.

use std::time::Duration;

/// What one look costs at the least: it bounds the looks where a clock stands still.
const LOOK: Duration = Duration::from_nanos(50);
/// Spins in vain that are made before sleeping at once, after some that paid.
const PATIENCE: u32 = 8;

/// How long a thread looks again and again before it sleeps, and whether that has paid lately.
///
/// Sleeping and waking cost more than some messages take to be answered; but looking in vain costs a core. So a spin is
/// worth its while if something came soon after the thread began to wait, the last times.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    /// Spins that may still fail.
    patience: u32,
}

impl Spin {
    /// Spins for so long at the most; zero is never.
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, patience: 0 }
    }

    /// How often to look before sleeping, and for how long, if at all.
    pub(crate) fn worth(&self) -> Option<(u64, Duration)> {
        let looks = self.limit.as_nanos() / LOOK.as_nanos();
        (self.patience > 0).then(|| (u64::try_from(looks).unwrap_or(u64::MAX), self.limit))
    }

    /// Whether anything is to be learned from how long a sleep was.
    pub(crate) const fn learns(&self) -> bool {
        !self.limit.is_zero()
    }

    /// Something came during a spin.
    pub(crate) const fn paid(&mut self) {
        self.patience = PATIENCE;
    }

    /// Nothing did.
    pub(crate) const fn failed(&mut self) {
        self.patience = self.patience.saturating_sub(1);
    }

    /// The thread slept for so long, its waking included, before something came: would a spin have paid?
    pub(crate) fn slept(&mut self, took: Duration) {
        // Waking takes about as long as what is waited for.
        if took <= 2 * self.limit {
            self.patience = self.patience.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(50);

    #[test]
    fn a_thread_spins_after_a_short_sleep_only() {
        let mut spin = Spin::new(LIMIT);
        assert_eq!(spin.worth(), None);
        spin.slept(Duration::from_millis(1));
        assert_eq!(spin.worth(), None);
        spin.slept(LIMIT);
        assert_eq!(spin.worth(), Some((1000, LIMIT)));
    }

    #[test]
    fn spins_in_vain_end_it_sooner_if_none_has_paid() {
        let tries = |paid| {
            let mut spin = Spin::new(LIMIT);
            spin.slept(Duration::ZERO);
            if paid {
                spin.paid();
            }
            (0..100).take_while(|_| spin.worth().is_some().then(|| spin.failed()).is_some()).count()
        };
        assert_eq!((tries(false), tries(true)), (1, 8));
    }

    #[test]
    fn who_does_not_ask_for_it_never_spins() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.slept(Duration::from_micros(1));
        assert!(!spin.learns() && spin.worth().is_none());
    }
}
