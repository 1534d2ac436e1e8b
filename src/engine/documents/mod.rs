//! The embedded engine: renders a stack's templates for one region and publishes them to its destination.

mod check;
mod circle;
mod compare;
mod disk;
mod flow;
mod layout;
mod look;
mod manifest;
mod outputs;
mod path;
mod publish;
mod render;
mod section;
mod show;
mod template;
#[cfg(test)]
mod tests;
mod values;
mod vocabulary;

use super::{Boxed, Engine, Failure, Job, Sources};
use crate::change::{Applied, Outputs, Preview, Redactor, Unseen, UnseenReason, say_missing};
use crate::stack::{Mistakes, Resolved, Site, Stack, Uses, unbroken};
use disk::{BeforeWrite, Disk};
use look::Look;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NAME: &str = "documents";

/// Renders documents and publishes them; needs no tool.
#[derive(Clone, Default)]
pub(super) struct Documents {
    before_write: Option<BeforeWrite>,
}

/// Says, when it is dropped, that nobody waits any more.
#[derive(Default)]
struct Leaving(Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Engine for Documents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "renders a stack's templates for one region and publishes the documents to a directory"
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
        section::destination_of(&resolved.section).map(|destination| format!("file:{destination}"))
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
    /// Runs `work` where it may wait for the disk. What a panic says is not told: it may hold a value.
    async fn blocking<T: Send + 'static>(
        &self,
        job: &Job,
        work: impl FnOnce(&Self, &Job) -> T + Send + 'static,
    ) -> Result<T, String> {
        let leaving = Leaving::default(); // dropped with this future
        let (engine, job) = (self.until(&leaving), job.clone());
        let done = tokio::task::spawn_blocking(move || work(&engine, &job)).await;
        done.map_err(|_panicked_or_cancelled| "the documents engine stopped unexpectedly; please report it".to_string())
    }

    /// The same engine, which changes nothing more once nobody waits for it: a thread cannot be stopped, but it can stop by itself.
    fn until(&self, leaving: &Leaving) -> Self {
        let (left, before_write) = (leaving.0.clone(), self.before_write.clone());
        let heard = move |step: &str| match left.load(Ordering::SeqCst) {
            true => Err(std::io::Error::other("the run gave this target up")),
            false => before_write.as_ref().map_or(Ok(()), |before_write| before_write(step)),
        };
        Self { before_write: Some(Arc::new(heard)) }
    }

    fn look(&self, job: &Job) -> Result<(Look, Disk), UnseenReason> {
        let disk = Disk::open(&job.root, self.before_write.clone()).map_err(|text| UnseenReason::Engine(text.into()))?;
        Ok((look::look(job, &disk)?, disk))
    }

    fn publish(&self, job: &Job, expected: &crate::change::Digest) -> Result<Applied, Failure> {
        let untouched = |text: String| Failure { text: text.into(), untouched: true };
        let (look, disk) =
            self.look(job).map_err(|reason| untouched(format!("looking again before the apply: {}", reason_text(&reason))))?;
        if look.preview.digest() != *expected {
            return Err(untouched("reality moved since the preview: it would do something else now; preview again".into()));
        }
        if let Some(change) = look.preview.changes.iter().find(|change| !change.holes.is_empty()) {
            return Err(untouched(format!("{} needs {}, which is not known yet", change.address, change.holes.join(", "))));
        }
        publish::publish(job, &look, &disk).map_err(|text| {
            let redactor = Redactor::new(values::Values::of(job).secrets());
            Failure { text: redactor.redact(&text).into(), untouched: disk.is_untouched() }
        })?;
        let outputs = self.read_outputs(job).map_err(|text| Failure { text: text.into(), untouched: false })?;
        Ok(Applied { target: job.target.id.clone(), changes: look.preview.marks(), outputs })
    }

    /// Reads the outputs from what is published now; a document that is not ours, or secret, tells none.
    fn read_outputs(&self, job: &Job) -> Result<Outputs, String> {
        let disk = Disk::open(&job.root, None)?;
        let section = look::section(job).map_err(|reason| reason_text(&reason))?;
        let manifest = look::read_manifest(&disk, &section)?.filter(|manifest| manifest.target == job.target.id);
        let redactor = Redactor::new(values::Values::of(job).secrets());
        let published = |document: &str| {
            let shown = |entry: &manifest::Entry| entry.sensitive() == render::Sensitive::No;
            let ours = manifest.as_ref().filter(|manifest| manifest.owns(document) && manifest.entries(document).all(shown));
            match ours.map(|_| disk.read(&format!("{}/{document}", section.destination))) {
                Some(Ok(disk::Found::File(bytes))) => Some(bytes),
                Some(Ok(disk::Found::Absent | disk::Found::Blocked(..)) | Err(_)) | None => None,
            }
        };
        Ok(outputs::known(outputs::read(&job.resolved, |text| redactor.finds_in(text), published)))
    }
}

fn reason_text(reason: &UnseenReason) -> String {
    match reason {
        UnseenReason::Needs(names) => format!("needs {}, which is not known yet", names.join(", ")),
        UnseenReason::Conflict(paths) => format!("conflict in {}", unbroken(&paths.join(", "))),
        UnseenReason::SecretMissing { name, site } => say_missing(name, site.as_ref()),
        UnseenReason::Definition(text) | UnseenReason::Engine(text) => text.to_string(),
        UnseenReason::Cancelled => "cancelled".into(),
    }
}
