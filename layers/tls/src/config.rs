//! Who we are, and whom we trust.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else goes wrong in rustls, it is told in its words"
)]

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use roundtrip_core::layer::{LayerConfig, Layered};
use roundtrip_core::{Machine, Time};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ServerConnection, WebPkiClientVerifier};
use rustls::{ClientConfig, Connection, RootCertStore, ServerConfig};

use crate::Tls;

/// A certificate, those that lead from it to a root, and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From PEM sections: certificates, one's own first, and a private key (PKCS #8, PKCS #1 or SEC 1, not encrypted).
    ///
    /// # Errors
    ///
    /// If there is none of either, or something else in their place.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, BadConfig> {
        let chain = certificates_of(certificates).map_err(|bad| bad.unwrap_or(BadConfig::NoCertificate))?;
        let secret = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            _ if key.windows(9).any(|text| text == b"ENCRYPTED") => BadConfig::EncryptedKey,
            pem::Error::NoItemsFound => BadConfig::NoKey,
            other => BadConfig::Key(other.to_string()),
        })?;
        Ok(Self { chain, key: secret })
    }
}

/// Makes the server's side of TLS connections. Cheap to clone.
///
/// No session is resumed: nothing is kept from one connection to the next, and each is the same.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// Anybody may connect.
    ///
    /// # Errors
    ///
    /// If the key is not the certificate's, or of a kind that is not known.
    pub fn new(identity: Identity) -> Result<Self, BadConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| other(&error))?
            .with_no_client_auth();
        Ok(Self::of(builder.with_single_cert(identity.chain, identity.key).map_err(ours)?))
    }

    /// Only those may connect who show a certificate that leads to one of `roots`, PEM sections.
    ///
    /// # Errors
    ///
    /// If there are no roots; if the key is not the certificate's, or of a kind that is not known.
    pub fn requiring_clients(identity: Identity, roots: &[u8]) -> Result<Self, BadConfig> {
        let roots = Arc::new(roots_of(roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| BadConfig::Roots(error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| other(&error))?
            .with_client_cert_verifier(verifier);
        Ok(Self::of(builder.with_single_cert(identity.chain, identity.key).map_err(ours)?))
    }

    fn of(mut config: ServerConfig) -> Self {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Self(Arc::new(config))
    }

    /// A machine behind the server's side of a connection that begins at `now`.
    ///
    /// # Panics
    ///
    /// If the system has no randomness.
    #[expect(clippy::expect_used, reason = "rustls fails here for want of randomness only")]
    pub fn accept<M: Machine>(&self, machine: M, config: LayerConfig, now: Time) -> Layered<Tls, M> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).expect("randomness");
        Layered::new(Tls::new(Connection::Server(connection)), machine, config, now)
    }
}

/// Makes the client's side of TLS connections. Cheap to clone.
///
/// No session is resumed: every server proves who it is.
#[derive(Clone, Debug)]
pub struct Connector(Arc<ClientConfig>);

/// The name that a server's certificate must be for: of a host, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(ServerName<'static>);

impl FromStr for Name {
    type Err = BadConfig;

    fn from_str(name: &str) -> Result<Self, BadConfig> {
        ServerName::try_from(name.to_owned()).map(Self).map_err(|_| BadConfig::Name(name.to_owned()))
    }
}

impl Connector {
    /// Trusts servers that show a certificate which leads to one of `roots`, PEM sections. A certificate of an authority
    /// (`CA:TRUE`, which `openssl req -x509` makes) stands for no server, not even its own.
    ///
    /// # Errors
    ///
    /// If there are no roots.
    pub fn new(roots: &[u8]) -> Result<Self, BadConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| other(&error))?
            .with_root_certificates(roots_of(roots)?);
        Ok(Self::of(builder.with_no_client_auth()))
    }

    /// Shows a certificate to servers that ask for one.
    ///
    /// # Errors
    ///
    /// If there are no roots; if the key is not the certificate's, or of a kind that is not known.
    pub fn with_identity(roots: &[u8], identity: Identity) -> Result<Self, BadConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| other(&error))?
            .with_root_certificates(roots_of(roots)?);
        Ok(Self::of(builder.with_client_auth_cert(identity.chain, identity.key).map_err(ours)?))
    }

    fn of(mut config: ClientConfig) -> Self {
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    /// A machine behind the client's side of a connection that begins at `now`, to a server of this name.
    ///
    /// # Panics
    ///
    /// If the system has no randomness.
    #[expect(clippy::expect_used, reason = "rustls fails here for want of randomness only")]
    pub fn connect<M: Machine>(
        &self,
        name: &Name,
        machine: M,
        config: LayerConfig,
        now: Time,
    ) -> Layered<Tls, M> {
        let connection = ClientConnection::new(Arc::clone(&self.0), name.0.clone()).expect("randomness");
        Layered::new(Tls::new(Connection::Client(connection)), machine, config, now)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates; what is wrong with them, or nothing if there are none.
fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Option<BadConfig>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(None),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Some(BadConfig::Certificate(error.to_string()))),
    }
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, BadConfig> {
    let bad = |bad: Option<BadConfig>| {
        BadConfig::Roots(bad.map_or("no certificate in it".to_owned(), |bad| bad.to_string()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(pem).map_err(bad)? {
        roots.add(certificate).map_err(|error| BadConfig::Roots(error.to_string()))?;
    }
    Ok(roots)
}

/// What is wrong with an identity.
fn ours(error: rustls::Error) -> BadConfig {
    match error {
        rustls::Error::InconsistentKeys(_) => BadConfig::WrongKey,
        rustls::Error::InvalidCertificate(error) => BadConfig::Certificate(error.to_string()),
        error => BadConfig::Key(error.to_string()),
    }
}

fn other(error: &rustls::Error) -> BadConfig {
    BadConfig::Other(error.to_string())
}

/// What is wrong with a certificate, a key or a name of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadConfig {
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it.
    NoKey,
    /// The private key is encrypted.
    EncryptedKey,
    /// The key is not the certificate's.
    WrongKey,
    /// A certificate of our own cannot be used.
    Certificate(String),
    /// A key cannot be used.
    Key(String),
    /// The certificates to trust cannot be used.
    Roots(String),
    /// It is no name of a host, and no address.
    Name(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("no certificate in it"),
            Self::NoKey => f.write_str("no private key in it"),
            Self::EncryptedKey => f.write_str("the private key is encrypted"),
            Self::WrongKey => f.write_str("the key is not the certificate's"),
            Self::Name(name) => {
                write!(f, "`{}` is no name of a host, and no address", roundtrip_core::text::escaped(name))
            }
            Self::Certificate(why) => write!(f, "the certificate cannot be used: {why}"),
            Self::Key(why) => write!(f, "the private key cannot be used: {why}"),
            Self::Roots(why) => write!(f, "nobody to trust: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl Error for BadConfig {}
