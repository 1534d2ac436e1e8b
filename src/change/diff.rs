//! Unified diffs of texts, as values. Knows lines and nothing of where they come from; never looks at a clock, so that two
//! machines show the same diff.

use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices, group_diff_ops};
use std::sync::Arc;

/// The hunks in which two texts differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextDiff {
    pub hunks: Vec<Hunk>,
}

/// One run of lines with up to three unchanged ones around it. Line numbers from 1; 0 where that side is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    pub old_start: usize,
    pub old_len: usize,
    pub new_start: usize,
    pub new_len: usize,
    pub lines: Vec<Line>,
}

/// One line, without its line end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sign: Sign,
    pub text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    #[serde(rename = " ")]
    Same,
    #[serde(rename = "-")]
    Removed,
    #[serde(rename = "+")]
    Added,
}

/// Unchanged lines shown around a change, as `diff -u` shows them.
const CONTEXT: usize = 3;

/// Differing lines compared one by one at most; beyond it the old block is shown as removed and the new one as added. The
/// search is quadratic in the worst case, and a bound in lines gives the same answer everywhere where a deadline would not.
const COMPARED_MAX: usize = 20_000;

/// Stands after a last line that has no line end.
const NO_LINE_END: &str = " ‹no line end›";

impl TextDiff {
    /// Compares two texts line by line, without a clock, so that the answer is the same everywhere.
    pub fn between(before: &str, after: &str) -> Self {
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let new: Vec<&str> = after.split_inclusive('\n').collect();
        if old == new {
            return Self::default();
        }
        let groups = group_diff_ops(operations(&old, &new), CONTEXT);
        Self { hunks: groups.iter().map(|ops| hunk(ops, &old, &new)).collect() }
    }
}

/// Returns the edits between both sides; the equal ends are cut off first, so that the bound counts only what differs.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_len, new_len) = (old.len() - head - tail, new.len() - head - tail);
    if old_len + new_len <= COMPARED_MAX {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let ends = [
        DiffOp::Equal { old_index: 0, new_index: 0, len: head },
        DiffOp::Replace { old_index: head, old_len, new_index: head, new_len },
        DiffOp::Equal { old_index: head + old_len, new_index: head + new_len, len: tail },
    ];
    ends.into_iter().filter(|op| !op.old_range().is_empty() || !op.new_range().is_empty()).collect()
}

fn hunk(ops: &[DiffOp], old: &[&str], new: &[&str]) -> Hunk {
    let mut lines = Vec::new();
    let (mut old_len, mut new_len) = (0, 0);
    for op in ops {
        old_len += op.old_range().len();
        new_len += op.new_range().len();
        match op.tag() {
            DiffTag::Equal => lines.extend(old[op.old_range()].iter().map(|text| line(Sign::Same, text))),
            DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                lines.extend(old[op.old_range()].iter().map(|text| line(Sign::Removed, text)));
                lines.extend(new[op.new_range()].iter().map(|text| line(Sign::Added, text)));
            }
        }
    }
    let start = |len: usize, at: usize| if len == 0 { 0 } else { at + 1 };
    let first = ops.first();
    Hunk {
        old_start: start(old_len, first.map_or(0, |op| op.old_range().start)),
        old_len,
        new_start: start(new_len, first.map_or(0, |op| op.new_range().start)),
        new_len,
        lines,
    }
}

fn line(sign: Sign, text: &str) -> Line {
    let text = match text.strip_suffix('\n') {
        Some(text) => text.into(),
        None => format!("{text}{NO_LINE_END}").into(),
    };
    Line { sign, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints a diff as `diff -u` would, without the file names.
    fn shown(before: &str, after: &str) -> String {
        let sign = |sign| match sign {
            Sign::Same => ' ',
            Sign::Removed => '-',
            Sign::Added => '+',
        };
        let mut shown = String::new();
        for hunk in TextDiff::between(before, after).hunks {
            shown += &format!("@@ -{},{} +{},{} @@\n", hunk.old_start, hunk.old_len, hunk.new_start, hunk.new_len);
            hunk.lines.iter().for_each(|line| shown += &format!("{}{}\n", sign(line.sign), line.text));
        }
        shown
    }

    #[test]
    fn equal_texts_have_no_hunks() {
        assert_eq!(shown("a\nb\n", "a\nb\n"), "");
        assert_eq!(shown("", ""), "");
    }

    #[test]
    fn a_change_is_shown_between_three_unchanged_lines() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(shown(before, &before.replace('5', "five")), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    }

    #[test]
    fn far_changes_are_hunks_of_their_own() {
        let before: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let after = before.replacen("1\n", "one\n", 1).replace("20\n", "twenty\n");
        assert_eq!(TextDiff::between(&before, &after).hunks.len(), 2);
    }

    #[test]
    fn a_created_and_a_deleted_text_have_an_empty_side() {
        assert_eq!(shown("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(shown("a\n", ""), "@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn a_missing_final_line_end_is_visible() {
        assert_eq!(shown("a\n", "a"), "@@ -1,1 +1,1 @@\n-a\n+a ‹no line end›\n");
    }

    #[test]
    fn another_kind_of_line_end_is_a_difference() {
        assert_eq!(shown("a\r\n", "a\n"), "@@ -1,1 +1,1 @@\n-a\r\n+a\n");
    }

    #[test]
    fn a_huge_difference_is_one_block_and_its_equal_ends_are_kept() {
        let many = |word: &str| (0..COMPARED_MAX).map(|n| format!("{word}{n}\n")).collect::<String>();
        let diff = TextDiff::between(&format!("head\n{}tail\n", many("a")), &format!("head\n{}tail\n", many("b")));
        let [hunk] = diff.hunks.as_slice() else { panic!("{} hunks", diff.hunks.len()) };
        assert_eq!((hunk.old_start, hunk.old_len, hunk.new_len), (1, COMPARED_MAX + 2, COMPARED_MAX + 2));
        assert_eq!(hunk.lines.first().map(|line| (&*line.text, line.sign)), Some(("head", Sign::Same)));
    }
}
