//! How a rollout would go: the model of `isobar simulate`.

use crate::stack::TargetId;
use std::sync::Arc;

/// A rollout that was played. Times are seconds since it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Edits that are not committed were played too.
    pub dirty: bool,
    pub end: ForecastEnd,
    /// When it came to that.
    pub end_secs: u64,
    /// All that was to be brought, and what of it was begun by then.
    pub whole: Reach,
    pub begun: Reach,
    /// In the order of the plan.
    pub waves: Vec<ForecastWave>,
    /// In the order of the waves.
    pub targets: Vec<ForecastTarget>,
    /// What happens, in order.
    pub moments: Vec<ForecastMoment>,
    /// What was taken for given, in sentences.
    pub assumed: Vec<Arc<str>>,
}

/// How it comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForecastEnd {
    Done,
    /// A breach or a failed gate, with the reason.
    Stopped(Arc<str>),
    Paused(Arc<str>),
    /// It goes no further by itself, with what it waits for.
    Waits(Arc<str>),
}

/// How much of the fleet is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub targets: usize,
    pub regions: usize,
    /// Sum of the weights of those regions.
    pub weight: u64,
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastWave {
    pub name: Arc<str>,
    /// Names of the waves that come before it.
    pub after: Vec<Arc<str>>,
    pub reach: Reach,
    pub max_parallel: usize,
    pub failure_tolerance: usize,
    pub begins_secs: Option<u64>,
    pub verified_secs: Option<u64>,
    /// When its bake is over.
    pub baked_secs: Option<u64>,
    pub applied: usize,
    pub failed: usize,
    pub skipped: usize,
    /// "done", "stopped: …", "waits for staging".
    pub state: Arc<str>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastTarget {
    pub target: TargetId,
    /// Place of its wave, from 0.
    pub wave: usize,
    pub state: ForecastState,
    /// Every apply of it: from, to; an open end was never recorded.
    pub applies: Vec<(u64, Option<u64>)>,
    /// Why it was skipped or failed.
    pub why: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastState {
    Applied,
    Failed,
    Skipped,
    /// Begun without an end.
    Unknown,
    NotBegun,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastMoment {
    pub at_secs: u64,
    pub mood: Mood,
    pub text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Plain,
    Good,
    Bad,
    Waits,
}

impl ForecastState {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::NotBegun => "not begun",
        }
    }
}

impl Forecast {
    /// The answer in one line.
    pub(super) fn headline(&self) -> String {
        use super::words::counted;
        let after = span(self.end_secs);
        match &self.end {
            ForecastEnd::Done => {
                let (targets, waves) = (counted(self.whole.targets, "target"), counted(self.waves.len(), "wave"));
                let failed = self.waves.iter().map(|wave| wave.failed).sum::<usize>();
                let skipped = self.waves.iter().map(|wave| wave.skipped).sum::<usize>();
                format!("{targets} in {waves} would be done after {after}{}", left_behind(failed, skipped))
            }
            ForecastEnd::Stopped(_) => format!("The rollout would stop after {after}: {}", self.blast()),
            ForecastEnd::Paused(_) => format!("The rollout would be paused at {after}: {}", self.blast()),
            ForecastEnd::Waits(_) => format!("The rollout would go no further after {after}: {}", self.blast()),
        }
    }

    /// What a stop leaves changed: "3 of 48 targets begun, 8 % of the weight".
    pub(super) fn blast(&self) -> String {
        let share = (self.begun.weight * 100).checked_div(self.whole.weight).unwrap_or(0);
        format!(
            "{} of {} targets begun, in {} of {} regions, {share} % of the weight",
            self.begun.targets, self.whole.targets, self.begun.regions, self.whole.regions
        )
    }

    /// Why it goes no further.
    pub(super) fn why(&self) -> Option<&str> {
        match &self.end {
            ForecastEnd::Done => None,
            ForecastEnd::Stopped(why) | ForecastEnd::Paused(why) | ForecastEnd::Waits(why) => Some(why),
        }
    }
}

/// What a rollout that is over did not bring: ", 1 failed and 2 skipped"; nothing when it brought all.
pub fn left_behind(failed: usize, skipped: usize) -> String {
    match (failed, skipped) {
        (0, 0) => String::new(),
        (failed, 0) => format!(", {failed} failed"),
        (0, skipped) => format!(", {skipped} skipped"),
        (failed, skipped) => format!(", {failed} failed and {skipped} skipped"),
    }
}

/// "45 s", "12 min", "1 h 16 min", "2 d 3 h".
pub(super) fn span(secs: u64) -> String {
    let parts = [(secs / 86_400, "d"), (secs / 3_600 % 24, "h"), (secs / 60 % 60, "min"), (secs % 60, "s")];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(3);
    let told = parts[first..].iter().take(2).filter(|(number, _)| *number > 0 || first == 3);
    told.map(|(number, unit)| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

/// "1:16:05", as a clock that began at 0.
pub(super) fn clock(secs: u64) -> String {
    format!("{}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units_at_most() {
        assert_eq!([0, 45, 720, 4_560, 183_600, 86_400].map(span), ["0 s", "45 s", "12 min", "1 h 16 min", "2 d 3 h", "1 d"]);
        assert_eq!([5, 4_565].map(clock), ["0:00:05", "1:16:05"]);
    }
}
