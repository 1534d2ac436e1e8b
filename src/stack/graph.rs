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

    /// Returns the graph of `targets` and everything that they wait for, directly or through others.
    pub fn below<'a>(&self, targets: impl IntoIterator<Item = &'a TargetId>) -> Self {
        let mut queue: Vec<_> = targets.into_iter().filter(|target| self.index.contains_key(target)).collect();
        let mut kept = BTreeSet::new();
        while let Some(target) = queue.pop() {
            if kept.insert(target.clone()) {
                queue.extend(self.index.get_key_value(target).into_iter().flat_map(|(_, at)| &self.dependencies[*at]));
            }
        }
        let targets: Vec<_> = self.targets.iter().filter(|target| kept.contains(target)).cloned().collect();
        let dependents = |target: &TargetId| self.dependents(target).iter().filter(|one| kept.contains(one)).cloned().collect();
        Self {
            index: targets.iter().cloned().zip(0..).collect(),
            dependencies: targets.iter().map(|target| self.dependencies(target).to_vec()).collect(),
            dependents: targets.iter().map(dependents).collect(),
            targets,
        }
    }

    /// Returns every target, in the order of the fleet.
    pub fn targets(&self) -> &[TargetId] {
        &self.targets
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

#[cfg(test)]
mod tests {
    use super::super::sample::{FLEET, PLAIN, Sample};
    use super::*;

    fn graph() -> Graph {
        let after = |what: &str| format!("{PLAIN}depends_on: [{what}]\n");
        let only_eu = PLAIN.replace("all", "{ region: [prod/eu] }");
        let (network, api, web) = (after("base, { stack: dns, region: prod/eu }"), after("network"), after("network, base"));
        let files = [
            ("isobar.yaml", FLEET),
            ("api/stack.yaml", &api),
            ("base/stack.yaml", PLAIN),
            ("dns/stack.yaml", &only_eu),
            ("network/stack.yaml", &network),
            ("web/stack.yaml", &web),
        ];
        Graph::of(&Sample::of(&files).fleet)
    }

    fn id(text: &str) -> TargetId {
        text.parse().expect("a target's id")
    }

    fn texts<'a>(ids: impl IntoIterator<Item = &'a TargetId>) -> Vec<String> {
        ids.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dependency_is_met_in_the_same_region_unless_it_says_another() {
        let graph = graph();
        assert_eq!(texts(graph.dependencies(&id("network@prod/us"))), ["base@prod/us", "dns@prod/eu"]);
        assert_eq!(texts(graph.dependents(&id("base@prod/us"))), ["network@prod/us", "web@prod/us"]);
        assert_eq!(graph.dependents(&id("dns@prod/eu")).len(), 3);
        assert_eq!(graph.dependencies(&id("unknown@prod/us")), []);
    }

    #[test]
    fn dependencies_come_first_and_the_rest_keeps_the_order_of_the_fleet() {
        let graph = graph();
        let order = texts(graph.order());
        let us: Vec<_> = order.iter().filter(|id| id.ends_with("prod/us")).collect();
        assert_eq!(us, ["base@prod/us", "network@prod/us", "api@prod/us", "web@prod/us"]);
        assert_eq!(order.len(), 13);
    }

    #[test]
    fn what_is_below_a_target_is_what_it_waits_for_and_nothing_else() {
        let below = graph().below([&id("network@prod/us"), &id("unknown@prod/us")]);
        assert_eq!(texts(below.targets()), ["base@prod/us", "dns@prod/eu", "network@prod/us"]);
        assert_eq!(texts(below.order()), ["base@prod/us", "dns@prod/eu", "network@prod/us"]);
        assert_eq!(texts(below.dependents(&id("base@prod/us"))), ["network@prod/us"]);
    }

    #[test]
    fn a_closure_holds_what_waits_directly_or_through_others() {
        let graph = graph();
        let closure = graph.closure_dependents([&id("network@prod/us")]);
        assert_eq!(texts(&closure), ["api@prod/us", "network@prod/us", "web@prod/us"]);
    }
}
