//! Panics of machines and of applications: each ends one connection, and nothing else.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Calls this, and catches its panic. What it borrows must not be used after a panic, unless that is sound.
///
/// # Errors
///
/// The panic.
pub fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::new)
}

/// A panic that was caught.
///
/// What it panicked with may panic itself when it is dropped, which would end a thread that serves others. Dropping this does
/// not panic.
pub struct Panic(Option<Box<dyn Any + Send>>);

impl Panic {
    /// Of what [`catch_unwind`] returned.
    pub const fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Some(payload))
    }

    /// The message, if it is a text, as that of `panic!` is.
    pub fn message(&self) -> Option<&str> {
        let payload = self.0.as_deref()?;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// Goes on panicking, on this thread, without calling the panic hook again.
    ///
    /// # Panics
    ///
    /// Always.
    pub fn resume(mut self) -> ! {
        resume_unwind(self.0.take().unwrap_or_else(|| Box::new(())))
    }
}

/// Drops a connection, and gives what came of it. A machine may panic in its drop, and so may its outcome.
///
/// # Errors
///
/// The first panic: that of driving it, or of dropping it.
pub fn drop_driven<T, C>(connection: C, ended: Result<T, Panic>) -> Result<T, Panic> {
    match (catch(|| drop(connection)), ended) {
        (Ok(()), ended) => ended,
        (Err(panic), Ok(ended)) => {
            let _ = catch(|| drop(ended));
            Err(panic)
        }
        (Err(_), Err(panic)) => Err(panic),
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        if let Some(payload) = self.0.take()
            && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        {
            // The next one might panic, too: its memory is lost instead.
            std::mem::forget(again);
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_no_harm() {
        assert!(catch(|| std::panic::panic_any(Bomb(3))).is_err());
        assert_eq!(catch(|| 7).unwrap(), 7);
        let text = catch(|| panic!("a word")).unwrap_err();
        assert_eq!(format!("{text:?}"), "Panic(Some(\"a word\"))");
        let again = catch(move || text.resume()).unwrap_err();
        assert_eq!(format!("{again:?}"), "Panic(Some(\"a word\"))");
    }
}
