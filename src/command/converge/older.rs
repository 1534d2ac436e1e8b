//! Several merges wait for a target, and the head is not cleared: the newest commit before it that is. All that wait go back
//! together, one commit at a time, so that each commit is read, looked at and judged once for all of them.

use super::EndState;
use super::round::{Round, gone};
use crate::change::{Digest, Intent, Preview};
use crate::command::pending::{Pending, Work, between, commit_of};
use crate::command::scene::Scene;
use crate::command::standing::Standing;
use crate::exit::Failure;
use crate::policy::{Answer, Clearance, Verdict};
use crate::review::CommitSha;
use crate::stack::{Known, Selector, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Commits that are tried for targets that wait at the head, newest first.
const OLDER_COMMITS_MAX: usize = 50;

/// A target that is not cleared at the commit of the rollout.
pub(super) struct Waiting {
    preview: Arc<Preview>,
    verdict: Verdict,
    /// How many commits there are from the rollout's to the one it is at.
    line: usize,
    /// What was judged last.
    judged: Option<Digest>,
    /// It is cleared, and this one of an earlier wave, which went back to an older commit, comes first.
    behind: Option<TargetId>,
}

impl Waiting {
    pub(super) fn new(preview: Arc<Preview>, verdict: Verdict) -> Self {
        Self { preview, verdict, line: 0, judged: None, behind: None }
    }

    /// The same, of one that is cleared and comes behind another.
    pub(super) fn behind(self, first: &TargetId) -> Self {
        Self { behind: Some(first.clone()), ..self }
    }

    fn target(&self) -> &TargetId {
        &self.preview.target
    }

    /// Whether a preview of it at an older commit is worth a judgement. One that would delete what the head keeps is passed
    /// over: going forward must not take a way round through a loss.
    fn is_worth(&mut self, older: &Preview) -> bool {
        let has_holes = older.changes.iter().any(|change| !change.holes.is_empty());
        if older.is_empty() || has_holes || loses_more(older, &self.preview) {
            return false;
        }
        let digest = older.digest();
        self.judged.replace(digest.clone()) != Some(digest)
    }
}

impl Round<'_> {
    /// Grants each waiting target the newest commit whose fresh preview is cleared; leaves those without one. A target is looked
    /// at again only where the commit after it touched it: elsewhere it would be the same.
    pub(super) async fn go_back(&mut self, mut waiting: Vec<Waiting>) -> Result<(), Failure> {
        let line = self.lines(&mut waiting)?;
        let mut newer = self.run.scenes.at(&self.run.bringing)?;
        for (back, commit) in line.iter().enumerate().skip(1).take(OLDER_COMMITS_MAX) {
            if waiting.iter().all(|waiting| waiting.line <= back) || self.run.world.stop.is_asked() {
                break;
            }
            let Ok(scene) = self.run.scenes.glance(commit) else { continue };
            let touched = between(Some(&scene), &newer, &Selector::default());
            let is_here = |waiting: &&Waiting| {
                waiting.line > back && touched.get(waiting.target()).is_some() && scene.fleet.target(waiting.target()).is_some()
            };
            let mut here: Vec<TargetId> = waiting.iter().filter(is_here).map(|waiting| waiting.target().clone()).collect();
            if !here.is_empty() {
                here = self.led(here, &scene)?;
            }
            // What would be refused at the head is refused as a way back, too.
            if !here.is_empty() && scene.check_targets(self.run.world).is_ok() {
                self.try_commit(&mut waiting, here, &scene, commit).await?;
            }
            newer = scene;
        }
        if self.run.world.stop.is_asked() {
            return Ok(()); // not all was tried, so nothing is decided
        }
        for Waiting { preview, verdict, behind, .. } in waiting {
            let end = match behind {
                Some(first) => EndState::Skipped(format!("waits for {first} at {}", self.run.bringing.short()).into()),
                None => EndState::NotCleared(verdict.sentence.as_str().into(), verdict.answer == Answer::Deny),
            };
            self.leave(end, preview, verdict);
        }
        Ok(())
    }

    /// Notes how far back each may go, and returns the longest line: all begin at the commit of the rollout. A destroy goes
    /// nowhere: older definitions would converge what is to go.
    fn lines(&self, waiting: &mut [Waiting]) -> Result<Vec<CommitSha>, Failure> {
        let mut longest = Vec::new();
        let mut lengths: BTreeMap<Option<CommitSha>, usize> = BTreeMap::new();
        for waiting in waiting.iter_mut().filter(|waiting| waiting.preview.intent == Intent::Converge) {
            let pending = self.work.get(waiting.target());
            let from = pending.and_then(|pending| commit_of(&self.run.history(), &pending.target)).map(CommitSha);
            if let Some(length) = lengths.get(&from) {
                waiting.line = *length;
                continue;
            }
            let line = self.line(from.as_ref())?;
            waiting.line = line.len();
            lengths.insert(from, line.len());
            if line.len() > longest.len() {
                longest = line;
            }
        }
        Ok(longest)
    }

    /// The commits from the rollout's down to the last that holds `from`: what came in beside it by a merge goes below it.
    fn line(&self, from: Option<&CommitSha>) -> Result<Vec<CommitSha>, Failure> {
        let workspace = &self.run.world.workspace;
        let line = workspace.first_parents(from, &self.run.bringing)?.into_iter().take(OLDER_COMMITS_MAX + 1);
        let Some(from) = from else { return Ok(line.collect()) };
        Ok(line.take_while(|commit| workspace.is_ancestor(from, commit).unwrap_or(false)).collect())
    }

    /// Looks at targets as one older commit defines them, judges them together, and grants what is cleared.
    async fn try_commit(
        &mut self,
        waiting: &mut Vec<Waiting>,
        here: Vec<TargetId>,
        scene: &Arc<Scene>,
        commit: &CommitSha,
    ) -> Result<(), Failure> {
        tracing::debug!(commit = commit.short(), targets = here.len(), "looking at an older commit");
        let run = self.run;
        let make = |id: &TargetId, known: &Known| {
            scene.job(run.world, scene.fleet.target(id).ok_or_else(|| gone(id))?, Intent::Converge, known)
        };
        let older = here.iter().filter_map(|id| scene.fleet.target(id)).cloned();
        let older = older.map(|target| Pending { target, intent: Intent::Converge, scene: scene.clone(), reasons: Vec::new() });
        let standing = Standing::of(run.scenes, &run.history(), &Work::of(older.collect(), Vec::new(), None));
        let standing = standing.outputs(run.world, self.looks).await;
        self.cleared.known.0.extend(standing.0); // each is asked as of its own last apply, so all who ask are told alike
        let mut known = self.cleared.known.clone();
        let seen = self.looks.preview(&[here], &mut known, &make, &|_| ()).await;
        let seen: BTreeMap<TargetId, Preview> =
            seen.into_iter().flatten().map(|preview| (preview.target.clone(), preview)).collect(); // what is unseen is not gone to
        let mut worth: Vec<Arc<Preview>> = Vec::new();
        for waiting in waiting.iter_mut() {
            worth.extend(seen.get(waiting.target()).filter(|older| waiting.is_worth(older)).cloned().map(Arc::new));
        }
        let verdicts = run.court.judge(&self.asked(&worth, &BTreeMap::new()), self.work, &run.history())?;

        let mut granted: BTreeMap<TargetId, (Arc<Preview>, Clearance)> = BTreeMap::new();
        for (preview, verdict) in worth.iter().zip(verdicts) {
            if let Answer::Clear(clearance) = verdict.answer {
                granted.insert(preview.target.clone(), (preview.clone(), clearance));
            }
        }
        for at_head in std::mem::take(waiting) {
            match granted.remove(at_head.target()) {
                Some((preview, clearance)) => {
                    self.cleared.older.insert(preview.target.clone(), scene.clone());
                    self.grant(clearance, preview, at_head.verdict, commit.0.clone())?;
                }
                None => waiting.push(at_head),
            }
        }
        Ok(())
    }
}

/// Deletes or replaces something that `other` does not.
fn loses_more(preview: &Preview, other: &Preview) -> bool {
    let lost = |preview: &Preview| -> BTreeSet<Arc<str>> {
        let destructive = preview.changes.iter().filter(|change| change.action.is_destructive());
        destructive.map(|change| change.address.clone()).collect()
    };
    !lost(preview).is_subset(&lost(other))
}
