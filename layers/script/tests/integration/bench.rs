//! A script and its driver, step by step.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use roundtrip_core::{Driven, Step, Teardown, Time, Wait};
use roundtrip_script::{Script, ScriptConfig, ScriptIo, ScriptOutcome};

pub(crate) const NOW: Time = Time::from_nanos(1000);

/// So many nanoseconds after the session began.
pub(crate) fn after(nanos: u64) -> Time {
    Time::from_nanos(1000 + nanos)
}

/// Buffers of this many bytes.
pub(crate) fn small(bytes: usize) -> ScriptConfig {
    ScriptConfig::default().inbox(bytes).outbox(bytes)
}

pub(crate) struct Bench<O: Clone, C = &'static str, E = &'static str> {
    pub(crate) session: Driven<Script<O, C, E>>,
    pub(crate) now: Time,
}

impl<O: Clone + Debug + PartialEq, C: Send + 'static, E: Send + Debug + PartialEq + 'static> Bench<O, C, E> {
    pub(crate) fn new<F>(config: ScriptConfig, script: impl FnOnce(ScriptIo<C, E>) -> F) -> Self
    where
        F: Future<Output = O> + Send + 'static,
    {
        Self { session: Driven::new(Script::new(Arc::new(config), NOW, script)), now: NOW }
    }

    pub(crate) fn step(&mut self) -> Step<E, ScriptOutcome<O>> {
        self.session.step(self.now)
    }

    pub(crate) fn wait(&mut self) -> Wait {
        let step = self.step();
        let Step::Wait(wait) = step else { panic!("{step:?} is no wait") };
        wait
    }

    pub(crate) fn event(&mut self) -> E {
        let step = self.step();
        let Step::Event(event) = step else { panic!("{step:?} is no event") };
        event
    }

    pub(crate) fn data(&mut self, bytes: &'static [u8]) -> &mut Self {
        assert!(self.session.data(self.now, Bytes::from_static(bytes)).is_empty(), "no credit");
        self
    }

    pub(crate) fn eof(&mut self) -> &mut Self {
        self.session.eof(self.now);
        self
    }

    /// The next step is a write: what it writes, of which the transport takes `n` bytes.
    pub(crate) fn write(&mut self, n: usize) -> Bytes {
        let step = self.step();
        assert!(matches!(step, Step::Write), "{step:?} is no write");
        self.session.take(self.now, n)
    }

    pub(crate) fn half_closes(&mut self) -> &mut Self {
        let step = self.step();
        assert!(matches!(step, Step::ShutdownWrite), "{step:?} is no half-close");
        self
    }

    pub(crate) fn close(&mut self) -> (Teardown, ScriptOutcome<O>) {
        let step = self.step();
        let Step::Close { how, outcome } = step else { panic!("{step:?} is no close") };
        (how, outcome)
    }

    /// Nothing to write, and the peer ends as well: what the script returned.
    pub(crate) fn output(&mut self) -> O {
        self.half_closes();
        self.session.eof(self.now);
        self.close().1.output.unwrap()
    }
}
