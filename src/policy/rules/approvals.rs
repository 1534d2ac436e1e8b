//! `approvals`: people must approve what would change.

use crate::policy::case::{Case, Finding};
use crate::policy::known::Known;
use crate::policy::quorum::Requirement;
use crate::policy::rule::{Ask, Rule};
use crate::policy::when::texts;
use crate::review::User;
use crate::stack::{Fields, Kind, Mistake, Node, Site};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const RULE: Rule = Rule {
    name: "approvals",
    about: "people must approve what would change; each requirement needs its own people, never the author, a committer or a bot",
    read,
    keys,
    needs: &["require"],
    example: "{ rule: approvals, when: { environment: prod }, require: [{ team: platform, count: 1 }] }",
};

fn read(fields: &mut Fields<'_>, _site: &Site, known: &Known<'_>) -> Option<Ask> {
    let node = fields.need("require", "require: [{ team: platform, count: 1 }]")?;
    let items = match &node.kind {
        Kind::List(items) if !items.is_empty() => items,
        _ => {
            let what = format!("\"require\" must be a list that asks for somebody, and this is {}", node.kind_name());
            fields.mistakes().push(Mistake::at(&node.site, what).hint("write require: [{ team: platform, count: 1 }]"));
            return None;
        }
    };
    // All of them are read before the first bad one ends it, so that every mistake is told.
    let read: Vec<_> = items.iter().map(|item| requirement(item, known, fields)).collect();
    let wanted: Vec<Wanted> = read.into_iter().collect::<Option<_>>()?;
    Some(Arc::new(move |case| Finding::Ask(wanted.iter().flat_map(|wanted| wanted.of(case)).collect())))
}

/// One requirement as it is written.
struct Wanted {
    requirement: Requirement,
    /// Whom CODEOWNERS names fits too.
    code_owners: bool,
}

impl Wanted {
    /// What is asked of a target: of one that has several definitions, the owners of each.
    fn of(&self, case: &Case<'_>) -> Vec<Requirement> {
        if !self.code_owners {
            return vec![self.requirement.clone()];
        }
        let with = |owners: &Arc<str>| {
            let mut requirement = self.requirement.clone();
            requirement.teams.push(owners.clone());
            requirement
        };
        match &case.subject.owned_by[..] {
            [] => vec![with(&"code owners".into())], // whom nobody looked up
            owners => owners.iter().map(with).collect(),
        }
    }
}

fn requirement(node: &Node, known: &Known<'_>, outer: &mut Fields<'_>) -> Option<Wanted> {
    let mut fields = Fields::of(node, "a requirement", outer.mistakes());
    let mut teams = Vec::new();
    let mut users = BTreeSet::new();
    for key in ["team", "teams"] {
        for (name, at) in texts(&mut fields, key, &node.site).unwrap_or_default() {
            known.check_team(name, at, fields.mistakes());
            teams.push(Arc::from(name));
        }
    }
    for key in ["user", "users"] {
        for (name, at) in texts(&mut fields, key, &node.site).unwrap_or_default() {
            if name.trim().is_empty() {
                fields
                    .mistakes()
                    .push(Mistake::at(&at.site, "a user needs a name").hint("write the login of a person, or remove it"));
            }
            users.insert(name.trim().to_lowercase());
        }
    }
    let anyone = fields.flag("anyone");
    let code_owners = fields.flag("code_owners").unwrap_or(false);
    let count = fields.count("count", 1).or(if node.get("count").is_none() { Some(1) } else { None });
    fields.finish();

    let named = !teams.is_empty() || !users.is_empty() || code_owners;
    let wrong = match anyone {
        Some(true) if named => Some("\"anyone\" and names contradict each other"),
        Some(false) if !named => Some("this requirement asks for nobody"),
        _ => None,
    };
    if let Some(what) = wrong {
        outer.mistakes().push(Mistake::at(&node.site, what).hint("name teams or users, or leave \"anyone: true\" alone"));
    }
    let count = count?;
    if teams.is_empty() && !code_owners && !users.is_empty() && count > users.len() as u64 {
        let what = format!("asks for {count} approvals and names only {}", users.len());
        outer.mistakes().push(Mistake::at(&node.site, what).hint("each approval must come from another person"));
    }
    let users = users.into_iter().map(|name| User(name.into())).collect();
    Some(Wanted { requirement: Requirement { teams, users, count }, code_owners })
}

fn keys() -> Value {
    let texts = |about: &str, example: Value| {
        let one_or_more = [json!({ "type": "string" }), json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })];
        json!({ "description": about, "examples": [example], "anyOf": one_or_more })
    };
    json!({
        "require": {
            "type": "array",
            "minItems": 1,
            "description": "Each requirement must be met, each by its own people.",
            "examples": [[{ "team": "platform", "count": 1 }, { "team": "sre" }]],
            "items": {
                "type": "object",
                "description": "So many people of these teams or users; with neither, anyone but the author.",
                "additionalProperties": false,
                "properties": {
                    "team": texts("A team of the fleet's `teams`.", json!("platform")),
                    "teams": texts("Several teams: a member of any of them counts.", json!(["platform", "sre"])),
                    "user": texts("A login.", json!("ada")),
                    "users": texts("Several logins: any of them counts.", json!(["ada", "grace"])),
                    "code_owners": {
                        "description": "Whom CODEOWNERS names for the stack's definition, as it was before the change.", "examples": [true], "type": "boolean",
                    },
                    "anyone": {
                        "description": "Says that it is meant to be without names.", "examples": [true], "type": "boolean",
                    },
                    "count": {
                        "description": "How many of them.", "examples": [2], "type": "integer", "minimum": 1, "default": 1,
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::testing::{Stage, mistakes};
    use serde_json::json;

    #[test]
    fn a_change_waits_until_enough_people_approved() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "count": 2 }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        assert_eq!(stage.said(), "wait: 0 of 2 approvals: missing 2 (anyone but the author)");
        stage.approve("dora");
        assert_eq!(stage.said(), "wait: 1 of 2 approvals: dora; missing 1 (anyone but the author)");
        stage.approve("eve");
        assert_eq!(stage.said(), "clear: 2 of 2 approvals: dora, eve");
    }

    #[test]
    fn a_count_of_one_need_not_be_written() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "user": "dora" }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        assert_eq!(stage.said(), "wait: 0 of 1 approval: missing dora");
    }

    #[test]
    fn what_can_never_be_met_is_a_mistake() {
        for (require, said) in [
            (json!([]), "must be a list that asks for somebody"),
            (json!({ "count": 1 }), "must be a list that asks for somebody"),
            (json!([{ "count": 0 }]), "\"count\" must be a whole number, at least 1"),
            (json!([{ "users": ["dora", "DORA"], "count": 2 }]), "asks for 2 approvals and names only 1"),
            (json!([{ "users": [] }]), "\"users\" names nothing"),
            (json!([{ "user": " " }]), "a user needs a name"),
            (json!([{ "anyone": false }]), "asks for nobody"),
            (json!([{ "anyone": true, "team": "sre" }]), "contradict"),
            (json!([{ "team": "sree" }]), "unknown team \"sree\""),
            (json!([{ "teamz": "sre" }]), "unknown key \"teamz\""),
        ] {
            let told = mistakes(&json!([{ "rule": "approvals", "require": require }]));
            assert!(told.iter().any(|mistake| mistake.contains(said)), "{require}: {told:?}");
        }
        assert!(mistakes(&json!([{ "rule": "approvals" }]))[0].contains("needs the key \"require\""));
    }

    #[test]
    fn every_mistake_of_a_rule_is_told_at_once() {
        let told = mistakes(&json!([{ "rule": "approvals", "require": [{ "count": 0 }, { "team": "sree" }], "whenn": {} }]));
        assert_eq!(told.len(), 3, "{told:?}");
    }
}
