//! Whose `rollout:` counts for what is brought.

use super::court::Court;
use super::pending::Work;
use super::scene::{Scene, Scenes};
use crate::exit::Failure;
use crate::journal::{History, Record, State};
use crate::review::CommitSha;
use crate::rollout::{Gate, Paces, Part, Settings, Takeover};
use crate::stack::{Leaf, RegionId, TargetId};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The fleet at one commit, and the targets that are at it.
type At = (Arc<Scene>, Vec<TargetId>);

/// How a rollout goes: as the commits say that its targets are at, so that no change removes its own canary or brings its own gate, and
/// as the rollouts were planned that it `takes_over`. What is held, and would not be brought, has no say where others have. An environment
/// that a target's commit does not know goes by the oldest that does; one that the change itself brings, by the change.
pub(super) fn paces(
    world: &World,
    scenes: &Scenes<'_>,
    court: &Court<'_>,
    history: &History,
    head: &Arc<Scene>,
    work: &Work,
    takes_over: Takeover,
) -> Result<Paces, Failure> {
    let held: BTreeSet<&RegionId> = history.holds(world.clock.now_ms()).into_iter().map(|hold| &hold.region).collect();
    let speaks = |target: &TargetId| !held.contains(&target.region);
    let all = || work.pending.iter().map(|pending| &pending.target.id);
    let spoken_for: BTreeSet<&str> = all().filter(|id| speaks(id)).map(|id| id.region.environment()).collect();
    let mut at: BTreeMap<Option<CommitSha>, At> = BTreeMap::new();
    let mut strange: BTreeSet<&str> = BTreeSet::new();
    for pending in &work.pending {
        let target = &pending.target.id;
        let authority = court.behind(target, work, history)?;
        if !authority.settings.knows(target.region.environment()) {
            strange.insert(target.region.environment());
        }
        let (_, targets) = at.entry(authority.snapshot.commit.clone()).or_insert_with(|| (authority, Vec::new()));
        if speaks(target) || !spoken_for.contains(target.region.environment()) {
            targets.push(target.clone());
        }
    }
    if !strange.is_empty() {
        let is_there = |(target, record): &(&TargetId, &Record)| {
            record.state != State::Removed && strange.contains(target.region.environment())
        };
        let commits: BTreeSet<&Arc<str>> =
            history.targets().filter(is_there).filter_map(|(target, _)| history.commit_of(target)).collect();
        for commit in commits.into_iter().cloned().map(CommitSha) {
            at.entry(Some(commit.clone())).or_insert((scenes.at(&commit)?, Vec::new()));
        }
    }
    let mut parts = by_age(world, court, at)?;
    parts.push((head.clone(), Vec::new()));
    let mut programs = Programs { world, same: Vec::new() };
    for gate in takes_over.rollouts().flat_map(|rollout| &rollout.waves).flat_map(|wave| &wave.gates) {
        programs.know(scenes, gate);
    }
    let part = |(scene, targets): At| {
        let settings = match &scene.snapshot.commit {
            Some(commit) => programs.read(&scene, commit),
            None => scene.settings.clone(), // never brought anywhere
        };
        Part { settings, targets }
    };
    Ok(Paces::taking_over(parts.into_iter().map(part).collect(), takes_over))
}

/// Oldest first. What is not on the line of the head is older than what is, for nothing can be said of it; what is not committed is
/// newest.
fn by_age(world: &World, court: &Court<'_>, mut at: BTreeMap<Option<CommitSha>, At>) -> Result<Vec<At>, Failure> {
    let uncommitted = at.remove(&None);
    let mut parts = Vec::with_capacity(at.len() + 2);
    if at.len() > 1 {
        let newest = court.newest().cloned().map_or_else(|| world.workspace.head(), Ok)?;
        let line = world.workspace.first_parents(None, &newest)?;
        let newest_first: Vec<At> = line.into_iter().filter_map(|commit| at.remove(&Some(commit))).collect();
        parts.extend(newest_first.into_iter().rev());
    }
    let elsewhere: Vec<At> = at.into_values().collect();
    parts.splice(0..0, elsewhere);
    parts.extend(uncommitted);
    Ok(parts)
}

/// The programs of gates, each with what lies beside it, and the oldest commit that has it so.
struct Programs<'a> {
    world: &'a World,
    same: Vec<(Vec<Leaf>, Arc<str>)>,
}

impl Programs<'_> {
    /// Takes in the program of a gate that was planned before: what is the same is the same gate.
    fn know(&mut self, scenes: &Scenes<'_>, gate: &Gate) {
        let (Some(path), Some(commit)) = (gate.file(), gate.commit()) else { return };
        let Ok(scene) = scenes.glance(&CommitSha(commit.clone())) else { return };
        if let Ok(files) = self.world.workspace.program(&scene.snapshot, &path)
            && !self.same.iter().any(|(known, _)| *known == files)
        {
            self.same.push((files, commit.clone()));
        }
    }

    /// Reads the settings of a commit. A program that was the same before keeps its older commit, so that targets at both go alike.
    fn read(&mut self, scene: &Scene, commit: &CommitSha) -> Settings {
        let mut commits: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for path in scene.settings.gates().filter_map(Gate::file) {
            // One that cannot be laid out is told before anything begins.
            let Ok(files) = self.world.workspace.program(&scene.snapshot, &path) else { continue };
            let same = self.same.iter().find(|(known, _)| *known == files).map(|(_, commit)| commit.clone());
            let oldest = same.unwrap_or_else(|| {
                self.same.push((files, commit.0.clone()));
                commit.0.clone()
            });
            commits.insert(path, oldest);
        }
        scene.settings.clone().read_at(|path| commits.get(path).unwrap_or(&commit.0).clone())
    }
}
