//! I10: in the steady state no message costs an allocation, counted by the allocator itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::{Action, Driven, Input, Machine, Step, Time};
use roundtrip_echo::{ClientConfig, EchoClient, EchoServer, Payload, ServerConfig};
use roundtrip_testkit::counting::ALLOCATIONS;

const MESSAGES: usize = 10_000;
const SIZE: usize = 512;

fn allocations(mut work: impl FnMut()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Holds `message` to no allocation at all, after some to warm up.
fn counted(name: &str, mut message: impl FnMut()) {
    for _ in 0..16 {
        message();
    }
    let allocations = allocations(|| (0..MESSAGES).for_each(|_| message()));
    assert_eq!(allocations, 0, "{name}: {allocations} allocations for {MESSAGES} messages");
}

/// A read buffer that is taken back once nobody holds a part of it, as drivers keep one.
///
/// The whole block stays here in its shared form and messages are slices of it: a block that alone were turned
/// from `BytesMut` into `Bytes` and back would allocate its counter anew each time.
struct Block {
    whole: Bytes,
}

impl Block {
    fn new() -> Self {
        // `split` is what puts a block into its shared form.
        Self { whole: BytesMut::zeroed(4096).split().freeze() }
    }

    /// Reads a message into the block.
    fn message(&mut self, read: impl FnOnce(&mut [u8])) -> Bytes {
        let mut block = std::mem::take(&mut self.whole).try_into_mut().expect("nobody holds a part");
        read(&mut block[..SIZE]);
        self.whole = block.freeze();
        self.whole.slice(..SIZE)
    }
}

fn server() -> EchoServer {
    EchoServer::new(Arc::new(ServerConfig::default()), Time::ZERO)
}

fn raw_server() {
    let (mut server, mut block, mut now) = (server(), Block::new(), 0);
    let _ = server.poll(Time::ZERO);
    counted("server, raw", || {
        now += 1000;
        let now = Time::from_nanos(now);
        server.handle(now, Input::Data(block.message(|bytes| bytes.fill(7))));
        let Action::Write(bytes) = server.poll(now) else { panic!("nothing to write") };
        let Action::Wait(_) = server.poll(now) else { panic!("not at rest") };
        server.handle(now, Input::Wrote(bytes.len() / 2));
        server.handle(now, Input::Wrote(bytes.len() - bytes.len() / 2));
        let Action::Wait(_) = server.poll(now) else { panic!("not at rest") };
    });
}

fn driven_server() {
    let (mut driven, mut block, mut now) = (Driven::new(server()), Block::new(), 0);
    let _ = driven.step(Time::ZERO);
    counted("server, driven", || {
        now += 1000;
        let now = Time::from_nanos(now);
        assert!(driven.data(now, block.message(|bytes| bytes.fill(9))).is_empty());
        let Step::Write = driven.step(now) else { panic!("nothing to write") };
        driven.wrote(now, 100);
        driven.wrote(now, driven.pending().len());
        let Step::Wait(_) = driven.step(now) else { panic!("not at rest") };
    });
}

/// Several messages queued behind a slow write: the queue's ring has its size after the first time.
fn queueing_server() {
    let (mut server, now) = (server(), Time::ZERO);
    let message = Bytes::from_static(b"queued");
    let _ = server.poll(now);
    counted("server, queueing", || {
        for _ in 0..8 {
            server.handle(now, Input::Data(message.clone()));
        }
        while let Action::Write(bytes) = server.poll(now) {
            server.handle(now, Input::Wrote(bytes.len()));
        }
    });
}

/// Single bytes behind a slow write are coalesced: the tail doubles, it does not grow by the byte.
fn coalescing_server() {
    let (mut server, now) = (server(), Time::ZERO);
    let _ = server.poll(now);
    let byte = Bytes::from_static(b"b");
    let grown = allocations(|| {
        for _ in 0..60_000 {
            server.handle(now, Input::Data(byte.clone()));
        }
    });
    assert!(grown <= 40, "{grown} allocations for 60,000 reads of a byte");
}

fn driven_client() {
    let config = ClientConfig::default().window(SIZE).chunk(SIZE);
    let payload = Payload::seeded(5, ((MESSAGES + 64) * SIZE) as u64);
    let mut driven = Driven::new(EchoClient::new(Arc::new(config), payload, Time::ZERO));
    let (mut block, mut now) = (Block::new(), 0);
    counted("client", || {
        now += 1000;
        let now = Time::from_nanos(now);
        let Step::Write = driven.step(now) else { panic!("nothing to write") };
        let echo = block.message(|bytes| bytes.copy_from_slice(driven.pending()));
        driven.wrote(now, SIZE / 3);
        driven.wrote(now, driven.pending().len());
        let Step::Wait(_) = driven.step(now) else { panic!("not at rest") };
        assert!(driven.data(now, echo).is_empty());
    });
}

#[test]
fn i10_no_message_allocates_in_the_steady_state() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the counter counts");
    raw_server();
    driven_server();
    queueing_server();
    coalescing_server();
    driven_client();
}
