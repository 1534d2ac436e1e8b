//! `docs/definitions.md` from the published JSON Schemas: every key with its type, what it means, what holds without it, and
//! an example.

use isobar::command::schema::{Which, schema};
use isobar::policy::RULES;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const HEAD: &str = "# Definitions

<!-- Generated from the JSON Schemas by a test; run `ISOBAR_WRITE=1 cargo test docs` to renew it. -->

Every key of `isobar.yaml`, the fleet, and of `stack.yaml`, one stack. `isobar schema isobar` and `isobar schema stack` print the
same as JSON Schema, and `isobar init` writes both beside the fleet for your editor. How values are layered and what `${{ … }}`
may name is told in [concepts](concepts.md#values). **Bold** keys must be there. An unknown key is a mistake, and so is a key
that stands twice; `isobar check` tells all mistakes at once.
";

/// Writes the page.
pub(super) fn page() -> String {
    let mut page = Page { text: HEAD.to_string(), told: BTreeMap::new() };
    for (which, name) in [(Which::Fleet, "isobar.yaml"), (Which::Stack, "stack.yaml")] {
        let schema = schema(which).expect("both are published");
        page.section("##", name, "", &schema);
    }
    page.text
}

/// The page so far, and where each map's keys were told: equal maps are told once.
struct Page {
    text: String,
    told: BTreeMap<String, String>,
}

impl Page {
    /// Tells the keys of a map, then those of the maps in it.
    fn section(&mut self, level: &str, title: &str, path: &str, schema: &Value) {
        self.text.push_str(&format!("\n{level} {title}\n\n{}\n\n", sentence(&schema["description"])));
        if let Some(rule) = rule_of(schema) {
            self.text.push_str(&format!("```yaml\npolicy:\n  - {}\n```\n\n", rule.example));
        }
        let keys = schema["properties"].as_object().cloned().unwrap_or_default();
        let (built, unbuilt): (Map<_, _>, Map<_, _>) = keys.into_iter().partition(|(_, key)| key.get("not").is_none());
        let inner: Vec<(String, String, Value)> = built.iter().flat_map(|(key, schema)| self.inner(path, key, schema)).collect();

        self.text.push_str("| key | type | meaning | default | example |\n| --- | --- | --- | --- | --- |\n");
        let required = |key: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key));
        for (key, about) in &built {
            let name = if required(key) { format!("**`{key}`**") } else { format!("`{key}`") };
            let default = about.get("default").map(code).unwrap_or_default();
            let example = about["examples"][0].clone();
            let example = if example.is_null() { String::new() } else { code(&Value::from_iter([(key.clone(), example)])) };
            let meaning = sentence(&about["description"]);
            self.text.push_str(&cells(&[&name, &self.type_of(about), &meaning, &default, &example]));
        }
        if !unbuilt.is_empty() {
            let names: Vec<String> = unbuilt.keys().map(|name| format!("`{name}`")).collect();
            self.text.push_str(&format!("\nReserved for engines that are not in this version: {}.\n", names.join(", ")));
        }
        for (path, title, schema) in inner {
            self.section("###", &title, &path, &schema);
        }
    }

    /// Finds the maps with keys of their own in what `key` holds, and reserves a heading for each that is new.
    fn inner(&mut self, path: &str, key: &str, schema: &Value) -> Vec<(String, String, Value)> {
        let mut found = Vec::new();
        maps(schema, &join(path, key), &mut found);
        found.retain(|(_, schema)| !self.told.contains_key(&same(schema)));
        let mut new = Vec::new();
        for (path, schema) in found {
            let title = rule_of(&schema).map_or(format!("`{path}`"), |rule| format!("`{path}`: {}", rule.name));
            if self.told.insert(same(&schema), slug(&title)).is_none() {
                new.push((path, title, schema));
            }
        }
        new
    }

    fn type_of(&self, schema: &Value) -> String {
        if let Some(slug) = self.told.get(&same(schema)) {
            return format!("[map](#{slug})");
        }
        if let Some(constant) = schema.get("const") {
            return code(constant);
        }
        if let Some(choices) = schema["enum"].as_array() {
            return choices.iter().map(code).collect::<Vec<_>>().join(" or ");
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[key].as_array() {
                return self.either(choices);
            }
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
            _ => return "anything".into(),
        };
        match types.as_slice() {
            ["string"] if schema["pattern"] == "^[0-9]+[smhd]$" => "duration".into(),
            ["string"] => "text".into(),
            ["integer"] => "whole number".into(),
            ["boolean"] => "`true` or `false`".into(),
            ["array"] => format!("list of {}", self.type_of(&schema["items"])),
            ["object"] => match schema["additionalProperties"].as_object() {
                Some(value) if !value.is_empty() => format!("map to {}", self.type_of(&schema["additionalProperties"])),
                _ => "map".into(),
            },
            other => panic!("a type that this page has no word for: {other:?}"),
        }
    }

    /// `text, or a list of them`.
    fn either(&self, choices: &[Value]) -> String {
        if let [one, several] = choices
            && several["items"] == *one
        {
            return format!("{}, or a list of them", self.type_of(one));
        }
        let mut told: Vec<String> = Vec::new();
        for choice in choices {
            let one = self.type_of(choice);
            if !told.contains(&one) {
                told.push(one);
            }
        }
        told.join(" or ")
    }
}

/// Collects the maps that name their keys, with the way to them: `rollout.*.waves[]`.
fn maps(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    if schema["properties"].is_object() {
        if !found.iter().any(|(_, there)| same(there) == same(schema)) {
            found.push((path.to_string(), schema.clone()));
        }
        return;
    }
    if schema["additionalProperties"].is_object() {
        maps(&schema["additionalProperties"], &format!("{path}.*"), found);
    }
    if schema["items"].is_object() {
        maps(&schema["items"], &format!("{path}[]"), found);
    }
    for choice in ["anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        maps(choice, path, found);
    }
}

/// The kind of rule that a map of the policy section is, if it is one.
fn rule_of(schema: &Value) -> Option<&'static isobar::policy::Rule> {
    let name = schema["properties"]["rule"]["const"].as_str()?;
    RULES.iter().find(|rule| rule.name == name)
}

fn same(schema: &Value) -> String {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        ["description", "examples", "default"].iter().for_each(|key| drop(map.remove(*key)));
    }
    schema.to_string()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

fn cells(cells: &[&str]) -> String {
    let safe: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", safe.join(" | "))
}

/// A description as a sentence.
fn sentence(text: &Value) -> String {
    let text = text.as_str().unwrap_or_else(|| panic!("a key without a description"));
    let mut chars = text.chars();
    let names_a_value = text.split(' ').next().is_some_and(|word| word.ends_with(':'));
    let first = chars.next().map(|first| if names_a_value { first.to_string() } else { first.to_uppercase().to_string() });
    let first = first.unwrap_or_default();
    let end = if text.ends_with(['.', '…']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// A value as one line of YAML, marked as code.
fn code(value: &Value) -> String {
    let text = match value {
        Value::Object(map) if map.len() == 1 => {
            map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect::<String>()
        }
        other => flow(other),
    };
    format!("`{text}`")
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(), // JSON is YAML
    }
}

/// Says whether YAML reads the text as itself without quotes, also inside brackets.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '/'));
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':' | '*');
    let is_word = !matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off") && text.parse::<f64>().is_err();
    begins && is_word && text.chars().all(allowed) && !text.contains(": ") && !text.ends_with(':')
}

/// Returns the anchor that GitHub makes of a heading.
pub(super) fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn values_are_told_as_yaml_that_means_the_same() {
    for value in [
        serde_json::json!({ "regions": { "prod/eu-west-1": { "cloud": "aws", "weight": 3 } } }),
        serde_json::json!({ "cidr": "${{ region.vars.cidr }}" }),
        serde_json::json!({ "max_parallel": "25%", "after": ["staging", "3", "true story", "*"] }),
    ] {
        let told = flow(&value);
        let read: Value = serde_yaml::from_str(&told).unwrap_or_else(|error| panic!("{told}: {error}"));
        assert_eq!(read, value, "{told}");
    }
}
