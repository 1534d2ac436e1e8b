//! What the stories stand on: a real repository, a closed environment, a clock that is set.

mod sandbox;
mod tree;

pub(crate) use sandbox::{Sandbox, fixtures};
pub(crate) use tree::tree;
