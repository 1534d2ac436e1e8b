//! `network@prod/*`: which targets a command is about. Knows names and labels, not what a command does with them.

use super::Target;
use std::sync::Arc;

/// A choice of targets by pattern, region and label; the empty one matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    patterns: Vec<Pattern>,
    regions: Vec<Arc<str>>,
    labels: Vec<Label>,
}

/// `stack@region` as written; both sides may hold `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: Arc<str>,
    stack: Arc<str>,
    region: Arc<str>,
}

/// `key=value` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    text: Arc<str>,
    key: Arc<str>,
    value: Arc<str>,
}

impl Selector {
    /// Reads patterns (`stack@region`, `stack` in every region, `@region` for every stack), region patterns and `key=value`
    /// labels, which a stack or its region may carry. `*` stands for any characters, `/` too: `prod/*` holds
    /// `prod/eu-west-1/cell-2`. Patterns of one kind are or, the three kinds are and.
    pub fn parse(patterns: &[String], regions: &[String], labels: &[String]) -> Result<Self, String> {
        Ok(Self {
            patterns: patterns.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?,
            regions: regions.iter().map(|text| region_pattern(text)).collect::<Result<_, _>>()?,
            labels: labels.iter().map(|text| Label::parse(text)).collect::<Result<_, _>>()?,
        })
    }

    /// Returns true when nothing was asked for, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.regions.is_empty() && self.labels.is_empty()
    }

    pub fn matches(&self, target: &Target) -> bool {
        fn one_of<T>(choices: &[T], matches: impl Fn(&T) -> bool) -> bool {
            choices.is_empty() || choices.iter().any(matches)
        }
        one_of(&self.patterns, |pattern| pattern.matches(target))
            && one_of(&self.regions, |region| like(region, target.id.region.as_str()))
            && one_of(&self.labels, |label| label.matches(target))
    }

    /// Returns what was asked for, as written, and matches none of `targets`: most likely a slip of the finger. Parts that
    /// match alone may still leave nothing together.
    pub fn unmatched(&self, targets: &[Target]) -> Vec<&str> {
        let missed = |matches: &dyn Fn(&Target) -> bool| !targets.iter().any(matches);
        let patterns = self.patterns.iter().filter(|pattern| missed(&|target| pattern.matches(target)));
        let regions = self.regions.iter().filter(|region| missed(&|target| like(region, target.id.region.as_str())));
        let labels = self.labels.iter().filter(|label| missed(&|target| label.matches(target)));
        patterns
            .map(|pattern| &*pattern.text)
            .chain(regions.map(|region| &**region))
            .chain(labels.map(|label| &*label.text))
            .collect()
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (stack, region) = match text.split_once('@') {
            Some(("", "")) => return Err(fault(text)),
            Some((_, "")) => return Err(format!("{text:?} names no region after the @; leave out the @ for every region")),
            Some(("", region)) => ("*", region),
            Some((stack, region)) => (stack, region),
            None => (text, "*"),
        };
        if !is_name_pattern(stack) || !is_name_pattern(region) {
            return Err(fault(text));
        }
        Ok(Self { text: text.into(), stack: stack.into(), region: region.into() })
    }

    fn matches(&self, target: &Target) -> bool {
        let names = [&target.id.stack, target.stack.definition()];
        names.iter().any(|name| like(&self.stack, name.as_str())) && like(&self.region, target.id.region.as_str())
    }
}

impl Label {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { text: text.into(), key: key.into(), value: value.into() }),
            _ => Err(format!("label {text:?} must look like key=value")),
        }
    }

    fn matches(&self, target: &Target) -> bool {
        [&target.stack.labels, &target.region.labels].into_iter().any(|labels| labels.get(&self.key) == Some(&self.value))
    }
}

fn fault(text: &str) -> String {
    format!(
        "pattern {text:?} must look like network, network@prod/*, or @prod/eu-west-1; names are made of a-z, 0-9, - _ /, and * stands for anything"
    )
}

fn region_pattern(text: &str) -> Result<Arc<str>, String> {
    if is_name_pattern(text) {
        return Ok(text.into());
    }
    Err(format!("region {text:?} must look like prod/eu-west-1 or prod/*"))
}

/// Returns true when `text` could match a name.
fn is_name_pattern(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_/*".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

/// Returns true when `name` is like `pattern`, where `*` stands for any characters or none.
fn like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() }; // no star at all
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{PLAIN, Sample};
    use super::*;

    fn chosen(patterns: &[&str], regions: &[&str], labels: &[&str]) -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let selector = Selector::parse(&own(patterns), &own(regions), &own(labels)).expect("patterns that can be read");
        let api = format!("{PLAIN}labels: {{ team: web }}\n");
        let sample = Sample::of(&[("network/stack.yaml", PLAIN), ("apps/api/stack.yaml", &api)]);
        sample.fleet.targets().iter().filter(|target| selector.matches(target)).map(|target| target.id.to_string()).collect()
    }

    #[test]
    fn nothing_asked_for_is_everything() {
        assert_eq!(chosen(&[], &[], &[]).len(), 6);
        assert_eq!(chosen(&["*"], &[], &[]).len(), 6);
    }

    #[test]
    fn a_stack_alone_means_every_region_and_a_region_alone_every_stack() {
        assert_eq!(chosen(&["network"], &[], &[]), ["network@staging/us", "network@prod/us", "network@prod/eu"]);
        assert_eq!(chosen(&["@prod/us"], &[], &[]), ["apps/api@prod/us", "network@prod/us"]);
    }

    #[test]
    fn a_star_stands_for_any_characters_within_and_across_parts() {
        assert_eq!(chosen(&["network@prod/*"], &[], &[]), ["network@prod/us", "network@prod/eu"]);
        assert_eq!(chosen(&["a*i@*/us"], &[], &[]), ["apps/api@staging/us", "apps/api@prod/us"]);
        assert_eq!(chosen(&["api"], &[], &[]), Vec::<String>::new());
    }

    #[test]
    fn patterns_of_one_kind_are_or_and_kinds_are_and() {
        assert_eq!(chosen(&["network", "apps/*"], &["prod/us"], &[]), ["apps/api@prod/us", "network@prod/us"]);
        assert_eq!(chosen(&["network"], &["prod/*"], &["tier=two"]), ["network@prod/eu"]);
    }

    #[test]
    fn a_label_of_the_stack_or_of_the_region_counts() {
        assert_eq!(chosen(&["@prod/eu"], &[], &["team=web"]), ["apps/api@prod/eu"]);
        assert_eq!(chosen(&[], &[], &["tier=one"]), ["apps/api@prod/us", "network@prod/us"]);
        assert_eq!(chosen(&[], &[], &["tier=on"]), Vec::<String>::new());
    }

    #[test]
    fn stars_do_not_use_a_character_twice() {
        for (pattern, name, expected) in
            [("ab*ba", "aba", false), ("ab*ba", "abba", true), ("*a*a", "a", false), ("a**b", "ab", true), ("", "", true)]
        {
            assert_eq!(like(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_matches_nothing_is_named_as_written() {
        let own = |text: &str| vec![text.to_string()];
        let patterns = ["network@prod/*".to_string(), "netwrk".to_string()];
        let selector = Selector::parse(&patterns, &own("dev/*"), &own("tier=one")).expect("patterns that can be read");
        let sample = Sample::of(&[("network/stack.yaml", PLAIN)]);
        assert_eq!(selector.unmatched(sample.fleet.targets()), ["netwrk", "dev/*"]);
    }

    #[test]
    fn a_bad_pattern_says_what_one_looks_like() {
        for (pattern, region, label, why) in [
            ("Network", "a/b", "a=b", "must look like network"),
            ("@", "a/b", "a=b", "must look like network"),
            ("a@b@c", "a/b", "a=b", "must look like network"),
            ("", "a/b", "a=b", "must look like network"),
            ("network@", "a/b", "a=b", "leave out the @"),
            ("a", "prod eu", "a=b", "must look like prod/eu-west-1"),
            ("a", "a/b", "tier", "must look like key=value"),
            ("a", "a/b", "=one", "must look like key=value"),
        ] {
            let said = Selector::parse(&[pattern.into()], &[region.into()], &[label.into()]).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
    }
}
