//! What an engine must do, and what it is given.

use crate::change::{Applied, Change, Intent, Key, Outputs, Preview, Sides, Unseen};
use crate::stack::{Mistakes, Resolved, Site, Source, Stack, Target, TargetId, Uses};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// A future on the heap, so that engines can be kept in one list.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The files an engine may read, by repository path. Shared between the targets of a stack.
pub type Sources = BTreeMap<Arc<str>, Source>;

/// One target's work, complete: an engine needs nothing else.
#[derive(Clone)]
pub struct Job {
    pub target: Arc<Target>,
    pub intent: Intent,
    /// Inputs, vars, region and section, filled in; unknown outputs and secrets stand in them as marks.
    pub resolved: Arc<Resolved>,
    /// Values of the secrets named by marks.
    pub secrets: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    pub sources: Arc<Sources>,
    /// The repository's root on this machine; `file:` destinations are relative to it.
    pub root: Arc<PathBuf>,
    /// Targets whose resources this one takes over.
    pub was: Vec<TargetId>,
    /// Keys digests of sensitive content; `None` without `ISOBAR_KEY`.
    pub key: Option<Key>,
    /// The preview is handed over to somebody who believes nothing: it keeps both sides of its changes.
    pub hands_over: bool,
}

/// Names the target only: the rest holds secrets.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("target", &self.target.id).field("intent", &self.intent).finish_non_exhaustive()
    }
}

/// Why an apply failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The engine's own text, redacted, not yet inert.
    pub text: Arc<str>,
    /// True when the engine can say that nothing was changed.
    pub untouched: bool,
}

/// Previews and applies one target at a time. Calls for different targets run at once.
pub trait Engine: Send + Sync {
    /// The key of its section in `stack.yaml`.
    fn name(&self) -> &'static str;

    /// One sentence for docs and `--help`.
    fn about(&self) -> &'static str;

    /// JSON Schema of its section.
    fn schema(&self) -> serde_json::Value;

    /// Checks a stack's section and sources without looking at the world; every mistake with its place. What could be read
    /// and applied all the same belongs to `strict`: it is asked of new definitions only, so that history stays readable.
    fn check(&self, stack: &Stack, sources: &Sources, mistakes: &mut Mistakes, strict: &mut Mistakes);

    /// Checks the section and the outputs of one target, expressions filled in; what waits for an output is left to the preview.
    fn check_target(&self, _stack: &Stack, _sources: &Sources, _resolved: &Resolved, _mistakes: &mut Mistakes) {}

    /// Which repository paths it reads for `stack`: directories (with `/` at the end) and files.
    fn reads(&self, stack: &Stack) -> Vec<Arc<str>>;

    /// Which files it needs beyond `sources`, such as those that templates include: known only once the templates are read. The caller
    /// reads them and asks again until nothing new is named; a path that does not exist is named every time.
    fn reads_more(&self, _stack: &Stack, _sources: &Sources) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// What the stack's sources use, traced through includes. Never fails: what can't be traced is reported by `check`.
    fn uses(&self, stack: &Stack, sources: &Sources) -> Uses;

    /// Names the real thing a target resolves to, such as its destination; two targets with one are an error.
    fn identity(&self, resolved: &Resolved) -> Option<String>;

    /// Where the section of `stack` names that thing.
    fn identity_site<'a>(&self, stack: &'a Stack) -> &'a Site {
        &stack.section.site
    }

    /// Says what would change, and what strayed since our last apply. Changes nothing.
    fn preview<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>>;

    /// Makes a change that was handed over anew of its sides: its digests, and what people see of it. `None` when it is none of this
    /// engine's, or when these are not its sides. What is not told of like this cannot be approved before it is merged.
    fn believe(&self, _change: &Change, _sides: &Sides) -> Option<Change> {
        None
    }

    /// Makes the changes of `preview`; refuses when reality is no longer what the preview saw. With an empty preview it
    /// finishes what a killed apply left behind: call it for a target that was started and has no outcome.
    fn apply<'a>(&'a self, job: &'a Job, preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>>;

    /// Reads the outputs of a target as they are now; those that do not exist are absent.
    fn outputs<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Outputs, Failure>>;
}

/// The engines at hand.
#[derive(Clone)]
pub struct Engines(Arc<Vec<Arc<dyn Engine>>>);

impl Engines {
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> Self {
        Self(Arc::new(engines))
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.0.iter().find(|engine| engine.name() == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.0.iter()
    }
}
