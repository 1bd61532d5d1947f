//! A machine that hears messages, numbered or not, and says at the end which are missing.

use alloc::collections::BTreeMap;
use core::time::Duration;

use bytes::Bytes;

use super::{Sender, SequenceStatus, Sequenced, Tracker};
use roundtrip_core::datagram::{
    Address, Datagram, DatagramAction, DatagramInput, DatagramMachine, DatagramWait,
};
use roundtrip_core::{Failure, Time};

/// Senders whose numbers are followed. Messages of others are heard, and counted together.
const SENDERS: usize = 256;

/// When a [`Listener`] has heard enough. Without any of these it goes on until it is stopped.
///
/// Each field has a method of the same name that sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// After so many messages.
    pub count: Option<u64>,
    /// After so long.
    pub limit: Option<Duration>,
    /// After the end mark of a sender: at once if nothing of it is missing, else when nothing that was missing came for so
    /// long.
    pub settle: Option<Duration>,
}

impl ListenerConfig {
    roundtrip_core::setters! {
        count: Option<u64>,
        limit: Option<Duration>,
        settle: Option<Duration>,
    }
}

/// A message that came, once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReceivedMessage<A> {
    /// Who sent it.
    pub from: A,
    /// All of it, its number included.
    pub payload: Bytes,
}

/// Why a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// A sender's end mark came.
    EndMark,
    /// The messages that were asked for came.
    Count,
    /// The time was over.
    Limit,
    /// It was stopped, or aborted.
    Stopped,
    /// The transport failed.
    Failed(Failure),
}

/// What was heard of one sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SenderStats<A> {
    /// Where its first message came from.
    pub from: A,
    /// Which of its messages came.
    pub tracker: Tracker,
}

/// What a listener heard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ListenerReport<A> {
    /// Messages that were heard: each once.
    pub heard: u64,
    /// Those of them that had no number.
    pub plain: u64,
    /// Datagrams that were too long to be taken, and are lost.
    pub too_long: u64,
    /// Numbered messages and end marks of senders beyond the 256 that are followed.
    pub unfollowed: u64,
    /// Every sender of numbered messages that is followed, by its name.
    pub senders: BTreeMap<Sender, SenderStats<A>>,
}

impl<A> ListenerReport<A> {
    /// Whether nothing is wrong: of no sender is anything missing, twice or late, and nothing was too long.
    pub fn is_whole(&self) -> bool {
        self.too_long == 0 && self.senders.values().all(|followed| followed.tracker.is_whole())
    }
}

/// Hears messages, and answers none. Each is told once, as it came; which are missing is its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener<A> {
    config: ListenerConfig,
    limit: Option<Time>,
    report: ListenerReport<A>,
    /// Not told yet.
    heard: Option<ReceivedMessage<A>>,
    /// The sender whose end mark came first, and when it is over.
    settles: Option<(Sender, Time)>,
    ending: Option<Ending>,
}

impl<A> Listener<A> {
    /// One that listens from now on.
    pub fn new(config: ListenerConfig, now: Time) -> Self {
        Self {
            limit: config.limit.map(|limit| now.after(limit)),
            config,
            report: ListenerReport {
                heard: 0,
                plain: 0,
                too_long: 0,
                unfollowed: 0,
                senders: BTreeMap::new(),
            },
            heard: None,
            settles: None,
            ending: None,
        }
    }
}

impl<A: Address> Listener<A> {
    fn received(&mut self, now: Time, Datagram { peer, payload }: Datagram<A>) {
        let is_new = match Sequenced::parse(&payload) {
            None => {
                self.report.plain += 1;
                true
            }
            Some(Sequenced::Message { sender, number, .. }) => {
                let is_new = self
                    .follow(sender, &peer)
                    .is_none_or(|tracker| tracker.seen(number) != SequenceStatus::Twice);
                self.keep_settling(now, sender, is_new);
                is_new
            }
            Some(Sequenced::End { sender, total }) => {
                if let Some(tracker) = self.follow(sender, &peer) {
                    tracker.ended(total);
                    if let Some(settle) = self.config.settle {
                        self.settles.get_or_insert((sender, now.after(settle)));
                    }
                }
                false
            }
        };
        if is_new {
            self.report.heard += 1;
            self.heard = Some(ReceivedMessage { from: peer, payload });
        }
        if self.config.count.is_some_and(|count| self.report.heard >= count) {
            self.end(Ending::Count);
        }
        let is_all_of = |sender| {
            self.report.senders.get(&sender).is_some_and(|followed| followed.tracker.missing_count() == 0)
        };
        if self.settles.is_some_and(|(sender, _)| is_all_of(sender)) {
            self.end(Ending::EndMark);
        }
    }

    /// Something came of what is waited for, and so more may: not with the end mark once more, or a message.
    fn keep_settling(&mut self, now: Time, sender: Sender, is_new: bool) {
        if let (Some((settling, until)), Some(settle)) = (&mut self.settles, self.config.settle)
            && is_new
            && *settling == sender
        {
            *until = now.after(settle);
        }
    }

    /// What is known of this sender; none if there are too many.
    fn follow(&mut self, sender: Sender, from: &A) -> Option<&mut Tracker> {
        let senders = &mut self.report.senders;
        if senders.len() >= SENDERS && !senders.contains_key(&sender) {
            self.report.unfollowed += 1;
            return None;
        }
        let first = || SenderStats { from: from.clone(), tracker: Tracker::default() };
        Some(&mut senders.entry(sender).or_insert_with(first).tracker)
    }

    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }
}

impl<A: Address> DatagramMachine for Listener<A> {
    type Address = A;
    type Event = ReceivedMessage<A>;
    type Outcome = (Ending, ListenerReport<A>);

    fn handle(&mut self, now: Time, input: DatagramInput<A>) {
        if self.ending.is_some() {
            return;
        }
        match input {
            DatagramInput::Received(datagram) => self.received(now, datagram),
            DatagramInput::TooLong { .. } => self.report.too_long += 1,
            // It sends nothing.
            DatagramInput::Unsent(_) | DatagramInput::SendQueue(_) => {}
            DatagramInput::Stop | DatagramInput::Abort => self.end(Ending::Stopped),
            DatagramInput::Failed(failure) => self.end(Ending::Failed(failure)),
        }
    }

    fn poll(&mut self, now: Time) -> DatagramAction<A, ReceivedMessage<A>, (Ending, ListenerReport<A>)> {
        if let Some(heard) = self.heard.take() {
            return DatagramAction::Event(heard);
        }
        let settled = self.settles.map(|(_, until)| until);
        if settled.is_some_and(|until| until <= now) {
            self.end(Ending::EndMark);
        }
        if self.limit.is_some_and(|limit| limit <= now) {
            self.end(Ending::Limit);
        }
        if let Some(ending) = self.ending {
            return DatagramAction::Close((ending, self.report.clone()));
        }
        let deadline = settled.into_iter().chain(self.limit).min();
        DatagramAction::Wait(DatagramWait { read: 1, deadline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::net::SocketAddr;
    use quickcheck::quickcheck;
    use roundtrip_core::datagram::DatagramDriven;

    const SETTLE: Duration = Duration::from_millis(200);
    const ONCE: ListenerConfig = ListenerConfig { count: None, limit: None, settle: Some(SETTLE) };

    #[test]
    fn a_report_of_nothing_is_whole_until_something_was_too_long() {
        let mut bench = Bench::new(ONCE);
        bench.driven.too_long(Time::ZERO, SocketAddr::from(([192, 0, 2, 1], 5000)));
        bench.driven.stop(Time::ZERO);
        bench.settle(Time::ZERO);
        assert!(!bench.over.unwrap().1.is_whole());
        let mut bench = Bench::new(ONCE);
        bench.driven.stop(Time::ZERO);
        bench.settle(Time::ZERO);
        assert!(bench.over.unwrap().1.is_whole());
    }

    /// A listener, what it told, and what it came to.
    struct Bench {
        driven: DatagramDriven<Listener<SocketAddr>>,
        told: Vec<String>,
        over: Option<(Ending, ListenerReport<SocketAddr>)>,
    }

    impl Bench {
        fn new(config: ListenerConfig) -> Self {
            let mut bench = Self {
                driven: DatagramDriven::new(Listener::new(config, Time::ZERO)),
                told: Vec::new(),
                over: None,
            };
            bench.settle(Time::ZERO);
            bench
        }

        fn settle(&mut self, now: Time) {
            loop {
                match self.driven.step(now) {
                    DatagramAction::Send(_) => panic!("it answers nobody"),
                    DatagramAction::Event(heard) => {
                        self.told.push(String::from_utf8(heard.payload.into()).unwrap());
                    }
                    DatagramAction::Wait(_) => return,
                    DatagramAction::Close(over) => return self.over = Some(over),
                }
            }
        }

        fn hear(&mut self, at: Duration, message: &str) {
            let (peer, payload) =
                ("192.0.2.1:7".parse().unwrap(), Bytes::copy_from_slice(message.as_bytes()));
            self.driven.received(Time::ZERO.after(at), Datagram { peer, payload }).unwrap();
            self.settle(Time::ZERO.after(at));
        }

        fn hear_all(&mut self, messages: &[&str]) {
            for message in messages {
                self.hear(Duration::ZERO, message);
            }
        }

        fn ending(&self) -> Option<Ending> {
            self.over.as_ref().map(|over| over.0)
        }

        /// The numbers of `a` that are missing, when it is stopped.
        fn missing(mut self) -> Vec<u64> {
            self.driven.stop(Time::ZERO);
            self.settle(Time::ZERO);
            let senders = self.over.unwrap().1.senders;
            senders[&Sender::new(b"a").unwrap()].tracker.missing().flatten().collect()
        }
    }

    #[test]
    fn each_message_is_told_once_and_end_marks_are_not() {
        let mut bench = Bench::new(ListenerConfig::default());
        bench.hear_all(&["plain", "@a#1 x", "@a#1 x", "@a#3 y", "@a!4", "plain", ""]);
        assert_eq!(bench.told, ["plain", "@a#1 x", "@a#3 y", "plain", ""]);
        assert_eq!(bench.ending(), None);
        assert_eq!(bench.missing(), [2, 4]);
    }

    #[test]
    fn it_ends_after_the_first_end_mark_if_nothing_is_missing() {
        let mut bench = Bench::new(ONCE);
        bench.hear_all(&["@b#2 x", "@a#1 x", "@a!1"]);
        let (ending, report) = bench.over.unwrap();
        assert_eq!(
            (ending, report.heard, report.senders.len(), report.is_whole()),
            (Ending::EndMark, 2, 2, false)
        );
    }

    #[test]
    fn it_waits_a_while_for_what_is_missing_at_the_end_mark() {
        let mut bench = Bench::new(ONCE);
        bench.hear_all(&["@a#1 x", "@a!3"]);
        let (early, late) = (SETTLE / 2, SETTLE * 5 / 4);
        bench.hear(early, "@a#2 x");
        bench.settle(Time::ZERO.after(late));
        assert_eq!(bench.ending(), None, "it came of it still");
        bench.hear(late, "@a#3 x");
        assert_eq!(bench.ending(), Some(Ending::EndMark));
        let mut bench = Bench::new(ONCE);
        bench.hear_all(&["@a#1 x", "@a!3"]);
        // Others do not keep it waiting, nor what is known already.
        for message in ["@b#1 x", "@a#1 x", "@a!3"] {
            bench.hear(early, message);
        }
        bench.settle(Time::ZERO.after(SETTLE));
        assert_eq!(bench.ending(), Some(Ending::EndMark));
        assert!(!bench.over.unwrap().1.is_whole());
    }

    #[test]
    fn it_ends_after_so_many_messages_and_after_so_long() {
        let mut bench = Bench::new(ListenerConfig { count: Some(2), ..ListenerConfig::default() });
        bench.hear_all(&["@a#1 x", "@a#1 x", "@a!2", "plain"]);
        assert_eq!((bench.ending(), bench.told.len()), (Some(Ending::Count), 2));
        let mut bench = Bench::new(ListenerConfig { limit: Some(SETTLE), ..ListenerConfig::default() });
        assert_eq!(bench.driven.deadline(), Some(Time::ZERO.after(SETTLE)));
        bench.settle(Time::ZERO.after(SETTLE));
        assert_eq!(bench.ending(), Some(Ending::Limit));
    }

    #[test]
    fn what_is_too_long_and_whom_nobody_follows_is_counted() {
        let mut bench = Bench::new(ListenerConfig::default());
        for sender in 0..SENDERS + 2 {
            bench.hear(Duration::ZERO, &format!("@{sender}#1 x"));
        }
        bench.driven.too_long(Time::ZERO, "192.0.2.1:7".parse().unwrap());
        bench.driven.stop(Time::ZERO);
        bench.settle(Time::ZERO);
        let (ending, report) = bench.over.unwrap();
        assert_eq!((ending, report.unfollowed, report.too_long), (Ending::Stopped, 2, 1));
        assert_eq!((report.heard, report.senders.len()), (SENDERS as u64 + 2, SENDERS));
        assert!(!report.is_whole());
    }

    quickcheck! {
        fn whatever_comes_it_goes_on_and_counts_all(messages: Vec<(u8, u8, u8)>) -> bool {
            let mut bench = Bench::new(ListenerConfig::default());
            for (sender, number, kind) in &messages {
                let message = match kind % 4 {
                    0 => format!("plain {number}"),
                    1 => format!("@{}!{number}", sender % 3),
                    _ => format!("@{}#{} text", sender % 3, number % 20 + 1),
                };
                bench.hear(Duration::ZERO, &message);
            }
            bench.driven.stop(Time::ZERO);
            bench.settle(Time::ZERO);
            let (_, report) = bench.over.unwrap();
            let came: u64 = report.senders.values().map(|followed| followed.tracker.came()).sum();
            report.heard == bench.told.len() as u64 && report.heard == report.plain + came
        }
    }
}
