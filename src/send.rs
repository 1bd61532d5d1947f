//! `send`: the tutorial's client. A text, half-close, read to the end.

use bytes::Bytes;
use roundtrip_core::{Tap, Time};
use roundtrip_echo::{ClientConfig, EchoClient, Payload};
use roundtrip_std::{Call, Clock, SystemClock};

use crate::cli::{self, SendArgs};
use crate::problem::{Exit, Problem};
use crate::transcript::{self, BUFFER, ClientLines, Talked, TutorialClient};
use crate::verdict::{Checked, Ended, Judged, Sent};
use crate::{client, out};

pub(crate) fn run(args: &SendArgs) -> Result<Exit, Problem> {
    let Some(name) = &args.endpoint else {
        transcript::usage();
        return Ok(Exit::Failed);
    };
    let endpoint = cli::endpoint(name)?;
    let stream = match client::connect(&endpoint, &args.client) {
        Ok(stream) => stream,
        Err(error) if args.transcript => {
            transcript::no_socket(&error);
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(Problem::net(name, &error)),
    };
    let half_close = endpoint.has_half_close();
    let text = Bytes::from(args.text.clone());
    let clock = SystemClock::new();
    // Without a half-close a peer does not know that all is sent: nobody would ever end.
    if args.transcript && half_close {
        let client = |now| TutorialClient::new(text, args.client.timeout, now);
        let ended = client::drive(clock, stream, |now| Tap::new(client(now), ClientLines::default()))?;
        let failed = transcript::connection_failed(&ended);
        if ended.outcome == Talked::TimedOut {
            transcript::timed_out();
        }
        return Ok(match ended.outcome {
            Talked::TimedOut | Talked::Aborted => Exit::Incomplete,
            Talked::Closed | Talked::Failed => exit_of(failed),
        });
    }
    let total = text.len() as u64;
    let config =
        ClientConfig::default().chunk(BUFFER).half_close(half_close).timeout(Some(args.client.timeout));
    config.validate()?;
    let sent = text.clone();
    let client = |now| EchoClient::new(config.into(), Payload::given(text), now);
    let ended = client::drive(clock, stream, |now| Tap::new(client(now), ClientLines::default()))?;
    if args.transcript {
        return Ok(exit_of(transcript::connection_failed(&ended)));
    }
    let checked = Checked {
        total: Some(total),
        took: clock.now().since(Time::ZERO),
        timeout: args.client.timeout,
        half_close,
        ..Checked::new(Sent::Given(sent), format!("roundtrip check {name}"))
    };
    let judged = Judged::of(&checked, &[Ended::of(0, &ended)]);
    if judged.exit != Exit::Ok {
        out::complain(judged.lines(&checked));
    }
    Ok(judged.exit)
}

/// The tutorial's client ends well if only its receiving failed.
const fn exit_of(failed: Option<Call>) -> Exit {
    if matches!(failed, None | Some(Call::Read)) { Exit::Ok } else { Exit::Failed }
}
