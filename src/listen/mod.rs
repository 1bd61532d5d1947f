//! `listen`: what is posted, as it comes, and at the end what of it is missing.

mod document;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use roundtrip_messages::{Ending, Listener, ListenerConfig, ReceivedMessage};
use roundtrip_std::{BindOptions, DatagramAddress};

use crate::cli::FamilyArgs;
use crate::problem::{Exit, Problem};
use crate::units::{parse_count, parse_duration, parse_memory};
use crate::{json, messages, out, signals};

/// After an end mark: how long what is missing may still be on its way.
const SETTLE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[command(after_help = LISTEN_EXAMPLES)]
pub(crate) struct ListenArgs {
    /// Where: udp:HOST:PORT, udp:GROUP:PORT,if=ADDRESS, udp:ADDRESS:PORT,broadcast, unix-dgram:PATH, mailslot:NAME (Windows)
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = parse_count)]
    count: Option<u64>,
    /// End after so long
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    limit: Option<Duration>,
    /// End after the first sender's end mark
    #[arg(long)]
    once: bool,
    /// Print messages as they are; otherwise characters that control a terminal or are not seen, and bytes that are no text, are escaped
    #[arg(long)]
    raw: bool,
    /// Print one JSON document at the end instead of messages, errors included; docs/schema/listen.json describes it
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Bytes of messages that the kernel holds until they are read [default: as it sees fit]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    socket_buffer: Option<usize>,
    #[command(flatten)]
    family: FamilyArgs,
}

const LISTEN_EXAMPLES: &str = "\
Examples:
  roundtrip listen udp:239.1.2.3:7007,if=192.0.2.1       what is posted to the group on that network
  roundtrip listen udp:0.0.0.0:7007,broadcast            and what is posted to every host
  roundtrip listen udp:[ff15::7]:7007,if=2001:db8::1     a group of IPv6
  roundtrip listen unix-dgram:/run/news.sock,mode=0622   what anybody on this machine posts there
  roundtrip listen udp:[::]:7007 --once --for 60s        did all of a `post --number` come?

Exit codes: 0 ok, 1 messages are missing, or came twice or late, 2 usage, 3 interrupted or the time
was over before the end mark or the count that was asked for, 4 cannot bind, 5 internal";

pub(crate) fn run(args: &ListenArgs) -> Result<Exit, Problem> {
    let endpoint = messages::endpoint(&args.endpoint)?;
    let options =
        BindOptions::default().family(args.family.family()).socket_buffer(args.socket_buffer).keepalive(None);
    let inlet = messages::open_to_listen(&args.endpoint, &endpoint, &options)?;
    let control = inlet.control();
    let stopped = Arc::new(AtomicBool::new(false));
    signals::watch_stops({
        let control = control.clone();
        move |_count| control.stop()
    })?;
    let bound = inlet.local_endpoint().map_err(|error| Problem::system("cannot listen", &error))?;
    // Standard output is for messages alone. Whoever reads this may post at once.
    out::complain(format!("listening {}", bound.to_string().replacen(':', " ", 1)));
    let config =
        ListenerConfig::default().count(args.count).limit(args.limit).settle(args.once.then_some(SETTLE));
    let mut unprinted = None;
    let ended = inlet.drive(
        |now| Listener::new(config, now),
        |heard: ReceivedMessage<DatagramAddress>| {
            if args.json || stopped.load(Ordering::Relaxed) {
                return;
            }
            if let Err(problem) = out::deliver_bytes(&report::line(&heard.payload, args.raw)) {
                unprinted = Some(problem);
                stopped.store(true, Ordering::Relaxed);
                control.stop();
            }
        },
    );
    let ended = ended.map_err(|error| Problem::system("cannot listen", &error))?;
    if let Some(problem) = unprinted {
        return Err(problem);
    }
    let (ending, report) = ended.outcome;
    if let (Ending::Failed(_), Some(failure)) = (ending, &ended.failure) {
        return Err(Problem::system("cannot listen any more", &failure.error));
    }
    let is_done = match ending {
        Ending::EndMark | Ending::Count => true,
        Ending::Limit | Ending::Stopped => !args.once && args.count.is_none(),
        Ending::Failed(_) => false,
    };
    let exit = match (report.is_whole() && ended.overflowed == 0, is_done) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Incomplete,
        (true, true) => Exit::Ok,
    };
    let told = report::Told { ending, report: &report, overflowed: ended.overflowed, exit };
    if args.json {
        json::deliver(&document::Document::of(&bound.to_string(), &told))?;
    } else {
        out::complain(told);
    }
    Ok(exit)
}
