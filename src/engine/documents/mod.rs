//! The embedded engine: renders a stack's templates for one region and publishes them to its destination.

mod check;
mod flow;
mod layout;
mod outputs;
mod path;
mod render;
mod section;
mod template;
#[cfg(test)]
mod tests;
mod values;

use super::{Boxed, Engine, Failure, Job, Sources};
use crate::change::{Applied, Outputs, Preview, Unseen};
use crate::stack::{Mistakes, Resolved, Stack, Uses};
use std::sync::Arc;

/// Renders documents and publishes them; needs no tool.
pub struct Documents;

impl Engine for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn about(&self) -> &'static str {
        "renders a stack's templates for one region and publishes the documents to a directory"
    }

    fn schema(&self) -> serde_json::Value {
        todo!()
    }

    fn check(&self, _stack: &Stack, _sources: &Sources, _mistakes: &mut Mistakes) {
        todo!()
    }

    fn reads(&self, _stack: &Stack) -> Vec<Arc<str>> {
        todo!()
    }

    fn reads_more(&self, _stack: &Stack, _sources: &Sources) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn uses(&self, _stack: &Stack, _sources: &Sources) -> Uses {
        todo!()
    }

    fn identity(&self, _resolved: &Resolved) -> Option<String> {
        todo!()
    }

    fn preview<'a>(&'a self, _job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>> {
        todo!()
    }

    fn apply<'a>(&'a self, _job: &'a Job, _preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>> {
        todo!()
    }

    fn outputs<'a>(&'a self, _job: &'a Job) -> Boxed<'a, Result<Outputs, Failure>> {
        todo!()
    }
}
