//! The embedded engine: renders a stack's templates for one region and publishes them to its destination.

mod bounds;
mod certain;
mod check;
mod circle;
mod compare;
mod destination;
mod disk;
mod flow;
mod folder;
mod guard;
mod layout;
mod look;
mod manifest;
mod objects;
mod outputs;
mod path;
mod place;
mod publish;
mod render;
mod section;
mod show;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod values;
mod vocabulary;

use super::{Boxed, Engine, Failure, Job, Sources};
use crate::bucket::Buckets;
use crate::change::{Applied, Change, Outputs, Preview, Redactor, Sides, Unseen, UnseenReason};
use crate::stack::{Mistakes, Resolved, Site, Stack, Uses};
use destination::Destination;
use disk::Disk;
use folder::Folder;
use look::Look;
use objects::Objects;
use place::{BeforeWrite, Found, Place, Waiting};
use section::Section;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::sync::watch;

const NAME: &str = "documents";

/// Renders documents and publishes them; needs no tool.
#[derive(Clone, Default)]
pub(super) struct Documents {
    buckets: Buckets,
    before_write: Option<BeforeWrite>,
    /// Closed once nobody waits for what is being done; `None`: somebody always does.
    waiting: Option<Waiting>,
}

impl Engine for Documents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "renders a stack's templates for one region and publishes the documents to a directory or a bucket"
    }

    fn schema(&self) -> serde_json::Value {
        section::schema()
    }

    fn check(&self, stack: &Stack, sources: &Sources, mistakes: &mut Mistakes, strict: &mut Mistakes) {
        check::check(stack, sources, mistakes, strict);
    }

    fn reads(&self, stack: &Stack) -> Vec<Arc<str>> {
        check::reads(stack)
    }

    fn reads_more(&self, stack: &Stack, sources: &Sources) -> Vec<Arc<str>> {
        check::reads_more(stack, sources)
    }

    fn uses(&self, stack: &Stack, sources: &Sources) -> Uses {
        check::uses(stack, sources)
    }

    fn check_target(&self, stack: &Stack, sources: &Sources, resolved: &Resolved, mistakes: &mut Mistakes) {
        check::check_target(stack, sources, resolved, mistakes);
    }

    fn identity(&self, resolved: &Resolved) -> Option<String> {
        destination::of_section(&resolved.section).map(|destination| destination.to_string())
    }

    fn identity_site<'a>(&self, stack: &'a Stack) -> &'a Site {
        stack.section.get("destination").map_or(&stack.section.site, |node| &node.site)
    }

    fn preview<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>> {
        Box::pin(async move {
            let target = job.target.id.clone();
            let seen = self.blocking(job, |engine, job| engine.look(job).map(|(look, _)| look.preview)).await;
            let seen = seen.unwrap_or_else(|text| Err(UnseenReason::Engine(text.into())));
            seen.map_err(|reason| Unseen::new(target, reason))
        })
    }

    fn believe(&self, change: &Change, sides: &Sides) -> Option<Change> {
        compare::believe(change, sides)
    }

    fn apply<'a>(&'a self, job: &'a Job, preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>> {
        Box::pin(async move {
            let expected = preview.digest();
            let done = self.blocking(job, move |engine, job| engine.publish(job, &expected)).await;
            done.unwrap_or_else(|text| Err(Failure { text: text.into(), untouched: false }))
        })
    }

    fn outputs<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Outputs, Failure>> {
        Box::pin(async move {
            let read = self.blocking(job, |engine, job| engine.read_outputs(job)).await;
            read.unwrap_or_else(Err).map_err(|text| Failure { text: text.into(), untouched: true })
        })
    }
}

impl Documents {
    pub(super) fn new(buckets: Buckets) -> Self {
        Self { buckets, ..Self::default() }
    }

    /// Runs `work` where it may wait for a disk or a service. What a panic says is not told: it may hold a value.
    async fn blocking<T: Send + 'static>(
        &self,
        job: &Job,
        work: impl FnOnce(&Self, &Job) -> T + Send + 'static,
    ) -> Result<T, String> {
        let (_waits, waiting) = watch::channel(()); // closed when this future is dropped
        let (engine, job) = (self.until(waiting), job.clone());
        let done = tokio::task::spawn_blocking(move || work(&engine, &job)).await;
        done.map_err(|_panicked_or_cancelled| "the documents engine stopped unexpectedly; please report it".to_string())
    }

    /// The same engine, which changes nothing more once nobody waits for it: a thread cannot be stopped, but it can stop by itself.
    fn until(&self, waiting: Waiting) -> Self {
        let (waits, before_write) = (waiting.clone(), self.before_write.clone());
        let heard = move |step: &str| match waits.has_changed() {
            Err(_closed) => Err(std::io::Error::other(place::GIVEN_UP)),
            Ok(_) => before_write.as_ref().map_or(Ok(()), |before_write| before_write(step)),
        };
        Self { buckets: self.buckets.clone(), before_write: Some(Arc::new(heard)), waiting: Some(waiting) }
    }

    fn look(&self, job: &Job) -> Result<(Look, Box<dyn Place>), UnseenReason> {
        let section = look::section(job)?;
        let place = self.open(job, &section).map_err(|text| UnseenReason::Engine(text.into()))?;
        Ok((look::look(job, &section, &*place)?, place))
    }

    /// Opens the destination of `job`. Nothing is made, and a bucket is not asked yet.
    fn open(&self, job: &Job, section: &Section) -> Result<Box<dyn Place>, String> {
        let before_write = self.before_write.clone();
        match &section.destination {
            Destination::Folder(dir) => Ok(Box::new(Folder { disk: Disk::open(&job.root, before_write)?, dir: dir.clone() })),
            Destination::Objects(address) => {
                Ok(Box::new(Objects::open(address, &self.buckets, before_write, self.waiting.clone())?))
            }
        }
    }

    fn publish(&self, job: &Job, expected: &crate::change::Digest) -> Result<Applied, Failure> {
        let untouched = |text: String| Failure { text: text.into(), untouched: true };
        let (look, place) =
            self.look(job).map_err(|reason| untouched(format!("looking again before the apply: {}", reason.say())))?;
        if look.preview.digest() != *expected {
            return Err(untouched("reality moved since the preview: it would do something else now; preview again".into()));
        }
        if let Some(change) = look.preview.changes.iter().find(|change| !change.holes.is_empty()) {
            return Err(untouched(format!("{} needs {}, which is not known yet", change.address, change.holes.join(", "))));
        }
        publish::publish(job, &look, &*place).map_err(|text| {
            let redactor = Redactor::new(values::Values::of(job).secrets());
            Failure { text: redactor.redact(&text).into(), untouched: place.is_untouched() }
        })?;
        let told = |document: &str| look.rendered.get(document).filter(|document| document.sensitive == render::Sensitive::No);
        let outputs = outputs_of(job, |document| told(document).map(|document| document.bytes.to_vec()));
        Ok(Applied { target: job.target.id.clone(), changes: look.preview.marks(), outputs })
    }

    /// Reads the outputs from what is published now; a document that is not ours, or secret, tells none. Where none stands in a document,
    /// the destination is not asked.
    fn read_outputs(&self, job: &Job) -> Result<Outputs, String> {
        let section = look::section(job).map_err(|reason| reason.say())?;
        if outputs::read_back(&job.resolved).is_empty() {
            return Ok(outputs_of(job, |_| None));
        }
        let place = self.open(job, &section)?;
        let manifest = look::read_manifest(&*place)?.filter(|manifest| manifest.target == job.target.id);
        let failed = RefCell::new(None);
        let published = |document: &str| {
            let shown = |entry: &manifest::Entry| entry.sensitive() == render::Sensitive::No;
            let ours = manifest.as_ref().filter(|manifest| manifest.owns(document) && manifest.entries(document).all(shown));
            match place.read(&[ours.map(|_| document)?]).map(|mut found| found.pop()) {
                Ok(Some(Found::File(bytes))) => Some(bytes),
                Ok(Some(Found::Absent | Found::Blocked(..)) | None) => None,
                Err(why) => {
                    failed.borrow_mut().get_or_insert(why);
                    None
                }
            }
        };
        let outputs = outputs_of(job, published);
        failed.into_inner().map_or(Ok(outputs), Err)
    }
}

/// The outputs that are known, where `published` tells what stands in a document that everybody may see.
fn outputs_of(job: &Job, published: impl Fn(&str) -> Option<Vec<u8>>) -> Outputs {
    let redactor = Redactor::new(values::Values::of(job).secrets());
    outputs::known(outputs::read(&job.resolved, |text| redactor.finds_in(text), published))
}
