//! Which targets a diff touches, and why: by comparing what each target uses on both sides, never by guessing from paths.

use super::{Fleet, Listing, Site, StackName, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an engine found a stack's sources to use, beyond the stack's own directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Repository paths of the sources themselves and of files they include.
    pub files: BTreeSet<Arc<str>>,
    /// Dotted names read in templates: `vars.owner`, `region.vars.cidr`, `inputs.id`; `vars` alone means all of them.
    pub names: BTreeSet<Arc<str>>,
}

/// One side of a comparison.
pub struct Side<'a> {
    pub fleet: &'a Fleet,
    pub listing: &'a Listing,
    pub uses: &'a BTreeMap<StackName, Uses>,
}

/// Why a target is touched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The target did not exist before.
    New,
    /// The target exists no more: it is to be destroyed.
    Removed,
    /// A file it uses was added, removed or edited.
    File { path: Arc<str> },
    /// A file under one of its `watch` globs was added, removed or edited.
    Watch { path: Arc<str>, glob: Arc<str> },
    /// A value it uses changed: `inputs.cidr`, `vars.owner`, `region.labels`.
    Value { name: Arc<str>, site: Option<Site> },
    /// The definition changed: the engine's section, outputs, dependencies.
    Definition { what: Arc<str>, site: Site },
    /// A dependency is touched, and this target uses its outputs or waits for it.
    Dependency { target: TargetId },
}

/// One touched target and every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub target: TargetId,
    pub reasons: Vec<Reason>,
}

/// The touched targets, in the order of the fleet; destroyed ones last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub touched: Vec<Why>,
}

impl Selection {
    /// Compares both sides. Without a `before`, everything is new.
    pub fn between(_before: Option<&Side<'_>>, _after: &Side<'_>) -> Self {
        todo!()
    }

    pub fn why(&self, target: &TargetId) -> Option<&Why> {
        self.touched.iter().find(|why| why.target == *target)
    }
}
