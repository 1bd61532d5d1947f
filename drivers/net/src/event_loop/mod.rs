//! What drivers share that drive many connections on one thread: slots, deadlines, a way to wake the thread, and handing
//! connections over to it. No wait, no thread: the loop itself is the driver's.
//!
//! A thread of a driver has a [`Wake`], [`Slots`] of connections, [`Timers`] and a [`HandoffQueue`]. Its turn:
//!
//! 1. If a connection has something to do, or [`Wake::may_sleep`] says no, poll without waiting; else wait until the next deadline
//!    of the timers.
//! 2. Read the clock. Mark the connections of the events that the poller gives: the token of an event, of a slot and of a
//!    [`Ring`] are the same.
//! 3. [`Wake::hear`] into an empty vector. Of a slot's token: hear its ring, expect mail. [`HANDOFF`]: take the connections, open
//!    each. [`LISTENER`], on the thread that accepts: [`Acceptor::obey`].
//! 4. Mark the connections whose deadline has passed, and give each that is marked its turn.
//!
//! To open a connection: call the application's `open` in [`catch`](crate::catch), insert it, have its ring
//! [belong to](Ring::belongs_to) its token, expect mail if that was rung, and advance it once without an event. To close one:
//! remove it, and [`finish`].

mod acceptor;
mod app;
mod handoff;
mod slots;
mod timers;
mod wake;

pub use acceptor::{AcceptWait, Acceptor};
pub use app::{ClientApp, ServerApp, finish};
pub use handoff::{HandoffQueue, HandoffQueues, PendingConnection, SessionChannel};
pub use slots::{Slots, Token};
pub use timers::Timers;
pub use wake::{HANDOFF, LISTENER, Ring, Rouse, WAKE, Wake};
