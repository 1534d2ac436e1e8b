//! One stack as its `stack.yaml` defines it.

use super::{Node, RegionId, Site, StackName, Vars};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stack: what runs in every region that `where` matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    pub name: StackName,
    /// Directory from the root, without a slash at the end; empty for the root itself.
    pub dir: Arc<str>,
    pub site: Site,
    /// Regions in which it runs, in the order of the fleet file.
    pub regions: Vec<RegionId>,
    /// Declared dependencies and those that a use of `stacks["…"].outputs` implies.
    pub depends_on: Vec<Dependency>,
    /// Names it had before (`was:`): their targets are taken over, not destroyed.
    pub was: Vec<StackName>,
    /// Inputs as written, expressions unfilled.
    pub inputs: Vec<(Arc<str>, Site, Node)>,
    /// Inputs that are never shown (`sensitive: […]` or `!secret`).
    pub sensitive: Vec<Arc<str>>,
    pub outputs: BTreeMap<Arc<str>, OutputFrom>,
    /// Globs from the root whose files touch this stack too.
    pub watch: Vec<(Arc<str>, Site)>,
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    pub vars: Vars,
    /// The engine's name: the key of its section.
    pub engine: Arc<str>,
    /// The engine's section as written; its own room parses it.
    pub section: Node,
}

/// A stack that must be applied before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub stack: StackName,
    /// The region it is met in; `None` means the same region.
    pub region: Option<RegionId>,
    pub site: Site,
}

/// Where an output comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFrom {
    /// An expression over region, vars and inputs: known at preview.
    Value(Node),
    /// Read back from what the engine published; the engine's own form, known after apply.
    Engine(Node),
}
