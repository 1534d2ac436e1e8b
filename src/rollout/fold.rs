//! The fold itself: how each event moves the facts of [`Progress`], and the queues with them.

use super::cleared::Cleared;
use super::order::ahead_of;
use super::{Outcome, Progress};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// One target's part.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) wave: usize,
    /// Position in the wave's targets.
    pub(super) at: usize,
    /// Targets that wait for this one.
    behind: Vec<usize>,
    pub(super) phase: Phase,
    /// Targets that must come first and are not reached.
    waits: usize,
    /// Why it is to be skipped, or was.
    pub(super) blame: Option<Blame>,
    /// A newer rollout has it: this one leaves it alone for good, and the reason.
    taken: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Waiting,
    /// Started by this process.
    InFlight,
    /// Started by a process that is gone.
    Unknown,
    Ended(Outcome),
}

/// The target to blame for a skip, and the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Blame {
    /// It had to come first and was not reached.
    First(usize),
    /// The same stack, not reached in an earlier wave.
    Earlier(usize),
}

/// One wave's part.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// Slots of its targets: `first..first + len`.
    pub(super) first: usize,
    pub(super) len: usize,
    /// Waves that must be done before it, nearest and all.
    pub(super) after: Vec<usize>,
    pub(super) ahead: HashSet<usize>,
    pub(super) awaited_by: Vec<usize>,

    // Facts.
    pub(super) passed: BTreeSet<usize>,
    pub(super) gate_failed: Option<Arc<str>>,
    pub(super) verified_at: Option<u64>,
    /// Since it last had nothing to do but wait for other waves.
    pub(super) first_started_at: Option<u64>,
    /// When the last outcome or gate of it was recorded.
    pub(super) last_at: u64,
    /// Something of it was started, so that there is something to bake.
    pub(super) touched: bool,

    // Derived.
    /// All waves before it are verified; they may still bake.
    pub(super) armed: bool,
    pub(super) ended: usize,
    pub(super) failed: usize,
    /// Not cleared, or skipped for another reason.
    pub(super) skipped: usize,
    pub(super) in_flight: usize,
    /// May be previewed and judged: nothing else must come first, or the outcome is unknown.
    pub(super) ready: BTreeSet<usize>,
    /// May be started; lives only in this process.
    pub(super) cleared: Cleared,
    /// To be recorded as skipped.
    pub(super) doomed: BTreeSet<usize>,
}

impl Progress {
    /// Lays the plan out by index.
    pub(super) fn lay_out(&mut self) {
        let ahead = ahead_of(&self.rollout.waves);
        let mut index = HashMap::new();
        for (at, (wave, ahead)) in self.rollout.waves.iter().zip(ahead).enumerate() {
            let after = wave.after.iter().copied().filter(|before| *before < at).collect();
            let (first, len) = (self.slots.len(), wave.targets.len());
            self.runs.push(Run { first, len, after, ahead, ..Run::default() });
            for (place, planned) in wave.targets.iter().enumerate() {
                index.insert(planned.target.clone(), self.slots.len());
                self.slots.push(Slot {
                    wave: at,
                    at: place,
                    behind: Vec::new(),
                    phase: Phase::Waiting,
                    waits: 0,
                    blame: None,
                    taken: None,
                });
            }
        }
        self.index = index;
        for at in 0..self.runs.len() {
            for before in self.runs[at].after.clone() {
                self.runs[before].awaited_by.push(at);
            }
        }
        for (at, planned) in self.rollout.waves.iter().flat_map(|wave| &wave.targets).enumerate() {
            for first in planned.after.iter().filter_map(|first| self.index.get(first)) {
                self.slots[*first].behind.push(at);
            }
        }
    }

    /// Makes all that is derived from the facts, anew.
    pub(super) fn derive(&mut self) {
        self.missed.clear();
        for run in &mut self.runs {
            (run.armed, run.ended, run.failed, run.skipped, run.in_flight) = (false, 0, 0, 0, 0);
            run.ready.clear();
            run.cleared = Cleared::default();
            run.doomed.clear();
        }
        for slot in &mut self.slots {
            slot.waits = 0;
        }
        for at in 0..self.slots.len() {
            if !is_reached(&self.slots[at]) {
                for behind in self.slots[at].behind.clone() {
                    self.slots[behind].waits += 1;
                }
            }
        }
        for at in 0..self.slots.len() {
            let wave = self.slots[at].wave;
            match &self.slots[at].phase {
                Phase::Waiting | Phase::Unknown => {}
                Phase::InFlight => self.runs[wave].in_flight += 1,
                Phase::Ended(outcome) => {
                    let outcome = outcome.clone();
                    self.count(at, &outcome);
                    self.blame_behind(at, &outcome);
                }
            }
        }
        (0..self.runs.len()).for_each(|wave| self.arm(wave));
    }

    pub(super) fn start(&mut self, slot: usize, at_ms: u64) {
        let run = &mut self.runs[self.slots[slot].wave];
        let ours = run.cleared.remove(slot);
        run.ready.remove(&slot);
        run.doomed.remove(&slot);
        run.touched = true;
        run.first_started_at.get_or_insert(at_ms);
        let phase = if ours { Phase::InFlight } else { Phase::Unknown };
        let before = std::mem::replace(&mut self.slots[slot].phase, phase);
        match before {
            Phase::Waiting | Phase::Unknown => {
                run.in_flight += usize::from(ours);
                if !ours && run.armed {
                    run.ready.insert(slot);
                }
            }
            Phase::InFlight => {
                // Started again by somebody else: what we knew of it is not true any more.
                run.in_flight -= 1;
                run.ready.insert(slot);
            }
            Phase::Ended(_) => {
                // A re-apply takes the wave's verification back, and its bake with it.
                run.verified_at = None;
                run.passed.clear();
                self.derive();
            }
        }
    }

    pub(super) fn finish(&mut self, slot: usize, outcome: &Outcome, at_ms: u64) {
        let wave = self.slots[slot].wave;
        let run = &mut self.runs[wave];
        match self.slots[slot].phase {
            Phase::Ended(_) => return,
            Phase::InFlight => run.in_flight -= 1,
            Phase::Waiting | Phase::Unknown => {}
        }
        run.last_at = at_ms;
        run.ready.remove(&slot);
        run.cleared.remove(slot);
        if !run.doomed.remove(&slot) {
            self.slots[slot].blame = None; // it has a reason of its own
        }
        self.slots[slot].phase = Phase::Ended(outcome.clone());
        self.count(slot, outcome);
        if outcome.is_reached() {
            for behind in self.slots[slot].behind.clone() {
                self.slots[behind].waits -= 1;
                self.offer(behind);
            }
        } else {
            self.blame_behind(slot, outcome);
        }
        let run = &mut self.runs[wave];
        if run.armed && !run.has_work() {
            run.first_started_at = None; // what is left of it cannot be late before its turn
        }
    }

    /// A newer rollout takes a target over: older code must not come back over it, not even by a resume.
    pub(super) fn leave(&mut self, slot: usize, why: &Arc<str>) {
        self.slots[slot].taken = Some(why.clone());
        let at_ms = self.runs[self.slots[slot].wave].last_at;
        self.finish(slot, &Outcome::Skipped(why.clone()), at_ms); // unless it has an outcome
    }

    fn count(&mut self, slot: usize, outcome: &Outcome) {
        let run = &mut self.runs[self.slots[slot].wave];
        run.ended += 1;
        match outcome {
            Outcome::Applied | Outcome::Unchanged => return,
            Outcome::Failed(_) => run.failed += 1,
            Outcome::NotCleared(_) | Outcome::Skipped(_) => run.skipped += 1,
        }
        if !outcome.is_held() {
            let missed = self.missed.entry(self.target(slot).stack.clone()).or_default();
            missed.push(slot);
        }
    }

    /// What had to come after a target that was not reached is skipped.
    fn blame_behind(&mut self, slot: usize, outcome: &Outcome) {
        if outcome.is_reached() {
            return;
        }
        let root = match self.slots[slot].blame {
            Some(Blame::First(root)) => root,
            Some(Blame::Earlier(_)) | None => slot,
        };
        for behind in self.slots[slot].behind.clone() {
            self.blame(behind, Blame::First(root));
        }
    }

    fn blame(&mut self, slot: usize, blame: Blame) {
        if self.slots[slot].phase == Phase::Waiting {
            let run = &mut self.runs[self.slots[slot].wave];
            run.ready.remove(&slot);
            run.cleared.remove(slot);
            if run.doomed.insert(slot) {
                self.slots[slot].blame = Some(blame);
            }
        }
    }

    /// Puts a target on offer whose turn it is.
    fn offer(&mut self, slot: usize) {
        let Slot { wave, waits, phase, .. } = &self.slots[slot];
        let turn = match phase {
            Phase::Waiting => *waits == 0,
            Phase::Unknown => true,
            Phase::InFlight | Phase::Ended(_) => false,
        };
        let run = &mut self.runs[*wave];
        if turn && run.armed && !run.doomed.contains(&slot) && !run.cleared.contains(slot) {
            run.ready.insert(slot);
        }
    }

    /// Makes a wave ready to open when all before it are verified: only then is it known which stacks go on.
    fn arm(&mut self, wave: usize) {
        let verified = |before: &usize| self.runs[*before].verified_at.is_some();
        if self.runs[wave].armed || !self.runs[wave].after.iter().all(verified) {
            return;
        }
        self.runs[wave].armed = true;
        for slot in self.runs[wave].first..self.runs[wave].first + self.runs[wave].len {
            match self.missed_before(slot) {
                Some(earlier) if self.slots[slot].phase == Phase::Waiting => self.blame(slot, Blame::Earlier(earlier)),
                _ => self.offer(slot),
            }
        }
    }

    /// Returns the target to blame when the stack of `slot` was not reached in a wave before: what did not go well in staging, or
    /// waits there, is not tried in production.
    fn missed_before(&self, slot: usize) -> Option<usize> {
        let ahead = &self.runs[self.slots[slot].wave].ahead;
        let missed = self.missed.get(&self.target(slot).stack)?;
        let bars = |missed: &&usize| ahead.contains(&self.slots[**missed].wave) && !self.is_tolerated(**missed, slot);
        let earlier = *missed.iter().find(bars)?;
        match self.slots[earlier].blame {
            Some(Blame::Earlier(root)) => Some(root),
            Some(Blame::First(_)) | None => Some(earlier),
        }
    }

    /// What failed and was tolerated, or came after that, is no reason against the later waves of its environment: a wave that has
    /// more failures is never verified.
    fn is_tolerated(&self, earlier: usize, later: usize) -> bool {
        let origin = self.origin(earlier);
        let environment = |slot: usize| &self.rollout.waves[self.slots[slot].wave].environment;
        let failed = matches!(self.slots[origin].phase, Phase::Ended(Outcome::Failed(_)));
        failed && environment(origin) == environment(later)
    }

    pub(super) fn fail_gate(&mut self, wave: usize, gate: usize, why: &Arc<str>) {
        let Some(run) = self.runs.get_mut(wave).filter(|run| run.has_ended()) else { return };
        let name = self.rollout.waves[wave].gates.get(gate).map_or_else(|| format!("{}", gate + 1), ToString::to_string);
        run.passed.remove(&gate);
        run.gate_failed = Some(format!("gate {name} failed: {why}").into());
        if run.verified_at.take().is_some() {
            self.derive(); // what was to follow waits again
        }
    }

    pub(super) fn verify(&mut self, wave: usize, at_ms: u64) {
        let Some(run) = self.runs.get_mut(wave) else { return };
        if !run.has_ended() || run.verified_at.is_some() {
            return;
        }
        run.verified_at = Some(at_ms);
        for later in run.awaited_by.clone() {
            self.arm(later);
        }
    }

    pub(super) fn resume(&mut self) {
        self.stopped = None;
        for run in self.runs.iter_mut().filter(|run| run.verified_at.is_none()) {
            run.passed.clear();
            (run.gate_failed, run.first_started_at) = (None, None);
            for slot in &mut self.slots[run.first..run.first + run.len] {
                if matches!(&slot.phase, Phase::Ended(outcome) if !outcome.is_reached()) {
                    let taken = slot.taken.clone().map(|why| Phase::Ended(Outcome::Skipped(why)));
                    (slot.phase, slot.blame) = (taken.unwrap_or(Phase::Waiting), None);
                }
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.phase == Phase::Waiting) {
            slot.blame = None;
        }
        self.derive();
    }
}

pub(super) fn is_reached(slot: &Slot) -> bool {
    matches!(&slot.phase, Phase::Ended(outcome) if outcome.is_reached())
}
