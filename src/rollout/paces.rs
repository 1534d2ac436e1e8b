//! How each target of a rollout goes when its targets are at several commits: as the commit says that it is at.

use super::settings::{Pace, in_order};
use super::{Gate, Settings};
use crate::stack::{RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The settings that hold for the targets of one rollout.
#[derive(Clone, Debug)]
pub struct Paces {
    /// Oldest first.
    parts: Vec<Part>,
    part_of: HashMap<TargetId, usize>,
    order: Vec<Arc<str>>,
    after: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Targets before which nothing of their environment goes that goes otherwise.
    pub(super) first: BTreeSet<TargetId>,
}

/// What one commit says, and for whom.
#[derive(Clone, Debug)]
pub struct Part {
    /// How people call the commit; empty for what is not committed.
    pub name: Arc<str>,
    pub settings: Settings,
    /// The targets that are at this commit.
    pub targets: Vec<TargetId>,
}

/// The targets of one environment that go alike.
pub(super) struct Alike {
    pub(super) pace: Pace,
    /// The commit that says so; `None` where all targets of the environment go alike.
    pub(super) by: Option<Arc<str>>,
    pub(super) regions: BTreeMap<RegionId, u32>,
    pub(super) members: Vec<usize>,
}

impl Paces {
    /// Lets each target go by the part that names it, and by the oldest that knows its environment where that one does not. The last of
    /// `parts`, which come oldest first, is the head: it speaks for environments that nobody knew before.
    ///
    /// An environment comes after all that any part but the head lets it come after; of two that would wait for one another the older
    /// word counts.
    pub fn of(mut parts: Vec<Part>) -> Self {
        let mut part_of = HashMap::new();
        for (nth, part) in parts.iter_mut().enumerate() {
            part_of.extend(std::mem::take(&mut part.targets).into_iter().map(|target| (target, nth)));
        }
        let (order, after) = joined(&parts);
        Self { parts, part_of, order, after, first: BTreeSet::new() }
    }

    /// Lets what goes like these targets go first in their environment, and what goes otherwise after it.
    pub fn first(mut self, targets: BTreeSet<TargetId>) -> Self {
        self.first = targets;
        self
    }

    /// Returns every gate that a target may meet, whichever part of the fleet is brought.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        let own = self.part_of.iter().map(|(target, nth)| (target.region.environment(), *nth));
        let all = self.order.iter().map(|environment| (&**environment, 0));
        let speaking: BTreeSet<(&str, usize)> = own.chain(all).map(|(name, nth)| (name, self.speaker(name, nth))).collect();
        speaking.into_iter().flat_map(|(name, nth)| self.parts.get(nth)?.settings.pace(name)).flat_map(Pace::gates)
    }

    /// The environments of all commits: one comes after all that it rolls out after.
    pub(super) fn order(&self) -> &[Arc<str>] {
        &self.order
    }

    /// Returns the environments that must be verified before `environment` begins.
    pub(super) fn after(&self, environment: &str) -> &[Arc<str>] {
        self.after.get(environment).map_or(&[], Vec::as_slice)
    }

    /// Returns the targets of one environment, each a place in a list with its weight, parted into those that go alike: oldest word first.
    pub(super) fn part<'t>(&self, environment: &str, targets: impl Iterator<Item = (usize, &'t TargetId, u32)>) -> Vec<Alike> {
        let mut alike: BTreeMap<usize, Alike> = BTreeMap::new();
        let mut same_as: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, target, weight) in targets {
            let nth = self.speaker(environment, self.part_of.get(target).copied().unwrap_or_default());
            let nth = *same_as.entry(nth).or_insert_with(|| self.first_alike(environment, nth));
            let part = alike.entry(nth).or_insert_with(|| Alike {
                pace: self.pace(environment, nth),
                by: self.parts.get(nth).map(|part| part.name.clone()),
                regions: BTreeMap::new(),
                members: Vec::new(),
            });
            let most = part.regions.entry(target.region.clone()).or_default();
            *most = (*most).max(weight);
            part.members.push(at);
        }
        let is_single = alike.len() == 1;
        alike.into_values().map(|part| Alike { by: part.by.filter(|_| !is_single), ..part }).collect()
    }

    /// Which part speaks for a target of `environment` that is at part `nth`.
    fn speaker(&self, environment: &str, nth: usize) -> usize {
        let knows = |nth: &usize| self.parts.get(*nth).is_some_and(|part| part.settings.knows(environment));
        Some(nth).filter(knows).or_else(|| (0..self.parts.len()).find(knows)).unwrap_or(nth)
    }

    /// The oldest part that says the same of `environment` as part `nth`.
    fn first_alike(&self, environment: &str, nth: usize) -> usize {
        let pace = self.pace(environment, nth);
        let says_so =
            |other: &usize| self.parts[*other].settings.knows(environment) && self.pace(environment, *other).is_alike(&pace);
        (0..nth).find(says_so).unwrap_or(nth)
    }

    fn pace(&self, environment: &str, nth: usize) -> Pace {
        self.parts.get(nth).and_then(|part| part.settings.pace(environment)).cloned().unwrap_or_default()
    }
}

impl From<Settings> for Paces {
    /// One commit speaks for all.
    fn from(settings: Settings) -> Self {
        Self::of(vec![Part { name: "".into(), settings, targets: Vec::new() }])
    }
}

type After = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// The environments of all parts in rollout order, and after which others each comes.
fn joined(parts: &[Part]) -> (Vec<Arc<str>>, After) {
    let mut environments: Vec<Arc<str>> = Vec::new();
    let mut after = After::new();
    let head = parts.len().saturating_sub(1);
    for (nth, part) in parts.iter().enumerate() {
        let is_new = |name: &Arc<str>| !environments.contains(name);
        let new: Vec<Arc<str>> = part.settings.order.iter().filter(|name| is_new(name)).cloned().collect();
        for name in part.settings.order.iter().filter(|name| nth < head || new.contains(name)) {
            for before in part.settings.after(name) {
                if !comes_after(&after, before, name) && !after.get(name).is_some_and(|known| known.contains(before)) {
                    after.entry(name.clone()).or_default().push(before.clone());
                }
            }
        }
        environments.extend(new);
    }
    (in_order(&environments, |name| after.get(name).map_or(&[], Vec::as_slice)), after)
}

/// Says whether `late` comes after `early`, or is it.
fn comes_after(after: &After, late: &Arc<str>, early: &Arc<str>) -> bool {
    let mut ahead = vec![late];
    let mut seen = BTreeSet::new();
    while let Some(name) = ahead.pop() {
        if name == early {
            return true;
        }
        if seen.insert(name) {
            ahead.extend(after.get(name).into_iter().flatten());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::trial::settings;
    use super::*;

    const FLEET: [&str; 3] = ["dev/x", "staging/x", "prod/x"];

    fn part(name: &str, text: &str, fleet: &[&str]) -> Part {
        Part { name: name.into(), settings: settings(text, fleet), targets: Vec::new() }
    }

    fn after(paces: &Paces, environment: &str) -> String {
        paces.after(environment).join(" ")
    }

    #[test]
    fn an_environment_comes_after_all_that_any_commit_but_the_head_lets_it_come_after() {
        let old = part("old", "prod: { after: staging }", &FLEET);
        let new = part("new", "prod: { after: dev }", &FLEET);
        let head = part("head", "staging: { after: dev }", &FLEET);
        let paces = Paces::of(vec![old, new, head]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging dev".into(), String::new()));
    }

    #[test]
    fn of_two_that_would_wait_for_each_other_the_older_word_counts() {
        let old = part("old", "prod: { after: staging }", &FLEET);
        let new = part("new", "staging: { after: prod }", &FLEET);
        let paces = Paces::of(vec![old, new, part("head", "{}", &FLEET)]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging".into(), String::new()));
        assert_eq!(paces.order().join(" "), "dev staging prod");
    }

    #[test]
    fn an_environment_that_only_the_head_knows_goes_by_the_head() {
        let old = part("old", "{}", &FLEET[..2]);
        let head = part("head", "staging: { after: dev }\nprod: { after: staging, progress_deadline: 7m }", &FLEET);
        let paces = Paces::of(vec![old, head]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging".into(), String::new()));
        let target: TargetId = "app@prod/x".parse().expect("an id");
        let alike = paces.part("prod", [(0, &target, 1)].into_iter());
        assert_eq!(alike[0].pace.progress_deadline_secs, Some(420));
    }

    #[test]
    fn targets_at_commits_that_say_the_same_go_alike() {
        let [one, two, three]: [TargetId; 3] = ["a@prod/x", "b@prod/x", "c@prod/x"].map(|id| id.parse().expect("an id"));
        let at = |name: &str, text: &str, target: &TargetId| Part { targets: vec![target.clone()], ..part(name, text, &FLEET) };
        let (same, other) = ("prod: { failure_tolerance: 1 }", "prod: { failure_tolerance: 2 }");
        let paces =
            Paces::of(vec![at("one", same, &one), at("two", other, &two), at("three", same, &three), part("head", "{}", &FLEET)]);
        let told = |targets: &[&TargetId]| -> Vec<String> {
            let parts = paces.part("prod", targets.iter().enumerate().map(|(at, target)| (at, *target, 1)));
            parts.iter().map(|part| format!("{} {:?}", part.by.as_deref().unwrap_or("all"), part.members)).collect()
        };
        assert_eq!(told(&[&one, &two, &three]), ["one [0, 2]", "two [1]"]);
        assert_eq!(told(&[&one, &three]), ["all [0, 1]"]);
    }
}
