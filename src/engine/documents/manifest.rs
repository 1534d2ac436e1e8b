//! Who owns what in a destination: the ownership manifest. Knows digests and no values; nothing in it is trusted further
//! than the names it may hold.

use super::path;
use super::render::{Document, Sensitive};
use crate::change::{Digest, Key};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const VERSION: u32 = 1;

/// The manifest of one destination. It holds no times, so that the same documents have the same manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    pub(super) target: TargetId,
    /// What we published last.
    pub(super) documents: BTreeMap<Arc<str>, Entry>,
    /// What an apply was about to publish when it began; absent once it is through. Between the two, a document may be as
    /// in either of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<BTreeMap<Arc<str>, Entry>>,
}

/// One document as we published it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Of a document without sensitive values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<Digest>,
    /// Of a sensitive one; absent when there was no key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keyed: Option<Digest>,
    /// Of a sensitive one: the lines that are never shown; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sensitive_lines: Option<BTreeSet<usize>>,
}

impl Manifest {
    pub(super) fn new(target: &TargetId, documents: BTreeMap<Arc<str>, Entry>) -> Self {
        Self { version: VERSION, target: target.clone(), documents, pending: None }
    }

    /// Reads a manifest; the error is for people.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| format!("the manifest can't be read: {error}"))?;
        if manifest.version != VERSION {
            return Err(format!("the manifest has version {}, and this isobar knows version {VERSION}", manifest.version));
        }
        // Who can write the manifest must not be able to name a file elsewhere.
        let fault = manifest.owned().find_map(|path| Some(format!("the manifest names {path:?}: {}", path::fault(path)?)));
        fault.map_or(Ok(manifest), Err)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("names and digests are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Returns every path that is ours, published or about to be.
    pub(super) fn owned(&self) -> impl Iterator<Item = &Arc<str>> {
        let published: BTreeSet<&Arc<str>> = self.documents.keys().chain(self.pending.iter().flat_map(BTreeMap::keys)).collect();
        published.into_iter()
    }

    pub(super) fn owns(&self, path: &str) -> bool {
        self.entries(path).next().is_some()
    }

    /// Returns what we published, or were about to publish, at `path`.
    pub(super) fn entries(&self, path: &str) -> impl Iterator<Item = &Entry> {
        self.documents.get(path).into_iter().chain(self.pending.iter().filter_map(move |pending| pending.get(path)))
    }

    /// Returns the entry that `bytes` at `path` are as in.
    pub(super) fn entry_of(&self, path: &str, bytes: &[u8], key: Option<&Key>) -> Option<&Entry> {
        self.entries(path).find(|entry| entry.is_of(bytes, &self.target, key) == Some(true))
    }
}

impl Entry {
    /// Returns the entry of `bytes`, whose sensitive lines are known.
    pub(super) fn of(bytes: &[u8], sensitive: &Sensitive, target: &TargetId, key: Option<&Key>) -> Self {
        let keyed = |lines| Self { keyed: key.map(|key| keyed(bytes, target, key)), sensitive_lines: lines, ..Self::default() };
        match sensitive {
            Sensitive::No => Self { sha256: Some(Digest::of_bytes(bytes)), ..Self::default() },
            Sensitive::Lines(lines) => keyed(Some(lines.clone())),
            Sensitive::Whole => keyed(None),
        }
    }

    pub(super) fn of_document(document: &Document, target: &TargetId, key: Option<&Key>) -> Self {
        Self::of(&document.bytes, &document.sensitive, target, key)
    }

    pub(super) fn sensitive(&self) -> Sensitive {
        match (&self.sha256, &self.sensitive_lines) {
            (Some(_), _) => Sensitive::No,
            (None, Some(lines)) => Sensitive::Lines(lines.clone()),
            (None, None) => Sensitive::Whole,
        }
    }

    /// Says whether `bytes` are what was published; `None` when that can't be known without the key.
    pub(super) fn is_of(&self, bytes: &[u8], target: &TargetId, key: Option<&Key>) -> Option<bool> {
        match (&self.sha256, &self.keyed, key) {
            (Some(digest), _, _) => Some(*digest == Digest::of_bytes(bytes)),
            (None, Some(digest), Some(key)) => Some(*digest == keyed(bytes, target, key)),
            (None, _, _) => None,
        }
    }
}

/// Returns the digest of sensitive content: nobody without the key can try values against it.
pub(super) fn keyed(bytes: &[u8], target: &TargetId, key: &Key) -> Digest {
    key.digest(&target.to_string(), &[Digest::of_bytes(bytes).as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::documents::tests::target;

    #[test]
    fn a_manifest_comes_back_as_it_was_written() {
        let target = target("network", "prod/eu");
        let lines = Sensitive::Lines([2].into());
        let documents = [
            ("a.yaml".into(), Entry::of(b"a\n", &Sensitive::No, &target, None)),
            ("b.yaml".into(), Entry::of(b"b\n", &lines, &target, Some(&Key::new(b"key")))),
        ];
        let manifest = Manifest::new(&target, documents.into());
        let bytes = manifest.bytes();
        assert_eq!(Manifest::parse(&bytes), Ok(manifest));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("{\n  \"version\": 1,\n  \"target\": \"network@prod/eu\",\n"), "{text}");
        assert!(!text.contains(Digest::of_bytes(b"b\n").as_str()), "a plain digest of a secret can be guessed");
    }

    #[test]
    fn a_manifest_that_names_what_it_must_not_is_refused() {
        for (text, why) in [
            (r#"{"version":1,"target":"a@b/c","documents":{"../../etc/passwd":{}}}"#, "names \"../../etc/passwd\""),
            (r#"{"version":1,"target":"a@b/c","documents":{"/etc/passwd":{}}}"#, "names \"/etc/passwd\""),
            (r#"{"version":1,"target":"a@b/c","documents":{},"pending":{".git/config":{}}}"#, "belongs to git"),
            (r#"{"version":2,"target":"a@b/c","documents":{}}"#, "version 2"),
            (r#"{"version":1,"#, "can't be read"),
        ] {
            let told = Manifest::parse(text.as_bytes()).expect_err(text);
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn without_the_key_nobody_knows_whether_a_secret_changed() {
        let target = target("network", "prod/eu");
        let key = Key::new(b"key");
        let entry = Entry::of(b"pw", &Sensitive::Whole, &target, Some(&key));
        assert_eq!(entry.is_of(b"pw", &target, Some(&key)), Some(true));
        assert_eq!(entry.is_of(b"pw2", &target, Some(&key)), Some(false));
        assert_eq!(entry.is_of(b"pw", &target, None), None);
        assert_eq!(Entry::of(b"pw", &Sensitive::Whole, &target, None), Entry::default());
    }
}
