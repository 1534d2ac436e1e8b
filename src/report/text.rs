//! Plain and coloured text for terminals and logs.

use super::{Report, Status};

/// Colour or not; decided by the caller, who knows the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Colour,
}

/// Renders a report for a terminal or a log, diffs included.
pub fn report_text(_report: &Report, _style: Style) -> String {
    todo!()
}

/// Renders what runs where as a table.
pub fn status_text(_status: &Status, _style: Style) -> String {
    todo!()
}
