//! What moved without us, for each owner apart: whoever is named by the var `owner` of a target hears of it alone.

use super::next;
use crate::command::audience::Owned;
use crate::command::pending::Work;
use crate::command::tell;
use crate::drift::{Drift, Finding};
use crate::report::{Report, Row};
use crate::stack::{Fleet, TargetId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The var that names whose a target is.
const OWNER: &str = "owner";
/// Owners who hear of what is theirs alone; what belongs to further ones is told together with what has no owner.
const OWNERS_MAX: usize = 50;

/// Returns what each owner is told; nothing for an owner of whom nothing moved but what an apply brings about.
pub(super) fn by_owner(report: &Report, fleet: &Fleet, work: &Work, bring: &str) -> Vec<Owned> {
    let Some(drift) = &report.drift else { return Vec::new() };
    let mut owners: BTreeMap<&TargetId, Option<Arc<str>>> =
        report.rows.iter().map(|row| (&row.target, owner(fleet, &row.target))).collect();
    let moved = drift.findings.iter().filter(|finding| finding.is_news()).flat_map(|finding| &finding.targets);
    let told: BTreeSet<Option<Arc<str>>> = moved.map(|target| owners.get(target).cloned().flatten()).collect();
    let alone: BTreeSet<Option<Arc<str>>> = told.iter().filter(|owner| owner.is_some()).take(OWNERS_MAX).cloned().collect();
    for owner in owners.values_mut().filter(|owner| told.contains(owner) && !alone.contains(owner)) {
        *owner = None;
    }

    let is_left = told.len() > alone.len(); // nobody's, or of those who are too many
    let all = alone.into_iter().chain(is_left.then_some(None));
    all.map(|owner| {
        let is_theirs = |target: &TargetId| *owners.get(target).unwrap_or(&None) == owner;
        Owned { report: part(report, drift, work, bring, is_theirs), owner }
    })
    .collect()
}

fn owner(fleet: &Fleet, target: &TargetId) -> Option<Arc<str>> {
    let target = fleet.target(target)?;
    let (.., value) = fleet.trace(&target.stack, &target.region, OWNER).into_iter().next()?;
    match value {
        Value::String(owner) => Some(owner.trim().into()).filter(|owner: &Arc<str>| !owner.is_empty()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The report as if there were these targets only.
fn part(report: &Report, drift: &Drift, work: &Work, bring: &str, is_theirs: impl Fn(&TargetId) -> bool) -> Report {
    let rows: Vec<Row> = report.rows.iter().filter(|row| is_theirs(&row.target)).cloned().collect();
    let findings = drift.findings.iter().map(|finding| Finding {
        targets: finding.targets.iter().filter(|target| is_theirs(target)).cloned().collect(),
        ..finding.clone()
    });
    let findings: Vec<Finding> = findings.filter(|finding| !finding.targets.is_empty()).collect();
    let unseen: BTreeSet<TargetId> = drift.unchecked().into_iter().collect();
    let checked = rows.iter().filter(|row| !unseen.contains(&row.target)).count();
    let drift = Drift { findings, checked };
    Report { next: next(&drift, bring), fold: tell::folded(&rows, work), drift: Some(drift), rows, ..report.clone() }
}
