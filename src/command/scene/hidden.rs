//! Values of sensitive inputs, gathered to be masked in what is told of a fleet.

use crate::change::Redactor;
use crate::stack::{Part, Stack, split_marks};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What may not be told. Not `Debug`: it holds secrets.
#[derive(Default)]
pub(super) struct Hidden {
    /// By value, the name that stands in its place.
    values: BTreeMap<Arc<str>, Arc<str>>,
    secrets: BTreeSet<Arc<str>>,
}

impl Hidden {
    /// Takes what a definition writes itself; expressions are for whoever can fill them in.
    pub(super) fn take_written(&mut self, stack: &Stack) {
        for (name, _, node) in stack.inputs.iter().filter(|(name, ..)| stack.may_be_sensitive(name)) {
            self.take(&format!("inputs.{name}").into(), &node.to_value());
        }
    }

    /// Takes the texts and numbers in `value`, and the secrets that it names.
    pub(super) fn take(&mut self, name: &Arc<str>, value: &Value) {
        match value {
            Value::String(text) => split_marks(text).into_iter().for_each(|part| match part {
                Part::Text(text) => self.take_text(name, text),
                Part::Secret(secret) => drop(self.secrets.insert(secret)),
                Part::Hole(_) => {}
            }),
            Value::Number(number) => self.take_text(name, &number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.take(name, item)),
            Value::Object(map) => map.values().for_each(|item| self.take(name, item)),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn take_text(&mut self, name: &Arc<str>, text: &str) {
        if !["true", "false", "null"].contains(&text) && !text.contains("${{") {
            self.values.entry(text.into()).or_insert_with(|| name.clone());
        }
    }

    pub(super) fn redactor(self, world: &World) -> Redactor {
        let values: Vec<_> = self.values.into_iter().map(|(value, name)| (name, value)).collect();
        Redactor::with_written(world.secrets(&self.secrets).into_iter().collect(), &values)
    }
}
