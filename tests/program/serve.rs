//! `serve` with many clients, at its limits, and while it is stopped: nobody loses a byte for what another
//! does.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::{
    ROUNDTRIP, Server, Signal, after, bounded, have, noise, ping, poll, reset, round_trip, with_every_driver,
};
use rustix::process::Pid;
#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, prlimit};

with_every_driver! {
    fifty_clients_at_once_each_have_every_byte_back
    every_endpoint_is_listened_on_and_announced_on_its_own_line
    a_reset_ends_one_connection_only
    a_client_that_never_reads_is_held_back_in_bounded_memory
    once_serves_one_client_and_ends
    a_second_client_from_one_source_is_refused_while_the_first_is_there
    clients_over_max_conns_wait_for_a_place
    two_hundred_clients_share_sixty_four_descriptors
    #[cfg(target_os = "linux")] a_server_out_of_descriptors_goes_on_and_recovers
    a_signal_ends_an_idle_server_well
    a_signal_amid_twenty_transfers_costs_no_byte
    a_second_signal_forces_the_end
    a_drain_ends_at_its_deadline_and_counts_what_is_lost
    an_idle_client_is_closed_and_a_busy_one_is_not
    a_standard_error_that_nobody_reads_holds_up_neither_clients_nor_signals
    #[cfg(target_os = "linux")] a_client_whose_host_vanished_lost_nothing
    refused_connections_are_logged_and_counted
    a_closed_terminal_drains
    what_comes_after_the_cut_is_refused_and_not_lost
}

#[test]
fn signals_that_are_no_stop_are_answered_and_the_server_goes_on() {
    if !have(&["setsid"]) {
        return;
    }
    // What runs the tests may have been started by nohup(1).
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,QUIT", "setsid", ROUNDTRIP, "serve", "127.0.0.1:0"]);
    let mut server = Server::of(&mut command);
    let mut client = server.connect();
    ping(&mut client).unwrap();
    server.running.signal(Signal::USR1);
    let counters = server.running.error_line();
    assert!(counters.starts_with("counters: 1 open, 0 closed, 0 refused"), "{counters}");
    server.running.signal(Signal::HUP);
    assert_eq!(server.running.error_line(), "SIGHUP: nothing to reload");
    ping(&mut client).unwrap();
    drop(client);
    server.running.signal(Signal::QUIT);
    let finished = server.running.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn nohup_keeps_its_meaning() {
    let mut server = Server::of(&mut after("trap '' HUP;", &["serve", "127.0.0.1:0"], ""));
    server.running.signal(Signal::HUP);
    server.running.signal(Signal::USR1);
    assert!(server.running.error_line().starts_with("counters: "), "the other signal was ignored");
    assert_eq!(server.stop().code, Some(0));
}

/// The terminal is closed while a client is sending.
fn a_closed_terminal_drains(driver: &str) {
    if !have(&["script"]) {
        return;
    }
    let mut command = Command::new("env");
    let serve = format!("stty -opost; exec {ROUNDTRIP} serve 127.0.0.1:0 --driver {driver} 2>/dev/null");
    // Its own standard input must not end.
    command
        .args([
            "--default-signal=HUP",
            "script",
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &serve,
            "/dev/null",
        ])
        .stdin(Stdio::piped());
    let mut server = Server::of(&mut command);
    let mut client = server.connect();
    ping(&mut client).unwrap();
    server.running.kill();
    let bytes = noise(100_000);
    assert!(round_trip(client, &bytes).unwrap() == bytes);
}

/// It got its whole echo and acknowledged it; our FIN is answered with RST.
#[cfg(target_os = "linux")]
fn a_client_whose_host_vanished_lost_nothing(driver: &str) {
    use crate::common::{Running, namespace::Namespace};
    if !have(&["socat"]) {
        return;
    }
    let hosts = "127.0.0.1 localhost\n";
    let Some(here) = Namespace::new(&format!("vanish-{driver}"), hosts) else { return };
    let Some(there) = Namespace::new(&format!("vanished-{driver}"), hosts) else { return };
    here.wire_to(&there);
    let serve = ["serve", "192.0.2.1:0", "--driver", driver, "--drain", "1s"];
    let mut server = Running::start(here.command(ROUNDTRIP).args(serve));
    let address = server.line().replace("listening tcp ", "TCP:");
    let (mut client, mut stdin) = Running::start_to_feed(there.command("socat").args(["-", &address]));
    stdin.write_all(b"hello\n").unwrap();
    assert_eq!(client.line(), "hello");
    let port = address.rsplit(':').next().unwrap().to_owned();
    poll("the echo is acknowledged", || {
        let output = here.command("ss").args(["-tnH", "sport", "=", &format!(":{port}")]).output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        table.lines().any(|line| line.split_whitespace().nth(2) == Some("0")).then_some(())
    });
    assert!(here.command("ip").args(["link", "delete", "wire"]).status().unwrap().success());
    client.kill();
    drop(there);
    // Another host has its address: it answers our FIN with RST.
    let Some(other) = Namespace::new(&format!("after-{driver}"), hosts) else { return };
    here.wire_to(&other);
    server.signal(Signal::TERM);
    let finished = server.wait();
    assert!(finished.code == Some(0) && finished.stderr.contains(": 1 closed, 0 bytes lost"), "{finished:?}");
}

/// It is silent until it is cut off, reads the end, and then goes on sending.
fn what_comes_after_the_cut_is_refused_and_not_lost(driver: &str) {
    let server = Server::start(&["--driver", driver]);
    let mut client = server.connect();
    ping(&mut client).unwrap();
    server.running.signal(Signal::TERM);
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server half-closes");
    client.write_all(&noise(100_000)).unwrap();
    drop(client);
    let finished = server.running.wait();
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.ends_with(": 1 closed, 0 bytes lost, 100,000 bytes refused"), "{}", finished.stderr);
    assert!(finished.stderr.contains(": cut off while it was sending, 100,000 bytes refused"), "{last}");
    assert_eq!(finished.code, Some(0));
}

fn refused_connections_are_logged_and_counted(driver: &str) {
    let server = Server::start(&["--driver", driver, "--max-per-source", "1"]);
    let mut first = server.connect();
    ping(&mut first).unwrap();
    for _ in 0..50 {
        assert!(is_refused(server.connect()));
    }
    drop(first);
    let finished = server.stop();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines = finished.stderr.matches(": refused: ").count();
    assert!((1..10).contains(&lines), "{}", finished.stderr);
    let total = format!("{} more refused connections", 50 - lines);
    assert!(lines > 1 || finished.stderr.contains(&total), "{}", finished.stderr);
}

/// Whether this client was turned away: its connection ends before a byte comes back.
fn is_refused(stream: TcpStream) -> bool {
    match ping(&mut bounded(stream)) {
        Ok(()) => false,
        Err(error) => {
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "neither nor");
            true
        }
    }
}

fn fifty_clients_at_once_each_have_every_byte_back(driver: &str) {
    let server = Server::start(&["--driver", driver]);
    let bytes = noise(200_000 + 50);
    thread::scope(|scope| {
        for client in 0..50 {
            let (stream, bytes) = (server.connect(), &bytes[client..client + 200_000]);
            scope.spawn(move || assert!(round_trip(stream, bytes).unwrap() == bytes));
        }
    });
    let finished = server.stop();
    assert_eq!(finished.code, Some(0));
    assert!(finished.stderr.contains(" 0 bytes lost"), "{}", finished.stderr);
}

fn every_endpoint_is_listened_on_and_announced_on_its_own_line(driver: &str) {
    let endpoints = ["127.0.0.1:0", "localhost:0", "tcp://127.0.0.1:0"];
    let args = ["serve", "--driver", driver].into_iter().chain(endpoints);
    let mut running = crate::common::Running::start(&mut crate::common::roundtrip(args));
    for _ in endpoints {
        let line = running.line();
        let address = line.strip_prefix("listening tcp ").unwrap().parse().unwrap();
        ping(&mut crate::common::connect(address)).unwrap();
    }
    running.signal(Signal::TERM);
    let finished = running.wait();
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), 3));
}

fn a_reset_ends_one_connection_only(driver: &str) {
    let server = Server::start(&["--driver", driver]);
    let [mut first, mut second] = [(); 2].map(|()| server.connect());
    ping(&mut first).unwrap();
    ping(&mut second).unwrap();
    reset(first);
    ping(&mut second).unwrap();
    ping(&mut server.connect()).unwrap();
}

/// A client that does not read what comes back, and sends until all buffers on the way are full: no write
/// gets through for a second. How much it sent.
fn stuck(server: &Server) -> (TcpStream, usize) {
    let mut client = server.connect();
    client.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let block = noise(1 << 16);
    let mut sent = 0;
    while let Ok(more) = client.write(&block) {
        sent += more;
        assert!(sent < 64 << 20, "nothing holds the client back");
    }
    (client, sent)
}

fn a_client_that_never_reads_is_held_back_in_bounded_memory(driver: &str) {
    let server = Server::start(&["--driver", driver]);
    // Its peak: proc_pid_status(5). Most of that is the program itself.
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.running.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    ping(&mut server.connect()).unwrap();
    let before = peak();
    let (_held, sent) = stuck(&server);
    ping(&mut server.connect()).unwrap();
    let more = peak() - before;
    assert!(more < 3 << 10, "{more} KiB more than {before} after {sent} bytes");
}

fn once_serves_one_client_and_ends(driver: &str) {
    let server = Server::start(&["--driver", driver, "--once"]);
    let mut first = server.connect();
    ping(&mut first).unwrap();
    poll("a second client is refused", || TcpStream::connect(server.address).err());
    assert_eq!(round_trip(first, b"to the end").unwrap(), b"to the end");
    let finished = server.running.wait();
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), 1));
}

fn a_second_client_from_one_source_is_refused_while_the_first_is_there(driver: &str) {
    let server = Server::start(&["--driver", driver, "--max-per-source", "1"]);
    let mut first = server.connect();
    ping(&mut first).unwrap();
    assert!(is_refused(server.connect()));
    ping(&mut first).unwrap();
    drop(first);
    poll("a place is free again", || (!is_refused(server.connect())).then_some(()));
}

fn clients_over_max_conns_wait_for_a_place(driver: &str) {
    let server = Server::start(&["--driver", driver, "--max-conns", "2"]);
    let [mut first, mut second, mut third, mut fourth] = [(); 4].map(|()| server.connect());
    third.write_all(b"y").unwrap();
    // Time enough for an answer, if there were one.
    for _ in 0..100 {
        ping(&mut first).unwrap();
        ping(&mut second).unwrap();
    }
    third.set_nonblocking(true).unwrap();
    assert_eq!(third.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    third.set_nonblocking(false).unwrap();
    drop(first);
    let mut byte = [0];
    third.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"y");
    drop(second);
    ping(&mut fourth).unwrap();
}

/// Where the limit is known, no more are accepted than there are descriptors for.
fn two_hundred_clients_share_sixty_four_descriptors(driver: &str) {
    let mut server =
        Server::of(&mut after("ulimit -n 64;", &["serve", "127.0.0.1:0", "--driver", driver], ""));
    let clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    share(clients);
    assert!(server.running.is_running());
    let finished = server.stop();
    assert_eq!(finished.code, Some(0));
    assert!(!finished.stderr.contains("cannot accept"), "{}", finished.stderr);
}

/// The limit falls while the server runs, so that accept(2) does fail.
#[cfg(target_os = "linux")]
fn a_server_out_of_descriptors_goes_on_and_recovers(driver: &str) {
    let mut server = Server::start(&["--driver", driver]);
    let fewer = Rlimit { current: Some(24), maximum: Some(1024) };
    prlimit(Pid::from_raw(server.running.id().cast_signed()), Resource::Nofile, fewer).unwrap();
    let clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let complaint = server.running.error_line();
    assert!(complaint.starts_with("cannot accept: ") && complaint.ends_with("trying again"), "{complaint}");
    share(clients);
    ping(&mut server.connect()).unwrap();
    assert!(server.running.is_running());
    let finished = server.stop();
    assert_eq!(finished.code, Some(0));
    // One line in five seconds, whatever the number of failures.
    assert!(finished.stderr.matches("cannot accept").count() <= 1 + 6, "{}", finished.stderr);
}

/// The first of these clients are served; as they leave, the others are.
fn share(mut clients: Vec<TcpStream>) {
    // The backlog is a queue: these are inside.
    for inside in &mut clients[..4] {
        ping(inside).unwrap();
        ping(inside).unwrap();
    }
    for mut client in clients {
        ping(&mut client).unwrap();
    }
}

/// From its announcement on: scripts wait for nothing else.
fn a_signal_ends_an_idle_server_well(driver: &str) {
    for signal in [Signal::TERM, Signal::INT].repeat(10) {
        let server = Server::start(&["--driver", driver]);
        server.running.signal(signal);
        let finished = server.running.wait();
        assert_eq!(finished.code, Some(0), "{signal:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(": 0 closed, 0 bytes lost\n"), "{}", finished.stderr);
    }
}

/// What the server's TCP has acknowledged is echoed: clients that are cut off while they send, and keep
/// reading, have back what they sent.
fn a_signal_amid_twenty_transfers_costs_no_byte(driver: &str) {
    const BLOCK: usize = 8 << 10;
    const AHEAD: usize = 8;
    let mut server = Server::start(&["--driver", driver, "--drain", "60s"]);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let bytes = noise(4 << 20);
    let blocks: Vec<_> = bytes.chunks(BLOCK).collect();
    let mut back = vec![0; BLOCK];
    let mut read = |client: &mut TcpStream, round: usize| {
        client.read_exact(&mut back).unwrap();
        assert!(back == blocks[round % blocks.len()], "other bytes came back");
    };
    let (mut sent, mut draining) = (0, None);
    // One thread for all, so that none of them falls quiet for lack of a processor.
    while draining.is_none_or(|since| sent < since + 4 * AHEAD) {
        for client in &mut clients {
            client.write_all(blocks[sent % blocks.len()]).unwrap();
            if sent >= AHEAD {
                read(client, sent - AHEAD);
            }
        }
        sent += 1;
        if sent == 4 * AHEAD {
            server.running.signal(Signal::TERM);
        }
        if draining.is_none() && sent > 4 * AHEAD && server.running.error_line_now().is_some() {
            draining = Some(sent);
        }
    }
    for client in &mut clients {
        for round in sent - AHEAD..sent {
            read(client, round);
        }
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "and an orderly end");
    }
    drop(clients);
    let finished = server.running.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.starts_with("drained in ") && last.ends_with(": 20 closed, 0 bytes lost"), "{last}");
}

fn a_second_signal_forces_the_end(driver: &str) {
    let mut server = Server::start(&["--driver", driver, "--drain", "1h"]);
    let (_held, _sent) = stuck(&server);
    server.running.signal(Signal::TERM);
    assert!(server.running.error_line().starts_with("draining"));
    // The same at once would be the same request.
    server.running.signal(Signal::INT);
    let finished = server.running.wait();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    // Left alone, it would have been stopped after its own drain.
    assert!(finished.stderr.contains(": aborted, "), "{}", finished.stderr);
    assert!(!finished.stderr.contains(" 0 bytes lost"), "{}", finished.stderr);
}

fn a_drain_ends_at_its_deadline_and_counts_what_is_lost(driver: &str) {
    let server = Server::start(&["--driver", driver, "--drain", "300ms"]);
    let (_held, _sent) = stuck(&server);
    let finished = server.stop();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.contains(": 1 closed, ") && last.contains(" bytes lost"), "{last}");
    assert!(!last.contains(", 0 bytes lost"), "{last}");
}

fn an_idle_client_is_closed_and_a_busy_one_is_not(driver: &str) {
    let server = Server::start(&["--driver", driver, "--idle", "1s"]);
    let (mut idle, mut busy) = (server.connect(), server.connect());
    idle.set_nonblocking(true).unwrap();
    let end = poll("the idle one is closed", || {
        ping(&mut busy).unwrap();
        match idle.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            end => Some(end),
        }
    });
    assert!(end.is_err() || end.is_ok_and(|read| read == 0));
    assert_eq!(round_trip(busy, b"to the end").unwrap(), b"to the end");
}

/// Whoever runs a server with its standard error on a pipe may stop reading it.
fn a_standard_error_that_nobody_reads_holds_up_neither_clients_nor_signals(driver: &str) {
    let (_unread, stalled) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&stalled, true).unwrap();
    while (&stalled).write(&[b'x'; 512]).is_ok() {}
    rustix::io::ioctl_fionbio(&stalled, false).unwrap();
    // Each of the first three clients is evicted, and complained about.
    let args = ["serve", "127.0.0.1:0", "--driver", driver, "--idle", "200ms", "--max-conns", "3"];
    let mut child = crate::common::roundtrip(args).stdout(Stdio::piped()).stderr(stalled).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening tcp ").unwrap().parse().unwrap();
    let _stuck = [(); 3].map(|()| {
        let mut client = crate::common::connect(address);
        client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while client.write(&[0; 1 << 14]).is_ok() {}
        client
    });
    let served = round_trip(crate::common::connect(address), b"hello");
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut look = || child.try_wait().unwrap();
    let status = poll("the server has ended", &mut look);
    assert_eq!(served.unwrap(), b"hello");
    assert_eq!(status.code(), Some(3), "bytes of those evicted were lost");
}
