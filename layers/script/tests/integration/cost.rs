//! What a script costs: the figures in the guide.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roundtrip_core::{Driven, Step, Time};
use roundtrip_script::{Script, ScriptConfig, ScriptIo};
use roundtrip_testkit::counting::ALLOCATIONS;

const SIZE: usize = 64;

async fn echo(io: ScriptIo) {
    while let Ok(message) = io.read_exact(SIZE).await {
        io.write(message).await;
    }
}

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

/// A message: in, out, and at rest again.
fn message(session: &mut Driven<Script<()>>, block: &Bytes) {
    let now = Time::ZERO;
    assert!(session.data(now, block.slice(..SIZE)).is_empty());
    let Step::Write = session.step(now) else { panic!("nothing to write") };
    session.wrote(now, SIZE);
    let Step::Wait(_) = session.step(now) else { panic!("not at rest") };
}

#[test]
fn i10_no_message_allocates_in_the_steady_state() {
    let config = Arc::new(ScriptConfig::default());
    // `split` is what puts a block into its shared form.
    let block = BytesMut::zeroed(4096).split().freeze();
    let (script, opened) = allocations(|| Script::<()>::new(config, Time::ZERO, echo));
    let mut session = Driven::new(script);
    let ((), first) = allocations(|| {
        let Step::Wait(_) = session.step(Time::ZERO) else { panic!("it greets nobody") };
        message(&mut session, &block);
    });
    for _ in 0..100 {
        message(&mut session, &block);
    }
    let ((), steady) = allocations(|| (0..10_000).for_each(|_| message(&mut session, &block)));
    println!("{opened} to open, {first} for the first message, {steady} for 10,000 more");
    assert_eq!(steady, 0);
    assert!(opened <= 2, "the script and what it shares: {opened}");
    assert!(first <= 8, "{first}");
}

#[test]
fn a_machine_and_its_script_are_as_large_as_the_guide_says() {
    // As large as its largest state.
    fn size_of_script<F>(_: impl FnOnce(ScriptIo) -> F) -> usize {
        size_of::<F>()
    }
    let (machine, script) = (size_of::<Driven<Script<()>>>(), size_of_script(echo));
    println!("{machine} bytes driven, and {script} for the script");
    assert!(machine <= 260 && script <= 260, "{machine} and {script}");
}

/// Drivers move machines to other threads.
const _: fn() = || {
    fn is_send<M: Send>() {}
    is_send::<Script<String, String, String>>();
};
