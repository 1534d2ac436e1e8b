//! What may begin at one moment, sorted by what it asks of whoever drives. Knows neither tasks nor the journal.

use super::Halt;
use crate::rollout::{Gate, Now, Pool, Progress, Rollout, Step, StepEvent, Todo};
use crate::stack::TargetId;
use std::collections::BTreeSet;

/// The todos of one moment, sorted by what they ask for.
pub(super) struct Work {
    pub(super) records: Vec<StepEvent>,
    pub(super) steps: Vec<Step>,
    /// Cleared while they still fitted into the time that is left.
    pub(super) late: Vec<TargetId>,
    pub(super) gate: Option<(usize, usize, Gate)>,
    pub(super) halt: Halt,
}

/// Targets that must be leased before anything is done about them.
#[derive(Debug, Default)]
pub struct Offer {
    pub targets: Vec<TargetId>,
    /// Those of them that need not wait for a place of their wave, or for a slot.
    pub free: Vec<TargetId>,
}

impl Work {
    /// What is not leased must be before anything is done about it; the gates of a wave go with its first target.
    /// Nothing is previewed that could not begin any more.
    pub(super) fn of(
        todos: Vec<Todo>,
        rollout: &Rollout,
        is_leased: impl Fn(&TargetId) -> bool,
        fits: impl Fn(&TargetId) -> bool,
    ) -> Self {
        let (mut records, mut steps, mut late, mut gate) = (Vec::new(), Vec::new(), Vec::new(), None);
        let (mut needs, mut offer, mut wait, mut paused, mut over) = (Vec::new(), Offer::default(), None, None, None);
        let (mut is_elsewhere, mut is_late) = (false, false);
        for todo in todos {
            match todo {
                Todo::Record(StepEvent::Finished { target, .. }) if !is_leased(&target) => offer.add(target),
                Todo::Record(step) => records.push(step),
                Todo::Apply(step) if fits(step.clearance.target()) => steps.push(step),
                Todo::Apply(step) => late.push(step.clearance.target().clone()),
                Todo::Ask { wave, index, gate: asked } => {
                    let first = rollout.waves.get(wave).and_then(|wave| wave.targets.first()).map(|planned| &planned.target);
                    match first.filter(|first| !is_leased(first)) {
                        Some(first) if offer.targets.contains(first) => {} // for another of its gates
                        Some(first) => offer.add(first.clone()),
                        None => gate = gate.or(Some((wave, index, asked))),
                    }
                }
                Todo::NeedsClearance { targets, .. } => {
                    let (targets, too_long): (Vec<_>, Vec<_>) = targets.into_iter().partition(&fits);
                    is_late |= !too_long.is_empty();
                    let (leased, rest): (Vec<_>, Vec<_>) = targets.into_iter().partition(&is_leased);
                    needs.extend(leased);
                    offer.targets.extend(rest);
                }
                Todo::Wait { until_ms, why, .. } => wait = wait.filter(|(until, _)| *until <= until_ms).or(Some((until_ms, why))),
                Todo::Paused { why } => paused = Some(why),
                Todo::InFlight => is_elsewhere = true, // none of ours is, once we are asked
                Todo::Over(ending) => over = Some(ending),
            }
        }
        let halt = match (needs.is_empty(), paused, wait, over) {
            (false, ..) => Halt::NeedsClearance(needs),
            (true, Some(why), ..) => Halt::Paused(why),
            (true, None, Some((until_ms, why)), _) => Halt::Wait { until_ms, why },
            (true, None, None, Some(ending)) => Halt::Over(ending),
            (true, None, None, None) if !offer.targets.is_empty() => Halt::NeedsLease(offer),
            (true, None, None, None) if is_late => Halt::Late,
            (true, None, None, None) if is_elsewhere => Halt::Others, // or no slot is free
            (true, None, None, None) => Halt::Interrupted,
        };
        Self { records, steps, late, gate, halt }
    }
}

impl Offer {
    /// Adds one that needs neither a place nor a slot: its outcome follows from others, or a gate is to be asked.
    fn add(&mut self, target: TargetId) {
        self.targets.push(target.clone());
        self.free.push(target);
    }

    pub(super) fn with_room(mut self, progress: &Progress, pools: impl Fn(&TargetId) -> Vec<Pool>, now: &Now<'_>) -> Self {
        self.free.extend(progress.with_room(&self.targets, pools, now));
        let free: BTreeSet<&TargetId> = self.free.iter().collect();
        self.free = self.targets.iter().filter(|target| free.contains(target)).cloned().collect();
        self
    }
}
