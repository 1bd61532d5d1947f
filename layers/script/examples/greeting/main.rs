//! The beginning and the end of a conversation in SMTP (RFC 5321): a server that greets, and a client that asks it for its
//! extensions and quits. Both are scripts.
//!
//! ```text
//! cargo run -p roundtrip-script --example greeting -- serve 127.0.0.1:2525
//! cargo run -p roundtrip-script --example greeting -- ask 127.0.0.1:2525
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_script::{ReadError, Script, ScriptConfig, ScriptIo, TimedOut};
use roundtrip_std::{Accepted, Backend, BindOptions, ConnectOptions, ServerHandle};

#[cfg(test)]
mod simulated;

/// Bytes of a line, its end included (section 4.5.3.1.5).
const LINE: usize = 512;
/// Lines of a reply.
const LINES: usize = 100;
/// Time for a line (section 4.5.3.2).
const LIMIT: Duration = Duration::from_secs(300);

/// Asks a server for its extensions.
async fn ask(io: ScriptIo) -> Result<Vec<String>, AskError> {
    expect(&io, "220").await?;
    io.write("EHLO client.example\r\n").await;
    let mut extensions = expect(&io, "250").await?;
    io.write("QUIT\r\n").await;
    expect(&io, "221").await?;
    // The first line is the greeting.
    extensions.remove(0);
    Ok(extensions)
}

/// Reads a reply: lines with one code, followed by `-`, and by a space in the last one (section 4.2.1).
async fn expect(io: &ScriptIo, code: &str) -> Result<Vec<String>, AskError> {
    let mut lines = Vec::new();
    while lines.len() < LINES {
        let line = io.timeout(LIMIT, io.read_until(b"\r\n", LINE)).await??;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches("\r\n");
        let Some(text) = line.strip_prefix(code) else { return Err(AskError::Reply(line.to_owned())) };
        lines.push(text.get(1..).unwrap_or_default().to_owned());
        if !text.starts_with('-') {
            return Ok(lines);
        }
    }
    Err(AskError::Reply(format!("{code}: more than {LINES} lines")))
}

/// Greets, and answers until the client quits. Tells who said hello.
async fn greet(io: ScriptIo<Infallible, String>, extensions: Arc<[&'static str]>) {
    io.write("220 server.example ready\r\n").await;
    loop {
        let line = io.until_stopped(io.timeout(LIMIT, io.read_until(b"\r\n", LINE))).await;
        let line = match line {
            Ok(Ok(Ok(line))) => line,
            Ok(Ok(Err(ReadError::Eof { .. }))) => return,
            Ok(Ok(Err(ReadError::TooLong { .. }))) => return io.write("500 line too long\r\n").await,
            Ok(Err(TimedOut)) => return io.write("421 too slow\r\n").await,
            Err(_stopped) => return io.write("421 closing\r\n").await,
        };
        let line = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("EHLO", name) => {
                io.event(name.to_owned()).await;
                for (last, extension) in (1..).zip(&*extensions) {
                    let mark = if last == extensions.len() { ' ' } else { '-' };
                    io.write(format!("250{mark}{extension}\r\n")).await;
                }
            }
            ("QUIT", _) => return io.write("221 bye\r\n").await,
            _ => io.write("502 not implemented\r\n").await,
        }
    }
}

/// Why a server did not tell its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AskError {
    Read(ReadError),
    TimedOut,
    Reply(String),
}

impl From<ReadError> for AskError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<TimedOut> for AskError {
    fn from(_: TimedOut) -> Self {
        Self::TimedOut
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::TimedOut => TimedOut.fmt(f),
            Self::Reply(reply) => write!(f, "unexpected reply: {}", reply.escape_debug()),
        }
    }
}

impl Error for AskError {}

fn server(extensions: &Arc<[&'static str]>, now: roundtrip_core::Time) -> Script<(), Infallible, String> {
    let extensions = Arc::clone(extensions);
    Script::new(Arc::new(ScriptConfig::default()), now, |io| greet(io, extensions))
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", endpoint] => {
            let listener = roundtrip_std::bind(&endpoint.parse()?, &BindOptions::default())?;
            let extensions = ["server.example", "8BITMIME", "SIZE 1000000"].into();
            let app = |now, _: &Accepted| server(&extensions, now);
            roundtrip_std::Std.serve(vec![listener], Limits::default(), &ServerHandle::new(), &app)?;
        }
        ["ask", endpoint] => {
            let stream = roundtrip_std::connect(&endpoint.parse()?, &ConnectOptions::default())?;
            let config = Arc::new(ScriptConfig::default());
            let ended = roundtrip_std::drive(stream, |now| Script::new(config, now, ask))?;
            let extensions = ended.outcome.output.ok_or("the connection broke off")??;
            println!("{}", extensions.join("\n"));
        }
        _ => return Err("usage: greeting serve ENDPOINT, or greeting ask ENDPOINT".into()),
    }
    Ok(())
}

fn main() -> ExitCode {
    let result = run();
    if let Err(error) = &result {
        eprintln!("error: {error}");
    }
    ExitCode::from(u8::from(result.is_err()))
}
