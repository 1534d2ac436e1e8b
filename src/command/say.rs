//! Small words that several commands say alike.

use crate::stack::unbroken;
use std::sync::Arc;

/// Returns the first seven characters of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// `2026-11-02 14:02 UTC`.
pub(crate) fn say_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "an unknown time".into(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// `1 file is`, `3 files are`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The first few of a list of paths.
pub(crate) fn some(paths: &[Arc<str>]) -> String {
    const SHOWN: usize = 5; // a line stays a line
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| unbroken(path)).collect();
    let rest = paths.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}
