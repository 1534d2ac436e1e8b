//! One stack as its `stack.yaml` defines it.

use super::{Node, RegionId, Site, StackName, UnreadKeys, Vars};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The engines a definition may name.
pub const ENGINES: [&str; 6] = ["documents", "tofu", "terraform", "pulumi", "kubernetes", "helm"];

/// The engines that this version of the program holds; a section of another one is a mistake.
pub const BUILT_IN: &[&str] = &["documents"];

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
    /// Which instance of its definition it is; `None` where the definition stands for one stack.
    pub instance: Option<Instance>,
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
    /// What its definition says in vain; nothing in a fleet without mistakes.
    pub unread: UnreadKeys,
}

/// One of the several stacks that a definition stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// `acme`, for the stack `tenants/acme`.
    pub name: Arc<str>,
    /// The name of the definition: `tenants`.
    pub of: StackName,
    /// The highest layer of vars.
    pub vars: Vars,
}

impl Stack {
    /// Says whether an input is never shown; each may be, where a mistake leaves open which are.
    pub fn may_be_sensitive(&self, input: &Arc<str>) -> bool {
        self.unread.sensitive || self.sensitive.contains(input)
    }

    /// Returns the name of its definition: its own, or of an instance the name that all instances share.
    pub fn definition(&self) -> &StackName {
        self.instance.as_ref().map_or(&self.name, |instance| &instance.of)
    }

    /// Takes `name` for its definition's.
    pub(super) fn go_by(&mut self, name: StackName) {
        self.name = match &self.instance {
            Some(instance) => StackName::unread(&format!("{name}/{}", instance.name)),
            None => name.clone(),
        };
        self.instance.iter_mut().for_each(|instance| instance.of = name.clone());
    }
}

/// A stack that must be applied before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub stack: StackName,
    /// The region it is met in; `None` means the same region.
    pub region: Option<RegionId>,
    /// The name as written: of a definition, where every one of its instances is meant.
    pub written: StackName,
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
