//! A client of SOCKS5 (RFC 1928), with a name and a password if the proxy asks for them (RFC 1929).
//!
//! ```text
//! cargo run -p roundtrip-script --example socks5 -- 127.0.0.1:1080 example.com 80
//! ```
//!
//! asks the proxy for a connection to the host, sends standard input through it, and prints what comes back. With `SOCKS5_NAME` and
//! `SOCKS5_PASSWORD` in the environment it can log in.

use std::error::Error;
use std::fmt;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;

use roundtrip_script::{ReadError, Script, ScriptConfig, ScriptIo, join};
use roundtrip_std::ConnectOptions;

#[cfg(test)]
mod simulated;

/// Methods of authentication (section 3).
const NONE: u8 = 0;
const PASSWORD: u8 = 2;
const REFUSED: u8 = 0xff;

/// What is asked of a proxy.
#[derive(Clone, Debug)]
struct Request {
    host: String,
    port: u16,
    /// Name and password.
    login: Option<(String, String)>,
}

/// Asks the proxy for a connection. After it, the stream is that of the host.
async fn handshake(io: &ScriptIo, request: &Request) -> Result<Bound, SocksError> {
    ask(io, request).await?;
    reply(io).await
}

async fn ask(io: &ScriptIo, request: &Request) -> Result<(), SocksError> {
    let methods: &[u8] = if request.login.is_some() { &[5, 2, NONE, PASSWORD] } else { &[5, 1, NONE] };
    io.write(methods).await;
    match (io.read_array().await?, &request.login) {
        ([5, NONE], _) => {}
        ([5, PASSWORD], Some((name, password))) => {
            io.write([&[1], &counted(name)?[..], &counted(password)?[..]].concat()).await;
            let [_version, status] = io.read_array().await?;
            if status != 0 {
                return Err(SocksError::Login);
            }
        }
        ([5, REFUSED], _) => return Err(SocksError::Methods),
        ([version, method], _) => return Err(SocksError::Protocol([version, method])),
    }
    // CONNECT to a name, which the proxy looks up (section 4).
    io.write([&[5, 1, 0, 3], &counted(&request.host)?[..], &request.port.to_be_bytes()].concat()).await;
    Ok(())
}

/// The proxy's reply (section 6).
async fn reply(io: &ScriptIo) -> Result<Bound, SocksError> {
    let [version, code, _reserved, kind] = io.read_array().await?;
    if version != 5 {
        return Err(SocksError::Protocol([version, code]));
    }
    let host = match kind {
        1 => IpAddr::from(io.read_array::<4>().await?).to_string(),
        4 => IpAddr::from(io.read_array::<16>().await?).to_string(),
        3 => {
            let [length] = io.read_array().await?;
            String::from_utf8_lossy(&io.read_exact(length.into()).await?).into_owned()
        }
        _ => return Err(SocksError::Protocol([version, kind])),
    };
    let port = u16::from_be_bytes(io.read_array().await?);
    if code == 0 { Ok(Bound { host, port }) } else { Err(SocksError::Refused(code)) }
}

/// A text after its length in a byte.
fn counted(text: &str) -> Result<Vec<u8>, SocksError> {
    let length = u8::try_from(text.len()).map_err(|_| SocksError::TooLong)?;
    Ok([&[length], text.as_bytes()].concat())
}

/// The address that the proxy uses for the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    host: String,
    port: u16,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocksError {
    Read(ReadError),
    /// No answer of the protocol: its first bytes.
    Protocol([u8; 2]),
    /// The proxy accepts none of the methods.
    Methods,
    Login,
    Refused(u8),
    /// A text of more than 255 bytes.
    TooLong,
}

impl From<ReadError> for SocksError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Read(error) => return error.fmt(f),
            Self::Protocol(bytes) => return write!(f, "not the protocol of SOCKS5: {bytes:02x?}"),
            Self::Methods => "the proxy asks for another authentication",
            Self::Login => "the proxy refuses name and password",
            Self::TooLong => "host, name or password longer than 255 bytes",
            Self::Refused(1) => "the proxy failed",
            Self::Refused(2) => "the proxy's rules forbid the connection",
            Self::Refused(3) => "network unreachable",
            Self::Refused(4) => "host unreachable",
            Self::Refused(5) => "connection refused",
            Self::Refused(6) => "TTL expired",
            Self::Refused(7) => "the proxy does not support CONNECT",
            Self::Refused(8) => "the proxy does not support names of hosts",
            Self::Refused(code) => return write!(f, "the proxy failed with code {code}"),
        };
        f.write_str(text)
    }
}

impl Error for SocksError {}

/// Sends a message through a proxy, and returns what comes back until the host closes, up to 1 MiB. There is no half-close:
/// many proxies take one for the end of both directions.
async fn exchange(io: ScriptIo, request: Request, message: Vec<u8>) -> Result<Vec<u8>, SocksError> {
    handshake(&io, &request).await?;
    let receive = async {
        let mut received = Vec::new();
        while let Some(bytes) = io.read_some(65_536).await
            && received.len() < 1 << 20
        {
            received.extend_from_slice(&bytes);
        }
        received
    };
    Ok(join(io.write(message), receive).await.1)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [proxy, host, port] = &args[..] else { return Err("usage: socks5 PROXY HOST PORT".into()) };
    let login = Option::zip(std::env::var("SOCKS5_NAME").ok(), std::env::var("SOCKS5_PASSWORD").ok());
    let request = Request { host: host.clone(), port: port.parse()?, login };
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let stream = roundtrip_std::connect(&proxy.parse()?, &ConnectOptions::default())?;
    let config = Arc::new(ScriptConfig::default());
    let ended =
        roundtrip_std::drive(stream, |now| Script::new(config, now, |io| exchange(io, request, message)))?;
    let received = ended.outcome.output.ok_or("the connection broke off")??;
    std::io::stdout().write_all(&received)?;
    Ok(())
}

fn main() -> ExitCode {
    let result = run();
    if let Err(error) = &result {
        eprintln!("error: {error}");
    }
    ExitCode::from(u8::from(result.is_err()))
}
