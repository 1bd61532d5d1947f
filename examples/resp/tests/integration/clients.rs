//! The clients of Redis, which nobody here wrote, on every driver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, killed when this is dropped.
struct Server {
    child: Child,
    address: String,
    port: String,
}

impl Server {
    fn start(driver: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roundtrip-resp"));
        let mut child = command.args(["127.0.0.1:0", driver]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening tcp:").unwrap().to_owned();
        let port = address.rsplit(':').next().unwrap().to_owned();
        Self { child, address, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// What it answers to these bytes, and then the end.
    fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client of Redis prints; none if it is not installed.
fn client(program: &str, server: &Server, args: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &server.port]).args(args);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("ROUNDTRIP_SKIP_NOTHING").is_none(), "there is no `{program}` here");
        eprintln!("skipped: there is no `{program}` here");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    Some(String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
}

macro_rules! on_every_driver {
    ($($test:ident)*) => {
        mod on_std { $(#[test] fn $test() { super::$test("std"); })* }
        mod on_smol { $(#[test] fn $test() { super::$test("smol"); })* }
        #[cfg(unix)]
        mod on_tokio { $(#[test] fn $test() { super::$test("tokio"); })* }
        #[cfg(unix)]
        mod on_reactor { $(#[test] fn $test() { super::$test("reactor"); })* }
        #[cfg(target_os = "linux")]
        mod on_uring { $(#[test] fn $test() { super::$test("uring"); })* }
    };
}

on_every_driver! {
    redis_cli_is_answered_as_by_redis
    redis_benchmark_runs_with_and_without_pipelines
    what_is_no_command_is_told_and_ends_it
    counting_up_from_many_connections_loses_nothing
}

fn redis_cli_is_answered_as_by_redis(driver: &str) {
    let server = Server::start(driver);
    let script = "PING\nPING hello\nECHO \"two words\"\nSET a 1\nGET a\nGET none\nINCR a\nINCR b\nINCR b\nEXISTS a b none a\n\
        MSET x 1 y 2\nMGET x none y\nDEL x y none\nSET s text\nINCR s\nSET big 9223372036854775807\nINCR big\nGET\nSET a\n\
        MSET x\nNOPE 1 2\nSET a 1 EX 5\nCOMMAND DOCS\nCONFIG GET save\n";
    let Some(printed) = client("redis-cli", &server, &[], script) else { return };
    let expected = "PONG\nhello\ntwo words\nOK\n1\n\n2\n1\n2\n3\nOK\n1\n\n2\n2\nOK\n\
        ERR value is not an integer or out of range\n\nOK\nERR increment or decrement would overflow\n\n\
        ERR wrong number of arguments for 'get' command\n\nERR wrong number of arguments for 'set' command\n\n\
        ERR wrong number of arguments for 'mset' command\n\n\
        ERR unknown command 'NOPE', with args beginning with: '1' '2' \n\nERR syntax error\n\n\n\n";
    assert_eq!(printed, expected);
    // The same of a word as large as may be, and of one that is larger.
    let text = "x".repeat(512 << 10);
    assert_eq!(client("redis-cli", &server, &["-x", "SET", "large"], &text).unwrap(), "OK\n");
    assert_eq!(client("redis-cli", &server, &["GET", "large"], "").unwrap(), text.clone() + "\n");
}

fn redis_benchmark_runs_with_and_without_pipelines(driver: &str) {
    let server = Server::start(driver);
    for pipeline in ["1", "16"] {
        let args = ["-t", "ping,set,get,incr", "-n", "8000", "-c", "50", "-q", "-P", pipeline];
        let Some(printed) = client("redis-benchmark", &server, &args, "") else { return };
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
            let rate = printed.split(['\r', '\n']).rfind(|line| line.starts_with(&format!("{test}: ")));
            assert!(rate.is_some_and(|line| line.contains("requests per second")), "{test}: {printed}");
        }
        assert!(!printed.contains("rror"), "{printed}");
    }
    assert_eq!(client("redis-cli", &server, &["GET", "counter:__rand_int__"], "").unwrap(), "16000\n");
}

fn what_is_no_command_is_told_and_ends_it(driver: &str) {
    let server = Server::start(driver);
    for (asked, answered) in [
        (&b"*1\r\n+PING\r\n"[..], "-ERR Protocol error: expected '$', got '+'\r\n"),
        (b"PING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*2\r\n$3\r\nGET\r\n$524289\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"QUIT\r\nPING\r\n", "+OK\r\n"),
        // Not whole: there is nothing to answer.
        (b"*2\r\n$3\r\nGET\r\n$5\r\nab", ""),
    ] {
        assert_eq!(server.ask(asked), answered, "{}", asked.escape_ascii());
    }
}

fn counting_up_from_many_connections_loses_nothing(driver: &str) {
    let server = Server::start(driver);
    let asks = "INCR n\r\n".repeat(1000);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(server.ask(asks.as_bytes()).lines().count(), 1000));
        }
    });
    assert_eq!(server.ask(b"GET n\r\n"), "$4\r\n8000\r\n");
}

#[test]
fn an_answer_that_no_memory_holds_is_none() {
    let server = Server::start("std");
    let value = "x".repeat(500_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000\r\n{value}\r\n");
    let names = "$1\r\nk\r\n".repeat(40);
    let get = format!("*41\r\n$4\r\nMGET\r\n{names}");
    assert_eq!(server.ask((set + &get).as_bytes()), "+OK\r\n-ERR the reply is too large\r\n");
}
