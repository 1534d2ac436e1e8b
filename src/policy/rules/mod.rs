//! One file a kind of rule; each reads its own keys and says what it finds.

use super::rule::Rule;

mod approvals;
mod deny;
mod freeze;
mod limit;

/// Every kind of rule.
pub const RULES: &[Rule] = &[approvals::RULE, deny::RULE, limit::RULE, freeze::RULE];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::mistakes;
    use serde_json::{Value, json};

    #[test]
    fn every_kind_of_rule_says_what_it_is_about_and_has_its_own_name() {
        for rule in RULES {
            assert!(!rule.about.is_empty() && !rule.about.ends_with('.'), "{}", rule.name);
            assert_eq!(RULES.iter().filter(|other| other.name == rule.name).count(), 1);
        }
    }

    #[test]
    fn every_kind_of_rule_has_an_example_that_is_right() {
        for rule in RULES {
            let example: Value = serde_yaml::from_str(rule.example).expect(rule.name);
            assert_eq!(example["rule"], rule.name);
            assert_eq!(mistakes(&json!([example])), [""; 0], "{}", rule.name);
        }
    }
}
