//! An engine whose world is made up: each target is two things, each of some version, and what becomes of an apply is said by
//! whoever plays. It works as ours do: a preview from what is there, an apply that may stop half-way, and no apply on a world
//! that moved.

use crate::change::{Action, Applied, Change, Detail, Digest, Intent, Outputs, Preview, Unseen};
use crate::engine::{Boxed, Engine, Failure, Job, Sources};
use crate::stack::{Mistakes, Node, Resolved, Site, Stack, Target, TargetId, Uses};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of the engine; no stack can ask for it.
pub const ENGINE: &str = "made-up";

/// Where an engine is when fate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Looks,
    /// Nothing is touched yet.
    Begins,
    /// Half of it is made.
    Halfway,
    /// All of it is made, and nobody was told.
    Made,
}

/// Takes the time that a phase takes, and says why it fails.
pub type Fate = dyn Fn(&TargetId, Phase) -> Boxed<'static, Result<(), Arc<str>>> + Send + Sync;

/// The versions of a target's two things; 0 is not there.
pub type Things = [u64; 2];

/// What is there, for all engines that work on it.
#[derive(Clone, Default)]
pub struct Reality(Arc<Mutex<BTreeMap<TargetId, Things>>>);

/// The engine of one process.
pub struct MadeUp {
    reality: Reality,
    fate: Box<Fate>,
}

const ADDRESSES: [&str; 2] = ["first", "second"];

impl Reality {
    /// Returns what is there of `target`.
    pub fn things(&self, target: &TargetId) -> Things {
        self.lock().get(target).copied().unwrap_or_default()
    }

    fn put(&self, target: &TargetId, thing: usize, version: u64) {
        self.lock().entry(target.clone()).or_default()[thing] = version;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetId, Things>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MadeUp {
    pub fn new(reality: Reality, fate: Box<Fate>) -> Self {
        Self { reality, fate }
    }

    /// Returns `target` as this engine's.
    pub fn target(target: &Target) -> Arc<Target> {
        let stack = Stack { engine: ENGINE.into(), ..(*target.stack).clone() };
        Arc::new(Target { stack: Arc::new(stack), ..target.clone() })
    }

    /// Returns the job that makes `target` what `version` says.
    pub fn job(target: &Arc<Target>, version: u64) -> Job {
        let section = Node::from_value(&Value::Null, &Site::new("stack.yaml", 1, 1));
        let (inputs, vars, outputs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Job {
            target: target.clone(),
            intent: Intent::Converge,
            resolved: Arc::new(Resolved { inputs, vars, region: version.into(), section, outputs }),
            secrets: Arc::default(),
            sources: Arc::default(),
            root: Arc::default(),
            was: Vec::new(),
            key: None,
            hands_over: false,
        }
    }

    fn see(&self, job: &Job) -> Preview {
        let (there, wanted) = (self.reality.things(&job.target.id), version(job));
        let differs = there.iter().zip(ADDRESSES).filter(|(there, _)| **there != wanted);
        Preview {
            target: job.target.id.clone(),
            engine: ENGINE.into(),
            intent: job.intent,
            changes: differs.map(|(there, address)| change(address, *there, wanted)).collect(),
            outputs: BTreeMap::new(),
            strays: Vec::new(),
            sides: Default::default(),
        }
    }

    async fn make(&self, job: &Job, preview: &Preview) -> Result<Applied, Failure> {
        let target = &job.target.id;
        let failed = |untouched: bool| move |text: Arc<str>| Failure { text, untouched };
        (self.fate)(target, Phase::Begins).await.map_err(failed(true))?;
        if self.see(job).changes != preview.changes {
            return Err(failed(true)("reality is no longer what the preview saw".into()));
        }
        self.reality.put(target, 0, version(job));
        (self.fate)(target, Phase::Halfway).await.map_err(failed(false))?;
        self.reality.put(target, 1, version(job));
        (self.fate)(target, Phase::Made).await.map_err(failed(false))?;
        Ok(Applied { target: target.clone(), changes: preview.marks(), outputs: Outputs::new() })
    }
}

fn version(job: &Job) -> u64 {
    job.resolved.region.as_u64().unwrap_or_default()
}

fn change(address: &str, before: u64, after: u64) -> Change {
    let digest = |version: u64| (version > 0).then(|| Digest::of("made up", &[address, &version.to_string()]));
    let action = match (before, after) {
        (0, _) => Action::Create,
        (_, 0) => Action::Delete,
        (_, _) => Action::Update,
    };
    Change {
        address: address.into(),
        kind: "thing".into(),
        action,
        before: digest(before),
        after: digest(after),
        detail: Detail::Hidden("it is made up".into()),
        sensitive: false,
        bound: true,
        holes: Vec::new(),
    }
}

impl Engine for MadeUp {
    fn name(&self) -> &'static str {
        ENGINE
    }

    fn about(&self) -> &'static str {
        "makes nothing, and remembers what it would have made"
    }

    fn schema(&self) -> Value {
        Value::Bool(false)
    }

    fn check(&self, _: &Stack, _: &Sources, _: &mut Mistakes, _: &mut Mistakes) {}

    fn reads(&self, _: &Stack) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn uses(&self, _: &Stack, _: &Sources) -> Uses {
        Uses::default()
    }

    fn identity(&self, _: &Resolved) -> Option<String> {
        None
    }

    fn preview<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>> {
        Box::pin(async move {
            let looked = (self.fate)(&job.target.id, Phase::Looks).await;
            let unseen = |text| Unseen::new(job.target.id.clone(), crate::change::UnseenReason::Engine(text));
            looked.map(|()| self.see(job)).map_err(unseen)
        })
    }

    fn apply<'a>(&'a self, job: &'a Job, preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>> {
        Box::pin(self.make(job, preview))
    }

    fn outputs<'a>(&'a self, _: &'a Job) -> Boxed<'a, Result<Outputs, Failure>> {
        Box::pin(async { Ok(Outputs::new()) })
    }
}
