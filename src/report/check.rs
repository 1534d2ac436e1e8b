//! A report in one word and one sentence, as a commit's check says it.

use super::said::{Standing, standing};
use super::tell;
use super::words::one_line;
use super::{Report, Row, RowState, Told};

/// What a check says, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Good,
    /// Somebody must do something, or time must pass.
    Waits,
    Bad,
}

/// Returns the report's word and its headline. A preview is good when all of it is cleared, or when there is nothing to clear; what can
/// be seen only after the merge does not hold it up.
pub fn check(report: &Report) -> (Verdict, String) {
    let counts = report.counts();
    let headline = one_line(&tell::headline(report, &counts));
    let sentence = match &report.nothing {
        Some(why) if report.rows.is_empty() => format!("{headline}: {}", one_line(why)),
        Some(_) | None => headline,
    };
    let verdict = report.rows.iter().map(|row| of_row(row, report.told)).max().unwrap_or(Verdict::Good);
    let is_future = matches!(report.told, Told::Preview | Told::Judge);
    // A preview without a target says why there is none; where it does not, nothing was looked at.
    let is_blind = is_future && report.rows.is_empty() && report.nothing.is_none();
    (if report.stopped.is_some() || is_blind { Verdict::Bad } else { verdict }, sentence)
}

fn of_row(row: &Row, told: Told) -> Verdict {
    let is_future = matches!(told, Told::Preview | Told::Judge);
    match standing(row).map(|(standing, ..)| standing) {
        Some(Standing::Failed | Standing::Unknown | Standing::Unseen | Standing::Denied) => Verdict::Bad,
        Some(Standing::Waiting) if is_future && row.verdict.is_none() => Verdict::Good,
        Some(Standing::Waiting | Standing::Skipped | Standing::NotStarted) => Verdict::Waits,
        None if is_future && row.state == RowState::Changes && row.verdict.is_none() => Verdict::Waits, // nobody judged it
        None => Verdict::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::VerdictLine;
    use crate::report::sample::{report, row};

    #[test]
    fn a_preview_is_good_when_all_of_it_is_cleared() {
        let judged = |answer| {
            let mut row = row("app@prod/a", RowState::Changes, vec![]);
            row.verdict = Some(VerdictLine { answer, sentence: "so".into(), digest: "d1".into() });
            check(&report(Told::Preview, vec![row])).0
        };
        assert_eq!(["clear", "wait", "deny"].map(judged), [Verdict::Good, Verdict::Waits, Verdict::Bad]);
        let unjudged = row("app@prod/a", RowState::Changes, vec![]);
        assert_eq!(check(&report(Told::Preview, vec![unjudged])).0, Verdict::Waits);
    }

    #[test]
    fn what_can_be_seen_only_after_the_merge_does_not_hold_it_up() {
        let state = || RowState::Waiting("needs an output of base".into());
        let of = |told| check(&report(told, vec![row("app@prod/a", state(), vec![])])).0;
        assert_eq!((of(Told::Preview), of(Told::Apply)), (Verdict::Good, Verdict::Waits));
    }

    #[test]
    fn nothing_to_preview_is_good_and_says_why() {
        let nothing = Some("no stack uses the changed files".into());
        let (verdict, sentence) = check(&Report { nothing, ..Report::new(Told::Preview) });
        assert_eq!((verdict, &*sentence), (Verdict::Good, "Nothing to preview: no stack uses the changed files"));
    }
}
