//! The servers: how each is started, and where it then listens.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Failed;
use crate::process::{PATIENCE, Process, poll};

/// A server under trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// `roundtrip serve`, with this driver.
    Ours(&'static str),
    /// A program and its arguments, in which `PORT` stands for the port.
    Theirs(&'static [&'static str]),
    /// xinetd with its built-in echo.
    Xinetd,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Python's documentation, "TCP echo server using streams", made to go on until the end.
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

    /// Whether its program is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        let program = match self.how {
            How::Ours(driver) => {
                // A driver that was left out of the build is refused as a value.
                let tried = Command::new(ours()).args(["serve", "--driver", driver, "--help"]).output();
                return tried.is_ok_and(|output| output.status.success());
            }
            How::Theirs(command) => command.first().copied().unwrap_or_default(),
            How::Xinetd => "xinetd",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_here = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        if !is_here {
            eprintln!("left out, for it is not here: {}", self.name);
        }
        is_here
    }

    /// Starts it; `options` are for ours alone.
    pub(crate) fn start(&self, options: &[&str]) -> Result<Running, Failed> {
        self.start_after("", options)
    }

    /// Starts it from a shell that did `before`: limits.
    pub(crate) fn start_after(&self, before: &str, options: &[&str]) -> Result<Running, Failed> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\""));
        match self.how {
            How::Ours(driver) => {
                command.arg(ours()).args(["serve", "127.0.0.1:0", "--driver", driver]).args(options);
                let mut process = Process::start(command.stdout(Stdio::piped()))?;
                let line = process.first_line()?;
                let address = line.strip_prefix("listening tcp ").ok_or_else(|| process.last_complaint())?;
                return Ok(Running { address: address.parse()?, process });
            }
            How::Theirs(words) => {
                command.args(words.iter().map(|word| {
                    // Only where it is a word of its own, or part of an address.
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
        up.ok_or_else(|| io::Error::other("it does not come up"))?;
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

/// The program beside this one.
fn ours() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("roundtrip")
}
