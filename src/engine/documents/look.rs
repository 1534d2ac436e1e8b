//! What would change at the destination: the rendered documents beside those that are there. Reads, and changes nothing.

use super::destination;
use super::layout::Layout;
use super::manifest::Manifest;
use super::outputs;
use super::path::{self, MANIFEST, TEMPORARY};
use super::place::{FILES_MAX, Found, Place};
use super::render::{Rendered, render};
use super::section::Section;
use super::values::Values;
use crate::change::{Intent, Preview, Redactor, Stray, StrayKind, UnseenReason};
use crate::engine::Job;
use crate::stack::Mistakes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The bytes of the documents that are there.
pub(super) type There = BTreeMap<Arc<str>, Vec<u8>>;

/// What was seen, kept for an apply. Not `Debug`: it holds the documents.
pub(super) struct Look {
    pub(super) preview: Preview,
    pub(super) rendered: Rendered,
    /// Ours, or that of a target which this one takes over.
    pub(super) manifest: Option<Manifest>,
    /// Bytes of the documents that are there, ours or about to be.
    pub(super) there: There,
    /// Unfinished files that a killed apply left.
    pub(super) leftovers: Vec<String>,
}

/// Renders the job's documents and compares them with what its destination holds.
pub(super) fn look(job: &Job, section: &Section, place: &dyn Place) -> Result<Look, UnseenReason> {
    let values = Values::of(job);
    let redactor = Redactor::new(values.secrets());
    let rendered = match job.intent {
        Intent::Converge => rendered(job, section, &values)?,
        Intent::Destroy => Rendered::new(),
    };
    if job.intent == Intent::Converge {
        let mut mistakes = Mistakes::default();
        outputs::refuse_rendered(&job.resolved, &rendered, |text| redactor.finds_in(text), &mut mistakes);
        mistakes.or(()).map_err(|mistakes| definition(&mistakes))?;
    }
    let seen = Seen { job, section, rendered: &rendered, place, redactor: &redactor };
    let engine = |text: String| UnseenReason::Engine(redactor.redact(&text).into());
    if job.intent == Intent::Converge {
        place.survey().map_err(engine)?; // to destroy what is gone, or another's, nothing is listed
    }
    let manifest = seen.manifest().map_err(engine)?;
    let there = seen.there(manifest.as_ref()).map_err(engine)?;
    let listed = seen.listed(manifest.as_ref()).map_err(engine)?;
    seen.refuse_foreign(manifest.as_ref(), &there, &listed).map_err(engine)?;

    let there: There = there.into_iter().filter_map(|(path, found)| Some((path, found.file()?))).collect();
    let changes = seen.changes(manifest.as_ref(), &there);
    let mut strays = seen.strays(manifest.as_ref(), &there);
    strays.extend(listed.unmanaged.iter().map(|path| Stray { address: path.as_str().into(), kind: StrayKind::Unmanaged }));
    strays.sort();
    let outputs = seen.outputs(&changes, manifest.as_ref(), &there);
    let sides = if job.hands_over { seen.sides(&changes, &there) } else { BTreeMap::new() };
    let preview = Preview {
        target: job.target.id.clone(),
        engine: super::NAME.into(),
        intent: job.intent,
        changes,
        outputs,
        strays,
        sides,
    };
    Ok(Look { preview, rendered, manifest, there, leftovers: listed.leftovers })
}

/// Reads the section with its expressions filled in; it may be so from a sensitive input.
pub(super) fn section(job: &Job) -> Result<Section, UnseenReason> {
    let needs = destination::waits_for(&job.resolved.section);
    if !needs.is_empty() {
        return Err(UnseenReason::Needs(needs));
    }
    let mut mistakes = Mistakes::default();
    let section = Section::read(&job.resolved.section, &job.target.stack.dir, &mut mistakes);
    let redactor = Redactor::new(Values::of(job).secrets());
    section.ok_or_else(|| UnseenReason::Definition(redactor.redact(&told(&mistakes)).into()))
}

fn rendered(job: &Job, section: &Section, values: &Values) -> Result<Rendered, UnseenReason> {
    let at = job.resolved.section.get("source").map_or(&job.target.stack.site, |node| &node.site);
    let mut mistakes = Mistakes::default();
    let layout = Layout::of(&job.sources, &section.source, at, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(definition(&mistakes));
    }
    render(&job.sources, &section.source, &layout, values)
}

fn definition(mistakes: &Mistakes) -> UnseenReason {
    UnseenReason::Definition(told(mistakes).into())
}

fn told(mistakes: &Mistakes) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The files of a destination that are no documents of ours.
#[derive(Default)]
struct Listed {
    /// Paths in the destination; empty when the section does not want to be told.
    unmanaged: Vec<String>,
    leftovers: Vec<String>,
}

impl Found {
    fn file(self) -> Option<Vec<u8>> {
        match self {
            Found::File(bytes) => Some(bytes),
            Found::Absent | Found::Blocked(..) => None,
        }
    }
}

/// One target and its destination, being compared.
pub(super) struct Seen<'a> {
    pub(super) job: &'a Job,
    section: &'a Section,
    pub(super) rendered: &'a Rendered,
    place: &'a dyn Place,
    pub(super) redactor: &'a Redactor,
}

impl Seen<'_> {
    /// Reads the manifest; one of another target is refused, unless that target is taken over.
    fn manifest(&self) -> Result<Option<Manifest>, String> {
        let Some(manifest) = read_manifest(self.place)? else { return Ok(None) };
        let ours = manifest.target == self.job.target.id || self.job.was.contains(&manifest.target);
        match (ours, self.job.intent) {
            (true, _) => Ok(Some(manifest)),
            (false, Intent::Destroy) => Ok(None), // somebody else's now, so there is nothing of ours to remove
            (false, Intent::Converge) => Err(format!(
                "{} belongs to {}: two targets can't share a destination; choose another one, or declare the move with was:",
                self.section.destination, manifest.target
            )),
        }
    }

    /// Reads every document that is ours or about to be.
    fn there(&self, manifest: Option<&Manifest>) -> Result<BTreeMap<Arc<str>, Found>, String> {
        let owned = manifest.into_iter().flat_map(Manifest::owned);
        let paths: BTreeSet<&Arc<str>> = self.rendered.keys().chain(owned).collect();
        let found = self.place.read(&paths.iter().map(|path| &***path).collect::<Vec<_>>())?;
        Ok(paths.into_iter().cloned().zip(found).collect())
    }

    fn listed(&self, manifest: Option<&Manifest>) -> Result<Listed, String> {
        let owned = manifest.into_iter().flat_map(Manifest::owned);
        let known: BTreeSet<&str> = self.rendered.keys().chain(owned).map(|path| &**path).collect();
        let dirs: BTreeSet<&str> = std::iter::once("").chain(known.iter().flat_map(|path| path::parents(path))).collect();
        let foreign = manifest.is_none() && self.job.intent == Intent::Destroy;
        let mut listed = Listed::default();
        let mut next = vec![String::new()];
        let mut files = 0;
        while let Some(dir) = next.pop().filter(|_| !foreign) {
            let is_known = dirs.contains(dir.as_str());
            if !is_known && !self.section.tell_unmanaged {
                continue;
            }
            let entries = self.place.list(&dir)?;
            if !dir.is_empty() && entries.iter().any(|entry| entry.name == MANIFEST) {
                continue; // another target's destination, inside ours
            }
            for entry in entries {
                let path = if dir.is_empty() { entry.name.clone() } else { format!("{dir}/{}", entry.name) };
                files += 1;
                if entry.is_dir {
                    next.push(path);
                } else if entry.name.starts_with(TEMPORARY) && is_known {
                    listed.leftovers.push(path);
                } else if self.section.tell_unmanaged && path != MANIFEST && !known.contains(path.as_str()) {
                    listed.unmanaged.push(path);
                }
            }
            if files > FILES_MAX {
                return Err(format!(
                    "{} holds more than {FILES_MAX} files; publish to a directory of its own, or set unmanaged: ignore",
                    self.section.destination
                ));
            }
        }
        listed.leftovers.sort();
        Ok(listed)
    }

    /// Refuses to write over what we did not publish, and to follow what is no plain file.
    fn refuse_foreign(
        &self,
        manifest: Option<&Manifest>,
        there: &BTreeMap<Arc<str>, Found>,
        listed: &Listed,
    ) -> Result<(), String> {
        let owned = |path: &str| manifest.is_some_and(|manifest| manifest.owns(path));
        let leaving = |path: &str| owned(path) && !self.rendered.contains_key(path);
        let mut wrong = Vec::new();
        for (document, found) in there {
            let at = self.place.told(document);
            match found {
                Found::Absent => {}
                Found::File(_) if owned(document) => {}
                Found::Blocked(..) if leaving(document) => {} // it is gone, and nothing is to come in its place
                Found::File(_) => wrong.push(format!(
                    "{at} exists and is not ours: what isobar did not publish it does not overwrite; move it away, or render to another path"
                )),
                Found::Blocked(place, what) => {
                    let makes_way = match (self.place.inside(place), *what) {
                        // A document of ours goes, where a directory is to come; or the other way round.
                        (Some(inside), "a file") => leaving(inside),
                        (Some(inside), "a directory") => {
                            inside == &**document
                                && !listed.unmanaged.iter().any(|path| path::is_within(path, inside))
                                && there.keys().any(|path| path::is_within(path, inside) && leaving(path))
                        }
                        _ => false,
                    };
                    if !makes_way {
                        wrong.push(format!("{place} is {what}, so {at} can't be read or written; move it away"));
                    }
                }
            }
        }
        wrong.dedup();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

/// Reads the manifest of a destination, whoever owns it.
pub(super) fn read_manifest(place: &dyn Place) -> Result<Option<Manifest>, String> {
    let at = place.told(MANIFEST);
    match place.read(&[MANIFEST])?.pop().unwrap_or(Found::Absent) {
        Found::Absent => Ok(None),
        Found::File(bytes) => Manifest::parse(&bytes).map(Some).map_err(|why| format!("{at}: {why}; restore the file as it was")),
        Found::Blocked(place, what) => Err(format!("{place} is {what}, so {at} can't be read; move it away")),
    }
}
