//! What comes of a connection, on both sides, whatever is wrong with one of them: in memory, without a socket.

use bytes::BytesMut;
use roundtrip_core::layer::Codec;
use roundtrip_core::{Driven, Failure, Machine, Step, Teardown, Time};
use roundtrip_echo::{
    ClientConfig, ClientOutcome, EchoClient, EchoServer, End, Payload, ServerOutcome, Verdict,
};
use roundtrip_testkit::pki::Authority;
use roundtrip_tls::{
    Acceptor, BadConfig, Connector, Identity, LayerConfig, LayerFault, LayerOutcome, Layered, Name, Tls,
    TlsFault,
};

const LENGTH: u64 = 100_000;

type Client = Driven<Layered<Tls, EchoClient>>;
type Server = Driven<Layered<Tls, EchoServer>>;

fn server(acceptor: &Acceptor) -> Server {
    let echo = EchoServer::new(std::sync::Arc::default(), Time::ZERO);
    Driven::new(acceptor.accept(echo, LayerConfig::default(), Time::ZERO))
}

fn client(connector: &Connector, name: &str) -> Client {
    let payload = Payload::seeded(7, LENGTH);
    let client = EchoClient::new(ClientConfig::default().into(), payload, Time::ZERO);
    Driven::new(connector.connect(&name.parse().unwrap(), client, LayerConfig::default(), Time::ZERO))
}

/// One way of a connection: what is on it, whether it ends there, and what is done to it.
struct Way {
    bytes: BytesMut,
    ended: bool,
    carried: usize,
    /// It ends after so many bytes.
    cut: usize,
    /// The byte there is another one.
    flip: usize,
}

impl Way {
    fn new() -> Self {
        Self { bytes: BytesMut::new(), ended: false, carried: 0, cut: usize::MAX, flip: usize::MAX }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        if bytes.len() > self.cut - self.carried {
            bytes = &bytes[..self.cut - self.carried];
            self.ended = true;
        }
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if (self.carried..self.carried + bytes.len()).contains(&self.flip) {
            self.bytes[begin + self.flip - self.carried] ^= 1;
        }
        self.carried += bytes.len();
    }
}

/// Drives one side until it waits for the other; what came of it, once it closed.
fn turn<M: Machine<Event = std::convert::Infallible>>(
    session: &mut Driven<M>,
    out: &mut Way,
    back: &mut Way,
    now: Time,
) -> Option<(Teardown, M::Outcome)> {
    loop {
        match session.step(now) {
            Step::Write => {
                out.push(session.pending());
                let all = session.pending().len();
                session.wrote(now, all);
            }
            Step::ShutdownWrite => out.ended = true,
            Step::Event(never) => match never {},
            Step::Close { how, outcome } => {
                out.ended = true;
                return Some((how, outcome));
            }
            Step::Wait(wait) => {
                let read = back.bytes.len().min(wait.read);
                if read > 0 {
                    let rest = session.data(now, back.bytes.split_to(read).freeze());
                    assert!(rest.is_empty());
                } else if back.bytes.is_empty() && back.ended && wait.read > 0 {
                    session.eof(now);
                } else {
                    return None;
                }
            }
        }
    }
}

type Outcomes =
    ((Teardown, LayerOutcome<TlsFault, ClientOutcome>), (Teardown, LayerOutcome<TlsFault, ServerOutcome>));

/// Both sides until both are closed; time passes when nothing else does.
fn converse(client: &mut Client, server: &mut Server, there: &mut Way, back: &mut Way) -> Outcomes {
    let (mut called, mut served) = (None, None);
    let mut now = Time::ZERO;
    for _ in 0..10_000 {
        let before = (there.carried, back.carried, there.ended, back.ended);
        if called.is_none() {
            called = turn(client, there, back, now);
        }
        if served.is_none() {
            served = turn(server, back, there, now);
        }
        match (&called, &served) {
            (Some(called), Some(served)) => return (called.clone(), served.clone()),
            _ if before != (there.carried, back.carried, there.ended, back.ended) => {}
            (called, served) => {
                let ours = client.deadline().filter(|_| called.is_none());
                let theirs = server.deadline().filter(|_| served.is_none());
                now = ours.into_iter().chain(theirs).min().unwrap_or(now);
            }
        }
    }
    panic!("no end");
}

fn meet(connector: &Connector, name: &str, acceptor: &Acceptor) -> Outcomes {
    converse(&mut client(connector, name), &mut server(acceptor), &mut Way::new(), &mut Way::new())
}

#[test]
fn an_echo_is_verified() {
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let ((_, called), (how, served)) = meet(&authority.connector(), name, &authority.acceptor());
        assert_eq!((called.fault, called.inner.verdict), (None, Verdict::Verified));
        assert_eq!((served.fault, served.inner.end, served.inner.echoed), (None, End::Clean, LENGTH));
        assert_eq!(how, Teardown::Graceful);
    }
}

/// What the client makes of a server, and what the server hears of that.
fn refused(connector: &Connector, name: &str, acceptor: &Acceptor) -> (TlsFault, TlsFault) {
    let ((_, called), (how, served)) = meet(connector, name, acceptor);
    let (Some(LayerFault::Codec(ours)), Some(LayerFault::Codec(theirs))) =
        (called.fault, served.fault.clone())
    else {
        panic!("{served:?}");
    };
    assert_eq!(called.inner.received, 0);
    assert_eq!((served.inner.received, served.inner.end), (0, End::Failed(Failure::Truncated)));
    assert_eq!(how, Teardown::Graceful, "who is told something need tell nothing");
    (ours, theirs)
}

#[test]
fn a_server_that_is_signed_by_somebody_else_is_refused() {
    let told = refused(&Authority::new().connector(), "localhost", &Authority::new().acceptor());
    assert_eq!(told, (TlsFault::UnknownIssuer, TlsFault::Alert("unknown_ca".into())));
}

#[test]
fn a_server_whose_time_is_over_or_has_not_come_is_refused() {
    let authority = Authority::new();
    let acceptor = |from, to| Acceptor::new(authority.valid(from, to).identity()).unwrap();
    let told = refused(&authority.connector(), "localhost", &acceptor(2001, 2002));
    assert_eq!(told, (TlsFault::Expired, TlsFault::Alert("certificate_expired".into())));
    let told = refused(&authority.connector(), "localhost", &acceptor(2901, 2902));
    assert_eq!(told.0, TlsFault::NotYetValid);
}

#[test]
fn a_server_of_another_name_is_refused() {
    let authority = Authority::new();
    let told = refused(&authority.connector(), "example.org", &authority.acceptor());
    assert_eq!(told.0, TlsFault::WrongName);
}

#[test]
fn clients_show_a_certificate_where_one_is_required() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let identity = || ours.server().identity();
    let acceptor = Acceptor::requiring_clients(identity(), theirs.pem.as_bytes()).unwrap();
    let with = |authority: &Authority| {
        Connector::with_identity(ours.pem.as_bytes(), authority.client().identity()).unwrap()
    };

    let ((_, called), (_, served)) = meet(&with(&theirs), "localhost", &acceptor);
    assert_eq!((called.fault, called.inner.verdict), (None, Verdict::Verified));
    assert_eq!((served.fault, served.inner.end), (None, End::Clean));

    // A client is open before its certificate is looked at (RFC 8446 section 4.4.2), and has begun to send.
    let expect = |connector: &Connector, fault: TlsFault, alert: &str| {
        let ((_, called), (how, served)) = meet(connector, "localhost", &acceptor);
        assert_eq!(served.fault, Some(LayerFault::Codec(fault)));
        assert_eq!(called.fault, Some(LayerFault::Codec(TlsFault::Alert(alert.into()))));
        assert_eq!((served.inner.received, how), (0, Teardown::Graceful));
    };
    expect(&ours.connector(), TlsFault::NoCertificate, "certificate_required");
    expect(&with(&ours), TlsFault::UnknownIssuer, "unknown_ca");
}

#[test]
fn a_stream_that_is_cut_anywhere_is_truncated() {
    let authority = Authority::new();
    let acceptor = authority.acceptor();
    // A new one each time: a session that is resumed is shorter.
    let connector = || authority.connector();
    let mut whole = Way::new();
    let _ =
        converse(&mut client(&connector(), "localhost"), &mut server(&acceptor), &mut Way::new(), &mut whole);
    // The last byte is one of `close_notify`.
    for cut in [0, 1, 100, 500, 700, 5000, 50_000, whole.carried - 100, whole.carried - 1] {
        let mut back = Way { cut, ..Way::new() };
        let (mut client, mut server) = (client(&connector(), "localhost"), server(&acceptor));
        let ((_, called), _) = converse(&mut client, &mut server, &mut Way::new(), &mut back);
        assert_eq!(called.fault, Some(LayerFault::Truncated), "cut at {cut}");
        assert!(
            matches!(called.inner.verdict, Verdict::Faulty(_)),
            "cut at {cut}: {:?}",
            called.inner.verdict
        );
    }
}

#[test]
fn a_byte_that_is_flipped_anywhere_is_found() {
    let authority = Authority::new();
    let acceptor = authority.acceptor();
    for flip in [0, 3, 100, 300, 1000, 20_000, 99_000] {
        let mut back = Way { flip, ..Way::new() };
        let (mut client, mut server) = (client(&authority.connector(), "localhost"), server(&acceptor));
        let ((_, called), _) = converse(&mut client, &mut server, &mut Way::new(), &mut back);
        assert!(called.fault.is_some(), "byte {flip}: {called:?}");
        assert!(matches!(called.inner.verdict, Verdict::Faulty(_)), "byte {flip}");
    }
}

#[test]
fn whoever_speaks_no_tls_is_told_so() {
    let mut server = server(&Authority::new().acceptor());
    let (mut there, mut back) = (Way::new(), Way::new());
    back.push(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(turn(&mut server, &mut there, &mut back, Time::ZERO).is_none());
    // An alert, then the end; it waits for the other end, so that the alert is not destroyed.
    assert_eq!((there.bytes[0], there.ended), (21, true));
    back.ended = true;
    let (how, outcome) = turn(&mut server, &mut there, &mut back, Time::ZERO).unwrap();
    assert_eq!((how, outcome.fault), (Teardown::Graceful, Some(LayerFault::Codec(TlsFault::NotTls))));
}

#[test]
fn whoever_says_nothing_is_given_up() {
    let mut server = server(&Authority::new().acceptor());
    let (mut there, mut back) = (Way::new(), Way::new());
    assert!(turn(&mut server, &mut there, &mut back, Time::ZERO).is_none());
    let by = Time::ZERO.after(LayerConfig::default().opening);
    assert_eq!(server.deadline(), Some(by));
    let (how, outcome) = turn(&mut server, &mut there, &mut back, by).unwrap();
    assert_eq!((how, outcome.fault), (Teardown::Reset, Some(LayerFault::Slow)));
}

/// Sends without end, and never takes anything that comes.
#[test]
fn memory_is_bounded_when_the_peer_never_reads() {
    let authority = Authority::new();
    let mut server = server(&authority.acceptor());
    let flood = ClientConfig::default().window(1 << 30).write(16 << 10);
    let endless = EchoClient::new(flood.into(), Payload::seeded(1, 1 << 40), Time::ZERO);
    let name: Name = "localhost".parse().unwrap();
    let mut client =
        Driven::new(authority.connector().connect(&name, endless, LayerConfig::default(), Time::ZERO));
    let (mut there, mut back) = (Way::new(), Way::new());
    let mut taken = 0;
    // Until the server takes nothing, whatever there is.
    loop {
        while there.bytes.len() < 64 << 10 && client.step(Time::ZERO) == Step::Write {
            there.push(&client.take(Time::ZERO, usize::MAX));
        }
        while server.step(Time::ZERO) == Step::Write {
            if !server.machine().codec().is_open() {
                back.push(&server.take(Time::ZERO, usize::MAX));
            }
        }
        if !client.machine().codec().is_open() {
            let read = back.bytes.len().min(client.credit());
            assert!(client.data(Time::ZERO, back.bytes.split_to(read).freeze()).is_empty());
        }
        let read = there.bytes.len().min(server.credit());
        if read == 0 && server.machine().codec().is_open() {
            break;
        }
        taken += read;
        assert!(server.data(Time::ZERO, there.bytes.split_to(read).freeze()).is_empty());
    }
    let held = server.machine().held() + server.machine().machine().held();
    let echo = roundtrip_echo::ServerConfig::default().buffer;
    assert!(held <= echo + (32 << 10) + (34 << 10), "{held}");
    assert!(taken < echo + (256 << 10), "{taken} bytes were taken in");
}

#[test]
fn bad_certificates_and_keys_of_our_own_are_named() {
    let authority = Authority::new();
    let (one, other) = (authority.server(), authority.server());
    let from = |certificate: &str, key: &str| Identity::from_pem(certificate.as_bytes(), key.as_bytes());
    assert_eq!(from("", &one.key).unwrap_err(), BadConfig::NoCertificate);
    assert_eq!(from(&one.certificate, &one.certificate).unwrap_err(), BadConfig::NoKey);
    let broken = "-----BEGIN PRIVATE KEY-----\nAA";
    assert!(matches!(from(&one.certificate, broken).unwrap_err(), BadConfig::Key(_)));
    assert!(matches!(
        from("-----BEGIN CERTIFICATE-----\nAA", &one.key).unwrap_err(),
        BadConfig::Certificate(_)
    ));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(from(&one.certificate, encrypted).unwrap_err(), BadConfig::EncryptedKey);
    let mixed = from(&one.certificate, &other.key).unwrap();
    assert_eq!(Acceptor::new(mixed).unwrap_err(), BadConfig::WrongKey);
    assert!(matches!(Connector::new(one.key.as_bytes()).unwrap_err(), BadConfig::Roots(_)));
    assert_eq!("no name".parse::<Name>().unwrap_err(), BadConfig::Name("no name".into()));
}
