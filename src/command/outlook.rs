//! What an apply of what is shown would meet: a pause, regions that are held, a newer commit that the head does not hold.

use super::converge::{never_older, paused, say_hold};
use super::scene::{Scene, Scenes};
use super::tell;
use crate::exit::Failure;
use crate::journal::History;
use crate::report::{Report, RowState};
use crate::review::CommitSha;
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
    if regions.is_empty() {
        return Ok(());
    }
    let mut first: Option<Vec<Arc<str>>> = None;
    let mut notes = Vec::new();
    let mut holds = history.holds(world.clock.now_ms());
    holds.retain(|hold| regions.contains(&hold.region));
    notes.extend(holds.iter().map(|hold| format!("{} is held {}; it is skipped", hold.region, say_hold(hold))));
    if holds.len() == regions.len() {
        first = Some(holds.iter().map(|hold| format!("isobar hold {} --release", hold.region).into()).collect());
    }
    if let Some(why) = paused(history) {
        notes.push(format!("{why}; nothing begins before isobar resume"));
        first = Some(vec!["isobar resume  (then isobar apply)".into()]);
    }
    if let Some((head, scene)) = head {
        match never_older(world, scenes, history, head, scene) {
            Ok(()) => {}
            Err(Failure::World(what, hint)) => {
                notes.push(what);
                first = Some(hint.into_iter().map(Arc::from).collect());
            }
            Err(other) => return Err(other),
        }
    }
    report.notes.extend(notes.into_iter().map(tell::warning));
    if let (Some(first), Some(at)) = (first, report.next.iter().position(|line| **line == *APPLY)) {
        report.next.splice(at..=at, first);
    }
    Ok(())
}
