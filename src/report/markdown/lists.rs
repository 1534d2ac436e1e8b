//! Sections made of entries. An entry is cut whole or not at all, and whoever cuts says how many and where they are.

use super::super::tell::{self, Lost, Said};
use super::super::words::{Extent, counted, joined, one_line};
use super::super::{Report, Told, WaveLine};
use super::escape::{code, cut, fenced, plain, prose};
use crate::change::Action;
use crate::drift::Drift;
use std::sync::Arc;

/// Lines of one sentence that are shown at most.
const SENTENCE_LINES: usize = 12;
/// Bytes of addresses in one entry, so that a cut does not lose many.
const ADDRESS_BYTES: usize = 400;
/// Bytes kept for the line that says what was cut.
const CUT_BYTES: usize = 160;

/// A section: its title and its entries, in Markdown.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
}

/// Some lines that are cut together.
pub(super) struct Entry {
    pub(super) text: String,
    /// How many things it tells of.
    pub(super) holds: usize,
}

impl Section {
    pub(super) fn bytes(&self) -> usize {
        if self.entries.is_empty() {
            0
        } else {
            self.title.len() + 1 + self.entries.iter().map(|entry| entry.text.len()).sum::<usize>()
        }
    }

    /// Returns as many entries as fit into `room`, and the others.
    pub(super) fn fit(&self, room: usize) -> (String, &[Entry]) {
        if self.entries.is_empty() {
            return (String::new(), &[]);
        }
        let whole = self.bytes() <= room;
        let mut text = format!("{}\n", self.title);
        let mut fitting = 0;
        for entry in &self.entries {
            if !whole && text.len() + entry.text.len() + CUT_BYTES > room {
                break;
            }
            text.push_str(&entry.text);
            fitting += 1;
        }
        (text, &self.entries[fitting..])
    }

    /// As [`Section::fit`], with a line that says how many are in `rest`.
    pub(super) fn fit_or_say(&self, room: usize, rest: &str) -> (String, usize) {
        let (mut text, others) = self.fit(room);
        let missing = holds(others);
        if missing > 0 {
            text.push_str(&more(missing, "entry", rest));
        }
        (text, missing)
    }
}

/// Says what was cut and where it is.
pub(super) fn more(missing: usize, noun: &str, rest: &str) -> String {
    let verb = if missing == 1 { "is" } else { "are" };
    let noun = counted(missing, noun);
    let (number, noun) = noun.split_once(' ').unwrap_or((&noun, ""));
    format!("\n*{number} more {noun} {verb} in {rest}.*\n")
}

pub(super) fn holds(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.holds).sum()
}

/// What there is to say of single targets: failed, unknown, denied, waiting, skipped, not started.
pub(super) fn said(said: &[Said<'_>], extent: &Extent<'_>) -> Section {
    let entry = |one: &Said<'_>| {
        let places = extent.places(one.targets.iter().copied());
        let lines = tell::sentence_lines(&one.sentence);
        let word = one.standing.title().to_lowercase();
        let mut text = format!("- {} **{word}** {places}: {}\n", plain(&one.standing.symbol().to_string()), prose(&lines[0]));
        text.push_str(&block(&lines[1..]));
        if let Some(next) = &one.next {
            if lines.len() == 1 {
                text.insert_str(text.len() - 1, "  "); // a line break, not a space
            }
            text.push_str(&format!("  Next: {}\n", prose(next)));
        }
        Entry { text, holds: one.targets.len() }
    };
    Section { title: String::new(), entries: said.iter().map(entry).collect() }
}

/// Further lines of a sentence, fenced inside a list entry.
fn block(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut shown = lines[..lines.len().min(SENTENCE_LINES)].to_vec();
    if lines.len() > SENTENCE_LINES {
        shown.push(format!("… ({})", counted(lines.len() - SENTENCE_LINES, "more line")));
    }
    let block = fenced("text", &shown);
    format!("\n{}\n", block.lines().map(|line| format!("  {line}\n")).collect::<String>())
}

/// Every deleted or replaced address with its places.
pub(super) fn lost(told: Told, lost: &[Lost<'_>], extent: &Extent<'_>) -> Section {
    let title = match told {
        Told::Preview | Told::Judge | Told::Drift => "**To delete or replace**\n",
        Told::Apply | Told::Tick | Told::Recover => "**Deletes and replacements**\n",
    };
    let entries = lost.iter().flat_map(|one| {
        let word = if one.action == Action::Replace { "replace" } else { "delete" };
        addressed(
            &format!("- {} **{word}** {}", plain(&one.action.sign().to_string()), extent.places(one.targets.iter().copied())),
            &one.addresses,
        )
    });
    Section { title: title.into(), entries: entries.collect() }
}

/// One entry a few hundred bytes of addresses, each with the same beginning.
fn addressed(beginning: &str, addresses: &[Arc<str>]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for address in addresses {
        let address = code(address);
        match entries.last_mut() {
            Some(entry) if entry.text.len() - beginning.len() + address.len() < ADDRESS_BYTES => {
                entry.text.push_str(&format!(", {address}"));
                entry.holds += 1;
            }
            _ => entries.push(Entry { text: format!("{beginning}: {address}"), holds: 1 }),
        }
    }
    entries.iter_mut().for_each(|entry| entry.text.push('\n'));
    entries
}

pub(super) fn waves(waves: &[WaveLine]) -> Section {
    let cell = |text: &str| plain(&cut(&one_line(text)));
    let row = |wave: &WaveLine| {
        let text =
            format!("| {} | {} of {} | {} | {} |\n", cell(&wave.name), wave.done, wave.targets, wave.failed, cell(&wave.state));
        Entry { text, holds: 1 }
    };
    Section {
        title: "| wave | done | failed | state |\n| --- | --- | --- | --- |".into(),
        entries: waves.iter().map(row).collect(),
    }
}

pub(super) fn findings(drift: &Drift, extent: &Extent<'_>) -> Section {
    let entry = |finding: &crate::drift::Finding| {
        let why = finding.why.as_ref().map_or_else(String::new, |why| prose(why));
        let beginning = format!("- **{}** {}", tell::finding_title(finding), extent.places(&finding.targets));
        match finding.addresses.is_empty() {
            true => vec![Entry { text: format!("{}\n", joined([beginning, why], ": ")), holds: 1 }],
            false => addressed(&joined([beginning, why], ", "), &finding.addresses),
        }
    };
    Section { title: "**Drift**\n".into(), entries: drift.findings.iter().flat_map(entry).collect() }
}

pub(super) fn notes(report: &Report) -> Section {
    let entry = |note: &super::super::Note| {
        let lines = tell::sentence_lines(&note.text);
        let word = if note.warning { "**warning**: " } else { "" };
        Entry { text: format!("- {word}{}\n{}", prose(&lines[0]), block(&lines[1..])), holds: 1 }
    };
    Section { title: "**Notes**\n".into(), entries: report.notes.iter().map(entry).collect() }
}

pub(super) fn next(report: &Report) -> Section {
    let entry = |step: &Arc<str>| Entry { text: format!("- {}\n", typed(step)), holds: 1 };
    Section { title: "**Next**\n".into(), entries: report.next.iter().map(entry).collect() }
}

/// Marks as code what can be typed; what is said about it, two spaces on, is prose.
fn typed(step: &str) -> String {
    let (command, about) = step.split_once("  ").map_or((step, None), |(command, about)| (command, Some(about.trim())));
    let is_typed = ["isobar ", "git ", "export "].iter().any(|program| command.starts_with(program));
    let command = if is_typed { code(command) } else { prose(command) };
    about.map_or(command.clone(), |about| format!("{command} {}", prose(about)))
}
