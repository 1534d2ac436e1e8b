//! Sets of previews that were shown, as every store keeps them: by what was shown, bounded, and sealed when there is a key.

use super::Stored;
use crate::change::Digest;
use crate::journal::{Sealer, close, is_sealed_by};
use std::collections::BTreeSet;

/// Sets that are kept, and bytes that they may have together: all of them are read at once.
pub(super) const SETS_MAX: usize = 200;
const BYTES_MAX: u64 = 64 << 20;

/// The newest sets, which stay though their change was shown anew since: somebody may have approved what it was.
const RECENT_MAX: usize = 50;

/// What a set is called: by what was shown and of which change, not by when. `12-c01f…` of change 12, `c01f…` of none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn of(stored: &Stored) -> Self {
        let digest = Digest::of_bytes(body(&Stored { at_ms: 0, first_ms: 0, run: None, ..stored.clone() }).as_bytes());
        let digest = digest.as_str();
        Self(stored.change.map_or_else(|| digest.to_string(), |change| format!("{change}-{digest}")))
    }

    pub(super) fn read(text: &str) -> Self {
        Self(text.to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn change(&self) -> Option<u64> {
        self.0.split_once('-')?.0.parse().ok()
    }
}

/// The text that is kept, closed by its hash.
pub(super) fn text(stored: &Stored, sealer: Option<&Sealer>) -> String {
    close(body(stored), sealer)
}

/// Whoever has a key believes only what that key sealed.
pub(super) fn is_ours(bytes: &[u8], sealer: Option<&Sealer>) -> bool {
    sealer.is_none_or(|sealer| std::str::from_utf8(bytes).is_ok_and(|text| is_sealed_by(text, sealer)))
}

/// Which of the `others`, newest first and each with its name and bytes, must go beside the set just saved: that one stays, whatever its
/// size. What was shown of a change before it was shown anew goes before what was shown last of another.
pub(super) fn surplus<T>((newest, bytes): (&Name, u64), others: impl IntoIterator<Item = (T, Name, u64)>) -> Vec<T> {
    let (mut at, mut sets, mut bytes) = (1, 1, bytes);
    let mut shown: BTreeSet<u64> = newest.change().into_iter().collect();
    let goes = others.into_iter().filter(|(_, name, length)| {
        let is_newest = name.change().is_none_or(|change| shown.insert(change));
        let is_full = sets >= SETS_MAX || bytes.saturating_add(*length) > BYTES_MAX;
        at += 1;
        if is_full || !is_newest && at > RECENT_MAX {
            return true;
        }
        (sets, bytes) = (sets + 1, bytes + length);
        false
    });
    goes.map(|(set, _, _)| set).collect()
}

/// Oldest first.
pub(super) fn sort(sets: &mut [Stored]) {
    sets.sort_by(|a, b| (a.at_ms, &a.head).cmp(&(b.at_ms, &b.head)));
}

fn body(stored: &Stored) -> String {
    serde_json::to_string(stored).expect("a preview holds only what JSON can")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many sets of no change, newest first, each of so many bytes.
    fn others(count: usize, bytes: u64) -> impl Iterator<Item = (usize, Name, u64)> {
        (1..=count).map(move |nth| (nth, Name::read(&format!("{nth:x}")), bytes))
    }

    #[test]
    fn the_oldest_sets_go_that_are_too_many_or_too_large_together() {
        let newest = Name::read("0");
        assert_eq!(surplus((&newest, 9), others(SETS_MAX - 1, 1)), [0; 0]);
        assert_eq!(surplus((&newest, 9), others(SETS_MAX + 1, 1)), [SETS_MAX, SETS_MAX + 1]);
        assert_eq!(surplus((&newest, 0), others(3, BYTES_MAX / 2)), [3]);
        assert_eq!(surplus((&newest, BYTES_MAX + 1), others(2, 0)), [1, 2], "the newest stays alone");
        assert_eq!(
            surplus((&newest, 0), [(1, Name::read("1"), BYTES_MAX + 1), (2, Name::read("2"), 1)]),
            [1],
            "a small one has room"
        );
    }

    #[test]
    fn what_was_shown_last_of_a_change_outlives_what_was_shown_before() {
        let of = |change: u64, nth: usize| (nth, Name::read(&format!("{change}-{nth:x}")), 1);
        let busy = (1..=60).map(|nth| of(1, nth));
        let goes = surplus((&Name::read("1-0"), 1), busy.chain([of(2, 61), of(2, 62)]));
        assert_eq!(
            goes,
            (RECENT_MAX..=60).chain([62]).collect::<Vec<_>>(),
            "all but the newest of change 2 and the newest of all"
        );
    }

    #[test]
    fn a_set_is_named_by_what_was_shown_and_not_by_when_or_by_whom() {
        let shown = |at_ms, run, change| {
            let (head, base, previews) = (None, "base".into(), Vec::new());
            Name::of(&Stored { head, base, at_ms, first_ms: at_ms, change, part: None, run, whole: None, previews })
        };
        assert_eq!(shown(1, None, Some(12)), shown(2, Some((7, 1)), Some(12)));
        assert_eq!((shown(1, None, Some(12)).change(), shown(1, None, None).change()), (Some(12), None));
    }
}
