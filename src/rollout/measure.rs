//! Shares and durations as the `rollout` section writes them: `10`, `"25%"`, `15m`.

use crate::stack::{Kind, Mistake, Mistakes, Node};

/// A number of targets, or a part of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Count(usize),
    /// Of a hundred; rounds down.
    Percent(usize),
}

/// The longest duration that we take for meant: a year.
const SECS_MAX: u64 = 366 * 86_400;

impl Share {
    /// Returns how many of `all` it is.
    pub(super) fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => count,
            Share::Percent(percent) => all * percent / 100,
        }
    }
}

/// Reads a whole number of at least `min`, or a percentage.
pub(super) fn read_share(node: &Node, key: &str, min: usize, mistakes: &mut Mistakes) -> Option<Share> {
    let share = match &node.kind {
        Kind::Number(number) => number.as_u64().and_then(|count| usize::try_from(count).ok()).map(Share::Count),
        Kind::Text(text) => {
            text.strip_suffix('%').filter(|text| is_digits(text)).and_then(|text| text.parse().ok()).map(Share::Percent)
        }
        _ => None,
    };
    let share = share.filter(|share| match share {
        Share::Count(count) => *count >= min,
        Share::Percent(percent) => (min..=100).contains(percent),
    });
    if share.is_none() {
        let what = format!("{key:?} must be a whole number, at least {min}, or a share such as \"25%\"");
        mistakes.push(Mistake::at(&node.site, what).hint(format!("such as {key}: {}, or {key}: \"25%\"", min.max(2))));
    }
    share
}

/// Reads a duration such as `90s`, `15m`, `12h` or `2d`.
pub(super) fn read_secs(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<u64> {
    let secs = node.as_str().and_then(secs_of).filter(|secs| *secs <= SECS_MAX);
    if secs.is_none() {
        let what = format!("{key:?} must be a duration of at most a year");
        mistakes.push(Mistake::at(&node.site, what).hint("write 90s, 15m, 12h or 2d"));
    }
    secs
}

fn secs_of(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    is_digits(digits).then(|| digits.parse::<u64>().ok())??.checked_mul(each)
}

/// Says no to a sign, which parsing alone would take.
fn is_digits(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

/// Tells a duration as a definition would write it.
pub fn duration(secs: u64) -> String {
    match secs {
        0 => "0s".into(),
        _ if secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
        _ if secs.is_multiple_of(3_600) => format!("{}h", secs / 3_600),
        _ if secs.is_multiple_of(60) => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(["90s", "15m", "12h", "2d", "0s"].map(secs_of), [90, 900, 43_200, 172_800, 0].map(Some));
        assert_eq!(["15", "m", "", "-1m", "+1m", "1.5h", "15 m", "99999999999999999999s"].map(secs_of), [None; 8]);
        assert_eq!([900, 90, 86_400].map(duration), ["15m", "90s", "1d"]);
    }

    #[test]
    fn a_share_rounds_down() {
        assert_eq!(Share::Percent(25).of(7), 1);
        assert_eq!(Share::Percent(25).of(3), 0);
        assert_eq!(Share::Count(10).of(3), 10);
    }
}
