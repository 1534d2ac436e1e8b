//! The contract of the engine, on a real directory and on real object stores, and the bench that the other tests of this room share.

mod kill;
mod life;
mod refuse;
mod secrets;

use super::Documents;
use crate::bucket::cloud::{Cloud, clouds};
use crate::bucket::{Access, Address, Bucket, Buckets, Object};
use crate::change::{Applied, Detail, Intent, Key, Outputs, Preview, Unseen, UnseenReason};
use crate::engine::{Engine as _, Failure, Job, Sources};
use crate::stack::{
    Mode, Node, OutputFrom, Region, RegionId, Resolved, Site, Source, Stack, StackName, Target, TargetId, Traced, Vars,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A stack `network` in `prod/eu`, its files and a repository's root to publish into.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) job: Job,
    ground: Ground,
}

/// Where a bench publishes to: a folder, or a bucket.
#[derive(Clone)]
pub(super) enum Ground {
    Folder,
    /// A bucket, and what of it no other bench has.
    Cloud(Cloud, Buckets, String),
}

impl Ground {
    /// Returns a folder, and every object store that this machine has.
    pub(super) fn all() -> Vec<Self> {
        static OPENED: LazyLock<Vec<(Cloud, Buckets)>> = LazyLock::new(|| {
            let opened = |cloud: Cloud| {
                let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
                (cloud, Buckets::new(access))
            };
            clouds().into_iter().map(opened).collect()
        });
        let cloud = |(cloud, buckets): &(Cloud, Buckets)| Self::Cloud(cloud.clone(), buckets.clone(), String::new());
        std::iter::once(Self::Folder).chain(OPENED.iter().map(cloud)).collect()
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Folder => "file",
            Self::Cloud(cloud, ..) => cloud.name,
        }
    }

    /// The same, with a destination of its own.
    fn fresh(&self) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::Folder => Self::Folder,
            Self::Cloud(cloud, buckets, _) => {
                Self::Cloud(cloud.clone(), buckets.clone(), format!("documents/{}/", NEXT.fetch_add(1, Ordering::Relaxed)))
            }
        }
    }

    /// Returns the URL of a path, as a section has it.
    fn url(&self, path: &str) -> String {
        match self {
            Self::Folder => format!("file:./{path}"),
            Self::Cloud(cloud, _, top) => format!("{}/{top}{path}", cloud.url),
        }
    }
}

/// Runs a test on every ground.
pub(super) fn on_every_ground(test: impl Fn(&Ground)) {
    on(Ground::all(), test);
}

/// Runs a test where a step costs little: in a folder, and on our own server.
pub(super) fn on_quick_grounds(test: impl Fn(&Ground)) {
    on(Ground::all().into_iter().filter(|ground| ["file", "gs"].contains(&ground.name())), test);
}

fn on(grounds: impl IntoIterator<Item = Ground>, test: impl Fn(&Ground)) {
    struct Named(&'static str);
    impl Drop for Named {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let _closed = writeln!(std::io::stderr(), "the test failed on {}:", self.0);
            }
        }
    }
    for ground in grounds {
        let _named = Named(ground.name());
        test(&ground);
    }
}

impl Bench {
    /// Takes the files of the stack's directory.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        Self::on(&Ground::Folder, files)
    }

    pub(super) fn on(ground: &Ground, files: &[(&str, &str)]) -> Self {
        let root = crate::scratch::dir();
        let mut bench = Self { job: job(root.path().into()), root, ground: ground.fresh() };
        bench.section(&json!({ "source": "./t", "destination": bench.url("live/prod/eu/network") }));
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

    /// Returns the URL of a path where this bench publishes to.
    pub(super) fn url(&self, path: &str) -> String {
        self.ground.url(path)
    }

    /// Publishes where `other` does.
    pub(super) fn beside(mut self, other: &Self) -> Self {
        self.job.root = other.job.root.clone();
        self.ground = other.ground.clone();
        self
    }

    pub(super) fn engine(&self) -> Documents {
        match &self.ground {
            Ground::Folder => Documents::default(),
            Ground::Cloud(_, buckets, _) => Documents::new(buckets.clone()),
        }
    }

    /// Makes the job one of another target, with the same sources and destination.
    pub(super) fn rename(&mut self, stack: &str, region: &str) {
        Arc::make_mut(&mut self.job.target).id = target(stack, region);
    }

    pub(super) fn see(&self) -> Result<Preview, Unseen> {
        wait(self.engine().preview(&self.job))
    }

    /// Previews a job that nothing stands in the way of.
    pub(super) fn preview(&self) -> Preview {
        let seen = self.see().expect("the target can be previewed");
        self.hand_over(&seen);
        seen
    }

    /// What is handed over to who believes nothing is seen there as it was here, but for what is sensitive.
    fn hand_over(&self, seen: &Preview) {
        let job = Job { hands_over: true, ..self.job.clone() };
        let handed = wait(self.engine().preview(&job)).expect("as before");
        assert_eq!(handed.changes, seen.changes);
        for change in &handed.changes {
            match handed.sides.get(&change.address) {
                Some(sides) => assert_eq!(self.engine().believe(change, sides).as_ref(), Some(change)),
                None => assert!(change.sensitive || matches!(change.detail, Detail::Hidden(_)), "{change:?}"),
            }
        }
    }

    /// Returns the text of an engine that refused to preview.
    pub(super) fn refusal(&self) -> String {
        match self.see() {
            Err(Unseen { reason: UnseenReason::Engine(text), .. }) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn make(&self, preview: &Preview) -> Result<Applied, Failure> {
        wait(self.engine().apply(&self.job, preview))
    }

    /// Previews and applies.
    pub(super) fn apply(&self) -> Applied {
        self.make(&self.preview()).expect("the apply goes through")
    }

    pub(super) fn read_outputs(&self) -> Outputs {
        wait(self.engine().outputs(&self.job)).expect("the outputs can be read")
    }

    /// Returns a file below the destination as text.
    pub(super) fn live(&self, path: &str) -> Option<String> {
        let bytes = match &self.ground {
            Ground::Folder => std::fs::read(self.place(path)).ok()?,
            Ground::Cloud(..) => self.object(path)?.bytes,
        };
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes a file, as somebody else would.
    pub(super) fn edit(&self, path: &str, text: &str) {
        let Ground::Cloud(..) = &self.ground else {
            let place = self.place(path);
            std::fs::create_dir_all(place.parent().expect("a file has a directory")).expect("the directory can be made");
            return std::fs::write(place, text).expect("the file can be written");
        };
        let (there, (bucket, key)) = (self.object(path), self.bucket(path));
        let version = there.as_ref().map(|object| &object.version);
        wait(bucket.put(&key, text.as_bytes(), version)).expect("the object can be written");
    }

    /// Returns what writes a file, as somebody else would who runs beside the engine.
    pub(super) fn editor(&self, path: &str, text: &str) -> impl Fn() + Send + Sync + use<> {
        let ((bucket, key), text) = (self.bucket(path), text.to_string());
        move || {
            let write = || {
                let object = wait(bucket.get(&key, 1 << 20)).expect("the object can be read").expect("the object is there");
                wait(bucket.put(&key, text.as_bytes(), Some(&object.version))).expect("the object can be written");
            };
            std::thread::scope(|scope| scope.spawn(write).join().expect("the writer ends"));
        }
    }

    /// The same with a service that was not tried out yet.
    pub(super) fn on_untried(mut self, cloud: &Cloud) -> Self {
        if let Ground::Cloud(_, buckets, _) = &mut self.ground {
            *buckets = Buckets::new(Access::of(|name| cloud.variables.get(name).map(String::as_str)));
        }
        self
    }

    /// Removes a file that is there, as somebody else would.
    pub(super) fn remove(&self, path: &str) {
        let Ground::Cloud(..) = &self.ground else {
            return std::fs::remove_file(self.place(path)).expect("the file is there");
        };
        let (there, (bucket, key)) = (self.object(path).expect("the object is there"), self.bucket(path));
        wait(bucket.delete(&key, &there.version)).expect("the object can be removed");
    }

    fn object(&self, path: &str) -> Option<Object> {
        let (bucket, key) = self.bucket(path);
        wait(bucket.get(&key, 1 << 20)).expect("the object can be read")
    }

    /// Returns the bucket, and the key of a path below the destination.
    fn bucket(&self, path: &str) -> (Bucket, String) {
        let Ground::Cloud(_, buckets, top) = &self.ground else { panic!("a folder is no bucket") };
        let address = Address::parse(&self.url("x")).expect("a scheme of ours").expect("a name");
        (buckets.open(&address.container).expect("it asks nobody"), format!("{top}live/prod/eu/network/{path}"))
    }

    /// Returns the place of a document on this machine.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.root.path().join("live/prod/eu/network").join(path)
    }

    /// Returns everything that there is to publish to: files with their content, directories of a folder with `/` at the end.
    pub(super) fn everything(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        match &self.ground {
            Ground::Folder => gather(self.root.path(), "", &mut found),
            Ground::Cloud(_, _, top) => {
                let bucket = self.bucket("").0;
                let mut dirs = vec![top.trim_end_matches('/').to_string()];
                while let Some(dir) = dirs.pop() {
                    let names = wait(bucket.list(&dir, 1000)).expect("it can be listed");
                    dirs.extend(names.prefixes.iter().map(|name| format!("{dir}/{name}")));
                    for name in names.objects {
                        let key = format!("{dir}/{name}");
                        let object = wait(bucket.get(&key, 1 << 20)).expect("it can be read").expect("it is listed");
                        let path = key.strip_prefix(top.as_str()).expect("it is below").to_string();
                        found.insert(path, String::from_utf8_lossy(&object.bytes).into_owned());
                    }
                }
            }
        }
        found
    }

    /// Returns the files below the destination.
    pub(super) fn kept(&self) -> Vec<String> {
        let below = |path: &String| path.strip_prefix("live/prod/eu/network/").map(String::from);
        self.everything().keys().filter_map(below).filter(|path| !path.is_empty() && !path.ends_with('/')).collect()
    }

    pub(super) fn job(&self) -> Job {
        self.job.clone()
    }
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

/// Waits on one runtime for all tests: connections belong to the runtime that made them.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime can be made"));
    RUNTIME.block_on(future)
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
        hands_over: false,
    }
}
