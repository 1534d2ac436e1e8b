//! Groups of equal changes with their diffs.

use super::super::tell::{self, Beside};
use super::super::words::{Extent, counted, joined, one_line};
use super::ink::{Ink, Paper};
use crate::change::{Change, Fold, Group, diff_lines, inert};
use std::borrow::Cow;

/// Columns that a list of values may fill before it goes on in the next line.
const COLUMNS: usize = 110;

pub(super) fn groups(paper: &mut Paper, fold: &Fold, extent: &Extent<'_>) {
    for group in &fold.groups {
        let differs = match group.differs_lines {
            0 => String::new(),
            lines => format!("differs from A by {}", counted(lines, "line")),
        };
        let title = [
            group.stack.to_string(),
            group.letter.to_string(),
            extent.regions_of(&group.targets),
            tell::signs(&group.preview.changes),
            differs,
        ];
        paper.title(&joined(title, " · "));
        if group.differs.is_empty() {
            group.preview.changes.iter().for_each(|change| whole(paper, change));
        } else {
            beside(paper, group);
        }
        values(paper, group);
    }
}

fn whole(paper: &mut Paper, change: &Change) {
    paper.line(
        Ink::of_action(change.action),
        &format!("  {} {} ({})", change.action.sign(), one_line(&change.address), one_line(&change.kind)),
    );
    diff_lines(&change.detail, |sign, line| diff_line(paper, sign, line));
}

/// Shows what is other than in group A.
fn beside(paper: &mut Paper, group: &Group) {
    let mut explained = false;
    for (address, diff) in &group.differs {
        let address = one_line(address);
        match tell::beside(diff) {
            Beside::Only(words, what, lines) => {
                paper.line(Ink::Bold, &format!("  {address}: {}, {words}", one_line(what)));
                lines.into_iter().for_each(|line| diff_line(paper, "", line.into()));
            }
            Beside::Both(lines) => {
                let how = if explained { "" } else { ": first sign - only in A, + only here; second sign the change itself" };
                explained = true;
                paper.line(Ink::Bold, &format!("  {address}{how}"));
                lines.into_iter().for_each(|line| diff_line(paper, "", line.into()));
            }
        }
    }
}

fn diff_line(paper: &mut Paper, sign: &str, line: Cow<'_, str>) {
    for line in inert(&line).split('\n') {
        let line = format!("{sign}{line}");
        paper.line(Ink::of_line(&line), &format!("    {line}"));
    }
}

fn values(paper: &mut Paper, group: &Group) {
    for (name, values) in tell::telling_values(group) {
        let mut line = format!("  {} =", one_line(name));
        for (nth, value) in values.iter().enumerate() {
            let value = format!(" {}{}", one_line(value), if nth + 1 < values.len() { "," } else { "" });
            if line.chars().count() + value.chars().count() > COLUMNS && nth > 0 {
                paper.line(Ink::Faint, &line);
                line = "     ".into();
            }
            line.push_str(&value);
        }
        paper.line(Ink::Faint, &line);
    }
}
