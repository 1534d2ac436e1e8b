//! The classes of drift: the word that a journal keeps of a finding. Knows not how drift is found.

use serde::{Deserialize, Serialize};

/// Why reality is not what the code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody changed what we made.
    OutOfBand,
    /// Somebody removed what we made.
    Missing,
    /// Somebody added what we did not make.
    Unmanaged,
    /// Nobody touched it: our own code was merged and not applied.
    UnappliedCommit,
    /// We could not look; not the same as clean.
    NotChecked,
}
