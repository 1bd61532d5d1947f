//! What a peer can do wrong.

#![allow(clippy::wildcard_enum_match_arm, reason = "what has no name here is told in the words of rustls")]

use std::error::Error;
use std::fmt;

use rustls::{CertificateError, HandshakeType, InvalidMessage};

/// Why a TLS connection was given up. What the peer sent before is not to be taken for the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// What came is no TLS.
    NotTls,
    /// The peer's certificate, or one above it, is not valid any more.
    Expired,
    /// The peer's certificate, or one above it, is not valid yet.
    NotYetValid,
    /// Nobody whom we trust signed the peer's certificate.
    UnknownIssuer,
    /// The peer's certificate is for another name.
    WrongName,
    /// The peer's certificate is wrong in another way.
    BadCertificate(String),
    /// The peer showed no certificate, and has to.
    NoCertificate,
    /// The peer gave up and said why: the name of its alert (RFC 8446 section 6.2), such as `certificate_required`.
    Alert(String),
    /// The two have no version or cipher in common.
    Incompatible(String),
    /// Any other breach of the protocol, or a failure of ours.
    Other(String),
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error as Tls;
        match error {
            // The last is what we said ourselves, sent back.
            Tls::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            )
            | Tls::InappropriateHandshakeMessage { got_type: HandshakeType::ClientHello, .. } => Self::NotTls,
            Tls::InvalidCertificate(bad) => match bad {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::UnknownIssuer => Self::UnknownIssuer,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                bad if format!("{bad:?}").contains("CaUsedAsEndEntity") => Self::BadCertificate(
                    "it is an authority's own (CA:TRUE), which stands for no server".to_owned(),
                ),
                bad => Self::BadCertificate(bad.to_string()),
            },
            Tls::NoCertificatesPresented => Self::NoCertificate,
            Tls::AlertReceived(alert) => Self::Alert(snake_case(&format!("{alert:?}"))),
            Tls::PeerIncompatible(why) => Self::Incompatible(format!("{why:?}")),
            other => Self::Other(other.to_string()),
        }
    }
}

/// `CertificateRequired` as the RFC writes it, and `UnknownCA`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && previous.is_lowercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        previous = letter;
    }
    snake
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("the peer does not speak TLS"),
            Self::Expired => f.write_str("the peer's certificate has expired"),
            Self::NotYetValid => f.write_str("the peer's certificate is not valid yet"),
            Self::UnknownIssuer => f.write_str("the peer's certificate is signed by nobody we trust"),
            Self::WrongName => f.write_str("the peer's certificate is for another name"),
            Self::BadCertificate(why) => write!(f, "the peer's certificate is bad: {why}"),
            Self::NoCertificate => f.write_str("the peer showed no certificate"),
            Self::Alert(alert) => write!(f, "the peer refused: {alert}"),
            Self::Incompatible(why) => write!(f, "no version or cipher in common with the peer: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl Error for TlsFault {}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;

    #[test]
    fn alerts_have_the_names_of_the_rfc() {
        for (alert, name) in [
            (AlertDescription::CertificateRequired, "certificate_required"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
        ] {
            let fault = TlsFault::from(rustls::Error::AlertReceived(alert));
            assert_eq!(fault, TlsFault::Alert(name.to_owned()));
        }
    }
}
