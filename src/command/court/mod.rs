//! Gathers the facts of a judgement: whose policy, whose approvals, what was cleared before. Policy itself only judges.

mod authority;
mod bench;
mod direct;
mod past;
mod refused;
mod review;
mod teams;
mod touched;

use past::{ClearedBefore, left_by};
pub use review::Review;
use touched::Touched;

use super::pending::Work;
use super::say::say_time;
use super::scene::{FLEET, Scene, Scenes};
use super::shown::{self, approvable};
use crate::change::{ChangeMark, Digest, Extent, Preview, Unseen, UnseenReason, beyond, filled_matches};
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::{Facts, Past, Subject, Verdict, judge};
use crate::review::{Approval, CommitSha, Decision, PullRequest, Reviewed, Team, User, Void, latest};
use crate::stack::{FirstApply, StackName, Target, TargetId};
use crate::store::Stored;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// A stored set, the authority's commit, where the authors' line begins, whether anybody spoke before, how much there is of which the set may be a part, and what
/// its targets were called before: what one judgement of the past is kept by.
type Sitting = (usize, Option<CommitSha>, Option<CommitSha>, bool, Extent, Option<Digest>);

/// What every judgement of one command goes by.
pub(crate) struct Court<'a> {
    world: &'a World,
    scenes: &'a Scenes<'a>,
    head: Option<CommitSha>,
    /// In a pull request's view: the base, whose word counts for every target.
    base: Option<Arc<Scene>>,
    /// The last commit without a fleet, where nothing was ever brought: who wrote before that made nothing of it.
    before_all: Option<CommitSha>,
    /// Number of the change whose view this is.
    change: Option<u64>,
    /// Changes with what people decided about them: that one, or those that brought what is applied.
    changes: Vec<Reviewed>,
    approvals: Vec<Approval>,
    /// Approvals that count for nothing.
    void: BTreeSet<Void>,
    /// Every digest that somebody decided about.
    reviewed: BTreeSet<Arc<str>>,
    stored: Vec<Stored>,
    /// Every stored preview, by target, oldest first.
    shown: BTreeMap<TargetId, Vec<Shown>>,
    now_ms: u64,
    /// What stored sets were judged to have cleared, by set, authority and beginning of the change.
    judged: Mutex<BTreeMap<Sitting, Arc<ClearedBefore>>>,
    /// Commits of the line that is applied which no change brought, new before old.
    direct: Vec<CommitSha>,
    /// What was touched by the commits that landed a change, or nobody's, by the newest of them.
    touched: Mutex<BTreeMap<CommitSha, Arc<Touched>>>,
    /// Who is in the teams that the host keeps, as far as they were asked for.
    kept_teams: Mutex<BTreeMap<Arc<str>, Team>>,
    /// Where history begins, by its first commit; none where there was no fleet yet.
    beginning: Mutex<BTreeMap<Option<CommitSha>, Option<Arc<Scene>>>>,
}

/// What a court sits about.
#[derive(Default)]
pub(crate) struct Case<'r> {
    /// `None` for an uncommitted tree.
    pub(crate) head: Option<CommitSha>,
    /// In a pull request's view: what it is merged into.
    pub(crate) base: Option<Arc<Scene>>,
    /// Number of the change whose view it is.
    pub(crate) change: Option<u64>,
    pub(crate) reviews: &'r [Review],
}

/// What is to be judged.
pub(crate) struct Asked<'p> {
    pub(crate) previews: &'p [Arc<Preview>],
    /// For targets that were cleared with holes, the preview with those holes.
    pub(crate) holed: &'p BTreeMap<TargetId, Preview>,
    /// The rest of the change: limits count it, nobody asks about it now.
    pub(crate) beside: &'p [Arc<Preview>],
    /// What the rollout was planned with.
    pub(crate) planned: Extent,
}

impl<'p> Asked<'p> {
    /// Asks about a whole change.
    pub(crate) fn whole(previews: &'p [Arc<Preview>]) -> Self {
        static NONE: BTreeMap<TargetId, Preview> = BTreeMap::new();
        Self { previews, holed: &NONE, beside: &[], planned: Extent::default() }
    }
}

/// Targets that are judged by one authority, as parts of one change.
struct Alike<'p> {
    authority: Arc<Scene>,
    since: Option<CommitSha>,
    is_unspoken_for: bool,
    members: Vec<&'p Preview>,
}

impl Alike<'_> {
    fn is_as(&self, other: &Self) -> bool {
        let is_one = Arc::ptr_eq(&self.authority, &other.authority) && self.since == other.since;
        is_one && self.is_unspoken_for == other.is_unspoken_for
    }
}

/// In which set a preview is stored, and its digest.
struct Shown {
    set: usize,
    digest: Digest,
}

impl<'a> Court<'a> {
    /// Reads approvals, and shown previews where anybody decided about one or is about to (`reviews`). Approvals that cannot be read
    /// are an error: unreadable is *no*.
    pub(crate) async fn open(
        world: &'a World,
        scenes: &'a Scenes<'a>,
        history: &History,
        case: Case<'_>,
    ) -> Result<Self, Failure> {
        let Case { head, base, change, reviews } = case;
        let is_first = base.is_none() && history.trusted_commit().is_none();
        let newest_without = |head: &CommitSha| world.workspace.newest_without(FLEET, head).ok().flatten(); // unread, all of it counts
        let before_all = head.as_ref().filter(|_| is_first).and_then(newest_without);
        let line_of = head.as_ref().filter(|_| base.is_none());
        let is_asked = !reviews.is_empty() || world.host.knows_commits();
        let mut stored = if is_asked { world.store.saved_as(Stored::read_bare).await? } else { Vec::new() };
        let (changes, direct) = bench::changes(world, history, line_of, change, &stored).await?;
        if !is_asked && changes.iter().any(|change| !change.decisions.is_empty()) {
            stored = world.store.saved_as(Stored::read_bare).await?;
        }
        let (approvals, void) = bench::bound(&changes, &stored);
        let reviewed = approvals.iter().flat_map(|approval| approval.digests.iter().cloned()).collect();
        let mut shown: BTreeMap<TargetId, Vec<Shown>> = BTreeMap::new();
        for (set, answer) in stored.iter().enumerate().flat_map(|(set, stored)| stored.previews.iter().map(move |one| (set, one)))
        {
            let Some((target, digest)) = approvable(answer) else { continue };
            if answer.as_ref().is_ok_and(|preview| preview.is_empty()) {
                continue; // there was nothing to decide
            }
            shown.entry(target.clone()).or_default().push(Shown { set, digest });
        }
        let court = Self {
            world,
            scenes,
            head,
            base,
            before_all,
            change,
            changes,
            approvals,
            void,
            reviewed,
            stored,
            shown,
            now_ms: world.clock.now_ms(),
            direct,
            judged: Mutex::default(),
            touched: Mutex::default(),
            kept_teams: Mutex::default(),
            beginning: Mutex::default(),
        };
        let ahead = court.approvals.iter().filter(|approval| approval.decision == Decision::Approve);
        for Approval { by, at_ms, .. } in ahead.filter(|approval| approval.is_to_come(court.now_ms)) {
            let (given, now) = (say_time(*at_ms), say_time(court.now_ms));
            let what = format!("what {by} approved at {given}, by a clock that is ahead of {now} here, counts from then on");
            world.terminal.note(&format!("note: {what}"));
        }
        Ok(court)
    }

    /// Binds decisions from the command line to what was shown, by its digests, and records them with the host.
    pub(crate) async fn take(&mut self, reviews: &[Review], shown: Vec<Arc<str>>) -> Result<(), Failure> {
        for review in reviews {
            let digests = match &review.digest {
                Some(beginning) => vec![review::named(beginning, self.all_shown().chain(shown.iter().cloned()))?],
                None => shown.clone(),
            };
            if digests.is_empty() {
                return Err(self.nothing_to(review));
            }
            let approval = Approval { by: review.by.clone(), decision: review.decision, digests, at_ms: self.now_ms };
            self.world.host.record(&approval, &self.made()?).await?;
            self.reviewed.extend(approval.digests.iter().cloned());
            self.approvals.push(approval);
        }
        self.approvals = latest(std::mem::take(&mut self.approvals));
        Ok(())
    }

    /// Judges previews, in their order. A team of the host that was not [summoned](Court::summon) has no members.
    pub(crate) fn judge(&self, asked: &Asked<'_>, work: &Work, history: &History) -> Result<Vec<Verdict>, Failure> {
        let Asked { previews, holed, beside, planned } = asked;
        let mut verdicts: BTreeMap<TargetId, Verdict> = BTreeMap::new();
        let mut benches: Vec<Alike<'_>> = Vec::new();
        for preview in *previews {
            let target = &preview.target;
            let alike = Alike {
                authority: self.authority(target, work, history)?,
                since: self.since(target, work, history),
                is_unspoken_for: self.is_unspoken_for(target, work, history),
                members: vec![preview],
            };
            match benches.iter_mut().find(|other| other.is_as(&alike)) {
                Some(other) => other.members.push(preview),
                None => benches.push(alike),
            }
        }
        let asked_for: BTreeSet<&TargetId> = previews.iter().map(|preview| &preview.target).collect();
        let others = || beside.iter().filter(|preview| !asked_for.contains(&preview.target));
        let now = Extent::of(previews.iter().chain(others()).map(|preview| &**preview));
        let left_by =
            previews.iter().map(|preview| left_by(&preview.target, work, history)).fold(Extent::default(), Extent::at_least);
        let now = now.plus(left_by).at_least(*planned);
        for Alike { authority, since, is_unspoken_for, members } in &benches {
            let mine: BTreeSet<&TargetId> = members.iter().map(|preview| &preview.target).collect();
            let mut subjects = Vec::new();
            for preview in previews.iter().chain(others()) {
                let mut past = if mine.contains(&preview.target) {
                    self.past(&preview.target, authority, work, history, now)?
                } else {
                    Past::default()
                };
                if let Some(holed) = holed.get(&preview.target) {
                    fill_cleared(holed, preview, &mut past);
                }
                let side = work.get(&preview.target).map(|pending| &pending.target);
                subjects.push(subject(preview, authority, side, past));
            }
            let change = self.change(since.as_ref())?;
            let judged = self.sit((authority, *is_unspoken_for), subjects, &change, *planned, (work, history))?;
            verdicts.extend(
                judged
                    .into_iter()
                    .filter(|verdict| mine.contains(&verdict.target))
                    .map(|verdict| (verdict.target.clone(), verdict)),
            );
        }
        Ok(previews.iter().filter_map(|preview| verdicts.remove(&preview.target)).collect())
    }

    fn sit(
        &self,
        (authority, is_unspoken_for): (&Scene, bool),
        subjects: Vec<Subject<'_>>,
        change: &PullRequest,
        planned: Extent,
        (work, history): (&Work, &History),
    ) -> Result<Vec<Verdict>, Failure> {
        let (policy, teams) = (self.policy(authority, is_unspoken_for), self.teams(authority, &subjects));
        let approvals = self.with_refusals(self.fresh_approvals(work, history, &subjects)?, &subjects, (work, history))?;
        let mut facts = Facts {
            policy: policy.as_deref(),
            teams: &teams,
            pull_request: change,
            approvals: &approvals,
            subjects,
            planned,
            now_ms: self.now_ms,
        };
        let verdicts = judge(&facts);
        match self.mark_direct(authority, &mut facts, &verdicts, (work, history))? {
            true => Ok(judge(&facts)),
            false => Ok(verdicts),
        }
    }

    /// Says what becomes of targets that cannot be previewed before what they need is applied; nothing when there are none.
    pub(crate) fn say_unseen_yet(
        &self,
        answers: &[Result<Arc<Preview>, Unseen>],
        work: &Work,
        history: &History,
    ) -> Result<Option<String>, Failure> {
        let needs = answers.iter().filter_map(|answer| answer.as_ref().err());
        let needs: Vec<&Unseen> = needs.filter(|unseen| matches!(unseen.reason, UnseenReason::Needs(_))).collect();
        let [first, ..] = &needs[..] else { return Ok(None) };
        let then = match self.authority(&first.target, work, history)?.fleet.first_apply {
            FirstApply::Waits => "judged then: what needs an approval waits for it (first_apply: waits)",
            FirstApply::Covered => "judged then: an approval of this preview counts if it only creates (first_apply: covered)",
        };
        let who = match needs.len() {
            1 => format!("{} can't be previewed", first.target),
            more => format!("{more} targets can't be previewed"),
        };
        Ok(Some(format!("{who} before what is needed was applied; previewed and {then}")))
    }

    /// Says of each approval that counts for nothing why.
    pub(crate) fn void(&self) -> impl Iterator<Item = String> {
        self.void.iter().map(|Void { by, why }| format!("the approval of {by} does not count: {why}"))
    }

    fn all_shown(&self) -> impl Iterator<Item = Arc<str>> {
        self.shown.values().flatten().map(|shown| shown.digest.as_str().into())
    }

    /// Digests of what was shown last, where that was this head: what was shown before or of another one is not what is being decided.
    pub(crate) fn shown_last(&self, of: impl Fn(&TargetId) -> bool) -> Vec<Arc<str>> {
        let Ok(Some(last)) = shown::last(self.world, &self.stored) else { return Vec::new() };
        if self.stored[last].head.is_none() || head_of(&self.stored[last]) != self.head {
            return Vec::new();
        }
        let shown = self.shown.iter().filter(|(target, _)| of(target)).flat_map(|(_, shown)| shown);
        shown.filter(|shown| shown.set == last).map(|shown| shown.digest.as_str().into()).collect()
    }

    /// There is nothing that a decision can be bound to.
    fn nothing_to(&self, review: &Review) -> Failure {
        let (by, verb) = (&review.by, review.verb());
        let last = match shown::last(self.world, &self.stored) {
            Ok(last) => last.map(|last| head_of(&self.stored[last])),
            Err(unknown) => return unknown,
        };
        let what = match (last, &self.head) {
            (Some(None), Some(_)) => format!("what was shown last is not committed, so that {by} cannot {verb} it"),
            (Some(Some(last)), Some(head)) if last != *head => {
                format!("what was shown last is {}, and this is {}, so that {by} cannot {verb} it", last.short(), head.short())
            }
            (Some(_) | None, _) => format!("nothing was shown yet that {by} could {verb}"),
        };
        Failure::usage(what, "isobar preview shows the changes and their digests")
    }
}

fn seen(stored: &Stored) -> impl Iterator<Item = &Preview> {
    stored.previews.iter().flatten().map(|preview| &**preview)
}

/// The commit that was shown; `None` for an uncommitted tree.
fn head_of(stored: &Stored) -> Option<CommitSha> {
    stored.head.clone().map(CommitSha)
}

/// Puts a filled preview where the cleared one had holes: when the preview with holes is covered and the filled one is the
/// same but for them, its changes count as cleared.
fn fill_cleared(holed: &Preview, filled: &Preview, past: &mut Past) {
    let cleared: Vec<ChangeMark> = past.cleared.iter().map(|(mark, _)| mark.clone()).collect();
    let is_covered = beyond(&holed.changes, &cleared, past.started).is_empty();
    if !is_covered || !filled_matches(&holed.changes, &filled.changes) {
        return;
    }
    let mut by: Vec<User> = Vec::new();
    let addresses: BTreeSet<&Arc<str>> = holed.changes.iter().map(|change| &change.address).collect();
    for user in past.cleared.iter().filter(|(mark, _)| addresses.contains(&mark.address)).flat_map(|(_, by)| by) {
        if !by.contains(user) {
            by.push(user.clone());
        }
    }
    past.cleared.extend(filled.marks().into_iter().map(|mark| (mark, by.clone())));
}

/// Both sides of a target: as it is now, and as it was under each of its names.
fn subject<'p>(preview: &'p Preview, authority: &Scene, now: Option<&Target>, past: Past) -> Subject<'p> {
    // The name of a definition stands for all its instances, so that a stack which is split into some keeps its rules.
    let mut names: BTreeSet<StackName> = [preview.target.stack.clone()].into();
    names.extend(now.into_iter().flat_map(|target| [target.stack.definition()].into_iter().chain(&target.stack.was).cloned()));
    let named = |name: &StackName| authority.fleet.target(&TargetId::new(name.clone(), preview.target.region.clone()));
    let sides: Vec<&Target> = now.into_iter().chain(names.iter().filter_map(named)).collect();
    names.extend(sides.iter().map(|target| target.stack.definition().clone()));
    let labels = |target: &&Target| {
        let pairs = target.region.labels.iter().chain(&target.stack.labels);
        pairs.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeSet<_>>()
    };
    let clouds = sides.iter().filter_map(|target| target.region.cloud.clone()).collect();
    let labels = sides.iter().flat_map(labels).collect();
    // Whose it was says who speaks for it, wherever it is moved to; whose it will be only where it is new.
    let before: Vec<&Target> = names.iter().filter_map(named).collect();
    let defined = if before.is_empty() { now.into_iter().collect() } else { before };
    let owned_by: BTreeSet<Arc<str>> = defined.iter().map(|target| teams::code_owners_of(&target.stack.site.path)).collect();
    Subject { preview, clouds, labels, stacks: names, owned_by: owned_by.into_iter().collect(), direct: None, past }
}
