//! Declared outputs: a value that is known from the definition, or one read back from a published JSON document.

use super::render::{Rendered, Sensitive};
use super::values::has_secrets;
use crate::change::Outputs;
use crate::stack::{
    Fields, Mistake, Mistakes, Node, OutputFrom, Resolved, Site, Stack, To, has_marks, is_mark_character, references_in,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `{ document: network.json, pointer: /vpc/id }`: where an output is read back from. Only JSON: its meaning depends on no
/// reader, where a YAML document may mean one thing to us and another to whoever uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadBack {
    pub(super) document: Arc<str>,
    /// A JSON pointer; empty for the whole document.
    pub(super) pointer: Arc<str>,
}

impl ReadBack {
    pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut fields = Fields::of(node, "an output of the documents engine", mistakes);
        fields.need("document", "document: ids.json");
        fields.text("document");
        fields.text("pointer");
        fields.finish();

        let document = node.get("document")?;
        let text = document.as_str()?;
        if !text.ends_with(".json") {
            let mistake = Mistake::at(&document.site, format!("an output can't be read from {text:?}"));
            mistakes.push(mistake.hint("only JSON documents are read back; render a small .json beside it"));
            return None;
        }
        let pointer = node.get("pointer").and_then(Node::as_str).unwrap_or_default();
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let site = node.get("pointer").map_or(&node.site, |node| &node.site);
            mistakes
                .push(Mistake::at(site, format!("{pointer:?} is no JSON pointer")).hint(format!("write it as \"/{pointer}\"")));
            return None;
        }
        Some(Self { document: text.into(), pointer: pointer.into() })
    }
}

const NO_SECRETS: &str = "an output is shown and handed on, so it never carries a secret";

/// Reports outputs whose expression names a sensitive input: that is known without a value.
pub(super) fn refuse_named(stack: &Stack, mistakes: &mut Mistakes) {
    let named = stack.outputs.iter().filter_map(|(name, from)| Some((name, names_a_secret(stack, from)?)));
    mistakes.extend(named.map(|(name, (site, input))| carries(name, &site, &format!("the sensitive input {input:?}"))));
}

/// Reports outputs whose value holds a secret, and which do not say so by the name of an input.
pub(super) fn refuse_given(stack: &Stack, resolved: &Resolved, mistakes: &mut Mistakes) {
    for (name, from) in &resolved.outputs {
        let OutputFrom::Value(node) = from else { continue };
        let is_named = stack.outputs.get(name).is_some_and(|from| names_a_secret(stack, from).is_some());
        if !is_named && texts(&node.to_value()).any(has_secrets) {
            mistakes.push(carries(name, &node.site, "a secret"));
        }
    }
}

/// Reports outputs with a sensitive value in them, now that the documents are rendered: they would never be known.
pub(super) fn refuse_rendered(
    resolved: &Resolved,
    rendered: &Rendered,
    is_sensitive: impl Fn(&str) -> bool,
    mistakes: &mut Mistakes,
) {
    let tells = |value: &Value| is_sensitive(&value.to_string()) || texts(value).any(&is_sensitive);
    for (name, from) in &resolved.outputs {
        let OutputFrom::Value(node) = from else { continue };
        let value = node.to_value();
        if tells(&value) || texts(&value).any(has_secrets) {
            mistakes.push(carries(name, &node.site, "a sensitive value"));
        }
    }
    for (name, node, read) in read_back(resolved) {
        let Some(document) = rendered.get(&read.document) else { continue };
        let found = || serde_json::from_slice::<Value>(&document.bytes).ok()?.pointer(&read.pointer).cloned();
        if document.sensitive != Sensitive::No {
            mistakes.push(reads_a_secret(name, node, &read));
        } else if found().is_some_and(|value| tells(&value)) {
            mistakes.push(carries(name, &node.site, "a sensitive value"));
        }
    }
}

/// Returns the outputs that are read back, each with where it is declared.
pub(super) fn read_back(resolved: &Resolved) -> Vec<(&Arc<str>, &Node, ReadBack)> {
    let mut found = Vec::new();
    for (name, from) in &resolved.outputs {
        if let OutputFrom::Engine(node) = from
            && let Some(read) = ReadBack::read(node, &mut Mistakes::default())
        {
            found.push((name, node, read));
        }
    }
    found
}

/// Tells of an output in whose document a secret stands, wherever: a reader of a part would have to be sure where it ends.
pub(super) fn reads_a_secret(name: &str, node: &Node, read: &ReadBack) -> Mistake {
    let what = format!("output {name:?} is read from {}, which holds a sensitive value", read.document);
    Mistake::at(&node.site, what).hint(format!("{NO_SECRETS}; render what others may see to a .json of its own"))
}

fn carries(name: &str, site: &Site, secret: &str) -> Mistake {
    let mistake = Mistake::at(site, format!("output {name:?} carries {secret}"));
    mistake.hint(format!("{NO_SECRETS}; the stack that needs it names it itself, with !secret or sensitive"))
}

fn names_a_secret(stack: &Stack, from: &OutputFrom) -> Option<(Site, Arc<str>)> {
    let OutputFrom::Value(node) = from else { return None };
    references_in(node).into_iter().find_map(|reference| match &reference.to {
        To::Input(path) => path.first().filter(|name| stack.sensitive.contains(name)).map(|name| (reference.site, name.clone())),
        To::Region(_) | To::StackName | To::InstanceName | To::Vars(_) | To::Output { .. } => None,
    })
}

/// Returns every declared output, with its value where it is known. `published` tells the text of a document that is there
/// and will stay as it is.
///
/// An output never carries a sensitive value: it would leave in a preview, and dependents would print it unmasked. Such an
/// output stays unknown; [`refuse_rendered`] tells of it.
pub(super) fn read(
    resolved: &Resolved,
    is_sensitive: impl Fn(&str) -> bool,
    published: impl Fn(&str) -> Option<Vec<u8>>,
) -> BTreeMap<Arc<str>, Option<Value>> {
    let value = |from: &OutputFrom| match from {
        OutputFrom::Value(node) => Some(node.to_value()).filter(is_known),
        OutputFrom::Engine(node) => {
            let read = ReadBack::read(node, &mut Mistakes::default())?;
            let document: Value = serde_json::from_slice(&published(&read.document)?).ok()?;
            document.pointer(&read.pointer).cloned().filter(is_plain)
        }
    };
    let harmless = |value: &Value| !is_sensitive(&value.to_string()) && !texts(value).any(&is_sensitive);
    resolved.outputs.iter().map(|(name, from)| (name.clone(), value(from).filter(harmless))).collect()
}

/// Returns the outputs that are known.
pub(super) fn known(outputs: BTreeMap<Arc<str>, Option<Value>>) -> Outputs {
    outputs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn is_known(value: &Value) -> bool {
    !texts(value).any(has_marks)
}

/// What stands in a published file is not ours alone: a text that looks like a mark would name a secret to put in.
fn is_plain(value: &Value) -> bool {
    !texts(value).any(|text| text.contains(is_mark_character))
}

/// Returns every text in `value`, keys too.
fn texts(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Array(items) => Box::new(items.iter().flat_map(texts)),
        Value::Object(map) => Box::new(map.iter().flat_map(|(key, value)| std::iter::once(key.as_str()).chain(texts(value)))),
        Value::Null | Value::Bool(_) | Value::Number(_) => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::documents::tests::node;
    use serde_json::json;

    fn told(value: Value) -> Vec<String> {
        let mut mistakes = Mistakes::default();
        ReadBack::read(&node(&value), &mut mistakes);
        mistakes.iter().map(|mistake| mistake.what.clone()).collect()
    }

    #[test]
    fn only_json_is_read_back() {
        assert_eq!(told(json!({ "document": "a.json", "pointer": "/id" })), [""; 0]);
        assert_eq!(told(json!({ "document": "a.yaml" })), ["an output can't be read from \"a.yaml\""]);
        assert_eq!(told(json!({ "document": "a.json", "pointer": "id" })), ["\"id\" is no JSON pointer"]);
        assert_eq!(told(json!({ "pointer": "/id" })).len(), 1);
    }
}
