//! `when`: which targets a rule is about. Keys are and, lists are or; an absent key asks nothing.

mod read;

use super::Subject;
use super::case::Case;
use super::glob::Globs;
use super::known::matches_region;
use crate::change::{Action, Change, Intent};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) use read::texts;

/// The conditions of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    environments: Option<Vec<Arc<str>>>,
    regions: Option<Globs>,
    clouds: Option<Vec<Arc<str>>>,
    stacks: Option<Globs>,
    labels: Vec<(Arc<str>, Vec<Arc<str>>)>,
    actions: Option<Vec<Act>>,
    kinds: Option<Globs>,
    addresses: Option<Globs>,
    targets_min: Option<u64>,
}

/// What `actions` may name: what happens to a resource, or that the whole target goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Does(Action),
    Destroy,
}

/// Reading a resource changes nothing, so no rule is about it.
const ACTS: [(&str, Act); 6] = [
    ("create", Act::Does(Action::Create)),
    ("update", Act::Does(Action::Update)),
    ("replace", Act::Does(Action::Replace)),
    ("delete", Act::Does(Action::Delete)),
    ("move", Act::Does(Action::Move)),
    ("destroy", Act::Destroy),
];

impl When {
    /// Says whether the rule is about this case. Action, kind and address must hold of one and the same change.
    pub(super) fn matches(&self, case: &Case<'_>) -> bool {
        let intent = case.subject.intent();
        self.matches_place(case.subject)
            && self.targets_min.is_none_or(|min| case.whole.targets >= min)
            && case.subject.preview.changes.iter().any(|change| self.matches_change(change, intent))
    }

    fn matches_place(&self, subject: &Subject<'_>) -> bool {
        let has = |key: &Arc<str>, values: &[Arc<str>]| {
            values.iter().any(|value| subject.labels.contains(&(key.clone(), value.clone())))
        };
        self.environments.as_ref().is_none_or(|names| names.iter().any(|name| **name == *subject.region().environment()))
            && self.regions.as_ref().is_none_or(|globs| matches_region(globs, subject.region().as_str()))
            && self.clouds.as_ref().is_none_or(|clouds| clouds.iter().any(|cloud| subject.clouds.contains(cloud)))
            && self.stacks.as_ref().is_none_or(|globs| subject.stacks.iter().any(|name| globs.matches(name.as_str())))
            && self.labels.iter().all(|(key, values)| has(key, values))
    }

    fn matches_change(&self, change: &Change, intent: Intent) -> bool {
        let acts = |act: &Act| match act {
            Act::Does(action) => *action == change.action,
            Act::Destroy => intent == Intent::Destroy,
        };
        self.actions.as_ref().is_none_or(|listed| listed.iter().any(acts))
            && self.kinds.as_ref().is_none_or(|globs| globs.matches(&change.kind))
            && self.addresses.as_ref().is_none_or(|globs| globs.matches(&change.address))
    }

    pub(super) fn schema() -> Value {
        let texts = |about: &str, example: Value| {
            let one_or_more =
                [json!({ "type": "string" }), json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })];
            json!({ "description": about, "examples": [example], "anyOf": one_or_more })
        };
        let acts: Vec<&str> = ACTS.iter().map(|(name, _)| *name).collect();
        json!({
            "type": ["object", "null"],
            "description": "Which targets the rule is about: keys are and, lists are or",
            "examples": [{ "environment": "prod", "actions": ["delete", "replace"] }],
            "additionalProperties": false,
            "properties": {
                "environment": texts("Environments.", json!("prod")),
                "region": texts("Patterns of region ids, or of their names in any environment.", json!(["prod/eu-*", "us-east-1"])),
                "cloud": texts("Clouds.", json!("aws")),
                "stack": texts("Patterns of stack names; a definition's own name means all its instances.", json!("apps/*")),
                "labels": {
                    "description": "Labels of the region or of the stack, before or after the change.",
                    "examples": [{ "tier": ["one", "two"] }],
                    "type": "object",
                    "additionalProperties": texts("A value, or several.", json!("one")),
                    "minProperties": 1,
                },
                "actions": {
                    "description": "What happens to a resource; `destroy`: the whole target goes.",
                    "examples": [["delete", "replace"]],
                    "anyOf": [{ "enum": acts }, { "type": "array", "items": { "enum": acts }, "minItems": 1 }],
                },
                "kinds": texts("Patterns of resource kinds, as the engine names them.", json!("document")),
                "addresses": texts("Patterns of resource addresses, such as a document's path.", json!("*.yaml")),
                "targets_min": {
                    "description": "Only when the whole change touches at least so many targets.",
                    "examples": [10],
                    "type": "integer",
                    "minimum": 1,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::change::{Action, Intent};
    use crate::policy::testing::{Stage, change, document, mistakes};
    use serde_json::{Value, json};

    /// Says whether `when` matches the second of three targets: `network@prod/eu-west-1`, in aws and of tier one, with an
    /// update of a document and a delete of a bucket. The third one would not change.
    fn matches(when: Value) -> bool {
        matches_with(when, |_| ())
    }

    fn matches_with(when: Value, prepare: impl Fn(&mut Stage)) -> bool {
        let mut stage = Stage::of(json!([{ "rule": "deny", "message": "matched", "when": when }]));
        stage.updates("db@staging/eu-west-1", &["db.yaml"]);
        let changes = vec![document("net/vpc.yaml", Action::Update), change("logs", "aws:s3/bucket:Bucket", Action::Delete)];
        stage.subject("network@prod/eu-west-1", changes);
        stage.subjects[1].clouds.insert("aws".into());
        stage.subjects[1].labels = [("tier", "one"), ("tier", "two"), ("team", "net")].map(|(k, v)| (k.into(), v.into())).into();
        stage.subject("idle@prod/eu-west-1", vec![]);
        prepare(&mut stage);
        stage.all_said()[1] == "deny: matched"
    }

    #[test]
    fn no_condition_matches_everything() {
        assert!(matches(json!(null)));
        assert!(matches(json!({})));
    }

    #[test]
    fn places_match_by_name_and_pattern() {
        for (when, answer) in [
            (json!({ "environment": "prod" }), true),
            (json!({ "environment": ["staging", "prod"] }), true),
            (json!({ "environment": "staging" }), false),
            (json!({ "region": "prod/*" }), true),
            (json!({ "region": "eu-*" }), true),
            (json!({ "region": "*/us-*" }), false),
            (json!({ "cloud": "aws" }), true),
            (json!({ "cloud": "gcp" }), false),
            (json!({ "stack": "net*" }), true),
            (json!({ "stack": "network" }), true),
            (json!({ "stack": ["db", "apps/*"] }), false),
        ] {
            assert_eq!(matches(when.clone()), answer, "{when}");
        }
    }

    #[test]
    fn a_target_without_a_cloud_is_in_no_cloud() {
        assert!(!matches_with(json!({ "cloud": "aws" }), |stage| stage.subjects[1].clouds.clear()));
    }

    #[test]
    fn a_name_and_a_cloud_of_either_side_match() {
        let renamed = |stage: &mut Stage| {
            stage.subjects[1].stacks.insert("db".parse().expect("a name"));
            stage.subjects[1].clouds.insert("gcp".into());
        };
        for when in
            [json!({ "stack": "db" }), json!({ "stack": "network" }), json!({ "cloud": "gcp" }), json!({ "cloud": "aws" })]
        {
            assert!(matches_with(when.clone(), renamed), "{when}");
        }
    }

    #[test]
    fn a_label_of_either_side_matches() {
        for (labels, answer) in [
            (json!({ "tier": "one" }), true),
            (json!({ "tier": "two" }), true),
            (json!({ "tier": ["three", "two"] }), true),
            (json!({ "tier": "three" }), false),
            (json!({ "tier": "one", "team": "net" }), true),
            (json!({ "tier": "one", "team": "app" }), false),
        ] {
            assert_eq!(matches(json!({ "labels": labels.clone() })), answer, "{labels}");
        }
    }

    #[test]
    fn changes_match_by_action_kind_and_address() {
        for (when, answer) in [
            (json!({ "actions": "delete" }), true),
            (json!({ "actions": ["create", "replace"] }), false),
            (json!({ "kinds": "aws:s3/*" }), true),
            (json!({ "kinds": "aws:*" }), true),
            (json!({ "kinds": "aws:rds/*" }), false),
            (json!({ "addresses": "net/*" }), true),
            (json!({ "addresses": "vpc.yaml" }), false),
            (json!({ "actions": "delete", "kinds": "document" }), false),
            (json!({ "actions": "update", "addresses": "logs" }), false),
            (json!({ "actions": "delete", "kinds": "*Bucket", "addresses": "l?gs" }), true),
        ] {
            assert_eq!(matches(when.clone()), answer, "{when}");
        }
    }

    #[test]
    fn destroy_is_about_targets_that_go_as_a_whole() {
        let when = json!({ "actions": "destroy" });
        assert!(!matches(when.clone()));
        assert!(matches_with(when, |stage| stage.subjects[1].preview.intent = Intent::Destroy));
    }

    #[test]
    fn only_targets_that_would_change_are_counted() {
        assert!(matches(json!({ "targets_min": 2 })));
        assert!(!matches(json!({ "targets_min": 3 })));
    }

    #[test]
    fn keys_are_and() {
        assert!(matches(json!({ "environment": "prod", "stack": "network", "actions": "delete" })));
        assert!(!matches(json!({ "environment": "prod", "stack": "db" })));
    }

    #[test]
    fn a_condition_that_can_never_hold_is_a_mistake() {
        for (when, said) in [
            (json!({ "environment": "prodd" }), "unknown environment \"prodd\"\n  hint: did you mean \"prod\"?"),
            (json!({ "environment": [] }), "\"environment\" names nothing"),
            (json!({ "environment": 3 }), "\"environment\" must be a text or a list of texts"),
            (json!({ "region": "prod/eu-wst-1" }), "did you mean \"prod/eu-west-1\"?"),
            (json!({ "region": "prodd/*" }), "unknown region \"prodd/*\""),
            (json!({ "cloud": "awss" }), "unknown cloud \"awss\"\n  hint: did you mean \"aws\"?"),
            (json!({ "stack": "networkk" }), "did you mean \"network\"?"),
            (json!({ "actions": "destroyy" }), "did you mean \"destroy\"?"),
            (json!({ "actions": "read" }), "unknown action \"read\""),
            (json!({ "kinds": "[a" }), "\"[a\" is not a pattern"),
            (json!({ "labels": "tier" }), "\"labels\" must be a map"),
            (json!({ "labels": {} }), "\"labels\" must be a map"),
            (json!({ "labels": { "tier": 1 } }), "put the value in quotes"),
            (json!({ "labels": { "tier": [] } }), "names no value"),
            (json!({ "targets_min": 0 }), "at least 1"),
            (json!({ "environmentt": "prod" }), "did you mean \"environment\"?"),
            (json!("prod"), "\"when\" must be a map"),
        ] {
            let told = mistakes(&json!([{ "rule": "deny", "message": "m", "when": when }]));
            assert!(told.len() == 1 && told[0].contains(said), "{when}: {told:?}");
        }
    }

    #[test]
    fn a_pattern_of_stacks_may_stand_for_stacks_to_come() {
        assert_eq!(mistakes(&json!([{ "rule": "deny", "message": "m", "when": { "stack": "apps/*" } }])), [""; 0]);
    }
}
