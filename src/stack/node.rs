//! A definition as a tree that remembers where each value stands; and the reading of one map out of it, which
//! reports unknown and missing keys. Other rooms read their own sections with it.

use super::{Mistake, Mistakes, Site};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One value of a definition and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub site: Site,
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Arc<str>),
    List(Vec<Node>),
    /// Keys with their own places, in the order of the file; no key twice.
    Map(Vec<(Arc<str>, Site, Node)>),
    /// `!secret NAME`: the value of environment variable NAME.
    Secret(Arc<str>),
}

impl Node {
    /// Returns the value below `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(name, ..)| &**name == key).map(|(_, _, node)| node),
            _ => None,
        }
    }

    /// Returns `value` as a tree whose every part stands at `site`.
    pub fn from_value(value: &serde_json::Value, site: &Site) -> Node {
        use serde_json::Value;
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(flag) => Kind::Bool(*flag),
            Value::Number(number) => Kind::Number(number.clone()),
            Value::String(text) => Kind::Text(text.as_str().into()),
            Value::Array(items) => Kind::List(items.iter().map(|item| Node::from_value(item, site)).collect()),
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| (key.as_str().into(), site.clone(), Node::from_value(value, site));
                Kind::Map(map.iter().map(entry).collect())
            }
        };
        Node { site: site.clone(), kind }
    }

    /// Counts the values in it, itself among them.
    pub(super) fn count(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, _, node)| node.count()).sum::<usize>(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => 1,
        }
    }

    /// Adds what a second value of the same key holds: only to find the mistakes in it, and to know the names.
    pub(super) fn take_in(&mut self, second: Node) {
        match (&mut self.kind, second.kind) {
            (Kind::Map(entries), Kind::Map(more)) => {
                let known: BTreeSet<Arc<str>> = entries.iter().map(|(key, ..)| key.clone()).collect();
                entries.extend(more.into_iter().filter(|(key, ..)| !known.contains(key)));
            }
            (Kind::List(items), Kind::List(more)) => items.extend(more),
            (kind @ Kind::Null, second) => *kind = second,
            _ => {} // two values that are no lists: the first one stands
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns where `!secret name` stands in the tree, the first of them.
    pub fn secret_site(&self, name: &str) -> Option<&Site> {
        match &self.kind {
            Kind::Secret(known) => (**known == *name).then_some(&self.site),
            Kind::List(items) => items.iter().find_map(|item| item.secret_site(name)),
            Kind::Map(entries) => entries.iter().find_map(|(_, _, value)| value.secret_site(name)),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => None,
        }
    }

    /// Names the kind as a user would: "a list", "a map".
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(items) if items.is_empty() => "an empty list",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Secret(_) => "a secret",
        }
    }

    /// Returns the plain value, without places; a secret becomes its marker.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.to_string()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, _, node)| (key.to_string(), node.to_value())).collect())
            }
            Kind::Secret(name) => Value::String(super::mark_secret(name)),
        }
    }
}

/// One map being read: every key asked for is ticked off, and what is left at [`Fields::finish`] is an unknown key.
pub struct Fields<'a> {
    what: &'a str,
    site: &'a Site,
    entries: &'a [(Arc<str>, Site, Node)],
    known: Vec<&'static str>,
    /// Keys that must be there and are not, each with an example; `None` where there is no map that could have them.
    missing: Option<Vec<(&'static str, &'static str)>>,
    mistakes: &'a mut Mistakes,
}

impl<'a> Fields<'a> {
    /// Begins to read `node`, which `what` names for the reader ("the fleet", "a policy rule"); anything but a map is a
    /// mistake and reads as an empty one.
    pub fn of(node: &'a Node, what: &'a str, mistakes: &'a mut Mistakes) -> Self {
        let entries: &[_] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            _ => {
                let mistake = Mistake::at(&node.site, format!("{what} must be a map, and this is {}", node.kind_name()));
                mistakes.push(mistake.hint(A_MAP));
                return Self { what, site: &node.site, entries: &[], known: Vec::new(), missing: None, mistakes };
            }
        };
        Self { what, site: &node.site, entries, known: Vec::new(), missing: Some(Vec::new()), mistakes }
    }

    /// Returns the value of `key` and marks the key as known.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&key) {
            self.known.push(key); // some are asked for twice, and told once
        }
        self.entries.iter().find(|(name, ..)| &**name == key).map(|(_, _, node)| node)
    }

    /// Like [`Fields::get`]; an absent key is a mistake, told at the end with an `example` of the whole entry.
    pub fn need(&mut self, key: &'static str, example: &'static str) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            self.missing.iter_mut().for_each(|missing| missing.push((key, example)));
        }
        found
    }

    /// Returns the text of `key`; another kind is a mistake.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let node = self.get(key)?;
        self.expect(node, key, "a text", Node::as_str(node))
    }

    /// Returns the whole number of `key`, at least `min`; anything else is a mistake.
    pub fn count(&mut self, key: &'static str, min: u64) -> Option<u64> {
        let node = self.get(key)?;
        let number = match &node.kind {
            Kind::Number(number) => number.as_u64().filter(|number| *number >= min),
            _ => None,
        };
        self.expect(node, key, &format!("a whole number, at least {min}"), number)
    }

    /// Returns the flag of `key`; anything but true or false is a mistake.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.get(key)?;
        let flag = match node.kind {
            Kind::Bool(flag) => Some(flag),
            _ => None,
        };
        self.expect(node, key, "true or false", flag)
    }

    /// Returns the texts of `key`, which may be one text or a list of them, each with its node.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<(&'a str, &'a Node)>> {
        let node = self.get(key)?;
        Some(self.texts_of(node, &format!("{key:?}")))
    }

    /// Returns the texts of `node`, which may be one text or a list of them, each with its node; `what` names it.
    pub fn texts_of<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n str, &'n Node)> {
        let items = match &node.kind {
            Kind::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let texts = items.into_iter().filter_map(|item| {
            let text = self.wanted(item, what, "a text or a list of texts", item.as_str())?;
            Some((text, item))
        });
        texts.collect()
    }

    /// Returns the entries of the map at `key`; another kind is a mistake, and no value is an empty map.
    pub fn map(&mut self, key: &'static str) -> Option<&'a [(Arc<str>, Site, Node)]> {
        let node = self.get(key)?;
        let entries: Option<&'a [_]> = match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => None,
        };
        self.expect(node, key, "a map", entries)
    }

    /// Returns the map of text to text at `key`; what is not a text is a mistake.
    pub fn labels(&mut self, key: &'static str) -> std::collections::BTreeMap<Arc<str>, Arc<str>> {
        let entries = self.map(key).unwrap_or_default();
        let label = |(name, _, value): &'a (Arc<str>, Site, Node)| {
            let wanted = "a text (put it in quotes)";
            let text = self.wanted(value, &format!("label {name:?}"), wanted, value.as_str())?;
            Some((name.clone(), text.into()))
        };
        entries.iter().filter_map(label).collect()
    }

    /// Returns where the key itself stands.
    pub fn key_site(&self, key: &str) -> Option<&'a Site> {
        self.entries.iter().find(|(name, ..)| &**name == key).map(|(_, site, _)| site)
    }

    /// Returns the items of the list at `key`; another kind is a mistake.
    pub fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        let node = self.get(key)?;
        let items = match &node.kind {
            Kind::List(items) => Some(items.as_slice()),
            _ => None,
        };
        self.expect(node, key, "a list", items)
    }

    fn expect<T>(&mut self, node: &Node, key: &str, wanted: &str, found: Option<T>) -> Option<T> {
        found.or_else(|| self.wanted(node, &format!("{key:?}"), wanted, None))
    }

    fn wanted<T>(&mut self, node: &Node, what: &str, wanted: &str, found: Option<T>) -> Option<T> {
        if found.is_none() {
            let seen = match &node.kind {
                Kind::Number(number) => number.to_string(), // it may be one that is too small
                Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) | Kind::Secret(_) => {
                    node.kind_name().into()
                }
            };
            let mistake = Mistake::at(&node.site, format!("{what} must be {wanted}, and this is {seen}"));
            self.mistakes.push(mistake.hint(hint_at(wanted, &node.kind)));
        }
        found
    }

    /// Lends the list of mistakes to a reader of a part.
    pub fn mistakes(&mut self) -> &mut Mistakes {
        self.mistakes
    }

    /// Reports each key that nobody asked for, with the nearest known one, and each that is needed and missing, unless an unknown
    /// one is meant by it. Returns the absent keys that may be meant so.
    pub fn finish(mut self) -> Vec<&'static str> {
        let meant = self.meant();
        let before = self.mistakes.len();
        for (name, site) in self.unknown().collect::<Vec<_>>() {
            if self.mistakes.are_plenty_since(before) {
                break;
            }
            let hint = super::did_you_mean(name, self.known.iter().copied())
                .unwrap_or_else(|| format!("{} knows {}", self.what, self.known.join(", ")));
            self.mistakes.push(Mistake::at(site, format!("unknown key {name:?} in {}", self.what)).hint(hint));
        }
        self.tell_missing(&meant);
        meant
    }

    /// Like [`Fields::finish`], where a mistake leaves open which keys there may be: of the unknown ones only those are told that are
    /// meant for a missing one.
    pub fn finish_open(mut self) {
        let is_missing = |near: &str| self.missing.iter().flatten().any(|(key, _)| *key == near);
        let told: Vec<_> = self
            .unknown()
            .filter_map(|(name, site)| {
                let near = self.known.iter().find(|key| is_missing(key) && super::did_you_mean(name, [**key]).is_some())?;
                let mistake = Mistake::at(site, format!("unknown key {name:?} in {}", self.what));
                Some(mistake.hint(format!("did you mean {near:?}?")))
            })
            .collect();
        let meant = self.meant();
        self.mistakes.extend(told);
        self.tell_missing(&meant);
    }

    /// Returns `key`, or the unknown key by which it is probably meant. Every other key must have been asked for.
    pub(super) fn meant_by(&self, key: &str) -> Arc<str> {
        let hint = super::did_you_mean(key, [key]);
        let is_meant = |name: &&Arc<str>| super::did_you_mean(name, self.known.iter().copied()) == hint;
        let slip = self.unknown().map(|(name, _)| name).find(is_meant).filter(|_| self.key_site(key).is_none());
        slip.cloned().unwrap_or_else(|| key.into())
    }

    fn unknown(&self) -> impl Iterator<Item = (&'a Arc<str>, &'a Site)> {
        self.entries.iter().filter(|(name, ..)| !self.known.contains(&&**name)).map(|(name, site, _)| (name, site))
    }

    fn meant(&self) -> Vec<&'static str> {
        let absent = self.known.iter().copied().filter(|key| self.key_site(key).is_none());
        let is_near = |key: &&'static str| self.unknown().any(|(name, _)| super::did_you_mean(name, [*key]).is_some());
        absent.filter(is_near).collect()
    }

    fn tell_missing(&mut self, meant: &[&str]) {
        for (key, example) in self.missing.iter().flatten().filter(|(key, _)| !meant.contains(key)) {
            let mistake = Mistake::at(self.site, format!("{} needs the key {key:?}", self.what));
            self.mistakes.push(mistake.hint(format!("such as {example}")));
        }
    }
}

/// Says how to write what is `wanted` where another kind stands.
fn hint_at(wanted: &str, seen: &Kind) -> String {
    match (wanted, seen) {
        ("a map", _) => A_MAP.into(),
        ("a list", _) => "a list has a - before each item, or is written [one, two]".into(),
        ("true or false", _) => "write true or false, without quotes".into(),
        (wanted, Kind::Number(_) | Kind::Bool(_)) if wanted.starts_with("a text") => "put it in quotes".into(),
        ("a text", Kind::Null) => "write it after the colon, or remove the key".into(),
        ("a text", Kind::List(_) | Kind::Map(_)) => "write one text, without brackets or a dash before it".into(),
        (wanted, Kind::Secret(_)) if wanted.starts_with("a text") => "a secret may stand in inputs and vars only".into(),
        (wanted, _) if wanted.starts_with("a text") => "write one, or several as [one, two]".into(),
        _ => "such as 10, without quotes".into(),
    }
}

/// What to write where a map is wanted.
pub(super) const A_MAP: &str = "a map is written name: value, each on a line of its own, or {name: value}";
