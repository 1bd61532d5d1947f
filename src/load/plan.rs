//! What is to be sent when, on which connection.

use std::time::Duration;

use roundtrip_core::Time;
use roundtrip_echo::Schedule;

use super::LoadArgs;
use crate::driver::in_memory;
use crate::problem::Problem;

const NANOS: u128 = 1_000_000_000;

/// A load, before it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) connections: usize,
    /// Messages a second, on all connections together; none is a closed loop.
    pub(super) rate: Option<u64>,
    pub(super) length: Length,
    /// The last connection begins so long after the first.
    pub(super) ramp: Duration,
}

/// When it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// After so long.
    Lasts(Duration),
    /// After so many messages, on all connections together.
    Count(u64),
}

impl Plan {
    pub(super) fn new(args: &LoadArgs) -> Result<Self, Problem> {
        let length = args.count.map_or(Length::Lasts(args.duration), Length::Count);
        if let (Some(ramp), Length::Lasts(lasts)) = (args.ramp, length)
            && ramp >= lasts
        {
            return Err(Problem::usage(
                "--ramp takes as long as the whole load, or longer",
                "let it be shorter than --duration",
            ));
        }
        Ok(Self {
            connections: in_memory(args.connections),
            rate: args.rate,
            length,
            ramp: args.ramp.unwrap_or_default(),
        })
    }

    /// How many messages are to be sent, where that is known, if the connections that began are to send so many.
    pub(super) const fn scheduled(&self, of_those: u64) -> Option<u64> {
        match (self.length, self.rate) {
            (Length::Count(count), _) => Some(count),
            (Length::Lasts(_), Some(_)) => Some(of_those),
            (Length::Lasts(_), None) => None,
        }
    }

    /// When connection `index` begins, after the start.
    pub(super) fn begins(&self, index: usize) -> Duration {
        nanos(self.ramp.as_nanos() * index as u128 / self.connections as u128)
    }

    /// What connection `index` sends, which begins so long after the start.
    pub(super) fn schedule(&self, index: usize, start: Time, begins: Duration) -> Schedule {
        let first = start.after(begins);
        let messages = self.share(index, begins);
        match (self.rate, self.length) {
            (None, Length::Lasts(lasts)) => Schedule::closed_loop(first).until(Some(start.after(lasts))),
            (None, Length::Count(_)) => Schedule::closed_loop(first).messages(messages),
            (Some(rate), _) => {
                // The connections take turns.
                let turns = |turns: usize| nanos(turns as u128 * NANOS / u128::from(rate));
                let period = turns(self.connections).max(Duration::from_nanos(1));
                Schedule::open_loop(first.after(turns(index)), period).messages(messages)
            }
        }
    }

    /// How many messages connection `index` sends, where that is known; without end otherwise.
    fn share(&self, index: usize, begins: Duration) -> u64 {
        let (index, connections) = (index as u128, self.connections as u128);
        let share = match (self.length, self.rate) {
            // Those that are due before the end, counted in nanoseconds times messages so that nothing is rounded.
            (Length::Lasts(lasts), Some(rate)) => {
                let left = lasts.saturating_sub(begins).as_nanos();
                (left * u128::from(rate)).saturating_sub(index * NANOS).div_ceil(connections * NANOS)
            }
            (Length::Lasts(_), None) => u128::MAX,
            (Length::Count(count), _) => {
                let count = u128::from(count);
                count / connections + u128::from(index < count % connections)
            }
        };
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// How long it takes if nothing is late, where that is known.
    pub(super) fn lasts(&self) -> Option<Duration> {
        match (self.length, self.rate) {
            (Length::Lasts(lasts), _) => Some(lasts),
            (Length::Count(count), Some(rate)) => {
                Some(self.ramp.saturating_add(nanos(u128::from(count) * NANOS / u128::from(rate))))
            }
            (Length::Count(_), None) => None,
        }
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(connections: usize, rate: Option<u64>, length: Length) -> Plan {
        Plan { connections, rate, length, ramp: Duration::ZERO }
    }

    fn shares(plan: &Plan) -> Vec<u64> {
        let share = |index| plan.schedule(index, Time::ZERO, plan.begins(index)).messages;
        (0..plan.connections).map(share).collect()
    }

    #[test]
    fn a_count_is_shared_out_to_the_last_message() {
        for (connections, count) in [(1, 1), (3, 10), (7, 7), (10, 3)] {
            let plan = plan(connections, None, Length::Count(count));
            assert_eq!(shares(&plan).iter().sum::<u64>(), count);
        }
    }

    #[test]
    fn at_a_rate_the_connections_take_turns_evenly() {
        let plan = plan(4, Some(1000), Length::Lasts(SECOND));
        let mut due: Vec<_> = (0..4)
            .flat_map(|index| {
                let schedule = plan.schedule(index, Time::ZERO, Duration::ZERO);
                let period = u64::try_from(schedule.period.unwrap().as_nanos()).unwrap();
                (0..schedule.messages).map(move |number| schedule.first.as_nanos() + number * period)
            })
            .collect();
        due.sort_unstable();
        assert_eq!(due, (0..1000).map(|number| number * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_time_and_a_rate_make_a_count() {
        for (connections, rate, lasts, messages) in
            [(1, 3, SECOND, 3), (100, 20_000, 30 * SECOND, 600_000), (7, 10, SECOND, 10), (5, 1, SECOND, 1)]
        {
            let plan = plan(connections, Some(rate), Length::Lasts(lasts));
            assert_eq!(shares(&plan).iter().sum::<u64>(), messages);
        }
    }

    #[test]
    fn with_a_ramp_each_begins_later_and_all_end_together() {
        let plan = Plan { ramp: SECOND, ..plan(4, None, Length::Lasts(10 * SECOND)) };
        let begins: Vec<_> = (0..4).map(|index| plan.begins(index).as_millis()).collect();
        assert_eq!(begins, [0, 250, 500, 750]);
        for index in 0..4 {
            let schedule = plan.schedule(index, Time::ZERO, plan.begins(index));
            assert_eq!(schedule.first, Time::ZERO.after(plan.begins(index)));
            assert_eq!(schedule.until, Some(Time::ZERO.after(10 * SECOND)));
        }
        // At 0.00, 1.00 …; at 0.50 …; at 1.00 …; at 1.50 …
        assert_eq!(shares(&Plan { rate: Some(4), ..plan }), [10, 10, 9, 9]);
    }

    #[test]
    fn the_expected_length_is_known_but_for_a_count_without_a_rate() {
        let count = Length::Count(2000);
        assert_eq!(plan(4, Some(1000), count).lasts(), Some(2 * SECOND));
        assert_eq!(plan(4, None, Length::Lasts(SECOND)).lasts(), Some(SECOND));
        assert_eq!(plan(4, None, count).lasts(), None);
        let plan = Plan { ramp: Duration::MAX, ..plan(4, Some(1), count) };
        assert_eq!(plan.lasts(), Some(Duration::MAX));
    }
}
