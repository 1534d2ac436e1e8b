//! The contract of the engine, on a real directory, and the bench that the other tests of this room share.

use crate::change::{Intent, Key};
use crate::engine::{Job, Sources};
use crate::stack::{
    Mode, Node, OutputFrom, Region, RegionId, Resolved, Site, Source, Stack, StackName, Target, TargetId, Traced, Vars,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
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
        let root = TempDir::new().expect("a temporary directory can be made");
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

    pub(super) fn job(&self) -> Job {
        self.job.clone()
    }
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
        was: vec![],
        inputs: vec![("name".into(), site(3), node(&json!("api")))],
        sensitive: vec![],
        outputs: BTreeMap::new(),
        watch: vec![],
        labels: BTreeMap::new(),
        vars: Vars(None),
        engine: "documents".into(),
        section: section.clone(),
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
