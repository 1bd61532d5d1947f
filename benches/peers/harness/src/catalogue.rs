//! The servers: ours as they ship, and the field's, as their examples write them and tuned.

/// Where a server's program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `roundtrip serve`.
    Ours,
    /// One of `servers/`.
    Peer(&'static str),
}

/// A server, and how it is started.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub title: &'static str,
    pub program: Program,
    /// `{unix}` stands for a path of its own.
    pub args: &'static [&'static str],
}

const fn ours(title: &'static str, args: &'static [&'static str]) -> Entry {
    Entry { title, program: Program::Ours, args }
}

const fn peer(title: &'static str, name: &'static str, args: &'static [&'static str]) -> Entry {
    Entry { title, program: Program::Peer(name), args }
}

const TCP: &str = "127.0.0.1:0";
const UNIX: &str = "unix:{unix}";

pub static REACTOR: Entry = ours("reactor", &["serve", TCP, "--driver", "reactor"]);
pub static URING: Entry = ours("uring", &["serve", TCP, "--driver", "uring"]);
pub static SMOL: Entry = ours("smol", &["serve", TCP, "--driver", "smol"]);
/// A program of its own, because `roundtrip serve` has no runtime to spawn on.
pub static TOKIO_DRIVER: Entry = peer("our tokio driver", "roundtrip-tokio", &[]);
pub static STD: Entry = ours("std", &["serve", TCP, "--driver", "std"]);
pub static REACTOR_AGAIN: Entry = ours("the same started twice", &["serve", TCP, "--driver", "reactor"]);
pub static REACTOR_SPIN: Entry =
    ours("reactor --spin 50us", &["serve", TCP, "--driver", "reactor", "--spin", "50us"]);
pub static REACTOR_TWO: Entry =
    ours("reactor --threads 2", &["serve", TCP, "--driver", "reactor", "--threads", "2"]);
pub static REACTOR_UNIX: Entry = ours("reactor", &["serve", UNIX, "--driver", "reactor"]);
pub static URING_UNIX: Entry = ours("uring", &["serve", UNIX, "--driver", "uring"]);

pub static EPOLL: Entry = peer("C epoll, level-triggered", "epoll", &[]);
pub static EPOLL_TUNED: Entry = peer("C epoll, tuned", "epoll-tuned", &[]);
pub static MIO: Entry = peer("mio, tuned", "mio-bare", &[]);
pub static TOKIO: Entry = peer("tokio, as its example", "tokio-example", &[]);
pub static TOKIO_TUNED: Entry = peer("tokio, tuned", "tokio-tuned", &[]);
pub static TOKIO_TWO: Entry = peer("tokio, tuned, two threads", "tokio-tuned", &["2"]);
pub static SMOL_COPY: Entry = peer("smol io::copy, as its example", "smol-copy", &[]);
pub static SMOL_COPY_NODELAY: Entry = peer("smol io::copy, NODELAY", "smol-copy", &["nodelay"]);
pub static ASYNC_IO: Entry = peer("async-io, tuned", "async-io-loop", &[]);
pub static THREAD: Entry = peer("thread a connection", "thread", &[]);
pub static THREAD_TUNED: Entry = peer("thread a connection, tuned", "thread", &["tuned"]);
pub static GO: Entry = peer("Go io.Copy", "go-echo", &[]);
pub static LIBUV: Entry = peer("libuv", "uv", &[]);

/// mio with some more arithmetic a message: to see that the harness sees it. In no table.
pub static MIO_MORE: Entry = peer("mio with planted work", "mio-bare", &["more", "100"]);

/// What the table of all has.
pub static LISTED: [&Entry; 17] = [
    &REACTOR,
    &URING,
    &SMOL,
    &TOKIO_DRIVER,
    &STD,
    &EPOLL,
    &EPOLL_TUNED,
    &MIO,
    &TOKIO,
    &TOKIO_TUNED,
    &SMOL_COPY,
    &SMOL_COPY_NODELAY,
    &ASYNC_IO,
    &THREAD,
    &THREAD_TUNED,
    &GO,
    &LIBUV,
];

/// Whose system calls are counted: of those that make the same, one.
pub static CALLING: [&Entry; 12] = [
    &REACTOR,
    &URING,
    &SMOL,
    &TOKIO_DRIVER,
    &STD,
    &EPOLL_TUNED,
    &MIO,
    &TOKIO_TUNED,
    &SMOL_COPY,
    &ASYNC_IO,
    &THREAD_TUNED,
    &GO,
];

/// Whose memory is looked at.
pub static IDLE: [&Entry; 14] = [
    &REACTOR,
    &URING,
    &SMOL,
    &TOKIO_DRIVER,
    &STD,
    &EPOLL_TUNED,
    &MIO,
    &TOKIO,
    &TOKIO_TUNED,
    &SMOL_COPY,
    &ASYNC_IO,
    &THREAD,
    &GO,
    &LIBUV,
];

impl Entry {
    /// That it needs for a connection: to wake a thread that waits, or a pipe to splice through.
    pub fn descriptors(&self) -> usize {
        match self {
            _ if *self == STD => 2,
            _ if *self == GO => 3,
            _ => 1,
        }
    }

    /// What a reader knows it by.
    pub fn name(&self) -> String {
        match self.program {
            Program::Ours => format!("roundtrip {}", self.title),
            Program::Peer(_) => self.title.to_owned(),
        }
    }
}
