//! Stacks × regions by colour and symbol; lines that look alike are one.

use super::super::words::{counted, short, thousands, time};
use super::super::{Status, StatusRow};
use super::{escaped, is_drifted, look};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Cells that are drawn at most; a cell is about 100 bytes.
const CELLS_MAX: usize = 10_000;
/// Names that a line for many tells.
const NAMES_MAX: usize = 12;
/// Above so many columns their names stand upright.
const FLAT_MAX: usize = 8;

pub(super) fn section(status: &Status) -> String {
    if status.rows.is_empty() {
        return String::new();
    }
    let grid = Grid::of(status);
    let (rows, columns, noun) = if grid.regions.len() <= grid.stacks.len() {
        (&grid.stacks, &grid.regions, "stack")
    } else {
        (&grid.regions, &grid.stacks, "region")
    };
    let turned = noun == "region";
    let row_at = |row: usize, column: usize| grid.cells.get(&if turned { (column, row) } else { (row, column) }).copied();
    let head = status.head.as_deref();
    let appearance = |row: usize| {
        let look = |cell: Option<&StatusRow>| {
            cell.map_or("", |cell| look(cell, head).0).to_owned() + if cell.is_some_and(is_drifted) { "x" } else { "" }
        };
        (0..columns.len()).map(|column| look(row_at(row, column)) + ",").collect::<String>()
    };

    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for row in 0..rows.len() {
        let at = *known.entry(appearance(row)).or_insert(lines.len());
        match lines.get_mut(at) {
            Some(alike) => alike.push(row),
            None => lines.push(vec![row]),
        }
    }
    let calm = |row: usize| (0..columns.len()).all(|column| row_at(row, column).is_none_or(is_calm));
    lines.sort_by_key(|alike| calm(alike[0])); // stable; what is left out below is calm as long as anything calm is left
    let most = (CELLS_MAX / columns.len().max(1)).max(1);
    let mut body = String::new();
    for alike in lines.iter().take(most) {
        let _ = write!(body, "<tr><th scope=\"row\">{}</th>", names(rows, alike, noun)); // writing to a string does not fail
        (0..columns.len()).for_each(|column| body.push_str(&cell(row_at(alike[0], column), alike.len(), head)));
        body.push_str("</tr>\n");
    }
    let left: usize = lines.iter().skip(most).map(Vec::len).sum();
    let more = if left == 0 {
        String::new()
    } else {
        format!("<p>{} more: <code>isobar status --json</code></p>\n", counted(left, noun))
    };
    let upright = if columns.len() > FLAT_MAX { " class=\"upright\"" } else { "" };
    let heads: String = columns.iter().map(|column| format!("<th scope=\"col\"><span>{}</span></th>", escaped(column))).collect();
    format!(
        "<section>\n<h2>Stacks and regions</h2>\n<div class=\"wide\"><table class=\"map\">\n<thead><tr{upright}><th scope=\"col\">{noun}</th>{heads}</tr></thead>\n\
         <tbody>\n{body}</tbody>\n</table></div>\n{more}{}</section>\n",
        legend(status)
    )
}

/// Nobody needs to look at it.
fn is_calm(row: &StatusRow) -> bool {
    row.state == "applied" && !is_drifted(row)
}

/// Every row at its stack and region.
struct Grid<'a> {
    stacks: Vec<&'a str>,
    regions: Vec<&'a str>,
    cells: BTreeMap<(usize, usize), &'a StatusRow>,
}

impl<'a> Grid<'a> {
    fn of(status: &'a Status) -> Self {
        let mut grid = Self { stacks: Vec::new(), regions: Vec::new(), cells: BTreeMap::new() };
        let (mut stacks, mut regions) = (BTreeMap::new(), BTreeMap::new());
        for row in &status.rows {
            let stack = place(&mut grid.stacks, &mut stacks, row.target.stack.as_str());
            let region = place(&mut grid.regions, &mut regions, row.target.region.as_str());
            grid.cells.insert((stack, region), row);
        }
        grid
    }
}

fn place<'a>(names: &mut Vec<&'a str>, known: &mut BTreeMap<&'a str, usize>, name: &'a str) -> usize {
    *known.entry(name).or_insert_with(|| {
        names.push(name);
        names.len() - 1
    })
}

fn names(names: &[&str], alike: &[usize], noun: &str) -> String {
    let told: Vec<String> = alike.iter().take(NAMES_MAX).map(|at| escaped(names[*at])).collect();
    match alike.len() {
        1..=3 => told.join(", "),
        many => {
            let more = if many > NAMES_MAX { format!(" and {} more", thousands(many - NAMES_MAX)) } else { String::new() };
            format!("<details><summary>{} alike</summary>{}{more}</details>", counted(many, noun), told.join(", "))
        }
    }
}

fn cell(row: Option<&StatusRow>, alike: usize, head: Option<&str>) -> String {
    let Some(row) = row else { return "<td></td>".into() };
    let (class, symbol, words) = look(row, head);
    let drifted = if is_drifted(row) { (" ≠", ", drifted", " x") } else { ("", "", "") };
    let when = match (&row.commit, row.applied_at_ms) {
        (Some(commit), Some(at)) if alike == 1 => format!(", {} at {}", short(commit), time(at)),
        _ => String::new(),
    };
    format!(
        "<td class=\"{class}{}\" title=\"{}: {}{}{}\">{symbol}{}</td>",
        drifted.2,
        row.target.region,
        escaped(words),
        drifted.1,
        escaped(&when),
        drifted.0
    )
}

fn legend(status: &Status) -> String {
    let head = status.head.as_deref();
    let mut entries: Vec<(&str, &str, &str)> = Vec::new();
    for row in &status.rows {
        let look = look(row, head);
        if !entries.contains(&look) {
            entries.push(look);
        }
    }
    let mut text: String = entries
        .iter()
        .map(|(class, symbol, words)| format!("<span><i class=\"{class}\">{symbol}</i> {}</span>\n", escaped(words)))
        .collect();
    if status.rows.iter().any(is_drifted) {
        text.push_str("<span><i class=\"x\">≠</i> drifted</span>\n");
    }
    format!("<p class=\"legend\">\n{text}</p>\n")
}
