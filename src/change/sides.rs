//! Both sides of changes, for who judges a preview of somebody whom nobody believes: digests, and what people see, are made anew of them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a resource is before and after a change, as text, holes as marks; `None` where there is nothing. Nothing of it is sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Arc<str>>,
}

impl Sides {
    /// How much it is.
    pub fn bytes(&self) -> usize {
        [&self.before, &self.after].into_iter().flatten().map(|side| side.len()).sum()
    }
}
