//! `--tls-…`: the sessions of `serve` and `check` over TLS.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "for most of what can be wrong with TLS there is one way out"
)]

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use roundtrip_core::hub::ConnectionId;
use roundtrip_core::text::escaped;
use roundtrip_core::{Machine, Observe, Tap, Time};
use roundtrip_echo::{ClientOutcome, EchoServer, Verdict};
use roundtrip_std::{
    Accepted, Application, CommandOf, ConnectionReport, Control, Endpoint, EventOf, Panic, Peer,
};
use roundtrip_tls::{
    Acceptor, BadConfig, Connector, Identity, LayerConfig, LayerFault, LayerOutcome, Layered, Name, Tls,
    TlsFault,
};

use crate::problem::{Exit, Problem, plain};
use crate::service::Echo;
use crate::warnings::Kind;
use crate::{out, platform, units};

/// Bytes of a file of certificates: all authorities of the world take a quarter of it.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct ServeTlsArgs {
    /// Speak TLS, and show this certificate: PEM, followed by those that lead to its root
    #[arg(
        id = "tls-cert",
        long = "tls-cert",
        value_name = "FILE",
        requires = "tls-key",
        conflicts_with = "transcript"
    )]
    cert: Option<String>,
    /// The certificate's private key: PEM, not encrypted
    #[arg(id = "tls-key", long = "tls-key", value_name = "FILE", requires = "tls-cert")]
    key: Option<String>,
    /// Let in only those who show a certificate that leads to one of these: PEM
    #[arg(id = "tls-client-ca", long = "tls-client-ca", value_name = "FILE", requires = "tls-cert")]
    client_ca: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckTlsArgs {
    /// Speak TLS, to a server whose certificate leads to one of these: PEM
    #[arg(id = "tls-ca", long = "tls-ca", value_name = "FILE", requires = "endpoint")]
    ca: Option<String>,
    /// Whom the server's certificate must be for [default: the endpoint's host]
    #[arg(id = "tls-name", long = "tls-name", value_name = "NAME", requires = "tls-ca")]
    name: Option<String>,
    /// Show this certificate to a server that asks for one: PEM
    #[arg(
        id = "tls-cert",
        long = "tls-cert",
        value_name = "FILE",
        requires = "tls-ca",
        requires = "tls-key"
    )]
    cert: Option<String>,
    /// Its private key: PEM, not encrypted
    #[arg(id = "tls-key", long = "tls-key", value_name = "FILE", requires = "tls-cert")]
    key: Option<String>,
}

impl ServeTlsArgs {
    /// Whether it was asked for.
    pub(crate) const fn is_given(&self) -> bool {
        self.cert.is_some()
    }

    /// What makes the server's side, if TLS was asked for.
    pub(crate) fn acceptor(&self) -> Result<Option<Acceptor>, Problem> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        let identity = identity(cert, key)?;
        let acceptor = match &self.client_ca {
            None => Acceptor::new(identity).map_err(|error| bad(&error, cert, key, ""))?,
            Some(roots) => Acceptor::requiring_clients(identity, &read(roots)?)
                .map_err(|error| bad(&error, cert, key, roots))?,
        };
        Ok(Some(acceptor))
    }
}

impl CheckTlsArgs {
    /// Whether it was asked for.
    pub(crate) const fn is_given(&self) -> bool {
        self.ca.is_some()
    }

    /// What makes the client's side, if TLS was asked for.
    pub(crate) fn caller(
        &self,
        endpoint: &Endpoint,
        handshake: Duration,
    ) -> Result<Option<TlsCaller>, Problem> {
        let Some(roots) = &self.ca else { return Ok(None) };
        let pem = read(roots)?;
        let connector = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Connector::with_identity(&pem, identity(cert, key)?)
                .map_err(|error| bad(&error, cert, key, roots))?,
            _ => Connector::new(&pem).map_err(|error| bad(&error, "", "", roots))?,
        };
        let name = match (&self.name, endpoint) {
            (Some(name), _) => name,
            (None, Endpoint::Tcp { host, .. }) => host,
            (None, other) => {
                let cause = format!("{other} has no name that a certificate could be for");
                return Err(Problem::usage(cause, "give one with --tls-name"));
            }
        };
        let name = name.parse().map_err(|error: BadConfig| {
            Problem::usage(error.to_string(), "give the name in the server's certificate with --tls-name")
        })?;
        let config = LayerConfig::default().opening(handshake);
        Ok(Some(TlsCaller { connector, name, config }))
    }

    /// The options, to be given again.
    pub(crate) fn again(&self) -> impl Iterator<Item = String> + use<> {
        [
            ("--tls-ca", &self.ca),
            ("--tls-name", &self.name),
            ("--tls-cert", &self.cert),
            ("--tls-key", &self.key),
        ]
        .map(|(option, value)| Some(format!("{option} {}", units::quoted(value.as_ref()?))))
        .into_iter()
        .flatten()
    }
}

fn identity(cert: &str, key: &str) -> Result<Identity, Problem> {
    let (certificates, (secret, mode)) = (read(cert)?, read_with_mode(key)?);
    let identity = Identity::from_pem(&certificates, &secret).map_err(|error| bad(&error, cert, key, ""))?;
    if let Some(mode) = mode {
        out::complain(format!(
            "warning: the private key {} is open to other users (mode {mode:04o})\n  try: chmod 600 {}",
            escaped(key),
            units::quoted(key)
        ));
    }
    Ok(identity)
}

fn read(path: &str) -> Result<Vec<u8>, Problem> {
    read_with_mode(path).map(|(pem, _mode)| pem)
}

/// The file, and its mode if it is open to other users.
fn read_with_mode(path: &str) -> Result<(Vec<u8>, Option<u32>), Problem> {
    let (mut pem, mut mode) = (Vec::new(), None);
    let read = File::open(path).and_then(|file| {
        mode = platform::open_to_others(&file.metadata()?);
        file.take(LARGEST).read_to_end(&mut pem)
    });
    match read {
        Ok(read) if read as u64 == LARGEST => Err(io::ErrorKind::FileTooLarge.into()),
        read => read,
    }
    .map_err(|error| {
        let cause = format!("cannot read {}: {}", escaped(path), plain(&error));
        Problem::usage(cause, "name a file in PEM form")
    })?;
    Ok((pem, mode))
}

/// Which of these files is wrong, and the way out.
fn bad(error: &BadConfig, cert: &str, key: &str, roots: &str) -> Problem {
    let (path, advice) = match error {
        BadConfig::NoKey | BadConfig::Key(_) => (key, "name a file with a section BEGIN PRIVATE KEY"),
        BadConfig::EncryptedKey => (key, "`openssl pkey` takes the encryption off"),
        BadConfig::WrongKey => (key, "name the key that the certificate was made for"),
        BadConfig::Roots(_) => (roots, "name a file with sections BEGIN CERTIFICATE"),
        _ => (cert, "name a file with sections BEGIN CERTIFICATE"),
    };
    Problem::usage(format!("{}: {error}", escaped(path)), advice)
}

/// The echo behind TLS.
pub(crate) struct TlsEcho<'a, W> {
    pub(crate) echo: &'a Echo<W>,
    pub(crate) acceptor: Acceptor,
}

impl<W, O> Application<Accepted> for TlsEcho<'_, W>
where
    W: Fn(ConnectionId, Time) -> O + Sync,
    O: Observe<EchoServer>,
{
    type Machine = Layered<Tls, Tap<EchoServer, O>>;

    fn open(
        &self,
        now: Time,
        accepted: &Accepted,
        control: &Control<<EchoServer as Machine>::Command>,
    ) -> Self::Machine {
        self.acceptor.accept(self.echo.open(now, accepted, control), LayerConfig::default(), now)
    }

    fn ended(&self, accepted: &Accepted, ended: ConnectionReport<<Self::Machine as Machine>::Outcome>) {
        let (layer, mut ended) = split(ended);
        if let Some(fault) = &layer.fault {
            self.echo.warn(Kind::Tls, &accepted.peer, || words(fault));
        }
        if layer.opened {
            // What was decrypted after the cut is told apart exactly. The rest counts as it came, encrypted: what it was is
            // not known.
            ended.outcome.refused = ended.outcome.refused.saturating_sub(layer.lost);
            ended.outcome.dropped += layer.unread - layer.refused;
            ended.unread += layer.refused;
            ended.unread_at_cut = ended.unread_at_cut.and(Some(layer.unread_at_cut));
        } else {
            // Bytes of a handshake are no data, however it ended, and what a client sends before it learns that it is
            // refused (RFC 8446 section 4.4.2) was never accepted.
            (ended.unread, ended.destroyed) = (0, 0);
        }
        self.echo.ended(accepted, ended);
    }

    fn panicked(&self, accepted: &Accepted, panic: Panic) {
        self.echo.panicked(accepted, panic);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.echo.accept_failed(error);
    }

    fn refused(&self, peer: &Peer) {
        self.echo.refused(peer);
    }
}

/// Makes the client's side of each connection.
#[derive(Clone)]
pub(crate) struct TlsCaller {
    connector: Connector,
    name: Name,
    config: LayerConfig,
}

/// Clients behind TLS.
pub(crate) struct TlsClients<'a, A> {
    app: &'a A,
    caller: &'a TlsCaller,
    /// Of which connection, in the order in which they ended.
    ended: Mutex<Vec<(usize, TlsEnded)>>,
}

impl<'a, A> TlsClients<'a, A> {
    pub(crate) const fn new(app: &'a A, caller: &'a TlsCaller) -> Self {
        Self { app, caller, ended: Mutex::new(Vec::new()) }
    }

    /// What came of TLS on which connection, in the order in which they ended.
    pub(crate) fn into_ended(self) -> Vec<(usize, TlsEnded)> {
        self.ended.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Application<usize>> Application<usize> for TlsClients<'_, A> {
    type Machine = Layered<Tls, A::Machine>;

    fn open(&self, now: Time, index: &usize, control: &Control<CommandOf<A, usize>>) -> Self::Machine {
        let TlsCaller { connector, name, config } = self.caller;
        connector.connect(name, self.app.open(now, index, control), *config, now)
    }

    fn event(&self, index: &usize, control: &Control<CommandOf<A, usize>>, event: EventOf<A, usize>) {
        self.app.event(index, control, event);
    }

    fn ended(&self, index: &usize, ended: ConnectionReport<<Self::Machine as Machine>::Outcome>) {
        let (layer, ended) = split(ended);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push((*index, layer));
        self.app.ended(index, ended);
    }
}

/// What a layer came to, apart from the machine in it.
pub(crate) struct TlsEnded {
    fault: Option<LayerFault<TlsFault>>,
    opened: bool,
    unread: u64,
    refused: u64,
    lost: u64,
    unread_at_cut: u64,
}

fn split<O>(mut ended: ConnectionReport<LayerOutcome<TlsFault, O>>) -> (TlsEnded, ConnectionReport<O>) {
    let fault = ended.outcome.fault.take();
    let LayerOutcome { opened, unread, refused, lost, unread_at_cut, .. } = ended.outcome;
    (TlsEnded { fault, opened, unread, refused, lost, unread_at_cut }, ended.map(|outcome| outcome.inner))
}

impl TlsEnded {
    /// What was wrong, in words.
    pub(crate) fn words(&self) -> Option<String> {
        self.fault.as_ref().map(words)
    }

    /// Whether a client that got so much was refused. One whose certificate is not wanted learns of it when it has begun
    /// to send (RFC 8446 section 4.4.2).
    pub(crate) fn is_refusal(&self, outcome: Option<&ClientOutcome>) -> bool {
        let late = matches!(&self.fault, Some(LayerFault::Codec(TlsFault::Alert(alert))) if is_about_certificates(alert));
        let aborted = outcome.is_some_and(|outcome| outcome.verdict == Verdict::Aborted);
        (!self.opened && !aborted) || (late && outcome.is_some_and(|outcome| outcome.received == 0))
    }
}

/// Alerts that tell a client that its certificate is wanted, or another one: RFC 8446 section 6.2.
fn is_about_certificates(alert: &str) -> bool {
    alert.contains("certificate") || alert == "unknown_ca"
}

/// A fault in words.
fn words(fault: &LayerFault<TlsFault>) -> String {
    match fault {
        LayerFault::Slow => "TLS: no handshake in time".to_owned(),
        LayerFault::Truncated => "TLS: the stream was cut, it ended without close_notify".to_owned(),
        LayerFault::TooLarge => "TLS: a record is too large".to_owned(),
        LayerFault::Unfinished => "TLS: cut off before its close_notify was sent".to_owned(),
        LayerFault::Codec(fault) => format!("TLS: {fault}"),
    }
}

/// A client that got nothing, and why: nobody to talk to.
pub(crate) fn refused(endpoint: &str, ended: &TlsEnded) -> Problem {
    let Some(fault) = &ended.fault else {
        let cause = format!("cannot connect to {endpoint}: TLS: the connection was lost in the handshake");
        return Problem::new(
            Exit::Unreachable,
            cause,
            "check that the server speaks TLS, or leave out --tls-ca",
        );
    };
    let advice = match fault {
        LayerFault::Codec(TlsFault::Alert(alert)) if alert == "certificate_expired" => {
            "renew the certificate of --tls-cert"
        }
        LayerFault::Codec(TlsFault::UnknownIssuer) => {
            "name with --tls-ca the certificate of whoever signed the server's"
        }
        LayerFault::Codec(TlsFault::WrongName) => "give the name it is for with --tls-name",
        LayerFault::Codec(TlsFault::Expired | TlsFault::NotYetValid) => {
            "renew the server's certificate, or check this machine's clock"
        }
        LayerFault::Codec(TlsFault::Alert(alert)) if is_about_certificates(alert) => {
            "show a certificate that the server trusts, with --tls-cert and --tls-key"
        }
        LayerFault::Codec(TlsFault::NotTls) => "leave out --tls-ca for a server without TLS",
        LayerFault::Slow | LayerFault::Truncated => "check that the server speaks TLS, or leave out --tls-ca",
        _ => "`openssl s_client -connect` shows what the server offers",
    };
    Problem::new(Exit::Unreachable, format!("cannot connect to {endpoint}: {}", words(fault)), advice)
}
