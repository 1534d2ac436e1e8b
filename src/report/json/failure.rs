//! A failure's keys.

use super::SCHEMA_ID;
use crate::stack::{Mistake, Mistakes};
use schemars::JsonSchema;
use serde::Serialize;

/// A command that could not do its work.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Failure", deny_unknown_fields)]
pub(super) struct FailureJson<'a> {
    /// Identifies this schema.
    schema: &'static str,
    /// What this is of.
    #[schemars(extend("const" = "failure"))]
    told: &'static str,
    /// The exit code.
    code: u8,
    /// What could not be done, and why.
    what: &'a str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// Every mistake in a definition; empty when the failure is another.
    mistakes: Vec<MistakeJson<'a>>,
}

/// One mistake in a definition.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Mistake", deny_unknown_fields)]
struct MistakeJson<'a> {
    /// The file, from the root of the repository; absent when it is of no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// Line of the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// Column of the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    /// What is wrong.
    what: &'a str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> FailureJson<'a> {
    pub(super) fn of(code: u8, what: &'a str, hint: Option<&'a str>, mistakes: &'a Mistakes) -> Self {
        let mistakes = mistakes.iter().map(MistakeJson::of).collect();
        Self { schema: SCHEMA_ID, told: "failure", code, what, hint, mistakes }
    }
}

impl<'a> MistakeJson<'a> {
    fn of(mistake: &'a Mistake) -> Self {
        let site = mistake.site.as_ref();
        Self {
            file: site.map(|site| &*site.path),
            line: site.map(|site| site.line),
            column: site.map(|site| site.column),
            what: &mistake.what,
            hint: mistake.hint.as_deref(),
        }
    }
}
