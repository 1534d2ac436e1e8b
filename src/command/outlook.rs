//! What an apply of what is shown would meet: a pause, regions that are held, a newer commit that the head does not hold.

use super::converge::{RESUME, older, paused, say_hold};
use super::say::{count, short};
use super::scene::{Scene, Scenes};
use super::tell;
use crate::exit::Failure;
use crate::journal::{History, State};
use crate::report::{Report, Row, RowState};
use crate::review::CommitSha;
use crate::rollout::{Ending, Now};
use crate::stack::RegionId;
use crate::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The step that a preview ends with when everything may go ahead.
pub(crate) const APPLY: &str = "isobar apply";

/// Notes in a report what an apply of it would meet, and puts what helps in the place of the apply. `head` is what could be applied
/// as it is; `None` for a branch that is still to be merged, or an uncommitted tree.
pub(crate) fn foretell(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    head: Option<(&CommitSha, &Arc<Scene>)>,
    report: &mut Report,
) -> Result<(), Failure> {
    let would = |state: &RowState| matches!(state, RowState::Changes | RowState::Waiting(_));
    let regions: BTreeSet<&RegionId> = report.rows.iter().filter(|row| would(&row.state)).map(|row| &row.target.region).collect();
    if regions.is_empty() && !report.next.iter().any(|line| **line == *APPLY) {
        return Ok(());
    }
    let mut first: Option<Vec<Arc<str>>> = None;
    let mut notes = Vec::new();
    let mut holds = history.holds(world.clock.now_ms());
    holds.retain(|hold| regions.contains(&hold.region));
    notes.extend(holds.iter().map(|hold| format!("{} is held {}; it is skipped", hold.region, say_hold(hold))));
    if !holds.is_empty() && holds.len() == regions.len() {
        first = Some(holds.iter().map(|hold| format!("isobar hold {} --release", hold.region).into()).collect());
    }
    if let Some(why) = paused(history) {
        notes.push(format!("{why}; nothing begins before isobar resume"));
        first = Some(vec!["isobar resume  (then isobar apply)".into()]);
    }
    let stopped = stopped(world.clock.now_ms(), history, head.map(|(head, _)| head), &would, report);
    if !stopped.is_empty() {
        notes.extend(stopped);
        first = Some(vec![RESUME.into()]);
    }
    if let Some((head, scene)) = head
        && let Some(older) = older(world, scenes, history, head, scene)?
    {
        notes.push(older.what);
        first = Some(vec![older.hint.into()]);
    }
    report.notes.extend(notes.into_iter().map(tell::warning));
    if let (Some(first), Some(at)) = (first, report.next.iter().position(|line| **line == *APPLY)) {
        report.next.splice(at..=at, first);
    }
    Ok(())
}

/// What an apply would not try before somebody says resume: the rollouts that stopped and hold it, and what failed as it is.
fn stopped(
    now_ms: u64,
    history: &History,
    head: Option<&CommitSha>,
    would: &impl Fn(&RowState) -> bool,
    report: &Report,
) -> Vec<String> {
    let rows = || report.rows.iter().filter(|row| would(&row.state));
    let pause = paused(history);
    let now = Now { paused: pause.as_deref(), ..Now::at(now_ms) };
    let mut told = Vec::new();
    for progress in history.rollouts() {
        let (how, why) = match progress.ending() {
            Some(Ending::Stopped(why)) => ("stopped", why.to_string()),
            Some(Ending::Complete) => continue,
            None => ("stopped in part", progress.breaches(&now).join("; ")),
        };
        let holds = |row: &Row| match progress.ending() {
            Some(_) => history.holder(&row.target).is_some_and(|holder| holder.rollout().id == progress.rollout().id),
            None => progress.barred(&row.target, &now).is_some(),
        };
        if rows().any(holds) {
            let (id, commit) = (&progress.rollout().id, short(&progress.rollout().commit));
            told.push(format!("rollout {id} of {commit} is {how}: {why}; its targets wait"));
        }
    }
    let failed_alike = |row: &&Row| {
        let record = history.target(&row.target).filter(|record| matches!(record.state, State::Failed { .. }));
        let (Some(record), Some(preview), Some(head)) = (record, &row.preview, head) else { return false };
        record.is_stuck(&preview.digest(), &head.0)
    };
    let failed = rows().filter(failed_alike).count();
    if failed > 0 {
        told.push(format!("{} failed before with the same changes", count(failed, "target", "targets")));
    }
    told
}
