//! The trials.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::{Domain, Protocol, Socket, Type};

use crate::client::{Back, STALLED, connect, fill, ping, round_trip};
use crate::process::{PATIENCE, poll};
use crate::server::{Running, Server};
use crate::{Cell, Failed, Scale, clients, drain, limits};

/// A trial: its name, the figure to reach, and how it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) figure: &'static str,
    /// It depends on how busy the machine is.
    pub(crate) is_timed: bool,
    pub(crate) run: fn(&Server, Scale) -> Result<Cell, Failed>,
}

pub(crate) const ALL: &[Trial] = &[
    Trial {
        name: "a byte, then the end",
        figure: "all of 10,000 (others: 1,000)",
        is_timed: false,
        run: small,
    },
    Trial {
        name: "10 MiB, the end, and 2 s of silence",
        figure: "all of 100",
        is_timed: false,
        run: stalled,
    },
    Trial {
        name: "SIGTERM while 100 clients send",
        figure: "0 lost, exit 0",
        is_timed: false,
        run: drain::trial,
    },
    Trial {
        name: "200 clients, 64 descriptors",
        figure: "< 1 % of a core, ≤ 1 line in 5 s, goes on within 1 s",
        is_timed: true,
        run: exhausted,
    },
    Trial {
        name: "1,000 clients that never read, 8 KiB buffers",
        figure: "≤ 16 KiB each (std: reported), others' p99 ≤ 2×",
        is_timed: true,
        run: unread,
    },
    Trial {
        name: "200 clients that never read, and then are gone",
        figure: "≤ 320 KiB each, ≥ 90 % given back (std: 80 %, it keeps threads)",
        is_timed: false,
        run: given_back,
    },
    Trial {
        name: "idle connections",
        figure: "≤ 2 KiB each at 10,000 (std: reported)",
        is_timed: false,
        run: idle,
    },
    Trial { name: "2,000 connects at once", figure: "all served in < 0.5 s", is_timed: true, run: burst },
    Trial {
        name: "200 silent, 200 that never read, 200 that drip: limits of 2 s, 1 s after the end, 5 s in all",
        figure: "all closed, others served",
        is_timed: false,
        run: limits::trial,
    },
    Trial {
        name: "100,000 resets (others: 10,000)",
        figure: "lives, descriptors and memory flat",
        is_timed: false,
        run: resets,
    },
    Trial {
        name: "100,000 clients of its driver whose server resets them",
        figure: "descriptors and memory flat",
        is_timed: false,
        run: clients::trial,
    },
];

fn small(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let running = server.start(&[])?;
    // A process for each connection takes its time.
    let tries = scale.of(if server.is_ours() { 10_000 } else { 1000 });
    let whole = Back { right: 1, ended: true };
    let good = (0..tries)
        .filter(|_| round_trip(running.address, 1, Duration::ZERO).is_ok_and(|back| back == whole))
        .count();
    Ok(Cell::new(good == tries, format!("{good} of {tries}")))
}

fn stalled(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const BYTES: u64 = 10 << 20;
    const AT_ONCE: usize = 10;
    let running = server.start(&[])?;
    let rounds = scale.of(100).div_ceil(AT_ONCE);
    let (mut good, mut lost, mut silent) = (0, 0, 0);
    for _ in 0..rounds {
        let tries = || round_trip(running.address, BYTES, Duration::from_secs(2)).unwrap_or_default();
        let backs: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(tries)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        for Back { right, ended } in backs {
            good += usize::from(right == BYTES && ended);
            lost += BYTES - right;
            silent += usize::from(!ended);
        }
    }
    let all = rounds * AT_ONCE;
    let is_good = good == all;
    let missing =
        if is_good { String::new() } else { format!(", {lost} bytes missing, {silent} without an end") };
    Ok(Cell::new(is_good, format!("{good} of {all}{missing}")))
}

/// Which of the streams have something to read, waiting so long for all of them.
fn answered(streams: &[TcpStream], patience: Duration) -> Vec<usize> {
    let start = Instant::now();
    let mut found = Vec::new();
    let mut waiting: Vec<usize> = (0..streams.len()).collect();
    while !waiting.is_empty() && start.elapsed() < patience {
        let mut fds: Vec<_> = waiting.iter().map(|&at| PollFd::new(&streams[at], PollFlags::IN)).collect();
        let rest = Timespec::try_from(patience.saturating_sub(start.elapsed())).ok();
        if rustix::event::poll(&mut fds, rest.as_ref()).is_err() {
            continue;
        }
        let is_ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        found.extend(waiting.iter().zip(&is_ready).filter(|(_, ready)| **ready).map(|(at, _)| *at));
        let mut ready = is_ready.into_iter();
        waiting.retain(|_| !ready.next().unwrap_or_default());
        // Whoever looks at two thousand for each answer keeps the server from its work.
        thread::park_timeout(Duration::from_millis(1));
    }
    found
}

fn exhausted(server: &Server, _: Scale) -> Result<Cell, Failed> {
    const WATCHED: Duration = Duration::from_secs(5);
    let mut running = server.start_after("ulimit -n 64;", &[])?;
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(running.address)?;
        // A server that is gone shows below.
        let _ = stream.write_all(b"x");
        clients.push(stream);
    }
    let mut served = answered(&clients, Duration::from_secs(2));
    let (lines, time) = (running.process.complaints(), running.process.processor_time());
    // Nothing happens, and nothing should.
    let start = Instant::now();
    let ended = poll(WATCHED, || (!running.process.is_running()).then_some(()));
    if ended.is_some() {
        return Ok(Cell::new(false, format!("exits ({} were served)", served.len())));
    }
    let share = running.process.processor_time().saturating_sub(time).as_secs_f64()
        / start.elapsed().as_secs_f64()
        * 100.0;
    let lines = running.process.complaints() - lines;
    // Those inside leave, and others get their places.
    served.sort_unstable();
    let inside = served.len();
    if inside == clients.len() {
        return Ok(Cell::new(
            share < 1.0 && lines <= 1,
            format!("all served, {share:.1} % of a core, {lines} lines"),
        ));
    }
    for at in served.into_iter().rev() {
        drop(clients.swap_remove(at));
    }
    let start = Instant::now();
    let next =
        poll(STALLED, || (!answered(&clients, Duration::from_millis(1)).is_empty()).then(|| start.elapsed()));
    let is_good =
        share < 1.0 && lines <= 1 && inside > 0 && next.is_some_and(|took| took < Duration::from_secs(1));
    let next = next.map_or_else(|| "never goes on".to_owned(), |took| format!("goes on after {took:.0?}"));
    Ok(Cell::new(is_good, format!("{inside} served, {share:.1} % of a core, {lines} lines, {next}")))
}

/// The 99th percentile of a thousand pings; the median of five of these, because other processes run as well.
fn p99(address: SocketAddr) -> Result<Duration, Failed> {
    const PINGS: usize = 1000;
    let mut stream = connect(address)?;
    let mut found = Vec::new();
    for _ in 0..5 {
        let mut took = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let start = Instant::now();
            ping(&mut stream)?;
            took.push(start.elapsed());
        }
        took.sort_unstable();
        found.push(took[PINGS * 99 / 100]);
    }
    found.sort_unstable();
    Ok(found[found.len() / 2])
}

fn unread(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let clients = scale.of(1000);
    let running = server.start(&["--buffer", "8KiB", "--socket-buffer", "16KiB"])?;
    let before = p99(running.address)?;
    let memory = running.process.memory();
    let _held = never_reading(&running, clients)?;
    let each = running.process.memory().saturating_sub(memory) / clients as u64;
    let after = p99(running.address)?;
    let ratio = after.as_secs_f64() / before.as_secs_f64();
    let is_std = server.name == "roundtrip-std";
    let is_good = (is_std || each <= 16 << 10) && ratio <= 2.0;
    Ok(Cell::new(is_good, format!("{} each, p99 {ratio:.1}× ({before:.0?} to {after:.0?})", kib(each))))
}

/// Clients that have sent until nothing more is taken, and read nothing.
fn never_reading(running: &Running, clients: usize) -> Result<Vec<TcpStream>, Failed> {
    let open = || {
        let mut stream = connect(running.address)?;
        fill(&mut stream)?;
        Ok(stream)
    };
    (0..clients).map(|_| open()).collect()
}

/// With the default buffer of 256 KiB.
fn given_back(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const MOST: u64 = (256 + 64) << 10;
    let clients = scale.of(200).max(50);
    // So that it is the server's own buffers that fill.
    let running = server.start(&["--socket-buffer", "16KiB"])?;
    // What the first one needs stays.
    ping(&mut connect(running.address)?)?;
    let memory = running.process.memory();
    let held = never_reading(&running, clients)?;
    let grown = running.process.memory().saturating_sub(memory);
    drop(held);
    let left = || running.process.memory().saturating_sub(memory);
    let most_left = if server.name == "roundtrip-std" { grown / 5 } else { grown / 10 };
    let is_given_back = poll(Duration::from_secs(10), || (left() <= most_left).then_some(())).is_some();
    let each = grown / clients as u64;
    let percent = 100 - (left() * 100 / grown.max(1)).min(100);
    // Of few clients, what threads and rings always hold is most: that is reported, and not judged.
    let is_good = !scale.is_whole() || (is_given_back && each <= MOST);
    Ok(Cell::new(is_good, format!("{} each, {percent} % given back", kib(each))))
}

/// Bytes as KiB, to a tenth.
fn kib(bytes: u64) -> String {
    let tenths = bytes * 10 / 1024;
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

fn idle(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    // A process, or two descriptors, for each of ten thousand is more than a machine of ours has.
    let is_lean = matches!(server.driver(), Some("smol" | "reactor" | "uring"));
    let many = if is_lean { 10_000 } else { 2000 };
    let clients = scale.of(many);
    let running = server.start(&[])?;
    // What the first ones need stays.
    let mut first: Vec<_> = (0..10).map(|_| connect(running.address)).collect::<Result<_, _>>()?;
    first.iter_mut().try_for_each(ping)?;
    let memory = running.process.memory();
    let mut held = Vec::new();
    for _ in 0..clients {
        let mut stream = connect(running.address)?;
        ping(&mut stream)?;
        held.push(stream);
    }
    let each = running.process.memory().saturating_sub(memory) / clients as u64;
    let is_good = server.name == "roundtrip-std" || each <= 2048;
    Ok(Cell::new(is_good, format!("{} each at {clients}", kib(each))))
}

fn burst(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    let clients = scale.of(2000);
    let running = server.start(&[])?;
    let start = Instant::now();
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // It is under way, and what it came to shows below.
        let _ = socket.connect(&running.address.into());
        streams.push(TcpStream::from(socket));
    }
    let mut unsent: Vec<usize> = (0..clients).collect();
    let sent = poll(STALLED, || {
        unsent.retain(|&at| (&streams[at]).write(b"x").is_err());
        unsent.is_empty().then_some(())
    });
    let served = answered(&streams, STALLED).len();
    let took = start.elapsed();
    let is_good = sent.is_some() && served == clients && took < Duration::from_millis(500);
    Ok(Cell::new(is_good, format!("{served} of {clients} in {:.2} s", took.as_secs_f64())))
}

fn resets(server: &Server, scale: Scale) -> Result<Cell, Failed> {
    const THREADS: usize = 4;
    /// Connections at one time: twice what our blocking driver keeps threads for.
    const BURST: usize = 32;
    let mut running = server.start(&[])?;
    let tries = if server.is_ours() { scale.of(100_000) } else { scale.of(10_000) };
    let hammer = |tries: usize| -> u64 {
        let unanswered = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (unanswered, address) = (&unanswered, running.address);
                scope.spawn(move || {
                    for number in 0..tries / THREADS {
                        if reset_at(address, (thread + number) % 4).is_err() {
                            unanswered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        unanswered.into_inner()
    };
    // What it keeps ready for the next ones, such as threads, is there before it is measured.
    let burst = (0..BURST).map(|_| connect(running.address)).collect::<Result<Vec<_>, _>>()?;
    burst.into_iter().try_for_each(|mut stream| ping(&mut stream))?;
    hammer(tries / 10);
    settle(&running);
    let (memory, descriptors) = (running.process.memory(), running.process.descriptors());
    let failed = hammer(tries);
    settle(&running);
    let lives = running.process.is_running() && ping(&mut connect(running.address)?).is_ok();
    let grown = running.process.memory().saturating_sub(memory) >> 10;
    let more = running.process.descriptors().saturating_sub(descriptors);
    // A thread that waits for the next connection keeps its stack and its descriptor: there are no more than sixteen.
    let is_good = lives && failed == 0 && more <= 16 && grown <= 1024;
    let lives = if lives { "lives" } else { "is gone" };
    Ok(Cell::new(
        is_good,
        format!("{lives} after {tries}, {failed} failed, {grown} KiB and {more} descriptors more"),
    ))
}

/// Resets a connection at one of four points of its life.
fn reset_at(address: SocketAddr, point: usize) -> std::io::Result<()> {
    let mut stream = connect(address)?;
    if point >= 1 {
        stream.write_all(&[b'x'; 100])?;
    }
    if point >= 2 {
        std::io::Read::read_exact(&mut stream, &mut [0])?;
    }
    if point >= 3 {
        stream.shutdown(Shutdown::Write)?;
    }
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Waits until nothing is left of earlier connections: the number of descriptors stays the same.
fn settle(running: &Running) {
    let mut last = usize::MAX;
    let mut same = 0;
    poll(PATIENCE, || {
        let now = running.process.descriptors();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same > 40).then_some(())
    });
}
