//! A room: every line that somebody says in it is published to all who are there, in one order. What connections that
//! share something look like.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `member.rs` | the [`Protocol`](roundtrip_core::protocol::Protocol) of one connection: lines said, lines heard |
//! | `room.rs` | the [`Hub`](roundtrip_core::hub::Hub): who is there, which number a line has, what becomes of the slow |
//! | `main.rs` | a driver |
//!
//! # The protocol
//!
//! Lines end in LF; a CR before it is no part of them. What is heard begins with the line's number in the room, which
//! counts up by one; any other line is from the room itself.
//!
//! | said | heard by all | |
//! | --- | --- | --- |
//! | `hello` | `17 hello` | |
//! | | `missed 3` | only by whom it concerns: the three lines before the next one |
//! | a line that is too long | `error: …` | only by whoever said it; the connection ends |
//!
//! Who half-closes hears all that they said, and then the end. A last line without LF is none.

#![forbid(unsafe_code)]

mod member;
mod room;

pub use member::{Line, Member};
pub use room::{Counts, Room, RoomConfig, Slow};
