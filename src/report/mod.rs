//! How we tell it: one model, many forms. The same counts in the same order everywhere; the same input gives the same bytes.

mod annotation;
mod html;
mod json;
mod markdown;
mod model;
mod said;
#[cfg(test)]
mod sample;
mod status;
mod tell;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use annotation::{annotations, failures as failure_annotations, warnings as warning_annotations};
pub use html::page;
pub use json::{SCHEMA_ID, failure_json, report_json, report_json_text, schema as json_schema, schema_id, status_json};
pub use markdown::{COMMENT_BYTES, Comment, comment};
pub use model::{Counts, Frame, JournalHead, Note, Report, Row, RowState, Told, VerdictLine, WaveLine};
pub use status::{RolloutLine, Status, StatusRow};
pub use text::{Diffs, Style, report_text, status_text};
