//! What may go wrong with an object, in words for people: no URL with a signature, no header, no text of the service but its code.

use super::address::Container;
use std::fmt;

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Somebody else wrote since: nothing was done.
    #[error("{0} was changed by somebody else in the meantime; nothing was written over it")]
    Moved(String),
    /// The service answered no, or could not be asked: nothing was done.
    #[error("{0}")]
    Refused(Refusal),
    /// An answer was lost, and what was asked may have been done.
    #[error("{0}")]
    Unsure(String),
}

/// What was refused, in words, and the kind of its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub told: String,
    pub cause: Cause,
}

/// Kinds of causes: each has another next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The service knows who asks and does not let them, or does not know them.
    Forbidden,
    /// No answer came, or that it is busy or out of order.
    Away,
    /// There is no room.
    Full,
    /// An object, or a listing, has more than we take.
    TooMuch,
    /// An address, a variable or the service is not what it must be.
    Unfit,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

impl Fault {
    pub(super) fn refused(cause: Cause, told: String) -> Self {
        Self::Refused(Refusal { told, cause })
    }

    pub(super) fn plain(told: String) -> Self {
        Self::refused(Cause::Unfit, told)
    }

    pub(super) fn too_large(url: &str, max: u64) -> Self {
        Self::refused(Cause::TooMuch, format!("{url} has more than {max} bytes"))
    }

    pub(super) fn too_many(url: &str, max: usize) -> Self {
        Self::refused(Cause::TooMuch, format!("{url} holds more than {max} objects"))
    }

    pub(super) fn unfit(container: &Container, why: &str) -> Self {
        let hint = "isobar needs conditional writes, or two runs could overwrite each other; use a service that has them";
        Self::plain(format!("{container} can't be used: {why}; {hint}"))
    }

    /// Nothing was changed for certain.
    pub fn is_untouched(&self) -> bool {
        match self {
            Self::Moved(_) | Self::Refused(_) => true,
            Self::Unsure(_) => false,
        }
    }
}
