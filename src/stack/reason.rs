//! What a comparison is given, two sides, and what it answers of a target: the reasons for which it is touched.

use super::{Fleet, Listing, Site, StackName, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an engine found a stack's sources to use, beyond the stack's own directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Repository paths of the sources themselves and of files they include; with `/` at the end, all below a directory.
    pub files: BTreeSet<Arc<str>>,
    /// Dotted names read in templates: `vars.owner`, `region.vars.cidr`, `inputs.id`; `vars` alone means all of them.
    pub names: BTreeSet<Arc<str>>,
    /// Those that are read in every rendering, and where: an error where a target has no such value.
    pub certain: BTreeMap<Arc<str>, BTreeSet<Site>>,
}

/// One side of a comparison.
pub struct Side<'a> {
    pub fleet: &'a Fleet,
    pub listing: &'a Listing,
    /// By definition: instances share their sources.
    pub uses: &'a BTreeMap<StackName, Uses>,
}

/// Why a target is touched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The target did not exist before.
    New,
    /// The target exists no more: it is to be destroyed.
    Removed,
    /// It takes over what `from` made, because its stack names that one in `was`.
    Renamed { from: TargetId },
    /// A file it uses was added, removed or edited.
    File { path: Arc<str> },
    /// A file under one of its `watch` globs was added, removed or edited.
    Watch { path: Arc<str>, glob: Arc<str> },
    /// A value it uses changed: `inputs.cidr`, `vars.owner`, `region.labels`.
    Value { name: Arc<str>, site: Option<Site> },
    /// The definition changed: the engine's section (by the engine's name), `engine`, `outputs.id`, `depends_on`, `directory`.
    Definition { what: Arc<str>, site: Site },
    /// A dependency whose outputs it uses is touched. One that it only waits for does not count.
    Dependency { target: TargetId },
}
