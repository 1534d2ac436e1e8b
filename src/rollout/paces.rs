//! How a rollout goes whose targets are at several commits, or that goes on in the place of others: as all of them say.

use super::rule::Rule;
use super::settings::{Pace, in_order};
use super::takeover::Takeover;
use super::{Gate, Settings};
use crate::stack::TargetId;
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
    takeover: Takeover,
}

/// What one commit says, and for whom.
#[derive(Clone, Debug)]
pub struct Part {
    pub settings: Settings,
    /// The targets that are at this commit.
    pub targets: Vec<TargetId>,
}

impl Paces {
    /// Lets each target bring the word of the part that names it, and of the oldest that knows its environment where that one does
    /// not. A target that no part names goes as the others of its environment do. The last of `parts`, which come oldest first, is the
    /// head: it speaks for environments that nobody knew before.
    ///
    /// An environment comes after all that any part but the head lets it come after; of two that would wait for one another the older
    /// word counts.
    pub fn of(parts: Vec<Part>) -> Self {
        Self::taking_over(parts, Takeover::default())
    }

    /// The same in the place of earlier rollouts: their waves are kept to, before all that settings say.
    pub fn taking_over(mut parts: Vec<Part>, takeover: Takeover) -> Self {
        let mut part_of = HashMap::new();
        for (nth, part) in parts.iter_mut().enumerate() {
            part_of.extend(std::mem::take(&mut part.targets).into_iter().map(|target| (target, nth)));
        }
        let (order, after) = joined(&parts, &takeover);
        Self { parts, part_of, order, after, takeover }
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

    /// Says whether some environment comes after this one.
    pub(super) fn leads(&self, environment: &str) -> bool {
        self.after.values().flatten().any(|before| **before == *environment)
    }

    /// Returns what all say of the members of one environment, each with the weight of its region: the rollouts in whose place this
    /// one goes on, and then the commits that members are at, oldest first. Where these say the same they are one.
    pub(super) fn rules(&self, environment: &str, members: &[(&TargetId, u32)]) -> Vec<Rule> {
        let kept = self.takeover.targets();
        let speakers = |all: bool| -> Vec<usize> {
            let speaking = members.iter().filter(|(target, _)| all || !kept.contains(target));
            let parts = speaking.filter_map(|(target, _)| self.part_of.get(*target));
            let parts: BTreeSet<usize> = parts.map(|nth| self.speaker(environment, *nth)).collect();
            let mut alike: Vec<usize> = Vec::new();
            for nth in parts {
                let pace = self.pace(environment, nth);
                if !alike.iter().any(|known| self.pace(environment, *known).is_alike(&pace)) {
                    alike.push(nth);
                }
            }
            alike
        };
        let of_settings = |nth: usize| {
            let fleet = self.parts.get(nth).map_or(&[] as &[_], |part| &part.settings.regions);
            Rule::of_settings(&self.pace(environment, nth), members, fleet)
        };
        let last_bake_secs = if self.takeover.is_empty() {
            0
        } else {
            speakers(true).into_iter().flat_map(of_settings).map(|rule| rule.longest_bake_secs()).max().unwrap_or_default()
        };
        let waves = self.takeover.waves(environment);
        let mut rules: Vec<Rule> = waves.filter_map(|waves| Rule::of_rollout(&waves, members, last_bake_secs)).collect();
        rules.extend(speakers(false).into_iter().flat_map(of_settings));
        if rules.is_empty() {
            rules = of_settings(self.speaker(environment, 0));
        }
        rules
    }

    /// Says whether an earlier rollout brought `target` and did not prove it.
    pub(super) fn is_unproven(&self, target: &TargetId) -> bool {
        self.takeover.is_unproven(target)
    }

    /// Which part speaks for a target of `environment` that is at part `nth`.
    fn speaker(&self, environment: &str, nth: usize) -> usize {
        let knows = |nth: &usize| self.parts.get(*nth).is_some_and(|part| part.settings.knows(environment));
        Some(nth).filter(knows).or_else(|| (0..self.parts.len()).find(knows)).unwrap_or(nth)
    }

    fn pace(&self, environment: &str, nth: usize) -> Pace {
        self.parts.get(nth).and_then(|part| part.settings.pace(environment)).cloned().unwrap_or_default()
    }
}

impl From<Settings> for Paces {
    /// One commit speaks for all.
    fn from(settings: Settings) -> Self {
        Self::of(vec![Part { settings, targets: Vec::new() }])
    }
}

type After = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// The environments of all parts in rollout order, and after which others each comes: as earlier rollouts had it, then by each part.
fn joined(parts: &[Part], takeover: &Takeover) -> (Vec<Arc<str>>, After) {
    let mut environments: Vec<Arc<str>> = Vec::new();
    let mut after = After::new();
    for (late, early) in takeover.order() {
        if !comes_after(&after, &early, &late) && !after.get(&late).is_some_and(|known| known.contains(&early)) {
            after.entry(late).or_default().push(early);
        }
    }
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
    use super::super::rule::strictest;
    use super::super::trial::settings;
    use super::*;

    const FLEET: [&str; 3] = ["dev/x", "staging/x", "prod/x"];

    fn part(text: &str, fleet: &[&str]) -> Part {
        Part { settings: settings(text, fleet), targets: Vec::new() }
    }

    fn after(paces: &Paces, environment: &str) -> String {
        paces.after(environment).join(" ")
    }

    #[test]
    fn an_environment_comes_after_all_that_any_commit_but_the_head_lets_it_come_after() {
        let old = part("prod: { after: staging }", &FLEET);
        let new = part("prod: { after: dev }", &FLEET);
        let head = part("staging: { after: dev }", &FLEET);
        let paces = Paces::of(vec![old, new, head]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging dev".into(), String::new()));
    }

    #[test]
    fn of_two_that_would_wait_for_each_other_the_older_word_counts() {
        let old = part("prod: { after: staging }", &FLEET);
        let new = part("staging: { after: prod }", &FLEET);
        let paces = Paces::of(vec![old, new, part("{}", &FLEET)]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging".into(), String::new()));
        assert_eq!(paces.order().join(" "), "dev staging prod");
    }

    #[test]
    fn an_environment_that_only_the_head_knows_goes_by_the_head() {
        let old = part("{}", &FLEET[..2]);
        let head = part("staging: { after: dev }\nprod: { after: staging, progress_deadline: 7m }", &FLEET);
        let paces = Paces::of(vec![old, head]);
        assert_eq!((after(&paces, "prod"), after(&paces, "staging")), ("staging".into(), String::new()));
        let target: TargetId = "app@prod/x".parse().expect("an id");
        let rules = paces.rules("prod", &[(&target, 1)]);
        assert_eq!(strictest(&rules, &vec![0], &[], 1).progress_deadline_secs, Some(420));
    }

    #[test]
    fn commits_that_say_the_same_are_one_rule() {
        let [one, two, three]: [TargetId; 3] = ["a@prod/x", "b@prod/x", "c@prod/x"].map(|id| id.parse().expect("an id"));
        let at = |text: &str, target: &TargetId| Part { targets: vec![target.clone()], ..part(text, &FLEET) };
        let (same, other) = ("prod: { failure_tolerance: 1 }", "prod: { failure_tolerance: 2 }");
        let paces = Paces::of(vec![at(same, &one), at(other, &two), at(same, &three), part("{}", &FLEET)]);
        let rules = |targets: &[&TargetId]| {
            let members: Vec<(&TargetId, u32)> = targets.iter().map(|target| (*target, 1)).collect();
            paces.rules("prod", &members).len()
        };
        assert_eq!([rules(&[&one, &two, &three]), rules(&[&one, &three])], [2, 1]);
    }
}
