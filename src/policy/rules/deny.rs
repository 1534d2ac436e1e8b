//! `deny`: what must never happen.

use crate::policy::case::Finding;
use crate::policy::known::Known;
use crate::policy::rule::{Ask, Rule};
use crate::stack::{Fields, Mistake, Site};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const RULE: Rule = Rule {
    name: "deny",
    about: "denies every change that `when` matches, such as the delete of a protected kind; no approval lifts it",
    read,
    keys,
    needs: &["message"],
    example: "{ rule: deny, when: { actions: delete, kinds: 'aws:rds/*' }, message: databases are never deleted }",
};

fn read(fields: &mut Fields<'_>, site: &Site, _known: &Known<'_>) -> Option<Ask> {
    fields.need("message", "message: databases are never deleted")?;
    let message: Arc<str> = fields.text("message")?.trim().into();
    if message.is_empty() {
        fields.mistakes().push(Mistake::at(site, "\"message\" is empty").hint("say why, for the person who is stopped"));
    }
    Some(Arc::new(move |_| Finding::Deny(message.to_string())))
}

fn keys() -> Value {
    json!({ "message": { "type": "string", "minLength": 1, "description": "Why, for the person who is stopped.", "examples": ["databases are never deleted"] } })
}

#[cfg(test)]
mod tests {
    use crate::change::Action;
    use crate::policy::testing::{Stage, change, mistakes};
    use serde_json::json;

    fn stage() -> Stage {
        Stage::of(json!([{
            "rule": "deny",
            "when": { "actions": ["delete", "replace"], "kinds": "aws:rds/*" },
            "message": "databases are never deleted",
        }]))
    }

    #[test]
    fn a_protected_kind_cannot_be_deleted_even_with_approvals() {
        let mut stage = stage();
        stage.subject("db@prod/eu-west-1", vec![change("main", "aws:rds/instance:Instance", Action::Delete)]);
        stage.approve("dora");
        assert_eq!(stage.said(), "deny: databases are never deleted");
    }

    #[test]
    fn kind_and_action_must_hold_of_one_and_the_same_change() {
        let mut stage = stage();
        let update = change("main", "aws:rds/instance:Instance", Action::Update);
        stage.subject("db@prod/eu-west-1", vec![update, change("page", "document", Action::Delete)]);
        assert_eq!(stage.said(), "clear: no rule asks for an approval of this");
    }

    #[test]
    fn a_denial_must_say_why() {
        assert!(mistakes(&json!([{ "rule": "deny" }]))[0].contains("needs the key \"message\""));
        assert!(mistakes(&json!([{ "rule": "deny", "message": " " }]))[0].contains("is empty"));
        assert!(mistakes(&json!([{ "rule": "deny", "message": 3 }]))[0].contains("must be a text"));
    }
}
