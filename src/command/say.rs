//! Small words that several commands say alike.

use crate::exit::Failure;
use crate::store::StoreError;

/// Returns the first seven characters of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Tells a failed acquisition: who writes about the targets, and for how long already.
pub(crate) fn say_held(error: StoreError, now_ms: u64) -> Failure {
    let StoreError::Held { holder, .. } = &error else { return error.into() };
    let ago = say_secs(now_ms.saturating_sub(holder.since_ms) / 1_000);
    let what = format!("{error}, since {} ({ago} ago)", say_time(holder.since_ms));
    let hint =
        "wait until it has ended, then say this again; isobar status shows who writes, and a process that is gone holds nothing";
    Failure::World(what, Some(hint.into()))
}

/// `40 s`, `4 min`, `3 h`.
pub(crate) fn say_secs(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7_199 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3_600),
    }
}

/// `2026-11-02 14:02 UTC`.
pub(crate) fn say_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "an unknown time".into(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
