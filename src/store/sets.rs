//! Sets of previews that were shown, as every store keeps them: by what was shown, bounded, and sealed when there is a key.

use super::Stored;
use crate::change::Digest;
use crate::journal::{Sealer, close, is_sealed_by};

/// Sets that are kept, and bytes that they may have together: all of them are read at once.
pub(super) const SETS_MAX: usize = 50;
const BYTES_MAX: u64 = 64 << 20;

/// By what was shown, not by when.
pub(super) fn name(stored: &Stored) -> Digest {
    Digest::of_bytes(body(&Stored { at_ms: 0, first_ms: 0, ..stored.clone() }).as_bytes())
}

/// The text that is kept, closed by its hash.
pub(super) fn text(stored: &Stored, sealer: Option<&Sealer>) -> String {
    close(body(stored), sealer)
}

/// Whoever has a key believes only what that key sealed.
pub(super) fn is_ours(bytes: &[u8], sealer: Option<&Sealer>) -> bool {
    sealer.is_none_or(|sealer| std::str::from_utf8(bytes).is_ok_and(|text| is_sealed_by(text, sealer)))
}

/// Which of the `others`, newest first and each with its bytes, must go beside a set of `newest` bytes: that one stays, whatever its size.
pub(super) fn surplus<T>(newest: u64, others: impl IntoIterator<Item = (T, u64)>) -> Vec<T> {
    let (mut sets, mut bytes) = (1, newest);
    let goes = others.into_iter().filter(|(_, length)| {
        (sets, bytes) = (sets + 1, bytes.saturating_add(*length));
        sets > SETS_MAX || bytes > BYTES_MAX
    });
    goes.map(|(set, _)| set).collect()
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

    #[test]
    fn the_oldest_sets_go_that_are_too_many_or_too_large_together() {
        let others = |count: usize, bytes: u64| (1..=count).map(move |nth| (nth, bytes));
        assert_eq!(surplus(9, others(SETS_MAX - 1, 1)), [0; 0]);
        assert_eq!(surplus(9, others(SETS_MAX + 1, 1)), [SETS_MAX, SETS_MAX + 1]);
        assert_eq!(surplus(0, others(3, BYTES_MAX / 2)), [3]);
        assert_eq!(surplus(BYTES_MAX + 1, others(2, 0)), [1, 2], "the newest stays alone");
    }
}
