//! What must come before what among the targets of one rollout, and whether the waves allow it.

use super::wave::{PlanError, Planned, Wave};
use crate::change::Intent;
use crate::stack::TargetId;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Needs of a circle that are told; it may go through many.
const NEEDS_TOLD: usize = 4;

/// For each target the ones that must come first, by index; without a circle.
pub(super) struct Order {
    before: Vec<Vec<usize>>,
    /// Every target, after all that must come first.
    sorted: Vec<usize>,
}

/// Where a target stands: which lane, which of its slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) slice: usize,
}

impl Order {
    /// Orders converging targets after what they need, and destroys after what `used` them: dependents that go, or that let go.
    /// It looks through targets that are not in the rollout.
    pub(super) fn of<'a>(
        targets: &'a [(TargetId, Intent, u32)],
        needs: impl Fn(&TargetId) -> &'a [TargetId],
        users: impl Fn(&TargetId) -> &'a [TargetId],
    ) -> Result<Self, PlanError> {
        let mut index = HashMap::with_capacity(targets.len());
        for (at, (target, ..)) in targets.iter().enumerate() {
            if index.insert(target, at).is_some() {
                return Err(PlanError(format!("{target} is in the rollout twice")));
            }
        }
        let before: Vec<Vec<usize>> = targets
            .iter()
            .map(|(target, intent, _)| match intent {
                // A dependency that goes away in the same rollout is no dependency any more.
                Intent::Converge => {
                    let mut found = nearest(target, &needs, &index);
                    found.retain(|at| targets[*at].1 == Intent::Converge);
                    found
                }
                Intent::Destroy => nearest(target, &users, &index),
            })
            .collect();
        match sort(&before) {
            Ok(sorted) => Ok(Self { before, sorted }),
            Err(circle) => Err(PlanError(format!("{} depends on itself through others", targets[circle[0]].0))),
        }
    }

    pub(super) fn planned(&self, at: usize, targets: &[(TargetId, Intent, u32)]) -> Planned {
        let (target, intent, _) = &targets[at];
        let after = self.before[at].iter().map(|before| targets[*before].0.clone()).collect();
        Planned { target: target.clone(), intent: *intent, after }
    }

    /// Within each lane, takes dependencies along to the place of their earliest dependent, and puts destroys off to the place of the
    /// last target that must come first.
    pub(super) fn pull(&self, targets: &[(TargetId, Intent, u32)], places: &mut [Place]) {
        let converges = |at: &usize| targets[*at].1 == Intent::Converge;
        for at in self.sorted.iter().copied().rev().filter(converges) {
            for before in &self.before[at] {
                if places[*before].lane == places[at].lane {
                    places[*before] = places[*before].min(places[at]);
                }
            }
        }
        for at in self.sorted.iter().copied().filter(|at| !converges(at)) {
            for before in &self.before[at] {
                if places[*before].lane == places[at].lane {
                    places[at] = places[at].max(places[*before]);
                }
            }
        }
    }
}

/// Returns the targets of the rollout that `start` leads to first, sorted.
fn nearest<'a>(start: &TargetId, next: &impl Fn(&TargetId) -> &'a [TargetId], index: &HashMap<&TargetId, usize>) -> Vec<usize> {
    let mut found = Vec::new();
    let mut ahead: Vec<&TargetId> = next(start).iter().collect();
    let mut seen: HashSet<&TargetId> = HashSet::new();
    while let Some(target) = ahead.pop() {
        match index.get(target) {
            Some(at) => found.push(*at),
            None if seen.insert(target) => ahead.extend(next(target)),
            None => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Sorts `0..before.len()` so that each comes after its `before`; else returns a circle, in which each comes after the next.
fn sort(before: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waits: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    for (at, firsts) in before.iter().enumerate() {
        firsts.iter().for_each(|first| behind[*first].push(at));
    }
    let mut sorted: Vec<usize> = (0..before.len()).filter(|at| waits[*at] == 0).collect();
    let mut next = 0;
    while let Some(at) = sorted.get(next).copied() {
        next += 1;
        for later in &behind[at] {
            waits[*later] -= 1;
            if waits[*later] == 0 {
                sorted.push(*later);
            }
        }
    }
    let Some(mut at) = (0..before.len()).find(|at| waits[*at] > 0) else { return Ok(sorted) };
    let (mut way, mut met) = (Vec::new(), HashMap::new());
    loop {
        if let Some(begin) = met.insert(at, way.len()) {
            return Err(way.split_off(begin));
        }
        way.push(at);
        at = before[at].iter().copied().find(|first| waits[*first] > 0).expect("what is left waits for something that is left");
    }
}

/// Says why the waves could never end, or nothing: a target that waits for one in a wave that waits for it, or several in a circle.
///
/// Targets, openings and ends of waves are one graph: a target comes after what it needs and after its wave opens, a wave ends
/// after its targets and opens after the waves before it.
pub(super) fn contradiction(
    targets: &[(TargetId, Intent, u32)],
    order: &Order,
    wave_of: &[usize],
    waves: &[Wave],
) -> Option<String> {
    let (opens, ends) = (targets.len(), targets.len() + waves.len());
    let mut before: Vec<Vec<usize>> = order.before.clone();
    for (at, wave) in wave_of.iter().enumerate() {
        before[at].push(opens + wave);
    }
    before.extend(waves.iter().map(|wave| wave.after.iter().map(|first| ends + first).collect()));
    before.extend((0..waves.len()).map(|wave| vec![opens + wave]));
    for (at, wave) in wave_of.iter().enumerate() {
        before[ends + wave].push(at);
    }
    let circle = sort(&before).err()?;

    let steps = circle.iter().copied().zip(circle.iter().copied().cycle().skip(1)).filter(|(at, first)| *at.max(first) < opens);
    let crossing: Vec<(usize, usize)> = steps.filter(|(at, first)| wave_of[*at] != wave_of[*first]).collect();
    let environment = |at: usize| &*waves[wave_of[at]].environment;
    let need = |(at, first): &(usize, usize)| match (&targets[*at], &targets[*first]) {
        ((late, Intent::Converge, _), (early, ..)) => format!("{late} needs {early}"),
        ((late, Intent::Destroy, _), (early, ..)) => format!("{late} can be destroyed only after {early} has let go of it"),
    };
    if let [(at, first)] = *crossing
        && environment(at) != environment(first)
    {
        let ((late, intent, _), (early, ..)) = (&targets[at], &targets[first]);
        let (here, there) = (environment(at), environment(first));
        let way_out = match intent {
            Intent::Converge => format!(
                "take this need out, merge and apply by itself that {here} comes after {there} (`after` in the fleet's rollout \
                 section), and then bring the need; or move {early} to a region of {here}"
            ),
            Intent::Destroy => format!("first merge the change that lets go, and then the one that removes {late}"),
        };
        return Some(format!("{}, and {there} rolls out after {here}: {way_out}", need(&(at, first))));
    }
    let needs: Vec<String> = crossing.iter().take(NEEDS_TOLD).map(need).collect();
    let environments: BTreeSet<&str> = crossing.iter().flat_map(|(at, first)| [environment(*at), environment(*first)]).collect();
    Some(format!(
        "{}, so that waves of {} would wait for one another: merge and apply one of these changes first, or take a need out, \
         merge and apply the change of `after` by itself, and then bring the need",
        needs.join(" and "),
        environments.into_iter().collect::<Vec<_>>().join(" and ")
    ))
}

/// Returns for each wave all waves that must be done before it.
pub(super) fn ahead_of(waves: &[Wave]) -> Vec<HashSet<usize>> {
    let mut ahead: Vec<HashSet<usize>> = Vec::with_capacity(waves.len());
    for (at, wave) in waves.iter().enumerate() {
        let mut all = HashSet::new();
        for before in wave.after.iter().copied().filter(|before| *before < at) {
            all.insert(before);
            all.extend(&ahead[before]);
        }
        ahead.push(all);
    }
    ahead
}
