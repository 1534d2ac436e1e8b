//! One change of one resource, in words that every engine shares.

use super::{Digest, TextDiff};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happens to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    /// Destroyed and made again; counted once.
    Replace,
    Delete,
    Read,
    Move,
}

/// One change: which resource, what happens, and from what to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The resource within its target: a document's path, a URN, an address.
    pub address: Arc<str>,
    /// The resource's type: `document`, `aws:ec2/vpc:Vpc`.
    pub kind: Arc<str>,
    pub action: Action,
    /// Digest of the content before; `None` when there was none. Keyed when the content is sensitive.
    pub before: Option<Digest>,
    /// Digest of the content after, over the text with its holes; `None` when there will be none.
    pub after: Option<Digest>,
    pub detail: Detail,
    /// The content holds a sensitive value; `detail` shows nothing of it.
    pub sensitive: bool,
    /// The digests stand for the content. False for a sensitive change without `ISOBAR_KEY`: nothing can be bound to it.
    pub bound: bool,
    /// Names of the outputs that are not known yet, sorted: `base.outputs.id`.
    pub holes: Vec<Arc<str>>,
}

/// What a reader is shown of a change. Secrets are masked and holes are printed as `‹base.outputs.id›` already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Nothing to show, with the reason.
    Hidden(Arc<str>),
    Text(TextDiff),
    Fields(Vec<FieldChange>),
}

/// One property of a resource, before and after, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub path: Arc<str>,
    pub before: Option<Arc<str>>,
    pub after: Option<Arc<str>>,
}

/// What is journalled of a change: enough to cover a later preview, and no value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangeMark {
    pub address: Arc<str>,
    pub kind: Arc<str>,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<Arc<str>>,
}

impl Action {
    /// The sign in text and matrix: `+ ~ ± - ← →`.
    pub fn sign(self) -> char {
        match self {
            Action::Create => '+',
            Action::Update => '~',
            Action::Replace => '±',
            Action::Delete => '-',
            Action::Read => '←',
            Action::Move => '→',
        }
    }

    /// Something that exists ceases to exist.
    pub fn is_destructive(self) -> bool {
        matches!(self, Action::Replace | Action::Delete)
    }
}

impl Change {
    /// Returns the digest over address, kind, action, before and after.
    pub fn digest(&self) -> Digest {
        self.mark().digest()
    }

    /// Returns what the journal keeps of it.
    pub fn mark(&self) -> ChangeMark {
        ChangeMark {
            address: self.address.clone(),
            kind: self.kind.clone(),
            action: self.action,
            before: self.before.clone(),
            after: self.after.clone(),
            holes: self.holes.clone(),
        }
    }
}

impl ChangeMark {
    /// Returns the digest over address, kind, action, before and after.
    pub fn digest(&self) -> Digest {
        let before = self.before.as_ref().map_or("", Digest::as_str);
        let after = self.after.as_ref().map_or("", Digest::as_str);
        Digest::of("change", &[&self.address, &self.kind, &self.action.sign().to_string(), before, after])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            address: "a.yaml".into(),
            kind: "document".into(),
            action: Action::Update,
            before: Some(Digest::of_bytes(b"before")),
            after: Some(Digest::of_bytes(b"after")),
            detail: Detail::Hidden("test".into()),
            sensitive: false,
            bound: true,
            holes: Vec::new(),
        }
    }

    #[test]
    fn every_part_that_a_reviewer_relies_on_is_in_the_digest() {
        let digest = change().digest();
        for (what, other) in [
            ("address", Change { address: "b.yaml".into(), ..change() }),
            ("kind", Change { kind: "bucket".into(), ..change() }),
            ("action", Change { action: Action::Replace, ..change() }),
            ("before", Change { before: None, ..change() }),
            ("after", Change { after: None, ..change() }),
            ("sides", Change { before: change().after, after: change().before, ..change() }),
        ] {
            assert_ne!(other.digest(), digest, "{what}");
        }
    }

    #[test]
    fn how_a_change_is_shown_is_not_in_the_digest() {
        let shown = Change { detail: Detail::Fields(Vec::new()), ..change() };
        assert_eq!(shown.digest(), change().digest());
    }

    #[test]
    fn a_mark_has_the_digest_of_its_change_and_survives_the_journal() {
        let mark = Change { holes: vec!["base.outputs.id".into()], ..change() }.mark();
        let written = serde_json::to_string(&mark).expect("a mark is plain data");
        let read: ChangeMark = serde_json::from_str(&written).expect("it was just written");
        assert_eq!((read.digest(), &read), (mark.digest(), &mark));
    }

    #[test]
    fn only_delete_and_replace_destroy() {
        use Action::{Create, Delete, Move, Read, Replace, Update};
        let destructive: Vec<_> =
            [Create, Update, Replace, Delete, Read, Move].into_iter().filter(|action| action.is_destructive()).collect();
        assert_eq!(destructive, [Replace, Delete]);
    }
}
