//! The invariants of machines, under random inputs.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use quickcheck::quickcheck;
use roundtrip_core::{Action, Driven, Input, Machine, Step, Time, Wait};
use roundtrip_script::{ReadError, Script, ScriptConfig, ScriptEnd, ScriptIo, ScriptOutcome, join};

const INBOX: usize = 16;
const OUTBOX: usize = 8;

fn config() -> Arc<ScriptConfig> {
    Arc::new(ScriptConfig::default().inbox(INBOX).outbox(OUTBOX).events(2))
}

/// Lines, which are answered in capitals: `tell` tells the application, a digit is the length of a body that is sent back,
/// `shut` half-closes, `quit` ends it.
async fn lines(io: ScriptIo<u8, String>) -> Result<u32, ReadError> {
    let mut lines = 0;
    while !io.at_eof().await {
        let line = io.read_until(b"\n", 12).await?;
        lines += 1;
        match line.trim_ascii() {
            b"tell" => io.event(format!("line {lines}")).await,
            b"quit" => break,
            b"shut" => {
                io.shut_down_write().await;
                while io.read_some(3).await.is_some() {}
            }
            [digit @ b'0'..=b'9'] => {
                let body = io.read_exact(usize::from(digit - b'0')).await?;
                io.write(body).await;
            }
            _ => io.write(line.to_ascii_uppercase()).await,
        }
    }
    Ok(lines)
}

/// Pieces of a conversation: some make sense.
fn conversation(choices: &[u8]) -> Vec<u8> {
    let pieces: [&[u8]; 10] =
        [b"tell\n", b"hello\n", b"3\n", b"abc", b"9\n", b"ten\nlines\n", b"\n", b"shut\n", b"quit\n", b"x"];
    choices.iter().flat_map(|choice| pieces[usize::from(*choice) % pieces.len()]).copied().collect()
}

type Said = (Vec<u8>, Vec<String>, bool, ScriptOutcome<Result<u32, ReadError>>);

/// What comes of a conversation whose bytes come, and are taken, in pieces of these sizes, again and again.
fn said(sent: &[u8], reads: &[u8], writes: &[u8]) -> Said {
    let now = Time::ZERO;
    let mut session = Driven::new(Script::new(config(), now, lines));
    let mut unread = Bytes::copy_from_slice(sent);
    let (mut written, mut events, mut shut) = (Vec::new(), Vec::new(), false);
    let size = |sizes: &[u8], nth: usize| {
        sizes.get(nth % sizes.len().max(1)).map_or(usize::MAX, |size| usize::from(*size) + 1)
    };
    for turn in 0.. {
        match session.step(now) {
            Step::Write => {}
            Step::ShutdownWrite => shut = true,
            Step::Event(event) => events.push(event),
            Step::Wait(_) => {
                let taken = session.take(now, size(writes, turn));
                let can_write = !taken.is_empty();
                written.extend_from_slice(&taken);
                let n = size(reads, turn).min(unread.len()).min(session.credit());
                if n > 0 {
                    assert!(session.data(now, unread.split_to(n)).is_empty());
                } else if unread.is_empty() {
                    session.eof(now);
                } else {
                    assert!(can_write, "it waits for nothing");
                }
            }
            Step::Close { outcome, .. } => return (written, events, shut, outcome),
        }
    }
    unreachable!()
}

quickcheck! {
    /// I9: however the streams are sliced. What comes after the end of the script is dropped, and counted.
    fn i9_slicing_changes_nothing(choices: Vec<u8>, reads: Vec<u8>, writes: Vec<u8>) -> bool {
        let sent = conversation(&choices);
        let whole = said(&sent, &[], &[]);
        let sliced = said(&sent, &reads.iter().map(|size| size % 5).collect::<Vec<_>>(), &writes);
        assert_eq!(whole, sliced);
        whole.2 && whole.3.received == sent.len() as u64 && whole.3.sent == whole.0.len() as u64
    }

    /// I2, I3, I5, I6 and I7 on the raw machine, and that it ends: random inputs, all of them legal.
    fn raw_inputs_keep_the_contract(choices: Vec<u8>, inputs: Vec<(u8, u8)>) -> bool {
        let mut raw = Raw::new(conversation(&choices));
        for (kind, size) in inputs {
            raw.input(kind, usize::from(size));
            raw.drain();
        }
        raw.ends()
    }
}

/// A machine without `Driven`, and what its driver has to know.
struct Raw {
    machine: Script<Result<u32, ReadError>, u8, String>,
    now: Time,
    unread: Bytes,
    outstanding: usize,
    wait: Wait,
    /// The credit falls by data only.
    floor: usize,
    eof: bool,
    over: bool,
    shut: bool,
    outcome: Option<ScriptOutcome<Result<u32, ReadError>>>,
}

impl Raw {
    fn new(sent: Vec<u8>) -> Self {
        let mut raw = Self {
            machine: Script::new(config(), Time::ZERO, lines),
            now: Time::ZERO,
            unread: sent.into(),
            outstanding: 0,
            wait: Wait { read: 0, commands: 0, deadline: None },
            floor: 0,
            eof: false,
            over: false,
            shut: false,
            outcome: None,
        };
        raw.drain();
        raw
    }

    fn input(&mut self, kind: u8, size: usize) {
        let input = match kind % 16 {
            0..=6 => {
                let n = size.min(self.wait.read).min(self.unread.len());
                if n == 0 || self.eof {
                    return;
                }
                self.wait.read -= n;
                self.floor = self.floor.saturating_sub(n);
                Input::Data(self.unread.split_to(n))
            }
            7..=11 if self.outstanding > 0 => {
                let n = size.clamp(1, self.outstanding);
                self.outstanding -= n;
                Input::Wrote(n)
            }
            12 if !self.unread.has_remaining() && !self.eof => {
                (self.eof, self.floor) = (true, 0);
                Input::Eof
            }
            13 if size < 32 => Input::Stop,
            14 if size < 8 => {
                (self.over, self.floor) = (true, 0);
                Input::Abort
            }
            15 => {
                self.now = Time::from_nanos(self.now.as_nanos() + 1_000_000 * size as u64);
                return;
            }
            _ => return,
        };
        self.machine.handle(self.now, input);
    }

    fn drain(&mut self) {
        for actions in 0.. {
            assert!(actions < 100, "I5: boundedly many actions");
            match self.machine.poll(self.now) {
                Action::Write(bytes) => {
                    assert!(
                        !self.over && !self.shut && self.outstanding == 0 && !bytes.is_empty(),
                        "I3, I5, I7"
                    );
                    self.outstanding = bytes.len();
                }
                Action::ShutdownWrite => {
                    assert!(!self.over && !self.shut && self.outstanding == 0, "I3, I7");
                    self.shut = true;
                }
                Action::Event(_) => assert!(self.outcome.is_none(), "I3"),
                Action::Wait(wait) => {
                    assert!(!self.over && self.outcome.is_none(), "I3");
                    assert!(wait.deadline.is_none_or(|at| at > self.now), "I5");
                    let can_end = wait.read > 0 || wait.commands > 0 || wait.deadline.is_some();
                    assert!(can_end || self.outstanding > 0, "I4");
                    assert!(wait.read >= self.floor, "I6: {} after {}", wait.read, self.floor);
                    assert!(!self.eof || wait.read == 0, "I6");
                    assert!(self.machine.held() <= INBOX + OUTBOX, "I2");
                    assert_eq!(self.machine.poll(self.now), Action::Wait(wait), "I5: polling twice");
                    (self.wait, self.floor) = (wait, wait.read);
                    return;
                }
                Action::Close { outcome, .. } => {
                    self.wait = Wait { read: 0, commands: 0, deadline: None };
                    if let Some(before) = self.outcome.replace(outcome) {
                        assert_eq!(Some(before), self.outcome, "I3");
                        return;
                    }
                }
            }
        }
    }

    /// Once it is stopped, and its time is over.
    fn ends(&mut self) -> bool {
        self.machine.handle(self.now, Input::Stop);
        self.drain();
        for _ in 0..2 {
            self.now = self.wait.deadline.unwrap_or(self.now);
            self.drain();
        }
        self.outcome.is_some()
    }
}

#[test]
fn a_gigabyte_passes_both_ways_through_64_kib_of_buffers() {
    const TOTAL: u64 = 1 << 30;
    let now = Time::ZERO;
    let config = Arc::new(ScriptConfig::default());
    let mut session = Driven::new(Script::<_>::new(config, now, async |io: ScriptIo| {
        while let Some(bytes) = io.read_some(usize::MAX).await {
            io.write(bytes).await;
        }
    }));
    let block = Bytes::from(vec![7; 64 << 10]);
    let (mut arriving, mut arrived, mut echoed) = (Bytes::new(), 0, 0);
    while echoed < TOTAL {
        match session.step(now) {
            Step::Write => echoed += session.take(now, usize::MAX).len() as u64,
            Step::Wait(_) => {
                if arriving.is_empty() {
                    arriving = block.clone();
                    arrived += arriving.len() as u64;
                }
                arriving = session.data(now, arriving);
                assert!(arrived <= TOTAL && session.machine().held() <= 2 * (64 << 10));
            }
            step @ (Step::ShutdownWrite | Step::Event(_) | Step::Close { .. }) => panic!("{step:?}"),
        }
    }
}

/// Two scripts that both send before they read stop for ever only if they do one after the other.
#[test]
fn both_directions_at_once_need_no_more_than_small_buffers() {
    let now = Time::ZERO;
    let sides: [_; 2] = std::array::from_fn(|_| {
        Script::<usize>::new(config(), now, async |io: ScriptIo| {
            let upload = async {
                io.write(vec![7; 10_000]).await;
                io.shut_down_write().await;
            };
            let download = async {
                let mut received = 0;
                while let Some(bytes) = io.read_some(5).await {
                    received += bytes.len();
                }
                received
            };
            join(upload, download).await.1
        })
    });
    let mut sides = sides.map(Driven::new);
    let mut ended = [false; 2];
    let mut outcomes = [None, None];
    while outcomes.contains(&None) {
        for side in 0..2 {
            match sides[side].step(now) {
                Step::ShutdownWrite => ended[side] = true,
                Step::Close { outcome, .. } => outcomes[side] = Some((outcome.end, outcome.output)),
                Step::Event(never) => match never {},
                Step::Write | Step::Wait(_) => {}
            }
            let credit = sides[1 - side].credit();
            let bytes = sides[side].take(now, credit);
            assert!(sides[1 - side].data(now, bytes).is_empty());
            if ended[side] && sides[side].pending().is_empty() {
                sides[1 - side].eof(now);
            }
        }
    }
    assert_eq!(outcomes, [Some((ScriptEnd::Finished, Some(10_000))); 2]);
}
