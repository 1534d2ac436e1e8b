//! `isobar status`: what runs where, as text, JSON or one HTML page. Writes nothing but that page.

use super::converge::{RESUME, paused, say_hold};
use super::out;
use super::pending::{Work, record_of, since_applied};
use super::say::{release_command, say_time, short};
use super::scene::Scenes;
use super::tell;
use crate::change::Digest;
use crate::drift::Class;
use crate::exit::{Exit, Failure};
use crate::journal::{History, Record, State};
use crate::policy::{Answer, Verdict};
use crate::report::{self, GivenUpLine, RolloutLine, Status, StatusRow, WaveLine, WriterLine};
use crate::review::CommitSha;
use crate::rollout::{Ending, Now, Outcome, Progress, Todo};
use crate::stack::{Selector, TargetId};
use crate::store::Held;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub json: bool,
    /// Write the page to this file.
    pub html: Option<PathBuf>,
}

type Verdicts = BTreeMap<TargetId, Verdict>;

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let status = gather(world, &request.selector).await?;
    if let Some(path) = &request.html {
        out::page(world, path, &report::page(&status))?;
    }
    if request.json {
        tell::json(world, "report", report::status_json(&status));
    } else if request.html.is_none() {
        world.terminal.say_made(&report::status_text(&status, world.terminal.style));
    }
    Ok(Exit::Clean)
}

/// What runs where, as plain text.
pub(crate) async fn text(world: &World, selector: &Selector) -> Result<String, Failure> {
    Ok(report::status_text(&gather(world, selector).await?, report::Style::Plain))
}

async fn gather(world: &World, selector: &Selector) -> Result<Status, Failure> {
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    let scene = scenes.at(&head)?;
    super::must_match(selector, &scene.fleet)?;
    let history = world.store.history().await?;
    let work = since_applied(&scenes, &history, &scene, selector)?;
    let holders = world.store.holders().await?;
    let now_ms = world.clock.now_ms();
    let verdicts = verdicts(world, &scenes, &history, &work, &head).await;

    Ok(Status {
        head: Some(head.0.clone()),
        at_ms: now_ms,
        journal: tell::journal_head(&history),
        rows: rows(&history, &work, &verdicts, (&head, &scene.fleet), &newer(world, &history, &work, &head), now_ms),
        rollouts: history.rollouts().map(|progress| rollout(&history, progress, !holders.is_empty(), now_ms)).collect(),
        paused: paused(&history).map(Arc::from),
        holds: history
            .holds(now_ms)
            .into_iter()
            .map(|hold| (hold.region.as_str().into(), hold.until_ms, hold.reason.clone()))
            .collect(),
        given_up: history
            .given_up()
            .iter()
            .map(|(place, given)| GivenUpLine {
                place: place.clone(),
                by: given.by.0.clone(),
                at_ms: given.at_ms,
                reason: given.reason.clone(),
            })
            .collect(),
        writers: holders.into_iter().map(writer).collect(),
    })
}

fn writer((holder, targets): Held) -> WriterLine {
    const FIRST: usize = 3; // enough to know what it is about; a line stays a line
    WriterLine {
        release: release_command(&holder.run).into(),
        job: holder.job.as_ref().map(|job| job.to_string().into()),
        address: holder.job.as_ref().and_then(|job| job.address()).map(Arc::from),
        run: holder.run,
        host: holder.host,
        pid: holder.pid,
        since_ms: holder.since_ms,
        targets: targets.len(),
        first: targets.into_iter().take(FIRST).collect(),
    }
}

/// What policy says now of the previews that were shown of the head, where there is something to do. Only for telling: what
/// cannot be judged leaves what history knows.
async fn verdicts(world: &World, scenes: &Scenes<'_>, history: &History, work: &Work, head: &CommitSha) -> Verdicts {
    if work.pending.is_empty() {
        return Verdicts::new();
    }
    super::judge::of_head(world, scenes, history, head).await.unwrap_or_else(|failure| {
        world
            .terminal
            .note(&format!("note: what was previewed could not be judged, so this tells what history knows: {failure}"));
        Verdicts::new()
    })
}

/// Commits that pending targets are at and that the head, which is older, does not hold.
fn newer(world: &World, history: &History, work: &Work, head: &CommitSha) -> BTreeSet<Arc<str>> {
    let at: BTreeSet<&Arc<str>> =
        work.pending.iter().filter_map(|pending| history.commit_of(&pending.target.id)).filter(|at| **at != head.0).collect();
    let is_newer = |at: &&Arc<str>| world.workspace.is_ancestor(head, &CommitSha((*at).clone())).unwrap_or(false);
    at.into_iter().filter(is_newer).cloned().collect()
}

fn rows(
    history: &History,
    work: &Work,
    verdicts: &Verdicts,
    (head, fleet): (&CommitSha, &crate::stack::Fleet),
    newer: &BTreeSet<Arc<str>>,
    now_ms: u64,
) -> Vec<StatusRow> {
    let order: BTreeMap<&TargetId, usize> = fleet.targets().iter().enumerate().map(|(at, target)| (&target.id, at)).collect();
    let pending = work.pending.iter().map(|pending| (&pending.target.id, true));
    let mut all: Vec<(&TargetId, bool)> = pending.chain(work.untouched.iter().map(|id| (id, false))).collect();
    all.sort_by_key(|(id, _)| (order.get(id).copied().unwrap_or(usize::MAX), *id));
    let row = |(id, is_pending): (&TargetId, bool)| {
        let verdict = verdicts.get(id).filter(|_| is_pending);
        let record = fleet.target(id).map_or_else(|| history.target(id), |target| record_of(history, target));
        let names = work.names(id);
        let known = row(id, record, is_pending, order.contains_key(id));
        let is_ahead = known.state == "behind" && known.commit.as_ref().is_some_and(|commit| newer.contains(commit));
        StatusRow {
            state: if is_ahead { "ahead" } else { known.state },
            waits: unknown_since(record, waits(history, &names, (is_pending, head), verdict, now_ms)),
            ..known
        }
    };
    all.into_iter().map(row).collect()
}

fn row(id: &TargetId, record: Option<&Record>, is_pending: bool, is_defined: bool) -> StatusRow {
    StatusRow {
        target: id.clone(),
        state: state(record, is_pending, is_defined),
        commit: record.and_then(|record| record.commit.clone()),
        applied_at_ms: record.and_then(|record| record.applied_at_ms),
        pull_request: record.and_then(|record| record.pull_request),
        by: record.map(|record| record.by.iter().map(|user| user.0.clone()).collect()).unwrap_or_default(),
        is_approved: record.is_some_and(|record| record.is_approved),
        drift: drift(record, is_pending),
        drift_checked_at_ms: record.and_then(|record| record.drift_checked_at_ms),
        waits: None,
    }
}

fn state(record: Option<&Record>, is_pending: bool, is_defined: bool) -> &'static str {
    match record.map(|record| &record.state) {
        _ if !is_defined => "to be destroyed",
        None | Some(State::Never) => "never applied",
        Some(State::Removed) => "never applied",
        Some(State::Unknown { .. }) => "unknown",
        Some(State::Failed { .. }) => "failed",
        Some(State::Applied) if is_pending => "behind",
        Some(State::Applied) => "applied",
    }
}

/// A commit that was not applied is no drift of a target that is told to be behind.
fn drift(record: Option<&Record>, is_pending: bool) -> Arc<str> {
    let told = |(_, class): &&(Arc<str>, Class)| !(is_pending && *class == Class::UnappliedCommit);
    let found = record.and_then(|record| record.drift.as_ref()).map(|note| note.found.iter().filter(told));
    let say = |(address, class): &(Arc<str>, Class)| format!("{}: {address}", class.name());
    let found: Vec<String> = found.into_iter().flatten().map(say).collect();
    match found.is_empty() {
        false => found.join(", ").into(),
        true if record.is_some_and(|record| record.drift_checked_at_ms.is_some()) => "clean".into(),
        true => "not checked".into(),
    }
}

/// What a target waits for, and who can unblock it: a hold of its region, the rollout that holds it, a pause, or else what policy says now of what was
/// previewed, or else why it was left when it was tried last.
fn waits(
    history: &History,
    names: &[TargetId],
    (is_pending, head): (bool, &CommitSha),
    verdict: Option<&Verdict>,
    now_ms: u64,
) -> Option<Arc<str>> {
    let id = names.first()?;
    let hold = history.holds(now_ms).into_iter().find(|hold| hold.region == id.region);
    if let (true, Some(hold), None) = (is_pending, hold, history.paused()) {
        return Some(format!("region held {}; isobar hold {} --release", say_hold(hold), hold.region).into());
    }
    if let Some((holder, name)) = names.iter().find_map(|name| Some((holder(history, name, now_ms)?, name))) {
        let failed = matches!(holder.outcome(name), Some(Outcome::Failed(_)));
        let (own, rollout) = (if failed { "failed in" } else { "held by" }, holder.rollout());
        let stage = match (holder.ending(), holder.barred(name, &now(history, now_ms))) {
            (None, Some(why)) => format!("stopped: {why}; {RESUME}"),
            (None, None) => going(history, holder, now_ms).0,
            (Some(_), _) => stage(history, holder, now_ms).0,
        };
        return Some(format!("{own} rollout {} of {}: {stage}", rollout.id, short(&rollout.commit)).into());
    }
    if let (true, Some(why)) = (is_pending, paused(history)) {
        return Some(format!("{why}; isobar resume").into());
    }
    let left = history.target(id).and_then(|record| record.left.as_ref()).filter(|_| is_pending);
    match (verdict.map(|verdict| (&verdict.answer, &verdict.sentence)), left) {
        (Some((Answer::Wait { .. }, sentence)), _) => Some(sentence.as_str().into()),
        (Some((Answer::Deny, sentence)), _) => Some(format!("denied: {sentence}").into()),
        (Some((Answer::Clear(clearance), _)), Some(_)) if is_stuck(history, id, clearance.digest(), head) => {
            Some("isobar resume; failed before with the same changes".into())
        }
        (Some((Answer::Clear(_), sentence)), Some(_)) => Some(format!("isobar apply; cleared: {sentence}").into()),
        (None, Some(left)) => Some(format!("{} (tried {})", left.why, say_time(left.at_ms)).into()),
        (Some((Answer::Clear(_), _)) | None, None) => None, // nothing but an apply, as its state says
    }
}

/// The rollout that `target` waits for; also one in which it failed, and with it its wave, while others go on.
fn holder<'a>(history: &'a History, target: &TargetId, now_ms: u64) -> Option<&'a Progress> {
    let has_failed = history.target(target).is_some_and(|record| matches!(record.state, State::Failed { .. }));
    let stopped = |progress: &&Progress| progress.ending().is_none() && progress.barred(target, &now(history, now_ms)).is_some();
    history.holder(target).or_else(|| history.rollouts().filter(|_| has_failed).find(stopped))
}

/// Since when the outcome is unknown, before what it waits for.
fn unknown_since(record: Option<&Record>, waits: Option<Arc<str>>) -> Option<Arc<str>> {
    match record.map(|record| &record.state) {
        Some(State::Unknown { since_ms }) => {
            let waits = waits.map(|waits| format!("; {waits}")).unwrap_or_default();
            Some(format!("isobar recover; started {}, and its end was never told{waits}", say_time(*since_ms)).into())
        }
        Some(State::Never | State::Applied | State::Failed { .. } | State::Removed) | None => waits,
    }
}

/// An apply would not try it again.
fn is_stuck(history: &History, id: &TargetId, digest: &Digest, head: &CommitSha) -> bool {
    history.target(id).is_some_and(|record| record.is_stuck(digest, &head.0))
}

/// `is_written`: somebody writes, perhaps about it.
fn rollout(history: &History, progress: &Progress, is_written: bool, now_ms: u64) -> RolloutLine {
    let waves = progress.wave_views(&now(history, now_ms)).into_iter().map(|wave| WaveLine {
        name: wave.name.clone(),
        targets: wave.targets,
        done: wave.done,
        failed: wave.failed,
        state: match wave.state.as_str() {
            "running" if !is_written && wave.has_begun => "begun, and nobody is at it".into(),
            "running" if !is_written => "can begin; isobar tick goes on".into(),
            state => state.into(),
        },
    });
    let (state, next_tick_ms) = stage(history, progress, now_ms);
    RolloutLine {
        id: progress.rollout().id.clone(),
        commit: progress.rollout().commit.clone(),
        state: state.into(),
        is_stopped: matches!(progress.ending(), Some(Ending::Stopped(_))) || !progress.breaches(&now(history, now_ms)).is_empty(),
        waves: waves.collect(),
        next_tick_ms,
    }
}

/// Where a rollout is, in words, and when the next tick can go on.
fn stage(history: &History, progress: &Progress, now_ms: u64) -> (String, Option<u64>) {
    match progress.ending() {
        Some(Ending::Complete) => return ("complete".into(), None),
        Some(Ending::Stopped(why)) => return (format!("stopped: {why}; isobar resume, or revert the change"), None),
        None => {}
    }
    let breaches = progress.breaches(&now(history, now_ms));
    let (going, next_tick_ms) = going(history, progress, now_ms);
    match breaches.is_empty() {
        true => (going, next_tick_ms),
        false => (format!("stopped in part: {}; {RESUME}; {going}", breaches.join("; ")), next_tick_ms),
    }
}

/// What keeps all of it that did not stop, and until when.
fn going(history: &History, progress: &Progress, now_ms: u64) -> (String, Option<u64>) {
    if let Some((by, reason)) = history.paused() {
        return (format!("paused by {by}: {reason}; isobar resume"), None);
    }
    let todos = progress.next(&Now::at(now_ms));
    let wait = todos.into_iter().find_map(|todo| match todo {
        Todo::Wait { until_ms, why, .. } => Some((why, Some(until_ms))),
        _ => None, // everything else can begin with the next run
    });
    wait.unwrap_or_else(|| ("open; isobar tick goes on".into(), Some(now_ms)))
}

fn now(history: &History, now_ms: u64) -> Now<'_> {
    Now { paused: history.paused().map(|(_, reason)| reason), ..Now::at(now_ms) }
}
