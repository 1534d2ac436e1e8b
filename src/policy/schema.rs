//! The JSON Schema of the `policy` section, put together from the table of rules.

use super::rule::Rule;
use super::rules::RULES;
use super::when::When;
use serde_json::{Value, json};

/// Returns the schema of the `policy` section.
pub fn schema() -> Value {
    let rules: Vec<Value> = RULES.iter().map(of_rule).collect();
    json!({
        "type": "array",
        "description": "Rules that judge every change, read from the commit before it. Whatever fails or is missing means no.",
        "minItems": 1,
        "items": { "oneOf": rules },
    })
}

fn of_rule(rule: &Rule) -> Value {
    let mut schema = json!({
        "type": "object",
        "description": rule.about,
        "additionalProperties": false,
        "required": ["rule"],
        "properties": {
            "rule": { "const": rule.name, "description": "The kind of rule.", "examples": [rule.name] },
            "name": { "type": "string", "description": "Said before what the rule says.", "examples": ["prod"] },
            "when": When::schema(),
        },
    });
    if let (Some(properties), Value::Object(keys)) = (schema["properties"].as_object_mut(), (rule.keys)()) {
        properties.extend(keys);
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.extend(rule.needs.iter().map(|key| json!(key)));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::mistakes;

    fn accepts(section: &Value) -> bool {
        jsonschema::is_valid(&schema(), section)
    }

    #[test]
    fn every_example_fits() {
        for rule in RULES {
            let example: Value = serde_yaml::from_str(rule.example).expect(rule.name);
            assert!(accepts(&json!([example])), "{}", rule.name);
        }
    }

    #[test]
    fn what_the_reader_refuses_the_schema_refuses_too() {
        for section in [
            json!([]),
            json!({}),
            json!([{ "rule": "approval", "require": [{}] }]),
            json!([{ "rule": "approvals" }]),
            json!([{ "rule": "approvals", "require": [] }]),
            json!([{ "rule": "approvals", "require": [{ "count": 0 }] }]),
            json!([{ "rule": "approvals", "require": [{ "teamm": "sre" }] }]),
            json!([{ "rule": "deny" }]),
            json!([{ "rule": "deny", "message": "m", "deletes_max": 1 }]),
            json!([{ "rule": "deny", "message": "m", "when": { "actions": "explode" } }]),
            json!([{ "rule": "deny", "message": "m", "when": { "kinds": [] } }]),
            json!([{ "rule": "deny", "message": "m", "when": { "labels": {} } }]),
            json!([{ "rule": "limit", "deletes_max": -1 }]),
            json!([{ "rule": "freeze", "from": "2026-12-20" }]),
            json!([{ "rego": "policy/*.rego" }]),
        ] {
            assert!(!accepts(&section), "{section}");
            assert!(!mistakes(&section).is_empty(), "{section}");
        }
    }

    #[test]
    fn what_fits_is_read() {
        let section = json!([{
            "rule": "approvals",
            "name": "prod",
            "when": { "environment": ["prod"], "labels": { "tier": "one" }, "actions": ["delete", "destroy"], "targets_min": 2 },
            "require": [{ "teams": ["sre", "platform"], "count": 2 }, { "anyone": true }],
        }]);
        assert!(accepts(&section));
        assert_eq!(mistakes(&section), [""; 0]);
    }
}
