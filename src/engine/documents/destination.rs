//! Where documents go, as it is written: `file:`, `s3://`, `gs://`, `az://`. Knows names, and asks neither a disk nor a service.

use super::path;
use crate::bucket::Address;
use crate::stack::{Mistake, Mistakes, Node, has_marks, show_marks};
use std::fmt;
use std::sync::Arc;

/// A destination, made plain: two that are the same thing are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// A directory, from the repository's root.
    Folder(Arc<str>),
    /// A prefix of a bucket; it may be all of it.
    Objects(Address),
}

impl Destination {
    /// Reads one whose expressions are filled in. A directory may not hold `source`, nor be in it.
    pub(super) fn read(node: &Node, source: Option<&str>, mistakes: &mut Mistakes) -> Option<Self> {
        let Some(text) = node.as_str() else {
            let what = format!("\"destination\" must be a text, and this is {}", node.kind_name());
            mistakes.push(Mistake::at(&node.site, what).hint("such as file:./live/${{ region.id }}"));
            return None;
        };
        let read = match (has_marks(text), text.strip_prefix("file:"), Address::parse(text)) {
            (true, ..) => Err(Wrong {
                what: "is not known or secret".into(),
                hint: "a destination is made of region, stack, instance and vars".into(),
            }),
            (false, Some(rest), _) => folder(rest, source),
            (false, None, Some(address)) => {
                address.map_err(|flaw| Wrong { what: format!(": {}", flaw.what), hint: flaw.hint }).and_then(objects)
            }
            (false, None, None) => Err(no_scheme()),
        };
        read.map_err(|wrong| mistakes.push(wrong.at(text, node))).ok()
    }
}

/// Reports a destination that is wrong whatever its expressions are: by its scheme, or by what stands before the first of them.
pub(super) fn check_beginning(text: &str, node: &Node, mistakes: &mut Mistakes) {
    let known = std::iter::once("file:").chain(Address::EXAMPLES.iter().map(|(scheme, _)| *scheme));
    if !known.into_iter().any(|scheme| text.starts_with(scheme)) {
        mistakes.push(no_scheme().at(text, node));
        return;
    }
    let plain = text.split("${{").next().unwrap_or_default();
    let Some((beginning, _)) = plain.rsplit_once('/') else { return };
    let wrong = match (beginning.strip_prefix("file:"), Address::parse(beginning)) {
        (Some(_), _) if plain.starts_with("file:/") => folder("/", None).err(),
        (Some(dir), _) if path::normalise("", dir).is_some_and(|dir| dir.is_empty()) => None,
        (Some(dir), _) => folder(dir, None).err(),
        (None, Some(Ok(address))) => objects(address).err(),
        (None, Some(Err(_)) | None) => None, // the name of a bucket may go on
    };
    mistakes.extend(wrong.map(|wrong| wrong.at(text, node)));
}

/// Returns the destination of a section whose expressions are filled in; `None` when it is not known or not right.
pub(super) fn of_section(section: &Node) -> Option<Destination> {
    Destination::read(section.get("destination")?, None, &mut Mistakes::default())
}

/// Returns the names of the outputs that a destination waits for, sorted.
pub(super) fn waits_for(node: &Node) -> Vec<Arc<str>> {
    let text = node.get("destination").and_then(Node::as_str).unwrap_or_default();
    let mut names: Vec<Arc<str>> = crate::stack::holes(text).into_iter().map(|hole| hole.0).collect();
    names.sort();
    names.dedup();
    names
}

/// What follows `destination "…"`, and a hint.
struct Wrong {
    what: String,
    hint: String,
}

impl Wrong {
    fn new(what: impl Into<String>, hint: &str) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    fn at(self, text: &str, node: &Node) -> Mistake {
        let space = if self.what.starts_with(':') { "" } else { " " };
        Mistake::at(&node.site, format!("destination {:?}{space}{}", show_marks(text), self.what)).hint(self.hint)
    }
}

fn no_scheme() -> Wrong {
    Wrong::new("has no scheme we know", "write it as file:./live/…, s3://bucket/…, gs://bucket/… or az://account/container/…")
}

fn folder(text: &str, source: Option<&str>) -> Result<Destination, Wrong> {
    if text.starts_with('/') {
        return Err(Wrong::new("is absolute", "write it relative to the repository: file:./live/…"));
    }
    let Some(dir) = path::normalise("", text) else {
        return Err(Wrong::new("leads out of the repository", "write it without \"..\": file:./live/…"));
    };
    if dir.is_empty() {
        return Err(Wrong::new("is the repository itself", "choose a directory: file:./live/…"));
    }
    if let Some(why) = path::fault(&dir) {
        return Err(Wrong::new(format!(": {why}"), "choose another directory"));
    }
    let apart = |source: &str| !path::is_within(&dir, source) && !path::is_within(source, &dir);
    if let Some(source) = source.filter(|source| !apart(source)) {
        return Err(Wrong::new(format!("and source {source:?} hold each other"), "keep the two apart"));
    }
    Ok(Destination::Folder(dir.into()))
}

fn objects(address: Address) -> Result<Destination, Wrong> {
    let Some(prefix) = path::normalise("", &address.prefix) else {
        return Err(Wrong::new("leads out of the bucket", "write it without \"..\""));
    };
    match path::fault(&prefix).filter(|_| !prefix.is_empty()) {
        Some(why) => Err(Wrong::new(format!(": {why}"), "choose another prefix")),
        None => Ok(Destination::Objects(Address { prefix: prefix.into(), ..address })),
    }
}

/// As it is written, without what says nothing.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(dir) => write!(f, "file:{dir}"),
            Self::Objects(address) => f.write_str(&address.container.url(&address.prefix)),
        }
    }
}
