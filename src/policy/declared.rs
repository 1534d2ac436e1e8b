//! The policy section as data: rules in order, as the fleet file declares them.

use super::case::{Case, Finding};
use super::known::Known;
use super::rule::{Ask, Rule};
use super::rules::RULES;
use super::when::When;
use crate::stack::{Fields, Fleet, Kind, Mistake, Mistakes, Node, did_you_mean};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The parsed rules of a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    rules: Vec<Declared>,
}

/// One rule as the fleet file declares it.
#[derive(Clone)]
struct Declared {
    name: Option<Arc<str>>,
    when: When,
    ask: Ask,
    /// What it was read from; two rules are equal when it is.
    written: Value,
}

impl Policy {
    /// Reads the fleet's `policy` section; every mistake at once. With a mistake the result must not be used.
    pub fn read(section: &Node, fleet: &Fleet, mistakes: &mut Mistakes) -> Self {
        Self::read_with(section, &Known::of(fleet), mistakes)
    }

    /// Some rule goes by how many targets the whole change touches, so that all of them must be seen before one is judged.
    pub fn counts_targets(&self) -> bool {
        let counts = |rule: &Declared| rule.written["rule"] == "limit" || !rule.written["when"]["targets_min"].is_null();
        self.rules.iter().any(counts)
    }

    /// The rules of both: what either asks for is asked for.
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }

    /// The teams that some rule asks for, as they are written.
    pub fn teams(&self) -> BTreeSet<Arc<str>> {
        let asked = self.rules.iter().flat_map(|rule| each(&rule.written["require"]));
        let named = asked.flat_map(|asked| each(&asked["team"]).chain(each(&asked["teams"])));
        named.filter_map(Value::as_str).map(Arc::from).collect()
    }

    /// Some rule asks for whom CODEOWNERS names.
    pub fn asks_code_owners(&self) -> bool {
        let asked = self.rules.iter().flat_map(|rule| each(&rule.written["require"]));
        asked.into_iter().any(|asked| asked["code_owners"] == true)
    }

    pub(super) fn read_with(section: &Node, known: &Known<'_>, mistakes: &mut Mistakes) -> Self {
        let items = match &section.kind {
            Kind::List(items) if !items.is_empty() => items,
            Kind::List(_) | Kind::Null => {
                let hint = "declare a rule, or remove the key to have no policy";
                mistakes.push(Mistake::at(&section.site, "\"policy\" holds no rule").hint(hint));
                return Self::default();
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) | Kind::Secret(_) => {
                let what = format!("\"policy\" must be a list of rules, and this is {}", section.kind_name());
                mistakes
                    .push(Mistake::at(&section.site, what).hint("a list has a - before each rule, such as - rule: approvals"));
                return Self::default();
            }
        };
        Self { rules: items.iter().filter_map(|item| Declared::read(item, known, mistakes)).collect() }
    }

    /// No rule: never so when it was read without a mistake.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What each rule that matches says, in the order of the file, under the rule's own name if it has one.
    pub(super) fn findings(&self, case: &Case<'_>) -> Vec<(Option<&str>, Finding)> {
        let matching = self.rules.iter().filter(|rule| rule.when.matches(case));
        matching.map(|rule| (rule.name.as_deref(), (rule.ask)(case))).collect()
    }
}

impl Declared {
    fn read(node: &Node, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if node.get("rego").is_some() {
            let hint = format!("write it as one of {}", names().join(", "));
            mistakes.push(Mistake::at(&node.site, "rego policies are not in this version").hint(hint));
            return None;
        }
        let mut fields = Fields::of(node, "a policy rule", mistakes);
        let kind = fields.need("rule", "rule: approvals").and_then(|kind| find(kind, fields.mistakes()));
        let name = fields.text("name").map(Arc::from);
        let when = When::read(fields.get("when"), known, fields.mistakes());
        let Some(kind) = kind else {
            fields.finish_open();
            return None;
        };
        let ask = (kind.read)(&mut fields, &node.site, known);
        fields.finish();
        Some(Self { name, when, ask: ask?, written: node.to_value() })
    }
}

/// The items of a list, or the one value that stands for a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn find(node: &Node, mistakes: &mut Mistakes) -> Option<&'static Rule> {
    let Some(name) = node.as_str() else {
        let what = format!("\"rule\" must name a kind of rule, and this is {}", node.kind_name());
        mistakes.push(Mistake::at(&node.site, what).hint(format!("rules are {}", names().join(", "))));
        return None;
    };
    let found = RULES.iter().find(|rule| rule.name == name);
    if found.is_none() {
        let hint = did_you_mean(name, names()).unwrap_or_else(|| format!("rules are {}", names().join(", ")));
        mistakes.push(Mistake::at(&node.site, format!("unknown rule {name:?}")).hint(hint));
    }
    found
}

fn names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

impl PartialEq for Declared {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.written)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::testing::{mistakes, read};
    use serde_json::{Value, json};

    #[test]
    fn a_policy_without_rules_is_a_mistake() {
        for section in [json!([]), json!(null)] {
            assert!(mistakes(&section)[0].contains("\"policy\" holds no rule"), "{section}");
        }
        assert!(mistakes(&json!({ "rule": "deny" }))[0].contains("must be a list of rules, and this is a map"));
    }

    #[test]
    fn rego_says_that_it_is_not_here_yet() {
        let told = mistakes(&json!([{ "rego": "policy/*.rego" }]));
        let expected = "isobar.yaml:1:1: rego policies are not in this version\n  \
                        hint: write it as one of approvals, deny, limit, freeze";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn an_unknown_rule_or_key_is_guessed() {
        assert!(mistakes(&json!([{ "rule": "approvalss" }]))[0].contains("did you mean \"approvals\"?"));
        assert!(mistakes(&json!([{ "rule": "quorum" }]))[0].contains("rules are approvals, deny, limit, freeze"));
        assert!(mistakes(&json!([{ "rule": 1 }]))[0].contains("must name a kind of rule"));
        assert!(mistakes(&json!([{ "message": "m" }]))[0].contains("needs the key \"rule\""));
        let told = mistakes(&json!([{ "rule": "deny", "messagee": "m", "message": "m" }]));
        assert!(told[0].contains("unknown key \"messagee\"") && told[0].contains("did you mean \"message\"?"), "{told:?}");
    }

    #[test]
    fn mistakes_of_all_rules_are_told_at_once() {
        let told = mistakes(&json!([{ "rule": "deny" }, { "rule": "limit" }, { "rego": "x" }, "text"]));
        assert_eq!(told.len(), 4, "{told:?}");
    }

    #[test]
    fn the_teams_of_all_rules_are_told_once() {
        let rule = |require: Value| json!({ "rule": "approvals", "require": require });
        let requires = [json!([{ "team": "platform" }, { "teams": ["sre"], "user": "zed" }]), json!([{ "team": "platform" }])];
        let (policy, mistakes) = read(&requires.map(rule).to_vec().into());
        assert_eq!((policy.teams().into_iter().collect::<Vec<_>>(), mistakes), (vec!["platform".into(), "sre".into()], vec![]));
    }

    #[test]
    fn policies_are_equal_when_they_say_the_same() {
        let policy = |message: &str| read(&json!([{ "rule": "deny", "message": message }])).0;
        assert_eq!(policy("no"), policy("no"));
        assert_ne!(policy("no"), policy("never"));
    }
}
