//! Where `serve` listens and `check` connects, besides TCP: Unix sockets, standard input, and what a service manager
//! passes on.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::common::{
    Finished, Running, Signal, after, have, noise, poll, roundtrip, run, run_with, with_every_driver,
};

/// A path for a socket, removed with what is there.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("roundtrip-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder.join("echo.sock"))
    }

    fn endpoint(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    fn connect(&self) -> UnixStream {
        bounded(UnixStream::connect(&self.0).unwrap())
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// The same stream, with an end to each wait.
fn bounded(stream: UnixStream) -> UnixStream {
    stream.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    stream.set_write_timeout(Some(crate::common::PATIENCE)).unwrap();
    stream
}

/// `roundtrip serve` on this driver.
fn serve(driver: &str, args: &[&str]) -> Command {
    roundtrip(["serve", "--driver", driver].iter().chain(args))
}

with_every_driver! {
    a_path_is_served_checked_and_left_clean
    a_server_that_was_killed_leaves_a_path_that_the_next_one_takes
    tcp_a_path_and_a_name_are_served_at_once
    packets_are_served_and_checked_like_a_stream
    users_are_sources
    a_listener_that_was_passed_on_is_served
    #[cfg(target_os = "linux")] connections_of_a_listener_that_was_passed_on_are_probed_as_asked
}

#[track_caller]
fn assert_verified(endpoint: &str) {
    let Finished { code, stdout, stderr, .. } = run(&mut roundtrip(["check", endpoint, "--bytes", "1MB"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("ok  1,000,000 bytes back in order, clean end"), "{stdout}");
}

#[track_caller]
fn assert_drained(running: Running) {
    running.signal(Signal::TERM);
    let finished = running.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains(" 0 bytes lost"), "{}", finished.stderr);
}

fn a_path_is_served_checked_and_left_clean(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "path"));
    let mut running = Running::start(&mut serve(driver, &[&format!("{},mode=0600", path.endpoint())]));
    assert_eq!(running.line(), format!("listening unix {}", path.0.display()));
    assert_eq!(fs::metadata(&path.0).unwrap().mode() & 0o777, 0o600);
    assert_verified(&path.endpoint());
    assert_drained(running);
    assert!(!path.0.exists());
}

fn a_server_that_was_killed_leaves_a_path_that_the_next_one_takes(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "killed"));
    let mut first = Running::start(&mut serve(driver, &[&path.endpoint()]));
    first.line();
    first.signal(Signal::KILL);
    assert_eq!(first.wait().code, None);
    assert!(path.0.exists());
    let mut second = Running::start(&mut serve(driver, &[&path.endpoint()]));
    second.line();
    // And the third leaves the second alone.
    let third = run(&mut serve(driver, &[&path.endpoint()]));
    assert_eq!(third.code, Some(4), "{}", third.stderr);
    assert_verified(&path.endpoint());
    assert_drained(second);
}

fn tcp_a_path_and_a_name_are_served_at_once(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "all"));
    let name = format!("unix:@roundtrip-{}-{driver}", std::process::id());
    let mut running =
        Running::start(&mut serve(driver, &["127.0.0.1:0", &path.endpoint(), &name, "[::]:0,v6only=no"]));
    for _ in 0..4 {
        let line = running.line();
        assert_verified(&line.strip_prefix("listening ").unwrap().replacen(' ', ":", 1));
    }
    assert_drained(running);
}

/// However a stream is cut into packets, and however they are read.
fn packets_are_served_and_checked_like_a_stream(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "packets"));
    let name = format!("unix:@roundtrip-{}-{driver}-packets,type=seqpacket", std::process::id());
    let endpoint = format!("{},mode=0600,type=seqpacket", path.endpoint());
    let mut command = serve(driver, &[&endpoint, &name]);
    if driver == "uring" {
        let refused = run(&mut command);
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{}", refused.stderr);
        assert!(refused.stderr.ends_with("receive packets piece by piece\n  try: choose --driver reactor\n"));
        return;
    }
    let mut running = Running::start(&mut command);
    assert_eq!(running.line(), format!("listening unix {},type=seqpacket", path.0.display()));
    running.line();
    let small = ["--bytes", "3001"];
    for options in [
        &["--bytes", "10MB"][..],
        &["--bytes", "1MB", "-c", "4", "--socket-buffer", "1"],
        &["--bytes", "1MB", "--window", "1MB", "--write", "1MB", "--read", "4099"],
        &["--bytes", "100kB", "--window", "100kB", "--write", "65537", "--read", "7"],
        &[small, ["--write", "1"], ["--read", "7"]].concat(),
        &[small, ["--write", "701"], ["--read", "1"]].concat(),
        &[small, ["--half-close", "off"]].concat(),
        &["--bytes", "1"],
    ] {
        for endpoint in [&endpoint, &name] {
            let args = ["check", endpoint, "--driver", driver];
            let Finished { code, stdout, stderr, .. } = run(&mut roundtrip(args.iter().chain(options)));
            assert_eq!((code, &*stderr), (Some(0), ""), "{options:?}: {stdout}");
        }
    }
    assert_drained(running);
    assert!(!path.0.exists());
}

fn users_are_sources(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "users"));
    let mut running = Running::start(&mut serve(driver, &[&path.endpoint(), "--max-per-source", "1"]));
    running.line();
    let mut first = path.connect();
    first.write_all(b"x").unwrap();
    first.read_exact(&mut [0]).unwrap();
    // Turned away: the end comes before a byte.
    assert_eq!(path.connect().read(&mut [0]).unwrap_or(0), 0);
    drop(first);
    poll("a place is free again", || {
        let mut again = path.connect();
        again.write_all(b"x").ok()?;
        again.read_exact(&mut [0]).ok()
    });
    assert_drained(running);
}

#[test]
fn a_pipe_has_its_bytes_back() {
    let bytes = noise(1_000_000);
    let Finished { code, bytes: back, stderr, .. } =
        run_with(&mut roundtrip(["serve", "stdio:"]), bytes.clone());
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert!(back == bytes, "{} of {}", back.len(), bytes.len());
}

/// As inetd(8) starts it: the connection for input, output and error.
fn super_served() -> (Running, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    let end = || Stdio::from(OwnedFd::from(there.try_clone().unwrap()));
    let child = roundtrip(["serve", "stdio:"]).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    (Running::of(child), bounded(here))
}

#[test]
fn a_super_servers_child_echoes_to_the_end_and_says_nothing_else() {
    let (running, mut here) = super_served();
    let bytes = noise(300_000);
    let mut writer = here.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        here.read_to_end(&mut back).unwrap();
        assert!(back == bytes, "{} of {}", back.len(), bytes.len());
    });
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_super_servers_child_drains_on_a_signal() {
    let (running, mut here) = super_served();
    here.write_all(b"x").unwrap();
    here.read_exact(&mut [0]).unwrap();
    here.write_all(b"still echoed").unwrap();
    running.signal(Signal::TERM);
    let mut back = String::new();
    here.read_to_string(&mut back).unwrap();
    assert_eq!(back, "still echoed");
    drop(here);
    assert_eq!(running.wait().code, Some(0));
}

/// `roundtrip serve systemd:` with standard input passed on as `LISTEN_FDS` says.
fn with_passed(driver: &str, socket: impl Into<OwnedFd>, options: &[&str]) -> Command {
    let args = [&["serve", "--driver", driver, "systemd:"], options].concat();
    let mut command = after("export LISTEN_PID=$$ LISTEN_FDS=1;", &args, "3<&0 </dev/null");
    command.stdin(Stdio::from(socket.into()));
    command
}

fn a_listener_that_was_passed_on_is_served(driver: &str) {
    let path = SocketPath::new(&format!("{driver}-{}", "passed"));
    let listener = UnixListener::bind(&path.0).unwrap();
    let mut running = Running::start_with_input(&mut with_passed(driver, listener, &[]));
    assert_eq!(running.line(), format!("listening unix {}", path.0.display()));
    assert_verified(&path.endpoint());
    assert_drained(running);
    // It is not ours to remove.
    assert!(path.0.exists());
}

/// The timer that a connection's server has, as ss(8) shows it.
#[cfg(target_os = "linux")]
fn timer(client: &std::net::TcpStream) -> String {
    let (server, client) = (client.peer_addr().unwrap().port(), client.local_addr().unwrap().port());
    let mut ss = Command::new("ss");
    ss.args(["-tnoH", "state", "established", "sport", "=", &format!(":{server}"), "and"]);
    ss.args(["dport", "=", &format!(":{client}")]);
    let output = ss.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(target_os = "linux")]
fn connections_of_a_listener_that_was_passed_on_are_probed_as_asked(driver: &str) {
    if !have(&["ss"]) {
        return;
    }
    for (options, is_probed) in
        [(&[][..], true), (&["--keepalive", "9h"], true), (&["--keepalive", "off"], false)]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let running = Running::start_with_input(&mut with_passed(driver, listener, options));
        let mut client = crate::common::connect(address);
        crate::common::ping(&mut client).unwrap();
        let told = timer(&client);
        assert!(told.contains(&format!(":{} ", address.port())), "{told}");
        assert_eq!(told.contains("timer:(keepalive,"), is_probed, "{options:?}: {told}");
        drop(client);
        assert_drained(running);
    }
}

/// inetd(8) passes a connection.
#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_was_passed_on_is_probed_as_asked() {
    if !have(&["ss"]) {
        return;
    }
    for (options, is_probed) in [(&[][..], true), (&["--keepalive", "off"], false)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = crate::common::connect(listener.local_addr().unwrap());
        let (server, _) = listener.accept().unwrap();
        let end = || Stdio::from(OwnedFd::from(server.try_clone().unwrap()));
        let mut command = roundtrip(["serve", "stdio:"].iter().chain(options));
        let running = Running::of(command.stdin(end()).stdout(end()).spawn().unwrap());
        drop((command, server));
        crate::common::ping(&mut client).unwrap();
        let told = timer(&client);
        assert_eq!(told.contains("timer:(keepalive,"), is_probed, "{options:?}: {told}");
        drop(client);
        assert_eq!(running.wait().code, Some(0));
    }
}

#[test]
fn what_was_passed_on_and_is_no_listener_is_refused() {
    let (connected, _peer) = UnixStream::pair().unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    for fd in [OwnedFd::from(connected), OwnedFd::from(datagrams), OwnedFd::from(file)] {
        let Finished { code, stderr, .. } =
            Running::start_with_input(&mut with_passed("std", fd, &[])).wait();
        assert_eq!(code, Some(4), "{stderr}");
        assert!(stderr.contains("descriptor 3 is no listening stream socket"), "{stderr}");
    }
    let Finished { code, stderr, .. } = run(&mut roundtrip(["serve", "systemd:"]));
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("no socket was passed"), "{stderr}");
}

/// The number is what a stranger may have set: memory for so many is not taken.
#[test]
fn more_sockets_than_were_passed_on_are_refused() {
    let file = fs::File::open("/dev/null").unwrap();
    for count in ["2147483647", "200000000", "2"] {
        let before = format!("ulimit -v 1000000; export LISTEN_PID=$$ LISTEN_FDS={count};");
        let mut command = after(&before, &["serve", "systemd:"], "3<&0 </dev/null");
        command.stdin(Stdio::from(file.try_clone().unwrap()));
        let Finished { code, stderr, .. } = Running::start_with_input(&mut command).wait();
        assert_eq!(code, Some(4), "{stderr}");
        assert!(stderr.contains(&format!("LISTEN_FDS={count}, and descriptor ")), "{stderr}");
    }
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let path = SocketPath::new("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path.0).unwrap();
    manager.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let size = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..size].to_vec()).unwrap()
    };
    let running = Running::start(roundtrip(["serve", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path.0));
    assert_eq!(told().trim_end(), "READY=1");
    running.signal(Signal::TERM);
    assert_eq!(told().trim_end(), "STOPPING=1");
    assert_eq!(running.wait().code, Some(0));
}

/// The real thing, where it is there.
#[test]
fn the_service_managers_own_tool_passes_what_is_understood() {
    if !have(&["systemd-socket-activate"]) {
        return;
    }
    let path = SocketPath::new("activated");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(&path.0).args([crate::common::ROUNDTRIP, "serve", "systemd:"]);
    let running = Running::start(&mut command);
    poll("the manager listens", || path.0.exists().then_some(()));
    assert_verified(&path.endpoint());
    assert_drained(running);
}
