//! `post`: messages to whoever hears them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufRead, Read};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Args;
use roundtrip_core::Time;
use roundtrip_core::datagram::Unsent;
use roundtrip_messages::{Sender, Sequenced};
use roundtrip_std::{Clock, SystemClock, classify};

use crate::cli::FamilyArgs;
use crate::messages::Outlet;
use crate::problem::{Exit, Problem, plain};
use crate::units::{bytes, many, parse_count, parse_memory, parse_rate};
use crate::{json, messages, out, signals};

/// How often the end mark is sent: one may be lost as well.
const END_MARKS: u32 = 3;
/// Between them: what is in the way of one should not be in the way of all.
const APART: Duration = Duration::from_millis(50);
/// The longest time in which nothing is taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until it is tried again.
const PAUSE: Duration = Duration::from_millis(1);
/// The names that a run may take for itself: those of six letters, by number.
const NAMES: Range<u64> = 36_u64.pow(5)..36_u64.pow(6);
/// What a message says if nothing is said of it: the tutorial's text.
const TEXT: &str = "this is a test";

#[derive(Debug, Args)]
#[command(after_help = POST_EXAMPLES)]
pub(crate) struct PostArgs {
    /// Where to: udp:HOST:PORT, udp:GROUP:PORT,if=ADDRESS, udp:ADDRESS:PORT,broadcast, unix-dgram:PATH, mailslot:NAME (Windows)
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// A message each [default: the lines of standard input]
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Number the messages and post an end mark, so that whoever hears them knows which are missing
    #[arg(long)]
    number: bool,
    /// So many messages, numbered, with the same text
    #[arg(long, value_name = "N", value_parser = parse_count)]
    count: Option<u64>,
    /// Bytes of each message, its number included [default: what the text takes]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, requires = "count")]
    size: Option<usize>,
    /// Messages a second, at the most [default: as fast as they are taken]
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    rate: Option<u64>,
    #[command(flatten)]
    family: FamilyArgs,
}

const POST_EXAMPLES: &str = "\
Examples:
  roundtrip post udp:239.1.2.3:7007,if=192.0.2.1 hello   to every `roundtrip listen` on the network
  roundtrip post udp:192.0.2.255:7007,broadcast hello    to every host on it
  roundtrip post udp:HOST:7007 --count 1000 --rate 100   numbered: `listen` says which are missing
  roundtrip post unix-dgram:/run/news.sock --number      a message for each line of standard input

Exit codes: 0 posted, which is no promise that it came, 2 usage, 3 interrupted, or not taken for 5s,
4 nobody to post to, 5 internal";

pub(crate) fn run(args: &PostArgs) -> Result<Exit, Problem> {
    let endpoint = messages::endpoint(&args.endpoint)?;
    let numbers = args.number || args.count.is_some();
    let sender = numbers.then(random_name);
    let longest = messages::longest(&endpoint);
    let form = Form { name: args.endpoint.clone(), sender, size: args.size, longest };
    // Before anything is sent.
    let texts = form.texts(args)?;
    let outlet = messages::open_to_post(&args.endpoint, &endpoint, args.family.family())?;
    let poster = Arc::new(Mutex::new(Poster { form, outlet, posted: 0 }));
    signals::watch_stops({
        let poster = Arc::clone(&poster);
        move |_count| {
            let mut poster = lock(&poster);
            poster.end();
            let cause = format!("interrupted after {}", many(poster.posted, "message"));
            json::complain(&Problem::new(Exit::Incomplete, cause, "give it more time"));
            std::process::exit(Exit::Incomplete as i32);
        }
    })?;
    let mut queue = Queue { poster: &poster, clock: SystemClock::new(), rate: args.rate, due: Time::ZERO };
    let posted = match texts {
        Texts::Given(texts) => texts.iter().try_for_each(|text| queue.post(text)),
        Texts::Same(text, count) => (0..count).try_for_each(|_| queue.post(&text)),
        Texts::Lines => queue.post_lines(&mut io::stdin().lock()),
    };
    let posted = posted.and_then(|()| lock(&poster).confirm());
    // Whoever hears the others may know how many there were, whatever came of the last.
    for round in 0..if numbers { END_MARKS } else { 0 } {
        if round > 0 {
            thread::park_timeout(APART);
        }
        lock(&poster).end();
    }
    posted?;
    let posted = many(lock(&poster).posted, "message");
    out::say(
        sender.map_or_else(|| format!("posted {posted}"), |sender| format!("posted {posted} as {sender}")),
    )?;
    Ok(Exit::Ok)
}

fn random_name() -> Sender {
    let random = RandomState::new().build_hasher().finish();
    Sender::with_number(NAMES.start + random % (NAMES.end - NAMES.start))
}

/// What is to be posted.
enum Texts {
    Given(Vec<Vec<u8>>),
    Same(Vec<u8>, u64),
    Lines,
}

/// How a message is made of a text.
struct Form {
    name: String,
    sender: Option<Sender>,
    /// As long as that, if anything is said of it.
    size: Option<usize>,
    longest: usize,
}

impl Form {
    /// What the command line asks for, if all of it can be posted.
    fn texts(&self, args: &PostArgs) -> Result<Texts, Problem> {
        let Some(count) = args.count else {
            let texts: Vec<_> = args.texts.iter().map(|text| text.clone().into_bytes()).collect();
            for (number, text) in (1..).zip(&texts) {
                self.message(number, text)?;
            }
            return Ok(if texts.is_empty() { Texts::Lines } else { Texts::Given(texts) });
        };
        if args.texts.len() > 1 {
            let cause =
                format!("--count {count} messages have the same text, and there are {}", args.texts.len());
            return Err(Problem::usage(cause, "quote the text, or leave out --count"));
        }
        let text = args.texts.first().map_or(TEXT, String::as_str);
        // The last number is the longest; of a text that nobody asked for, there is as much as there is room for.
        let asked = args.texts.first().map_or("", String::as_str);
        let least = self.numbered(count, asked.as_bytes()).len();
        if let Some(size) = self.size.filter(|size| *size < least) {
            let cause = format!("--size {size} has no room for the number and the text");
            return Err(Problem::usage(cause, format!("ask for {} or more", bytes(least as u64))));
        }
        self.message(count, text.as_bytes())?;
        Ok(Texts::Same(text.into(), count))
    }

    /// The message with this number and text.
    fn message(&self, number: u64, text: &[u8]) -> Result<Vec<u8>, Problem> {
        let message = self.compose(number, text);
        if message.len() <= self.longest {
            return Ok(message);
        }
        let of = if self.sender.is_some() { " with its number" } else { "" };
        let cause = format!(
            "message {number} has more than the {} that {} carries{of}",
            bytes(self.longest as u64),
            self.name
        );
        let room = self.longest.saturating_sub(message.len() - text.len());
        Err(Problem::usage(cause, format!("cut it to {} of text", bytes(room as u64))))
    }

    fn compose(&self, number: u64, text: &[u8]) -> Vec<u8> {
        let mut message = self.numbered(number, text);
        if let Some(size) = self.size {
            let missing = size.saturating_sub(message.len());
            message.extend((b'a'..=b'z').cycle().take(missing));
            message.truncate(size);
        }
        message
    }

    fn numbered(&self, number: u64, text: &[u8]) -> Vec<u8> {
        match self.sender.zip(NonZeroU64::new(number)) {
            Some((sender, number)) => Sequenced::Message { sender, number, text }.compose(),
            None => text.to_vec(),
        }
    }
}

/// Posts messages, one after the other.
struct Poster {
    form: Form,
    outlet: Outlet,
    posted: u64,
}

fn lock(poster: &Mutex<Poster>) -> MutexGuard<'_, Poster> {
    poster.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Poster {
    /// Posts the next message, if there is room for it now.
    fn try_post(&mut self, text: &[u8]) -> Result<bool, Problem> {
        let message = self.form.message(self.posted + 1, text)?;
        match self.outlet.send(&message) {
            Ok(()) => {
                self.posted += 1;
                Ok(true)
            }
            Err(error) if classify::datagram(&error) == Unsent::Full => Ok(false),
            Err(error) => Err(self.problem(&error, message.len())),
        }
    }

    /// Whether anybody said that nobody is there: of the last message no other tells.
    fn confirm(&self) -> Result<(), Problem> {
        match self.outlet.answer() {
            Err(error) if classify::datagram(&error) == Unsent::Refused => Err(self.problem(&error, 0)),
            _ => Ok(()),
        }
    }

    /// Posts an end mark. It is nobody's loss if it is not.
    fn end(&mut self) {
        if let Some(sender) = self.form.sender {
            let _ = self.outlet.send(&Sequenced::End { sender, total: self.posted }.compose());
        }
    }

    fn problem(&self, error: &io::Error, len: usize) -> Problem {
        let name = &self.form.name;
        match classify::datagram(error) {
            Unsent::Refused => messages::nobody(name, error),
            Unsent::TooLong => Problem::usage(
                format!("{name} does not carry a message of {}", bytes(len as u64)),
                "post shorter ones",
            ),
            Unsent::Unreachable => Problem::new(
                Exit::Unreachable,
                format!("cannot post to {name}: {}", plain(error)),
                "check the address, the route to it and the firewalls",
            ),
            Unsent::Full | Unsent::Io => Problem::system(&format!("cannot post to {name}"), error),
        }
    }
}

/// Has them wait for their turn.
struct Queue<'a> {
    poster: &'a Mutex<Poster>,
    clock: SystemClock,
    rate: Option<u64>,
    /// Not before then.
    due: Time,
}

impl Queue<'_> {
    /// A message for each line, as soon as it is there.
    fn post_lines(&mut self, input: &mut impl BufRead) -> Result<(), Problem> {
        let most = lock(self.poster).form.longest as u64 + 1;
        let mut line = Vec::new();
        loop {
            line.clear();
            // One that is too long is refused, and need not be held whole for that.
            let read = input.take(most).read_until(b'\n', &mut line);
            match read.map_err(|error| Problem::system("cannot read standard input", &error))? {
                0 => return Ok(()),
                _ => self.post(line.strip_suffix(b"\n").unwrap_or(&line))?,
            }
        }
    }

    fn post(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.wait_until(self.due);
        let begun = self.clock.now();
        if let Some(rate) = self.rate {
            let apart = Duration::from_nanos(1_000_000_000 / rate.max(1));
            // Who is behind by more than this catches up no faster.
            self.due = self.due.max(begun).after(apart);
        }
        while !lock(self.poster).try_post(text)? {
            if self.clock.now().since(begun) > PATIENCE {
                let cause = format!("nothing was taken for {} s", PATIENCE.as_secs());
                return Err(Problem::new(
                    Exit::Incomplete,
                    cause,
                    "see what keeps whoever listens from reading",
                ));
            }
            thread::park_timeout(PAUSE);
        }
        Ok(())
    }

    fn wait_until(&self, time: Time) {
        loop {
            let left = time.since(self.clock.now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}
