//! Panics of what is simulated are verdicts: they are not printed while a run is under way.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic that was not printed happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `what` without a word of its panics; those of other threads are printed as ever.
pub(crate) fn during<R>(what: impl FnOnce() -> R) -> R {
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                PLACE.set(info.location().map(|place| format!("{}:{}", place.file(), place.line())));
            } else {
                loud(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = what();
    QUIET.set(before);
    result
}

/// Where the last panic on this thread happened.
pub(crate) fn place() -> Option<String> {
    PLACE.take()
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something that is no text".to_owned())
}
