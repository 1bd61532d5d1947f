//! The program as it is built for Windows, from outside, under wine: the Winsock tutorial's own two programs against it, in
//! every pairing; Linux on the other side of a connection, of datagrams, and among those who hear a message; a pipe; and
//! Ctrl-C.
//!
//! `.ci/windows.sh` builds what these tests run, and runs them: it alone has the program for Windows, as `ROUNDTRIP_EXE`, and a
//! wine prefix that is made, as `WINEPREFIX`. They are tests of Linux, because networks of their own and signals are: the
//! tutorial's programs hard-code port 27015, and wine makes a Ctrl-C of SIGINT.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use roundtrip_testkit::pki::Authority;

use crate::common::namespace::Namespace;
use crate::common::{Finished, Running, Server, have, noise, ping, place, roundtrip, run, run_with};

/// Where the tutorial's programs listen and connect.
const PORT: u16 = 27015;

/// Of the environment that `.ci/windows.sh` sets.
fn given(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: `.ci/windows.sh` runs these tests")).into()
}

/// Whose program it is.
#[derive(Clone, Copy, Debug)]
enum By {
    Tutorial,
    Us,
}

use By::{Tutorial, Us};

/// The programs for Windows.
struct Programs {
    server: PathBuf,
    client: PathBuf,
    ours: PathBuf,
}

fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let [server, client] = ["server", "client"].map(|name| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tutorial/winsock");
            place(&format!("winsock-{name}.exe"), |file| {
                let mut cc = Command::new("x86_64-w64-mingw32-gcc");
                cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(file);
                let cc = run(cc.arg(folder.join(name).with_extension("c")).arg("-lws2_32"));
                assert_eq!(cc.code, Some(0), "{}", cc.stderr);
            })
        });
        Programs { server, client, ours: given("ROUNDTRIP_EXE") }
    })
}

/// A wine of a test's own, with a server process of its own: that is what has the sockets, and whoever finds it running uses
/// it, whatever network it is in. The drives are shared with the prefix that is given.
struct Wine {
    prefix: PathBuf,
}

impl Wine {
    fn new(test: &str) -> Self {
        let given = given("WINEPREFIX");
        let name = format!("wine-{test}-{}", std::process::id());
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&prefix).unwrap();
        for shared in ["dosdevices", "drive_c"] {
            std::os::unix::fs::symlink(given.join(shared), prefix.join(shared)).unwrap();
        }
        for own in ["system.reg", "user.reg", "userdef.reg", ".update-timestamp"] {
            fs::copy(given.join(own), prefix.join(own)).unwrap();
        }
        Self { prefix }
    }

    /// The arguments that `env` starts such a program with.
    fn env(&self, program: &Path) -> [String; 5] {
        let prefix = format!("WINEPREFIX={}", self.prefix.display());
        let program = program.display().to_string();
        [prefix, "WINEDEBUG=-all".into(), "DISPLAY=".into(), "wine".into(), program]
    }

    /// Our program, with these arguments, in the network of this process.
    fn ours<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("env");
        command.args(self.env(&programs().ours)).args(args);
        command
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // All that runs in this prefix, and nothing else.
        let _ = Command::new("wineserver").arg("-k").env("WINEPREFIX", &self.prefix).status();
        let _ = fs::remove_dir_all(&self.prefix);
    }
}

/// What a pairing needs: a wine in a network of its own.
struct Stage {
    wine: Wine,
    namespace: Namespace,
}

impl Stage {
    fn new(test: &str) -> Self {
        // Only IPv4 listens: the tutorial's server asks for that family.
        let namespace = Namespace::new(test, "::1 server-name\n127.0.0.1 server-name\n");
        let namespace = namespace.expect("a network namespace: `.ci/windows.sh` runs as root");
        Self { wine: Wine::new(test), namespace }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.namespace.command("env");
        command.args(self.wine.env(program));
        command
    }

    fn server(&self, by: By) -> Command {
        match by {
            Tutorial => self.command(&programs().server),
            Us => {
                let mut command = self.command(&programs().ours);
                command.args(["serve", "--once", "--transcript"]);
                command
            }
        }
    }

    fn client(&self, by: By) -> Command {
        match by {
            Tutorial => self.command(&programs().client),
            Us => {
                let mut command = self.command(&programs().ours);
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

fn lines(finished: &Finished) -> (Option<i32>, Vec<&str>) {
    (finished.code, finished.stdout.lines().collect())
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn every_pairing_of_server_and_client_prints_the_tutorials_lines() {
    let stage = Stage::new("pairing");
    for (server, client) in [(Tutorial, Tutorial), (Us, Tutorial), (Tutorial, Us), (Us, Us)] {
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
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn both_servers_receive_2000_bytes_in_the_same_pieces() {
    assert!(have(&["nc"]));
    let bytes = noise(2000);
    let stage = Stage::new("pieces");
    let [theirs, ours] = [Tutorial, Us].map(|by| {
        let server = stage.listening(by);
        let client =
            run_with(stage.namespace.command("nc").args(["-N", "127.0.0.1", "27015"]), bytes.clone());
        assert!(client.bytes == bytes, "{} bytes came back from {by:?}", client.bytes.len());
        server.wait()
    });
    assert_eq!(lines(&theirs), lines(&ours));
    assert_eq!(lines(&ours).1.iter().filter(|line| line.ends_with(" 512")).count(), 6);
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn both_servers_refuse_a_port_in_use_with_the_same_line() {
    for first in [Tutorial, Us] {
        // One for each: wine closes the sockets of a program that was killed some time later.
        let stage = Stage::new("in-use");
        let _taken = stage.listening(first);
        for second in [Tutorial, Us] {
            let refused = run(&mut stage.server(second));
            let expected = (Some(1), vec!["bind failed with error: 10048"]);
            assert_eq!(lines(&refused), expected, "{second:?} after {first:?}");
        }
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn both_clients_say_the_same_where_nobody_listens_or_nothing_is_given() {
    let stage = Stage::new("nobody");
    for by in [Tutorial, Us] {
        let alone = run(stage.client(by).arg("server-name"));
        assert_eq!(
            lines(&alone),
            (Some(1), vec!["Unable to connect to server!"]),
            "{by:?}: {}",
            alone.stderr
        );
        let mute = run(&mut stage.client(by));
        let program = match by {
            Tutorial => &programs().client,
            Us => &programs().ours,
        };
        // As wine names a file of the system.
        let program = format!("Z:{}", program.display()).replace('/', "\\");
        assert_eq!(lines(&mute), (Some(1), vec![&*format!("usage: {program} server-name")]), "{by:?}");
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn every_byte_comes_back_between_windows_and_linux() {
    let wine = Wine::new("between");
    for driver in ["std", "smol"] {
        let theirs = Server::of(&mut wine.ours(["serve", "127.0.0.1:0", "--driver", driver]));
        let address = theirs.address.to_string();
        let here = run(&mut roundtrip(["check", &address, "-c", "5", "--bytes", "1MB"]));
        assert_eq!(here.code, Some(0), "{driver}: {here:?}");
        theirs.running.signal(crate::common::Signal::INT);
        assert_eq!(theirs.running.wait().code, Some(0));
        let ours = Server::start(&[]);
        let address = ours.address.to_string();
        let there = run(&mut wine.ours(["check", &address, "--driver", driver, "-c", "5", "--bytes", "1MB"]));
        assert_eq!(there.code, Some(0), "{driver}: {there:?}");
        assert_eq!(ours.stop().code, Some(0));
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn every_message_of_a_load_comes_back_to_windows() {
    let wine = Wine::new("load");
    let server = Server::start(&[]);
    let address = server.address.to_string();
    for driver in ["std", "smol"] {
        let options = ["--count", "1000", "-c", "5", "--driver", driver];
        let loaded = run(&mut wine.ours(["load", &address].iter().chain(&options)));
        assert_eq!(loaded.code, Some(0), "{driver}: {loaded:?}");
        assert!(loaded.stdout.starts_with("ok  1,000 messages of 64 bytes back in order"), "{loaded:?}");
    }
    assert_eq!(server.stop().code, Some(0));
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn every_byte_comes_back_over_tls_between_windows_and_linux() {
    let wine = Wine::new("tls");
    let authority = Authority::new();
    let signed = authority.server();
    let [ca, cert, key] =
        [("ca", &authority.pem), ("cert", &signed.certificate), ("key", &signed.key)].map(|(name, pem)| {
            let file = wine.prefix.join(name);
            fs::write(&file, pem).unwrap();
            file.into_os_string().into_string().unwrap()
        });
    let serve = ["serve", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let check = |address: &str| ["check", address, "--bytes", "1MB", "--tls-ca", &ca].map(ToOwned::to_owned);

    let theirs = Server::of(&mut wine.ours(serve));
    let here = run(&mut roundtrip(check(&theirs.address.to_string())));
    assert!(here.code == Some(0) && here.stdout.contains("back in order over TLS"), "{here:?}");
    theirs.running.signal(crate::common::Signal::INT);
    assert_eq!(theirs.running.wait().code, Some(0));

    let ours = Server::of(&mut roundtrip(serve));
    let there = run(&mut wine.ours(check(&ours.address.to_string())));
    assert!(there.code == Some(0) && there.stdout.contains("back in order over TLS"), "{there:?}");
    assert_eq!(ours.stop().code, Some(0));
}

/// A server of datagrams under wine or here, and where.
fn serving(command: &mut Command) -> (Running, String) {
    let mut running = Running::start(command);
    let line = running.line();
    let bound = line.strip_prefix("listening udp ").unwrap_or_else(|| panic!("{line}"));
    (running, format!("udp:{bound}"))
}

/// What a server says at its end of all that came.
fn assert_ends(server: Running, said: &str) {
    server.signal(crate::common::Signal::INT);
    let served = server.wait();
    assert!(served.code == Some(0) && served.stderr.ends_with(said), "{said}: {served:?}");
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn every_datagram_comes_back_between_windows_and_linux() {
    // No more under way than a socket's queue has room for.
    const CHECK: &[&str] = &["--window", "8kB", "--bytes", "1MB"];
    const LOAD: &[&str] = &["--count", "2000", "-c", "4"];
    let wine = Wine::new("datagrams");
    let mut anywhere = vec!["udp:127.0.0.1:0"];
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        anywhere.push("udp:[::1]:0");
    }
    let assert_ok = |check: Finished, load: Finished| {
        let told = "ok  834 datagrams of 1,200 bytes back, once and in order, ";
        assert!(check.code == Some(0) && check.stdout.starts_with(told), "{check:?}");
        assert!(
            load.code == Some(0) && load.stdout.starts_with("ok  2,000 datagrams of 64 bytes"),
            "{load:?}"
        );
    };
    for at in anywhere {
        for driver in ["std", "smol"] {
            let on = ["--driver", driver];
            let serve = [&["serve", at, "--max-rate", "off"][..], &on].concat();
            let (theirs, bound) = serving(&mut wine.ours(&serve));
            assert_ok(
                run(roundtrip(["check", &bound]).args(CHECK)),
                run(roundtrip(["load", &bound]).args(LOAD)),
            );
            assert_ends(theirs, &format!("{bound}: 2,834 came, 2,834 echoed\n"));
            let (ours, bound) = serving(&mut roundtrip(["serve", at, "--max-rate", "off"]));
            assert_ok(
                run(wine.ours(["check", &bound]).args(on).args(CHECK)),
                run(wine.ours(["load", &bound]).args(on).args(LOAD)),
            );
            assert_ends(ours, &format!("{bound}: 2,834 came, 2,834 echoed\n"));
        }
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn a_well_known_port_is_not_answered_from_windows() {
    assert!(have(&["socat"]));
    for driver in ["std", "smol"] {
        let stage = Stage::new("well-known");
        let mut serve = stage.command(&programs().ours);
        let (mut server, bound) = serving(serve.args(["serve", "udp:127.0.0.1:7007", "--driver", driver]));
        let ask = |port: u16| {
            let mut command = stage.namespace.command("socat");
            command.args(["-t", "0.2", "-", &format!("UDP4:127.0.0.1:7007,bind=127.0.0.2:{port}")]);
            run_with(&mut command, b"hello?".to_vec()).stdout
        };
        assert_eq!(ask(7), "");
        let line = server.error_line();
        assert!(line.contains("not answered: 127.0.0.2:7, a well-known port"), "{line}");
        assert_eq!(ask(7007), "");
        assert_eq!(ask(40_000), "hello?");
        assert_ends(server, &format!("{bound}: 3 came, 1 echoed, 2 not answered\n"));
    }
}

/// Two hosts with a wire between them; on the left one there is Windows beside Linux.
#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn what_is_posted_is_heard_by_windows_and_linux() {
    let left = Stage::new("posted-left");
    let right = Namespace::new("posted-right", "127.0.0.1 localhost\n");
    let right = right.expect("a network namespace: `.ci/windows.sh` runs as root");
    left.namespace.wire_to(&right);
    let windows = || left.command(&programs().ours);
    let linux = |at: &Namespace| at.command(crate::common::ROUNDTRIP);
    for (on_the_left, on_the_right) in [
        ("udp:239.1.2.3:7007,if=192.0.2.1", "udp:239.1.2.3:7007,if=192.0.2.2"),
        ("udp:192.0.2.255:7007,broadcast", "udp:192.0.2.255:7007,broadcast"),
    ] {
        for (mut post, to) in
            [(windows(), on_the_left), (linux(&left.namespace), on_the_left), (linux(&right), on_the_right)]
        {
            let listeners = [
                (windows(), on_the_left),
                (windows(), on_the_left),
                (linux(&left.namespace), on_the_left),
                (linux(&right), on_the_right),
            ];
            let listeners = listeners.map(|(mut command, endpoint)| {
                let mut listener = Running::start(command.args(["listen", endpoint, "--once"]));
                let line = listener.error_line();
                assert!(line.starts_with("listening udp "), "{line}");
                listener
            });
            let posted = run(post.args(["post", to, "--count", "50"]));
            assert_eq!(posted.code, Some(0), "{posted:?}");
            for listener in listeners {
                let heard = listener.wait();
                assert_eq!((heard.code, heard.stdout.lines().count()), (Some(0), 50), "{to}: {heard:?}");
                assert!(heard.stderr.contains("50 of 50 messages came, each once and in order"), "{heard:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn a_pipe_has_its_bytes_back_from_windows() {
    let wine = Wine::new("pipe");
    let bytes = noise(1_000_000);
    let served = run_with(&mut wine.ours(["serve", "stdio:"]), bytes.clone());
    assert_eq!((served.code, &*served.stderr), (Some(0), ""));
    assert!(served.bytes == bytes, "{} of {}", served.bytes.len(), bytes.len());
}

/// The clients go on for as long as they like after the Ctrl-C, and have every byte back.
#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn ctrl_c_ends_a_server_when_its_clients_are_done() {
    let wine = Wine::new("ctrl-c");
    for driver in ["std", "smol"] {
        let mut server = Server::of(&mut wine.ours(["serve", "127.0.0.1:0", "--driver", driver]));
        let mut clients = [(); 5].map(|()| server.connect());
        for client in &mut clients {
            ping(client).unwrap();
        }
        server.running.signal(crate::common::Signal::INT);
        let line = server.running.error_line();
        assert!(line.starts_with("draining: 5 connections, deadline 10s"), "{line}");
        for mut client in clients {
            ping(&mut client).unwrap();
            client.write_all(b"the last").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut back = String::new();
            std::io::Read::read_to_string(&mut client, &mut back).unwrap();
            assert_eq!(back, "the last");
        }
        let served = server.running.wait();
        assert!(served.code == Some(0) && served.stderr.contains("5 closed, 0 bytes lost"), "{served:?}");
    }
}

#[test]
#[ignore = "needs wine: `.ci/windows.sh` runs it"]
fn a_second_ctrl_c_forces_the_end() {
    let wine = Wine::new("second");
    for driver in ["std", "smol"] {
        let args = ["serve", "127.0.0.1:0", "--driver", driver, "--drain", "1h"];
        let mut server = Server::of(&mut wine.ours(args));
        // It takes nothing, and so the server has bytes for it that it cannot be rid of.
        let mut stuck = server.connect();
        stuck.set_write_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        while stuck.write(&[0; 1 << 14]).is_ok() {}
        server.running.signal(crate::common::Signal::INT);
        let line = server.running.error_line();
        assert!(line.starts_with("draining: 1 connection"), "{line}");
        server.running.signal(crate::common::Signal::INT);
        let served = server.running.wait();
        assert_eq!(served.code, Some(3), "{served:?}");
        assert!(served.stderr.contains(": aborted, "), "{served:?}");
    }
}
