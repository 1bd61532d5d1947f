//! Bounds of the fields of configurations.

use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::time::Duration;

/// Minimum of a time: a limit of 0 would pass the moment it is set.
const MIN_TIME: Duration = Duration::from_nanos(1);

/// A configuration whose fields have bounds: one list of them, for those who check and for the sessions.
pub(super) trait Bounded: Clone {
    /// Moves every field into its bounds.
    ///
    /// # Errors
    ///
    /// Names the first field that was outside.
    fn bound(&mut self) -> Result<(), ConfigError>;

    /// The configuration that a session keeps: this one, unless a field is out of its bounds.
    fn bounded(self: Arc<Self>) -> Arc<Self> {
        let mut config = (*self).clone();
        if config.bound().is_ok() { self } else { Arc::new(config) }
    }
}

/// Moves values into their bounds.
pub(super) struct Bounds {
    /// The first value that was outside.
    pub(super) first: Result<(), ConfigError>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { first: Ok(()) }
    }
}

impl Bounds {
    #[inline]
    pub(super) fn number<T>(&mut self, field: &'static str, value: &mut T, min: T, max: T)
    where
        T: Copy + Ord + TryInto<usize>,
    {
        if *value < min {
            *value = min;
            self.report(match min.try_into().unwrap_or(usize::MAX) {
                1 => ConfigError::Zero { field },
                min => ConfigError::TooSmall { field, min },
            });
        } else if *value > max {
            *value = max;
            self.report(ConfigError::TooLarge { field, max: max.try_into().unwrap_or(usize::MAX) });
        }
    }

    #[inline]
    pub(super) fn time(&mut self, field: &'static str, value: Option<&mut Duration>) {
        if let Some(value) = value
            && value.is_zero()
        {
            *value = MIN_TIME;
            self.report(ConfigError::Zero { field });
        }
    }

    #[cold]
    fn report(&mut self, error: ConfigError) {
        self.first = self.first.and(Err(error));
    }
}

/// A field of a configuration is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// It must not be zero.
    Zero {
        /// The field's name.
        field: &'static str,
    },
    /// It is smaller than allowed.
    TooSmall {
        /// The field's name.
        field: &'static str,
        /// The smallest value.
        min: usize,
    },
    /// It is larger than allowed.
    TooLarge {
        /// The field's name.
        field: &'static str,
        /// The largest value.
        max: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { field } => write!(f, "{field} must not be zero"),
            Self::TooSmall { field, min } => write!(f, "{field} must be at least {min}"),
            Self::TooLarge { field, max } => write!(f, "{field} must be at most {max}"),
        }
    }
}

impl Error for ConfigError {}
