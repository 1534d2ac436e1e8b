//! What one target is given: its inputs, vars and engine section with every expression filled in.

use super::{Fleet, Layer, Mistakes, Node, OutputFrom, Site, Target, TargetId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The outputs known so far, by target and name. What is not in it becomes a named hole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known(pub BTreeMap<TargetId, BTreeMap<Arc<str>, Value>>);

/// A value, where it was written, and which layers it won over (nearest first).
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// Holes and secrets stand in it as marks, see [`super::mark_hole`] and [`super::mark_secret`].
    pub value: Value,
    pub site: Site,
    /// `None` for an input, which has no layers.
    pub layer: Option<Layer>,
    pub over: Vec<(Layer, Site)>,
    pub sensitive: bool,
}

/// Everything a target is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub inputs: BTreeMap<Arc<str>, Traced>,
    /// The merged vars, one entry a top-level key.
    pub vars: BTreeMap<Arc<str>, Traced>,
    /// `region.*` as expressions and templates see it: id, environment, name, cloud, labels, vars.
    pub region: Value,
    /// The engine's section with expressions filled in.
    pub section: Node,
    /// Declared outputs; `OutputFrom::Value` is filled in.
    pub outputs: BTreeMap<Arc<str>, OutputFrom>,
}

impl Fleet {
    /// Fills in what `target` is given. References were checked when the fleet was read; what is left to fail is a value of
    /// one region, such as a var that only other regions have.
    pub fn resolve(&self, _target: &Target, _known: &Known) -> Result<Resolved, Mistakes> {
        todo!()
    }
}
