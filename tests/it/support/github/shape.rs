//! Answers in the shape that GitHub's own description gives them: what a story is about is filled in, and the rest is there and empty.

use serde_json::{Map, Value};
use std::sync::OnceLock;

/// GitHub's description of the requests that we use, as it publishes it.
const DESCRIPTION: &str = include_str!("../../../../fixtures/github/openapi-slim.json");

fn description() -> &'static Value {
    static READ: OnceLock<Value> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(DESCRIPTION).expect("the description is JSON"))
}

/// Returns the body that the description gives to this answer, with these facts in it. A fact that has no place there is a mistake of
/// ours.
pub(crate) fn shaped(route: &str, method: &str, status: u16, facts: Value) -> Value {
    let answers = &description()["paths"][route][method.to_lowercase()]["responses"];
    let answer = followed(&answers[status.to_string()]);
    assert!(!answer.is_null(), "GitHub describes no answer {status} to {method} {route}");
    match answer.get("content").and_then(|content| content.get("application/json")) {
        Some(content) => fill(&content["schema"], Some(facts), route),
        None => Value::Null,
    }
}

fn followed(mut schema: &'static Value) -> &'static Value {
    while let Some(to) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = to.strip_prefix('#').expect("it refers to itself only");
        schema = description().pointer(pointer).unwrap_or_else(|| panic!("{to} is not described"));
    }
    schema
}

fn fill(schema: &'static Value, fact: Option<Value>, at: &str) -> Value {
    let schema = followed(schema);
    if fact.as_ref().map_or(is_nullable(schema), Value::is_null) {
        return Value::Null;
    }
    if let Some(all) = schema["allOf"].as_array() {
        return fill_all(all, fact, at);
    }
    if let Some(some) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return match &fact {
            None if some.iter().any(|one| is_nullable(followed(one))) => Value::Null,
            _ => fill(fitting(some, fact.as_ref()), fact, at),
        };
    }
    match schema["type"].as_str() {
        Some("array") => {
            let items = fact.unwrap_or_else(|| Value::Array(vec![]));
            let Value::Array(items) = items else { panic!("{at} is a list, and not {items}") };
            Value::Array(items.into_iter().map(|item| fill(&schema["items"], Some(item), at)).collect())
        }
        Some("object") | None if schema.get("properties").is_some() => fill_object(schema, fact, at),
        Some("object") => fact.unwrap_or_else(|| Value::Object(Map::new())),
        _ => fact.unwrap_or_else(|| empty(schema)),
    }
}

fn fill_all(all: &'static [Value], fact: Option<Value>, at: &str) -> Value {
    let mut whole = Map::new();
    for one in all {
        let known = |name: &String| followed(one)["properties"].get(name).is_some();
        let own = fact.clone().map(|fact| match fact {
            Value::Object(facts) => Value::Object(facts.into_iter().filter(|(name, _)| known(name)).collect()),
            other => other,
        });
        match fill(one, own, at) {
            Value::Object(part) => whole.extend(part),
            other => return other,
        }
    }
    Value::Object(whole)
}

fn fill_object(schema: &'static Value, fact: Option<Value>, at: &str) -> Value {
    let mut facts = match fact {
        None => Map::new(),
        Some(Value::Object(facts)) => facts,
        Some(other) => panic!("{at} is an object, and not {other}"),
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut whole = Map::new();
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let fact = facts.remove(name);
        if fact.is_some() || required.contains(&name.as_str()) {
            whole.insert(name.clone(), fill(of, fact, &format!("{at}.{name}")));
        }
    }
    assert!(facts.is_empty(), "GitHub does not describe {facts:?} at {at}");
    Value::Object(whole)
}

/// The first that could be of the fact's kind.
fn fitting(some: &'static [Value], fact: Option<&Value>) -> &'static Value {
    let fits = |schema: &&'static Value| match (followed(schema)["type"].as_str(), fact) {
        (_, None) | (None, Some(_)) => true,
        (Some("object"), Some(fact)) => fact.is_object(),
        (Some("array"), Some(fact)) => fact.is_array(),
        (Some("string"), Some(fact)) => fact.is_string(),
        (Some("integer" | "number"), Some(fact)) => fact.is_number(),
        (Some("boolean"), Some(fact)) => fact.is_boolean(),
        (Some(_), Some(_)) => false,
    };
    some.iter().find(fits).unwrap_or(&some[0])
}

fn is_nullable(schema: &Value) -> bool {
    schema["nullable"] == true
}

fn empty(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer" | "number"), _) => 0.into(),
        (Some("boolean"), _) => false.into(),
        (_, Some("uri")) => "https://github.example/".into(),
        (_, Some("date-time" | "timestamp")) => "2026-11-01T09:00:00Z".into(),
        (_, Some("email")) => "nobody@isobar.example".into(),
        (_, Some("repo.nwo")) => "acme/fleet".into(),
        (_, _) => "".into(),
    }
}
