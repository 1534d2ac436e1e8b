//! Sets of previews that were shown, as every store keeps them: by what was shown, and bounded.

use super::Stored;
use crate::change::Digest;

/// Sets that are kept, and bytes that they may have together: all of them are read at once.
pub(super) const SETS_MAX: usize = 50;
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// By what was shown, not by when.
pub(super) fn name(stored: &Stored) -> Digest {
    Digest::of_bytes(&text(&Stored { at_ms: 0, first_ms: 0, ..stored.clone() }))
}

pub(super) fn text(stored: &Stored) -> Vec<u8> {
    serde_json::to_vec(stored).expect("a preview holds only what JSON can")
}

/// Oldest first.
pub(super) fn sort(sets: &mut [Stored]) {
    sets.sort_by(|a, b| (a.at_ms, &a.head).cmp(&(b.at_ms, &b.head)));
}
