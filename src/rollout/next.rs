//! What may begin next: read off the queues of [`Progress`]; changes nothing.

use super::fold::{Phase, Run, Slot, is_reached};
use super::words::moment;
use super::{Ending, Gate, Outcome, Pool, Progress, StepEvent, Taken};
use crate::policy::Clearance;
use crate::stack::{RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the rollout must know besides its events.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Why everything is paused, and who can resume.
    pub paused: Option<&'a str>,
    /// Regions to skip, each with "until 14:00 UTC: power works".
    pub held: &'a BTreeMap<RegionId, String>,
    /// Targets that other processes write about: nothing of them is offered, and those that were started are in flight there.
    pub elsewhere: &'a BTreeSet<TargetId>,
    /// Slots that are taken by what is in flight, here and elsewhere, of whatever rollout.
    pub taken: &'a Taken,
    /// Targets in flight here that have arrived: what begins instead of them is written with their outcome.
    pub arrived: &'a BTreeSet<TargetId>,
    /// Only what may be applied at once is asked for, where it is anything: which targets must be previewed first is left out.
    pub only_starts: bool,
}

/// The permission to start one target: made by [`Progress::next`] from a clearance.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub wave: usize,
    pub clearance: Clearance,
}

/// What may begin now.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    /// It is the turn of these targets: preview and judge them again, then [`Progress::clear`] or record their outcome. One whose
    /// outcome is unknown is among them too: when its fresh preview is empty, record it as applied or unchanged.
    NeedsClearance {
        wave: usize,
        targets: Vec<TargetId>,
    },
    Apply(Step),
    Ask {
        wave: usize,
        index: usize,
        gate: Gate,
    },
    /// Record this event, it follows from the others (`Verified`, `Stopped`, `Finished` as skipped because a dependency failed).
    Record(StepEvent),
    /// Nothing may begin before `until_ms`: a bake.
    Wait {
        wave: usize,
        until_ms: u64,
        why: String,
    },
    /// Somebody paused; nothing begins before somebody resumes.
    Paused {
        why: String,
    },
    /// Targets are in flight and nothing else may begin.
    InFlight,
    Over(Ending),
}

static NO_HOLDS: BTreeMap<RegionId, String> = BTreeMap::new();
static NOBODY: BTreeSet<TargetId> = BTreeSet::new();
static NO_SLOTS: Taken = Taken::new();

impl Now<'static> {
    /// Returns the time alone: nothing is paused or held, and nobody else is at work.
    pub fn at(ms: u64) -> Self {
        Self { ms, paused: None, held: &NO_HOLDS, elsewhere: &NOBODY, taken: &NO_SLOTS, arrived: &NOBODY, only_starts: false }
    }
}

impl Progress {
    /// Returns all that may begin now; never empty. What is offered stays on offer until it is recorded.
    ///
    /// A breached wave starts nothing new and lets nothing after it open. Waves that do not wait for it go on; the rollout is
    /// `Stopped` when only the breach is left.
    pub fn next(&self, now: &Now<'_>) -> Vec<Todo> {
        let (elsewhere, away) = self.beside(now);
        let in_flight = self.runs.iter().map(|run| run.in_flight).sum::<usize>() + elsewhere.iter().sum::<usize>();
        match self.ending() {
            Some(Ending::Stopped(_)) if in_flight > 0 => return vec![Todo::InFlight],
            Some(ending) => return vec![Todo::Over(ending)],
            None => {}
        }
        if let Some(why) = now.paused {
            return if in_flight > 0 { vec![Todo::InFlight] } else { vec![Todo::Paused { why: why.into() }] };
        }
        let (mut todos, mut breaches, mut busy, mut taken) = (Vec::new(), Vec::new(), 0, now.taken.clone());
        for wave in (0..self.runs.len()).filter(|wave| self.is_open(*wave, now.ms)) {
            match self.breach(wave, now) {
                Some(why) => breaches.push(why),
                None => {
                    let withheld = self.offers(wave, now, (elsewhere[wave], &away), &mut taken, &mut todos);
                    busy += self.runs[wave].in_flight + elsewhere[wave] + withheld;
                }
            }
        }
        if !todos.is_empty() {
            return todos;
        }
        let bakes = self.bakes(now.ms);
        match (busy > 0, bakes.is_empty(), breaches.is_empty()) {
            (false, true, false) => vec![stop(breaches.join("; "))],
            (true, ..) => vec![Todo::InFlight],
            (false, false, _) if in_flight == 0 => bakes,
            (false, false, _) => vec![Todo::InFlight],
            (false, true, true) if in_flight > 0 => vec![Todo::InFlight],
            // The planner refuses such plans; a journal may hold anything.
            (false, true, true) => vec![stop("its targets wait for one another".into())],
        }
    }

    /// Why waves stopped, in words; a run in which one did is no success, even if others go on.
    pub fn breaches(&self, now: &Now<'_>) -> Vec<String> {
        let open = (0..self.runs.len()).filter(|wave| self.is_open(*wave, now.ms));
        open.filter_map(|wave| self.breach(wave, now)).collect()
    }

    /// Why `target` does not have its turn before somebody resumes, though others may go on: its wave stopped, or one before it.
    pub fn barred(&self, target: &TargetId, now: &Now<'_>) -> Option<String> {
        let wave = self.slots[self.slot(target)?].wave;
        let ahead = &self.runs[wave].ahead;
        let mut open = (0..self.runs.len()).filter(|at| (*at == wave || ahead.contains(at)) && self.is_open(*at, now.ms));
        open.find_map(|at| self.breach(at, now))
    }

    /// Its wave stopped: it does not begin before somebody resumes, whoever else is at work.
    pub fn is_stopped(&self, target: &TargetId, now_ms: u64) -> bool {
        self.slot(target).is_some_and(|slot| {
            let wave = self.slots[slot].wave;
            self.is_open(wave, now_ms) && self.breach(wave, &Now::at(now_ms)).is_some()
        })
    }

    /// Some gate said no, and nobody resumed since.
    pub fn is_gated(&self) -> bool {
        self.runs.iter().any(|run| run.gate_failed.is_some())
    }

    /// When the next `tick` can go on, when nothing but bakes keeps the rollout.
    pub fn next_tick_ms(&self, now_ms: u64) -> Option<u64> {
        let until = |todo: &Todo| if let Todo::Wait { until_ms, .. } = todo { Some(*until_ms) } else { None };
        self.next(&Now::at(now_ms)).iter().map(until).min().flatten()
    }

    /// Nothing is before it but what comes after a bake, over by now or not, or after somebody resumes: whoever drove it had done all that there was to do.
    pub fn rests(&self) -> bool {
        let has_failed: Vec<bool> = (0..self.runs.len()).map(|wave| self.failure(wave).is_some()).collect();
        let barred = |wave: usize| has_failed[wave] || self.runs[wave].ahead.iter().any(|ahead| has_failed[*ahead]);
        let left = || (0..self.runs.len()).filter(|wave| self.runs[*wave].verified_at.is_none() && !barred(*wave));
        let might_go_on = |wave: usize| {
            let run = &self.runs[wave];
            run.has_work() && (run.touched || run.after.iter().all(|before| self.baked_at(*before) == Some(0)))
        };
        left().next().is_some() && !left().any(might_go_on)
    }

    /// What it brought, or was to prove, by wave, where the wave is not verified and baked and others of it are still to come: whatever goes on in its
    /// place must go through these waves again.
    pub fn unproven(&self, now_ms: u64) -> Vec<BTreeSet<TargetId>> {
        let left = self.slots.iter().filter(|slot| !is_reached(slot)).map(|slot| slot.wave).collect::<BTreeSet<_>>();
        let before: BTreeSet<usize> = left.into_iter().flat_map(|wave| &self.runs[wave].ahead).copied().collect();
        let is_done = |wave: usize| self.baked_at(wave).is_some_and(|until_ms| until_ms <= now_ms);
        let brought = |wave: usize| {
            let (run, plan) = (&self.runs[wave], &self.rollout.waves[wave]);
            let slots = (run.first..run.first + run.len).filter(|at| plan.unproven || is_reached(&self.slots[*at]));
            slots.map(|at| self.target(at).clone()).collect()
        };
        let waves = before.into_iter().filter(|wave| !is_done(*wave)).map(brought);
        waves.filter(|brought: &BTreeSet<TargetId>| !brought.is_empty()).collect()
    }

    /// Returns what it brought, or was to prove, in waves that are not verified, and in those that bake while others are to come.
    pub fn unverified(&self, now_ms: u64) -> BTreeSet<TargetId> {
        let is_open = |slot: &&Slot| self.runs[slot.wave].verified_at.is_none();
        let brought = self.slots.iter().filter(is_open).filter(|slot| self.rollout.waves[slot.wave].unproven || is_reached(slot));
        let brought = brought.map(|slot| self.rollout.waves[slot.wave].targets[slot.at].target.clone());
        brought.chain(self.unproven(now_ms).into_iter().flatten()).collect()
    }

    /// All waves before it are verified and baked, and it is not verified yet.
    pub(super) fn is_open(&self, wave: usize, now_ms: u64) -> bool {
        let run = &self.runs[wave];
        run.armed
            && run.verified_at.is_none()
            && run.after.iter().all(|before| self.baked_at(*before).is_some_and(|until_ms| until_ms <= now_ms))
    }

    /// When a verified wave is done with its bake. Nothing is baked where nothing was started, now or by the rollout in whose place
    /// this one is, or nobody waits.
    pub(super) fn baked_at(&self, wave: usize) -> Option<u64> {
        let run = &self.runs[wave];
        let bakes = (run.touched || self.rollout.waves[wave].unproven) && !run.awaited_by.is_empty();
        let bake_ms = if bakes { self.rollout.waves[wave].bake_secs.saturating_mul(1_000) } else { 0 };
        // Without a bake it is done whatever the clock of whoever verified it said.
        run.verified_at.map(|verified| if bake_ms == 0 { 0 } else { verified.saturating_add(bake_ms) })
    }

    /// Why nothing more may start in an open wave.
    pub(super) fn breach(&self, wave: usize, now: &Now<'_>) -> Option<String> {
        self.failure(wave).or_else(|| self.lateness(wave, now.ms).filter(|_| now.paused.is_none()))
    }

    /// More of it failed than may, or a gate said no.
    fn failure(&self, wave: usize) -> Option<String> {
        let (run, plan) = (&self.runs[wave], &self.rollout.waves[wave]);
        let name = &plan.name;
        if run.failed > plan.failure_tolerance {
            let (failed, len, tolerated) = (run.failed, run.len, plan.failure_tolerance);
            return Some(format!("{name}: {failed} of {len} targets failed, {tolerated} may"));
        }
        run.gate_failed.as_ref().map(|why| format!("{name}: {why}"))
    }

    /// It should have come to its end by now. A pause is no reason to be late: when it ends, deadlines begin anew.
    fn lateness(&self, wave: usize, now_ms: u64) -> Option<String> {
        let (run, plan) = (&self.runs[wave], &self.rollout.waves[wave]);
        let secs = plan.progress_deadline_secs?;
        let until = run.first_started_at?.saturating_add(secs.saturating_mul(1_000));
        let at_ms = if self.is_decided(wave) { run.last_at } else { now_ms };
        let late = at_ms >= until && run.has_work();
        late.then(|| format!("{}: not verified within {} of its first start", plan.name, super::measure::duration(secs)))
    }

    /// Every target has an outcome and every gate said yes: only the entry that says so is missing, because a run was killed.
    fn is_decided(&self, wave: usize) -> bool {
        let run = &self.runs[wave];
        let plan = &self.rollout.waves[wave];
        let is_asked = run.passed.len() >= plan.gates.len() || run.skipped == run.len && !plan.unproven;
        run.ended == run.len && is_asked
    }

    /// Of targets that are on offer, those for which a place of their wave is free, or taken by what is in flight here, and a slot of each of
    /// their `pools` is free.
    pub fn with_room(&self, targets: &[TargetId], pools: impl Fn(&TargetId) -> Vec<Pool>, now: &Now<'_>) -> Vec<TargetId> {
        let (elsewhere, _) = self.beside(now);
        let has_place = |wave: usize| elsewhere[wave] < self.max_parallel(wave);
        let is_free = |pool: &Pool| now.taken.get(&pool.name).is_none_or(|taken| *taken < pool.slots);
        let has_room = |target: &&TargetId| {
            self.slot(target).is_some_and(|slot| has_place(self.slots[slot].wave)) && pools(target).iter().all(is_free)
        };
        targets.iter().filter(has_room).cloned().collect()
    }

    /// Targets that others have in flight.
    pub(super) fn flying_elsewhere<'a>(&self, now: &Now<'a>) -> impl Iterator<Item = &'a TargetId> {
        let is_unknown = |target: &&TargetId| self.slot(target).is_some_and(|slot| self.slots[slot].phase == Phase::Unknown);
        now.elsewhere.iter().filter(is_unknown)
    }

    /// How many targets of each wave others have in flight; and for each slot, whether others write about its target, or nothing where
    /// nobody else is at work.
    fn beside(&self, now: &Now<'_>) -> (Vec<usize>, Vec<bool>) {
        let mut flying = vec![0; self.runs.len()];
        let mut away = if now.elsewhere.is_empty() { Vec::new() } else { vec![false; self.slots.len()] };
        for slot in now.elsewhere.iter().filter_map(|target| self.slot(target)) {
            away[slot] = true;
            flying[self.slots[slot].wave] += usize::from(self.slots[slot].phase == Phase::Unknown);
        }
        (flying, away)
    }

    /// Offers what may begin in an open wave and takes the slots for it; returns how much is withheld because others are at it, or no slot
    /// is free. Of others it is told how many of the wave's targets they have in flight, and which slots are away.
    fn offers(
        &self,
        wave: usize,
        now: &Now<'_>,
        (elsewhere, away): (usize, &[bool]),
        taken: &mut Taken,
        todos: &mut Vec<Todo>,
    ) -> usize {
        let run = &self.runs[wave];
        let is_elsewhere = |slot: &usize| away.get(*slot).is_some_and(|is_away| *is_away);
        let skip = |slot: usize, outcome| Todo::Record(StepEvent::Finished { target: self.target(slot).clone(), outcome });
        let hold = |slot: &usize| now.held.get(&self.target(*slot).region);

        let mut withheld = run.doomed.iter().chain(&run.ready).filter(|slot| is_elsewhere(slot)).count();
        let doomed = run.doomed.iter().filter(|slot| !is_elsewhere(slot));
        todos.extend(doomed.map(|slot| skip(*slot, Outcome::Skipped(self.doom(*slot)))));
        let mut asked = Vec::new();
        let is_left_out = now.only_starts && now.held.is_empty();
        for slot in run.ready.iter().filter(|slot| !is_left_out && !is_elsewhere(slot)) {
            match hold(slot) {
                // A preview changes nothing, and what is unknown must not be told as skipped.
                Some(how_long) if self.slots[*slot].phase == Phase::Waiting => todos.push(skip(*slot, Outcome::held(how_long))),
                _ => asked.push(self.target(*slot).clone()),
            }
        }
        if !asked.is_empty() {
            todos.push(Todo::NeedsClearance { wave, targets: asked });
        }
        let mut free = self.max_parallel(wave).saturating_sub(run.in_flight - self.arrived(wave, now) + elsewhere);
        let mut line = run.cleared.line();
        while free > 0
            && let Some((slot, clearance, pools)) = line.next(taken)
        {
            match hold(&slot) {
                Some(how_long) => todos.push(skip(slot, Outcome::held(how_long))),
                None => {
                    pools.iter().for_each(|pool| *taken.entry(pool.name.clone()).or_default() += 1);
                    todos.push(Todo::Apply(Step { wave, clearance: clearance.clone() }));
                    free -= 1;
                }
            }
        }
        withheld += usize::from(line.is_kept);
        if run.ended == run.len {
            // Who writes about the first target of a wave asks its gates.
            let verification = self.verification(wave);
            let is_asked =
                verification.iter().any(|todo| matches!(todo, Todo::Ask { .. })) && run.len > 0 && is_elsewhere(&run.first);
            withheld += usize::from(is_asked);
            todos.extend(verification.into_iter().filter(|_| !is_asked));
        }
        withheld
    }

    pub(super) fn max_parallel(&self, wave: usize) -> usize {
        self.rollout.waves[wave].max_parallel.max(1)
    }

    /// How many of a wave's targets have arrived.
    fn arrived(&self, wave: usize, now: &Now<'_>) -> usize {
        let slots = now.arrived.iter().filter_map(|target| Some(&self.slots[self.slot(target)?]));
        slots.filter(|slot| slot.wave == wave && slot.phase == Phase::InFlight).count()
    }

    /// All targets of the wave have outcomes: its gates are asked, unless nothing was reached that they could tell about.
    fn verification(&self, wave: usize) -> Vec<Todo> {
        let (run, plan) = (&self.runs[wave], &self.rollout.waves[wave]);
        let gates = plan.gates.iter().enumerate().filter(|(index, _)| !run.passed.contains(index));
        let open: Vec<Todo> = gates.map(|(index, gate)| Todo::Ask { wave, index, gate: gate.clone() }).collect();
        if open.is_empty() || run.skipped == run.len && !plan.unproven {
            vec![Todo::Record(StepEvent::Verified { wave })]
        } else {
            open
        }
    }

    fn bakes(&self, now_ms: u64) -> Vec<Todo> {
        let bake = |wave: usize| {
            let run = &self.runs[wave];
            let until_ms = self.baked_at(wave).filter(|until_ms| *until_ms > now_ms)?;
            let awaited = run.awaited_by.iter().any(|later| self.runs[*later].verified_at.is_none());
            let why = format!("{} bakes until {}", self.rollout.waves[wave].name, moment(until_ms));
            awaited.then_some(Todo::Wait { wave, until_ms, why })
        };
        (0..self.runs.len()).filter_map(bake).collect()
    }
}

impl Run {
    /// All of its targets have outcomes.
    pub(super) fn has_ended(&self) -> bool {
        self.ended == self.len
    }

    /// It is this wave's turn, and not that of others that all that is left of it waits for.
    pub(super) fn has_work(&self) -> bool {
        let may_begin = !self.ready.is_empty() || !self.cleared.is_empty() || !self.doomed.is_empty();
        self.in_flight > 0 || may_begin || self.ended == self.len
    }
}

fn stop(why: String) -> Todo {
    Todo::Record(StepEvent::Stopped { why: Arc::from(why) })
}

#[cfg(test)]
mod tests;
