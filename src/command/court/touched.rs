//! What commits of the line that is applied touched when they landed.

use super::Court;
use crate::command::pending::between;
use crate::command::scene::{FLEET, Scene};
use crate::exit::Failure;
use crate::review::{CommitSha, Landed};
use crate::stack::{Selector, TargetId};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

pub(super) enum Touched {
    These(BTreeSet<TargetId>),
    /// The definitions, or those before them, cannot be read.
    Everything,
}

/// What a commit defines.
enum Defined {
    Nothing,
    Fleet(Arc<Scene>),
    Unreadable,
}

impl Touched {
    pub(super) fn holds(&self, names: &[TargetId]) -> bool {
        match self {
            Self::These(targets) => names.iter().any(|name| targets.contains(name)),
            Self::Everything => true,
        }
    }
}

impl Court<'_> {
    pub(super) fn touched(&self, landed: &Landed) -> Result<Arc<Touched>, Failure> {
        let locked = || self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(&landed.commit) {
            return Ok(known.clone());
        }
        let touched = Arc::new(self.look_at(landed)?);
        locked().insert(landed.commit.clone(), touched.clone());
        Ok(touched)
    }

    fn look_at(&self, landed: &Landed) -> Result<Touched, Failure> {
        let before = self.parent(&landed.first)?.map_or(Ok(Defined::Nothing), |parent| self.defined(&parent))?;
        let work = match (&before, &self.defined(&landed.commit)?) {
            (Defined::Nothing, Defined::Nothing) => return Ok(Touched::These(BTreeSet::new())),
            (Defined::Nothing, Defined::Fleet(after)) => between(None, after, &Selector::default()),
            (Defined::Fleet(before), Defined::Fleet(after)) => between(Some(before), after, &Selector::default()),
            (Defined::Unreadable, _) | (_, Defined::Unreadable) | (Defined::Fleet(_), Defined::Nothing) => {
                return Ok(Touched::Everything);
            }
        };
        Ok(Touched::These(work.pending.iter().flat_map(|pending| pending.names()).collect()))
    }

    fn defined(&self, commit: &CommitSha) -> Result<Defined, Failure> {
        if self.world.workspace.at(&commit.0)?.listing.get(FLEET).is_none() {
            return Ok(Defined::Nothing);
        }
        match self.scenes.glance(commit) {
            Ok(scene) => Ok(Defined::Fleet(scene)),
            Err(Failure::Definitions(_)) => Ok(Defined::Unreadable),
            Err(other) => Err(other),
        }
    }

    /// The commit before one of the line.
    fn parent(&self, commit: &CommitSha) -> Result<Option<CommitSha>, Failure> {
        let found = self.world.workspace.commit(&format!("{}^1", commit.0));
        match found {
            Ok(parent) => Ok(Some(parent)),
            Err(_) if self.world.workspace.is_shallow() => Err(super::authority::too_far_back(true)),
            Err(_) => Ok(None), // nothing was before it
        }
    }
}
