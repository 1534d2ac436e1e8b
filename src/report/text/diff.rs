//! Groups of equal changes with their diffs.

use super::super::tell::{self, Beside};
use super::super::words::{Extent, counted, joined, one_line};
use super::Diffs;
use super::ink::{Ink, Paper};
use crate::change::{Change, Fold, Group, diff_lines, inert};
use std::borrow::Cow;

/// Columns that a list of values may fill before it goes on in the next line.
const COLUMNS: usize = 110;

/// Lines of one group that are shown when diffs are bounded: about a screen.
pub(super) const GROUP_LINES: usize = 60;

pub(super) fn groups(paper: &mut Paper, fold: &Fold, extent: &Extent<'_>, diffs: Diffs) {
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
        let mut body = Body { paper, left: if diffs == Diffs::Whole { usize::MAX } else { GROUP_LINES }, missing: 0 };
        if group.differs.is_empty() {
            group.preview.changes.iter().for_each(|change| whole(&mut body, change));
        } else {
            beside(&mut body, group);
        }
        body.end();
        values(paper, group);
    }
}

/// Lines of one group, as many as may be shown.
struct Body<'p> {
    paper: &'p mut Paper,
    left: usize,
    missing: usize,
}

impl Body<'_> {
    fn line(&mut self, ink: Ink, text: &str) {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.paper.line(ink, text);
            }
            None => self.missing += 1,
        }
    }

    /// Says how much was left out, and how to see it.
    fn end(self) {
        if self.missing > 0 {
            self.paper.line(Ink::Faint, &format!("  … {}: --full shows them all", counted(self.missing, "more line")));
        }
    }
}

fn whole(body: &mut Body<'_>, change: &Change) {
    body.line(
        Ink::of_action(change.action),
        &format!("  {} {} ({})", change.action.sign(), one_line(&change.address), one_line(&change.kind)),
    );
    diff_lines(&change.detail, |sign, line| diff_line(body, sign, line));
}

/// Shows what is other than in group A.
fn beside(body: &mut Body<'_>, group: &Group) {
    let mut explained = false;
    for (address, diff) in &group.differs {
        let address = one_line(address);
        match tell::beside(diff) {
            Beside::Only(words, what, lines) => {
                body.line(Ink::Bold, &format!("  {address}: {}, {words}", one_line(what)));
                lines.into_iter().for_each(|line| diff_line(body, "", line.into()));
            }
            Beside::Both(lines) => {
                let how = if explained { "" } else { ": first sign - only in A, + only here; second sign the change itself" };
                explained = true;
                body.line(Ink::Bold, &format!("  {address}{how}"));
                lines.into_iter().for_each(|line| diff_line(body, "", line.into()));
            }
        }
    }
}

fn diff_line(body: &mut Body<'_>, sign: &str, line: Cow<'_, str>) {
    for line in inert(&line).split('\n') {
        let line = format!("{sign}{line}");
        body.line(Ink::of_line(&line), &format!("    {line}"));
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
