//! Who is in the teams that a policy asks for: those that its fleet lists, and those that the host keeps.

use super::Court;
use crate::command::pending::Work;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::{Owner, Policy, Subject};
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
        for scene in authorities.iter().filter(|scene| asks_code_owners(scene)) {
            if let Ok(owners) = scene.code_owners(self.world) {
                names.extend(owners.teams().cloned());
            }
        }
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

    /// The teams of a fleet, and those that stand for whom CODEOWNERS names, by name in lower case.
    pub(super) fn teams(&self, authority: &Scene, subjects: &[Subject<'_>]) -> BTreeMap<Arc<str>, Team> {
        let mut teams = self.listed_teams(authority);
        if asks_code_owners(authority) {
            let names: BTreeSet<&Arc<str>> = subjects.iter().flat_map(|subject| &subject.owned_by).collect();
            for name in names {
                let owners = self.owners(authority, name.strip_prefix(CODE_OWNERS_OF).unwrap_or(name));
                let same = teams.entry(name.to_lowercase().into()).or_insert_with(|| owners.clone());
                if *same != owners {
                    *same = unread("two paths differ in case only"); // nobody can tell whose word was meant
                }
            }
        }
        teams
    }

    /// Whom CODEOWNERS names for a path.
    fn owners(&self, authority: &Scene, path: &str) -> Team {
        let owners = match authority.code_owners(self.world) {
            Ok(owners) => owners.of(path),
            Err(why) => return unread(why),
        };
        if owners.is_empty() {
            return unread("CODEOWNERS names nobody for it");
        }
        let (known, mut team) = (self.kept_teams(), Team::default());
        for owner in owners {
            match owner {
                Owner::User(name) => team.members.push(User(name.clone())),
                Owner::Team(name) => {
                    let found = known.get(name).cloned().unwrap_or_else(|| unread("nobody was asked"));
                    team.members.extend(found.members);
                    team.unread = team.unread.take().or(found.unread);
                }
                Owner::Email(address) => team.unread = Some(format!("whose {address} is, nobody can tell").into()),
            }
        }
        team
    }

    fn listed_teams(&self, authority: &Scene) -> BTreeMap<Arc<str>, Team> {
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

/// What stands before the path of a definition in the name of the team of those who own it.
const CODE_OWNERS_OF: &str = "code owners of ";

/// The team of those whom CODEOWNERS names for a definition.
pub(super) fn code_owners_of(path: &str) -> Arc<str> {
    format!("{CODE_OWNERS_OF}{path}").into()
}

fn unread(why: &str) -> Team {
    Team { members: Vec::new(), unread: Some(why.into()) }
}

fn asks_code_owners(scene: &Scene) -> bool {
    scene.policy.as_ref().is_some_and(Policy::asks_code_owners)
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
