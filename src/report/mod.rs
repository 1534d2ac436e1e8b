//! How we tell it: one model, many forms. The same counts in the same order everywhere; the same input gives the same bytes.

mod annotation;
mod check;
mod forecast;
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
pub use check::{Verdict as CheckVerdict, check};
pub use forecast::{
    Forecast, ForecastEnd, ForecastMoment, ForecastState, ForecastTarget, ForecastWave, Mood, Reach, left_behind,
};
pub use html::{forecast_page, page};
pub use json::{
    SCHEMA_ID, failure_json, forecast_json, report_json, report_json_text, schema as json_schema, schema_id, status_json,
};
pub use markdown::{COMMENT_BYTES, Comment, comment, failure as failure_comment, quoted};
pub use model::{Counts, Frame, JournalHead, Note, Report, Row, RowState, Told, VerdictLine, WaveLine};
pub use status::{GivenUpLine, RolloutLine, Status, StatusRow, WriterLine};
pub use text::{Diffs, Style, forecast_text, report_text, status_text};
