//! A cause, found by the table of rules or told as the engine tells it. What it quotes was written by others: the report makes it inert.

use super::rules::RULES;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of an unknown text that are told; the whole text stands in the report.
const TOLD_MAX: usize = 300;

/// A cause that was recognised in an engine's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Stable name: `permission`, `disk_full`, `template`.
    pub name: &'static str,
    pub sentence: Arc<str>,
    pub next_step: Arc<str>,
}

/// Explains an engine's text; text that no rule knows is told as it is.
pub fn explain(engine: &str, text: &str) -> Cause {
    let known = RULES.iter().filter(|rule| rule.engines.is_empty() || rule.engines.contains(&engine));
    let found = known.filter_map(|rule| rule.find(text).map(|hit| (rule, hit))).next();
    match found {
        Some((rule, hit)) => {
            Cause { name: rule.name, sentence: (rule.sentence)(&hit).into(), next_step: (rule.next_step)(&hit).into() }
        }
        None => Cause {
            name: "unknown",
            sentence: first_line(engine, text).into(),
            next_step: "mend what it says, then go on as Next says: from a fresh preview".into(),
        },
    }
}

/// Puts equal causes together: one finding each, most targets first, then by name and sentence. Targets stay in their order.
pub fn fold<T>(causes: impl IntoIterator<Item = (T, Cause)>) -> Vec<(Cause, Vec<T>)> {
    let mut findings: BTreeMap<Cause, Vec<T>> = BTreeMap::new();
    for (target, cause) in causes {
        findings.entry(cause).or_default().push(target);
    }
    let mut findings: Vec<_> = findings.into_iter().collect();
    findings.sort_by_key(|(_, targets)| std::cmp::Reverse(targets.len())); // stable: equals stay sorted by cause
    findings
}

fn first_line(engine: &str, text: &str) -> String {
    let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return format!("{engine} failed and said nothing");
    };
    match line.char_indices().nth(TOLD_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_no_rule_knows_is_told_as_it_is() {
        let cause = explain("documents", "\n  the moon is in the wrong house  \nsecond line\n");
        assert_eq!((cause.name, &*cause.sentence), ("unknown", "the moon is in the wrong house"));
        assert!(!cause.next_step.is_empty());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let sentence = explain("documents", &"ü".repeat(400)).sentence;
        assert_eq!(&*sentence, format!("{}…", "ü".repeat(300)));
        assert_eq!(explain("documents", &"ü".repeat(300)).sentence.chars().count(), 300);
    }

    #[test]
    fn silence_is_told_too() {
        assert_eq!(&*explain("documents", " \n\n").sentence, "documents failed and said nothing");
    }

    #[test]
    fn one_cause_in_many_targets_is_one_finding_most_targets_first() {
        let rare = explain("documents", "No space left on device (os error 28)");
        let common = explain("documents", "secret DB_PASSWORD is not set");
        let failed = [("c", common.clone()), ("a", rare.clone()), ("b", common.clone())];
        assert_eq!(fold(failed), [(common, vec!["c", "b"]), (rare, vec!["a"])]);
    }

    #[test]
    fn findings_of_equal_size_stand_in_the_same_order_whatever_failed_first() {
        let (one, two) = (explain("documents", "one"), explain("documents", "two"));
        let forth = fold([(1, one.clone()), (2, two.clone())]);
        let back = fold([(2, two), (1, one)]);
        assert_eq!(forth, back);
    }
}
