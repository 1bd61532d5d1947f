//! The threads that run tasks.

use std::io;
use std::sync::Arc;
use std::thread;

use async_executor::Executor;
use async_io::block_on;
use roundtrip_net::Bell;

use crate::ring::Ring;

/// Threads that run an executor's tasks. They end when this is dropped.
#[derive(Default)]
pub(crate) struct Workers(Vec<Arc<Ring>>);

impl Workers {
    /// So many of them.
    pub(crate) fn start<'scope, 'task: 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        count: usize,
        executor: &Arc<Executor<'task>>,
    ) -> io::Result<Self> {
        // However this ends, no thread is left waiting.
        let mut workers = Self::default();
        for _ in 0..count {
            let over = Arc::new(Ring::default());
            let work = {
                let (executor, over) = (Arc::clone(executor), Arc::clone(&over));
                move || block_on(executor.run(over.heard()))
            };
            thread::Builder::new().name("roundtrip".into()).spawn_scoped(scope, work)?;
            workers.0.push(over);
        }
        Ok(workers)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.iter().for_each(|over| over.ring());
    }
}
