//! What choices are called. The names are part of the trace format: they are never changed and never used again.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// Where in the model a choice is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(u8);

/// What kind of trouble a choice makes. A campaign switches whole families on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// Not trouble: what is sent, and how much.
    Workload,
    /// Segments take longer than the base latency.
    Latency,
    /// What happens at one time happens in another order.
    Order,
    /// Segments are cut, and joined again.
    Split,
    /// Reads and writes take less than they could, or complete later.
    ShortIo,
    /// Tiny windows and send buffers.
    Window,
    /// A reader that comes late, a line with little bandwidth.
    Slow,
    /// The line is silent for a while, one way or both.
    Stall,
    /// Resets.
    Reset,
    /// Connections that are not accepted, or not for long.
    Connect,
    /// A session or the server is asked to finish.
    Stop,
    /// A session or the server is asked to end at once.
    Abort,
    /// The server dies and comes back.
    Crash,
    /// Late timers, jumps, freezes and drift.
    Clock,
    /// Mail between the connections of a hub is late.
    Mail,
    /// Datagrams that are lost, repeated, damaged, or too long.
    Datagram,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Workload,
        Self::Latency,
        Self::Order,
        Self::Split,
        Self::ShortIo,
        Self::Window,
        Self::Slow,
        Self::Stall,
        Self::Reset,
        Self::Connect,
        Self::Stop,
        Self::Abort,
        Self::Crash,
        Self::Clock,
        Self::Mail,
        Self::Datagram,
    ];

    /// Its name in masks and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Latency => "latency",
            Self::Order => "order",
            Self::Split => "split",
            Self::ShortIo => "short-io",
            Self::Window => "window",
            Self::Slow => "slow",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::Connect => "connect",
            Self::Stop => "stop",
            Self::Abort => "abort",
            Self::Crash => "crash",
            Self::Clock => "clock",
            Self::Mail => "mail",
            Self::Datagram => "datagram",
        }
    }

    /// The family of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Its bit in a set of families.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// How often a choice is asked for, and so how often it should not be benign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// At every step.
    Each,
    /// Once an entity.
    Once,
    /// Once an entity, and it ends a connection: nothing else can then happen on it.
    Deadly,
    /// How much of something that was chosen.
    Size,
}

/// One list: constant, name, family, pace.
macro_rules! sites {
    ($($constant:ident $name:literal $family:ident $pace:ident: $doc:literal,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($constant),* }
        /// Sites of the model itself; those of workloads follow.
        const TABLE: &[(&str, Family, Pace)] = &[$(($name, Family::$family, Pace::$pace)),*];
        impl Site {
            $(#[doc = $doc] pub const $constant: Self = Self(Number::$constant as u8);)*
        }
    };
}

sites! {
    TIE "tie" Order Each: "How far behind others of the same time an event is put.",
    ORDER "order" Order Each: "Which of several ready things a driver does first.",
    LATENCY "latency" Latency Each: "Quanta that a segment takes longer.",
    SEGMENT "segment" Split Each: "Bytes after which a write is cut into segments; 0: not cut.",
    ONE_SEGMENT "one-segment" Split Each: "Whether a read takes no more than what came in one segment.",
    SHORT_READ "short-read" ShortIo Each: "Bytes at which a read is cut; 0: not cut.",
    SHORT_WRITE "short-write" ShortIo Each: "Bytes at which a write is cut; 0: not cut.",
    WOULD_BLOCK "would-block" ShortIo Each: "Quanta that a write is put off though there is room.",
    COMPLETION "completion" ShortIo Once: "Quanta until a write is reported; 0: at once.",
    WINDOW "window" Window Once: "Bytes of the receive window; 0: the scenario's.",
    SEND_BUFFER "send-buffer" Window Once: "Bytes of the send buffer; 0: the scenario's.",
    WAKE "wake" Slow Each: "Quanta until a driver looks at what arrived.",
    BANDWIDTH "bandwidth" Slow Once: "Quanta that a kilobyte takes on the line.",
    STALL "stall" Stall Once: "Segments after which one way falls silent; 0: never.",
    STALL_FOR "stall-for" Stall Size: "Quanta of that silence, beyond the first; the last value: until healed.",
    BLACKHOLE "blackhole" Stall Once: "Segments after which both ways are silent until healed; 0: never.",
    RESET "reset" Reset Deadly: "Segments after which the line resets both ends; 0: never.",
    RESET_DISCARDS "reset-discards" Reset Each: "Whether a reset discards what was not read.",
    RESET_OVERTAKES "reset-overtakes" Reset Each: "Whether a reset overtakes what is on its way.",
    FAIL_FIRST "fail-first" Reset Each: "Whether a driver reports a reset before it reads what came.",
    DIAL "dial" Connect Deadly: "1: refused. 2: hung. 3: never tried.",
    ABORT_BEFORE_ACCEPT "abort-before-accept" Connect Deadly: "Whether the client resets before it is accepted.",
    ACCEPT "accept" Connect Each: "1: the connection was gone. 2: out of descriptors.",
    STOP "stop" Stop Once: "Wake-ups after which a session is stopped; 0: never.",
    STOP_AGAIN "stop-again" Stop Once: "Wake-ups after which it is stopped a second time; 0: never.",
    SERVER_STOP "server-stop" Stop Once: "Quanta after which the server is stopped; 0: never.",
    ABORT "abort" Abort Deadly: "Wake-ups after which a session is aborted; 0: never.",
    ABORT_LATE "abort-late" Abort Once: "Wake-ups after its half-close after which a session is aborted; 0: never.",
    SERVER_FORCE "server-force" Abort Deadly: "Quanta after its stop that the server is forced; 0: never.",
    CRASH "crash" Crash Deadly: "Quanta after which the server dies; 0: never.",
    RESTART "restart" Crash Size: "Quanta until it is back, beyond the first.",
    TIMER "timer" Clock Each: "Quanta that a timer is late.",
    JUMP "jump" Clock Once: "Quanta after which a node's clock jumps forward; 0: never.",
    JUMP_BY "jump-by" Clock Size: "Quanta of that jump, beyond the first.",
    FREEZE "freeze" Clock Once: "Quanta after which a node is suspended; 0: never.",
    FREEZE_FOR "freeze-for" Clock Size: "Quanta of that suspension, beyond the first.",
    DRIFT "drift" Clock Once: "1: a node's clock is 1 % fast. 2: 1 % slow.",
    MAIL "mail" Mail Each: "Quanta until a driver looks into its mailbox.",
    DATAGRAM "datagram" Datagram Each: "1: lost. 2: comes twice. 3: a bit of it is changed.",
    MTU "mtu" Datagram Once: "1: datagrams that are too long for the path are refused. 2: they are lost.",
}

/// Sites for the choices of a scenario.
const WORKLOADS: usize = 24;

impl Site {
    /// How many sites there are.
    pub const COUNT: usize = TABLE.len() + WORKLOADS;

    /// A choice of the scenario itself: what is sent, how much, how things are configured.
    ///
    /// # Panics
    ///
    /// If `number` is 24 or more.
    #[expect(clippy::cast_possible_truncation, reason = "a table of less than 256 entries")]
    pub const fn workload(number: u8) -> Self {
        assert!((number as usize) < WORKLOADS, "there are 24 workload sites");
        Self(TABLE.len() as u8 + number)
    }

    /// All of them.
    #[expect(clippy::cast_possible_truncation, reason = "a table of less than 256 entries")]
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u8).map(Self)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// What kind of trouble it makes.
    pub fn family(self) -> Family {
        TABLE.get(self.index()).map_or(Family::Workload, |site| site.1)
    }

    /// How often it is asked for; none for the choices of a scenario.
    pub(crate) fn pace(self) -> Option<Pace> {
        TABLE.get(self.index()).map(|site| site.2)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TABLE.get(self.index()) {
            Some(site) => f.write_str(site.0),
            None => write!(f, "workload.{}", self.index() - TABLE.len()),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Site {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::all().find(|site| site.to_string() == text).ok_or(NameError::Site)
    }
}

/// Whose choice it is. Its name does not depend on who else takes part, so a connection more changes no other's
/// choices.
#[derive(Clone, Copy)]
pub struct Entity {
    /// Kind, round and number: what is the same in every run for the same name.
    key: u64,
    index: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    World,
    Clients,
    Servers,
    Client,
    Server,
}

/// Those of connections follow the entities of the run as a whole.
const FIXED: u32 = 3;

impl Entity {
    /// The run as a whole.
    pub const WORLD: Self = Self::named(Kind::World, 0, 0, 0);
    /// The node on which all clients run.
    pub const CLIENTS: Self = Self::named(Kind::Clients, 0, 0, 1);
    /// The node on which the server runs.
    pub const SERVER: Self = Self::named(Kind::Servers, 0, 0, 2);

    /// These three: they have always begun, and their indices are the first.
    pub(crate) const OF_THE_RUN: [Self; FIXED as usize] = [Self::WORLD, Self::CLIENTS, Self::SERVER];

    const fn named(kind: Kind, number: u32, round: u16, index: u32) -> Self {
        Self { key: (kind as u64) << 48 | (round as u64) << 32 | number as u64, index }
    }

    /// The client's end of client `number`'s `round`-th connection, kept in `slot`.
    pub(crate) const fn client(number: u32, round: u16, slot: u32) -> Self {
        Self::named(Kind::Client, number, round, FIXED + 2 * slot)
    }

    /// The server's end of the same connection.
    pub(crate) const fn server(number: u32, round: u16, slot: u32) -> Self {
        Self::named(Kind::Server, number, round, FIXED + 2 * slot + 1)
    }

    /// Whether it is a connection's end on the client's side.
    pub const fn is_client(self) -> bool {
        self.key >> 48 == Kind::Client as u64
    }

    /// Whether it is a connection's end on the server's side.
    pub const fn is_server(self) -> bool {
        self.key >> 48 == Kind::Server as u64
    }

    /// The client's number; 0 if it is none.
    #[expect(clippy::cast_possible_truncation, reason = "a field of the key")]
    pub const fn number(self) -> u32 {
        self.key as u32
    }

    /// Which of this client's connections, from 0.
    #[expect(clippy::cast_possible_truncation, reason = "a field of the key")]
    pub const fn round(self) -> u16 {
        (self.key >> 32) as u16
    }

    /// The same end of another client's connection, or of another of its connections.
    pub(crate) const fn renumbered(self, number: u32, round: u16) -> Self {
        Self { key: self.key >> 48 << 48 | (round as u64) << 32 | number as u64, index: self.index }
    }

    /// A small number that no other entity has at the same time: for tables.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// What is the same in every run for the same name.
    #[inline]
    pub(crate) const fn key(self) -> u64 {
        self.key
    }
}

impl PartialEq for Entity {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entity {}

impl PartialOrd for Entity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for Entity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Entity {
    /// `world`, `clients`, `server`; `client.3` and `server.3` for the ends of client 3's first connection,
    /// `client.3.1` for its second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::WORLD {
            return f.write_str("world");
        } else if *self == Self::CLIENTS {
            return f.write_str("clients");
        } else if *self == Self::SERVER {
            return f.write_str("server");
        }
        write!(f, "{}.{}", if self.is_client() { "client" } else { "server" }, self.number())?;
        if self.round() > 0 { write!(f, ".{}", self.round()) } else { Ok(()) }
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Entity {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "world" => return Ok(Self::WORLD),
            "clients" => return Ok(Self::CLIENTS),
            "server" => return Ok(Self::SERVER),
            _ => {}
        }
        let mut parts = text.split('.');
        let kind = match parts.next() {
            Some("client") => Kind::Client,
            Some("server") => Kind::Server,
            _ => return Err(NameError::Entity),
        };
        let number = parts.next().and_then(|part| part.parse().ok()).ok_or(NameError::Entity)?;
        let round = parts.next().map_or(Ok(0), |part| part.parse().map_err(|_| NameError::Entity))?;
        if parts.next().is_some() {
            return Err(NameError::Entity);
        }
        // Whoever looks it up does so by name.
        Ok(Self::named(kind, number, round, 0))
    }
}

/// A name that no site or entity has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// No site is called so.
    Site,
    /// No entity is called so.
    Entity,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "no site of this version is called so",
            Self::Entity => "not a name such as `world`, `server`, `client.3` or `client.3.1`",
        })
    }
}

impl Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_are_read_back() {
        let mut names: Vec<_> = Site::all().map(|site| site.to_string()).collect();
        assert_eq!(names.len(), Site::COUNT);
        for (site, name) in Site::all().zip(&names) {
            assert_eq!(name.parse(), Ok(site));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Site::COUNT);
        assert_eq!("nowhere".parse::<Site>(), Err(NameError::Site));
    }

    #[test]
    fn entities_are_read_back() {
        let all = [
            Entity::WORLD,
            Entity::CLIENTS,
            Entity::SERVER,
            Entity::client(3, 0, 9),
            Entity::server(3, 0, 9),
            Entity::client(12, 7, 0),
        ];
        for entity in all {
            assert_eq!(entity.to_string().parse(), Ok(entity));
        }
        for text in
            ["", "client", "client.", "client.x", "client.1.2.3", "client.-1", "clients.1", "client.1."]
        {
            assert_eq!(text.parse::<Entity>(), Err(NameError::Entity), "{text}");
        }
    }
}
