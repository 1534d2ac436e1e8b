//! What a kind of rule is. Knows none of them.

use super::case::{Case, Finding};
use super::known::Known;
use crate::stack::{Fields, Site};
use serde_json::Value;
use std::sync::Arc;

/// One kind of rule: its name in the fleet file and what it is about, for docs and errors.
pub struct Rule {
    pub name: &'static str,
    pub about: &'static str,
    /// Reads the rule's own keys into the question that it asks of every case it matches; `None` with a mistake.
    pub(super) read: fn(&mut Fields<'_>, &Site, &Known<'_>) -> Option<Ask>,
    /// JSON Schema of the rule's own keys.
    pub(super) keys: fn() -> Value,
    /// Those of its own keys that must be there.
    pub(super) needs: &'static [&'static str],
    /// One rule of this kind, as a fleet file says it.
    pub example: &'static str,
}

/// The question that a declared rule asks of a case.
pub(super) type Ask = Arc<dyn Fn(&Case<'_>) -> Finding + Send + Sync>;
