//! What drivers share that drive many connections on one thread: slots, deadlines, a way to wake the thread, and handing
//! connections over to it. No wait, no thread: the loop itself is the driver's.

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
