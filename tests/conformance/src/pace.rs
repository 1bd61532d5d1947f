//! A clock for drivers that live in real time: it goes only while a script waits for time to pass.

use std::collections::BTreeMap;
use std::time::Duration;

use roundtrip_core::Time;

/// For so long of real time nothing has happened before the clock goes on by itself. A step that never passes then
/// runs out of patience and says so, instead of waiting for ever.
const STANDSTILL: Duration = Duration::from_secs(10);

/// What a script's client waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// For its peer or its driver, which have all they need: no time has to pass.
    #[default]
    ForOthers,
    /// For time to pass; until then at the most, if that is known.
    ForTime(Option<Time>),
}

/// A script's time, on a machine whose own time may jump at any moment.
///
/// A pause of 30 ms and an idle limit of 50 ms have one outcome where time is simulated; where it is real, a machine
/// that is busy elsewhere for 20 ms makes it another. On this clock it is the one again: time stands still unless
/// every client waits for it to pass, and it does not go past the end of a client's pause before that client has
/// gone on. It never runs faster than real time, so a driver that sleeps for real is never late; it may wake early,
/// and sleeps again.
///
/// Pure: the real time is handed in. A driver's clock holds it under a lock.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    clients: BTreeMap<usize, Waiting>,
    /// The script's time when something last changed, and the real time of that.
    since: Option<(Time, Time)>,
}

impl Pace {
    /// A script's time that begins at [`Time::ZERO`] with the first call.
    pub fn new() -> Self {
        Self::default()
    }

    /// The script's time at this real time.
    pub fn now(&mut self, real: Time) -> Time {
        let (base, since) = *self.since.get_or_insert((Time::ZERO, real));
        let passed = real.since(since);
        let free = self.free(base);
        base.after(passed.min(free)).after(passed.saturating_sub(free).saturating_sub(STANDSTILL))
    }

    /// A client begins, or tells what it [waits](crate::Event::Waiting) for.
    pub fn waits(&mut self, real: Time, client: usize, waiting: Waiting) {
        self.rebase(real);
        self.clients.insert(client, waiting);
    }

    /// A client is gone.
    pub fn left(&mut self, real: Time, client: usize) {
        self.rebase(real);
        self.clients.remove(&client);
    }

    fn rebase(&mut self, real: Time) {
        self.since = Some((self.now(real), real));
    }

    /// How much time may pass after `base`.
    fn free(&self, base: Time) -> Duration {
        self.clients.values().fold(Duration::MAX, |free, waiting| match waiting {
            Waiting::ForOthers => Duration::ZERO,
            Waiting::ForTime(Some(until)) => free.min(until.since(base)),
            Waiting::ForTime(None) => free,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn time_stands_still_while_a_client_waits_for_others() {
        let mut pace = Pace::new();
        pace.waits(ms(5), 0, Waiting::ForTime(None));
        assert_eq!(pace.now(ms(25)), ms(20));
        pace.waits(ms(30), 1, Waiting::ForOthers);
        assert_eq!(pace.now(ms(1000)), ms(25));
        pace.left(ms(1000), 1);
        assert_eq!(pace.now(ms(1001)), ms(26));
    }

    #[test]
    fn time_does_not_go_past_a_pause() {
        let mut pace = Pace::new();
        pace.waits(ms(0), 0, Waiting::ForTime(Some(ms(30))));
        pace.waits(ms(0), 1, Waiting::ForTime(Some(ms(50))));
        assert_eq!((pace.now(ms(29)), pace.now(ms(400))), (ms(29), ms(30)));
        pace.waits(ms(400), 0, Waiting::ForTime(None));
        assert_eq!((pace.now(ms(410)), pace.now(ms(800))), (ms(40), ms(50)));
    }

    #[test]
    fn a_standstill_ends() {
        let mut pace = Pace::new();
        pace.waits(ms(0), 0, Waiting::ForOthers);
        assert_eq!((pace.now(ms(10_000)), pace.now(ms(10_001))), (ms(0), ms(1)));
    }

    #[test]
    fn time_never_goes_back() {
        let mut pace = Pace::new();
        let mut last = Time::ZERO;
        for real in 0..60_000 {
            match real % 701 {
                0 => pace.waits(ms(real), 0, Waiting::ForOthers),
                300 => pace.waits(ms(real), 0, Waiting::ForTime(Some(last))),
                301 => pace.waits(ms(real), 1, Waiting::ForTime(Some(ms(real / 2)))),
                500 => pace.left(ms(real), 0),
                _ => {}
            }
            let now = pace.now(ms(real));
            assert!(now >= last && now <= ms(real), "{last:?} {now:?} at {real}");
            last = now;
        }
    }
}
