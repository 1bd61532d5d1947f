//! The client's callers, threads and futures, over real sockets: against the example's own server, the real one, and servers
//! that die or talk nonsense.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_core::protocol::{Session, SessionEnd};
use roundtrip_resp::client::{
    BadReply, CallError, Client, ClientConfig, Redis, RedisError, Reply, client, command, config,
};
use roundtrip_resp::{Resp, SharedKeys};
use roundtrip_std::{
    Accepted, Backend, BindOptions, ConnectOptions, Endpoint, SendError, ServerHandle, SystemClock, bind,
    connect,
};

/// The example's server, on a free port of this process.
struct Own {
    endpoint: Endpoint,
    handle: ServerHandle,
}

impl Own {
    fn start(driver: &'static str) -> Self {
        let listener = bind(&"127.0.0.1:0".parse().unwrap(), &BindOptions::default()).unwrap();
        let endpoint = listener.local_endpoint().unwrap();
        let handle = ServerHandle::new();
        let own = Self { endpoint, handle: handle.clone() };
        thread::spawn(move || {
            let (keys, config) = (SharedKeys::default(), Arc::new(roundtrip_resp::config()));
            let app =
                |now, _: &Accepted| Session::new(Resp::new(Arc::clone(&keys)), Arc::clone(&config), now);
            match driver {
                "std" => roundtrip_std::Std.serve(vec![listener], Limits::default(), &handle, &app),
                "smol" => {
                    roundtrip_smol::Smol::default().serve(vec![listener], Limits::default(), &handle, &app)
                }
                #[cfg(unix)]
                "reactor" => roundtrip_reactor::Reactor::default().serve(
                    vec![listener],
                    Limits::default(),
                    &handle,
                    &app,
                ),
                other => panic!("no driver {other}"),
            }
        });
        own
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

/// The real server, in a folder of its own; killed when this is dropped.
struct Real {
    child: Child,
    folder: PathBuf,
    endpoint: Endpoint,
}

impl Real {
    /// None if it is not installed.
    fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("roundtrip-resp-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("socket");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(&socket);
        let Ok(child) = command.current_dir(&folder).stdout(Stdio::piped()).spawn() else {
            assert!(std::env::var_os("ROUNDTRIP_SKIP_NOTHING").is_none(), "there is no `redis-server` here");
            eprintln!("skipped: there is no `redis-server` here");
            return None;
        };
        let endpoint = format!("unix:{}", socket.display()).parse().unwrap();
        let mut real = Self { child, folder, endpoint };
        // It says when it is ready.
        let mut said = Vec::new();
        let out = real.child.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&said).contains("eady to accept connections") {
            let mut some = [0; 4096];
            let read = out.read(&mut some).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&some[..read]);
        }
        Some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

type Lost = CallError<RedisError>;

/// A client whose connection a thread of its own drives.
fn threads_with(endpoint: &Endpoint, config: ClientConfig) -> Client<Redis> {
    let stream = connect(endpoint, &ConnectOptions::default()).unwrap();
    let driver = roundtrip_std::Driver::new(SystemClock::new()).unwrap();
    let (client, machine, events) = client(driver.control(), Redis, config);
    thread::spawn(|| driver.drive_into(stream, machine, events));
    client
}

fn threads(endpoint: &Endpoint) -> Client<Redis> {
    threads_with(endpoint, config())
}

/// What `talk` comes to, while a thread of its own drives the connection. One that hangs fails the test.
fn tasks<T: Send + 'static, F: Future<Output = T>>(
    endpoint: &Endpoint,
    config: ClientConfig,
    talk: impl FnOnce(Client<Redis>) -> F + Send + 'static,
) -> T {
    let stream = connect(endpoint, &ConnectOptions::default()).unwrap();
    let driver = roundtrip_smol::Driver::new(SystemClock::new());
    let (client, machine, events) = client(driver.control(), Redis, config);
    thread::spawn(|| roundtrip_smol::block_on(driver.drive_into(stream, machine, events)));
    let (sender, came) = channel();
    thread::spawn(move || sender.send(roundtrip_smol::block_on(talk(client))));
    came.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn call<W: AsRef<[u8]>>(client: &Client<Redis>, words: &[W]) -> Result<Reply, Lost> {
    client.call_blocking(command(words))
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(Some(text.to_owned().into()))
}

/// A caller's answers are its own, however many others there are.
fn each_thread_gets_its_own_answers(endpoint: &Endpoint) {
    const THREADS: usize = 32;
    const CALLS: usize = 200;
    let connection = threads(endpoint);
    thread::scope(|scope| {
        for name in 0..THREADS {
            let connection = connection.clone();
            scope.spawn(move || {
                let key = format!("thread {name}");
                for round in 0..CALLS {
                    let text = format!("{name} {round}");
                    assert_eq!(call(&connection, &["ECHO", &text]), Ok(bulk(&text)));
                    let count = i64::try_from(round).unwrap() + 1;
                    assert_eq!(call(&connection, &["INCR", &key]), Ok(Reply::Integer(count)));
                }
            });
        }
    });
    assert_eq!(call(&connection, &["SET", "a", "b\r\nc"]), Ok(Reply::Simple("OK".into())));
    let both = Reply::Array(Some(vec![bulk("b\r\nc"), Reply::Bulk(None)]));
    assert_eq!(call(&connection, &["MGET", "a", "none"]), Ok(both));
    let error = Reply::Error("ERR wrong number of arguments for 'get' command".into());
    assert_eq!(call(&connection, &["GET"]), Ok(error));
    assert_eq!(call::<&str>(&connection, &[]), Err(Lost::Refused(RedisError::Empty)));
    let large = "x".repeat(512 << 10);
    assert_eq!(call(&connection, &["ECHO", &large]), Ok(bulk(&large)));
}

fn each_future_gets_its_own_answer(endpoint: &Endpoint) {
    tasks(endpoint, config(), |connection| async move {
        for round in 0..100 {
            let texts: Vec<_> = (0..64).map(|call| format!("{round} {call}")).collect();
            let mut answers = Vec::new();
            for text in &texts {
                answers.push((text, connection.send(command(&["ECHO", text])).await.unwrap()));
            }
            for (index, (text, answer)) in answers.into_iter().enumerate() {
                // Dropped, an answer disturbs nobody.
                if index % 3 != round % 3 {
                    assert_eq!(answer.await, Ok(bulk(text)));
                }
            }
        }
    });
}

#[test]
fn threads_call_the_server_on_std() {
    each_thread_gets_its_own_answers(&Own::start("std").endpoint);
}

#[test]
fn threads_call_the_server_on_smol() {
    each_thread_gets_its_own_answers(&Own::start("smol").endpoint);
}

#[cfg(unix)]
#[test]
fn threads_call_the_server_on_the_reactor() {
    each_thread_gets_its_own_answers(&Own::start("reactor").endpoint);
}

#[test]
fn threads_call_the_real_server() {
    if let Some(real) = Real::start("threads") {
        each_thread_gets_its_own_answers(&real.endpoint);
    }
}

#[test]
fn futures_call_the_server_on_std() {
    each_future_gets_its_own_answer(&Own::start("std").endpoint);
}

#[test]
fn futures_call_the_server_on_smol() {
    each_future_gets_its_own_answer(&Own::start("smol").endpoint);
}

#[cfg(unix)]
#[test]
fn futures_call_the_server_on_the_reactor() {
    each_future_gets_its_own_answer(&Own::start("reactor").endpoint);
}

#[test]
fn futures_call_the_real_server() {
    if let Some(real) = Real::start("futures") {
        each_future_gets_its_own_answer(&real.endpoint);
    }
}

/// A server that reads so much of one connection, answers this, and dies.
fn dying(reads: usize, answers: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = vec![0; reads];
        stream.read_exact(&mut read).unwrap();
        stream.write_all(answers).unwrap();
    });
    endpoint
}

/// `*1\r\n$4\r\nPING\r\n`
const PING: usize = 14;

/// What is left unread makes its kernel reset the connection, if it comes in time.
fn is_the_end(lost: Lost) -> bool {
    matches!(lost, Lost::Closed | Lost::Gone | Lost::Ended(SessionEnd::Failed(_)))
}

#[test]
fn every_thread_hears_of_a_server_that_dies() {
    const THREADS: usize = 40;
    let connection = Arc::new(threads(&dying(THREADS * PING - 5, b"")));
    let (sender, came) = channel();
    for _ in 0..THREADS {
        let (connection, sender) = (Arc::clone(&connection), sender.clone());
        thread::spawn(move || sender.send(call(&connection, &["PING"])));
    }
    for _ in 0..THREADS {
        let lost = came.recv_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
        assert!(is_the_end(lost), "{lost:?}");
    }
    // And so does whoever calls later.
    assert!(is_the_end(call(&connection, &["PING"]).unwrap_err()));
}

#[test]
fn every_future_hears_of_a_server_that_dies() {
    let results = tasks(&dying(20 * PING, b"+PONG\r\n+PO"), config(), |connection| async move {
        let mut answers = Vec::new();
        for _ in 0..50 {
            answers.push(connection.send(command(&["PING"])).await);
        }
        let mut results = Vec::new();
        for answer in answers {
            results.push(match answer {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            });
        }
        results
    });
    assert_eq!(results.len(), 50);
    // Its one answer is the first's, unless a reset overtook it.
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(reply) => assert_eq!((index, reply), (0, Reply::Simple("PONG".into()))),
            Err(lost) => assert!(is_the_end(lost), "{lost:?}"),
        }
    }
}

#[test]
fn nonsense_ends_the_connection_and_says_why() {
    for (nonsense, why) in [
        (&b"?\r\n"[..], Lost::Malformed(RedisError::Reply(BadReply::Type(b'?')))),
        (b"$9999999\r\n", Lost::Malformed(RedisError::Reply(BadReply::Length))),
        (b"*-2\r\n", Lost::Malformed(RedisError::Reply(BadReply::Length))),
    ] {
        let connection = threads(&dying(PING, nonsense));
        assert_eq!(call(&connection, &["PING"]), Err(why));
        assert!(is_the_end(call(&connection, &["PING"]).unwrap_err()));
    }
    assert_eq!(call(&threads(&dying(PING, b"")), &["PING"]), Err(Lost::Closed));
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    // It reads for ever, and says nothing.
    let silent = || dying(1 << 20, b"");
    let config = || {
        let config = config();
        let session = config.session.clone().idle(Some(Duration::from_millis(20)));
        config.session(session)
    };
    let connection = threads_with(&silent(), config());
    assert_eq!(call(&connection, &["PING"]), Err(Lost::Ended(SessionEnd::Idle)));
    let lost =
        tasks(&silent(), config(), |connection| async move { connection.call(command(&["PING"])).await });
    assert_eq!(lost, Err(Lost::Ended(SessionEnd::Idle)));
}

#[test]
fn a_call_waits_for_room_and_one_that_will_not_wait_is_told_so() {
    // Nothing drives it yet: all of them wait in the mailbox.
    let own = Own::start("smol");
    let stream = connect(&own.endpoint, &ConnectOptions::default()).unwrap();
    let driver = roundtrip_smol::Driver::new(SystemClock::new());
    let (connection, machine, events) = client(driver.control(), Redis, config());
    let waiting: Vec<_> = (0..64).map(|_| connection.try_send(command(&["PING"])).unwrap()).collect();
    assert!(matches!(connection.try_send(command(&["PING"])), Err(SendError::Full(_))));
    let blocked = thread::spawn({
        let connection = connection.clone();
        move || connection.call_blocking(command(&["ECHO", "later"]))
    });
    thread::spawn(|| roundtrip_smol::block_on(driver.drive_into(stream, machine, events)));
    assert_eq!(blocked.join().unwrap(), Ok(bulk("later")));
    for reply in waiting {
        assert_eq!(reply.wait(), Ok(Reply::Simple("PONG".into())));
    }
}

#[test]
fn calls_on_a_connection_that_is_never_driven_are_lost_with_it() {
    let driver = roundtrip_smol::Driver::new(SystemClock::new());
    let (connection, machine, events) = client(driver.control(), Redis, config());
    let waiting: Vec<_> = (0..64).map(|_| connection.try_send(command(&["PING"])).unwrap()).collect();
    let blocked = thread::spawn({
        let connection = connection.clone();
        move || connection.call_blocking(command(&["PING"]))
    });
    drop((driver, machine, events));
    for reply in waiting {
        assert_eq!(reply.wait(), Err(Lost::Gone));
    }
    assert_eq!(blocked.join().unwrap(), Err(Lost::Gone));
    assert_eq!(call(&connection, &["PING"]), Err(Lost::Gone));
}

#[test]
fn a_connection_that_is_dropped_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint: Endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    let ended = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.read_to_end(&mut Vec::new())
    });
    drop(threads(&endpoint));
    assert_eq!(ended.join().unwrap().unwrap(), 0);
}
