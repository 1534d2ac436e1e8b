//! What mistakes left unread. A name that nothing has may stand there: nothing is said of it before that mistake is mended.

use super::name::is_name;
use super::{Kind, Node, Region};
use std::sync::Arc;

/// What is not known of a fleet because of mistakes; nothing, when there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unread {
    /// Regions whose ids could not be read, each under what was written; all else that they say holds.
    pub regions: Vec<Arc<Region>>,
    /// Some region's id, and with it perhaps its environment, is not known.
    pub region_ids: bool,
    /// Some region's cloud is not known.
    pub clouds: bool,
    /// Some label of a region is not known.
    pub labels: bool,
    /// Some label of a stack is not known.
    pub stack_labels: bool,
    /// Some region's own vars are not known.
    pub region_vars: bool,
    /// Some layer of vars is not known, a region's or another.
    pub vars: bool,
    /// Some stack's name is not known.
    pub stacks: bool,
}

impl Unread {
    /// Says whether some region whose id could not be read may be in `environment`. Where none of its names is one, it may be any.
    pub fn may_have(&self, environment: &str) -> bool {
        let known = self.environments();
        self.region_ids
            && (known.is_empty() || known.len() < self.regions.len() || known.iter().any(|known| known == environment))
    }

    /// Returns the environments that regions are probably in whose ids could not be read: what was written in capitals is meant in
    /// small letters.
    pub fn environments(&self) -> Vec<String> {
        let written = self.regions.iter().filter_map(|region| region.id.as_str().split_once('/'));
        written.map(|(environment, _)| environment.to_lowercase()).filter(|environment| is_name(environment)).collect()
    }

    /// Of a fleet file that says nothing.
    pub(super) fn all() -> Self {
        Self {
            regions: Vec::new(),
            region_ids: true,
            clouds: true,
            labels: true,
            region_vars: true,
            vars: true,
            ..Self::default()
        }
    }
}

/// Keys of one definition whose values are not known because of mistakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadKeys {
    pub name: bool,
    pub instances: bool,
    pub depends_on: bool,
    pub inputs: bool,
    pub outputs: bool,
    pub labels: bool,
    pub vars: bool,
    /// Which inputs are sensitive is not known.
    pub sensitive: bool,
}

impl UnreadKeys {
    /// Takes keys that are absent, and may be what was meant by unknown ones.
    pub(super) fn among(meant: &[&str]) -> Self {
        let has = |key| meant.contains(&key);
        Self {
            name: has("name"),
            instances: has("instances"),
            depends_on: has("depends_on"),
            inputs: has("inputs"),
            outputs: has("outputs"),
            labels: has("labels"),
            vars: has("vars"),
            sensitive: has("sensitive"),
        }
    }
}

/// Says whether what stands at a key cannot be read as a map, so that nobody knows which names it was to hold.
pub(super) fn is_no_map(node: Option<&Node>) -> bool {
    node.is_some_and(|node| !matches!(node.kind, Kind::Map(_) | Kind::Null))
}
