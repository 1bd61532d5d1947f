//! What drivers share that drive many connections on one thread: slots, deadlines, a way to wake the thread, and handing
//! connections over to it. No wait, no thread: the loop itself is the driver's.

mod app;
mod desk;
mod entrance;
mod slots;
mod timers;
mod wake;

pub use app::{App, CommandOf, DeskOf, Numbered, Serving, finish};
pub use desk::{Desk, Desks, Fresh, WayIn};
pub use entrance::{Entrance, Rest};
pub use slots::{Slots, Token};
pub use timers::Timers;
pub use wake::{DESK, DOOR, Ring, Rouse, WAKE, Wake};
