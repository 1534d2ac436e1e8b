//! What history and shown previews say of a target: what was cleared before, by whom, and whether a yes is used up.

use super::{Court, Shown, head_of, seen, subject};
use crate::change::{ChangeMark, Digest, Extent, Preview};
use crate::command::pending::{Work, known_as};
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::{History, Record};
use crate::policy::{Answer, Past, Subject};
use crate::review::{Approval, CommitSha, Decision, PullRequest, Reviewed, User};
use crate::stack::{FirstApply, TargetId};
use crate::store::Stored;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The changes of each target that people cleared, and who.
pub(super) type ClearedBefore = BTreeMap<TargetId, Vec<(ChangeMark, Vec<User>)>>;

impl Court<'_> {
    /// What history and shown previews say of a target.
    pub(super) fn past(
        &self,
        target: &TargetId,
        authority: &Arc<Scene>,
        work: &Work,
        history: &History,
        now: Extent,
    ) -> Result<Past, Failure> {
        let (record, names) = (history.target(target), work.names(target));
        let mut cleared = record.map(|record| record.cleared.clone()).unwrap_or_default();
        let shown = self.shown.get(target).map_or(&[][..], Vec::as_slice);
        let reviewed: Vec<&Shown> = shown.iter().filter(|shown| self.is_reviewed(&shown.digest)).collect();
        let (mut spent, mut fresh) = (BTreeSet::new(), BTreeSet::new());
        for shown in &reviewed {
            let Some(stored) = self.stored.get(shown.set) else { continue };
            let is_merged = self.is_merged(stored)?;
            let is_spent = is_merged && self.is_used_up(stored, &names, history)?;
            if is_spent { &mut spent } else { &mut fresh }.insert(shown.digest.clone());
            if is_spent || !is_merged {
                continue;
            }
            let judged = self.judged_before(shown.set, stored, target, authority, (work, history), now)?;
            cleared.extend(judged.get(target).into_iter().flatten().cloned());
        }
        let shown = reviewed.into_iter().map(|shown| shown.digest.clone()).collect();
        let spent = &spent - &fresh; // what was shown anew may be approved anew
        let promise = self.promise(target, authority, work, history);
        Ok(Past {
            cleared,
            started: record.is_some_and(|record| record.started),
            shown,
            spent,
            promise,
            left_by: left_by(target, work, history),
        })
    }

    /// What a new target was shown as before it could be previewed, where the fleet lets an approval of that count.
    fn promise(&self, target: &TargetId, authority: &Scene, work: &Work, history: &History) -> Option<Digest> {
        let shown = self.shown.get(target)?;
        let was_applied = work.names(target).iter().any(|name| history.commit_of(name).is_some());
        if authority.fleet.first_apply == FirstApply::Waits || was_applied {
            return None;
        }
        let pending = work.get(target)?;
        let promise = pending.scene.promise(self.world, &pending.target)?;
        shown.iter().any(|shown| shown.digest == promise).then_some(promise)
    }

    /// What people cleared of a stored set, judged as the whole that they were shown: limits and `targets_min` count all of it, and
    /// where it was but a part, all of what is asked about now. Its targets are what the commit made of them that was shown.
    fn judged_before(
        &self,
        set: usize,
        stored: &Stored,
        target: &TargetId,
        authority: &Arc<Scene>,
        (work, history): (&Work, &History),
        now: Extent,
    ) -> Result<Arc<ClearedBefore>, Failure> {
        let whole = stored.whole.unwrap_or(now).at_least(Extent::of_answers(&stored.previews));
        let since = self.since(target, work, history);
        let is_unspoken_for = self.is_unspoken_for(target, work, history);
        let key = (set, authority.snapshot.commit.clone(), since, is_unspoken_for, whole, work.renames().cloned());
        let locked = || self.judged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(judged) = locked().get(&key).cloned() {
            return Ok(judged);
        }
        let Some(head) = head_of(stored) else { return Ok(Arc::default()) };
        let change = self.change_of(stored, &head, key.2.as_ref())?;
        let Ok(scene) = self.scenes.at(&head) else { return Ok(Arc::default()) };
        let side = |preview: &Preview| scene.fleet.target(&preview.target);
        let subjects = seen(stored).map(|preview| subject(preview, authority, side(preview), Past::default())).collect();
        let mut cleared = ClearedBefore::new();
        for verdict in self.sit((authority, is_unspoken_for), subjects, &change, whole, (work, history))? {
            if let Answer::Clear(clearance) = verdict.answer
                && !clearance.by().is_empty()
            {
                let marks = clearance.changes().iter().map(|mark| (mark.clone(), clearance.by().to_vec()));
                cleared.insert(verdict.target, marks.collect());
            }
        }
        let cleared = Arc::new(cleared);
        // A set that holds an uncommitted scene's word is judged anew each time: such a scene has no name.
        if key.1.is_some() {
            locked().insert(key, cleared.clone());
        }
        Ok(cleared)
    }

    /// Names of the outputs that were holes when the target was cleared.
    pub(crate) fn holes(
        &self,
        target: &TargetId,
        work: &Work,
        history: &History,
        whole: Extent,
    ) -> Result<BTreeSet<Arc<str>>, Failure> {
        let authority = self.authority(target, work, history)?;
        let past = self.past(target, &authority, work, history, whole)?;
        Ok(past.cleared.iter().flat_map(|(mark, _)| mark.holes.iter().cloned()).collect())
    }

    fn is_reviewed(&self, digest: &Digest) -> bool {
        self.reviewed.contains(digest.as_str())
    }

    /// The commit that was previewed is part of what is being applied.
    fn is_merged(&self, stored: &Stored) -> Result<bool, Failure> {
        match (&self.head, head_of(stored)) {
            (Some(head), Some(shown)) => self.holds(stored, &shown, head),
            (None, _) | (_, None) => Ok(false),
        }
    }

    /// The commit that was previewed is part of what the target was brought to, at a later time than it was shown.
    fn is_used_up(&self, stored: &Stored, names: &[TargetId], history: &History) -> Result<bool, Failure> {
        let applied_at_ms = newest(names, history, |record| record.applied_at_ms);
        Ok(applied_at_ms.is_some_and(|applied| stored.at_ms <= applied) && self.is_arrived(stored, names, history)?)
    }

    /// The commit that was previewed is part of what the target was brought to, under whatever name.
    fn is_arrived(&self, stored: &Stored, names: &[TargetId], history: &History) -> Result<bool, Failure> {
        let Some(shown) = head_of(stored) else { return Ok(true) };
        for applied in names.iter().filter_map(|name| history.commit_of(name)) {
            if self.holds(stored, &shown, &CommitSha(applied.clone()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was shown is part of `new`: by the commit that landed its change, however that was merged, or by itself. A commit that is
    /// gone is part of nothing.
    fn holds(&self, stored: &Stored, shown: &CommitSha, new: &CommitSha) -> Result<bool, Failure> {
        let landed = self.change_at(stored.change).and_then(|change| change.landed.as_ref());
        for old in landed.map(|landed| &landed.commit).into_iter().chain([shown]) {
            if self.is_part(old, new)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the host knows of a change, by its number.
    pub(super) fn change_at(&self, number: Option<u64>) -> Option<&Reviewed> {
        self.changes.iter().find(|reviewed| number.is_some() && reviewed.change.number == number)
    }

    fn is_part(&self, old: &CommitSha, new: &CommitSha) -> Result<bool, Failure> {
        match self.world.workspace.commit(&old.0) {
            Ok(old) => Ok(self.world.workspace.is_ancestor(&old, new)?),
            Err(_) => Ok(false),
        }
    }

    /// The people behind a stored set: whoever wrote what it holds since then, whatever base it was shown against, and whoever
    /// wrote what it was shown as.
    fn change_of(&self, stored: &Stored, head: &CommitSha, since: Option<&CommitSha>) -> Result<PullRequest, Failure> {
        let workspace = &self.world.workspace;
        let base = base_of(stored);
        let mut change = workspace.people(base.as_ref().or(since), head)?;
        let tips: Vec<&CommitSha> = base.iter().chain([head]).collect();
        change.committers.extend(workspace.authors(since, &tips)?);
        for reviewed in &self.changes {
            let is_shown = match stored.change {
                Some(_) => reviewed.change.number == stored.change,
                None => self.is_behind(reviewed, since)?, // what was applied, and not one change alone
            };
            if is_shown {
                change.committers.extend(makers(reviewed));
            }
        }
        Ok(change)
    }

    /// Decisions that are not used up. Every no still counts. A yes does when it was given since the target was last brought
    /// anywhere, or is of something shown that is merged now and was not part of that: an old yes is not a yes to going back,
    /// and an apply of nothing is no way there. So a clock that is wrong may cost a yes, and never a no. A yes that is still to come stays
    /// here, and policy counts it from its time on.
    pub(super) fn fresh_approvals(
        &self,
        work: &Work,
        history: &History,
        subjects: &[Subject<'_>],
    ) -> Result<Vec<Approval>, Failure> {
        if self.approvals.is_empty() {
            return Ok(Vec::new());
        }
        let judged = subjects.iter().flat_map(|subject| {
            let digests = [Some(subject.preview.digest()), subject.past.promise.clone()].into_iter().flatten();
            digests.map(|digest| (Arc::from(digest.as_str()), subject.preview.target.clone()))
        });
        let targets: BTreeMap<Arc<str>, TargetId> = judged.collect();
        let mut fresh = Vec::new();
        for approval in &self.approvals {
            if approval.decision == Decision::Reject {
                fresh.push(approval.clone());
                continue;
            }
            let mut digests = Vec::new();
            for digest in approval.digests.iter() {
                let Some(target) = targets.get(digest) else { continue };
                if self.is_fresh(digest, target, &work.names(target), approval.at_ms, history)? {
                    digests.push(digest.clone());
                }
            }
            // Decisions about what was shown earlier stay as they are: they are told, and clear nothing of this.
            digests.extend(approval.digests.iter().filter(|digest| !targets.contains_key(*digest)).cloned());
            if !digests.is_empty() {
                fresh.push(Approval { digests, ..approval.clone() });
            }
        }
        Ok(fresh)
    }

    fn is_fresh(
        &self,
        digest: &str,
        target: &TargetId,
        names: &[TargetId],
        given_ms: u64,
        history: &History,
    ) -> Result<bool, Failure> {
        let applied_at_ms = newest(names, history, |record| record.applied_at_ms);
        if applied_at_ms.is_none_or(|applied| applied < given_ms) {
            return Ok(true);
        }
        let shown = self.shown.get(target).into_iter().flatten().filter(|shown| *shown.digest.as_str() == *digest);
        let spent_at_ms = newest(names, history, |record| record.spent_at_ms);
        let is_unspent = spent_at_ms.is_none_or(|spent| spent < given_ms); // what came since found nothing to do
        for stored in shown.filter_map(|shown| self.stored.get(shown.set)).filter(|stored| stored.first_ms <= given_ms) {
            let is_to_come = match &stored.head {
                Some(_) => (is_unspent || self.is_merged(stored)?) && !self.is_arrived(stored, names, history)?,
                None => is_unspent, // an uncommitted tree is part of no commit
            };
            if is_to_come {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The latest of what is known of a target under its names.
fn newest(names: &[TargetId], history: &History, time: impl Fn(&Record) -> Option<u64>) -> Option<u64> {
    known_as(history, names.iter().cloned()).filter_map(time).max()
}

/// How much was brought of the changes that left a target behind, under whatever name it was then.
pub(super) fn left_by(target: &TargetId, work: &Work, history: &History) -> Extent {
    work.names(target).iter().map(|name| history.left_by(name)).fold(Extent::default(), Extent::plus)
}

/// Who made a change, by the names that the host has for them.
pub(super) fn makers(reviewed: &Reviewed) -> impl Iterator<Item = User> {
    std::iter::once(&reviewed.change.author).chain(&reviewed.change.committers).cloned()
}

fn base_of(stored: &Stored) -> Option<CommitSha> {
    (!stored.base.is_empty()).then(|| CommitSha(stored.base.clone()))
}
