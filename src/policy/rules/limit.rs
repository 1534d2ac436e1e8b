//! `limit`: how much one change may do.

use crate::change::Extent;
use crate::policy::case::{Case, Finding};
use crate::policy::known::Known;
use crate::policy::rule::{Ask, Rule};
use crate::policy::words::counted;
use crate::stack::{Fields, Mistake, Site};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const RULE: Rule = Rule {
    name: "limit",
    about: "denies a change that does too much: it is counted over all its targets, and `when` says which of them are denied",
    read,
    keys,
    needs: &[],
    example: "{ rule: limit, deletes_max: 10, targets_max: 200 }",
};

/// One thing that can be limited: its key, how it is counted and how it is told.
struct Measure {
    key: &'static str,
    of: fn(&Extent) -> u64,
    told: fn(u64) -> String,
}

const MEASURES: [Measure; 4] = [
    Measure { key: "deletes_max", of: |whole| whole.deletes, told: |count| format!("delete {}", counted(count, "resource")) },
    Measure { key: "replaces_max", of: |whole| whole.replaces, told: |count| format!("replace {}", counted(count, "resource")) },
    Measure { key: "targets_max", of: |whole| whole.targets, told: |count| format!("touch {}", counted(count, "target")) },
    Measure { key: "changes_max", of: |whole| whole.changes, told: |count| format!("make {}", counted(count, "change")) },
];

fn read(fields: &mut Fields<'_>, site: &Site, _known: &Known<'_>) -> Option<Ask> {
    let told = fields.mistakes().len();
    let limits: Vec<_> = MEASURES.iter().filter_map(|measure| Some((measure, fields.count(measure.key, 0)?))).collect();
    if limits.is_empty() && fields.mistakes().len() == told {
        let keys = MEASURES.map(|measure| measure.key).join(", ");
        fields.mistakes().push(Mistake::at(site, "this limit limits nothing").hint(format!("set one of {keys}")));
    }
    Some(Arc::new(move |case| {
        let beyond = limits.iter().filter(|(measure, max)| (measure.of)(&case.whole) > *max);
        let told: Vec<_> = beyond.map(|(measure, max)| sentence(measure, *max, case)).collect();
        if told.is_empty() { Finding::Silent } else { Finding::Deny(told.join("; ")) }
    }))
}

fn sentence(measure: &Measure, max: u64, case: &Case<'_>) -> String {
    let count = (measure.of)(&case.whole);
    let who = if (measure.of)(&case.change) < count { "it is left of a change that" } else { "the whole change" };
    format!("{who} would {}, and the limit is {max}", (measure.told)(count))
}

fn keys() -> Value {
    let count = |what: &str, example: u64| {
        let about = format!("The most {what} that the whole change may hold.");
        json!({ "description": about, "examples": [example], "type": "integer", "minimum": 0 })
    };
    json!({
        "deletes_max": count("deletes", 10),
        "replaces_max": count("replacements", 5),
        "targets_max": count("changed targets", 200),
        "changes_max": count("changes", 1000),
    })
}

#[cfg(test)]
mod tests {
    use crate::change::Action;
    use crate::policy::testing::{Stage, change, mistakes};
    use serde_json::{Value, json};

    const CLEAR: &str = "clear: no rule asks for an approval of this";

    /// Two targets: two updates and a delete in one, a replace in the other, and a third that would not change.
    fn said(limit: Value) -> Vec<String> {
        let mut rule = limit;
        rule["rule"] = "limit".into();
        let mut stage = Stage::of(json!([rule]));
        let doc = |address, action| change(address, "document", action);
        let many = vec![doc("a", Action::Update), doc("b", Action::Update), doc("c", Action::Delete), doc("d", Action::Read)];
        stage.subject("network@prod/eu-west-1", many);
        stage.subject("network@staging/eu-west-1", vec![doc("a", Action::Replace)]);
        stage.subject("idle@prod/eu-west-1", vec![]);
        stage.all_said()
    }

    #[test]
    fn a_change_at_the_limit_passes_and_one_beyond_it_does_not() {
        for (key, at, told) in [
            ("deletes_max", 1, "delete 1 resource, and the limit is 0"),
            ("replaces_max", 1, "replace 1 resource, and the limit is 0"),
            ("targets_max", 2, "touch 2 targets, and the limit is 1"),
            ("changes_max", 4, "make 4 changes, and the limit is 3"),
        ] {
            assert_eq!(said(json!({ key: at }))[..2], [CLEAR, CLEAR], "{key}: {at}");
            let denied = format!("deny: the whole change would {told}");
            assert_eq!(said(json!({ key: at - 1 }))[..2], [denied.clone(), denied], "{key}: {}", at - 1);
        }
    }

    #[test]
    fn the_whole_change_is_counted_and_when_says_who_is_denied() {
        let said = said(json!({ "deletes_max": 0, "when": { "environment": "staging" } }));
        assert_eq!(said[0], CLEAR);
        assert_eq!(said[1], "deny: the whole change would delete 1 resource, and the limit is 0");
    }

    #[test]
    fn a_target_that_would_not_change_is_never_denied() {
        assert_eq!(said(json!({ "targets_max": 0 }))[2], "clear: nothing would change");
    }

    #[test]
    fn a_limit_must_limit_something() {
        assert!(mistakes(&json!([{ "rule": "limit" }]))[0].contains("limits nothing"));
        assert_eq!(mistakes(&json!([{ "rule": "limit", "deletes_max": -1 }])).len(), 1);
        assert!(mistakes(&json!([{ "rule": "limit", "delete_max": 1 }])).iter().any(|told| told.contains("unknown key")));
    }
}
