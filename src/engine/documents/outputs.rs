//! Declared outputs: a value that is known from the definition, or one read back from a published JSON document.

use crate::change::Outputs;
use crate::stack::{Fields, Mistake, Mistakes, Node, OutputFrom, Resolved, has_marks, is_mark_character};
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
        fields.need("document");
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

/// Returns every declared output, with its value where it is known. `published` tells the text of a document that is there
/// and will stay as it is.
///
/// An output never carries a sensitive value: it would leave in a preview, and dependents would print it unmasked. Such an
/// output stays unknown.
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
