//! What can be wrong with the text of a script.

use std::error::Error;
use std::fmt;

use roundtrip_echo::ConfigError;

/// A text that is no script: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The line, from 1; the last one if something is missing.
    pub line: usize,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What is wrong with a line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The first line is not `script NAME`, with a name of letters, digits and `-`.
    Name,
    /// No such step.
    UnknownStep(String),
    /// No such setting.
    UnknownSetting(String),
    /// Not a count: 0 to 2^40.
    Count(String),
    /// Not a duration such as `50ms`: a whole number, at least 1, of `ns`, `us`, `ms`, `s`, `m` or `h`.
    Duration(String),
    /// Not a way in which a session ends.
    End(String),
    /// Words are missing, or there are too many.
    Words(&'static str),
    /// The line cannot stand here.
    Misplaced(&'static str),
    /// The session's configuration does not hold.
    Config(ConfigError),
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                f.write_str("a script begins with `script NAME`; a name has letters, digits and `-`")
            }
            Self::UnknownStep(step) => write!(f, "there is no step `{step}`"),
            Self::UnknownSetting(setting) => write!(f, "there is no setting `{setting}`"),
            Self::Count(text) => write!(f, "`{text}` is no count from 0 to 2^40"),
            Self::Duration(text) => write!(f, "`{text}` is no duration such as `50ms`, at least `1ns`"),
            Self::End(text) => write!(f, "no session ends `{text}`"),
            Self::Words(form) => write!(f, "this line is written `{form}`"),
            Self::Misplaced(why) => f.write_str(why),
            Self::Config(error) => write!(f, "the server's configuration: {error}"),
        }
    }
}

impl Error for ScriptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Config(error) => Some(error),
            Cause::Name
            | Cause::UnknownStep(_)
            | Cause::UnknownSetting(_)
            | Cause::Count(_)
            | Cause::Duration(_)
            | Cause::End(_)
            | Cause::Words(_)
            | Cause::Misplaced(_) => None,
        }
    }
}
