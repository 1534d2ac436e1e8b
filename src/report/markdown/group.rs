//! One group of equal changes: its title always open, its diff folded, its values in a table.

use super::super::tell::{self, Beside};
use super::super::words::{Extent, counted, joined, one_line};
use super::escape::{cell, code, cut, fence, longest_run, prose};
use super::lists::more;
use crate::change::{Change, Detail, Group, diff_lines, inert};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// Resources that are named when not all can be.
const RESOURCES: usize = 10;
/// Regions that a title names.
const TITLE_REGIONS: usize = 4;

/// How much of a group is shown, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Whole,
    Addresses,
    SomeAddresses,
    Title,
}

/// Writes the group in a form; `rest` is where the whole of it is.
pub(super) fn write(out: &mut impl Write, group: &Group, extent: &Extent<'_>, form: Form, rest: &str) -> fmt::Result {
    let changes = &group.preview.changes;
    if form == Form::Title {
        return writeln!(out, "- {}", title(group, ["**", "**"], extent.regions_of(&group.targets)));
    }
    let short = if group.targets.len() <= TITLE_REGIONS {
        extent.regions_of(&group.targets)
    } else {
        counted(group.targets.len(), "region")
    };
    writeln!(out, "<details><summary>{}</summary>\n", title(group, ["<b>", "</b>"], short))?;
    if group.targets.len() > TITLE_REGIONS {
        writeln!(out, "In {}.\n", group.targets.iter().map(|target| target.region.as_str()).collect::<Vec<_>>().join(", "))?;
    }
    match form {
        Form::Whole if group.differs.is_empty() => changes.iter().try_for_each(|change| whole(out, change))?,
        Form::Whole => beside(out, group)?,
        Form::Addresses => addresses(out, group, changes.len(), rest)?,
        Form::SomeAddresses | Form::Title => addresses(out, group, RESOURCES, rest)?,
    }
    values(out, group)?;
    writeln!(out, "</details>\n")
}

/// "network A · 38 regions · +1 ~2 · differs from A by 2 lines".
fn title(group: &Group, [bold, light]: [&str; 2], regions: String) -> String {
    let differs = if group.differs_lines == 0 {
        String::new()
    } else {
        format!("differs from A by {}", counted(group.differs_lines, "line"))
    };
    joined(
        [
            format!("{bold}{} {}{light}", group.stack, group.letter),
            regions,
            tell::signs(&group.preview.changes).replace('~', "&#126;"),
            differs,
        ],
        " · ",
    )
}

fn whole(out: &mut impl Write, change: &Change) -> fmt::Result {
    let sign = change.action.sign();
    match &change.detail {
        Detail::Hidden(why) => writeln!(
            out,
            "**{}** {} {}, {}\n",
            sign_text(sign),
            code(&change.address),
            code(&change.kind),
            super::escape::prose(why)
        ),
        Detail::Text(_) | Detail::Fields(_) => {
            writeln!(out, "**{}** {} ({})\n", sign_text(sign), code(&change.address), prose(&change.kind))?;
            let mut lines = Vec::new();
            diff_lines(&change.detail, |sign, line| push_line(&mut lines, sign, line));
            block(out, &lines)
        }
    }
}

fn sign_text(sign: char) -> String {
    super::escape::plain(&sign.to_string())
}

/// Shows what is other than in group A.
fn beside(out: &mut impl Write, group: &Group) -> fmt::Result {
    let mut explained = false;
    group.differs.iter().try_for_each(|(address, diff)| {
        let mut shown = Vec::new();
        match tell::beside(diff) {
            Beside::Only(words, what, lines) => {
                writeln!(out, "{}: {}, {words}\n", code(address), prose(what))?;
                lines.into_iter().for_each(|line| push_line(&mut shown, "", line.into()));
            }
            Beside::Both(lines) => {
                let how = if explained { "" } else { ": first sign `-` only in A, `+` only here; second sign the change itself" };
                explained = true;
                writeln!(out, "{}{how}\n", code(address))?;
                lines.into_iter().for_each(|line| push_line(&mut shown, "", line.into()));
            }
        }
        block(out, &shown)
    })
}

/// Keeps the sign in column 0 of every line, even of a line that hides line ends.
fn push_line(lines: &mut Vec<String>, sign: &str, line: Cow<'_, str>) {
    lines.extend(inert(&line).split('\n').map(|line| cut(&format!("{sign}{line}"))));
}

fn block(out: &mut impl Write, lines: &[String]) -> fmt::Result {
    let fence = fence(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0));
    writeln!(out, "{fence}diff")?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out, "{fence}\n")
}

/// Names the resources, and says how many lines or resources are elsewhere.
fn addresses(out: &mut impl Write, group: &Group, most: usize, rest: &str) -> fmt::Result {
    let changes = &group.preview.changes;
    for change in changes.iter().take(most) {
        writeln!(out, "- {} {}", sign_text(change.action.sign()), code(&change.address))?;
    }
    if changes.len() > most {
        out.write_str(&more(changes.len() - most, "resource", rest))?;
    }
    let lines: usize = changes.iter().map(|change| lines_of(&change.detail)).sum();
    writeln!(out, "\n*{} of diff {} in {rest}.*\n", counted(lines, "line"), if lines == 1 { "is" } else { "are" })
}

fn lines_of(detail: &Detail) -> usize {
    let mut lines = 0;
    diff_lines(detail, |_, _| lines += 1);
    lines
}

/// The values behind the names, region by region; what the region's own name says already is left out.
fn values(out: &mut impl Write, group: &Group) -> fmt::Result {
    let columns: Vec<_> = tell::telling_values(group).collect();
    if columns.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = columns.iter().map(|(name, _)| cell(&one_line(name))).collect();
    writeln!(out, "| region | {} |\n|{}", names.join(" | "), " --- |".repeat(columns.len() + 1))?;
    group.targets.iter().enumerate().try_for_each(|(nth, target)| {
        let values: Vec<String> =
            columns.iter().map(|(_, values)| values.get(nth).map_or_else(String::new, |value| cell(value))).collect();
        writeln!(out, "| {} | {} |", target.region, values.join(" | "))
    })?;
    writeln!(out)
}
