//! A value that knows where it was written and which layer won. How layers are laid over one another is told elsewhere.

use super::{RegionId, Site, StackName};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

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

/// Whose vars these are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Fleet,
    Environment(Arc<str>),
    Cloud(Arc<str>),
    Region(RegionId),
    Stack(StackName),
    /// By the full name of its stack.
    Instance(StackName),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Fleet => write!(f, "fleet"),
            Layer::Environment(name) => write!(f, "environment {name}"),
            Layer::Cloud(name) => write!(f, "cloud {name}"),
            Layer::Region(id) => write!(f, "region {id}"),
            Layer::Stack(name) => write!(f, "stack {name}"),
            Layer::Instance(name) => write!(f, "instance {name}"),
        }
    }
}
