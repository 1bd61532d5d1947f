//! What a recorded run tells: one line for each thing that happens.

use crate::choose::Entity;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in nanoseconds of the run.
    pub time: u64,
    /// In which event of the run, counted from 1.
    pub event: u64,
    /// To whom.
    pub who: Entity,
    /// What.
    pub what: What,
    /// How much of it: bytes, or nanoseconds.
    pub n: u64,
}

macro_rules! whats {
    ($($variant:ident $name:literal: $doc:literal,)*) => {
        /// What can happen. The names are part of the trace format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum What { $(#[doc = $doc] $variant,)* }

        impl What {
            /// All there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in traces.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

whats! {
    Dial "dial": "A client dials.",
    NotDialled "not-dialled": "A client leaves it.",
    Refused "refused": "Nobody listens.",
    Hung "hung": "The SYN is lost, and the client gives up.",
    Connected "connected": "The connection is in the backlog; the client's session begins.",
    Admitted "admitted": "The server's session begins.",
    TurnedAway "turned-away": "The server's policy refuses the connection.",
    AcceptFailed "accept-failed": "Accepting failed.",
    Write "write": "The machine wants so many bytes written.",
    Wrote "wrote": "So many bytes reached the send buffer.",
    Blocked "blocked": "The send buffer takes nothing.",
    HalfClose "half-close": "The machine half-closes.",
    Send "send": "So many bytes go on their way.",
    SendEnd "send-end": "A FIN goes on its way.",
    SendReset "send-reset": "A reset goes on its way.",
    Arrive "arrive": "So many bytes arrive.",
    ArriveEnd "arrive-end": "A FIN arrives.",
    ArriveReset "arrive-reset": "A reset arrives.",
    Read "read": "The machine is given so many bytes.",
    End "end": "The machine is told of the peer's end.",
    Failed "failed": "The machine is told that the transport failed.",
    Command "command": "The machine is given a command.",
    Stop "stop": "The machine is told to stop.",
    Abort "abort": "The machine is told to abort.",
    Event "event": "The machine tells its hub something.",
    Timer "timer": "A deadline passes.",
    Close "close": "The machine closes gracefully.",
    CloseReset "close-reset": "The machine closes with a reset.",
    LineReset "line-reset": "The line resets both ends.",
    Silence "silence": "The line to this end falls silent for so long.",
    ServerStop "server-stop": "The server is stopped.",
    ServerForce "server-force": "The server is forced to end.",
    Drained "drained": "The server is drained.",
    Crash "crash": "The server dies.",
    Restart "restart": "The server is back.",
    Jump "jump": "The node's clock jumps forward by so much.",
    Freeze "freeze": "The node is suspended for so long.",
    Heal "heal": "All faults end.",
    Lost "lost": "A datagram of so many bytes is lost.",
    Twice "twice": "A datagram of so many bytes comes once more.",
    Damaged "damaged": "A bit of a datagram of so many bytes is changed.",
    Unsent "unsent": "A datagram of so many bytes does not leave.",
}
