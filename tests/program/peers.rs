//! Other people's tools as the other side: `nc`, `socat` and `ncat` as clients of `serve`, `socat` and `ncat`
//! as servers for `send` and `check`.

use std::process::Command;

use crate::common::{Running, Server, have, nobody, noise, roundtrip, run, run_with};

/// Those that there are on this system.
const DRIVERS: &[&str] = if cfg!(target_os = "linux") {
    &["std", "smol", "tokio", "reactor", "uring"]
} else {
    &["std", "smol", "tokio", "reactor"]
};

/// `tool`, told to send standard input, half-close, and print what comes back until the end.
fn client(tool: &str, server: &Server) -> Command {
    let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
    let mut command = Command::new(tool);
    match tool {
        "nc" => command.args(["-N", &host, &port]),
        // After the end of its input, socat waits half a second for the rest unless told otherwise.
        "socat" => command.args(["-t", "30", "-", &format!("TCP:{host}:{port}")]),
        _ => command.args([&host, &port]),
    };
    command
}

fn comes_back_through(tool: &str, bytes: &[u8]) {
    if !have(&[tool]) {
        return;
    }
    for driver in DRIVERS {
        let server = Server::start(&["--driver", driver]);
        let client = run_with(&mut client(tool, &server), bytes.to_vec());
        assert_eq!(client.code, Some(0), "{driver}: {}", client.stderr);
        assert!(client.bytes == bytes, "{driver}: {} of {} bytes came back", client.bytes.len(), bytes.len());
        let served = server.stop();
        assert!(served.code == Some(0) && served.stderr.contains(" 0 bytes lost"), "{driver}: {served:?}");
    }
}

#[test]
fn hello_comes_back_through_nc() {
    comes_back_through("nc", b"hello\n");
}

#[test]
fn hello_comes_back_through_socat() {
    comes_back_through("socat", b"hello\n");
}

#[test]
fn hello_comes_back_through_ncat() {
    comes_back_through("ncat", b"hello\n");
}

#[test]
fn ten_mebibytes_come_back_through_nc() {
    comes_back_through("nc", &noise(10 << 20));
}

#[test]
fn ten_mebibytes_come_back_through_socat() {
    comes_back_through("socat", &noise(10 << 20));
}

#[test]
fn ten_mebibytes_come_back_through_ncat() {
    comes_back_through("ncat", &noise(10 << 20));
}

/// The transcript of the tutorial's server, with a tool as its one client.
#[test]
fn nc_is_a_client_of_the_tutorials_server() {
    if !have(&["nc"]) {
        return;
    }
    let server = Server::start(&["--once", "--transcript"]);
    let client = run_with(&mut client("nc", &server), b"this is a test".to_vec());
    assert_eq!(client.stdout, "this is a test");
    let served = server.running.wait();
    assert_eq!(served.stdout, "Bytes received: 14\nBytes sent: 14\nConnection closing...\n");
    assert_eq!(served.code, Some(0));
}

/// A socat that listens on a free port and echoes with `echo`; it says which.
fn socat(echo: &str) -> Option<(Running, String)> {
    if !have(&["socat"]) {
        return None;
    }
    let mut command = Command::new("socat");
    command.args(["-d", "-d", "-t", "30", "TCP-LISTEN:0,bind=127.0.0.1,fork", echo]);
    let mut socat = Running::start(&mut command);
    loop {
        let line = socat.error_line();
        if let Some((_, address)) = line.split_once("listening on AF=2 ") {
            return Some((socat, address.to_owned()));
        }
    }
}

#[test]
fn socat_is_a_server_that_every_byte_comes_back_from() {
    for echo in ["EXEC:cat", "PIPE"] {
        let Some((_socat, address)) = socat(echo) else { return };
        let sent = run(&mut roundtrip(["send", &address]));
        assert_eq!(sent.stdout, "Bytes Sent: 14\nBytes received: 14\nConnection closed\n", "{echo}");
        assert_eq!(sent.code, Some(0), "{echo}");
        let checked = run(&mut roundtrip(["check", &address, "--bytes", "300kB"]));
        assert_eq!(checked.code, Some(0), "{echo}: {}", checked.stdout);
        assert!(checked.stdout.starts_with("ok  300,000 bytes back in order, clean end, "), "{echo}");
    }
}

/// `ncat --exec` loses what its command has not printed when its client half-closes (in 50 of 50 tries, but it
/// is a race): whether all came back is for it to decide, and for `check` to tell.
#[test]
fn what_ncat_loses_after_a_half_close_is_reported() {
    if !have(&["ncat"]) {
        return;
    }
    // Ncat does not say which port it got for 0.
    let address = nobody();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = Command::new("ncat");
    command.args(["-v", "--listen", "--keep-open", &host, &port, "--exec", "/bin/cat"]);
    let mut ncat = Running::start(&mut command);
    while !ncat.error_line().contains("Listening on") {}
    for _ in 0..5 {
        let checked = run(&mut roundtrip(["check", &address.to_string(), "--bytes", "300kB"]));
        let told = match checked.code {
            Some(0) => checked.stdout.starts_with("ok  "),
            Some(1) => {
                checked.stdout.starts_with("FAIL  peer closed early: ")
                    && checked.stdout.contains("every byte before it is right; FIN, not RST, ")
            }
            _ => false,
        };
        assert!(told, "{checked:?}");
    }
}
