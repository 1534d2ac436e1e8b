//! `isobar apply` and `isobar tick`: brings targets to the head of the code, in waves, as far as policy clears.

use super::converge::{Converged, End, EndState, Order, converge};
use super::court::Review;
use super::pending::{Pending, Work};
use super::say::{say_time, short};
use super::scene::Scenes;
use super::tell::{self, Form};
use super::view;
use crate::exit::{Exit, Failure};
use crate::journal::Verb;
use crate::report::{Report, Row, RowState, Told, WaveLine};
use crate::rollout::{Outcome, Progress};
use crate::stack::Selector;
use crate::world::World;
use std::sync::Arc;

/// What to apply.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
    /// Targets in flight at most; 0 for what the rollout says.
    pub parallel: usize,
}

/// Applies what the head says.
pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    bring(world, request, Verb::Apply, true, Told::Apply).await
}

/// Goes on with what is open, and begins nothing.
pub async fn tick(world: &World, request: &Request) -> Result<Exit, Failure> {
    bring(world, request, Verb::Tick, false, Told::Tick).await
}

async fn bring(world: &World, request: &Request, verb: Verb, begin: bool, told: Told) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    super::must_match(&request.selector, &scenes.at(&head)?.fleet)?;

    let order = Order {
        verb,
        head: head.clone(),
        selector: &request.selector,
        reviews: &request.reviews,
        begin,
        only: None,
        parallel: request.parallel,
    };
    let done = converge(world, &scenes, order).await?;

    let report = compose(world, &done, told, &head.0);
    tell::report(world, &report, &request.form)?;
    Ok(exit(world, &done, &report))
}

/// An apply is of what is committed: anything else could not be reviewed.
pub(crate) fn clean(world: &World) -> Result<(), Failure> {
    let dirty = view::uncommitted(world)?;
    if dirty.is_empty() {
        return Ok(());
    }
    let what =
        format!("{} not committed: {}", super::preview::count(dirty.len(), "file is", "files are"), super::preview::some(&dirty));
    Err(Failure::usage(
        what,
        "apply takes what is committed: git add -A && git commit -m \"…\" (isobar preview shows it as it is)",
    ))
}

/// Makes the report of what became of each target.
pub(crate) fn compose(world: &World, done: &Converged, told: Told, head: &Arc<str>) -> Report {
    let mut report = Report::new(told);
    report.head = Some(head.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(&done.history);
    let ended = done.ends.iter().map(|(target, end)| row(target, end));
    let untouched = done.untouched.iter().filter(|target| !done.ends.contains_key(*target));
    let rest = untouched.map(|target| Row { target: target.clone(), state: RowState::Unchanged, preview: None, verdict: None });
    report.rows = ended.chain(rest).collect();
    if let Some(scene) = &done.head_scene {
        tell::in_order(&mut report.rows, scene.fleet.targets());
        let pending = |row: &Row| {
            let target = scene.fleet.target(&row.target)?.clone();
            Some(Pending { target, intent: crate::change::Intent::Converge, scene: scene.clone(), reasons: Vec::new() })
        };
        let work = Work::of(report.rows.iter().filter_map(pending).collect(), Vec::new(), None);
        report.fold = tell::folded(&report.rows, &work);
        if scene.policy.is_none() {
            report.notes.push(tell::note("no policy declared: on a laptop everything is cleared"));
        }
    }
    if done.ends.is_empty() {
        report.nothing = Some("every target is what the code says, as far as the journal knows".into());
    }
    report.waves = done.rollouts.iter().flat_map(|progress| waves(progress, world.clock.now_ms())).collect();
    report.notes.extend(done.notes.iter().map(|text| tell::warning(text.as_str())));
    if let Some((until_ms, why)) = &done.wait {
        report.notes.push(tell::note(format!("{why}; the next tick can go on at {}", say_time(*until_ms))));
    }
    report.next = done.next.iter().map(|text| Arc::from(text.as_str())).collect();
    report.next.extend(approve(done));
    let mut seen = std::collections::BTreeSet::new();
    report.next.retain(|line| seen.insert(line.clone()));
    report
}

/// The one command that approves what waits.
fn approve(done: &Converged) -> Option<Arc<str>> {
    let waits = |end: &&End| matches!(end.outcome, EndState::NotCleared(_, false));
    let digests: Vec<&str> =
        done.ends.values().filter(waits).filter_map(|end| Some(end.verdict.as_ref()?.digest.short())).collect();
    match digests.as_slice() {
        [] => None,
        [one] => Some(format!("isobar apply --review NAME=approve@{one}").into()),
        _ => Some("isobar apply --review NAME=approve  (approves all that is shown above)".into()),
    }
}

fn row(target: &crate::stack::TargetId, end: &End) -> Row {
    let engine = end.preview.as_ref().map_or("", |preview| &preview.engine);
    let state = match &end.outcome {
        EndState::Applied => RowState::Applied,
        EndState::Unchanged => RowState::Unchanged,
        EndState::Failed(text) => tell::failed(engine, text),
        EndState::NotCleared(why, true) => RowState::Denied(why.clone()),
        EndState::NotCleared(why, false) => RowState::Waiting(why.clone()),
        EndState::Skipped(why) => RowState::Skipped(why.clone()),
        EndState::Unknown(why) => RowState::Unknown(why.clone()),
        EndState::NotStarted(why) => RowState::NotStarted(why.clone()),
    };
    let verdict = end.verdict.as_ref().map(tell::verdict_line);
    Row { target: target.clone(), state, preview: end.preview.clone(), verdict }
}

fn waves(progress: &Progress, now_ms: u64) -> Vec<WaveLine> {
    let label = |name: &str| Arc::from(format!("{} {name}", short(&progress.rollout().commit)));
    let say = |wave: crate::rollout::WaveView| {
        let state = wave.state.into();
        WaveLine { name: label(&wave.name), targets: wave.targets, done: wave.done, failed: wave.failed, state }
    };
    progress.wave_views(now_ms).into_iter().map(say).collect()
}

pub(crate) fn exit(world: &World, done: &Converged, report: &Report) -> Exit {
    if let Some(signal) = world.stop.asked() {
        return Exit::Interrupted(signal);
    }
    let counts = report.counts();
    let stopped = done.rollouts.iter().any(|progress| matches!(progress.ending(), Some(crate::rollout::Ending::Stopped(_))));
    let accounted = counts.change == 0; // every row must have an end, not a wish
    let begins = report.told == Told::Apply; // a tick begins nothing, and that is well
    // A region that somebody holds is skipped as was asked; any other reason leaves a target behind, however many arrived.
    let left = |end: &End| matches!(&end.outcome, EndState::Skipped(why) if !Outcome::Skipped(why.clone()).is_held());
    let skipped = done.ends.values().any(left);
    match (counts.failed + counts.unknown, counts.denied + counts.waiting) {
        (1.., _) => Exit::Unfinished,
        (0, _) if stopped || !accounted => Exit::Unfinished,
        (0, 1..) => Exit::NotCleared,
        (0, 0) if skipped || begins && counts.not_started > 0 && done.wait.is_none() => Exit::Unfinished,
        (0, 0) => Exit::Clean,
    }
}
