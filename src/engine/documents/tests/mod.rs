//! The contract of the engine, on a real directory, and the bench that the other tests of this room share.

mod kill;
mod life;
mod refuse;
mod secrets;

use super::Documents;
use crate::change::{Applied, Intent, Key, Outputs, Preview, Unseen, UnseenReason};
use crate::engine::{Engine as _, Failure, Job, Sources};
use crate::stack::{
    Mode, Node, OutputFrom, Region, RegionId, Resolved, Site, Source, Stack, StackName, Target, TargetId, Traced, Vars,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A stack `network` in `prod/eu`, its files and a repository's root to publish into.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) job: Job,
}

impl Bench {
    /// Takes the files of the stack's directory.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let root = temporary();
        let mut bench = Self { job: job(root.path().into()), root };
        files.iter().for_each(|(path, text)| bench.add(&format!("network/{path}"), text.as_bytes()));
        bench
    }

    /// Adds or replaces a file, by repository path.
    pub(super) fn add(&mut self, path: &str, bytes: &[u8]) {
        let source = Source { path: path.into(), mode: Mode::File, bytes: bytes.into() };
        Arc::make_mut(&mut self.job.sources).insert(path.into(), source);
    }

    pub(super) fn inputs(&mut self, inputs: Vec<(&str, Traced)>) {
        let inputs = inputs.into_iter().map(|(name, traced)| (name.into(), traced)).collect();
        Arc::make_mut(&mut self.job.resolved).inputs = inputs;
    }

    pub(super) fn secrets(&mut self, secrets: &[(&str, &str)]) {
        self.job.secrets = Arc::new(secrets.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
    }

    /// Declares outputs, in the stack and as resolved.
    pub(super) fn outputs(&mut self, outputs: &[(&str, OutputFrom)]) {
        let outputs: BTreeMap<Arc<str>, _> = outputs.iter().map(|(name, from)| ((*name).into(), from.clone())).collect();
        Arc::make_mut(&mut Arc::make_mut(&mut self.job.target).stack).outputs = outputs.clone();
        Arc::make_mut(&mut self.job.resolved).outputs = outputs;
    }

    /// Declares a sensitive input in the stack.
    pub(super) fn declare_sensitive(&mut self, name: &str) {
        let stack = Arc::make_mut(&mut Arc::make_mut(&mut self.job.target).stack);
        stack.inputs.push((name.into(), site(4), node(&json!("hidden"))));
        stack.sensitive.push(name.into());
    }

    /// Takes a file away, by repository path.
    pub(super) fn drop_source(&mut self, path: &str) {
        Arc::make_mut(&mut self.job.sources).remove(path);
    }

    pub(super) fn section(&mut self, section: &Value) {
        Arc::make_mut(&mut self.job.resolved).section = node(section);
    }

    /// Makes the job one of another target, with the same sources and destination.
    pub(super) fn rename(&mut self, stack: &str, region: &str) {
        Arc::make_mut(&mut self.job.target).id = target(stack, region);
    }

    pub(super) fn see(&self) -> Result<Preview, Unseen> {
        wait(Documents::default().preview(&self.job))
    }

    /// Previews a job that nothing stands in the way of.
    pub(super) fn preview(&self) -> Preview {
        self.see().expect("the target can be previewed")
    }

    /// Returns the text of an engine that refused to preview.
    pub(super) fn refusal(&self) -> String {
        match self.see() {
            Err(Unseen { reason: UnseenReason::Engine(text), .. }) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn make(&self, preview: &Preview) -> Result<Applied, Failure> {
        wait(Documents::default().apply(&self.job, preview))
    }

    /// Previews and applies.
    pub(super) fn apply(&self) -> Applied {
        self.make(&self.preview()).expect("the apply goes through")
    }

    pub(super) fn read_outputs(&self) -> Outputs {
        wait(Documents::default().outputs(&self.job)).expect("the outputs can be read")
    }

    /// Returns a file below the destination as text.
    pub(super) fn live(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.place(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn edit(&self, path: &str, text: &str) {
        let place = self.place(path);
        std::fs::create_dir_all(place.parent().expect("a file has a directory")).expect("the directory can be made");
        std::fs::write(place, text).expect("the file can be written");
    }

    /// Returns the place of a document on this machine.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.root.path().join("live/prod/eu/network").join(path)
    }

    /// Returns everything below the root: files with their content, directories with `/` at the end.
    pub(super) fn everything(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        gather(self.root.path(), "", &mut found);
        found
    }

    pub(super) fn job(&self) -> Job {
        self.job.clone()
    }
}

/// Returns a directory in memory where there is one: the tests apply hundreds of times, and each waits for the disk.
pub(super) fn temporary() -> TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| TempDir::new());
    made.expect("a temporary directory can be made")
}

fn gather(root: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(root.join(below)).expect("a directory can be listed") {
        let entry = entry.expect("an entry can be read");
        let path = Path::new(below).join(entry.file_name()).to_string_lossy().into_owned();
        if entry.file_type().expect("an entry has a type").is_dir() {
            found.insert(format!("{path}/"), String::new());
            gather(root, &path, found);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            found.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made").block_on(future)
}

/// Returns each change in short: sign and address.
pub(super) fn short(preview: &Preview) -> Vec<String> {
    preview.changes.iter().map(|change| format!("{} {}", change.action.sign(), change.address)).collect()
}

pub(super) fn input(name: &str, value: Value) -> (&str, Traced) {
    (name, traced(value, false))
}

pub(super) fn secret(name: &str, value: Value) -> (&str, Traced) {
    (name, traced(value, true))
}

fn traced(value: Value, sensitive: bool) -> Traced {
    Traced { value, site: site(9), layer: None, over: vec![], sensitive }
}

fn site(line: u32) -> Site {
    Site::new("network/stack.yaml", line, 3)
}

pub(super) fn node(value: &Value) -> Node {
    Node::from_value(value, &site(5))
}

pub(super) fn target(stack: &str, region: &str) -> TargetId {
    TargetId::new(name(stack), region_id(region))
}

fn name(text: &str) -> StackName {
    text.parse().expect("a stack's name")
}

fn region_id(text: &str) -> RegionId {
    text.parse().expect("a region's id")
}

fn job(root: PathBuf) -> Job {
    let section = node(&json!({ "source": "./t", "destination": "file:./live/prod/eu/network" }));
    let stack = Stack {
        name: name("network"),
        dir: "network".into(),
        site: site(1),
        regions: vec![region_id("prod/eu")],
        depends_on: vec![],
        instance: None,
        was: vec![],
        inputs: vec![("name".into(), site(3), node(&json!("api")))],
        sensitive: vec![],
        outputs: BTreeMap::new(),
        watch: vec![],
        labels: BTreeMap::new(),
        vars: Vars(None),
        engine: "documents".into(),
        section: section.clone(),
        unread: Default::default(),
    };
    let region = Region {
        id: region_id("prod/eu"),
        cloud: Some("aws".into()),
        labels: BTreeMap::new(),
        weight: 1,
        vars: Vars(None),
        site: Site::new("isobar.yaml", 3, 3),
    };
    let resolved = Resolved {
        inputs: [("name".into(), traced(json!("api"), false))].into(),
        vars: [("owner".into(), traced(json!("platform"), false))].into(),
        region: json!({ "id": "prod/eu", "environment": "prod", "name": "eu", "cloud": "aws", "labels": {}, "vars": { "cidr": "10.2.0.0/16" } }),
        section,
        outputs: BTreeMap::new(),
    };
    Job {
        target: Arc::new(Target { id: target("network", "prod/eu"), stack: Arc::new(stack), region: Arc::new(region) }),
        intent: Intent::Converge,
        resolved: Arc::new(resolved),
        secrets: Arc::new(BTreeMap::new()),
        sources: Arc::new(Sources::new()),
        root: Arc::new(root),
        was: vec![],
        key: Some(Key::new(b"a key for tests")),
    }
}
