//! One self-contained HTML page of the status: no script, no font, no request. What needs attention comes first; lines that are
//! alike are one line, so that a fleet of 10,000 targets stays one readable page.

mod forecast;
mod map;
mod table;

use super::text::{job, states, status_headline, written};
use super::words::{counted, joined, one_line, short, thousands, time, until};
use super::{RolloutLine, Status, StatusRow, WaveLine, WriterLine};
use crate::change::inert;
use std::fmt::Write as _;

pub use forecast::forecast_page;

const STYLE: &str = include_str!("style.css");

/// Returns the page of a status.
pub fn page(status: &Status) -> String {
    let head = status.head.as_ref().map_or_else(String::new, |head| format!("head <code>{}</code>", escaped(&short(head))));
    let state = joined([counted(status.rows.len(), "target"), head, format!("as of {}", time(status.at_ms))], " · ");
    let sections =
        [counters(status), stops(status), rollouts(status), map::section(status), drift(status), table::section(status)].concat();
    document(&status_headline(status), &state, STYLE, &sections)
}

/// One self-contained page: no script, no font, no request. `state` and `sections` are markup.
fn document(headline: &str, state: &str, style: &str, sections: &str) -> String {
    let headline = escaped(headline);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Isobar: {headline}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <header>\n<h1>{headline}</h1>\n<p>{state}</p>\n</header>\n<main>\n{sections}</main>\n\
         <footer>isobar {version}</footer>\n</body>\n</html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// Returns `text` inert, for an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in inert(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// How a target looks: class of its colour, symbol, words.
fn look(row: &StatusRow, head: Option<&str>) -> (&'static str, &'static str, &'static str) {
    match row.state {
        "applied" if head.is_some() && row.commit.as_deref() == head => ("a", "✓", "applied at head"),
        "applied" => ("o", "(✓)", "applied at an earlier commit"),
        "behind" => ("b", "↓", "behind"),
        "ahead" => ("b", "↑", "ahead of a head that is older"),
        "failed" => ("f", "✗", "failed"),
        "unknown" => ("u", "?", "unknown"),
        "never applied" => ("n", "·", "never applied"),
        "to be destroyed" => ("d", "−", "to be destroyed"),
        other => ("n", "·", other),
    }
}

/// Somebody should look at it.
fn is_drifted(row: &StatusRow) -> bool {
    !matches!(&*row.drift, "clean" | "not checked" | "")
}

fn counters(status: &Status) -> String {
    let drifted = status.rows.iter().filter(|row| is_drifted(row)).count();
    let waiting = status.rows.iter().filter(|row| row.waits.is_some()).count();
    let mut numbers: Vec<(&str, &str, &str, usize)> = Vec::new();
    for (state, number) in states(status) {
        let (class, symbol) = match state {
            "failed" => ("f", "✗"),
            "unknown" => ("u", "?"),
            "behind" => ("b", "↓"),
            "ahead" => ("b", "↑"),
            "to be destroyed" => ("d", "−"),
            "applied" => ("a", "✓"),
            _ => ("n", "·"),
        };
        numbers.push((class, symbol, state, number));
    }
    let end = numbers.iter().position(|(class, ..)| *class == "a" || *class == "n").unwrap_or(numbers.len());
    for counter in [("w", "…", "waiting", waiting), ("x", "≠", "drifted", drifted)] {
        if counter.3 > 0 {
            numbers.insert(end, counter);
        }
    }
    let card = |(class, symbol, words, number): (&str, &str, &str, usize)| {
        format!(
            "<li class=\"card {class}\"><b>{}</b> <span aria-hidden=\"true\">{symbol}</span> {}</li>\n",
            thousands(number),
            escaped(words)
        )
    };
    format!(
        "<section aria-label=\"Counts\">\n<ul class=\"cards\">\n{}</ul>\n</section>\n",
        numbers.into_iter().map(card).collect::<String>()
    )
}

/// What stops everything or a region, and who writes now.
fn stops(status: &Status) -> String {
    let mut lines = Vec::new();
    if let Some(why) = &status.paused {
        lines.push(format!("<li><b>Everything is paused</b>: {}</li>\n", escaped(why)));
    }
    for (region, until_ms, reason) in &status.holds {
        let end = until_ms.map_or_else(|| "until released".into(), |at_ms| format!("until {}", until(at_ms)));
        lines.push(format!("<li><b>{} is held</b> {end}: {}</li>\n", escaped(region), escaped(reason)));
    }
    for given in &status.given_up {
        let (place, by, reason) = (escaped(&given.place), escaped(&given.by), escaped(&given.reason));
        lines.push(format!("<li><b>The journal at {place} was given up</b> by {by} {}: {reason}</li>\n", time(given.at_ms)));
    }
    lines.extend(status.writers.iter().map(writer));
    if lines.is_empty() {
        String::new()
    } else {
        format!("<section aria-label=\"Holds and pauses\">\n<ul class=\"stops\">\n{}</ul>\n</section>\n", lines.concat())
    }
}

fn writer(line: &WriterLine) -> String {
    let WriterLine { run, host, pid, since_ms, release, .. } = line;
    let job = job(line).map_or_else(String::new, |job| format!(" {}.", escaped(&job)));
    format!(
        "<li><b>Run {} writes</b>, process {pid} on {}, since {}, {}.{job} Only when it is gone for good: <code>{}</code></li>\n",
        escaped(&one_line(run)),
        escaped(&one_line(host)),
        time(*since_ms),
        escaped(&written(line)),
        escaped(&one_line(release)),
    )
}

fn rollouts(status: &Status) -> String {
    if status.rollouts.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>Rollouts</h2>\n{}</section>\n", status.rollouts.iter().map(rollout).collect::<String>())
}

fn rollout(rollout: &RolloutLine) -> String {
    let tick =
        rollout.next_tick_ms.map_or_else(String::new, |at| format!("; <code>isobar tick</code> goes on from {}", until(at)));
    let waves: String = rollout.waves.iter().map(wave).collect();
    format!(
        "<h3>{} <code>{}</code></h3>\n<p>{}{tick}</p>\n<ol class=\"waves\">\n{waves}</ol>\n",
        escaped(&rollout.id),
        escaped(&short(&rollout.commit)),
        escaped(&rollout.state)
    )
}

fn wave(wave: &WaveLine) -> String {
    let part = |number: usize| (number * 100).checked_div(wave.targets).unwrap_or(0).min(100);
    let (done, failed) = (part(wave.done), part(wave.failed));
    let failures = if wave.failed == 0 { String::new() } else { format!(", {} failed", thousands(wave.failed)) };
    let class = if wave.failed > 0 {
        "f"
    } else if wave.done == wave.targets && wave.targets > 0 {
        "a"
    } else {
        "n"
    };
    format!(
        "<li class=\"wave {class}\"><b>{}</b><span>{} of {} done{failures}</span>\
         <svg viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" role=\"img\"><title>{done} % done</title>\
         <rect class=\"rest\" width=\"100\" height=\"4\"/><rect class=\"done\" width=\"{done}\" height=\"4\"/>\
         <rect class=\"bad\" x=\"{done}\" width=\"{failed}\" height=\"4\"/></svg><span>{}</span></li>\n",
        escaped(&one_line(&wave.name)),
        thousands(wave.done),
        thousands(wave.targets),
        escaped(&one_line(&wave.state)),
    )
}

fn drift(status: &Status) -> String {
    let mut kinds: std::collections::BTreeMap<&str, Vec<&crate::stack::TargetId>> = std::collections::BTreeMap::new();
    for row in status.rows.iter().filter(|row| is_drifted(row)) {
        kinds.entry(&row.drift).or_default().push(&row.target);
    }
    let unchecked = status.rows.iter().filter(|row| row.drift_checked_at_ms.is_none()).count();
    if kinds.is_empty() && unchecked == 0 {
        return String::new();
    }
    let extent = super::words::Extent::of(status.rows.iter().map(|row| &row.target));
    let mut lines = String::new();
    for (drift, targets) in kinds.iter().take(table::ROWS_MAX) {
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            "<li><b>≠ {}</b> {}</li>",
            escaped(&one_line(drift)),
            escaped(&extent.places(targets.iter().copied()))
        );
    }
    if kinds.len() > table::ROWS_MAX {
        let _ = writeln!(lines, "<li>{} more: <code>isobar status --json</code></li>", thousands(kinds.len() - table::ROWS_MAX));
    }
    if unchecked > 0 {
        let _ = writeln!(lines, "<li>{} not checked, which is not the same as clean</li>", counted(unchecked, "target"));
    }
    format!("<section>\n<h2>Drift</h2>\n<ul>\n{lines}</ul>\n</section>\n")
}
