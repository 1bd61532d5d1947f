//! `send`: the tutorial's client. A text, half-close, read to the end.

use bytes::Bytes;
use roundtrip_core::echo::{ClientConfig, EchoClient, Payload};
use roundtrip_core::{Tap, Time};
use roundtrip_std::{Call, Clock, SystemClock};

use crate::cli::{self, SendArgs};
use crate::problem::{Exit, Problem};
use crate::transcript::{self, BUFFER, ClientLines};
use crate::verdict::{Checked, Judged, Through};
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
    let total = text.len() as u64;
    let config = ClientConfig::builder()
        .chunk(BUFFER)
        .half_close(half_close)
        .timeout(Some(args.client.timeout))
        .build()?;
    let clock = SystemClock::new();
    let client = |now| EchoClient::new(config.into(), Payload::given(text), now);
    let ended = client::drive(clock, stream, |now| Tap::new(client(now), ClientLines::default()))?;
    if args.transcript {
        // The tutorial's client ends well if only its receiving failed.
        let sent = matches!(transcript::connection_failed(&ended), None | Some(Call::Read));
        return Ok(if sent { Exit::Ok } else { Exit::Failed });
    }
    let checked = Checked {
        total: Some(total),
        took: clock.now().since(Time::ZERO),
        timeout: args.client.timeout,
        half_close,
        stall: None,
        connections: 1,
        round: None,
        through: Through::Nothing,
        again: format!("roundtrip check {name}"),
    };
    let judged = Judged::of(&checked, &[(0, ended.outcome)]);
    if judged.exit != Exit::Ok {
        out::complain(judged.lines(&checked));
    }
    Ok(judged.exit)
}
