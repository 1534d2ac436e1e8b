//! `isobar judge`: policy again on the previews that were shown last; starts no engine.

use super::court::{Asked, Case, Court, Review};
use super::look::OfChange;
use super::outlook::{APPLY, foretell};
use super::pending::{Pending, Work, since_applied};
use super::preview::PREVIEW_AGAIN;
use super::say::short;
use super::scene::{Scene, Scenes};
use super::shown;
use super::tell::{self, Form};
use crate::change::{Extent, Intent, Preview, Unseen, UnseenReason};
use crate::exit::{Exit, Failure};
use crate::host::RunNumber;
use crate::journal::History;
use crate::policy::{Answer, Verdict};
use crate::report::{Report, Told};
use crate::review::CommitSha;
use crate::stack::{Selector, TargetId};
use crate::store::Stored;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to judge.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
    /// The newest commit of a change, and who asks: what was shown of that is judged, and not what was shown last here.
    pub of: Option<(CommitSha, OfChange)>,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let history = world.store.history().await?;
    let stored = latest(world, request.of.as_ref()).await?;
    refuse_uncommitted(&stored, &request.reviews)?;
    let mut sitting = Sitting::open(world, &scenes, &history, &stored, &request.selector, &request.reviews).await?;
    if sitting.work.pending.is_empty() {
        super::must_match(&request.selector, &sitting.scene.fleet)?;
    }
    let unseen = unseen(&stored, &sitting.scene, sitting.base.as_ref(), &request.selector);

    let shown: Vec<_> = sitting.previews.iter().cloned().map(Ok).chain(unseen.iter().cloned().map(Err)).collect();
    sitting.court.take(&request.reviews, shown::digests(&shown)).await?;
    let verdicts = sitting.verdicts(&history).await?;
    let void: Vec<String> = sitting.court.void().collect();
    let not_yet = sitting.court.say_unseen_yet(&shown, &sitting.work, &history)?;
    let Sitting { scene, work, base, .. } = sitting;

    // What needs an output that nobody has made yet is asked about when it can be seen: after the apply of what makes it.
    let is_blind = unseen.iter().any(|unseen| !matches!(unseen.reason, UnseenReason::Needs(_)));
    let waits = verdicts.values().any(|verdict| !matches!(verdict.answer, Answer::Clear(_)));
    let mut report = Report::new(Told::Judge);
    report.head = Some(stored.head.clone().unwrap_or_else(|| "dirty".into()));
    report.base = (!stored.base.is_empty()).then(|| stored.base.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(&history);
    report.notes.extend(void.into_iter().map(tell::note));
    report.notes.extend(not_yet.map(tell::note));
    report.notes.extend(other_head(world, &stored).map(tell::warning));
    report.rows = tell::rows(&shown, &verdicts, &[]);
    tell::in_order(&mut report.rows, scene.fleet.targets());
    report.fold = tell::folded(&report.rows, &work);
    report.next = match (is_blind, waits) {
        (true, _) => vec!["isobar preview  (looks again at what could not be seen)".into()],
        (false, true) => {
            let shown = report.rows.iter().filter_map(|row| row.preview.as_deref());
            let judged = shown.filter_map(|preview| verdicts.get(&preview.target).map(|verdict| (preview, verdict)));
            // What is not committed is approved by nobody.
            let approve = if stored.head.is_none() { PREVIEW_AGAIN } else { tell::approve(world) };
            tell::unlock(world, judged, approve, APPLY).steps
        }
        (false, false) => vec![APPLY.into()],
    };
    let head = stored.head.clone().map(CommitSha);
    if head.is_some() && base.is_none() && since_applied(&scenes, &history, &scene, &request.selector)?.pending.is_empty() {
        report.next.retain(|step| **step != *APPLY); // all of it was brought since
    }
    let appliable = head.as_ref().filter(|_| base.is_none()).map(|head| (head, &scene));
    foretell(world, &scenes, &history, appliable, &mut report)?;
    tell::report(world, &report, &request.form).await?;
    Ok(match (is_blind, waits) {
        (true, _) => Exit::Unfinished,
        (false, true) => Exit::NotCleared,
        (false, false) => Exit::Clean,
    })
}

/// What is needed to judge what was shown once.
struct Sitting<'a> {
    scene: Arc<Scene>,
    base: Option<Arc<Scene>>,
    work: Work,
    previews: Vec<Arc<Preview>>,
    /// All that was shown, whatever part of it is judged.
    whole: Extent,
    court: Court<'a>,
}

impl<'a> Sitting<'a> {
    async fn open(
        world: &'a World,
        scenes: &'a Scenes<'a>,
        history: &History,
        stored: &Stored,
        selector: &Selector,
        reviews: &[Review],
    ) -> Result<Self, Failure> {
        let head = stored.head.clone().map(CommitSha);
        let scene = match &head {
            Some(head) => scenes.at(head)?,
            None => Arc::new(Scene::open(world, world.workspace.worktree(&super::view::published(world))?)?),
        };
        let base = (!stored.base.is_empty()).then(|| CommitSha(stored.base.clone()));
        let base = base.map(|base| scenes.before(&base)).transpose()?.flatten();
        let work = work_of(scenes, history, stored, &scene, base.as_ref(), selector)?;
        let shown = stored.previews.iter().flatten();
        let previews = shown.filter(|preview| work.get(&preview.target).is_some()).cloned().collect();
        let whole = stored.whole.unwrap_or_default().at_least(Extent::of_answers(&stored.previews));
        let case = Case { head, base: base.clone(), change: stored.change, reviews };
        let court = Court::open(world, scenes, history, case).await?;
        Ok(Self { scene, base, work, previews, whole, court })
    }

    async fn verdicts(&self, history: &History) -> Result<BTreeMap<TargetId, Verdict>, Failure> {
        let judged = self.previews.iter().map(|preview| &preview.target);
        self.court.summon(self.court.unasked_teams(judged, &self.work, history)?).await;
        let verdicts = self.court.judge(&Asked { planned: self.whole, ..Asked::whole(&self.previews) }, &self.work, history)?;
        Ok(verdicts.into_iter().map(|verdict| (verdict.target.clone(), verdict)).collect())
    }
}

/// What policy says now of what was shown last of `head`; nothing when nothing was.
pub(crate) async fn of_head(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    head: &CommitSha,
) -> Result<BTreeMap<TargetId, Verdict>, Failure> {
    let saved = world.store.saved().await?;
    let Some(stored) = saved.iter().rfind(|stored| stored.head.as_ref() == Some(&head.0)) else { return Ok(BTreeMap::new()) };
    Sitting::open(world, scenes, history, stored, &Selector::default(), &[]).await?.verdicts(history).await
}

/// Selected targets that the preview could not see: nothing can be said of them, least of all yes.
fn unseen(stored: &Stored, scene: &Scene, base: Option<&Arc<Scene>>, selector: &Selector) -> Vec<Unseen> {
    let target = |id: &TargetId| scene.fleet.target(id).or_else(|| base?.fleet.target(id));
    let is_selected = |unseen: &&Unseen| target(&unseen.target).is_none_or(|target| selector.matches(target));
    stored.previews.iter().filter_map(|answer| answer.as_ref().err()).filter(is_selected).cloned().collect()
}

/// The run that showed last what there is to decide of a change, and beside which base; `None` where nothing is.
pub(crate) async fn shown_by(world: &World, of: &(CommitSha, OfChange)) -> Result<Option<(RunNumber, CommitSha)>, Failure> {
    let saved = world.store.saved_as(Stored::read_bare).await?;
    Ok(last_of(&saved, of).map(|stored| (run_of(stored), CommitSha(stored.base.clone()))))
}

/// What was shown last of a change's commit to who asks for the same targets.
pub(crate) fn last_of<'s>(saved: &'s [Stored], of: &(CommitSha, OfChange)) -> Option<&'s Stored> {
    saved.iter().rfind(|stored| is_of(stored, of))
}

/// The run that showed it.
pub(crate) fn run_of(stored: &Stored) -> RunNumber {
    stored.run.map(|(id, attempt)| RunNumber { id, attempt }).unwrap_or_default()
}

fn is_of(stored: &Stored, (head, of): &(CommitSha, OfChange)) -> bool {
    stored.head.as_ref() == Some(&head.0) && stored.change == Some(of.number) && stored.part == of.part
}

/// What was shown last here, whatever is checked out: nobody says yes to what lies further back.
async fn latest(world: &World, of: Option<&(CommitSha, OfChange)>) -> Result<Stored, Failure> {
    let mut saved = world.store.saved().await?;
    if let Some(of) = of {
        let (head, last) = (&of.0, saved.iter().rposition(|stored| is_of(stored, of)));
        let last = last.map(|last| saved.swap_remove(last));
        return last.ok_or_else(|| {
            Failure::usage(format!("nothing of {} was shown that could be judged", head.short()), "isobar preview")
        });
    }
    let last = shown::last(world, &saved)?.map(|last| saved.swap_remove(last));
    let what = if saved.is_empty() { "no preview was shown yet" } else { "in what was shown last there was nothing to decide" };
    last.ok_or_else(|| Failure::usage(what, "isobar preview"))
}

/// Refuses to bind a decision to what is not committed: it would be gone with the next keystroke.
fn refuse_uncommitted(stored: &Stored, reviews: &[Review]) -> Result<(), Failure> {
    match (&stored.head, reviews) {
        (None, [review, ..]) if review.digest.is_none() => Err(Failure::usage(
            format!("what was shown last is not committed, so that {} cannot {} it", review.by, review.verb()),
            "commit it, then isobar preview shows what can be decided about",
        )),
        _ => Ok(()),
    }
}

/// Says so when what was shown last is not what is checked out. A pull request's view may be of any branch.
fn other_head(world: &World, stored: &Stored) -> Option<String> {
    let (shown, head) = (stored.head.as_ref()?, world.workspace.head().ok()?);
    let is_dirty = || world.workspace.worktree(&super::view::published(world)).is_ok_and(|tree| !tree.dirty.is_empty());
    match stored.base.is_empty() {
        true if **shown != *head.0 => {
            Some(format!("this was shown of {}, and {} is checked out: isobar preview shows that", short(shown), head.short()))
        }
        true if is_dirty() => Some(format!("this was shown of {}; what is not committed is kept by no preview", short(shown))),
        _ => None, // of a pull request, or of what is there
    }
}

/// What was destroyed in a preview is defined by its base, or by the commit at which the target was last applied.
fn work_of(
    scenes: &Scenes<'_>,
    history: &History,
    stored: &Stored,
    scene: &Arc<Scene>,
    base: Option<&Arc<Scene>>,
    selector: &Selector,
) -> Result<Work, Failure> {
    let mut pending = Vec::new();
    for preview in stored.previews.iter().flatten() {
        let applied = match (base, history.defined_at(&preview.target)) {
            (None, Some(commit)) if preview.intent == Intent::Destroy => Some(scenes.at(&CommitSha(commit.clone()))?),
            (_, _) => base.cloned(),
        };
        let sides = [Some(scene.clone()), applied];
        let found = sides.into_iter().flatten().find_map(|side| Some((side.fleet.target(&preview.target)?.clone(), side)));
        if let Some((target, scene)) = found.filter(|(target, _)| selector.matches(target)) {
            pending.push(Pending { target, intent: preview.intent, scene, reasons: Vec::new() });
        }
    }
    Ok(Work::of(pending, Vec::new(), None))
}
