//! Sets of previews that were shown, as every store keeps them: by what was shown, bounded, and sealed when there is a key.

use super::Stored;
use crate::change::Digest;
use crate::journal::{Sealer, close, is_sealed_by};

/// Sets that are kept, and bytes that they may have together: all of them are read at once.
pub(super) const SETS_MAX: usize = 50;
pub(super) const BYTES_MAX: u64 = 64 << 20;

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

/// Oldest first.
pub(super) fn sort(sets: &mut [Stored]) {
    sets.sort_by(|a, b| (a.at_ms, &a.head).cmp(&(b.at_ms, &b.head)));
}

fn body(stored: &Stored) -> String {
    serde_json::to_string(stored).expect("a preview holds only what JSON can")
}
