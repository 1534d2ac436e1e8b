//! What a reader is shown of one document's change: a diff in which no line tells a sensitive value.

use super::render::Sensitive;
use crate::change::{Detail, Redactor, TextDiff};
use crate::stack::show_marks;

/// Both sides of a change, each with what is sensitive in it.
pub(super) struct Shown<'a> {
    pub(super) before: Option<(&'a [u8], Sensitive)>,
    pub(super) after: Option<(&'a [u8], Sensitive)>,
    pub(super) redactor: &'a Redactor,
}

/// Stands for a whole line: a masked part would tell where the value begins and what is beside it.
const MASKED: &str = "‹sensitive line›";

impl Shown<'_> {
    pub(super) fn is_sensitive(&self) -> bool {
        self.sides().any(|(_, sensitive)| *sensitive != Sensitive::No)
    }

    pub(super) fn detail(&self) -> Detail {
        if self.sides().any(|(_, sensitive)| *sensitive == Sensitive::Whole) {
            return Detail::Hidden("holds sensitive values".into());
        }
        let (Some(before), Some(after)) = (self.text(self.before.as_ref()), self.text(self.after.as_ref())) else {
            let size = self.sides().last().map_or(0, |(bytes, _)| bytes.len());
            return Detail::Hidden(format!("binary, {size} bytes").into());
        };
        let diff = TextDiff::between(&before, &after);
        if diff.hunks.is_empty() && self.is_sensitive() {
            return Detail::Hidden("only sensitive values differ".into());
        }
        Detail::Text(diff)
    }

    fn sides(&self) -> impl Iterator<Item = &(&[u8], Sensitive)> {
        self.before.iter().chain(&self.after)
    }

    /// Returns one side as it is shown; `None` when it is no text.
    fn text(&self, side: Option<&(&[u8], Sensitive)>) -> Option<String> {
        let Some((bytes, sensitive)) = side else { return Some(String::new()) };
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
        let is_masked = |number: usize, line: &str| {
            let known = matches!(sensitive, Sensitive::Lines(lines) if lines.contains(&number));
            known || self.redactor.finds_in(line)
        };
        let shown = |(number, line): (usize, &str)| match line.strip_suffix('\n') {
            _ if !is_masked(number, line) => line.to_string(),
            Some(_) => format!("{MASKED}\n"),
            None => MASKED.to_string(),
        };
        let text: String = (1..).zip(text.split_inclusive('\n')).map(shown).collect();
        Some(show_marks(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Sign;
    use crate::stack::mark_hole;

    fn lines(before: (&str, Sensitive), after: (&str, Sensitive)) -> Vec<(Sign, String)> {
        let redactor = Redactor::new(vec![("DB".into(), "hunter2!".into())]);
        let shown = Shown {
            before: Some((before.0.as_bytes(), before.1)),
            after: Some((after.0.as_bytes(), after.1)),
            redactor: &redactor,
        };
        match shown.detail() {
            Detail::Text(diff) => {
                diff.hunks.into_iter().flat_map(|hunk| hunk.lines).map(|l| (l.sign, l.text.to_string())).collect()
            }
            Detail::Hidden(why) => vec![(Sign::Same, why.to_string())],
            Detail::Fields(_) => vec![],
        }
    }

    #[test]
    fn a_line_that_holds_a_secret_is_masked_as_a_whole_on_both_sides() {
        let shown = lines(("a\npw=old\n", Sensitive::Lines([2].into())), ("b\npw=new\n", Sensitive::Lines([2].into())));
        let line = |sign, text: &str| (sign, text.to_string());
        assert_eq!(shown, [line(Sign::Removed, "a"), line(Sign::Added, "b"), line(Sign::Same, MASKED)]);
    }

    #[test]
    fn when_only_secrets_differ_it_says_so_and_a_whole_secret_document_is_hidden() {
        let one = Sensitive::Lines([1].into());
        assert_eq!(lines(("old\n", one.clone()), ("new\n", one.clone()))[0].1, "only sensitive values differ");
        assert_eq!(lines(("old\n", Sensitive::Whole), ("new\n", one))[0].1, "holds sensitive values");
    }

    #[test]
    fn a_value_that_became_a_secret_is_masked_where_it_stood_before() {
        let shown = lines(("pw=hunter2!\nx\n", Sensitive::No), ("y\n", Sensitive::No));
        assert!(shown.iter().all(|(_, text)| !text.contains("hunter")), "{shown:?}");
    }

    #[test]
    fn an_unknown_output_is_shown_by_its_name_and_bytes_by_their_number() {
        let shown = lines(("id=1\n", Sensitive::No), (&format!("id={}\n", mark_hole("base.outputs.id")), Sensitive::No));
        assert_eq!(shown[1].1, "id=‹base.outputs.id›");
        assert_eq!(lines(("a\0b", Sensitive::No), ("a\0", Sensitive::No))[0].1, "binary, 2 bytes");
    }
}
