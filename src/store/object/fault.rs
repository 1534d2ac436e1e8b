//! What can go wrong with a journal in a bucket, said with the next step.

use crate::bucket::{Cause, Fault};
use crate::store::StoreError;
use crate::store::blocking::IN_DOUBT;

const FORBIDDEN: &str = "the credentials in the environment must be allowed to list, read, write and delete below the journal's prefix; else \
    set another `journal:` in isobar.yaml";

const AWAY: &str = "see whether the service can be reached, then run the same command again";
const FULL: &str = "make room there, then run the same command again";
const TOO_MUCH: &str = "isobar keeps nothing as large: let nobody else write below the journal's prefix; where a run was to write it, ask for \
    less at once, by a selector";
const UNFIT: &str = "see the address that `journal:` in isobar.yaml names, and the service's variables in the environment; else set another \
    `journal:`";

/// The journal is not what was written.
pub(super) fn broken(place: &str, what: impl Into<String>) -> StoreError {
    StoreError::Broken { place: place.into(), what: what.into() }
}

/// The service said no, or nothing.
pub(super) fn failed(fault: &Fault) -> StoreError {
    let hint = match fault {
        Fault::Refused(refusal) => match refusal.cause {
            Cause::Forbidden => FORBIDDEN,
            Cause::Away => AWAY,
            Cause::Full => FULL,
            Cause::TooMuch => TOO_MUCH,
            Cause::Unfit => UNFIT,
        },
        Fault::Moved(_) | Fault::Unsure(_) => AWAY,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Refusal;

    #[test]
    fn each_cause_has_a_next_step_of_its_own() {
        let hint = |cause| match failed(&Fault::Refused(Refusal { told: "told".into(), cause })) {
            StoreError::Io { what, hint: Some(hint) } if what == "told" => hint,
            other => panic!("{other:?}"),
        };
        let causes = [
            (Cause::Forbidden, "must be allowed to list"),
            (Cause::Away, "can be reached"),
            (Cause::Full, "make room"),
            (Cause::TooMuch, "less at once"),
            (Cause::Unfit, "the address"),
        ];
        for (cause, says) in causes {
            assert!(hint(cause).contains(says), "{cause:?}: {}", hint(cause));
        }
    }
}
