//! The fleet: every region, stack and target of one commit.

use super::{Listing, Mistakes, Node, Region, RegionId, Site, Source, Stack, StackName, TargetId, Vars};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything the definitions of one commit say.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// In the order of the fleet file.
    pub regions: Vec<Arc<Region>>,
    /// Sorted by name.
    pub stacks: Vec<Arc<Stack>>,
    /// Layers above the regions: fleet, environments, clouds.
    pub vars: Vars,
    pub environment_vars: BTreeMap<Arc<str>, Vars>,
    pub cloud_vars: BTreeMap<Arc<str>, Vars>,
    /// Team name to its members' logins; what the local host goes by.
    pub teams: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The `policy`, `rollout` and `journal` sections, unread; `None` where the key is absent.
    pub policy: Option<Node>,
    pub rollout: Option<Node>,
    pub journal: Option<(Arc<str>, Site)>,
    /// Stack by stack (by name), region by region (in the order of the fleet file).
    targets: Vec<Target>,
}

/// One stack in one region, with both definitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub id: TargetId,
    pub stack: Arc<Stack>,
    pub region: Arc<Region>,
}

impl Fleet {
    /// Reads the fleet from `isobar.yaml` and every `stack.yaml` among `definitions`; `listing` tells which other files exist.
    /// Returns every mistake of every file at once.
    pub fn read(_definitions: &[Source], _listing: &Listing) -> Result<Fleet, Mistakes> {
        todo!()
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub fn target(&self, _id: &TargetId) -> Option<&Target> {
        todo!()
    }

    pub fn region(&self, _id: &RegionId) -> Option<&Arc<Region>> {
        todo!()
    }

    pub fn stack(&self, _name: &StackName) -> Option<&Arc<Stack>> {
        todo!()
    }
}
