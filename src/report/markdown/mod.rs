//! The pull-request comment: one, readable, within a byte budget, destructive changes never folded away.
//!
//! What never shrinks is composed first, then the rest is filled up; every cut says how much is elsewhere, and where.

mod budget;
mod escape;
mod group;
mod lists;
mod matrix;

use super::tell;
use super::words::{counted, joined, short, thousands};
use super::{Counts, Report, Told};
use crate::change::inert;
use budget::Shrinking;
use escape::{fenced, plain, prose};
use lists::{Entry, Section, holds};

/// The default budget of a comment in bytes of UTF-8.
pub const COMMENT_BYTES: usize = 60_000;
/// The least budget: smaller ones are raised to it.
const BUDGET_MIN: usize = 16_384;
/// A step summary above 1 MiB is dropped whole.
const WHOLE_BYTES: usize = 1_000_000;
/// Parts of a comment in which a long list of destructive changes goes on, the first included.
const PARTS_MAX: usize = 5;
/// Bytes kept for sentences that name what was cut, and for blank lines between sections.
const SPARE_BYTES: usize = 600;
/// Where everything is, whoever runs us.
const IN_JSON: &str = "the JSON report (`--json`)";
/// Lines of a failure that are told; the log has all.
const FAILURE_LINES: usize = 200;
/// Reasons for a clearance that are told.
const REASONS_MAX: usize = 3;

/// A composed comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub body: String,
    /// The whole text, when `body` had to be shortened: for the step summary.
    pub whole: Option<String>,
    /// Further comments in which the list of destructive changes goes on, when it does not fit into `body`.
    /// Where they cannot be published, `body` says truly that they are numbered parts, and `whole` has them too.
    pub more: Vec<String>,
}

/// Composes the comment within `budget` bytes; what never shrinks comes first, then the rest is filled up.
pub fn comment(report: &Report, budget: usize) -> Comment {
    // Only a workflow's run has a step summary.
    let rest = if report.frame.has_summary { "the step summary of this run" } else { IN_JSON };
    let short = Composed::of(report, budget, PARTS_MAX, rest);
    let whole = short.cut.then(|| Composed::of(report, budget.max(WHOLE_BYTES), 1, IN_JSON).body);
    Comment { body: short.body, whole, more: short.more }
}

struct Composed {
    body: String,
    more: Vec<String>,
    cut: bool,
}

impl Composed {
    fn of(report: &Report, budget: usize, parts_max: usize, rest: &str) -> Self {
        let budget = budget.max(BUDGET_MIN);
        let counts = report.counts();
        let extent = tell::extent(report);
        let head = head(report, &counts);
        let foot = foot(report, &counts, budget / 4, rest);
        let around = head.iter().map(String::len).sum::<usize>() + foot.0.len();
        let room = budget.saturating_sub(SPARE_BYTES + around);

        let said = lists::said(&tell::said(report), &extent);
        let lost = lists::lost(report.told, &tell::lost(report), &extent);
        let said_room =
            if said.bytes() + lost.bytes() <= room { room } else { (room / 2).max(room.saturating_sub(lost.bytes())) };
        let (said, said_missing) = said.fit_or_say(said_room, rest);
        let lost = Lost::of(&lost, room - said.len(), budget, parts_max);
        let mut left = room - said.len() - lost.text.len();
        let mut cut = foot.1 || said_missing > 0 || lost.missing > 0 || !lost.more.is_empty();
        let mut list = |section: Section| {
            let (text, missing) = section.fit_or_say(left / 2, rest);
            left = left.saturating_sub(text.len() + 2);
            cut |= missing > 0;
            text
        };
        let waves = list(lists::waves(&report.waves));
        let drift = list(
            report
                .drift
                .as_ref()
                .map_or(Section { title: String::new(), entries: Vec::new() }, |drift| lists::findings(drift, &extent)),
        );
        let notes = list(lists::notes(report));
        let shrunk = Shrinking::new(matrix::forms(report, &extent), &report.fold.groups, &extent, rest).into(left);

        let [verdict, lines] = head;
        let missing = lost.says_missing(rest);
        let sections =
            [format!("{verdict}{missing}"), lines, said, lost.text, waves, drift, shrunk.matrix, shrunk.groups, notes, foot.0];
        Self {
            body: joined(sections.into_iter().map(|section| section.trim_matches('\n').to_owned()), "\n\n") + "\n",
            more: lost.more,
            cut: cut || shrunk.cut,
        }
    }
}

/// The list of destructive changes, over as many parts as it takes.
struct Lost {
    text: String,
    more: Vec<String>,
    missing: usize,
    all: usize,
}

impl Lost {
    fn of(section: &Section, room: usize, budget: usize, parts_max: usize) -> Self {
        let all = holds(&section.entries);
        let (mut text, mut others) = section.fit(room);
        let mut parts: Vec<String> = Vec::new();
        while !others.is_empty() && parts.len() + 1 < parts_max {
            let room = budget.saturating_sub(SPARE_BYTES + section.title.len());
            let fitting = fitting(others, room);
            if fitting == 0 {
                break;
            }
            parts.push(others[..fitting].iter().map(|entry| entry.text.as_str()).collect());
            others = &others[fitting..];
        }
        let number = parts.len() + 1;
        if number > 1 {
            text.push_str(&format!("\n*The list goes on in parts 2 to {number} of this comment.*\n"));
        }
        let part = |(nth, text): (usize, String)| {
            format!("{} *(part {} of {number})*\n{text}", section.title.trim_end().replace("**\n", "**"), nth + 2)
        };
        Self { text, more: parts.into_iter().enumerate().map(part).collect(), missing: holds(others), all }
    }

    /// What the verdict says when not even the parts hold all.
    fn says_missing(&self, rest: &str) -> String {
        match self.missing {
            0 => String::new(),
            missing => format!(
                "\n**{} of {} deletions and replacements are not listed here: they are in {rest}.**\n",
                thousands(missing),
                thousands(self.all)
            ),
        }
    }
}

fn fitting(entries: &[Entry], room: usize) -> usize {
    let mut bytes = 0;
    entries
        .iter()
        .take_while(|entry| {
            bytes += entry.text.len();
            bytes <= room
        })
        .count()
}

/// Verdict, then counts, state and gate.
fn head(report: &Report, counts: &Counts) -> [String; 2] {
    let mut lines = vec![match &report.nothing {
        Some(why) if report.rows.is_empty() => format!("0 targets: {}", prose(why)),
        _ => plain(&tell::counts_line(report, counts)),
    }];
    let links = report.frame.links.iter().filter_map(|(label, address)| link(label, address));
    lines.push(joined([prose(&tell::state_line(report, counts))].into_iter().chain(links), " · "));
    if let Some(gate) = tell::gate(report) {
        lines.push(
            gate.closed.map_or_else(|| "**Gate open**: every change is cleared".into(), |why| format!("**Gate closed**: {why}")),
        );
        let reasons = gate.cleared.iter().take(REASONS_MAX);
        lines.extend(
            reasons.map(|(sentence, targets)| format!("Cleared, {}: {}", counted(targets.len(), "target"), prose(sentence))),
        );
        if gate.cleared.len() > REASONS_MAX {
            lines.push(format!("Cleared for {} too", counted(gate.cleared.len() - REASONS_MAX, "other reason")));
        }
    }
    [format!("### {}\n", tell::headline(report, counts)), lines.join("  \n") + "\n"]
}

/// A link, when its address is one of the web and holds nothing that could end it.
fn link(label: &str, address: &str) -> Option<String> {
    let harmless = |c: char| c.is_ascii_graphic() && !['(', ')', '<', '>', '[', ']', '\\', '`', '"', '\''].contains(&c);
    let web = address.starts_with("https://") || address.starts_with("http://");
    (web && address.chars().all(harmless)).then(|| format!("[{}]({address})", prose(label)))
}

/// Returns what a change is told when the command failed before there was a report: which, of what commit, and why.
pub fn failure(told: Told, head: &str, why: &str) -> String {
    let verb = match told {
        Told::Preview => "preview",
        Told::Judge => "judgement",
        Told::Apply => "apply",
        Told::Tick => "tick",
        Told::Drift => "look for drift",
        Told::Recover => "recovery",
    };
    let lines: Vec<String> = inert(why).lines().take(FAILURE_LINES).map(str::to_string).collect();
    let by = format!("<sub>isobar {}</sub>", env!("CARGO_PKG_VERSION"));
    format!("### The {verb} of {} failed\n\n{}\n{by}\n", short(head), fenced("", &lines))
}

/// Returns plain text as a block in which nothing of it is more than text; of a long one the beginning.
pub fn quoted(text: &str) -> String {
    let text = inert(text);
    let mut room = COMMENT_BYTES / 2; // a character may take more than a byte, and a fence is no longer than what it holds
    let fits = |line: &&str| {
        let fits = line.len() < room;
        room = room.saturating_sub(line.len() + 1);
        fits
    };
    let mut lines: Vec<String> = text.lines().take_while(fits).map(str::to_string).collect();
    let left = text.lines().count() - lines.len();
    lines.extend((left > 0).then(|| format!("… and {} more", counted(left, "line"))));
    fenced("", &lines)
}

/// What needs no reading, then what to type next; and whether something was cut.
fn foot(report: &Report, counts: &Counts, room: usize, rest: &str) -> (String, bool) {
    let unchanged = tell::unchanged_line(report, counts).unwrap_or_default();
    let (next, missing) = lists::next(report).fit_or_say(room, rest);
    let head = report.journal.as_ref().map_or_else(String::new, |head| format!(" · {}", plain(&head.to_string())));
    let by = format!("<sub>isobar {}{head}</sub>", env!("CARGO_PKG_VERSION"));
    (joined([unchanged, next.trim_end().to_owned(), by], "\n\n"), missing > 0)
}
