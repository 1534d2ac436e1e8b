//! Layers of vars: fleet < environment < cloud < region < stack. A later layer wins, maps are merged key by key, lists are
//! replaced; every value knows its file and line, and whom it won over.

use super::{Node, RegionId, StackName};
use std::fmt;
use std::sync::Arc;

/// Whose vars these are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Fleet,
    Environment(Arc<str>),
    Cloud(Arc<str>),
    Region(RegionId),
    Stack(StackName),
}

/// The vars of one layer: a map node, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vars(pub Option<Node>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Fleet => write!(f, "fleet"),
            Layer::Environment(name) => write!(f, "environment {name}"),
            Layer::Cloud(name) => write!(f, "cloud {name}"),
            Layer::Region(id) => write!(f, "region {id}"),
            Layer::Stack(name) => write!(f, "stack {name}"),
        }
    }
}
