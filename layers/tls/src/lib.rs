//! TLS 1.2 and 1.3 for any machine, on any driver: a layer, which speaks through [rustls](https://docs.rs/rustls).
//!
//! An [`Acceptor`] or a [`Connector`] is made once, from certificates and keys in PEM form; each makes a layer around one
//! machine, which then runs where the machine ran.
//!
//! | on the wire | for the machine in it |
//! | --- | --- |
//! | the handshake | nothing; its own deadlines go on, and the layer has one for this ([`LayerConfig::opening`]) |
//! | `close_notify` | `Input::Eof`, and its `ShutdownWrite` (RFC 8446 section 6.1) |
//! | the transport's end without `close_notify` | `Failure::Truncated`, and [`LayerFault::Truncated`] |
//! | what the peer may not say, or whom we do not trust | `Failure::Truncated`, and [`LayerFault::Codec`] with the [`TlsFault`]; the peer is told by an alert, and has [`LayerConfig::closing`] to read it |
//!
//! A half-close is TLS 1.3's: with TLS 1.2 a peer that keeps to RFC 5246 section 7.2.1 ends at once when it is told the end,
//! and drops what it had to say. A record is told to the machine when it is whole, so its limits of time must leave room
//! for 16 KiB.
//!
//! Memory is bounded, whatever the peer does: at most [`LayerConfig::inbox`] of what came, 32 KiB of what is written, and
//! what rustls holds of a record or a handshake (64 KiB).
//!
//! ```
//! # use roundtrip_core::admission::Limits;
//! # use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig, Verdict};
//! # use roundtrip_std::{Backend, BindOptions, ConnectOptions, ServerHandle};
//! # use std::sync::Arc;
//! use roundtrip_tls::{Acceptor, Connector, Identity, LayerConfig};
//! # let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
//! let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())?;
//! let acceptor = Acceptor::new(identity)?;
//! let connector = Connector::new(certificate.as_bytes())?; // whom to trust
//!
//! let config = Arc::new(ServerConfig::default());
//! let echo = |now, _peer: &_| {
//!     let echo = EchoServer::new(Arc::clone(&config), now);
//!     acceptor.accept(echo, LayerConfig::default(), now)
//! };
//! # let listener = roundtrip_std::bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
//! # let endpoint = listener.local_endpoint()?;
//! # let handle = ServerHandle::new();
//! # std::thread::scope(|scope| {
//! # scope.spawn(|| {
//! roundtrip_std::Std.serve(vec![listener], Limits::default(), &handle, &echo)
//! # });
//! # let stream = roundtrip_std::connect(&endpoint, &ConnectOptions::default())?;
//! # let name = "localhost".parse()?;
//! # let ended = roundtrip_std::drive(stream, |now| {
//! #     let client = EchoClient::new(ClientConfig::default().into(), Payload::seeded(1, 100_000), now);
//! #     connector.connect(&name, client, LayerConfig::default(), now)
//! # })?;
//! # handle.stop();
//! # assert_eq!((ended.outcome.fault, ended.outcome.inner.verdict), (None, Verdict::Verified));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod codec;
mod config;
mod fault;

pub use codec::Tls;
pub use config::{Acceptor, BadConfig, Connector, Identity, Name};
pub use fault::TlsFault;
pub use roundtrip_core::layer::{LayerConfig, LayerFault, LayerOutcome, Layered};
