//! The servers: how each is started, and where it listens.

use std::ffi::OsStr;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Failed;
use crate::process::{PATIENCE, Process, poll};

/// A server, one column of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// `roundtrip serve`, with this driver.
    Ours(&'static str),
    /// A program and its arguments, with `PORT` for the port.
    Theirs(&'static [&'static str]),
    /// xinetd with its built-in echo.
    Xinetd,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// The example "TCP echo server using streams" of Python's documentation, with a loop until the client's end.
const ASYNCIO: &str = "\
import asyncio, sys
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(echo, '127.0.0.1', int(sys.argv[1]), backlog=4096)
    async with server:
        await server.serve_forever()
asyncio.run(main())
";

impl Server {
    pub(crate) fn all() -> Vec<Self> {
        let theirs = |name, command| Self { name, how: How::Theirs(command) };
        vec![
            Self { name: "roundtrip-std", how: How::Ours("std") },
            Self { name: "roundtrip-smol", how: How::Ours("smol") },
            Self { name: "roundtrip-tokio", how: How::Ours("tokio") },
            Self { name: "roundtrip-reactor", how: How::Ours("reactor") },
            Self { name: "roundtrip-uring", how: How::Ours("uring") },
            theirs(
                "socat-pipe",
                &["socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork,backlog=4096", "PIPE"],
            ),
            theirs(
                "socat-cat",
                &["socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork,backlog=4096", "EXEC:cat"],
            ),
            theirs(
                "ncat",
                &[
                    "ncat",
                    "--listen",
                    "--keep-open",
                    "--max-conns",
                    "20000",
                    "--exec",
                    "/bin/cat",
                    "127.0.0.1",
                    "PORT",
                ],
            ),
            Self { name: "xinetd", how: How::Xinetd },
            theirs(
                "tcpserver",
                &["tcpserver", "-H", "-R", "-c", "20000", "-b", "4096", "127.0.0.1", "PORT", "cat"],
            ),
            theirs("asyncio", &["python3", "-c", ASYNCIO, "PORT"]),
        ]
    }

    pub(crate) const fn is_ours(&self) -> bool {
        self.driver().is_some()
    }

    /// The driver, if it is ours.
    pub(crate) const fn driver(&self) -> Option<&'static str> {
        match self.how {
            How::Ours(driver) => Some(driver),
            How::Theirs(_) | How::Xinetd => None,
        }
    }

    /// Whether its program is installed.
    pub(crate) fn is_installed(&self) -> bool {
        let program = match self.how {
            How::Ours(driver) => {
                // A driver that is not in the build is refused.
                let tried = roundtrip(["serve", "--driver", driver, "--help"]).output();
                return tried.is_ok_and(|output| output.status.success());
            }
            How::Theirs(command) => command.first().copied().unwrap_or_default(),
            How::Xinetd => "xinetd",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    }

    /// Starts it; only ours take the `options`.
    pub(crate) fn start(&self, options: &[&str]) -> Result<Running, Failed> {
        self.start_after("", options)
    }

    /// Starts it from a shell that runs `before` first, which sets limits.
    pub(crate) fn start_after(&self, before: &str, options: &[&str]) -> Result<Running, Failed> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = shell(before);
        match self.how {
            How::Ours(driver) => {
                let serve = ["serve", "127.0.0.1:0", "--driver", driver];
                let (process, endpoint) = start_serving(roundtrip_after(before, &serve).args(options))?;
                return Ok(Running { address: endpoint.trim_start_matches("tcp:").parse()?, process });
            }
            How::Theirs(words) => {
                command.args(words.iter().map(|word| {
                    // As a word, or as part of an address.
                    if *word == "PORT" {
                        port.to_string()
                    } else {
                        word.replace(":PORT,", &format!(":{port},"))
                    }
                }));
            }
            How::Xinetd => {
                let file = std::env::temp_dir().join(format!("roundtrip-xinetd-{}", std::process::id()));
                std::fs::write(&file, xinetd(port))?;
                command.args(["xinetd", "-dontfork", "-f"]).arg(file);
            }
        }
        let process = Process::start(command.stdout(Stdio::null()))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let up = poll(PATIENCE, || TcpStream::connect(address).ok());
        up.ok_or_else(|| io::Error::other("it does not listen"))?;
        Ok(Running { process, address })
    }
}

fn xinetd(port: u16) -> String {
    format!(
        "defaults\n{{\n instances = UNLIMITED\n per_source = UNLIMITED\n cps = 0 0\n}}\n\
         service echo\n{{\n type = INTERNAL UNLISTED\n id = echo-stream\n socket_type = stream\n protocol = tcp\n \
         user = root\n wait = no\n port = {port}\n bind = 127.0.0.1\n disable = no\n}}\n"
    )
}

/// The program `roundtrip` beside this one.
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("roundtrip")
}

/// `roundtrip` with these arguments.
pub(crate) fn roundtrip<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(args);
    command
}

/// `roundtrip` with these arguments, run by a shell after `before`, which sets limits and the environment.
pub(crate) fn roundtrip_after(before: &str, args: &[&str]) -> Command {
    let mut command = shell(before);
    command.arg(program()).args(args);
    command
}

/// A shell that runs `before` and then executes its arguments.
fn shell(before: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\""));
    command
}

/// `roundtrip serve` on one endpoint.
pub(crate) fn serve(driver: &str, endpoint: &str, options: &[&str]) -> Result<(Process, String), Failed> {
    start_serving(roundtrip(["serve", endpoint, "--driver", driver]).args(options))
}

/// Starts a command that executes `roundtrip serve` on one endpoint: the process, and the endpoint that it announces, as a
/// client names it.
pub(crate) fn start_serving(command: &mut Command) -> Result<(Process, String), Failed> {
    let mut process = Process::start(command.stdout(Stdio::piped()))?;
    let line = process.first_line()?;
    match line.strip_prefix("listening ") {
        Some(endpoint) => Ok((process, endpoint.replacen(' ', ":", 1))),
        None => Err(process.finish()?.errors.join(" ").into()),
    }
}
