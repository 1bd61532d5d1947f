//! The echo in layers under every fault there is, in virtual time.
//!
//! The schedules are drawn from seeds, as ever. What the wire carries is not: keys are drawn from the system's randomness.
//! So it is the side of the machines that is the same twice.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roundtrip_core::hub::{ConnectionId, Hub};
use roundtrip_core::layer::{Codec, Frames, LayerConfig, LayerFault, LayerOutcome, Layered};
use roundtrip_core::{Action, Input, Machine, Observe, Tap, Time};
use roundtrip_echo::{
    ClientConfig, ClientOutcome, EchoClient, EchoServer, End, FaultKind, Payload, ServerConfig,
    ServerOutcome, Verdict,
};
use roundtrip_sim::choose::{Faults, Seeded};
use roundtrip_sim::{Draw, Moment, Reached, Rolling, Runner, Scenario, Setup, Violation};
use roundtrip_testkit::pki::Authority;
use roundtrip_tls::{Acceptor, Connector, Name, Tls};

/// Makes the two sides of a layer.
trait Layer: Sync {
    type Codec: Codec<Fault: Debug>;
    const NAME: &'static str;
    /// What a campaign must reach.
    const GOALS: &'static [&'static str] = &["verified", "truncated", "timed out", "stopped"];

    fn client<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Self::Codec, M>;
    fn server<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Self::Codec, M>;
}

struct Framed;

impl Layer for Framed {
    type Codec = Frames;
    const NAME: &'static str = "echo-in-frames";

    fn client<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Frames, M> {
        Layered::new(Frames::default(), machine, config, now)
    }

    fn server<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Frames, M> {
        Layered::new(Frames::default(), machine, config, now)
    }
}

struct OverTls {
    acceptor: Acceptor,
    connector: Connector,
    name: Name,
}

impl OverTls {
    fn new() -> Self {
        let authority = Authority::new();
        let (acceptor, connector) = (authority.acceptor(), authority.connector());
        Self { acceptor, connector, name: "localhost".parse().unwrap() }
    }
}

impl Layer for OverTls {
    type Codec = Tls;
    const NAME: &'static str = "echo-over-tls";
    const GOALS: &'static [&'static str] =
        &["verified", "truncated", "timed out", "stopped", "stopped before it was open", "not open in time"];

    fn client<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Tls, M> {
        self.connector.connect(&self.name, machine, config, now)
    }

    fn server<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Tls, M> {
        self.acceptor.accept(machine, config, now)
    }
}

/// Hashes all that passes between the machines of a run and their layers.
#[derive(Clone, Debug, Default)]
struct Plain(Arc<Mutex<Rolling>>);

impl Plain {
    fn value(&self) -> u64 {
        self.0.lock().unwrap().value()
    }

    fn hear(&self, now: Time, what: &dyn Debug) {
        let mut hash = self.0.lock().unwrap();
        hash.number(now.as_nanos());
        hash.bytes(format!("{what:?}").as_bytes());
    }
}

impl<M: Machine<Command = Infallible, Event = Infallible, Outcome: Debug>> Observe<M> for Plain {
    fn input(&mut self, now: Time, input: &Input) {
        self.hear(now, input);
    }

    fn action(&mut self, now: Time, action: &Action<Infallible, M::Outcome>) {
        self.hear(now, action);
    }
}

struct Wrapped<'a, L> {
    layer: &'a L,
    /// What the machines of the last run heard and said.
    plain: Mutex<Plain>,
}

impl<'a, L> Wrapped<'a, L> {
    fn new(layer: &'a L) -> Self {
        Self { layer, plain: Mutex::default() }
    }
}

struct Clients<'a, L> {
    layer: &'a L,
    config: Arc<ClientConfig>,
    limits: LayerConfig,
    length: u64,
    plain: Plain,
}

struct Servers<'a, L> {
    layer: &'a L,
    config: Arc<ServerConfig>,
    limits: LayerConfig,
    plain: Plain,
}

impl<L: Layer> Hub for Clients<'_, L> {
    type Session = Layered<L::Codec, Tap<EchoClient, Plain>>;

    fn open(&mut self, now: Time, id: ConnectionId) -> Self::Session {
        let payload = Payload::seeded(id.number(), self.length);
        let client = EchoClient::new(Arc::clone(&self.config), payload, now);
        self.layer.client(Tap::new(client, self.plain.clone()), self.limits, now)
    }
}

impl<L: Layer> Hub for Servers<'_, L> {
    type Session = Layered<L::Codec, Tap<EchoServer, Plain>>;

    fn open(&mut self, now: Time, _id: ConnectionId) -> Self::Session {
        let server = EchoServer::new(Arc::clone(&self.config), now);
        self.layer.server(Tap::new(server, self.plain.clone()), self.limits, now)
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl<'a, L: Layer> Scenario for Wrapped<'a, L> {
    type Server = Servers<'a, L>;
    type Client = Clients<'a, L>;

    fn name(&self) -> &'static str {
        L::NAME
    }

    fn build(&self, draw: &mut Draw<'_>) -> (Setup, Self::Client, Self::Server) {
        let limits = LayerConfig::default()
            .inbox(draw.one_of(0, &[32 << 10, 20 << 10]))
            .opening(draw.one_of(1, &[ms(10_000), ms(10_000), ms(3), ms(50)]))
            .closing(draw.one_of(2, &[ms(2000), ms(1), ms(20)]));
        let buffer = draw.one_of(3, &[64 << 10, 1, 100, 5000]);
        let server = ServerConfig::default()
            .buffer(buffer)
            .chunk(buffer)
            .idle(draw.one_of(4, &[None, None, Some(ms(20)), Some(ms(200))]))
            .max_age(draw.one_of(5, &[None, None, None, Some(ms(40))]))
            .linger(draw.one_of(6, &[ms(2000), ms(5)]));
        let client = ClientConfig::default()
            .window(draw.one_of(7, &[64 << 10, 100, 1000]))
            .chunk(draw.one_of(8, &[64 << 10, 7]))
            .timeout(draw.one_of(9, &[None, None, Some(ms(300))]));
        let length = draw.one_of(10, &[32, 0, 1, 300, 2000]);
        let window = draw.one_of(11, &[64 << 10, 64 << 10, 1000, 60]);
        let send_buffer = draw.one_of(12, &[64 << 10, 64 << 10, 1000, 60]);
        let setup = Setup::default().clients(1 + draw.below(13, 3)).window(window).send_buffer(send_buffer);
        let plain = Plain::default();
        *self.plain.lock().unwrap() = plain.clone();
        let config = Arc::new(client);
        let clients = Clients { layer: self.layer, config, limits, length, plain: plain.clone() };
        let config = Arc::new(server);
        (setup, clients, Servers { layer: self.layer, config, limits, plain })
    }

    fn check(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let connection = moment.connection;
        let held = connection.client().machine().map_or(0, Layered::held);
        let served = connection.server().machine().map_or(0, Layered::held);
        // What came, and two records with what encloses them.
        if held.max(served) > (32 << 10) + (33 << 10) {
            return Err(Violation::new("memory", format!("{held} and {served} bytes held")));
        }
        let open = connection.server().machine().is_some_and(|layered| layered.codec().is_open());
        reached.reach_if(4, !open && connection.server().stopped().is_some());
        Ok(())
    }

    fn finished(&self, moment: &Moment<'_, Self>, reached: &mut Reached) -> Result<(), Violation> {
        let (client, server) = (moment.connection.client(), moment.connection.server());
        judge(moment.clients.length, client.outcome(), server.outcome(), reached)
    }

    fn goals(&self) -> &'static [&'static str] {
        L::GOALS
    }
}

/// What must hold of what the two sides say, whatever happened between them.
fn judge<F: Debug>(
    length: u64,
    client: Option<&LayerOutcome<F, ClientOutcome>>,
    server: Option<&LayerOutcome<F, ServerOutcome>>,
    reached: &mut Reached,
) -> Result<(), Violation> {
    let faults = [client.and_then(|of| of.fault.as_ref()), server.and_then(|of| of.fault.as_ref())];
    for fault in faults.into_iter().flatten() {
        reached.reach_if(1, matches!(fault, LayerFault::Truncated));
        reached.reach_if(5, matches!(fault, LayerFault::Slow));
        // The network loses and delays, and changes nothing.
        if matches!(fault, LayerFault::Codec(_) | LayerFault::TooLarge) {
            return Err(Violation::new("codec", format!("{fault:?}")));
        }
    }
    if let Some(LayerOutcome { fault, inner, .. }) = client {
        match inner.verdict {
            Verdict::Verified => {
                reached.reach(0);
                if fault.is_some() && !is_unfinished(fault.as_ref()) {
                    return Err(Violation::new("verified", format!("{fault:?}")));
                }
                if let Some(served) = server.filter(|served| served.inner.echoed < length) {
                    return Err(Violation::new("verified", format!("{:?}", served.inner)));
                }
            }
            Verdict::Faulty(found) => {
                reached.reach_if(2, found.kind == FaultKind::TimedOut);
                if !matches!(found.kind, FaultKind::TimedOut | FaultKind::Truncated { .. }) {
                    return Err(Violation::new("bytes", format!("{found:?}")));
                }
            }
            Verdict::Stopped | Verdict::Aborted => {}
        }
    }
    if let Some(LayerOutcome { fault, inner, .. }) = server {
        reached.reach_if(3, inner.end == End::Stopped);
        let cut = client.is_some_and(|client| matches!(client.fault, Some(LayerFault::Truncated)));
        let orderly = matches!(inner.end, End::Clean | End::Stopped | End::TimedOut(_));
        // Where something came the layer was open.
        if cut && orderly && fault.is_none() && inner.received > 0 {
            return Err(Violation::new("end", format!("the client saw none, and the server {inner:?}")));
        }
        if inner.end == End::Clean && served_unread(server) > 0 {
            return Err(Violation::new("clean", format!("{} bytes unread", served_unread(server))));
        }
        let faulty = fault.is_some() && !is_unfinished(fault.as_ref());
        if inner.end == End::Clean && (faulty || inner.echoed != inner.received) {
            return Err(Violation::new("clean", format!("{fault:?} {inner:?}")));
        }
    }
    Ok(())
}

fn served_unread<F, O>(of: Option<&LayerOutcome<F, O>>) -> u64 {
    of.map_or(0, |of| of.unread)
}

/// All was right until somebody else cut off the last words.
const fn is_unfinished<F>(fault: Option<&LayerFault<F>>) -> bool {
    matches!(fault, Some(LayerFault::Unfinished))
}

#[test]
fn the_echo_holds_in_frames() {
    roundtrip_sim::check(&Wrapped::new(&Framed), 0..1000);
}

#[test]
fn the_echo_holds_over_tls() {
    roundtrip_sim::check(&Wrapped::new(&OverTls::new()), 0..400);
}

#[test]
fn what_the_machines_see_is_the_same_twice_whatever_the_keys() {
    let layers = [OverTls::new(), OverTls::new()];
    let scenarios = [Wrapped::new(&layers[0]), Wrapped::new(&layers[1])];
    let mut runners = [Runner::new(&scenarios[0]), Runner::new(&scenarios[1])];
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let hashes = [0, 1].map(|of| {
            let run = runners[of].run(Seeded::new(seed, Faults::SWARM));
            assert!(run.verdict.is_pass(), "seed {seed}: {:?}", run.verdict);
            scenarios[of].plain.lock().unwrap().value()
        });
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
        seen.insert(hashes[0]);
    }
    assert!(seen.len() > 45, "{} histories", seen.len());
}
