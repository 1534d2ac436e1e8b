//! What can go wrong with a journal in a bucket, said with the next step.

use crate::bucket::Fault;
use crate::store::StoreError;
use crate::store::blocking::IN_DOUBT;

const HINT: &str = "the credentials in the environment must be allowed to list, read, write and delete below the journal's prefix; else \
    set another `journal:` in isobar.yaml";

/// The journal is not what was written.
pub(super) fn broken(place: &str, what: impl Into<String>) -> StoreError {
    StoreError::Broken { place: place.into(), what: what.into() }
}

/// The service said no, or nothing.
pub(super) fn failed(fault: &Fault) -> StoreError {
    let hint = match fault {
        Fault::Refused(_) => HINT,
        Fault::Moved(_) | Fault::Unsure(_) => "see whether the service can be reached, then run the same command again",
    };
    StoreError::Io { what: fault.to_string(), hint: Some(hint.into()) }
}

/// Nobody could tell us what became of a page.
pub(super) fn in_doubt(fault: &Fault) -> StoreError {
    let hint = "it is there once or not at all: see `isobar status`, and run the same command again";
    StoreError::Io { what: format!("{fault}; {IN_DOUBT}"), hint: Some(hint.into()) }
}

pub(super) fn crowded(place: &str, times: u32) -> StoreError {
    StoreError::Io {
        what: format!("somebody else was first {times} times in a row at {place}; nothing was journalled"),
        hint: Some("run the same command again; many runs at once are better one after the other".into()),
    }
}

/// What a process saw last is gone, as somebody asked for.
pub(super) fn compacted_beyond(place: &str, seq: u64) -> StoreError {
    let what = format!("{place} was compacted beyond entry {seq}, which we saw last");
    StoreError::Io { what, hint: Some("run the same command again".into()) }
}
