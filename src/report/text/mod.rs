//! Plain and coloured text for terminals and logs. Signs and words carry the meaning; colour only helps.

mod diff;
mod forecast;
mod ink;
mod status;

pub use forecast::forecast_text;
pub use status::status_text;
pub(super) use status::{alike, by, headline as status_headline, job, states, written};

use super::tell::{self, Lost, Said};
use super::words::{Extent, counted, joined, one_line};
use super::{Counts, JournalHead, Report, Told, WaveLine};
use crate::drift::Drift;
use ink::{Ink, Paper};

/// Colour or not; decided by the caller, who knows the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Colour,
}

/// How much of each group's diffs is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diffs {
    /// About a screen of each group; what is destroyed is always told, above the groups.
    Bounded,
    Whole,
}

/// Renders a report for a terminal or a log.
pub fn report_text(report: &Report, style: Style, diffs: Diffs) -> String {
    let counts = report.counts();
    let extent = tell::extent(report);
    let mut paper = Paper::new(style);

    head(&mut paper, report, &counts);
    said(&mut paper, &tell::said(report), &extent);
    lost(&mut paper, report.told, &tell::lost(report), &extent);
    diff::groups(&mut paper, &report.fold, &extent, diffs);
    waves(&mut paper, &report.waves);
    if let Some(drift) = &report.drift {
        findings(&mut paper, drift, &extent);
    }
    notes(&mut paper, report);
    next(&mut paper, report);
    paper.text()
}

fn head(paper: &mut Paper, report: &Report, counts: &Counts) {
    paper.line(Ink::Bold, &tell::headline(report, counts));
    match &report.nothing {
        Some(why) if report.rows.is_empty() => paper.lines("", &tell::sentence_lines(why)),
        _ => paper.line(Ink::Plain, &tell::counts_line(report, counts)),
    }
    paper.line(Ink::Faint, &tell::state_line(report, counts));
    journal(paper, report.journal.as_ref());
    let Some(gate) = tell::gate(report) else { return };
    match gate.closed {
        Some(why) => paper.line(Ink::Plain, &format!("Gate closed: {why}")),
        None => paper.line(Ink::Good, "Gate open: every change is cleared"),
    }
    for (sentence, targets) in gate.cleared {
        paper.line(Ink::Plain, &format!("  cleared, {}: {}", counted(targets.len(), "target"), one_line(sentence)));
    }
}

/// One quiet line, to be copied by whoever wants an anchor.
fn journal(paper: &mut Paper, head: Option<&JournalHead>) {
    if let Some(head) = head {
        paper.line(Ink::Faint, &head.to_string());
    }
}

fn said(paper: &mut Paper, said: &[Said<'_>], extent: &Extent<'_>) {
    let mut last = None;
    for one in said {
        if last != Some(one.standing) {
            paper.title(one.standing.title());
            last = Some(one.standing);
        }
        let lines = tell::sentence_lines(&one.sentence);
        let first = lines.first().map_or("", String::as_str);
        paper.line(Ink::of_standing(one.standing), &format!("  {} {first}", one.standing.symbol()));
        paper.lines("    ", lines.get(1..).unwrap_or_default());
        paper.line(Ink::Plain, &format!("    {}", extent.places(one.targets.iter().copied())));
        if let Some(next) = &one.next {
            paper.line(Ink::Plain, &format!("    next: {}", one_line(next)));
        }
    }
}

fn lost(paper: &mut Paper, told: Told, lost: &[Lost<'_>], extent: &Extent<'_>) {
    if lost.is_empty() {
        return;
    }
    paper.title(match told {
        Told::Preview | Told::Judge | Told::Drift => "To delete or replace",
        Told::Apply | Told::Tick | Told::Recover => "Deletes and replacements",
    });
    for one in lost {
        paper.line(Ink::Plain, &format!("  {}", extent.places(one.targets.iter().copied())));
        for address in &one.addresses {
            paper.line(Ink::of_action(one.action), &format!("    {} {}", one.action.sign(), one_line(address)));
        }
    }
}

fn waves(paper: &mut Paper, waves: &[WaveLine]) {
    if !waves.is_empty() {
        paper.title("Waves");
        wave_table(paper, waves);
    }
}

fn wave_table(paper: &mut Paper, waves: &[WaveLine]) {
    let rows = waves.iter().map(|wave| {
        let done = format!("{} of {}", wave.done, wave.targets);
        let failed = if wave.failed == 0 { String::new() } else { format!("{} failed", wave.failed) };
        [one_line(&wave.name), done, failed, one_line(&wave.state)]
    });
    paper.table(&["wave", "done", "", "state"], &rows.collect::<Vec<_>>());
}

fn findings(paper: &mut Paper, drift: &Drift, extent: &Extent<'_>) {
    if drift.is_empty() {
        return;
    }
    paper.title("Drift");
    for finding in &drift.findings {
        let why = finding.why.as_ref().map_or_else(String::new, |why| one_line(why));
        let class = joined([tell::finding_title(finding).into(), why], ": ");
        paper.line(Ink::Warn, &format!("  {class}"));
        paper.line(Ink::Plain, &format!("    {}", extent.places(&finding.targets)));
        for address in &finding.addresses {
            paper.line(Ink::Plain, &format!("    {}", one_line(address)));
        }
    }
}

fn notes(paper: &mut Paper, report: &Report) {
    if report.notes.is_empty() {
        return;
    }
    paper.title("Notes");
    for note in &report.notes {
        let (ink, word) = if note.warning { (Ink::Warn, "warning: ") } else { (Ink::Plain, "") };
        let lines = tell::sentence_lines(&note.text);
        paper.line(ink, &format!("  {word}{}", lines.first().map_or("", String::as_str)));
        paper.lines("  ", lines.get(1..).unwrap_or_default());
    }
}

fn next(paper: &mut Paper, report: &Report) {
    if report.next.is_empty() {
        return;
    }
    paper.title("Next");
    for step in &report.next {
        paper.line(Ink::Plain, &format!("  {}", one_line(step)));
    }
}
