//! What the stories stand on: a real repository, a closed environment, a clock that is set.

mod child;
pub(crate) mod cloud;
mod forge;
mod git_server;
pub(crate) mod github;
mod inside;
mod program;
mod sandbox;
pub(crate) mod scratch;
mod story;
mod tree;

pub(crate) use forge::Forge;
pub(crate) use git_server::{Access, GitServer};
pub(crate) use program::program;
pub(crate) use sandbox::{Ran, Sandbox, fixtures};
pub(crate) use story::{APPROVALS, app};
pub(crate) use tree::tree;
