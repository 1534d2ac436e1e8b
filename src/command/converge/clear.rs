//! The gate before every start: fresh previews, judged under the lease; what is cleared is granted, what is not waits and says so.

use super::older::Waiting;
use super::round::{Cleared, Round, gone};
use super::{Converge, EndState};
use crate::change::Preview;
use crate::command::pending::{Work, exists};
use crate::command::standing::Standing;
use crate::exit::Failure;
use crate::journal::Record;
use crate::policy::Answer;
use crate::rollout::{Outcome, Progress, STUCK};
use crate::runner::{Looks, MakeJob, Moment};
use crate::stack::{Known, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Converge<'_> {
    /// Previews targets afresh and judges them: the gate before every start. Told to stop, it decides no more, and what is left
    /// is asked again by the next run.
    pub(super) async fn clear(
        &self,
        work: &Work,
        targets: &[TargetId],
        looks: Looks<'_>,
        progress: &Progress,
        make: &MakeJob<'_>,
    ) -> Result<Cleared, Failure> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        let part = work.pending.iter().filter(|pending| wanted.contains(&pending.target.id)).cloned().collect();
        let part = Work::of(part, Vec::new(), None);
        let is_to_come = |id: &TargetId| !progress.outcome(id).is_some_and(Outcome::is_reached);
        let beside = self.whole.iter().filter(|preview| is_to_come(&preview.target)).cloned().collect();
        let mut round =
            Round { run: self, looks, work, part, progress, make, beside, turns: BTreeMap::new(), cleared: Cleared::default() };

        let fresh = round.look(targets).await;
        let seen = fresh.iter().map(|preview| &preview.target);
        let teams = self.court.unasked_teams(seen, work, &self.history())?;
        self.court.summon(teams).await;
        let holed = round.holed(&fresh).await?;
        if self.world.stop.is_asked() {
            return Ok(round.cleared);
        }
        let waiting = round.judge(fresh, &holed)?;
        round.go_back(waiting).await?;
        Ok(round.cleared)
    }

    /// The same changes failed before at this head, and nobody said `resume`.
    fn failed_alike(&self, preview: &Preview) -> Option<Arc<str>> {
        let history = self.history();
        let is_stuck = |record: &Record| record.is_stuck(&preview.digest(), &self.order.head.0);
        history.target(&preview.target).is_some_and(is_stuck).then(|| STUCK.into())
    }
}

impl Round<'_> {
    /// Previews this round's targets, with the outputs of all that they use as they are now; returns those with something to do.
    async fn look(&mut self, targets: &[TargetId]) -> Vec<Arc<Preview>> {
        let undefined: Vec<&TargetId> = targets.iter().filter(|target| self.part.get(target).is_none()).collect();
        for target in undefined {
            if self.run.history().target(target).is_some_and(exists) || self.wants_it(target) {
                self.not_seen(gone(target));
            } else {
                self.not_there(target); // a destroy of what is gone, such as under a name that it no longer has
            }
        }
        let world = self.run.world;
        let standing = Standing::of(self.run.scenes, &self.run.history(), &self.part);
        self.cleared.known = standing.outputs(world, self.looks).await;

        let ids: Vec<TargetId> = self.part.pending.iter().map(|pending| pending.target.id.clone()).collect();
        let bar = world.terminal.bar("previewing", ids.len());
        let watch = |_: Moment<'_>| bar.step();
        let mut proposed = self.cleared.known.clone(); // what is proposed here is not yet true for anybody
        let answers = self.looks.preview(&[ids], &mut proposed, self.make, &watch).await;
        drop(bar);

        let mut fresh = Vec::new();
        for answer in answers {
            match answer {
                Ok(preview) if preview.is_empty() && !self.run.history().is_half_done(&preview.target) => {
                    self.nothing_left(preview)
                }
                Ok(preview) => fresh.push(Arc::new(preview)),
                Err(unseen) => self.not_seen(unseen),
            }
        }
        fresh
    }

    /// For targets that were cleared with holes: the preview with those holes still open.
    async fn holed(&self, fresh: &[Arc<Preview>]) -> Result<BTreeMap<TargetId, Preview>, Failure> {
        let mut holes: BTreeMap<TargetId, BTreeSet<Arc<str>>> = BTreeMap::new();
        for preview in fresh {
            let names = self.run.court.holes(&preview.target, self.work, &self.run.history(), self.whole())?;
            if !names.is_empty() {
                holes.insert(preview.target.clone(), names);
            }
        }
        let ids: Vec<TargetId> = holes.keys().cloned().collect();
        let make = |id: &TargetId, known: &Known| match holes.get(id) {
            Some(names) => (self.make)(id, &withheld(known, names)),
            None => Err(gone(id)),
        };
        let mut known = self.cleared.known.clone();
        let seen = self.looks.preview(&[ids], &mut known, &make, &|_| ()).await;
        Ok(seen.into_iter().flatten().map(|preview| (preview.target.clone(), preview)).collect())
    }

    /// Judges what was seen at the commit of the rollout: grants what is cleared and was shown by the waves before, returns what waits.
    fn judge(&mut self, fresh: Vec<Arc<Preview>>, holed: &BTreeMap<TargetId, Preview>) -> Result<Vec<Waiting>, Failure> {
        let verdicts = self.run.court.judge(&self.asked(&fresh, holed), self.work, &self.run.history())?;

        let targets: Vec<TargetId> = fresh.iter().map(|preview| preview.target.clone()).collect();
        let behind = self.behind_older(&targets)?;

        let mut waiting = Vec::new();
        for (preview, verdict) in fresh.into_iter().zip(verdicts) {
            match (self.run.failed_alike(&preview), &verdict.answer) {
                (Some(why), _) => self.leave(EndState::Skipped(why), preview, verdict),
                (None, Answer::Clear(_)) if let Some(first) = behind.get(&preview.target) => {
                    waiting.push(Waiting::new(preview, verdict).behind(first));
                }
                (None, Answer::Clear(clearance)) => {
                    let clearance = clearance.clone();
                    self.grant(clearance, preview, verdict, self.run.bringing.0.clone())?;
                }
                (None, Answer::Wait { .. } | Answer::Deny) => waiting.push(Waiting::new(preview, verdict)),
            }
        }
        Ok(waiting)
    }
}

/// What is known without the outputs of these names, as a target names them.
fn withheld(known: &Known, names: &BTreeSet<Arc<str>>) -> Known {
    let mut withheld = known.clone();
    for (target, outputs) in &mut withheld.0 {
        let here = |name: &str| format!("{}.outputs.{name}", target.stack);
        let elsewhere = |name: &str| format!("{target}.outputs.{name}");
        outputs.retain(|name, _| !names.contains(here(name).as_str()) && !names.contains(elsewhere(name).as_str()));
    }
    withheld
}
