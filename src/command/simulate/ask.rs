//! What can be asked of a rehearsal, as it is written on the command line.

use std::fmt;
use std::str::FromStr;

/// A duration such as `90s`, `20m` or `2h`, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

/// How long an apply takes: everywhere, or in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyTime {
    pub(super) environment: Option<String>,
    pub(super) span: Span,
}

/// How long an apply takes in some regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    pub(super) region: String,
    pub(super) span: Span,
}

/// Who fails, and in which wave; in any where none is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    pub(super) who: Who,
    pub(super) wave: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// So many of a hundred targets, by chance.
    Share(u64),
    Region(String),
    Target(String),
}

/// The longest that is taken for meant: a week.
const SECS_MAX: u64 = 7 * 86_400;

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration from 1s to 7d: write 90s, 20m or 2h");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let each = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let digits = &text[..text.len() - 1];
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = is_plain.then(|| digits.parse().ok()).flatten().ok_or_else(wrong)?;
        number.checked_mul(each).filter(|secs| (1..=SECS_MAX).contains(secs)).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for ApplyTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (environment, span) = text.split_once('=').map_or((None, text), |(name, span)| (Some(name.to_string()), span));
        Ok(Self { environment, span: span.parse()? })
    }
}

impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, span) =
            text.split_once('=').ok_or_else(|| format!("{text:?} must be REGION=DURATION, such as prod/eu-west-1=10m"))?;
        Ok(Self { region: region.into(), span: span.parse()? })
    }
}

impl FromStr for Fail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (who, wave) = match text.rsplit_once("@wave") {
            Some((who, number)) => {
                let wave = number.parse().ok().filter(|wave| *wave > 0);
                (who, Some(wave.ok_or_else(|| format!("{text:?}: waves are numbered from 1, such as @wave3"))?))
            }
            None => (text, None),
        };
        let who = match who.strip_suffix('%') {
            Some(share) => {
                let share = share.parse().ok().filter(|share| (1..=100).contains(share));
                Who::Share(share.ok_or_else(|| format!("{text:?}: a share is 1% to 100%"))?)
            }
            None if who.is_empty() => return Err(format!("{text:?} names nobody: a region, a target or a share such as 5%")),
            None if who.contains('@') => Who::Target(who.into()),
            None => Who::Region(who.into()),
        };
        Ok(Self { who, wave })
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Share(share) => write!(f, "{share}%"),
            Who::Region(text) | Who::Target(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wave {
            Some(wave) => write!(f, "{} in wave {wave}", self.who),
            None => write!(f, "{}", self.who),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(["90s", "20m", "2h", "7d"].map(|text| text.parse()), [90, 1_200, 7_200, 604_800].map(|secs| Ok(Span(secs))));
        for wrong in ["", "5", "0s", "8d", "-1m", "+1m", "1.5h", "m", "99999999999999999999h", "1µ"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_fails_is_a_region_a_target_or_a_share_and_may_name_a_wave() {
        let told = |text: &str| text.parse::<Fail>().map(|fail| fail.to_string());
        assert_eq!(told("prod/eu-west-1@wave3"), Ok("prod/eu-west-1 in wave 3".into()));
        assert_eq!(told("network@prod/*"), Ok("network@prod/*".into()));
        assert_eq!(told("network@prod/eu@wave2"), Ok("network@prod/eu in wave 2".into()));
        assert_eq!(told("5%"), Ok("5%".into()));
        for wrong in ["", "@wave1", "0%", "101%", "x%", "prod/eu@wave0", "prod/eu@waves"] {
            assert!(told(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_said_of_all_or_of_one_place() {
        assert_eq!("prod=3m".parse(), Ok(ApplyTime { environment: Some("prod".into()), span: Span(180) }));
        assert_eq!("3m".parse(), Ok(ApplyTime { environment: None, span: Span(180) }));
        assert!("prod/eu".parse::<Slow>().is_err());
    }
}
