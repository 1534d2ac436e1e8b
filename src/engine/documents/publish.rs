//! Makes the destination what was previewed, in an order that a kill at any point leaves for the next apply to finish.
//!
//! First a manifest that names what is there and what is about to be (the intent), then the documents, each written aside
//! and renamed, then what goes, and last the manifest as it stays. Whatever lies there after a kill is therefore ours by
//! name, and in one of two known states. Directories are written out after the intent, after the documents, and at the end:
//! no step is safe on disk before the one it rests on.
//!
//! Each file is synced for itself rather than the whole file system once: measured on ext4 with 16 targets at once, both
//! take about 1.3 ms a target (4 files, 2 directories), and `syncfs` would wait for everybody else's writes as well.

use super::disk::Disk;
use super::look::Look;
use super::manifest::{Entry, Manifest};
use super::path::{self, MANIFEST, TEMPORARY};
use crate::change::Intent;
use crate::engine::Job;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Makes the changes of `look`. With nothing to change, it finishes what a killed apply left: its manifest, its unfinished
/// files, its empty directories.
pub(super) fn publish(job: &Job, look: &Look, disk: &Disk) -> Result<(), String> {
    let press = Publish { job, look, disk, destination: &look.section.destination };
    if look.manifest.is_none() && look.rendered.is_empty() {
        return press.clear(); // nothing is ours any more, and nothing is to be
    }
    press.begin()?;
    press.make_way()?;
    press.write()?;
    press.remove_rest()?;
    press.end()
}

struct Publish<'a> {
    job: &'a Job,
    look: &'a Look,
    disk: &'a Disk,
    destination: &'a str,
}

impl Publish<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.destination)
    }

    /// Removes what a kill at the very end of a destroy left.
    fn clear(&self) -> Result<(), String> {
        self.remove_leftovers()?;
        self.disk.remove_empty_dir(self.destination)?;
        self.disk.sync()
    }

    fn remove_leftovers(&self) -> Result<(), String> {
        self.look.leftovers.iter().try_for_each(|leftover| self.disk.remove(&self.at(leftover)))
    }

    /// Removes unfinished files and writes the intent, when documents will change.
    fn begin(&self) -> Result<(), String> {
        self.disk.make_dir(self.destination)?;
        self.remove_leftovers()?;
        if self.look.preview.is_empty() {
            return Ok(());
        }
        let mut intent = Manifest::new(&self.job.target.id, self.published());
        intent.pending = Some(self.wanted());
        self.put(MANIFEST, &intent.bytes())?;
        self.disk.sync()
    }

    /// What is there now, in this target's name.
    fn published(&self) -> BTreeMap<Arc<str>, Entry> {
        let Some(manifest) = &self.look.manifest else { return BTreeMap::new() };
        if manifest.target == self.job.target.id {
            return manifest.documents.clone();
        }
        // Keyed digests belong to a target, so those of the one taken over are made anew.
        let entry = |(path, entry): (&Arc<str>, &Entry)| {
            let bytes = self.look.there.get(path)?;
            let known = manifest.entry_of(path, bytes, self.job.key.as_ref()).unwrap_or(entry);
            Some((path.clone(), Entry::of(bytes, &known.sensitive(), &self.job.target.id, self.job.key.as_ref())))
        };
        manifest.documents.iter().filter_map(entry).collect()
    }

    fn wanted(&self) -> BTreeMap<Arc<str>, Entry> {
        let entry = |document| Entry::of_document(document, &self.job.target.id, self.job.key.as_ref());
        self.look.rendered.iter().map(|(path, document)| (path.clone(), entry(document))).collect()
    }

    /// Removes the documents in whose place a directory is to come, or the other way round.
    fn make_way(&self) -> Result<(), String> {
        self.leaving().filter(|path| self.is_in_the_way(path)).try_for_each(|path| self.remove(path))
    }

    /// Documents that are ours and no longer rendered, there or not.
    fn leaving(&self) -> impl Iterator<Item = &Arc<str>> {
        let owned = self.look.manifest.iter().flat_map(Manifest::owned);
        owned.filter(|path| !self.look.rendered.contains_key(*path))
    }

    fn is_in_the_way(&self, path: &str) -> bool {
        self.is_used(path) || path::parents(path).any(|parent| self.look.rendered.contains_key(parent))
    }

    /// Writes every changed document aside, then puts each in its place.
    fn write(&self) -> Result<(), String> {
        let changed = |(path, _): &(&Arc<str>, _)| {
            let there = self.look.there.get(*path);
            let wanted = self.look.rendered.get(*path);
            there.map(Vec::as_slice) != wanted.map(|document| &*document.bytes)
        };
        let changed: Vec<_> = self.look.rendered.iter().filter(changed).collect();
        for (path, document) in &changed {
            let at = self.at(path);
            self.disk.make_dir(path::split(&at).0)?;
            self.disk.write_temporary(&aside(&at), &document.bytes)?;
        }
        for (path, _) in &changed {
            let at = self.at(path);
            self.disk.rename(&aside(&at), &at)?;
        }
        Ok(())
    }

    fn remove_rest(&self) -> Result<(), String> {
        self.leaving().filter(|path| !self.is_in_the_way(path)).try_for_each(|path| self.remove(path))?;
        self.disk.sync()
    }

    /// Removes a document and the directories that it leaves empty.
    fn remove(&self, document: &str) -> Result<(), String> {
        if self.look.there.contains_key(document) {
            self.disk.remove(&self.at(document))?;
        }
        for parent in path::parents(document) {
            if self.is_used(parent) || !self.disk.remove_empty_dir(&self.at(parent))? {
                break;
            }
        }
        Ok(())
    }

    /// Says whether a document is to stand below directory `dir`.
    fn is_used(&self, dir: &str) -> bool {
        let prefix = format!("{dir}/");
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.look.rendered.range::<str, _>(from).next().is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    /// Writes the manifest as it stays, or removes it with the directory when nothing is ours any more.
    fn end(&self) -> Result<(), String> {
        if self.job.intent == Intent::Destroy || self.look.rendered.is_empty() {
            self.disk.remove(&self.at(MANIFEST))?;
            self.disk.remove_empty_dir(self.destination)?;
            return self.disk.sync();
        }
        let manifest = Manifest::new(&self.job.target.id, self.wanted());
        if self.look.preview.is_empty() && self.look.manifest.as_ref() == Some(&manifest) {
            return self.disk.sync();
        }
        self.put(MANIFEST, &manifest.bytes())?;
        self.disk.sync()
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let at = self.at(path);
        self.disk.write_temporary(&aside(&at), bytes)?;
        self.disk.rename(&aside(&at), &at)
    }
}

/// Returns where a file is written before it takes its place: beside it, under a name that the next apply knows.
fn aside(at: &str) -> String {
    let (dir, name) = path::split(at);
    format!("{dir}/{TEMPORARY}{name}")
}
