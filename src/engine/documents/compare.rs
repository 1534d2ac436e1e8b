//! Which documents differ from those that are there, and which of them others have moved. Decides with what was read.

use super::look::{Seen, There};
use super::manifest::{self, Entry, Manifest};
use super::outputs;
use super::path::MANIFEST;
use super::render::{Document, Sensitive};
use super::show::Shown;
use crate::change::{Action, Change, Detail, Digest, FieldChange, Intent, Redactor, Sides, Stray, StrayKind};
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
            kind: DOCUMENT.into(),
            action: action(before.is_some(), after.is_some()),
            before: before.and_then(|bytes| digest(bytes)),
            after: after.and_then(|document| digest(&document.bytes)),
            detail: shown.detail(),
            sensitive,
            bound: !sensitive || key.is_some(),
            holes: after.map(|document| document.holes.clone()).unwrap_or_default(),
        }
    }

    /// Both sides of the changes that hold nothing sensitive, and are text.
    pub(super) fn sides(&self, changes: &[Change], there: &There) -> BTreeMap<Arc<str>, Sides> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| !self.redactor.finds_in(text)).map(Arc::from);
        let of = |change: &Change| -> Option<Sides> {
            let (before, after) = match &change.detail {
                Detail::Fields(fields) => (fields.first()?.before.clone(), fields.first()?.after.clone()),
                Detail::Text(_) | Detail::Hidden(_) => {
                    let before = there.get(&change.address).map(|bytes| text(bytes));
                    let after = self.rendered.get(&change.address).map(|document| text(&document.bytes));
                    (before.map_or(Some(None), |text| text.map(Some))?, after.map_or(Some(None), |text| text.map(Some))?)
                }
            };
            Some(Sides { before, after })
        };
        let open = changes.iter().filter(|change| !change.sensitive);
        open.filter_map(|change| Some((change.address.clone(), of(change)?))).collect()
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

const DOCUMENT: &str = "document";
const OWNERSHIP: &str = "ownership";

fn action(is_before: bool, is_after: bool) -> Action {
    match (is_before, is_after) {
        (false, _) => Action::Create,
        (true, true) => Action::Update,
        (true, false) => Action::Delete,
    }
}

/// A change anew of its sides.
pub(super) fn believe(change: &Change, sides: &Sides) -> Option<Change> {
    let Sides { before, after } = sides;
    match &*change.kind {
        DOCUMENT if before != after => {
            let redactor = Redactor::default();
            let side = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.as_bytes().to_vec());
            let (old, new) = (side(before), side(after));
            let shown = Shown {
                before: old.as_deref().map(|bytes| (bytes, Sensitive::No)),
                after: new.as_deref().map(|bytes| (bytes, Sensitive::No)),
                redactor: &redactor,
            };
            Some(Change {
                address: change.address.clone(),
                kind: DOCUMENT.into(),
                action: action(before.is_some(), after.is_some()),
                before: old.as_deref().map(Digest::of_bytes),
                after: new.as_deref().map(Digest::of_bytes),
                detail: shown.detail(),
                sensitive: false,
                bound: true,
                holes: change.holes.clone(),
            })
        }
        OWNERSHIP if *change.address == *MANIFEST => {
            let target = |text: &Option<Arc<str>>| text.as_ref()?.parse().ok();
            taken_over(&target(before)?, &target(after)?)
        }
        _ => None,
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
        kind: OWNERSHIP.into(),
        action: Action::Move,
        before: owner(from),
        after: owner(to),
        detail: Detail::Fields(vec![FieldChange { path: "target".into(), before: text(from), after: text(to) }]),
        sensitive: false,
        bound: true,
        holes: vec![],
    })
}
