//! The report as JSON, with a published schema.

use super::{Report, Status};
use serde_json::Value;

/// Identifies the schema of what `--json` prints.
pub const SCHEMA_ID: &str = "https://isobar.dev/schema/report/v1.json";

pub fn report_json(_report: &Report) -> Value {
    todo!()
}

pub fn status_json(_status: &Status) -> Value {
    todo!()
}

/// Returns the JSON Schema of reports and statuses.
pub fn schema() -> Value {
    todo!()
}
