//! `isobar preview`: what would change, in every region, and what policy says of it. Changes nothing.

use super::court::{Asked, Court, Review, digests};
use super::pending::{self, Work, known_outputs, since_applied};
use super::scene::{Scene, Scenes};
use super::tell::{self, Form};
use super::view::{self, After, View};
use crate::change::{Preview, Unseen, UnseenReason};
use crate::exit::{Exit, Failure};
use crate::journal::History;
use crate::policy::{Answer, Verdict};
use crate::report::{Report, Told};
use crate::review::CommitSha;
use crate::rollout::Rollout;
use crate::runner::{self, PREVIEWS_AT_ONCE};
use crate::stack::{Known, Selector, TargetId, unbroken};
use crate::store::Stored;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to preview.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub base: Option<String>,
    pub head: Option<String>,
    /// Every selected target, touched or not.
    pub all: bool,
    pub reviews: Vec<Review>,
    /// Exit with 2 when something would change.
    pub exit_code: bool,
    /// Previews at once; 0 for the default.
    pub parallel: usize,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let view = view::open(world, &scenes, request.base.as_deref(), request.head.as_deref())?;
    let history = world.store.history().await?;
    let after = match &view.after {
        After::Scene(scene) => scene.clone(),
        After::Conflict(paths) => return conflict(world, &view, &history, paths, request),
    };
    after.check_targets(world)?;
    let work = select(&scenes, &history, &view, &after, request)?;
    pending::refuse_taken(world, &work, &after)?;
    let answers = look(world, &work, request.parallel).await;

    let previews: Vec<Arc<Preview>> = answers.iter().flatten().cloned().collect();
    let base = view.base.as_ref().map(|base| base.0.clone());
    keep(world, view.head.as_ref(), base, answers.clone()).await; // first shown, then decided about
    let mut court = Court::open(world, &scenes, view.head.clone(), view.before.clone()).await?;
    court.take(&request.reviews, digests(&answers)).await?;
    let verdicts = court.judge(&Asked::whole(&previews), &work, &history)?;
    let verdicts: BTreeMap<TargetId, Verdict> = verdicts.into_iter().map(|verdict| (verdict.target.clone(), verdict)).collect();

    let mut report = compose(world, &view, &after, &work, &answers, &verdicts, request);
    report.journal = tell::journal_head(&history);
    report.notes.extend(court.say_unseen_yet(&answers, &work, &history)?.map(tell::note));
    tell::report(world, &report, &request.form)?;
    Ok(exit(&report, request.exit_code))
}

/// Which targets are looked at.
fn select(scenes: &Scenes<'_>, history: &History, view: &View, after: &Arc<Scene>, request: &Request) -> Result<Work, Failure> {
    let work = match (&view.before, request.all) {
        (_, true) => pending::all(after, &request.selector),
        (Some(before), false) => pending::between(Some(before), after, &request.selector),
        (None, false) => since_applied(scenes, history, after, &request.selector)?,
    };
    super::must_match(&request.selector, &after.fleet)?;
    Ok(work)
}

/// Previews all that is pending, each target after those whose outputs it uses.
pub(crate) async fn look(world: &World, work: &Work, parallel: usize) -> Vec<Result<Arc<Preview>, Unseen>> {
    let mut known = known_outputs(world, work).await;
    let bar = world.terminal.bar("previewing", work.pending.len());
    let make = |id: &TargetId, known: &Known| match work.get(id) {
        Some(pending) => pending.scene.job(world, &pending.target, pending.intent, known),
        None => Err(Unseen::new(id.clone(), UnseenReason::Cancelled)),
    };
    let stopped = || world.stop.asked().is_some();
    let watch = |_: runner::Moment<'_>| bar.step();
    let parallel = if parallel == 0 { PREVIEWS_AT_ONCE } else { parallel };
    let answers = runner::preview_all(&world.engines, &work.levels(), &mut known, parallel, &make, &stopped, &watch).await;
    let mut answers: Vec<Result<Arc<Preview>, Unseen>> = answers.into_iter().map(|answer| answer.map(Arc::new)).collect();
    let place: BTreeMap<&TargetId, usize> =
        work.pending.iter().enumerate().map(|(at, pending)| (&pending.target.id, at)).collect();
    for unseen in answers.iter_mut().filter_map(|answer| answer.as_mut().err()) {
        if let (UnseenReason::Needs(_), Some(pending)) = (&unseen.reason, work.get(&unseen.target)) {
            unseen.promise = pending.scene.promise(&pending.target);
        }
    }
    answers.sort_by_key(|answer| {
        let target = match answer {
            Ok(preview) => &preview.target,
            Err(unseen) => &unseen.target,
        };
        place.get(target).copied()
    });
    answers
}

fn compose(
    world: &World,
    view: &View,
    after: &Scene,
    work: &Work,
    answers: &[Result<Arc<Preview>, Unseen>],
    verdicts: &BTreeMap<TargetId, Verdict>,
    request: &Request,
) -> Report {
    let mut report = Report::new(Told::Preview);
    report.head = view.head.as_ref().map(|head| head.0.clone());
    report.base = view.base.as_ref().map(|base| base.0.clone());
    report.dirty = !view.dirty.is_empty();
    report.at_ms = Some(world.clock.now_ms());
    report.rows = tell::rows(answers, verdicts, &work.untouched);
    tell::in_order(&mut report.rows, after.fleet.targets());
    report.fold = tell::folded(&report.rows, work);
    if answers.is_empty() && !request.all {
        report.nothing = Some(nothing(view).into());
    }
    if !view.dirty.is_empty() {
        report.notes.push(tell::warning(format!(
            "{} uncommitted: {}",
            count(view.dirty.len(), "file is", "files are"),
            some(&view.dirty)
        )));
    }
    if after.policy.is_none() {
        report.notes.push(tell::note("no policy declared: on a laptop everything is cleared"));
    }
    report.waves = waves(after, work, answers).unwrap_or_default();
    report.next = next(view, verdicts);
    report
}

fn nothing(view: &View) -> String {
    match &view.base {
        Some(base) => format!("nothing that a target uses changed since {}", base.short()),
        None => "every target is what the code says, as far as the journal knows; isobar drift looks at reality".into(),
    }
}

/// The rollout these changes would make.
fn waves(after: &Scene, work: &Work, answers: &[Result<Arc<Preview>, Unseen>]) -> Option<Vec<crate::report::WaveLine>> {
    let changing = answers.iter().flatten().filter(|preview| !preview.is_empty()).filter_map(|preview| work.get(&preview.target));
    let targets: Vec<_> =
        changing.map(|pending| (pending.target.id.clone(), pending.intent, pending.target.region.weight)).collect();
    if targets.is_empty() {
        return None;
    }
    let before = work.before.as_ref().map(|scene| &scene.graph);
    let rollout = Rollout::plan("forecast".into(), "".into(), &after.settings, targets, &after.graph, before);
    Some(tell::forecast(&rollout.ok()?))
}

fn next(view: &View, verdicts: &BTreeMap<TargetId, Verdict>) -> Vec<Arc<str>> {
    let mut next: Vec<Arc<str>> = Vec::new();
    if verdicts.values().any(|verdict| verdict.answer == Answer::Wait) {
        next.push("isobar judge --review NAME=approve  (a reviewer who is not the author)".into());
    }
    if !view.dirty.is_empty() {
        next.push("git add -A && git commit -m \"…\"".into());
    }
    if view.base.is_some() {
        next.push("isobar apply  (after the merge)".into());
    } else if !verdicts.is_empty() {
        next.push("isobar apply".into());
    }
    next
}

/// Keeps what was shown, so that a review can be bound to it. Not being able to is no failure of a preview.
pub(crate) async fn keep(
    world: &World,
    head: Option<&CommitSha>,
    base: Option<Arc<str>>,
    answers: Vec<Result<Arc<Preview>, Unseen>>,
) {
    if answers.iter().flatten().all(|preview| preview.is_empty()) {
        return;
    }
    let now_ms = world.clock.now_ms();
    let base = base.unwrap_or_else(|| "".into());
    let stored = Stored { head: head.map(|head| head.0.clone()), base, at_ms: now_ms, first_ms: now_ms, previews: answers };
    if let Err(error) = world.store.save(&stored).await {
        world.terminal.note(&format!("note: this preview could not be kept, so no review can be bound to it: {error}"));
    }
}

/// The head does not merge: nothing can be seen, and that is never a green.
fn conflict(world: &World, view: &View, history: &History, paths: &[Arc<str>], request: &Request) -> Result<Exit, Failure> {
    let mut report = Report::new(Told::Preview);
    report.head = view.head.as_ref().map(|head| head.0.clone());
    report.base = view.base.as_ref().map(|base| base.0.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(history);
    let why: Arc<str> = format!("unseen: the head does not merge into its base, conflict in {}", some(paths)).into();
    let targets = view.before.iter().flat_map(|scene| scene.fleet.targets()).filter(|target| request.selector.matches(target));
    report.rows = targets
        .map(|target| crate::report::Row {
            target: target.id.clone(),
            state: crate::report::RowState::Unknown(why.clone()),
            preview: None,
            verdict: None,
        })
        .collect();
    report.next = vec!["git merge the base into the branch, solve the conflict, and preview again".into()];
    tell::report(world, &report, &request.form)?;
    Ok(Exit::Unfinished)
}

fn exit(report: &Report, exit_code: bool) -> Exit {
    let counts = report.counts();
    match (counts.unknown + counts.failed, counts.change) {
        (1.., _) => Exit::Unfinished,
        (0, 1..) if exit_code => Exit::Negative,
        (0, _) => Exit::Clean,
    }
}

/// `1 file is`, `3 files are`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The first few of a list of paths.
pub(crate) fn some(paths: &[Arc<str>]) -> String {
    const SHOWN: usize = 5; // a line stays a line
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| unbroken(path)).collect();
    let rest = paths.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}
