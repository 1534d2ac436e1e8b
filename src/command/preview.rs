//! `isobar preview`: what would change, in every region, and what policy says of it. Changes nothing.

use super::court::{Asked, Case, Court, Review};
use super::look::{OfChange, keep, look_for, looks};
use super::outlook::{APPLY, foretell};
use super::paces::paces;
use super::parts::{self, Parting};
use super::pending::{self, Work, since_applied};
use super::say::{count, some};
use super::scene::{Scene, Scenes};
use super::shown;
use super::standing::Standing;
use super::tell::{self, Form, Unlock};
use super::view::{self, After, View};
use crate::change::{Extent, Preview, Unseen, UnseenReason};
use crate::exit::{Exit, Failure};
use crate::journal::History;
use crate::policy::{Answer, Verdict};
use crate::report::{Report, Told};
use crate::rollout::{Paces, Rollout, Shard, Takeover};
use crate::stack::{Selector, TargetId};
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
    /// The change whose view this is.
    pub change: Option<OfChange>,
    /// Exit with 2 when something would change.
    pub exit_code: bool,
    /// Previews at once; 0 for the default.
    pub parallel: usize,
    /// Several processes look, each at a part.
    pub parting: Option<Parting>,
}

/// What one preview looks at: a head, beside its base and what was applied.
struct Sight<'a> {
    world: &'a World,
    scenes: &'a Scenes<'a>,
    history: &'a History,
    view: &'a View,
    after: &'a Arc<Scene>,
    request: &'a Request,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let view = view::open(world, &scenes, "preview", request.base.as_deref(), request.head.as_deref())?;
    let history = world.store.history().await?;
    let after = match &view.after {
        After::Scene(scene) => scene.clone(),
        After::Conflict(paths) => return conflict(world, &view, &history, paths, request).await,
    };
    after.check_targets(world)?;
    let sight = Sight { world, scenes: &scenes, history: &history, view: &view, after: &after, request };
    let work = sight.select(&request.selector)?;
    pending::refuse_taken(world, &work, &after)?;
    pending::refuse_moved(world, &scenes, &history, &work, &after)?;
    let base: Arc<str> = view.base.as_ref().map_or_else(|| "".into(), |base| base.0.clone());
    let answers = match &request.parting {
        None => sight.look(&work).await,
        Some(parting) => {
            let Some(head) = &view.head else { return Err(uncommitted(&view)) };
            match parting {
                Parting::Write(shard, path) => {
                    let answers = sight.look_at_part(work, *shard).await;
                    return parts::write(world, (*shard, path), (head, base), answers, request.form.json);
                }
                Parting::HandOver(path) => {
                    let answers = sight.look_for(&work, true).await;
                    return parts::write(world, (Shard::WHOLE, path), (head, base), answers, request.form.json);
                }
                Parting::Read(dir) => parts::read(world, dir, head, &base, &work)?,
                Parting::Take(dir) => parts::take(world, dir, head, &base, &work)?,
            }
        }
    };

    let previews: Vec<Arc<Preview>> = answers.iter().flatten().cloned().collect();
    let seen = Extent::of_answers(&answers);
    let whole = match (request.selector.is_empty(), &request.parting) {
        (true, _) => Some(seen),
        (false, Some(Parting::Take(_))) => None, // who takes what others saw looks at nothing
        (false, _) => sight.whole(&work).await?,
    };
    keep(world, view.head.as_ref(), Some(base), request.change.as_ref(), whole, answers.clone()).await; // first shown, then decided about
    let mut court = Court::open(world, &scenes, &history, sight.case(&request.reviews)).await?;
    court.take(&request.reviews, shown::digests(&answers)).await?;
    court.summon(court.unasked_teams(previews.iter().map(|preview| &preview.target), &work, &history)?).await;
    let verdicts =
        court.judge(&Asked { planned: whole.unwrap_or_default().at_least(seen), ..Asked::whole(&previews) }, &work, &history)?;
    let verdicts: BTreeMap<TargetId, Verdict> = verdicts.into_iter().map(|verdict| (verdict.target.clone(), verdict)).collect();

    let mut report = sight.compose(&work, &answers, &verdicts);
    report.waves = waves(&paces(world, &scenes, &court, &history, &after, &work, Takeover::default())?, &after, &work, &answers)
        .unwrap_or_default();
    report.journal = tell::journal_head(&history);
    report.notes.extend(court.void().map(tell::note));
    report.notes.extend(court.say_unseen_yet(&answers, &work, &history)?.map(tell::note));
    let appliable = view.head.as_ref().filter(|_| view.base.is_none()).map(|head| (head, &after));
    foretell(world, &scenes, &history, appliable, &mut report)?;
    tell::report(world, &report, &request.form).await?;
    let exit = exit(&report, request.exit_code);
    say_uncleared(world, &verdicts, report.counts().waiting, exit);
    Ok(exit)
}

/// A preview that could look everywhere is no failure, whatever policy says of it: its last line says so plainly.
/// `unjudged` targets wait for what others have yet to make.
fn say_uncleared(world: &World, verdicts: &BTreeMap<TargetId, Verdict>, unjudged: usize, exit: Exit) {
    let uncleared = verdicts.values().filter(|verdict| !matches!(verdict.answer, Answer::Clear(_))).count();
    if uncleared > 0 && exit != Exit::Unfinished {
        let (code, blocked) = (exit.code(), Exit::NotCleared.code());
        let targets = count(uncleared + unjudged, "target is", "targets are");
        world.terminal.note(&format!(
            "\n{targets} not cleared; the preview itself went well (exit code {code}), isobar judge and isobar apply would exit with {blocked}"
        ));
    }
}

impl Sight<'_> {
    /// Which targets are looked at.
    fn select(&self, selector: &Selector) -> Result<Work, Failure> {
        let work = match (&self.view.before, self.request.all) {
            (_, true) => pending::all(self.after, selector),
            (Some(before), false) => pending::between(Some(before), self.after, selector),
            (None, false) => since_applied(self.scenes, self.history, self.after, selector)?,
        };
        super::must_match(selector, &self.after.fleet)?;
        Ok(work)
    }

    fn case<'r>(&self, reviews: &'r [Review]) -> Case<'r> {
        let (head, base) = (self.view.head.clone(), self.view.before.clone());
        Case { head, base, change: self.request.change.as_ref().map(|of| of.number), reviews }
    }

    async fn look(&self, work: &Work) -> Vec<Result<Arc<Preview>, Unseen>> {
        self.look_for(work, false).await
    }

    async fn look_for(&self, work: &Work, hands_over: bool) -> Vec<Result<Arc<Preview>, Unseen>> {
        let standing = Standing::of(self.scenes, self.history, work);
        look_for(self.world, work, &standing, looks(self.world, self.request.parallel), hands_over).await
    }

    /// Looks at the part of a shard, and at what that needs to be seen before it, which others answer for.
    async fn look_at_part(&self, work: Work, shard: Shard) -> parts::Answers {
        let (own, seen) = parts::part_of(&work, shard);
        let mut answers = self.look(&work.only(|target| seen.contains(target))).await;
        answers.retain(|answer| match answer {
            Ok(preview) => own.contains(&preview.target),
            Err(unseen) => own.contains(&unseen.target),
        });
        answers
    }

    /// How much the whole change is of which only a part was selected, where a rule counts it: what is approved bit by bit is
    /// approved as a bit of that.
    async fn whole(&self, work: &Work) -> Result<Option<Extent>, Failure> {
        let court = Court::open(self.world, self.scenes, self.history, self.case(&[])).await?;
        if !court.counts_targets(work, self.history)? {
            return Ok(None);
        }
        let all = self.select(&Selector::default())?;
        Ok(Some(Extent::of_answers(&self.look(&all).await)))
    }

    fn compose(&self, work: &Work, answers: &[Result<Arc<Preview>, Unseen>], verdicts: &BTreeMap<TargetId, Verdict>) -> Report {
        let (view, after) = (self.view, self.after);
        let mut report = Report::new(Told::Preview);
        report.head = view.head.as_ref().map(|head| head.0.clone());
        report.base = view.base.as_ref().map(|base| base.0.clone());
        report.dirty = !view.dirty.is_empty();
        report.at_ms = Some(self.world.clock.now_ms());
        report.rows = tell::rows(answers, verdicts, &work.untouched);
        tell::in_order(&mut report.rows, after.fleet.targets());
        report.fold = tell::folded(&report.rows, work);
        if answers.is_empty() && !self.request.all {
            report.nothing = Some(nothing(view).into());
        }
        if !view.dirty.is_empty() {
            let files = count(view.dirty.len(), "file is", "files are");
            report.notes.push(tell::warning(format!("{files} uncommitted: {}", some(&view.dirty))));
        }
        report.notes.extend(tell::undeclared(self.world, &report.rows, after.policy.is_none()));
        let shown = answers.iter().flatten();
        let judged = shown.filter_map(|preview| verdicts.get(&preview.target).map(|verdict| (&**preview, verdict)));
        // What is not committed is kept nowhere, so that nobody can approve it.
        let approve = if report.dirty { PREVIEW_AGAIN } else { tell::approve(self.world) };
        report.next = next(view, answers, verdicts, tell::unlock(self.world, judged, approve, APPLY));
        report
    }
}

/// Two processes never see the same uncommitted tree for sure.
fn uncommitted(view: &View) -> Failure {
    let what = format!("{} not committed: {}", count(view.dirty.len(), "file is", "files are"), some(&view.dirty));
    Failure::usage(what, "shards preview what is committed: git add -A && git commit -m \"…\"")
}

/// The step before an approval of what is not committed yet.
pub(super) const PREVIEW_AGAIN: &str = "isobar preview  (what is committed can be approved)";

fn nothing(view: &View) -> String {
    match &view.base {
        Some(base) => format!("nothing that a target uses changed since {}", base.short()),
        None => "every target is what the code says, as far as the journal knows; isobar drift looks at reality".into(),
    }
}

/// The rollout these changes would make.
fn waves(
    paces: &Paces,
    after: &Scene,
    work: &Work,
    answers: &[Result<Arc<Preview>, Unseen>],
) -> Option<Vec<crate::report::WaveLine>> {
    let changing = answers.iter().flatten().filter(|preview| !preview.is_empty()).filter_map(|preview| work.get(&preview.target));
    let targets: Vec<_> =
        changing.map(|pending| (pending.target.id.clone(), pending.intent, pending.target.region.weight)).collect();
    if targets.is_empty() {
        return None;
    }
    let before = work.before.as_ref().map(|scene| &scene.graph);
    let rollout = Rollout::plan("forecast".into(), "".into(), paces, targets, &after.graph, before);
    Some(tell::forecast(&rollout.ok()?))
}

/// What to type: `unlock` lets go on what waits.
fn next(
    view: &View,
    answers: &[Result<Arc<Preview>, Unseen>],
    verdicts: &BTreeMap<TargetId, Verdict>,
    unlock: Unlock,
) -> Vec<Arc<str>> {
    if answers.iter().all(Result::is_err) && !answers.iter().all(waits_for_others) {
        return vec!["isobar preview  (again, once what kept everything from being seen is mended)".into()];
    }
    let is_hidden = |answer: &Result<Arc<Preview>, Unseen>| answer.is_err() && !waits_for_others(answer);
    let is_part = answers.iter().any(is_hidden);
    let is_denied = |verdict: &Verdict| matches!(verdict.answer, Answer::Deny);
    if !verdicts.is_empty() && verdicts.values().all(is_denied) {
        return vec!["isobar preview  (again, once the change, or the policy that denies it, is another)".into()];
    }
    let mut next: Vec<Arc<str>> = Vec::new();
    if !view.dirty.is_empty() {
        next.push("git add -A && git commit -m \"…\"".into());
    }
    let is_last = unlock.is_later || unlock.approves && !view.dirty.is_empty(); // then it is committed and previewed again first
    next.extend(unlock.steps);
    if is_part {
        next.push("isobar preview  (again, once what kept the others from being seen is mended)".into());
    } else if view.base.is_some() {
        next.push("isobar apply  (after the merge)".into());
    } else if !verdicts.is_empty() && !is_last {
        next.push(APPLY.into());
    }
    next
}

/// An output that is not made yet keeps it from being seen; with no answer at all, nothing does.
fn waits_for_others(answer: &Result<Arc<Preview>, Unseen>) -> bool {
    matches!(answer, Err(Unseen { reason: UnseenReason::Needs(_), .. }))
}

/// The head does not merge: nothing can be seen, and that is never a green.
async fn conflict(world: &World, view: &View, history: &History, paths: &[Arc<str>], request: &Request) -> Result<Exit, Failure> {
    let mut report = Report::new(Told::Preview);
    report.head = view.head.as_ref().map(|head| head.0.clone());
    report.base = view.base.as_ref().map(|base| base.0.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(history);
    let why: Arc<str> = format!("the head does not merge into its base, conflict in {}", some(paths)).into();
    let targets = view.before.iter().flat_map(|scene| scene.fleet.targets()).filter(|target| request.selector.matches(target));
    report.rows = targets
        .map(|target| crate::report::Row {
            target: target.id.clone(),
            state: crate::report::RowState::Unseen(why.clone()),
            preview: None,
            verdict: None,
        })
        .collect();
    let base = view.base.as_ref().map_or("BASE", |base| base.short()); // no branch's name: people type what stands here
    report.next = vec![format!("git merge {base}  (in the branch; solve the conflict, commit, and preview again)").into()];
    tell::report(world, &report, &request.form).await?;
    Ok(Exit::Unfinished)
}

fn exit(report: &Report, exit_code: bool) -> Exit {
    let counts = report.counts();
    match (counts.unknown + counts.unseen + counts.failed, counts.change) {
        (1.., _) => Exit::Unfinished,
        (0, 1..) if exit_code => Exit::Negative,
        (0, _) => Exit::Clean,
    }
}
