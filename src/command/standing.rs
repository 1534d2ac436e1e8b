//! Outputs of what has nothing to do itself, for those who use them: asked of reality, before anything is previewed.

use super::pending::Work;
use super::scene::{Scene, Scenes};
use crate::change::{Intent, Unseen, UnseenReason};
use crate::journal::History;
use crate::review::CommitSha;
use crate::runner::Looks;
use crate::stack::{Known, Target, TargetId, users_of_outputs};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Targets that are not pending and whose outputs pending ones use, directly or handed on by one another.
///
/// Each is asked as the commit defines it at which it was last applied, whoever asks: that commit says where its things are,
/// and what its outputs are read from. The definitions of those who ask may be newer (it waits for an approval), or older (a
/// destroy), and would look in a place where nothing is, or something else. One that was never applied, or whose commit is
/// gone, is asked as the first of those who use it defines it.
pub(crate) struct Standing {
    by_id: BTreeMap<TargetId, (Target, Arc<Scene>)>,
    /// Those that hand on an output come after those they have it of.
    levels: Vec<Vec<TargetId>>,
}

/// Targets that use outputs, by the definitions they are made of.
type Askers = Vec<(Arc<Scene>, Vec<Target>)>;

impl Standing {
    pub(crate) fn of(scenes: &Scenes<'_>, history: &History, work: &Work) -> Self {
        let mut by_id: BTreeMap<TargetId, (Target, Arc<Scene>)> = BTreeMap::new();
        let mut uses: BTreeMap<TargetId, BTreeSet<TargetId>> = BTreeMap::new();
        let mut askers = Askers::new();
        work.pending.iter().for_each(|pending| ask(&mut askers, &pending.scene, &pending.target));
        while !askers.is_empty() {
            let mut next = Askers::new();
            for (asker, targets) in &askers {
                let used: BTreeMap<TargetId, Vec<usize>> = users_of_outputs(targets).into_iter().collect();
                for (id, users) in used.into_iter().filter(|(id, _)| work.get(id).is_none()) {
                    for user in users.iter().map(|at| &targets[*at].id).filter(|user| by_id.contains_key(user)) {
                        uses.entry(user.clone()).or_default().insert(id.clone());
                    }
                    if !by_id.contains_key(&id)
                        && let Some((target, scene)) = as_applied(scenes, history, &id, asker)
                    {
                        ask(&mut next, &scene, &target);
                        by_id.insert(id, (target, scene));
                    }
                }
            }
            askers = next;
        }
        let levels = levels(by_id.keys().map(|id| (id.clone(), uses.remove(id).unwrap_or_default())).collect());
        Self { by_id, levels }
    }

    /// Asks them all; one that cannot be asked leaves a hole.
    pub(crate) async fn outputs(&self, world: &World, looks: Looks<'_>) -> Known {
        let mut known = Known::default();
        let make = |id: &TargetId, known: &Known| match self.by_id.get(id) {
            Some((target, scene)) => scene.job(world, target, Intent::Converge, known),
            None => Err(Unseen::new(id.clone(), UnseenReason::Cancelled)),
        };
        looks.outputs(&self.levels, &mut known, &make).await;
        known
    }
}

/// The definition of what is there: that of the last apply, else the asker's.
fn as_applied(scenes: &Scenes<'_>, history: &History, id: &TargetId, asker: &Arc<Scene>) -> Option<(Target, Arc<Scene>)> {
    let applied = history.commit_of(id).and_then(|commit| scenes.at(&CommitSha(commit.clone())).ok());
    applied.into_iter().chain([asker.clone()]).find_map(|scene| Some((scene.fleet.target(id)?.clone(), scene)))
}

fn ask(askers: &mut Askers, scene: &Arc<Scene>, target: &Target) {
    match askers.iter_mut().find(|(known, _)| Arc::ptr_eq(known, scene)) {
        Some((_, targets)) => targets.push(target.clone()),
        None => askers.push((scene.clone(), vec![target.clone()])),
    }
}

/// Puts each after all that it uses. Definitions of several commits may use one another in a circle; such targets share a level.
fn levels(mut left: BTreeMap<TargetId, BTreeSet<TargetId>>) -> Vec<Vec<TargetId>> {
    let mut levels = Vec::new();
    while !left.is_empty() {
        let is_free = |uses: &BTreeSet<TargetId>| !uses.iter().any(|used| left.contains_key(used));
        let mut level: Vec<TargetId> = left.iter().filter(|(_, uses)| is_free(uses)).map(|(id, _)| id.clone()).collect();
        if level.is_empty() {
            level = left.keys().cloned().collect();
        }
        level.iter().for_each(|id| drop(left.remove(id)));
        levels.push(level);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels_of(uses: &[(&str, &[&str])]) -> Vec<String> {
        let id = |name: &str| -> TargetId { format!("{name}@prod/a").parse().expect("a target") };
        let left = uses.iter().map(|(name, used)| (id(name), used.iter().map(|name| id(name)).collect())).collect();
        let told = |level: Vec<TargetId>| level.iter().map(|id| id.stack.as_str().to_string()).collect::<Vec<_>>().join(" ");
        levels(left).into_iter().map(told).collect()
    }

    #[test]
    fn who_hands_an_output_on_is_asked_after_the_one_it_has_it_of() {
        assert_eq!(levels_of(&[("a", &["b"]), ("b", &["c", "gone"]), ("c", &[]), ("d", &["c"])]), ["c", "b d", "a"]);
    }

    #[test]
    fn a_circle_of_several_commits_ends() {
        assert_eq!(levels_of(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), ["c", "a b"]);
    }
}
