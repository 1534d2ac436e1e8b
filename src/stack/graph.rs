//! Which target waits for which: the dependency graph of a fleet. Cycles were refused when the fleet was read.

use super::{Fleet, Target, TargetId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// Dependencies and dependents of every target.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// In the order of the fleet; the position of a target is its index below.
    targets: Vec<TargetId>,
    /// For lookup only: it is never walked, so its order reaches nobody.
    index: HashMap<TargetId, usize>,
    dependencies: Vec<Vec<TargetId>>,
    dependents: Vec<Vec<TargetId>>,
}

impl Graph {
    /// Builds the graph in O(targets + dependencies). A dependency is met in the same region unless it says another; where
    /// its stack does not run, there is nothing to wait for.
    pub fn of(fleet: &Fleet) -> Self {
        let targets: Vec<_> = fleet.targets().iter().map(|target| target.id.clone()).collect();
        let index: HashMap<_, _> = targets.iter().cloned().zip(0..).collect();
        let mut dependencies = Vec::with_capacity(targets.len());
        let mut dependents = vec![Vec::new(); targets.len()];
        for target in fleet.targets() {
            let mut needs: Vec<_> = needs_of(target).filter_map(|id| index.get(&id).copied()).collect();
            needs.sort_unstable();
            needs.dedup();
            needs.iter().for_each(|need| dependents[*need].push(target.id.clone()));
            dependencies.push(needs.into_iter().map(|need| targets[need].clone()).collect());
        }
        Self { targets, index, dependencies, dependents }
    }

    /// Returns what `target` waits for, in the order of the fleet; empty for an unknown target.
    pub fn dependencies(&self, target: &TargetId) -> &[TargetId] {
        self.index.get(target).map_or(&[], |at| &self.dependencies[*at])
    }

    /// Returns what waits for `target`, in the order of the fleet; empty for an unknown target.
    pub fn dependents(&self, target: &TargetId) -> &[TargetId] {
        self.index.get(target).map_or(&[], |at| &self.dependents[*at])
    }

    /// Returns every target, each after all it waits for; of those that could be next, the first in the fleet.
    pub fn order(&self) -> Vec<&TargetId> {
        let mut waits_for: Vec<_> = self.dependencies.iter().map(Vec::len).collect();
        let mut ready: BinaryHeap<_> = (0..waits_for.len()).filter(|at| waits_for[*at] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waits_for.len());
        while let Some(Reverse(at)) = ready.pop() {
            order.push(&self.targets[at]);
            for dependent in &self.dependents[at] {
                let next = self.index[dependent];
                waits_for[next] -= 1;
                if waits_for[next] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        order
    }

    /// Returns `targets` and everything that waits for them, directly or through others.
    pub fn closure_dependents<'a>(&self, targets: impl IntoIterator<Item = &'a TargetId>) -> BTreeSet<TargetId> {
        let mut queue: Vec<_> = targets.into_iter().cloned().collect();
        let mut closure = BTreeSet::new();
        while let Some(target) = queue.pop() {
            queue.extend(self.dependents(&target).iter().filter(|dependent| !closure.contains(*dependent)).cloned());
            closure.insert(target);
        }
        closure
    }
}

/// Returns what `target` declares to wait for, whether or not it exists.
fn needs_of(target: &Target) -> impl Iterator<Item = TargetId> {
    target.stack.depends_on.iter().map(|dependency| {
        let region = dependency.region.as_ref().unwrap_or(&target.id.region);
        TargetId::new(dependency.stack.clone(), region.clone())
    })
}
