//! Stacks × regions at a glance: one symbol and count a target, lines that are alike in one.

use super::super::tell::{self, Standing};
use super::super::words::{Extent, counted, joined};
use super::super::{Report, Row, RowState};
use crate::stack::TargetId;
use std::collections::BTreeMap;

/// Columns beside the names.
const COLUMNS_MAX: usize = 12;

/// The matrix in its forms, the longest first; empty when one target says it all.
pub(super) fn forms(report: &Report, extent: &Extent<'_>) -> Vec<String> {
    let cells = Cells::of(report);
    let axes = cells.stacks.len().min(cells.regions.len());
    if report.rows.len() < 2 || axes == 0 {
        return Vec::new();
    }
    let list = list(report, extent);
    if axes <= COLUMNS_MAX { vec![cells.table() + &legend(report), list] } else { vec![list] }
}

/// What each target shows; targets and whole axes that would not change are left out.
struct Cells<'a> {
    stacks: Vec<&'a str>,
    regions: Vec<&'a str>,
    cells: BTreeMap<(usize, usize), String>,
}

impl<'a> Cells<'a> {
    fn of(report: &'a Report) -> Self {
        let (mut stacks, mut regions) = (Axis::default(), Axis::default());
        let mut cells = BTreeMap::new();
        let moving: std::collections::BTreeSet<&str> =
            report.rows.iter().filter(|row| row.state != RowState::Unchanged).map(|row| row.target.stack.as_str()).collect();
        for row in report.rows.iter().filter(|row| moving.contains(row.target.stack.as_str())) {
            let at = (stacks.at(row.target.stack.as_str()), regions.at(row.target.region.as_str()));
            cells.insert(at, symbol(row));
        }
        Self { stacks: stacks.names, regions: regions.names, cells }
    }

    fn table(&self) -> String {
        let turned = self.stacks.len() > self.regions.len();
        let (rows, columns, noun) =
            if turned { (&self.stacks, &self.regions, "stack") } else { (&self.regions, &self.stacks, "region") };
        let cell = |row: usize, column: usize| {
            let at = if turned { (row, column) } else { (column, row) };
            self.cells.get(&at).map_or("", String::as_str)
        };
        let line = |row: usize| (0..columns.len()).map(|column| cell(row, column)).collect::<Vec<_>>().join(" | ");

        let mut lines: Vec<(String, Vec<usize>)> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for row in 0..rows.len() {
            let line = line(row);
            match known.get(&line) {
                Some(at) => lines[*at].1.push(row),
                None => {
                    known.insert(line.clone(), lines.len());
                    lines.push((line, vec![row]));
                }
            }
        }
        let mut table = format!("| {noun} | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 1));
        for (line, alike) in lines {
            let name = match alike[..] {
                [one] => rows[one].to_owned(),
                [one, two] => format!("{}, {}", rows[one], rows[two]),
                _ => format!("{} alike", counted(alike.len(), noun)),
            };
            table.push_str(&format!("| {name} | {line} |\n"));
        }
        table
    }
}

/// Names in the order in which they come.
#[derive(Default)]
struct Axis<'a> {
    names: Vec<&'a str>,
    known: BTreeMap<&'a str, usize>,
}

impl<'a> Axis<'a> {
    fn at(&mut self, name: &'a str) -> usize {
        let names = &mut self.names;
        *self.known.entry(name).or_insert_with(|| {
            names.push(name);
            names.len() - 1
        })
    }
}

/// Stack by stack, the places of each symbol.
fn list(report: &Report, extent: &Extent<'_>) -> String {
    let mut order = Vec::new();
    let mut places: BTreeMap<(&str, String), Vec<&TargetId>> = BTreeMap::new();
    for row in report.rows.iter().filter(|row| row.state != RowState::Unchanged) {
        let key = (row.target.stack.as_str(), symbol(row));
        let targets = places.entry(key.clone()).or_default();
        if targets.is_empty() {
            order.push(key);
        }
        targets.push(&row.target);
    }
    let line = |key| format!("- {} : {}\n", key_symbol(&key), extent.places(places[&key].iter().copied()));
    order.into_iter().map(line).collect::<String>() + &legend(report)
}

fn key_symbol((_, symbol): &(&str, String)) -> String {
    format!("{symbol} ")
}

/// `+3 ~2`, `·`, `✗`: signs are escaped, so that none of them begins a list or a strike.
fn symbol(row: &Row) -> String {
    let changes = tell::signs(row.preview.iter().flat_map(|preview| &preview.changes))
        .replace('~', "\\~")
        .replace('-', "\\-")
        .replace('+', "\\+");
    let mark = match (&row.state, tell::standing(row)) {
        (RowState::Unchanged, _) => return "·".into(),
        (RowState::Applied, _) => "✓".into(),
        (_, Some((standing, ..))) => escaped(standing),
        (_, None) => String::new(),
    };
    let text = joined([mark, changes], " ");
    if text.is_empty() { TO_COME.into() } else { text }
}

/// Of what has not been seen to change, and has no end yet.
const TO_COME: &str = "…";

fn escaped(standing: Standing) -> String {
    super::escape::plain(&standing.symbol().to_string())
}

/// Says what the symbols stand for that occur.
fn legend(report: &Report) -> String {
    let has = |wanted: &dyn Fn(&Row) -> bool| report.rows.iter().any(wanted);
    let standing = |standing: Standing| {
        let there = has(&|row| tell::standing(row).is_some_and(|(it, ..)| it == standing));
        if there { format!("{} {}", escaped(standing), standing.title().to_lowercase()) } else { String::new() }
    };
    let action = |(sign, word, number): (&str, &str, usize)| if number == 0 { String::new() } else { format!("{sign} {word}") };
    let counts = report.counts();
    let actions = [
        ("\\+", "create", counts.create),
        ("\\~", "update", counts.update),
        ("±", "replace", counts.replace),
        ("\\-", "delete", counts.delete),
        ("→", "move", counts.moved),
    ];
    let plain = [
        (has(&|row| row.state == RowState::Unchanged), "· unchanged"),
        (has(&|row| row.state == RowState::Applied), "✓ applied"),
        (report.goes_on && counts.change > 0, "… to come"),
    ];
    let plain = plain.into_iter().map(|(there, text)| if there { text.to_owned() } else { String::new() });
    let symbols = joined(actions.into_iter().map(action).chain(plain).chain(Standing::ALL.map(standing)), " &nbsp; ");
    format!("\n<sub>{symbols}</sub>\n")
}
