//! What the templates of one target are given. Outputs that are not known yet and secrets stand in it as marks; this file
//! puts the secrets in where a document needs them, and remembers where they went.

use crate::engine::Job;
use crate::stack::{Part, Resolved, Stack, Traced, has_marks, is_mark_character, mark_secret, split_marks};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Something that stands for a value: an unknown output or a secret, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Hole(Arc<str>),
    Secret(Arc<str>),
}

/// The values of one target. Not `Debug`: it holds secrets.
pub(super) struct Values {
    /// As templates see them, every sensitive value replaced by a mark.
    pub(super) marked: Value,
    /// The text that each secret mark stands for; holes may stand in it.
    secrets: BTreeMap<Arc<str>, Arc<str>>,
}

/// Begins the names of marks that stand for sensitive values; no environment variable has such a name.
const OWN: char = '=';

/// Why a text with marks could not be made final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The environment variable of a secret is not set.
    Missing(Arc<str>),
    /// A mark was cut apart, so it can't be known what the text says.
    Broken,
}

/// A text with its secrets in it. Not `Debug`.
pub(super) struct Settled {
    /// Unknown outputs still stand in it as marks.
    pub(super) text: String,
    /// Lines, from 1, that hold a sensitive value.
    pub(super) sensitive: BTreeSet<usize>,
    /// Names of the unknown outputs, sorted.
    pub(super) holes: BTreeSet<Arc<str>>,
}

impl Values {
    pub(super) fn of(job: &Job) -> Self {
        Self::new(&job.target.stack, &job.resolved, &job.secrets)
    }

    /// Takes the secrets that are known; one that is not stays a mark.
    pub(super) fn new(stack: &Stack, resolved: &Resolved, known: &BTreeMap<Arc<str>, Arc<str>>) -> Self {
        let mut secrets = known.clone();
        let mut guarded = |root: &str, map: &BTreeMap<Arc<str>, Traced>| -> Value {
            let guard = |(name, traced): (&Arc<str>, &Traced)| {
                let value = match traced.sensitive {
                    true => guard(&traced.value, &format!("{OWN}{root}.{name}"), known, &mut secrets),
                    false => traced.value.clone(),
                };
                (name.to_string(), value)
            };
            Value::Object(map.iter().map(guard).collect())
        };
        let (mut inputs, vars) = (guarded("inputs", &resolved.inputs), guarded("vars", &resolved.vars));
        guard_derived(&mut inputs, &format!("{OWN}inputs"), &mut secrets);
        let mut marked =
            json!({ "region": resolved.region, "stack": { "name": stack.name.as_str() }, "inputs": inputs, "vars": vars });
        if let Some(instance) = &stack.instance {
            marked["instance"] = json!({ "name": &*instance.name });
        }
        Self { marked, secrets }
    }

    /// Returns the values with the secrets in them, for a template that does more with one than print it.
    pub(super) fn plain(&self) -> Value {
        self.unguard(&self.marked)
    }

    fn unguard(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match self.settle(text) {
                Ok(settled) => typed(text, settled.text),
                Err(_) => text.clone().into(),
            },
            Value::Array(items) => items.iter().map(|item| self.unguard(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.unguard(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Returns the holes behind `mark`: its own name, or those that stand in a sensitive value.
    pub(super) fn holes_behind(&self, mark: &Mark) -> Vec<Arc<str>> {
        match mark {
            Mark::Hole(name) => vec![name.clone()],
            Mark::Secret(name) => {
                let text = self.secrets.get(name).map(|text| &**text).unwrap_or_default();
                crate::stack::holes(text).into_iter().map(|hole| hole.0).collect()
            }
        }
    }

    /// Puts the secrets into `text`, which a template printed.
    pub(super) fn settle(&self, text: &str) -> Result<Settled, Fault> {
        let mut settled = Settled { text: String::with_capacity(text.len()), sensitive: BTreeSet::new(), holes: BTreeSet::new() };
        let mut line = 1;
        for part in split_marks(text) {
            match part {
                Part::Text(text) if text.contains(is_mark_character) => return Err(Fault::Broken),
                Part::Text(text) => {
                    line += text.matches('\n').count();
                    settled.text.push_str(text);
                }
                Part::Hole(hole) => {
                    settled.text.push_str(&crate::stack::mark_hole(&hole.0));
                    settled.holes.insert(hole.0);
                }
                Part::Secret(name) => {
                    let value = self.secrets.get(&name).ok_or(Fault::Missing(name))?;
                    let inner = self.without_secrets(value)?;
                    let last = line + inner.matches('\n').count();
                    settled.sensitive.extend(line..=last);
                    settled.holes.extend(crate::stack::holes(&inner).into_iter().map(|hole| hole.0));
                    settled.text.push_str(&inner);
                    line = last;
                }
            }
        }
        Ok(settled)
    }

    /// A secret that is not set is still a mark in a sensitive value that holds it.
    fn without_secrets(&self, value: &str) -> Result<String, Fault> {
        let missing = split_marks(value).into_iter().find_map(|part| match part {
            Part::Secret(name) => Some(name),
            Part::Text(_) | Part::Hole(_) => None,
        });
        missing.map_or_else(|| Ok(value.to_string()), |name| Err(Fault::Missing(name)))
    }

    /// Returns every secret that may stand in a document, by the name that a reader knows.
    pub(super) fn secrets(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let known = |(name, text): (&Arc<str>, &Arc<str>)| (Arc::from(name.trim_matches(OWN)), text.clone());
        let telling = |(_, text): &(Arc<str>, Arc<str>)| !["true", "false", "null", ""].contains(&&**text);
        self.secrets.iter().map(known).filter(telling).collect()
    }
}

/// Replaces every value in `value` by a mark, and keeps what it stands for.
fn guard(value: &Value, name: &str, known: &BTreeMap<Arc<str>, Arc<str>>, secrets: &mut BTreeMap<Arc<str>, Arc<str>>) -> Value {
    let text = match value {
        Value::Array(items) => {
            let guard = |(at, item): (usize, &Value)| guard(item, &format!("{name}.{at}"), known, secrets);
            return items.iter().enumerate().map(guard).collect();
        }
        Value::Object(map) => {
            let guard = |(key, value): (&String, &Value)| (key.clone(), guard(value, &format!("{name}.{key}"), known, secrets));
            return map.iter().map(guard).collect();
        }
        Value::String(text) => filled(text, known),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(), // as `render::format` prints it
    };
    let name: Arc<str> = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => format!("{name}{OWN}").into(),
        Value::String(_) | Value::Array(_) | Value::Object(_) => name.into(),
    };
    let mark = mark_secret(&name);
    secrets.insert(name, text.into());
    mark.into()
}

/// A text of a sensitive input at least this long is looked for in the other inputs; a shorter one is in too many by chance.
const DERIVED_MIN: usize = 8;

/// An input may be made of another one (`url: https://u:${{ inputs.password }}@host`), and is then as sensitive.
fn guard_derived(value: &mut Value, name: &str, secrets: &mut BTreeMap<Arc<str>, Arc<str>>) {
    match value {
        Value::Array(items) => {
            items.iter_mut().enumerate().for_each(|(at, item)| guard_derived(item, &format!("{name}.{at}"), secrets));
        }
        Value::Object(map) => {
            map.iter_mut().for_each(|(key, item)| guard_derived(item, &format!("{name}.{key}"), secrets));
        }
        Value::String(text) => {
            let own = secrets.iter().filter(|(name, text)| name.starts_with(OWN) && text.len() >= DERIVED_MIN);
            if own.into_iter().any(|(_, secret)| text.contains(&**secret)) {
                let mark = mark_secret(name);
                secrets.insert(name.into(), filled(text, secrets).into());
                *text = mark;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts known secrets into a text; one that is not set stays a mark.
fn filled(text: &str, known: &BTreeMap<Arc<str>, Arc<str>>) -> String {
    let fill = |part| match part {
        Part::Text(text) => text.to_string(),
        Part::Hole(hole) => crate::stack::mark_hole(&hole.0),
        Part::Secret(name) => known.get(&name).map_or_else(|| mark_secret(&name), |value| value.to_string()),
    };
    split_marks(text).into_iter().map(fill).collect()
}

/// Gives a sensitive number or flag its type back: the name of its mark ends with the sign.
fn typed(mark: &str, text: String) -> Value {
    let was_text = match split_marks(mark).as_slice() {
        [Part::Secret(name)] => !name.ends_with(OWN),
        _ => true,
    };
    let value = if was_text { None } else { serde_json::from_str(&text).ok() };
    value.unwrap_or(Value::String(text))
}

/// Says whether the mark of a secret stands in `text`.
pub(super) fn has_secrets(text: &str) -> bool {
    split_marks(text).iter().any(|part| matches!(part, Part::Secret(_)))
}

/// Returns every mark in `value`.
pub(super) fn marks_in(value: &Value) -> BTreeSet<Mark> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<Mark>) {
    match value {
        Value::String(text) if has_marks(text) => found.extend(split_marks(text).into_iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Hole(hole) => Some(Mark::Hole(hole.0)),
            Part::Secret(name) => Some(Mark::Secret(name)),
        })),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => map.values().for_each(|value| collect(value, found)),
    }
}
