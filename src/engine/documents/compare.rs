//! Which documents differ from those that are there, and which of them others have moved. Decides with what was read.

use super::look::{Seen, There};
use super::manifest::{self, Entry, Manifest};
use super::outputs;
use super::path::MANIFEST;
use super::render::{Document, Sensitive};
use super::show::Shown;
use crate::change::{Action, Change, Detail, Digest, FieldChange, Intent, Stray, StrayKind};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Seen<'_> {
    pub(super) fn changes(&self, manifest: Option<&Manifest>, there: &There) -> Vec<Change> {
        let paths: BTreeSet<&Arc<str>> = self.rendered.keys().chain(there.keys()).collect();
        let document = |path: &&Arc<str>| {
            let (before, after) = (there.get(*path), self.rendered.get(*path));
            let same = match (before, after) {
                (None, None) => true,
                (Some(before), Some(after)) => **before == *after.bytes,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if same { None } else { Some(self.change(path, before, after, manifest)) }
        };
        let mut changes: Vec<Change> = paths.iter().filter_map(document).collect();
        changes.extend(manifest.and_then(|manifest| taken_over(&manifest.target, &self.job.target.id)));
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        changes
    }

    fn change(&self, path: &Arc<str>, before: Option<&Vec<u8>>, after: Option<&Document>, manifest: Option<&Manifest>) -> Change {
        let shown = Shown {
            before: before.map(|bytes| (bytes.as_slice(), self.sensitive_before(path, bytes, manifest))),
            after: after.map(|document| (&*document.bytes, document.sensitive.clone())),
            redactor: self.redactor,
        };
        let sensitive = shown.is_sensitive();
        let key = self.job.key.as_ref();
        let digest = |bytes: &[u8]| match sensitive {
            true => key.map(|key| manifest::keyed(bytes, &self.job.target.id, key)),
            false => Some(Digest::of_bytes(bytes)),
        };
        Change {
            address: path.clone(),
            kind: "document".into(),
            action: match (before, after) {
                (None, _) => Action::Create,
                (Some(_), Some(_)) => Action::Update,
                (Some(_), None) => Action::Delete,
            },
            before: before.and_then(|bytes| digest(bytes)),
            after: after.and_then(|document| digest(&document.bytes)),
            detail: shown.detail(),
            sensitive,
            bound: !sensitive || key.is_some(),
            holes: after.map(|document| document.holes.clone()).unwrap_or_default(),
        }
    }

    /// Which lines of a published document hold sensitive values: known when it is still what the manifest says.
    fn sensitive_before(&self, path: &str, bytes: &[u8], manifest: Option<&Manifest>) -> Sensitive {
        let Some(manifest) = manifest else { return Sensitive::No };
        match manifest.entry_of(path, bytes, self.job.key.as_ref()) {
            Some(entry) => entry.sensitive(),
            None if manifest.entries(path).all(|entry| entry.sensitive() == Sensitive::No) => Sensitive::No,
            None => Sensitive::Whole,
        }
    }

    /// Documents of ours that were edited or removed by others. What an interrupted apply left half-way is none.
    pub(super) fn strays(&self, manifest: Option<&Manifest>, there: &There) -> Vec<Stray> {
        let Some(manifest) = manifest else { return vec![] };
        let kind = |path: &Arc<str>| match there.get(path) {
            Some(bytes) => {
                let wanted = self.rendered.get(path).is_some_and(|document| *document.bytes == **bytes);
                let unlike = |entry: &Entry| entry.is_of(bytes, &manifest.target, self.job.key.as_ref()) == Some(false);
                (!wanted && manifest.entries(path).all(unlike)).then_some(StrayKind::Changed)
            }
            None => {
                let stays = manifest.pending.as_ref().is_none_or(|pending| pending.contains_key(path));
                (manifest.documents.contains_key(path) && stays).then_some(StrayKind::Missing)
            }
        };
        manifest.owned().filter_map(|path| Some(Stray { address: path.clone(), kind: kind(path)? })).collect()
    }

    pub(super) fn outputs(
        &self,
        changes: &[Change],
        manifest: Option<&Manifest>,
        there: &There,
    ) -> BTreeMap<Arc<str>, Option<serde_json::Value>> {
        let settled = |path: &str| {
            let stays = self.rendered.contains_key(path) && !changes.iter().any(|change| &*change.address == path);
            let bytes = there.get(path).filter(|_| stays)?;
            (self.sensitive_before(path, bytes, manifest) == Sensitive::No).then(|| bytes.clone())
        };
        match self.job.intent {
            Intent::Converge => outputs::read(&self.job.resolved, |text| self.redactor.finds_in(text), settled),
            Intent::Destroy => BTreeMap::new(),
        }
    }
}

/// Ownership that passes from one target to another is a change that somebody sees and clears.
fn taken_over(from: &TargetId, to: &TargetId) -> Option<Change> {
    if from == to {
        return None;
    }
    let owner = |target: &TargetId| Some(Digest::of("owner", &[&target.to_string()]));
    let text = |target: &TargetId| Some(Arc::from(target.to_string()));
    Some(Change {
        address: MANIFEST.into(),
        kind: "ownership".into(),
        action: Action::Move,
        before: owner(from),
        after: owner(to),
        detail: Detail::Fields(vec![FieldChange { path: "target".into(), before: text(from), after: text(to) }]),
        sensitive: false,
        bound: true,
        holes: vec![],
    })
}
