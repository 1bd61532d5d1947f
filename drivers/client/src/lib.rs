//! A client kit: calls with answers, several in flight, on any driver.
//!
//! | item | what it is |
//! | --- | --- |
//! | [`Codec`] | what you write: how a request becomes bytes, and bytes a response |
//! | [`Calls`] | the protocol of a connection, for any driver and for the simulator: each call is answered or lost, once |
//! | [`client`] | a [`Client`] for tasks and threads, the machine and the sink that a driver is given |
//!
//! ```
//! use bytes::{Buf, BytesMut};
//! use roundtrip_client::{ClientConfig, Codec, Decoded, Incoming, client};
//! use std::convert::Infallible;
//! # use std::io::{Read, Write};
//!
//! /// A line for a line.
//! struct Lines;
//!
//! impl Codec for Lines {
//!     type Request = String;
//!     type Response = String;
//!     type Push = Infallible; // nothing comes unasked
//!     type Error = Infallible; // anything is a line
//!
//!     fn encode(&mut self, request: String, out: &mut BytesMut) -> Result<(), Infallible> {
//!         out.extend_from_slice(request.as_bytes());
//!         out.extend_from_slice(b"\n");
//!         Ok(())
//!     }
//!
//!     fn decode(&mut self, inbox: &mut BytesMut) -> Decoded<Self> {
//!         let Some(end) = inbox.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
//!         let line = inbox.split_to(end);
//!         inbox.advance(1);
//!         Ok(Some(Incoming::Response(String::from_utf8_lossy(&line).into_owned())))
//!     }
//! }
//!
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let endpoint = format!("tcp:{}", listener.local_addr()?).parse()?;
//! # std::thread::spawn(move || {
//! #     let (mut stream, _) = listener.accept().unwrap();
//! #     std::io::copy(&mut stream.try_clone().unwrap(), &mut stream)
//! # });
//! let stream = roundtrip_std::connect(&endpoint, &roundtrip_std::ConnectOptions::default())?;
//! let driver = roundtrip_std::Driver::new(roundtrip_std::SystemClock::new())?;
//! let (client, machine, events) = client(driver.control(), Lines, ClientConfig::default());
//! let driven = std::thread::spawn(move || driver.drive_into(stream, machine, events));
//! assert_eq!(client.call_blocking("one".to_owned())?, "one"); // in a task: client.call(..).await
//! drop(client); // the last one: the connection is stopped
//! # driven.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod calls;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod reply;

pub use calls::{Call, CallError, CallEvent, Calls, ClientConfig, Codec, Decoded, Incoming};
#[cfg(feature = "client")]
pub use client::{Client, ClientEvents, Response, ResultOf, Token, client};
#[cfg(feature = "client")]
pub use reply::ReplySender;
