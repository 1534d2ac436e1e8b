//! Every target in words; targets of one stack that read the same are one line, what needs attention first.

use super::super::text::{alike, by};
use super::super::words::{Extent, counted, joined, one_line, short, times};
use super::super::{Status, StatusRow};
use super::{escaped, is_drifted, look};
use crate::stack::TargetId;

/// Lines at most; a line is about 300 bytes.
pub(super) const ROWS_MAX: usize = 1_500;

pub(super) fn section(status: &Status) -> String {
    if status.rows.is_empty() {
        return String::new();
    }
    let extent = Extent::of(status.rows.iter().map(|row| &row.target));
    let mut lines = alike(&status.rows);
    lines.sort_by_key(|rows| urgency(rows[0])); // stable: the order of the fleet stays within
    let body: String = lines.iter().take(ROWS_MAX).map(|rows| line(rows, &extent, status.head.as_deref())).collect();
    let left: usize = lines.iter().skip(ROWS_MAX).map(Vec::len).sum();
    let more = if left == 0 {
        String::new()
    } else {
        format!("<p>{} more: <code>isobar status --json</code></p>\n", counted(left, "target"))
    };
    format!(
        "<section>\n<h2>Targets</h2>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">stack</th><th scope=\"col\">regions</th><th scope=\"col\">state</th>\
         <th scope=\"col\">commit</th><th scope=\"col\">last applied</th><th scope=\"col\">drift</th><th scope=\"col\">waits for</th></tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n{more}</section>\n"
    )
}

fn urgency(row: &StatusRow) -> usize {
    match row.state {
        "failed" => 0,
        "unknown" => 1,
        _ if is_drifted(row) => 2,
        "behind" | "ahead" => 3,
        "to be destroyed" => 4,
        "never applied" => 5,
        _ => 6,
    }
}

fn line(rows: &[&StatusRow], extent: &Extent<'_>, head: Option<&str>) -> String {
    let first = rows[0];
    let targets: Vec<TargetId> = rows.iter().map(|row| row.target.clone()).collect();
    let (class, symbol, _) = look(first, head);
    let applied = times(rows.iter().filter_map(|row| row.applied_at_ms));
    let pull_request = first.pull_request.map_or_else(String::new, |number| format!("#{number}"));
    let commit = first.commit.as_ref().map_or_else(String::new, |commit| format!("<code>{}</code>", escaped(&short(commit))));
    let source = joined([commit, escaped(&pull_request), escaped(&by(first))], " ");
    let waits = first.waits.as_ref().map_or_else(String::new, |waits| one_line(waits));
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"line\"><i class=\"{class}\">{symbol}</i> {}</td><td>{source}</td><td class=\"line\">{applied}</td><td>{}</td><td>{}</td></tr>\n",
        first.target.stack,
        extent.regions_of(&targets),
        escaped(first.state),
        escaped(&one_line(&first.drift)),
        escaped(&waits),
    )
}
