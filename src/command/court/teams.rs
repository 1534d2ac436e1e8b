//! Who is in the teams that a policy asks for: those that its fleet lists, and those that the host keeps.

use super::Court;
use crate::command::pending::Work;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::Policy;
use crate::review::{Team, User};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

impl Court<'_> {
    /// The teams that the host keeps, that somebody asks for who judges these targets, and that nobody asked about yet.
    pub(crate) fn unasked_teams<'t>(
        &self,
        targets: impl Iterator<Item = &'t TargetId>,
        work: &Work,
        history: &History,
    ) -> Result<BTreeSet<Arc<str>>, Failure> {
        let mut authorities: Vec<Arc<Scene>> = Vec::new();
        for target in targets {
            let authority = self.authority(target, work, history)?;
            if !authorities.iter().any(|known| Arc::ptr_eq(known, &authority)) {
                authorities.push(authority);
            }
        }
        let mut names: BTreeSet<Arc<str>> = authorities.iter().flat_map(|scene| kept(scene).into_values().flatten()).collect();
        names.retain(|name| !self.kept_teams().contains_key(name));
        Ok(names)
    }

    /// Asks the host who is in these teams. One that cannot be read has no members.
    pub(crate) async fn summon(&self, teams: BTreeSet<Arc<str>>) {
        for name in teams {
            let team = match self.world.host.team(&name).await {
                Ok(members) => Team { members, unread: None },
                Err(error) => {
                    let hint = error.hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
                    self.world.terminal.complain(&format!("warning: {}{hint}", error.what));
                    Team { members: Vec::new(), unread: Some(error.what.into()) }
                }
            };
            self.kept_teams().insert(name, team);
        }
    }

    /// The teams of a fleet, by name in lower case.
    pub(super) fn teams(&self, authority: &Scene) -> BTreeMap<Arc<str>, Team> {
        let listed = authority.fleet.teams.iter().map(|(name, members)| {
            let people = members.iter().filter(|member| !member.starts_with('@')).cloned().map(User);
            (name.to_lowercase().into(), Team { members: people.collect(), unread: None })
        });
        let mut teams: BTreeMap<Arc<str>, Team> = listed.collect();
        let known = self.kept_teams();
        for (team, names) in kept(authority) {
            let team = teams.entry(team).or_default();
            for name in names {
                let asked = known.get(&name).cloned();
                let found = asked.unwrap_or_else(|| Team { members: Vec::new(), unread: Some("nobody was asked".into()) });
                team.members.extend(found.members);
                team.unread = team.unread.take().or(found.unread);
            }
        }
        teams
    }

    fn kept_teams(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Team>> {
        self.kept_teams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The teams that the host keeps and that this fleet's policy asks for: by their name here, what the host calls them. Where a fleet
/// lists no teams at all, each is one of whoever owns the repository.
fn kept(scene: &Scene) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
    let asked = scene.policy.as_ref().map(Policy::teams).unwrap_or_default();
    let listed = &scene.fleet.teams;
    let mut kept = BTreeMap::new();
    for name in asked.iter().map(|name| name.to_lowercase()) {
        let members = listed.iter().filter(|(team, _)| team.to_lowercase() == name).flat_map(|(_, members)| members);
        let mut names: Vec<Arc<str>> = members.filter_map(|member| member.strip_prefix('@')).map(Arc::from).collect();
        if listed.is_empty() {
            names.push(name.as_str().into());
        }
        if !names.is_empty() {
            kept.insert(name.into(), names);
        }
    }
    kept
}
