//! The account of a run that brought targets somewhere: the report of what became of each, and the exit.

use super::converge::{Converged, End, EndState, GOES_ON, RESUME, paused};
use super::pending::{Pending, Work};
use super::say::{count, short};
use super::shown;
use super::tell;
use crate::change::Preview;
use crate::exit::Exit;
use crate::policy::{Answer, Verdict};
use crate::report::{Report, Row, RowState, Told, WaveLine};
use crate::rollout::{Ending, Now, Outcome, Progress};
use crate::world::World;
use std::sync::Arc;

/// Makes the report of what became of each target.
pub(crate) fn compose(world: &World, done: &Converged, told: Told, head: &Arc<str>) -> Report {
    let pause = paused(&done.history);
    let now = Now { paused: pause.as_deref(), ..Now::at(world.clock.now_ms()) };
    let mut report = Report::new(told);
    report.head = Some(head.clone());
    report.at_ms = Some(now.ms);
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
        report.notes.extend(tell::undeclared(world, &report.rows, scene.policy.is_none()));
    }
    if done.ends.is_empty() {
        report.nothing = Some("every target is what the code says, as far as the journal knows".into());
    }
    report.waves = done.rollouts.iter().flat_map(|progress| waves(done, progress, &now)).collect();
    if done.interrupted {
        report
            .waves
            .iter_mut()
            .filter(|wave| &*wave.state == "running")
            .for_each(|wave| wave.state = "stopped by a signal".into());
    }
    report.stopped = match done.interrupted {
        true => Some(interrupted(done, &report).into()),
        false => stopped(done, &now).map(Arc::from),
    };
    report.notes.extend(done.notes.iter().map(|text| tell::warning(text.as_str())));
    report.next = done.next.iter().map(|text| Arc::from(text.as_str())).collect();
    let goes_on = done.interrupted && !done.given_up && has_left(done, &report);
    let fixes = "isobar drift --fix (goes on where this stopped)";
    report.next.extend(goes_on.then(|| if done.puts_back { fixes } else { GOES_ON }.into()));
    report.next.extend(approve(world, done));
    // What an earlier run left: it was not looked at again, so nothing is here that an approval could be bound to.
    let not_shown = |end: &End| matches!(end.outcome, EndState::NotCleared(_, false)) && end.preview.is_none();
    let shows = "isobar preview  (shows what waits, and the command that approves it)";
    report.next.extend(done.ends.values().any(not_shown).then(|| shows.into()));
    let failed_before = |end: &End| matches!(&end.outcome, EndState::Skipped(why) if Outcome::Skipped(why.clone()).is_stuck());
    report.next.extend(done.ends.values().any(failed_before).then(|| RESUME.into()));
    let mut seen = std::collections::BTreeSet::new();
    report.next.retain(|line| seen.insert(line.clone()));
    if seen.contains(RESUME) {
        report.next.retain(|line| **line != *"isobar resume"); // said with what comes before and after it
    }
    report
}

/// Says what stopped by itself, as far as the rows do not; which wave it was, and why, the waves tell.
fn stopped(done: &Converged, now: &Now<'_>) -> Option<&'static str> {
    let is_gated = done.rollouts.iter().any(Progress::is_gated);
    let whole = |progress: &Progress| matches!(progress.ending(), Some(Ending::Stopped(_)));
    match (done.rollouts.iter().any(whole), done.rollouts.iter().any(|progress| has_stopped(progress, now)), is_gated) {
        (true, _, true) => Some("stopped, a gate said no"),
        (false, true, true) => Some("stopped in part, a gate said no"),
        (false, true, false) => Some("stopped in part"),
        (true, _, false) | (false, false, _) => None,
    }
}

/// As a whole, or in a wave while others go on.
fn has_stopped(progress: &Progress, now: &Now<'_>) -> bool {
    match progress.ending() {
        Some(Ending::Stopped(_)) => true,
        Some(Ending::Complete) => false,
        None => !progress.breaches(now).is_empty(),
    }
}

/// Says that a signal ended the run, and what is left of it.
fn interrupted(done: &Converged, report: &Report) -> String {
    let counts = report.counts();
    match counts.not_started + counts.unknown {
        0 if !has_left(done, report) => "stopped by a signal, nothing is left".into(),
        0 => "stopped by a signal, a wave is not verified yet".into(),
        left => format!("stopped by a signal, {} left", count(left, "target is", "targets are")),
    }
}

/// Something would have been done by this run, had no signal ended it.
fn has_left(done: &Converged, report: &Report) -> bool {
    let counts = report.counts();
    counts.not_started + counts.unknown > 0 || done.rollouts.iter().any(|progress| progress.ending().is_none())
}

/// The one command that approves what waits.
fn approve(world: &World, done: &Converged) -> Vec<Arc<str>> {
    let waits = |end: &&End| matches!(end.outcome, EndState::NotCleared(_, false));
    let waiting = done.ends.values().filter(waits).filter_map(|end| Some((end.preview.as_deref()?, end.verdict.as_ref()?)));
    let waiting: Vec<(&Preview, &Verdict)> = waiting.collect();
    let is_asked = |verdict: &Verdict| verdict.answer == Answer::Wait { approval: true };
    let asked = waiting.iter().filter(|(preview, verdict)| is_asked(verdict) && preview.is_bound());
    let bound: Vec<&Preview> = asked.map(|(preview, _)| *preview).collect();
    let verb = if done.puts_back { "isobar drift --fix" } else { "isobar apply" };
    if world.host.knows_commits() {
        let all = waiting.iter().map(|(preview, _)| Arc::from(preview.digest().as_str()));
        let digest = match *bound {
            [one] => one.digest(),
            _ => shown::together(all),
        };
        // Whole, as what it begins with may be made to name something else.
        let approve = format!("/isobar approve {}  (as a comment on the pull request that was merged)", digest.as_str());
        return tell::unlock(world, waiting, &approve, verb).steps;
    }
    let approve = match *bound {
        [one] => format!("{verb} --review NAME=approve@{}", one.digest().short()),
        _ if done.is_shard => "isobar preview  (shows what waits in every shard; then isobar judge --review NAME=approve)".into(),
        _ => format!("{verb} --review NAME=approve  (approves all that is shown above)"),
    };
    tell::unlock(world, waiting, &approve, verb).steps
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

/// The waves of one rollout, each with its commit; with the rollout's own id where several bring that commit.
fn waves(done: &Converged, progress: &Progress, now: &Now<'_>) -> Vec<WaveLine> {
    let rollout = progress.rollout();
    let alike = done.rollouts.iter().filter(|other| other.rollout().commit == rollout.commit).count();
    let whose = if alike > 1 { &rollout.id } else { short(&rollout.commit) };
    let label = |name: &str| Arc::from(format!("{whose} {name}"));
    let say = |wave: crate::rollout::WaveView| {
        let state = wave.state.into();
        WaveLine { name: label(&wave.name), targets: wave.targets, done: wave.done, failed: wave.failed, state }
    };
    progress.wave_views(now).into_iter().map(say).collect()
}

/// How the run ended, as an exit code tells it. A wait that somebody asked for is good, however much it leaves: a bake, a region
/// that is held, a pause, the end of the job. Any other reason leaves something behind, however many targets arrived.
pub(crate) fn exit(done: &Converged, report: &Report) -> Exit {
    let counts = report.counts();
    let pause = paused(&done.history);
    let now = Now { paused: pause.as_deref(), ..Now::at(report.at_ms.unwrap_or_default()) };
    let stopped = done.rollouts.iter().any(|progress| has_stopped(progress, &now));
    let accounted = counts.change == 0; // every row must have an end, not a wish
    let begins = report.told == Told::Apply; // a tick begins nothing, and that is well
    let waits = done.wait.is_some() || done.paused;
    let left = |end: &End| matches!(&end.outcome, EndState::Skipped(why) if !Outcome::Skipped(why.clone()).is_held());
    let skipped = done.ends.values().any(left);
    match (counts.failed + counts.unknown + counts.unseen, counts.denied + counts.waiting) {
        (1.., _) => Exit::Unfinished,
        (0, _) if stopped || done.left || !accounted => Exit::Unfinished,
        (0, 1..) => Exit::NotCleared,
        (0, 0) if skipped || begins && counts.not_started > 0 && !waits => Exit::Unfinished,
        (0, 0) => Exit::Clean,
    }
}
