//! A change as lines of text, each with its sign in column 0, and the difference between two changes' lines.

use super::super::{Change, Detail, Sign, TextDiff};
use std::borrow::Cow;
use std::sync::Arc;

/// Gives the lines of a change's detail, as a unified diff shows them: `@@` headers, then lines with their sign in column 0.
pub fn diff_lines(detail: &Detail, mut each: impl FnMut(&str, Cow<'_, str>)) {
    match detail {
        Detail::Hidden(why) => each("", Cow::Owned(format!("({why})"))),
        Detail::Text(diff) => text_lines(diff, each),
        Detail::Fields(fields) => {
            for field in fields {
                for (sign, value) in [("-", &field.before), ("+", &field.after)] {
                    let Some(value) = value else { continue };
                    let mut lines = value.split('\n');
                    each(sign, Cow::Owned(format!("{}: {}", field.path, lines.next().unwrap_or_default())));
                    lines.for_each(|line| each(sign, Cow::Owned(format!("  {line}"))));
                }
            }
        }
    }
}

/// Gives the lines of one text's difference, hunk by hunk.
pub fn text_lines(diff: &TextDiff, mut each: impl FnMut(&str, Cow<'_, str>)) {
    for hunk in &diff.hunks {
        let (old, new) = (side(hunk.old_start, hunk.old_len), side(hunk.new_start, hunk.new_len));
        each("", Cow::Owned(format!("@@ -{old} +{new} @@")));
        for line in &hunk.lines {
            let sign = match line.sign {
                Sign::Same => " ",
                Sign::Removed => "-",
                Sign::Added => "+",
            };
            each(sign, Cow::Borrowed(&line.text));
        }
    }
}

/// As `diff -u` writes a side: `3` for one line, else `3,4`.
fn side(start: usize, len: usize) -> String {
    if len == 1 { start.to_string() } else { format!("{start},{len}") }
}

/// Returns the whole change as lines: what happens to which kind, then the detail.
pub(super) fn change_text(change: &Change) -> String {
    let mut text = format!("@@ {} {} @@\n", change.action.sign(), change.kind);
    diff_lines(&change.detail, |sign, line| {
        text.push_str(sign);
        text.push_str(&line);
        text.push('\n');
    });
    if let (Detail::Hidden(_), false) = (&change.detail, change.sensitive) {
        let short =
            |digest: &Option<super::super::Digest>| digest.as_ref().map_or("nothing".into(), |digest| digest.short().to_owned());
        text.push_str(&format!("content {} to {}\n", short(&change.before), short(&change.after)));
    }
    text
}

/// Returns the same without the lines that stay and the places of hunks.
pub(super) fn effect_text(change: &Change) -> String {
    let text = change_text(change);
    text.split_inclusive('\n').filter(|line| !line.starts_with(' ') && !line.starts_with("@@ -")).collect()
}

/// Counts the lines that are not the same; what only says where lines stand counts when nothing else differs.
pub(super) fn changed_lines(diffs: &[(Arc<str>, TextDiff)]) -> usize {
    let lines =
        || diffs.iter().flat_map(|(_, diff)| &diff.hunks).flat_map(|hunk| &hunk.lines).filter(|line| line.sign != Sign::Same);
    match lines().filter(|line| !line.text.starts_with("@@ ")).count() {
        0 => lines().count(),
        lines => lines,
    }
}
