//! Small words that several commands say alike.

use crate::exit::Failure;
use crate::stack::unbroken;
use crate::store::StoreError;
use std::sync::Arc;

/// Returns the first seven characters of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Tells a failed acquisition: who writes about the targets, and for how long already.
pub(crate) fn say_held(error: StoreError, now_ms: u64) -> Failure {
    let StoreError::Held { holder, is_proven, .. } = &error else { return error.into() };
    let ago = say_secs(now_ms.saturating_sub(holder.since_ms) / 1_000);
    let what = format!("{error}, since {} ({ago} ago)", say_time(holder.since_ms));
    let hint = match is_proven {
        true => "wait until it has ended, then say this again; isobar status shows who writes, and a process that is gone holds nothing".into(),
        false => format!(
            "wait until it has ended; whether it lives cannot be proven from here, and time alone frees nothing: when you know that it \
             has ended, {}",
            release_command(&holder.run)
        ),
    };
    Failure::World(what, Some(hint))
}

/// What frees what `run` holds, on the word of somebody who gives a reason in the place of the dots.
pub(crate) fn release_command(run: &str) -> String {
    format!("isobar recover --release {} --reason \"…\"", pasted(run))
}

/// Returns `text` as a shell takes it: what others wrote may hold anything.
pub(crate) fn pasted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:#@%+,=".contains(c));
    let begins_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_plain && begins_plain { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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

/// The same of a time from which on, or until which, something is so: rounded up, as it is true only after the last second.
pub(crate) fn say_until(ms: u64) -> String {
    say_time(ms.div_ceil(60_000).saturating_mul(60_000))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_holder_calls_itself_is_one_word_of_the_command_and_no_more() {
        assert_eq!(release_command("1a20"), "isobar recover --release 1a20 --reason \"…\"");
        assert_eq!(release_command("x; rm -r '~'"), "isobar recover --release 'x; rm -r '\\''~'\\''' --reason \"…\"");
        assert_eq!(release_command("#x"), "isobar recover --release '#x' --reason \"…\"");
    }

    #[test]
    fn what_goes_on_from_a_time_on_goes_on_at_the_minute_that_is_told() {
        let past_the_minute = 1_793_628_123_000;
        assert_eq!(say_time(past_the_minute), "2026-11-02 14:02 UTC");
        assert_eq!(say_until(past_the_minute), "2026-11-02 14:03 UTC");
        assert_eq!(say_until(1_793_628_120_000), "2026-11-02 14:02 UTC");
    }
}
