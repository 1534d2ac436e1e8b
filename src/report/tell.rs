//! What every form says in the same words: the answer, the counts, the state, the gate.

pub(super) use super::said::{Lost, Said, Standing, lost, said, sentence_lines, standing};
use super::words::{Extent, counted, joined, short, thousands, time};
use super::{Counts, Report, Row, RowState, Told};
use crate::change::{Action, Group, Sign, TextDiff};
use crate::drift::{Class, Drift, Finding};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The answer in one line: what a reader who reads nothing else must know.
pub(super) fn headline(report: &Report, counts: &Counts) -> String {
    if report.rows.is_empty() {
        return nothing(report.told).into();
    }
    match report.told {
        Told::Preview | Told::Judge => preview_headline(report, counts),
        Told::Apply | Told::Tick | Told::Recover => {
            let stopped = report.stopped.as_ref().map_or_else(String::new, |why| super::words::one_line(why));
            let goes_on = if report.goes_on { "going on".into() } else { String::new() };
            joined([apply_headline(counts, report.goes_on), stopped, goes_on], " · ")
        }
        Told::Drift => drift_headline(report, counts),
    }
}

fn nothing(told: Told) -> &'static str {
    match told {
        Told::Preview => "Nothing to preview",
        Told::Judge => "Nothing to judge",
        Told::Apply => "Nothing to apply",
        Told::Tick => "Nothing to go on with",
        Told::Drift => "Nothing to check for drift",
        Told::Recover => "Nothing to recover",
    }
}

fn preview_headline(report: &Report, counts: &Counts) -> String {
    let would = |row: &&Row| row.state == RowState::Changes || row.preview.as_ref().is_some_and(|preview| !preview.is_empty());
    let changing = report.rows.iter().filter(would).count();
    let noun = noun(report);
    let lost = joined([to_do(counts.delete, "delete"), to_do(counts.replace, "replace")], ", ");
    let told = |standing: Standing, word: &str| {
        let number = report.rows.iter().filter(|row| self::standing(row).is_some_and(|(it, ..)| it == standing)).count();
        if number == 0 { String::new() } else { format!("{} {word}", thousands(number)) }
    };
    let change = match changing {
        0 if counts.unchanged == counts.targets => format!("Nothing would change in {}", counted(counts.targets, noun)),
        0 => format!("nothing would change in the other {}", counted(counts.unchanged, noun)),
        _ => format!("{} of {} will change", thousands(changing), counted(counts.targets, noun)),
    };
    let change = if changing == 0 && counts.unchanged == 0 { String::new() } else { change };
    let trouble =
        joined([told(Standing::Failed, "failed"), told(Standing::Unknown, "unknown"), told(Standing::Unseen, "unseen")], ", ");
    let gate = joined([told(Standing::Denied, "denied"), told(Standing::Waiting, "waiting")], ", ");
    joined([lost, trouble, change, gate], " · ")
}

fn apply_headline(counts: &Counts, goes_on: bool) -> String {
    let due = counts.targets - counts.unchanged;
    if due == 0 {
        return format!("Nothing to apply: {} unchanged", counted(counts.targets, "target"));
    }
    let some = |number: usize, word: &str| if number == 0 { String::new() } else { format!("{} {word}", thousands(number)) };
    joined(
        [
            format!("{} of {} applied", thousands(counts.applied), thousands(due)),
            some(counts.failed, "failed"),
            some(counts.unknown, "unknown"),
            some(counts.unseen, "unseen"),
            some(counts.denied, "denied"),
            some(if goes_on { counts.waiting } else { counts.waiting + counts.change }, "waiting"),
            some(counts.skipped, "skipped"),
            some(counts.not_started, "not started"),
            some(if goes_on { counts.change } else { 0 }, "to come"),
        ],
        ", ",
    )
}

fn drift_headline(report: &Report, counts: &Counts) -> String {
    let none = Drift::default();
    let drift = report.drift.as_ref().unwrap_or(&none);
    let targets = |classes: &[Class]| {
        let of = drift.findings.iter().filter(|finding| classes.contains(&finding.class));
        of.flat_map(|finding| &finding.targets).collect::<BTreeSet<_>>().len()
    };
    let drifted = targets(&[Class::OutOfBand, Class::Missing, Class::Unmanaged]);
    let unchecked = targets(&[Class::NotChecked]);
    let unapplied = |is_value: bool| {
        let of = drift.findings.iter().filter(|it| it.class == Class::UnappliedCommit && it.why.is_some() == is_value);
        of.flat_map(|finding| &finding.targets).collect::<BTreeSet<_>>().len()
    };
    let (behind, new) = (unapplied(false), unapplied(true));
    let checked = if drift.checked > 0 { drift.checked } else { counts.targets - unchecked.min(counts.targets) };
    let found = match (drifted, behind.max(new)) {
        (0, 0) => format!("No drift in {}", counted(checked, "target")),
        (0, _) => format!("Nothing was changed by hand in {}", counted(checked, "target")),
        (1.., _) => format!("Drift in {} of {}", thousands(drifted), counted(counts.targets, "target")),
    };
    let some = |number: usize, text: &str| if number == 0 { String::new() } else { format!("{} {text}", thousands(number)) };
    let (behind, new) = (some(behind, "with a commit that was not applied"), some(new, "with a new value that was not applied"));
    joined([found, behind, new, some(unchecked, "not checked")], " · ")
}

/// "regions" when there is only one stack to speak of.
fn noun(report: &Report) -> &'static str {
    let mut stacks = report.rows.iter().map(|row| &row.target.stack);
    let first = stacks.next();
    if report.rows.len() > 1 && stacks.all(|stack| Some(stack) == first) { "region" } else { "target" }
}

fn to_do(number: usize, verb: &str) -> String {
    if number == 0 { String::new() } else { format!("{} to {verb}", thousands(number)) }
}

/// Targets by state, then changes by action: the same counts in the same order in every form.
pub(super) fn counts_line(report: &Report, counts: &Counts) -> String {
    let stacks = report.rows.iter().map(|row| &row.target.stack).collect::<BTreeSet<_>>().len();
    let regions = report.rows.iter().map(|row| &row.target.region).collect::<BTreeSet<_>>().len();
    let said = |word| if word == "change" && report.goes_on { "to come" } else { word };
    let states = joined(
        states(counts)
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| format!("{} {}", thousands(number), said(word))),
        ", ",
    );
    let future = matches!(report.told, Told::Preview | Told::Judge | Told::Drift);
    let actions = joined(actions(counts).into_iter().map(|(number, verb)| to_do(number, verb)), ", ");
    let planned = if future || actions.is_empty() { actions } else { format!("planned: {actions}") };
    let extent = format!("{} ({}, {})", counted(counts.targets, "target"), counted(stacks, "stack"), counted(regions, "region"));
    joined([if states.is_empty() { extent } else { format!("{extent}: {states}") }, planned], " · ")
}

fn states(counts: &Counts) -> [(usize, &'static str); 10] {
    [
        (counts.change, "change"),
        (counts.unchanged, "unchanged"),
        (counts.applied, "applied"),
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.unseen, "unseen"),
        (counts.waiting, "waiting"),
        (counts.denied, "denied"),
        (counts.skipped, "skipped"),
        (counts.not_started, "not started"),
    ]
}

fn actions(counts: &Counts) -> [(usize, &'static str); 5] {
    [
        (counts.create, "create"),
        (counts.update, "update"),
        (counts.replace, "replace"),
        (counts.delete, "delete"),
        (counts.moved, "move"),
    ]
}

/// Every number by its name, for those who read keys.
pub(super) fn numbers(counts: &Counts) -> Vec<(&'static str, usize)> {
    let key = |(number, name): (usize, &'static str)| (if name == "not started" { "not_started" } else { name }, number);
    [(counts.targets, "targets")].into_iter().chain(states(counts)).chain(actions(counts)).map(key).collect()
}

/// `+114 ~76 ±38 -2`: the changes of a group or a target, by sign.
pub(super) fn signs<'a>(changes: impl IntoIterator<Item = &'a crate::change::Change>) -> String {
    let mut numbers: BTreeMap<Action, usize> = BTreeMap::new();
    for change in changes {
        *numbers.entry(change.action).or_default() += 1;
    }
    joined(numbers.into_iter().map(|(action, number)| format!("{}{}", action.sign(), thousands(number))), " ")
}

/// Of which commit, on which base, when, and how complete.
pub(super) fn state_line(report: &Report, counts: &Counts) -> String {
    let verb = match report.told {
        Told::Preview => "Previewed",
        Told::Judge => "Judged",
        Told::Apply if report.goes_on => "Applying",
        Told::Apply => "Applied",
        Told::Tick if report.goes_on => "Going on with",
        Told::Tick => "Continued",
        Told::Drift => "Checked",
        Told::Recover => "Recovered",
    };
    let tree = match (&report.head, report.dirty) {
        (Some(head), false) => short(head),
        (Some(head), true) => format!("{} with uncommitted changes", short(head)),
        (None, _) => "the uncommitted tree".into(),
    };
    let branch = report.frame.branch.as_ref().map_or_else(String::new, |branch| format!("{} ", super::words::one_line(branch)));
    let base = report.base.as_ref().map_or_else(String::new, |base| format!(" on {branch}{}", short(base)));
    let at = report.at_ms.map_or_else(String::new, time);
    let seen = counts.targets - counts.unknown - counts.unseen;
    let complete = match counts.targets {
        0 => String::new(),
        _ => format!("{} of {}", thousands(seen), counted(counts.targets, "target")),
    };
    joined([format!("{verb} {tree}{base}"), at, complete], " · ")
}

/// One line about all targets that need no reading.
pub(super) fn unchanged_line(report: &Report, counts: &Counts) -> Option<String> {
    if counts.unchanged == 0 || counts.unchanged == counts.targets {
        return None;
    }
    let unchanged = report.rows.iter().filter(|row| row.state == RowState::Unchanged);
    let stacks: BTreeSet<_> = unchanged.map(|row| &row.target.stack).collect();
    Some(format!("{} unchanged, in {}.", counted(counts.unchanged, "target"), counted(stacks.len(), "stack")))
}

/// Whether everything may go ahead, in one line; nothing when nobody judged.
pub(super) fn gate(report: &Report) -> Option<Gate<'_>> {
    let judged: Vec<_> = report.rows.iter().filter_map(|row| row.verdict.as_ref().map(|verdict| (row, verdict))).collect();
    let mut numbers: BTreeMap<Standing, usize> = BTreeMap::new();
    for (standing, ..) in report.rows.iter().filter_map(standing) {
        *numbers.entry(standing).or_default() += 1;
    }
    if judged.is_empty() || !matches!(report.told, Told::Preview | Told::Judge) {
        return None;
    }
    let mut cleared: BTreeMap<&Arc<str>, Vec<&TargetId>> = BTreeMap::new();
    for (row, verdict) in judged.iter().filter(|(_, verdict)| verdict.answer == "clear") {
        cleared.entry(&verdict.sentence).or_default().push(&row.target);
    }
    let mut cleared: Vec<_> = cleared.into_iter().collect();
    cleared.sort_by_key(|(_, targets)| usize::MAX - targets.len());
    let why = Standing::ALL.iter().filter_map(|standing| numbers.get(standing).map(|number| (standing, number)));
    let why = joined(why.map(|(standing, number)| format!("{} {}", thousands(*number), standing.title().to_lowercase())), ", ");
    Some(Gate { closed: (!why.is_empty()).then_some(why), cleared })
}

/// The gate of a preview.
pub(super) struct Gate<'a> {
    /// What closes it: "2 waiting, 1 failed".
    pub(super) closed: Option<String>,
    /// Why targets are cleared, most targets first. The sentences are untrusted.
    pub(super) cleared: Vec<(&'a Arc<str>, Vec<&'a TargetId>)>,
}

pub(super) fn finding_title(finding: &Finding) -> &'static str {
    match finding.class {
        Class::UnappliedCommit if finding.why.is_some() => "New value not applied",
        Class::OutOfBand => "Changed by somebody else",
        Class::Missing => "Missing",
        Class::Unmanaged => "Not ours",
        Class::UnappliedCommit => "Commit not applied",
        Class::NotChecked => "Not checked",
    }
}

/// How a resource of an outlier stands beside group A.
pub(super) enum Beside<'a> {
    /// A has no such change, or only A has it: what happens to which kind, and the lines of the change, signs included.
    Only(&'static str, &'a str, Vec<&'a str>),
    /// Lines with two signs: of the comparison, then of the change; between two hunks stands `@@`.
    Both(Vec<String>),
}

/// Returns the lines by which one resource of a group is other than in group A.
pub(super) fn beside(diff: &TextDiff) -> Beside<'_> {
    let lines = || diff.hunks.iter().flat_map(|hunk| &hunk.lines);
    for (sign, words) in [(Sign::Added, "only here"), (Sign::Removed, "only in A")] {
        if lines().all(|line| line.sign == sign) {
            let mut texts = lines().map(|line| &*line.text);
            let what = texts.next().unwrap_or_default().trim_matches(['@', ' ']);
            return Beside::Only(words, what, texts.collect());
        }
    }
    let mut both = Vec::new();
    for (nth, hunk) in diff.hunks.iter().enumerate() {
        if nth > 0 {
            both.push("@@".into());
        }
        both.extend(hunk.lines.iter().map(|line| format!("{}{}", sign(line.sign), line.text)));
    }
    Beside::Both(both)
}

fn sign(sign: Sign) -> char {
    match sign {
        Sign::Same => ' ',
        Sign::Removed => '-',
        Sign::Added => '+',
    }
}

/// Returns the group's values that say more than its regions' names do.
pub(super) fn telling_values(group: &Group) -> impl Iterator<Item = &(Arc<str>, Vec<Arc<str>>)> {
    let known = |(value, target): (&Arc<str>, &TargetId)| **value == *target.region.name() || **value == *target.region.as_str();
    group.values.iter().filter(move |(name, values)| {
        !matches!(&**name, "{region.id}" | "{region.name}") || !values.iter().zip(&group.targets).all(known)
    })
}

/// Which regions each stack of the report has.
pub(super) fn extent(report: &Report) -> Extent<'_> {
    Extent::of(report.rows.iter().map(|row| &row.target))
}
