//! The seed's own programs, compiled, against ours: in every pairing both sides print the same lines and end
//! with the same codes.
//!
//! They hard-code port 27015, so each test has a network namespace of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::common::namespace::Namespace;
use crate::common::{Finished, ROUNDTRIP, Running, have, noise, place, run, run_with};

/// Where the tutorial's programs listen and connect.
const PORT: u16 = 27015;

/// Whose program it is.
#[derive(Clone, Copy, Debug)]
enum By {
    Tutorial,
    Us,
}

use By::{Tutorial, Us};

/// The tutorial's programs.
struct Compiled {
    server: PathBuf,
    client: PathBuf,
}

/// What a test needs: the tutorial's programs, compiled once, and a network.
struct Stage {
    namespace: Namespace,
    compiled: &'static Compiled,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        static COMPILED: OnceLock<Compiled> = OnceLock::new();
        if !have(&["cc"]) {
            return None;
        }
        // Only IPv4 listens: the tutorial's server asks for that family.
        let namespace = Namespace::new(test, "::1 server-name\n127.0.0.1 server-name\n")?;
        Some(Self { namespace, compiled: COMPILED.get_or_init(compile) })
    }

    fn server(&self, by: By) -> Command {
        match by {
            Tutorial => self.namespace.command(&self.compiled.server),
            Us => {
                let mut command = self.namespace.command(ROUNDTRIP);
                command.args(["serve", "--once", "--transcript"]);
                command
            }
        }
    }

    fn client(&self, by: By) -> Command {
        match by {
            Tutorial => self.namespace.command(&self.compiled.client),
            Us => {
                let mut command = self.namespace.command(ROUNDTRIP);
                command.args(["send", "--transcript"]);
                command
            }
        }
    }

    /// A server that listens.
    fn listening(&self, by: By) -> Running {
        let server = Running::start(&mut self.server(by));
        self.namespace.wait_for_listener(PORT);
        server
    }
}

fn compile() -> Compiled {
    let [server, client] = ["server", "client"].map(|name| {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tutorial").join(name).with_extension("c");
        place(&format!("tutorial-{name}"), |file| {
            let cc = run(Command::new("cc")
                .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
                .arg(file)
                .arg(source));
            assert_eq!(cc.code, Some(0), "{}", cc.stderr);
        })
    });
    Compiled { server, client }
}

fn lines(finished: &Finished) -> (Option<i32>, Vec<&str>) {
    (finished.code, finished.stdout.lines().collect())
}

#[test]
fn every_pairing_of_server_and_client_prints_the_tutorials_lines() {
    for (server, client) in [(Tutorial, Tutorial), (Us, Tutorial), (Tutorial, Us), (Us, Us)] {
        let Some(stage) = Stage::new("pairing") else { return };
        let served = stage.listening(server);
        let sent = run(stage.client(client).arg("server-name"));
        let served = served.wait();
        let pair = format!("server by {server:?}, client by {client:?}");
        let expected = vec!["Bytes received: 14", "Bytes sent: 14", "Connection closing..."];
        assert_eq!(lines(&served), (Some(0), expected), "{pair}");
        let expected = vec!["Bytes Sent: 14", "Bytes received: 14", "Connection closed"];
        assert_eq!(lines(&sent), (Some(0), expected), "{pair}");
    }
}

#[test]
fn both_servers_receive_2000_bytes_in_the_same_pieces() {
    if !have(&["nc"]) {
        return;
    }
    let bytes = noise(2000);
    let transcripts = [Tutorial, Us].map(|by| {
        let stage = Stage::new("pieces")?;
        let server = stage.listening(by);
        let client =
            run_with(stage.namespace.command("nc").args(["-N", "127.0.0.1", "27015"]), bytes.clone());
        assert!(client.bytes == bytes, "{} bytes came back from {by:?}", client.bytes.len());
        Some(server.wait())
    });
    let [Some(theirs), Some(ours)] = transcripts else { return };
    assert_eq!(lines(&theirs), lines(&ours));
    assert_eq!(lines(&ours).1.iter().filter(|line| line.ends_with(" 512")).count(), 6);
}

/// More than was sent, less, and nothing.
#[test]
fn both_clients_print_whatever_comes_to_the_end() {
    if !have(&["nc"]) {
        return;
    }
    for answer in [2000, 14, 5, 0] {
        let transcripts = [Tutorial, Us].map(|by| {
            let stage = Stage::new("answers")?;
            let mut nc = stage.namespace.command("nc");
            let (server, mut input) = Running::start_to_feed(nc.args(["-N", "-l", "127.0.0.1", "27015"]));
            stage.namespace.wait_for_listener(PORT);
            std::io::Write::write_all(&mut input, &noise(answer)).unwrap();
            drop(input);
            let sent = run(stage.client(by).arg("server-name"));
            assert_eq!(server.wait().stdout, "this is a test", "{by:?}");
            Some(sent)
        });
        let [Some(theirs), Some(ours)] = transcripts else { return };
        assert_eq!(lines(&theirs), lines(&ours));
        assert_eq!(
            lines(&theirs).1.iter().filter(|line| line.starts_with("Bytes r")).count(),
            answer.div_ceil(512)
        );
    }
}

#[test]
fn both_servers_refuse_a_port_in_use_with_the_same_line() {
    let Some(stage) = Stage::new("in-use") else { return };
    for first in [Tutorial, Us] {
        let taken = stage.listening(first);
        for second in [Tutorial, Us] {
            let refused = run(&mut stage.server(second));
            let expected = (Some(1), vec!["bind failed with error: 98"]);
            assert_eq!(lines(&refused), expected, "{second:?} after {first:?}");
        }
        drop(taken);
    }
}

#[test]
fn both_clients_say_the_same_where_nobody_listens_or_nothing_is_given() {
    let Some(stage) = Stage::new("nobody") else { return };
    for by in [Tutorial, Us] {
        let alone = run(stage.client(by).arg("server-name"));
        assert_eq!(lines(&alone), (Some(1), vec!["Unable to connect to server!"]), "{by:?}");
        let mute = run(&mut stage.client(by));
        let program = match by {
            Tutorial => stage.compiled.client.display().to_string(),
            Us => ROUNDTRIP.to_owned(),
        };
        assert_eq!(lines(&mute), (Some(1), vec![&*format!("usage: {program} server-name")]), "{by:?}");
    }
}
