//! Workflow annotations: mistakes and failures on the very line of a file.

use super::Report;
use super::tell::{self, Standing};
use crate::change::inert;
use crate::stack::{Mistake, Mistakes};
use std::fmt::Write as _;

/// Characters of one message; the runner takes 4,096.
const MESSAGE_CHARS: usize = 4_000;

/// Returns one `::error file=…,line=…,col=…::…` line a mistake, escaped as the runner wants it.
pub fn annotations(mistakes: &Mistakes) -> Vec<String> {
    mistakes.iter().map(|mistake| of_mistake("error", "Mistake in a definition", mistake)).collect()
}

/// Returns one `::warning file=…` line for each of what may be meant in a definition and is worth a second look.
pub fn warnings(warnings: &Mistakes) -> Vec<String> {
    warnings.iter().map(|warning| of_mistake("warning", "Look again at a definition", warning)).collect()
}

/// Returns one line for each cause of a failure, of an unknown outcome or of what could not be seen, however many targets have it.
pub fn failures(report: &Report) -> Vec<String> {
    let extent = tell::extent(report);
    let is_wrong = |said: &tell::Said<'_>| matches!(said.standing, Standing::Failed | Standing::Unknown | Standing::Unseen);
    let said = tell::said(report).into_iter().filter(is_wrong);
    let line = |said: tell::Said<'_>| {
        let title = format!("{}: {}", said.standing.title(), extent.places(said.targets.iter().copied()));
        let next = said.next.map_or_else(String::new, |next| format!("\nnext: {next}"));
        format!("::error title={}::{}", property(&title), message(&format!("{}{next}", said.sentence)))
    };
    said.map(line).collect()
}

fn of_mistake(level: &str, title: &str, mistake: &Mistake) -> String {
    let mut line = format!("::{level} ");
    if let Some(site) = &mistake.site {
        // Writing to a string does not fail.
        let _ = write!(line, "file={},line={},col={},", property(&site.path), site.line, site.column);
    }
    let hint = mistake.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    format!("{line}title={title}::{}", message(&format!("{}{hint}", mistake.what)))
}

fn message(text: &str) -> String {
    let text: String = inert(text).chars().take(MESSAGE_CHARS).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::stack::Site;

    #[test]
    fn a_mistake_stands_on_its_line_and_cannot_end_its_command() {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&Site::new("a,b:c.yaml", 2, 3), "100% wrong\n::error::x").hint("mend it"));
        mistakes.push(Mistake::nowhere("no isobar.yaml"));
        assert_eq!(
            annotations(&mistakes),
            [
                "::error file=a%2Cb%3Ac.yaml,line=2,col=3,title=Mistake in a definition::100%25 wrong%0A: :error::x%0Ahint: mend it",
                "::error title=Mistake in a definition::no isobar.yaml",
            ]
        );
    }

    #[test]
    fn one_cause_is_one_annotation() {
        let report = sample::situations().into_iter().find(|(name, _)| *name == "failures").expect("it is in the list").1;
        assert_eq!(
            failures(&report),
            [
                "::error title=Failed%3A dns in prod/a-1%2C prod/b-1::credentials of {region.id} are expired%0Anext: run `isobar apply` again",
                "::error title=Failed%3A net in prod/a-1::disk full%0Awrote 0 of 12 bytes%0Anext: run `isobar apply` again",
            ]
        );
    }
}
