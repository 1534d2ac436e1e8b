//! The names that a policy may speak of: a rule about a place that does not exist would never match, and so protect nothing.

use super::glob::{Globs, is_plain};
use crate::stack::{Fleet, Mistake, Mistakes, Node, StackName, Unread, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The names of a fleet, each kind sorted.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) environments: BTreeSet<&'a str>,
    pub(super) regions: BTreeSet<&'a str>,
    pub(super) clouds: BTreeSet<&'a str>,
    pub(super) stacks: BTreeSet<&'a str>,
    /// Of what mistakes left unread, no name is called unknown.
    pub(super) unread: Unread,
    /// In lower case. Empty when the fleet declares no teams: then only the host knows them.
    pub(super) teams: BTreeSet<String>,
}

impl<'a> Known<'a> {
    pub(super) fn of(fleet: &'a Fleet) -> Self {
        let team_names = |teams: &BTreeMap<Arc<str>, Vec<Arc<str>>>| teams.keys().map(|name| name.to_lowercase()).collect();
        Self {
            environments: fleet.regions.iter().map(|region| region.id.environment()).collect(),
            regions: fleet.regions.iter().map(|region| region.id.as_str()).collect(),
            clouds: fleet.regions.iter().chain(&fleet.unread.regions).filter_map(|region| region.cloud.as_deref()).collect(),
            stacks: fleet.stacks.iter().flat_map(|stack| [&stack.name, stack.definition()]).map(StackName::as_str).collect(),
            unread: fleet.unread.clone(),
            teams: team_names(&fleet.teams),
        }
    }

    pub(super) fn check_environment(&self, name: &str, node: &Node, mistakes: &mut Mistakes) {
        if !self.unread.may_have(name) && !self.environments.contains(name) {
            unknown("environment", name, &self.environments, node, mistakes);
        }
    }

    pub(super) fn check_cloud(&self, name: &str, node: &Node, mistakes: &mut Mistakes) {
        if !self.unread.clouds && !self.clouds.contains(name) {
            unknown("cloud", name, &self.clouds, node, mistakes);
        }
    }

    /// A pattern of regions must match one: all of them are listed in the same file.
    pub(super) fn check_region(&self, pattern: &str, node: &Node, mistakes: &mut Mistakes) {
        let globs = Globs::read(&[(pattern, node)], &mut Mistakes::default());
        if !self.unread.region_ids && !self.regions.iter().any(|region| matches_region(&globs, region)) {
            unknown("region", pattern, &self.regions, node, mistakes);
        }
    }

    /// A pattern of stacks may stand for stacks to come; a plain name must exist.
    pub(super) fn check_stack(&self, pattern: &str, node: &Node, mistakes: &mut Mistakes) {
        if !self.unread.stacks && is_plain(pattern) && !self.stacks.contains(pattern) {
            unknown("stack", pattern, &self.stacks, node, mistakes);
        }
    }

    pub(super) fn check_team(&self, name: &str, node: &Node, mistakes: &mut Mistakes) {
        if !self.teams.is_empty() && !self.teams.contains(&name.to_lowercase()) {
            let teams = self.teams.iter().map(String::as_str).collect();
            unknown("team", name, &teams, node, mistakes);
        }
    }
}

/// Says whether a pattern is of this region: of its whole id, or of its name in any environment.
pub(super) fn matches_region(globs: &Globs, id: &str) -> bool {
    globs.matches(id) || id.split_once('/').is_some_and(|(_, name)| globs.matches(name))
}

fn unknown(what: &str, name: &str, known: &BTreeSet<&str>, node: &Node, mistakes: &mut Mistakes) {
    const SHOWN: usize = 12; // a hint is read at a glance
    let some = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let hint = match did_you_mean(name, known.iter().copied()) {
        Some(guess) => guess,
        None if known.is_empty() => format!("the fleet has no {what}"),
        None if known.len() > SHOWN => format!("the fleet has {some} and {} more", known.len() - SHOWN),
        None => format!("the fleet has {some}"),
    };
    mistakes.push(Mistake::at(&node.site, format!("unknown {what} {name:?}")).hint(hint));
}
