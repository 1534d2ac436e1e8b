//! What may go wrong with an object, in words for people: no URL with a signature, no header, no text of the service but its code.

use super::address::Container;

/// Why something could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Somebody else wrote since: nothing was done.
    #[error("{0} was changed by somebody else in the meantime; nothing was written over it")]
    Moved(String),
    /// The service answered no, or could not be asked: nothing was done.
    #[error("{0}")]
    Refused(String),
    /// An answer was lost, and what was asked may have been done.
    #[error("{0}")]
    Unsure(String),
}

impl Fault {
    pub(super) fn plain(what: String) -> Self {
        Self::Refused(what)
    }

    pub(super) fn too_large(url: &str, max: u64) -> Self {
        Self::Refused(format!("{url} has more than {max} bytes"))
    }

    pub(super) fn too_many(url: &str, max: usize) -> Self {
        Self::Refused(format!("{url} holds more than {max} objects"))
    }

    pub(super) fn unfit(container: &Container, why: &str) -> Self {
        let hint = "isobar needs conditional writes, or two runs could overwrite each other; use a service that has them";
        Self::Refused(format!("{container} can't be used: {why}; {hint}"))
    }

    /// Nothing was changed for certain.
    pub fn is_untouched(&self) -> bool {
        match self {
            Self::Moved(_) | Self::Refused(_) => true,
            Self::Unsure(_) => false,
        }
    }
}
