//! What runs where, as a table: what needs attention first, targets that are alike in one line.

use super::super::words::{Extent, counted, joined, one_line, short, thousands, time, times, until};
use super::super::{GivenUpLine, Status, StatusRow, WriterLine};
use super::Style;
use super::ink::{Ink, Paper};
use crate::stack::TargetId;
use std::collections::BTreeMap;

/// Renders what runs where as a table.
pub fn status_text(status: &Status, style: Style) -> String {
    let extent = Extent::of(status.rows.iter().map(|row| &row.target));
    let mut paper = Paper::new(style);

    paper.line(Ink::Bold, &headline(status));
    let head = status.head.as_ref().map_or_else(String::new, |head| format!("head {}", short(head)));
    paper.line(Ink::Faint, &joined([counted(status.rows.len(), "target"), head, time(status.at_ms)], " · "));
    super::journal(&mut paper, status.journal.as_ref());
    stops(&mut paper, status);
    rollouts(&mut paper, status);
    targets(&mut paper, status, &extent);
    paper.text()
}

fn stops(paper: &mut Paper, status: &Status) {
    if let Some(why) = &status.paused {
        paper.title("Paused");
        paper.line(Ink::Warn, &format!("  {}", one_line(why)));
    }
    if !status.holds.is_empty() {
        paper.title("Held regions");
    }
    for (region, until_ms, reason) in &status.holds {
        let end = until_ms.map_or_else(|| "until released".into(), |at_ms| format!("until {}", until(at_ms)));
        paper.line(Ink::Warn, &format!("  {} {end}: {}", one_line(region), one_line(reason)));
    }
    if !status.given_up.is_empty() {
        paper.title("Journal places given up");
    }
    for GivenUpLine { place, by, at_ms, reason } in &status.given_up {
        let line = format!("  {} by {} {}: {}", one_line(place), one_line(by), time(*at_ms), one_line(reason));
        paper.line(Ink::Warn, &line);
    }
    if !status.writers.is_empty() {
        paper.title("Writing now");
    }
    for writer in &status.writers {
        let WriterLine { run, host, pid, since_ms, .. } = writer;
        let who = format!("run {}, process {pid} on {}", one_line(run), one_line(host));
        paper.line(Ink::Plain, &format!("  {who}, since {}, {}", time(*since_ms), written(writer)));
        if let Some(job) = job(writer) {
            paper.line(Ink::Plain, &format!("    {job}"));
        }
        paper.line(Ink::Plain, &format!("    only when it is gone for good: {}", one_line(&writer.release)));
    }
}

/// How many targets somebody writes about, and the first of them.
pub(in super::super) fn written(writer: &WriterLine) -> String {
    let mut first: Vec<String> = writer.first.iter().map(ToString::to_string).collect();
    let more = writer.targets.saturating_sub(first.len());
    first.extend((more > 0).then(|| format!("{} more", thousands(more))));
    joined([counted(writer.targets, "target"), first.join(", ")], ": ")
}

/// The job that writes, and where it is found.
pub(in super::super) fn job(writer: &WriterLine) -> Option<String> {
    let words = [&writer.job, &writer.address].map(|text| text.as_ref().map_or_else(String::new, |text| one_line(text)));
    Some(joined(words, ": ")).filter(|text| !text.is_empty())
}

fn rollouts(paper: &mut Paper, status: &Status) {
    for rollout in &status.rollouts {
        paper.title(&format!("Rollout {} of {}: {}", one_line(&rollout.id), short(&rollout.commit), one_line(&rollout.state)));
        super::wave_table(paper, &rollout.waves);
        if let Some(at) = rollout.next_tick_ms {
            paper.line(Ink::Plain, &format!("  isobar tick goes on from {}", until(at)));
        }
    }
}

fn targets(paper: &mut Paper, status: &Status, extent: &Extent<'_>) {
    if status.rows.is_empty() {
        return;
    }
    paper.title("Targets");
    let mut rows: Vec<[String; 6]> = Vec::new();
    for alike in alike(&status.rows) {
        let first = alike[0];
        let targets: Vec<TargetId> = alike.iter().map(|row| row.target.clone()).collect();
        let applied = times(alike.iter().filter_map(|row| row.applied_at_ms));
        let source = joined([first.pull_request.map_or_else(String::new, |number| format!("#{number}")), by(first)], " ");
        let commit = joined([first.commit.as_ref().map_or_else(String::new, |commit| short(commit)), source], " ");
        let waits = first.waits.as_ref().map_or_else(String::new, |waits| one_line(waits));
        let drift = if &*first.drift == "clean" { String::new() } else { one_line(&first.drift) };
        rows.push([
            format!("{} in {}", first.target.stack, extent.regions_of(&targets)),
            first.state.into(),
            commit,
            applied,
            drift,
            waits,
        ]);
    }
    paper.table(&["target", "state", "commit", "applied", "drift", "waits for"], &rows);
}

/// "approved by ada", or "by linus" who ran it without anybody's approval.
pub(in super::super) fn by(row: &StatusRow) -> String {
    let people = row.by.iter().map(|who| one_line(who)).collect::<Vec<_>>().join(", ");
    match (people.is_empty(), row.is_approved) {
        (true, _) => people,
        (false, true) => format!("approved by {people}"),
        (false, false) => format!("by {people}"),
    }
}

/// Rows of one stack that read the same, in the order of the first.
pub(in super::super) fn alike(rows: &[StatusRow]) -> Vec<Vec<&StatusRow>> {
    let mut alike: Vec<Vec<&StatusRow>> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for row in rows {
        let key = (&row.target.stack, row.state, &row.commit, row.pull_request, &row.by, row.is_approved, &row.drift, &row.waits);
        let at = *known.entry(key).or_insert(alike.len());
        match alike.get_mut(at) {
            Some(rows) => rows.push(row),
            None => alike.push(vec![row]),
        }
    }
    alike
}

/// How many targets there are in each state, as "3 failed, 1 unknown".
pub(in super::super) fn states(status: &Status) -> Vec<(&'static str, usize)> {
    let mut numbers: Vec<(&'static str, usize)> =
        ["failed", "unknown", "behind", "ahead", "to be destroyed", "never applied", "applied"].map(|state| (state, 0)).to_vec();
    for row in &status.rows {
        match numbers.iter_mut().find(|(state, _)| *state == row.state) {
            Some((_, number)) => *number += 1,
            None => numbers.push((row.state, 1)),
        }
    }
    numbers.retain(|(_, number)| *number > 0);
    numbers
}

/// The answer in one line.
pub(in super::super) fn headline(status: &Status) -> String {
    let applied = status.rows.iter().filter(|row| row.state == "applied").count();
    let drifted = status.rows.iter().filter(|row| !matches!(&*row.drift, "clean" | "not checked" | "")).count();
    let others = states(status)
        .into_iter()
        .filter(|(state, _)| *state != "applied")
        .map(|(state, number)| format!("{} {state}", thousands(number)));
    let all = match status.rows.len() {
        0 => "No targets".into(),
        all if applied == all => format!("All {} applied", counted(all, "target")),
        all => format!("{} of {} applied", thousands(applied), counted(all, "target")),
    };
    let drift = if drifted == 0 { String::new() } else { format!("{} drifted", thousands(drifted)) };
    let paused = if status.paused.is_some() { "paused".into() } else { String::new() };
    let stopped = match status.rollouts.iter().filter(|rollout| rollout.is_stopped).count() {
        0 => String::new(),
        number => format!("{} stopped", counted(number, "rollout")),
    };
    joined([joined([all].into_iter().chain(others), ", "), drift, stopped, paused], " · ")
}
