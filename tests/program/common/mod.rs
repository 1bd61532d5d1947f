//! What the tests of the whole program share: the program and other programs started, watched and killed,
//! and plain clients to try it with. Every wait has an end.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "each system runs its part of the tests"))]

#[cfg(unix)]
pub(crate) mod adversary;
#[cfg(unix)]
pub(crate) mod namespace;
pub(crate) mod schema;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::net::UdpSocket;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

#[cfg(unix)]
pub(crate) use rustix::process::Signal;

/// The program under test.
pub(crate) const ROUNDTRIP: &str = env!("CARGO_BIN_EXE_roundtrip");
/// The longest wait for anything. Nothing is shown by how much of it is used.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test, with these arguments.
pub(crate) fn roundtrip<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(ROUNDTRIP);
    command.args(args);
    command
}

/// The program under test, run by `sh` after `before`: for limits and redirections.
#[cfg(unix)]
pub(crate) fn after(before: &str, args: &[&str], redirections: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\" {redirections}")).arg(ROUNDTRIP).args(args);
    command
}

/// Runs to the end, with nothing on standard input.
pub(crate) fn run(command: &mut Command) -> Finished {
    Running::start(command).wait()
}

/// Runs to the end, with its standard output going elsewhere.
pub(crate) fn run_into(command: &mut Command, stdout: Stdio) -> Finished {
    Running::spawn(command.stdin(Stdio::null()).stdout(stdout)).wait()
}

/// Runs to the end, with `input` on standard input, and then its end.
pub(crate) fn run_with(command: &mut Command, input: Vec<u8>) -> Finished {
    let mut running = Running::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    // Whoever closes its standard input early shows that by what it prints.
    thread::spawn(move || stdin.write_all(&input));
    running.wait()
}

/// A program that runs, and is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    out: Output,
    err: Output,
}

/// A program that has ended by itself.
#[derive(Debug)]
pub(crate) struct Finished {
    /// None if a signal ended it, on Unix.
    pub(crate) code: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts `command` with nothing on standard input.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))
    }

    /// Starts `command` with the standard input that it has.
    pub(crate) fn start_with_input(command: &mut Command) -> Self {
        Self::spawn(command.stdout(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let child = command.stderr(Stdio::piped()).spawn();
        Self::of(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts `command`, with its standard input for us to write to.
    pub(crate) fn start_to_feed(command: &mut Command) -> (Self, ChildStdin) {
        let mut running = Self::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = running.child.stdin.take().unwrap();
        (running, input)
    }

    /// Watches a program that was started.
    pub(crate) fn of(mut child: Child) -> Self {
        let out = child.stdout.take().map_or_else(|| Output::of(std::io::empty()), Output::of);
        let err = child.stderr.take().map_or_else(|| Output::of(std::io::empty()), Output::of);
        Self { child, out, err }
    }

    /// The next line on standard output, without its end.
    pub(crate) fn line(&mut self) -> String {
        self.out.line().unwrap_or_else(|| panic!("no more lines; stderr: {}", self.err.rest_now()))
    }

    /// The next line on standard output, from something that takes its time.
    pub(crate) fn line_within(&mut self, patience: Duration) -> String {
        self.out.line_within(patience).expect("one more line")
    }

    /// The next line on standard error, without its end.
    pub(crate) fn error_line(&mut self) -> String {
        self.err.line().expect("one more line on stderr")
    }

    /// The next line on standard error, if it is there by now.
    pub(crate) fn error_line_now(&mut self) -> Option<String> {
        let line = self.err.lines.try_recv().ok()?;
        self.err.seen.extend_from_slice(&line);
        Some(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it at once, whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Finished {
        // Its pipes end when it does, unless it has closed or redirected them.
        self.out.read_to_end();
        self.err.read_to_end();
        let status = poll("the program has ended", || self.child.try_wait().unwrap());
        let bytes = std::mem::take(&mut self.out.seen);
        let stdout = String::from_utf8_lossy(&bytes).into_owned();
        let stderr = String::from_utf8_lossy(&self.err.seen).into_owned();
        Finished { code: status.code(), bytes, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of a program's outputs, read by a thread so that the program never waits for us.
struct Output {
    lines: Receiver<Vec<u8>>,
    /// All lines so far.
    seen: Vec<u8>,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            loop {
                let mut line = Vec::new();
                match pipe.read_until(b'\n', &mut line) {
                    Ok(1..) if sender.send(line).is_ok() => {}
                    _ => break,
                }
            }
        });
        Self { lines, seen: Vec::new() }
    }

    /// The next line as it is; none at the end.
    fn next(&mut self, patience: Duration) -> Option<Vec<u8>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                self.seen.extend_from_slice(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing more for {patience:?} after {:?}", String::from_utf8_lossy(&self.seen))
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        self.line_within(PATIENCE)
    }

    fn line_within(&mut self, patience: Duration) -> Option<String> {
        Some(String::from_utf8_lossy(&self.next(patience)?).trim_end_matches('\n').to_owned())
    }

    fn read_to_end(&mut self) {
        while self.next(PATIENCE).is_some() {}
    }

    fn rest_now(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            self.seen.extend(line);
        }
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// `roundtrip serve` that runs, on one free port of 127.0.0.1.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// `roundtrip serve 127.0.0.1:0` with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::of(&mut roundtrip(["serve", "127.0.0.1:0"].iter().chain(options)))
    }

    /// A command that ends up as `roundtrip serve`, on a single listener.
    pub(crate) fn of(command: &mut Command) -> Self {
        let transcript = command.get_args().any(|arg| arg == "--transcript");
        let mut running = Running::start(command);
        let line = if transcript { running.error_line() } else { running.line() };
        let address = line.strip_prefix("listening tcp ").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line}: {}", running.err.rest_now()));
        Self { running, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    #[cfg(unix)]
    pub(crate) fn stop(self) -> Finished {
        self.running.signal(Signal::TERM);
        self.running.wait()
    }
}

/// A connection on which no wait is endless.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    bounded(TcpStream::connect_timeout(&address, PATIENCE).unwrap())
}

/// The same stream, with an end to each wait.
pub(crate) fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What the system calls a reset, and a port in use, as the tutorial's programs print it.
pub(crate) const RESET: i32 = if cfg!(windows) { 10054 } else { 104 };
pub(crate) const IN_USE: i32 = if cfg!(windows) { 10048 } else { 98 };

/// Whether reading tells a reset from an end: under wine, which takes the error from a socket that nobody reads at that
/// moment, it may not. Says so.
pub(crate) fn resets_are_told() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = connect(listener.local_addr().unwrap());
    reset(listener.accept().unwrap().0);
    client.read(&mut [0]).is_err() || skip("a reset that nobody waits for is an end here")
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    roundtrip_std::Stream::from(stream).reset_on_close();
}

/// Sends, half-closes, reads to the end.
pub(crate) fn round_trip(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut writer = stream.try_clone()?;
    thread::scope(|scope| {
        let sent = scope.spawn(move || {
            writer.write_all(bytes)?;
            writer.shutdown(Shutdown::Write)
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back)?;
        sent.join().unwrap()?;
        Ok(back)
    })
}

/// Sends a byte and has it back: the connection was accepted, and is served.
pub(crate) fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    assert_eq!(&byte, b"x");
    Ok(())
}

/// Bytes that do not repeat soon.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = vec![0; len];
    for byte in &mut bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[3];
    }
    bytes
}

/// An address on which nobody listens.
#[cfg(unix)]
pub(crate) fn nobody() -> SocketAddr {
    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};
    // Bound for as long as the tests run, so that no other test is given the port; and never listening. A program that names
    // the port may listen there all the same (socket(7), SO_REUSEADDR).
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    // No child inherits it.
    fcntl_setfd(&socket, FdFlags::CLOEXEC).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    std::mem::forget(socket);
    address
}

#[cfg(not(unix))]
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind((roundtrip_testkit::own_loopback(), 0)).unwrap().local_addr().unwrap()
}

/// An address where no datagram is taken: the system says so.
#[cfg(unix)]
pub(crate) fn nobody_for_datagrams() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // Bound for as long as the tests run, so that no other test is given the port. It takes nothing but what it sends itself.
    socket.connect(address).unwrap();
    std::mem::forget(socket);
    address
}

/// Looks again and again until there is something: a state is waited for, never a time.
pub(crate) fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(found) = look() {
            return found;
        }
        thread::park_timeout(PAUSE);
    }
    panic!("waited too long until {what}");
}

/// Whether all these programs are there. Says so if one is not.
pub(crate) fn have(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = tools.iter().find(|tool| !std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
    missing.is_none_or(|tool| skip(&format!("there is no `{tool}` here")))
}

/// Says why a test shows nothing here, past the test harness; a failure where nothing may be skipped.
pub(crate) fn skip(reason: &str) -> bool {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("ROUNDTRIP_SKIP_NOTHING").is_none(), "{test} is skipped: {reason}");
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
    false
}

/// A file of this name that outlives the test, made anew and put in place at once: others may be using it.
pub(crate) fn place(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let fresh = file.with_extension(format!("{}-{number}-{name}", std::process::id()));
    make(&fresh);
    std::fs::rename(fresh, &file).unwrap();
    file
}

/// Each of these tests on each driver of sockets.
macro_rules! with_every_driver {
    ($on:ident $driver:literal $($(#[$only:meta])* $test:ident)*) => {
        mod $on {
            $($(#[$only])*
            #[test]
            fn $test() {
                super::$test($driver);
            })*
        }
    };
    ($($(#[$only:meta])* $test:ident)*) => {
        with_every_driver!(on_std "std" $($(#[$only])* $test)*);
        with_every_driver!(on_smol "smol" $($(#[$only])* $test)*);
        #[cfg(unix)]
        with_every_driver!(on_tokio "tokio" $($(#[$only])* $test)*);
        #[cfg(unix)]
        with_every_driver!(on_reactor "reactor" $($(#[$only])* $test)*);
        #[cfg(target_os = "linux")]
        with_every_driver!(on_uring "uring" $($(#[$only])* $test)*);
    };
}
pub(crate) use with_every_driver;
