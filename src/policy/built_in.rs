//! The policy of who declared none, where others come and go: every change is looked at by somebody, and what is hard to take back by two.

use super::Policy;
use super::known::Known;
use crate::stack::{Mistakes, Node, Site};
use serde_json::json;

/// The name that stands before what its rules say.
pub const BUILT_IN: &str = "built-in";

/// Targets that one change touches at least before it counts as much of a fleet, however small that is.
const MANY_MIN: usize = 10;

impl Policy {
    /// Asks one person about every change, and two about a delete, a replace, or more than a quarter of a fleet of so many targets. No
    /// name of an environment proves that nothing runs there, so none is let through.
    pub fn built_in(targets: usize) -> Self {
        let many = (targets / 4 + 1).max(MANY_MIN);
        let section = json!([
            { "rule": "approvals", "name": BUILT_IN, "require": [{ "count": 1 }] },
            { "rule": "approvals", "name": BUILT_IN, "when": { "actions": ["delete", "replace"] }, "require": [{ "count": 2 }] },
            { "rule": "approvals", "name": BUILT_IN, "when": { "targets_min": many }, "require": [{ "count": 2 }] },
        ]);
        let site = Site::new("the built-in policy", 1, 1);
        let mut mistakes = Mistakes::default();
        let policy = Self::read_with(&Node::from_value(&section, &site), &Known::default(), &mut mistakes);
        // With a mistake it would hold fewer rules, and with none at all it denies.
        if mistakes.is_empty() { policy } else { Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Action;
    use crate::policy::testing::{Stage, document};

    /// A stage where nobody declared a policy, in a fleet of so many targets.
    fn stage(targets: usize) -> Stage {
        Stage { policy: Some(Policy::built_in(targets)), ..Stage::without_policy() }
    }

    #[test]
    fn somebody_looks_at_every_change() {
        let mut stage = stage(4);
        stage.updates("network@staging/eu-west-1", &["a"]);
        assert_eq!(stage.said(), "wait: built-in: 0 of 1 approval: missing 1 (anyone but the author)");
        stage.approve("dora");
        assert_eq!(stage.said(), "clear: built-in: 1 of 1 approval: dora");
    }

    #[test]
    fn two_look_at_what_is_hard_to_take_back() {
        for action in [Action::Delete, Action::Replace] {
            let mut stage = stage(4);
            stage.subject("network@prod/eu-west-1", vec![document("a", action)]);
            stage.approve("dora");
            assert_eq!(stage.said(), "wait: built-in: 1 of 2 approvals: dora; missing 1 (anyone but the author)");
            stage.approve("eve");
            assert_eq!(stage.said(), "clear: built-in: 2 of 2 approvals: dora, eve");
        }
    }

    #[test]
    fn two_look_at_more_than_a_quarter_of_a_fleet_and_at_ten_targets_of_a_small_one() {
        for (fleet, touched, asked) in [(40, 10, 1), (40, 11, 2), (4, 4, 1), (12, 9, 1), (12, 10, 2)] {
            let mut stage = stage(fleet);
            (0..touched).for_each(|nth| stage.updates(&format!("network@prod/r{nth}"), &["a"]));
            assert!(stage.said().starts_with(&format!("wait: built-in: 0 of {asked} approval")), "{fleet} {touched}");
        }
    }
}
