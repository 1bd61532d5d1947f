//! What a script sets up: the limits of the sessions, and of the door in front of them.

use std::fmt;
use std::time::Duration;

use roundtrip_core::admission::Limits;
use roundtrip_echo::{ConfigError, ServerConfig};

use crate::error::Cause;
use crate::words::{Pretty, count, duration};

/// Whatever a script does not want to pass does not pass while it runs.
const FAR: Duration = Duration::from_secs(3600);

/// One list: name in the text, variant, type.
macro_rules! settings {
    ($($room:literal $key:literal $variant:ident $value:ident,)*) => {
        /// One line of a script's head.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Setting {
            $($variant(settings!(@type $value)),)*
        }

        impl Setting {
            /// Reads `echo quiet 50ms`, already cut into words.
            pub(crate) fn parse(room: &str, key: &str, value: &str) -> Result<Self, Cause> {
                match (room, key) {
                    $(($room, $key) => settings!(@parse $value value).map(Self::$variant),)*
                    _ => Err(Cause::UnknownSetting(format!("{room} {key}"))),
                }
            }
        }

        impl fmt::Display for Setting {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(value) => write!(f, "{} {} {}", $room, $key, settings!(@show $value value)),)*
                }
            }
        }
    };
    (@type bytes) => { u64 };
    (@type time) => { Duration };
    (@parse bytes $text:ident) => { count($text) };
    (@parse time $text:ident) => { duration($text) };
    (@show bytes $value:ident) => { $value };
    (@show time $value:ident) => { Pretty(*$value) };
}

settings! {
    "echo" "buffer" Buffer bytes,
    "echo" "chunk" Chunk bytes,
    "echo" "max-chunks" MaxChunks bytes,
    "echo" "idle" Idle time,
    "echo" "half-close-idle" HalfCloseIdle time,
    "echo" "max-age" MaxAge time,
    "echo" "quiet" Quiet time,
    "echo" "drain" Drain time,
    "echo" "linger" Linger time,
    "door" "connections" Connections bytes,
    "door" "per-source" PerSource bytes,
    "door" "total" Total bytes,
    "door" "drain" DrainAll time,
}

/// What the settings come to.
pub(crate) fn build(settings: &[Setting]) -> Result<(ServerConfig, Limits), ConfigError> {
    let mut config = ServerConfig::default().quiet(FAR).drain(FAR).linger(FAR);
    let mut limits = Limits::default().drain(FAR);
    for &setting in settings {
        match setting {
            Setting::Buffer(bytes) => config = config.buffer(size(bytes)),
            Setting::Chunk(bytes) => config = config.chunk(size(bytes)),
            Setting::MaxChunks(chunks) => config = config.max_chunks(size(chunks)),
            Setting::Idle(limit) => config = config.idle(Some(limit)),
            Setting::HalfCloseIdle(limit) => config = config.half_close_idle(Some(limit)),
            Setting::MaxAge(limit) => config = config.max_age(Some(limit)),
            Setting::Quiet(limit) => config = config.quiet(limit),
            Setting::Drain(limit) => config = config.drain(limit),
            Setting::Linger(limit) => config = config.linger(limit),
            Setting::Connections(connections) => limits.connections = size(connections),
            Setting::PerSource(connections) => limits.per_source = Some(size(connections)),
            Setting::Total(connections) => limits.total = Some(connections),
            Setting::DrainAll(limit) => limits.drain = limit,
        }
    }
    config.validate()?;
    Ok((config, limits))
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
