//! Names in a policy that nothing in the fleet has. A rule may be written before what it guards, or stay after that is gone, so most
//! of them are only worth a warning; what is read and judged never depends on it.

use super::glob::{Globs, is_plain};
use crate::stack::{Fleet, Kind, Mistake, Mistakes, Node, Site, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};

/// Reports what the rules of `section` name and nothing has: a slip of the finger to `strict`, all else to `warnings`.
pub fn absent(section: &Node, fleet: &Fleet, strict: &mut Mistakes, warnings: &mut Mistakes) {
    let Kind::List(rules) = &section.kind else { return };
    let labels = labels_of(fleet);
    for rule in rules {
        let when = rule.get("when");
        let wanted = when.and_then(|when| when.get("labels")).filter(|_| !fleet.unread.labels && !fleet.unread.stack_labels);
        if let Some(Kind::Map(wanted)) = wanted.map(|labels| &labels.kind) {
            wanted.iter().for_each(|(key, site, values)| check_label(key, site, values, &labels, strict, warnings));
        }
        if let Some(patterns) = when.and_then(|when| when.get("stack")) {
            each(patterns).for_each(|pattern| check_stack(pattern, fleet, warnings));
        }
        let asked = rule.get("require").into_iter().flat_map(each);
        let teams = asked.flat_map(|asked| asked.get("team").into_iter().chain(asked.get("teams"))).flat_map(each);
        if fleet.teams.is_empty() {
            warnings.extend(teams.map(no_teams));
        }
    }
}

/// The labels of all regions and stacks: each key with its values.
type Labels<'f> = BTreeMap<&'f str, BTreeSet<&'f str>>;

fn labels_of(fleet: &Fleet) -> Labels<'_> {
    let regions = fleet.regions.iter().chain(&fleet.unread.regions).flat_map(|region| &region.labels);
    let mut labels = Labels::new();
    for (key, value) in regions.chain(fleet.stacks.iter().flat_map(|stack| &stack.labels)) {
        labels.entry(key).or_default().insert(value);
    }
    labels
}

fn check_label(key: &str, site: &Site, values: &Node, labels: &Labels<'_>, strict: &mut Mistakes, warnings: &mut Mistakes) {
    let Some(known) = labels.get(key) else {
        match did_you_mean(key, labels.keys().copied()) {
            Some(near) => strict.push(Mistake::at(site, format!("unknown label {key:?}")).hint(near)),
            None => {
                let what = format!("no region and no stack has the label {key:?}, so the rule matches nothing");
                warnings.push(Mistake::at(site, what).hint(listing("labels", labels.keys().copied())));
            }
        }
        return;
    };
    for node in each(values) {
        let Some(value) = node.as_str().filter(|value| !known.contains(value)) else { continue };
        // Values are alike on purpose, such as wave-1 and wave-2: a near one is a guess and no proof.
        let near = did_you_mean(value, known.iter().copied());
        let what =
            format!("no region and no stack has the label {key:?} with value {value:?}, so the rule matches nothing by it");
        warnings.push(Mistake::at(&node.site, what).hint(near.unwrap_or_else(|| listing("values", known.iter().copied()))));
    }
}

/// A plain name of a stack that nobody has is a mistake already when the policy is read.
fn check_stack(node: &Node, fleet: &Fleet, warnings: &mut Mistakes) {
    let Some(pattern) = node.as_str().filter(|pattern| !is_plain(pattern)) else { return };
    let globs = Globs::read(&[(pattern, node)], &mut Mistakes::default());
    if !fleet.stacks.iter().any(|stack| globs.matches(stack.name.as_str())) {
        let what = format!("no stack is named like {pattern:?}, so the rule matches nothing by it");
        warnings
            .push(Mistake::at(&node.site, what).hint("isobar list shows the stacks; patterns begin at the stack's whole name"));
    }
}

fn no_teams(node: &Node) -> Mistake {
    let what = format!("no team is declared, so on a laptop nobody is of {:?}", node.as_str().unwrap_or_default());
    Mistake::at(&node.site, what).hint("declare it in isobar.yaml, such as teams: { platform: [ada, grace] }")
}

/// The items of a list, or the one value that stands for a list.
fn each(node: &Node) -> impl Iterator<Item = &Node> {
    match &node.kind {
        Kind::List(items) => items.iter(),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) | Kind::Secret(_) => {
            std::slice::from_ref(node).iter()
        }
    }
}

fn listing<'f>(what: &str, known: impl Iterator<Item = &'f str>) -> String {
    const SHOWN: usize = 12; // a hint is read at a glance
    let known: Vec<&str> = known.collect();
    match known.len() {
        0 => format!("the fleet has no {what}"),
        1..=SHOWN => format!("{what} are {}", known.join(", ")),
        many => format!("{what} are {} and {} more", known[..SHOWN].join(", "), many - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{Listing, Mode, Source};

    /// What is told of a policy in a fleet with the labels `tier` (one, two), `team` (net) and the stack `apps/api`.
    fn told(policy: &str, teams: &str) -> (Vec<String>, Vec<String>) {
        let regions = "{ prod/a: { labels: { tier: one } }, prod/b: { labels: { tier: two } } }";
        let fleet = format!("version: 1\nregions: {regions}\n{teams}\npolicy:\n  - {policy}\n");
        let stack = "where: all\nlabels: { team: net }\ndocuments: {}\n";
        let source = |(path, text): (&str, &str)| Source { path: path.into(), mode: Mode::File, bytes: text.as_bytes().into() };
        let sources = [("isobar.yaml", fleet.as_str()), ("apps/api/stack.yaml", stack)].map(source);
        let fleet = Fleet::read(&sources, &Listing::default()).expect("a good fleet");
        let (mut strict, mut warnings) = (Mistakes::default(), Mistakes::default());
        absent(fleet.policy.as_ref().expect("a policy"), &fleet, &mut strict, &mut warnings);
        let texts = |mistakes: Mistakes| mistakes.iter().map(ToString::to_string).collect();
        (texts(strict), texts(warnings))
    }

    fn of_when(when: &str) -> (Vec<String>, Vec<String>) {
        told(&format!("{{ rule: deny, message: m, when: {{ {when} }} }}"), "")
    }

    #[test]
    fn what_the_fleet_has_is_no_matter() {
        let none: (Vec<String>, Vec<String>) = Default::default();
        assert_eq!(of_when("labels: { tier: [one, two], team: net }, stack: apps/*"), none);
        assert_eq!(of_when("environment: prod"), none);
    }

    #[test]
    fn a_slip_in_a_label_is_a_mistake_and_a_label_to_come_a_warning() {
        let (strict, warnings) = of_when("labels: { teir: one, exposure: public }");
        assert_eq!(strict, ["isobar.yaml:5:49: unknown label \"teir\"\n  hint: did you mean \"tier\"?"]);
        let what = "no region and no stack has the label \"exposure\", so the rule matches nothing";
        assert_eq!(warnings, [format!("isobar.yaml:5:60: {what}\n  hint: labels are team, tier")]);
    }

    #[test]
    fn a_value_that_nobody_has_is_a_warning_however_near_another_is() {
        let (strict, warnings) = of_when("labels: { tier: [one, tow] }");
        let what = "no region and no stack has the label \"tier\" with value \"tow\", so the rule matches nothing by it";
        assert_eq!((strict.len(), warnings), (0, vec![format!("isobar.yaml:5:61: {what}\n  hint: did you mean \"two\"?")]));
    }

    #[test]
    fn a_pattern_that_is_of_no_stack_yet_is_a_warning() {
        let (strict, warnings) = of_when("stack: [apps/*, aps/*]");
        assert_eq!((strict.len(), warnings.len()), (0, 1));
        assert!(warnings[0].starts_with("isobar.yaml:5:55: no stack is named like \"aps/*\""), "{warnings:?}");
    }

    #[test]
    fn a_team_where_none_is_declared_is_a_warning() {
        let rule = "{ rule: approvals, require: [{ team: sre }, { teams: [ops] }] }";
        let (strict, warnings) = told(rule, "");
        assert_eq!((strict.len(), warnings.len()), (0, 2));
        assert!(warnings[1].contains("no team is declared, so on a laptop nobody is of \"ops\""), "{warnings:?}");
        assert_eq!(told(rule, "teams: { sre: [ada] }").1.len(), 0, "an undeclared one is a mistake when the policy is read");
    }
}
