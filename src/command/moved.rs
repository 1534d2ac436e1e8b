//! What came to a branch since somebody looked: what was shown of the same targets is old.

use super::pending::between;
use super::scene::Scenes;
use crate::exit::Failure;
use crate::report::Row;
use crate::review::CommitSha;
use crate::stack::{Selector, TargetId};
use crate::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What came to a branch since somebody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// That branch.
    pub branch: Arc<str>,
    /// Every target that it touches.
    pub targets: BTreeSet<TargetId>,
}

impl Moved {
    /// What came between two commits of a branch. Nothing when it cannot be read: then nothing of it is applied either.
    pub(crate) fn between(world: &World, branch: &str, old: &CommitSha, new: &CommitSha) -> Result<Self, Failure> {
        if old == new {
            return Ok(Self::default());
        }
        let scenes = Scenes::new(world);
        let targets = match (scenes.at(old), scenes.at(new)) {
            (Err(Failure::Definitions(_)), _) | (_, Err(Failure::Definitions(_))) => BTreeSet::new(),
            (old, new) => {
                let work = between(Some(&old?), &new?, &Selector::default());
                work.pending.iter().flat_map(|pending| pending.names()).collect()
            }
        };
        Ok(Self { branch: branch.into(), targets })
    }

    /// Says so where it touches what was shown to change.
    pub(crate) fn say(&self, rows: &[Row]) -> Option<String> {
        let shown = rows.iter().filter_map(|row| row.preview.as_deref()).filter(|preview| !preview.is_empty());
        let touched = shown.filter(|preview| self.targets.contains(&preview.target)).count();
        (touched > 0).then(|| {
            format!("{} has moved on for {touched} of its targets since it was looked at: preview it again", self.branch)
        })
    }
}
