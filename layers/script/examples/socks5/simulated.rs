//! The client and a proxy in the simulator: any method, any reply, cut anywhere; and a client with a bug.

use std::pin::Pin;
use std::sync::Arc;

use roundtrip_core::Time;
use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_script::{ReadError, Script, ScriptConfig, ScriptEnd, ScriptIo};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Injected, Moment, Reached, Runner, Scenario, Setup, Trace, Violation, shrink};

use super::{Bound, NONE, PASSWORD, Request, SocksError, ask, counted, handshake};

const BANNER: &[u8] = b"hello from the host\n";

/// What a proxy does.
#[derive(Clone, Copy, Debug)]
struct Behaviour {
    method: u8,
    login: bool,
    code: u8,
    address: &'static [u8],
    /// Bytes of the reply, after which it ends.
    cut: usize,
}

const ADDRESSES: [&[u8]; 3] = [&[1, 192, 0, 2, 1], &[3, 3, b'f', b'o', b'o'], &[4; 17]];

impl Behaviour {
    fn expected(self) -> Result<(Bound, Vec<u8>), SocksError> {
        let host = match self.address[0] {
            1 => "192.0.2.1",
            3 => "foo",
            _ => "404:404:404:404:404:404:404:404",
        };
        match (self.method, self.login, self.code) {
            (NONE, ..) | (PASSWORD, true, _) => {}
            (PASSWORD, false, _) => return Err(SocksError::Login),
            _ => return Err(SocksError::Methods),
        }
        match self.code {
            _ if self.cut < 10 => Err(SocksError::Read(ReadError::Eof { received: 0 })),
            0 => Ok((Bound { host: host.to_owned(), port: 1080 }, BANNER.to_vec())),
            code => Err(SocksError::Refused(code)),
        }
    }
}

fn request() -> Request {
    let login = Some(("ada".to_owned(), "secret".to_owned()));
    Request { host: "host.example".to_owned(), port: 25, login }
}

async fn proxy(io: ScriptIo, behaviour: Behaviour) -> Result<(), ReadError> {
    let [_version, count] = io.read_array().await?;
    io.read_exact(count.into()).await?;
    io.write([5, behaviour.method]).await;
    if behaviour.method == PASSWORD {
        let [_version, length] = io.read_array().await?;
        io.read_exact(length.into()).await?;
        let [length] = io.read_array().await?;
        io.read_exact(length.into()).await?;
        io.write([1, u8::from(!behaviour.login)]).await;
        if !behaviour.login {
            return Ok(());
        }
    } else if behaviour.method != NONE {
        return Ok(());
    }
    let [_, _, _, _, length] = io.read_array().await?;
    io.read_exact(usize::from(length) + 2).await?;
    let mut reply = [&[5, behaviour.code, 0], behaviour.address, &1080_u16.to_be_bytes()[..]].concat();
    if behaviour.code == 0 {
        reply.extend_from_slice(BANNER);
    }
    reply.truncate(behaviour.cut);
    io.write(reply).await;
    Ok(())
}

/// What follows the handshake, to the end.
async fn rest(io: &ScriptIo) -> Vec<u8> {
    let mut rest = Vec::new();
    while let Some(bytes) = io.read_some(100).await {
        rest.extend_from_slice(&bytes);
    }
    rest
}

type Told = Result<(Bound, Vec<u8>), SocksError>;

async fn client(io: ScriptIo) -> Told {
    let bound = handshake(&io, &request()).await?;
    Ok((bound, rest(&io).await))
}

/// A bug that no loopback shows: the reply is taken to come in one piece.
async fn hasty_client(io: ScriptIo) -> Told {
    ask(&io, &request()).await?;
    let reply = io.read_some(10).await.unwrap_or_default();
    match reply[..] {
        [5, 0, 0, 1, a, b, c, d, high, low] => {
            let host = std::net::Ipv4Addr::new(a, b, c, d).to_string();
            Ok((Bound { host, port: u16::from_be_bytes([high, low]) }, rest(&io).await))
        }
        [version, code, ..] => Err(SocksError::Protocol([version, code])),
        _ => Err(SocksError::Read(ReadError::Eof { received: reply.len() })),
    }
}

/// Every connection is one of these.
struct Sessions<F>(F);

impl<O: Clone, F: FnMut(Time) -> Script<O>> Hub for Sessions<F> {
    type Session = Script<O>;

    fn open(&mut self, now: Time, _: ConnectionId) -> Script<O> {
        (self.0)(now)
    }
}

/// The proxy, and what it does.
struct Proxies(Behaviour);

impl Hub for Proxies {
    type Session = Script<Result<(), ReadError>>;

    fn open(&mut self, now: Time, _: ConnectionId) -> Self::Session {
        let behaviour = self.0;
        Script::new(Arc::new(ScriptConfig::default()), now, |io| proxy(io, behaviour))
    }
}

struct Socks {
    client: fn(ScriptIo) -> Pin<Box<dyn Future<Output = Told> + Send>>,
    /// Proxies without authentication that give a connection, with an address of IPv4: all that the hasty client knows.
    is_plain: bool,
}

impl Socks {
    const fn new(is_plain: bool) -> Self {
        Self { client: |io| Box::pin(client(io)), is_plain }
    }
}

impl Scenario for Socks {
    type Server = Proxies;
    type Client = Sessions<Box<dyn FnMut(Time) -> Script<Told>>>;

    fn name(&self) -> &'static str {
        "socks5"
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Self::Client, Self::Server) {
        let behaviour = if self.is_plain {
            Behaviour { method: NONE, login: true, code: 0, address: ADDRESSES[0], cut: usize::MAX }
        } else {
            Behaviour {
                method: draw.one_of(0, &[NONE, PASSWORD, super::REFUSED]),
                login: draw.below(1, 3) != 1,
                code: draw.one_of(2, &[0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
                address: draw.one_of(3, &ADDRESSES),
                cut: draw.one_of(4, &[usize::MAX, usize::MAX, 0, 3, 9]),
            }
        };
        let client = self.client;
        let open = move |now| Script::new(Arc::new(ScriptConfig::default()), now, client);
        (Setup::default(), Sessions(Box::new(open)), Proxies(behaviour))
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let Some(outcome) = moment.connection.client().outcome() else { return Ok(()) };
        let is_undisturbed = moment.connection.injected() == Injected::default();
        let expected = moment.server.0.expected();
        let is_whole = outcome.end == ScriptEnd::Finished;
        reached.reach_if(0, is_whole && outcome.output.as_ref().is_some_and(Result::is_ok));
        if !self.is_plain {
            reached.reach_if(1, matches!(outcome.output, Some(Err(SocksError::Login))));
            reached.reach_if(2, matches!(outcome.output, Some(Err(SocksError::Methods))));
            reached.reach_if(3, matches!(outcome.output, Some(Err(SocksError::Refused(9)))));
        }
        let told = match (&outcome.output, &expected) {
            // How much of a reply came says how it was cut.
            (Some(Err(SocksError::Read(_))), Err(SocksError::Read(_))) => return Ok(()),
            // What the host sends may break off; what the proxy said is right.
            (Some(Ok((bound, rest))), Ok((right, _))) if bound == right && BANNER.starts_with(rest) => None,
            (Some(Err(told)), Err(right)) if told == right => None,
            (other, _) => Some(other),
        };
        let told_wrong =
            matches!(told, Some(Some(Ok(_) | Err(SocksError::Refused(_) | SocksError::Protocol(_)))));
        let is_short = is_undisturbed && outcome.output.as_ref() != Some(&expected);
        if told_wrong || is_short {
            let found = format!("{:?}: {:?} instead of {expected:?}", moment.server.0, outcome.output);
            return Err(Violation::new("handshake", found));
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        if self.is_plain {
            return &["a connection"];
        }
        &["a connection", "a login that is refused", "no method", "a code of the future"]
    }
}

#[test]
fn what_the_client_is_told_is_right_whatever_the_proxy_and_the_network_do() {
    roundtrip_sim::check(&Socks::new(false), 0..2000);
}

#[test]
fn a_client_that_takes_the_reply_in_one_piece_is_found_and_shrunk() {
    let scenario = Socks { client: |io| Box::pin(hasty_client(io)), ..Socks::new(true) };
    let found = (0..1000).find_map(|seed| {
        let recording = Runner::new(&scenario).record(Seeded::new(seed, Faults::SWARM));
        (recording.run.verdict.id() == "handshake").then_some((seed, recording))
    });
    let (seed, recording) = found.unwrap();
    let events = recording.run.events;
    let shrunk = shrink(&scenario, recording).recording;
    println!(
        "seed {seed}, {events} events shrunk to {}:\n{}",
        shrunk.run.events,
        roundtrip_sim::diagram(&shrunk)
    );
    assert_eq!(shrunk.run.verdict.id(), "handshake");
    assert!(shrunk.run.events <= 20, "{} events", shrunk.run.events);
    // The same schedule with the client that is shipped.
    roundtrip_sim::replay(&Socks::new(true), &Trace::new("socks5", Some(seed), shrunk).to_string());
}

#[test]
fn a_text_that_is_too_long_is_an_error() {
    assert_eq!(counted(&"x".repeat(256)), Err(SocksError::TooLong));
    assert_eq!(counted("ab"), Ok(b"\x02ab".to_vec()));
}
