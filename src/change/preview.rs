//! What an engine says would change in one target, or why it could not look.

use super::{Action, Change, ChangeMark, Detail, Digest, Sides};
use crate::stack::{Site, TargetId, unbroken};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What we want of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Make it what the definition says.
    Converge,
    /// Remove all that it owns: its stack or region is gone.
    Destroy,
}

/// What would change in one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    pub target: TargetId,
    pub engine: Arc<str>,
    pub intent: Intent,
    /// Sorted by address; empty means that reality is what the definition says.
    pub changes: Vec<Change>,
    /// Every declared output: its value where it is known before the apply.
    pub outputs: BTreeMap<Arc<str>, Option<Value>>,
    /// What differs from our own last apply, sorted by address. Not part of the digest.
    pub strays: Vec<Stray>,
    /// Both sides of changes by address, of those that are not sensitive: kept only for who hands the preview over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sides: BTreeMap<Arc<str>, Sides>,
}

/// A preview as it was written down, read without what only a reader needs: all of that would be most of the memory.
#[derive(Debug, Deserialize)]
pub struct BarePreview {
    target: TargetId,
    engine: Arc<str>,
    intent: Intent,
    changes: Vec<BareChange>,
}

#[derive(Debug, Deserialize)]
struct BareChange {
    address: Arc<str>,
    kind: Arc<str>,
    action: Action,
    before: Option<Digest>,
    after: Option<Digest>,
    sensitive: bool,
    bound: bool,
    holes: Vec<Arc<str>>,
}

impl From<BarePreview> for Preview {
    fn from(bare: BarePreview) -> Self {
        let BarePreview { target, engine, intent, changes } = bare;
        let changes = changes.into_iter().map(Change::from).collect();
        Self { target, engine, intent, changes, outputs: BTreeMap::new(), strays: Vec::new(), sides: BTreeMap::new() }
    }
}

impl From<BareChange> for Change {
    fn from(bare: BareChange) -> Self {
        let BareChange { address, kind, action, before, after, sensitive, bound, holes } = bare;
        Self { address, kind, action, before, after, detail: Detail::Hidden(Arc::default()), sensitive, bound, holes }
    }
}

/// A resource that was moved, removed or added without us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stray {
    pub address: Arc<str>,
    pub kind: StrayKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrayKind {
    /// We made it, and it is different now.
    Changed,
    /// We made it, and it is gone.
    Missing,
    /// We did not make it, and it is there.
    Unmanaged,
}

/// A target that could not be previewed: an answer too, and never a green.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    pub target: TargetId,
    pub reason: UnseenReason,
    /// Digest of the whole definition, for one that needs outputs that do not exist yet: what an approval of its first apply
    /// is bound to, where the fleet says `first_apply: covered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Digest>,
}

impl Unseen {
    pub fn new(target: TargetId, reason: UnseenReason) -> Self {
        Self { target, reason, promise: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnseenReason {
    /// The engine needs outputs that do not exist yet; the names of the holes.
    Needs(Vec<Arc<str>>),
    /// The pull request does not merge into its base; the paths in conflict.
    Conflict(Vec<Arc<str>>),
    /// An environment variable that holds a secret is not set; and where a definition asks for it.
    SecretMissing { name: Arc<str>, site: Option<Site> },
    /// A value is wrong in this region: the whole text of the mistakes.
    Definition(Arc<str>),
    /// The engine failed; its text, redacted and not yet made inert.
    Engine(Arc<str>),
    /// We were told to stop before we came to it.
    Cancelled,
    /// The shard that was to look at it brought nothing.
    Lost,
}

impl UnseenReason {
    /// Says in words why a target could not be seen; an engine's text as it is.
    pub fn say(&self) -> String {
        match self {
            Self::Needs(holes) => {
                format!("needs {}, which {} not known yet", holes.join(", "), if holes.len() == 1 { "is" } else { "are" })
            }
            Self::Conflict(paths) => {
                format!("the head does not merge into its base: conflict in {}", unbroken(&paths.join(", ")))
            }
            Self::SecretMissing { name, site } => say_missing(name, site.as_ref()),
            Self::Definition(text) | Self::Engine(text) => text.to_string(),
            Self::Cancelled => "we were told to stop before we came to it".into(),
            Self::Lost => "no part tells of it: its shard was lost, or looked at something else".into(),
        }
    }
}

/// Says that a secret is not set, and where it is asked for.
pub fn say_missing(name: &str, site: Option<&Site>) -> String {
    let at = site.map(|site| format!("{site}:{}: ", site.column)).unwrap_or_default();
    format!("{at}the secret {name} is not set in the environment")
}

impl Preview {
    /// Returns the digest over target, engine, intent and the sorted change digests. Commit, policy and versions are not in it.
    pub fn digest(&self) -> Digest {
        digest_of(&self.target, &self.engine, self.intent, self.changes.iter().map(Change::digest))
    }

    pub fn marks(&self) -> Vec<ChangeMark> {
        self.changes.iter().map(Change::mark).collect()
    }

    /// Nothing would change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Lets go of what only a reader needs. A judgement goes by the rest, which is a small part; the digest stays the same.
    pub fn strip(&mut self) {
        self.outputs.clear();
        self.strays = Vec::new();
        self.sides.clear();
        self.changes.iter_mut().for_each(|change| change.detail = Detail::Hidden(Arc::default()));
    }

    /// Every change can be bound to an approval.
    pub fn is_bound(&self) -> bool {
        self.changes.iter().all(|change| change.bound)
    }
}

fn digest_of(target: &TargetId, engine: &str, intent: Intent, changes: impl Iterator<Item = Digest>) -> Digest {
    let mut digests: Vec<Digest> = changes.collect();
    digests.sort();
    let target = target.to_string();
    let intent = match intent {
        Intent::Converge => "converge",
        Intent::Destroy => "destroy",
    };
    let parts: Vec<&str> = [target.as_str(), engine, intent].into_iter().chain(digests.iter().map(Digest::as_str)).collect();
    Digest::of("preview", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(address: &str, bound: bool) -> Change {
        Change {
            address: address.into(),
            kind: "document".into(),
            action: Action::Create,
            before: None,
            after: Some(Digest::of_bytes(b"after")),
            detail: Detail::Hidden("test".into()),
            sensitive: !bound,
            bound,
            holes: Vec::new(),
        }
    }

    #[test]
    fn a_stripped_preview_shows_nothing_and_has_its_digest() {
        let text = crate::change::TextDiff::between("a", "b");
        let whole = preview(vec![Change { detail: Detail::Text(text), ..change("a.yaml", true) }]);
        let mut bare = whole.clone();
        bare.strip();
        assert_eq!((bare.digest(), bare.marks()), (whole.digest(), whole.marks()));
        assert_eq!(bare.changes[0].detail, Detail::Hidden("".into()));
        let written = serde_json::to_string(&whole).expect("it is plain data");
        let read: BarePreview = serde_json::from_str(&written).expect("it was written so");
        assert_eq!(Preview::from(read), bare);
    }

    fn preview(changes: Vec<Change>) -> Preview {
        Preview {
            target: "network@prod/eu-west-1".parse().expect("a target"),
            engine: "documents".into(),
            intent: Intent::Converge,
            changes,
            outputs: BTreeMap::new(),
            strays: Vec::new(),
            sides: BTreeMap::new(),
        }
    }

    #[test]
    fn the_order_of_changes_is_not_in_the_digest() {
        let one = preview(vec![change("a", true), change("b", true)]);
        let two = preview(vec![change("b", true), change("a", true)]);
        assert_eq!(one.digest(), two.digest());
    }

    #[test]
    fn target_engine_intent_and_changes_are_in_the_digest() {
        let one = preview(vec![change("a", true)]);
        for (what, other) in [
            ("target", Preview { target: "network@prod/us-east-1".parse().expect("a target"), ..one.clone() }),
            ("engine", Preview { engine: "tofu".into(), ..one.clone() }),
            ("intent", Preview { intent: Intent::Destroy, ..one.clone() }),
            ("changes", preview(Vec::new())),
        ] {
            assert_ne!(other.digest(), one.digest(), "{what}");
        }
    }

    #[test]
    fn what_strayed_and_what_is_put_out_is_not_in_the_digest() {
        let one = preview(vec![change("a", true)]);
        let stray = Stray { address: "z".into(), kind: StrayKind::Unmanaged };
        let other = Preview { strays: vec![stray], outputs: [("id".into(), None)].into(), ..one.clone() };
        assert_eq!(other.digest(), one.digest());
    }

    #[test]
    fn one_unbound_change_makes_the_preview_unbound() {
        assert!(preview(vec![change("a", true)]).is_bound());
        assert!(!preview(vec![change("a", true), change("b", false)]).is_bound());
    }
}
