//! What a run of a script showed, and whether it is what the script says.

use std::error::Error;
use std::fmt;

use roundtrip_core::Failure;
use roundtrip_echo::ServerOutcome;

use crate::script::{Client, Script, Server, ServerSays};
use crate::words::{EndName, Open};

/// What a run of a script showed to those who took part in it. How the streams were cut is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// What each client saw, in the script's order.
    pub clients: Vec<ClientSeen>,
    /// What the server says of each client's session; `None` if that client was not let in.
    pub sessions: Vec<Option<ServerOutcome>>,
    /// Connections that the server's admission policy let in.
    pub admitted: u64,
    /// Connections that it turned away.
    pub refused: u64,
}

/// What one client saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientSeen {
    /// Bytes that the transport took.
    pub sent: u64,
    /// Bytes that came back where they were expected, and are the ones that were sent.
    pub echoed: u64,
    /// How its steps ended.
    pub ending: Ending,
}

/// How a client's steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Every step passed.
    Passed,
    /// Nobody accepted the connection.
    Refused,
    /// A step did not pass.
    Failed {
        /// The step, from 0; one past the last is the close at the list's end.
        step: usize,
        /// What was found.
        found: Found,
    },
}

/// What a client found instead of what its step expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Found {
    /// A byte that is not the next one sent, or that was not sent yet.
    Wrong {
        /// Its offset in what came back.
        at: u64,
    },
    /// Bytes where the end was expected.
    More,
    /// The end.
    End,
    /// The end, told without read credit: a driver reports it only from a read that returned nothing.
    EndUnasked,
    /// A connection, where nobody should have accepted one.
    Accepted,
    /// The transport failed.
    Failed(Failure),
    /// No byte moved for 30 s of the driver's time.
    TimedOut,
    /// The driver said stop.
    Stopped,
    /// The driver said abort.
    Aborted,
    /// The driver told what was not asked for: data or a command without credit, a second end, more written than was
    /// outstanding.
    Misuse,
}

/// What was observed is not what the script says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The script.
    pub script: String,
    /// Whose part of it: a client, from 0; `None` for the server's door.
    pub client: Option<usize>,
    /// What the script says.
    pub expected: String,
    /// What was observed.
    pub observed: String,
}

impl ClientSeen {
    /// Nobody accepted its connection.
    pub const REFUSED: Self = Self { sent: 0, echoed: 0, ending: Ending::Refused };
}

impl Script {
    /// Holds what was observed against what the script says. Two observations that pass are equal, but for the
    /// fields that the script leaves open; and of those, too, this holds: a session received no more than its client
    /// sent, echoed no more than it received and no less than its client verified, and dropped the rest.
    ///
    /// # Errors
    ///
    /// The first [`Disagreement`].
    pub fn judge(&self, observed: &Observed) -> Result<(), Disagreement> {
        let disagree = |client, expected: String, observed: String| {
            Err(Disagreement { script: self.name().to_owned(), client, expected, observed })
        };
        let clients = self.clients();
        for (number, client) in clients.iter().enumerate() {
            let seen = observed.clients.get(number);
            if !seen.is_some_and(|seen| client.agrees(seen)) {
                let seen = seen.map_or_else(|| "nothing".to_owned(), |seen| client.describe(seen));
                return disagree(Some(number), client.expectation(), seen);
            }
            let session = observed.sessions.get(number).copied().flatten();
            if !client.server_agrees(session.as_ref()) {
                let session = session.map_or_else(|| "no session".to_owned(), |session| describe(&session));
                return disagree(Some(number), client.server().to_string(), session);
            }
        }
        let admitted = clients.iter().filter(|client| client.is_admitted()).count() as u64;
        let refused = clients.iter().filter(|client| *client.server() == Server::TurnedAway).count() as u64;
        if (admitted, refused) == (observed.admitted, observed.refused) {
            Ok(())
        } else {
            let door = |admitted, refused| format!("{admitted} admitted, {refused} turned away");
            disagree(None, door(admitted, refused), door(observed.admitted, observed.refused))
        }
    }
}

impl Client {
    fn agrees(&self, seen: &ClientSeen) -> bool {
        let ending = if self.is_refused() { Ending::Refused } else { Ending::Passed };
        let sent = if self.is_reset() { seen.sent <= self.bytes() } else { seen.sent == self.bytes() };
        seen.ending == ending && seen.echoed == self.expected() && sent
    }

    fn server_agrees(&self, session: Option<&ServerOutcome>) -> bool {
        let (says, session) = match (self.server(), session) {
            (Server::Says(says), Some(session)) => (says, session),
            (Server::Never | Server::TurnedAway, None) => return true,
            (Server::Says(_), None) | (Server::Never | Server::TurnedAway, Some(_)) => return false,
        };
        let ServerOutcome { received, echoed, dropped, .. } = *session;
        let holds = received <= self.bytes() && echoed + dropped == received && echoed >= self.expected();
        holds && says.agrees(session)
    }

    fn expectation(&self) -> String {
        if self.is_refused() {
            return "refused".to_owned();
        }
        let sent = Open((!self.is_reset()).then_some(self.bytes()));
        format!("every step passed, {sent} bytes sent, {} echoed", self.expected())
    }

    fn describe(&self, seen: &ClientSeen) -> String {
        let how = match seen.ending {
            Ending::Passed => "every step passed".to_owned(),
            Ending::Refused => return "refused".to_owned(),
            Ending::Failed { step, found } => match self.steps().get(step) {
                Some(failed) => format!("step {}, `{failed}`: {found}", step + 1),
                None => format!("closing: {found}"),
            },
        };
        format!("{how}, {} bytes sent, {} echoed", seen.sent, seen.echoed)
    }
}

impl ServerSays {
    fn agrees(&self, session: &ServerOutcome) -> bool {
        self.ends.contains(&session.end)
            && self.received.is_none_or(|received| received == session.received)
            && self.echoed.is_none_or(|echoed| echoed == session.echoed)
    }
}

fn describe(session: &ServerOutcome) -> String {
    let ServerOutcome { end, received, echoed, dropped, .. } = *session;
    format!("server {} received {received} echoed {echoed} dropped {dropped}", EndName(end))
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong { at } => return write!(f, "a wrong byte at offset {at}"),
            Self::Failed(Failure::Reset) => "the connection was reset",
            Self::Failed(Failure::Truncated) => "the stream was truncated",
            Self::Failed(Failure::Io) => "the transport failed",
            Self::More => "more bytes",
            Self::End => "the end",
            Self::EndUnasked => "the end, without read credit",
            Self::Accepted => "a connection",
            Self::TimedOut => "nothing, for too long",
            Self::Stopped => "the driver said stop",
            Self::Aborted => "the driver said abort",
            Self::Misuse => "an input that was not asked for",
        })
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.script)?;
        match self.client {
            Some(client) => write!(f, "client {}", client + 1)?,
            None => f.write_str("the door")?,
        }
        write!(f, ": the script says: {}; observed: {}", self.expected, self.observed)
    }
}

impl Error for Disagreement {}
