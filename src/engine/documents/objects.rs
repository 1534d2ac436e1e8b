//! A destination in a bucket: one object a file, and no directories. Each object is written and deleted only when it is still what was
//! read, so a writer that was overtaken is refused by the service itself.

use super::path::{self, TEMPORARY};
use super::place::{BeforeWrite, Entry, FILES_MAX, Found, GIVEN_UP, Place, READ_MAX, Waiting};
use crate::bucket::{Address, Bucket, Buckets, Fault, Names, Version};
use futures::{StreamExt as _, TryStreamExt as _};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// Requests of one target in flight; as many targets are looked at, or applied, at once as `--parallel` and the waves allow.
const REQUESTS_AT_ONCE: usize = 8;

pub(super) struct Objects {
    address: Address,
    bucket: Bucket,
    /// Where requests are made; the engine waits for them on a thread of its own.
    runtime: Handle,
    /// What each path was when it was last read or written by us; `None` is absent.
    seen: RefCell<BTreeMap<String, Option<Version>>>,
    /// What stood right below each directory that was listed, until we change anything.
    listed: RefCell<BTreeMap<String, Names>>,
    steps: Cell<usize>,
    before_write: Option<BeforeWrite>,
    waiting: Option<Waiting>,
}

impl Objects {
    pub(super) fn open(
        address: &Address,
        buckets: &Buckets,
        before_write: Option<BeforeWrite>,
        waiting: Option<Waiting>,
    ) -> Result<Self, String> {
        Ok(Self {
            address: address.clone(),
            bucket: buckets.open(&address.container).map_err(|fault| fault.to_string())?,
            runtime: Handle::current(),
            seen: RefCell::default(),
            listed: RefCell::default(),
            steps: Cell::new(0),
            before_write,
            waiting,
        })
    }

    /// Waits for `work` as long as anybody waits for us: a service may take minutes to say nothing.
    fn wait<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let Some(mut waiting) = self.waiting.clone() else { return self.runtime.block_on(work) };
        let given_up = async move { while waiting.changed().await.is_ok() {} };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = given_up => Err(GIVEN_UP.into()),
                done = work => done,
            }
        })
    }

    fn key(&self, path: &str) -> String {
        match (&*self.address.prefix, path) {
            (prefix, "") => prefix.into(),
            ("", path) => path.into(),
            (prefix, path) => format!("{prefix}/{path}"),
        }
    }

    /// A listing says that nothing stands at a path. What came since is not lost: it refuses to be written over.
    fn is_missing(&self, path: &str) -> bool {
        let listed = self.listed.borrow();
        let is_among = |names: &[String], name: &str| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
        std::iter::once("").chain(path::parents(path)).any(|dir| {
            let below = if dir.is_empty() { path } else { &path[dir.len() + 1..] };
            listed.get(dir).is_some_and(|names| match below.split_once('/') {
                Some((prefix, _)) => !is_among(&names.prefixes, prefix),
                None => !is_among(&names.objects, below),
            })
        })
    }

    async fn read_one(&self, path: &str) -> Result<Found, String> {
        if self.is_missing(path) {
            self.seen.borrow_mut().insert(path.into(), None);
            return Ok(Found::Absent);
        }
        let object = self.bucket.get(&self.key(path), READ_MAX).await.map_err(|fault| fault.to_string())?;
        let (found, version) = match object {
            Some(object) => (Found::File(object.bytes), Some(object.version)),
            None => (Found::Absent, None),
        };
        self.seen.borrow_mut().insert(path.into(), version);
        Ok(found)
    }

    /// Makes a change of each of `items`; after one that failed, those that had begun are waited for and no other begins.
    async fn change<T>(&self, items: &[T], one: impl AsyncFn(&T) -> Result<(), String>) -> Result<(), String> {
        let failed = RefCell::new(None);
        let changes = items.iter().map(|item| async {
            if failed.borrow().is_none()
                && let Err(why) = one(item).await
            {
                failed.borrow_mut().get_or_insert(why);
            }
        });
        futures::stream::iter(changes).buffer_unordered(REQUESTS_AT_ONCE).for_each(async |()| {}).await;
        failed.into_inner().map_or(Ok(()), Err)
    }

    async fn put_one(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let expected = self.seen.borrow().get(path).cloned().flatten();
        self.step("writing", path)?;
        let written = self.bucket.put(&self.key(path), bytes, expected.as_ref()).await;
        let version = written.map_err(|fault| self.failed(&fault))?;
        self.seen.borrow_mut().insert(path.into(), Some(version));
        Ok(())
    }

    async fn remove_one(&self, path: &str) -> Result<(), String> {
        if !self.seen.borrow().contains_key(path) {
            self.read_one(path).await?;
        }
        let Some(expected) = self.seen.borrow().get(path).cloned().flatten() else { return Ok(()) };
        self.step("removing", path)?;
        self.bucket.delete(&self.key(path), &expected).await.map_err(|fault| self.failed(&fault))?;
        self.seen.borrow_mut().insert(path.into(), None);
        Ok(())
    }

    /// Takes back the step of a change that was not made.
    fn failed(&self, fault: &Fault) -> String {
        if fault.is_untouched() {
            self.steps.set(self.steps.get() - 1);
        }
        fault.to_string()
    }

    fn step(&self, doing: &str, path: &str) -> Result<(), String> {
        before(self.before_write.as_ref(), &format!("{doing} {}", self.told(path)))?;
        self.steps.set(self.steps.get() + 1);
        self.listed.borrow_mut().clear();
        Ok(())
    }

    async fn names(&self, dir: &str) -> Result<Names, String> {
        if let Some(names) = self.listed.borrow().get(dir) {
            return Ok(names.clone());
        }
        let names = self.bucket.list(&self.key(dir), FILES_MAX).await.map_err(|fault| fault.to_string())?;
        self.listed.borrow_mut().insert(dir.into(), names.clone());
        Ok(names)
    }

    /// Before the first write of a process the service shows that it keeps conditions.
    async fn try_out(&self) -> Result<(), String> {
        let seam = self.before_write.clone();
        let before = move |doing: &str| before(seam.as_ref(), doing);
        self.bucket.try_out(&self.key(TEMPORARY), &before).await.map_err(|fault| fault.to_string())
    }
}

fn before(seam: Option<&BeforeWrite>, doing: &str) -> Result<(), String> {
    seam.map_or(Ok(()), |seam| seam(doing)).map_err(|error| format!("{doing}: {error}"))
}

impl Place for Objects {
    fn told(&self, path: &str) -> String {
        self.address.container.url(&self.key(path))
    }

    /// Nothing is ever in the way: a name and names below it can stand side by side.
    fn inside<'a>(&self, _blocked: &'a str) -> Option<&'a str> {
        None
    }

    /// One request tells what is not there, which would take one each.
    fn survey(&self) -> Result<(), String> {
        self.wait(self.names("")).map(drop)
    }

    fn read(&self, paths: &[&str]) -> Result<Vec<Found>, String> {
        let reads = paths.iter().map(|path| self.read_one(path));
        self.wait(futures::stream::iter(reads).buffered(REQUESTS_AT_ONCE).try_collect())
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        let names = self.wait(self.names(dir))?;
        let entry = |is_dir: bool| move |name: String| Entry { name, is_dir };
        let mut entries: Vec<Entry> = names.objects.into_iter().map(entry(false)).collect();
        entries.extend(names.prefixes.into_iter().map(entry(true)));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn put(&self, files: &[(&str, &[u8])]) -> Result<(), String> {
        self.wait(async {
            self.try_out().await?;
            self.change(files, async |(path, bytes)| self.put_one(path, bytes).await).await
        })
    }

    fn remove(&self, paths: &[&str]) -> Result<(), String> {
        self.wait(async {
            self.try_out().await?;
            self.change(paths, async |path| self.remove_one(path).await).await
        })
    }

    fn remove_empty_dir(&self, _dir: &str) -> Result<bool, String> {
        Ok(true)
    }

    /// A service answers a write when it is safe.
    fn sync(&self) -> Result<(), String> {
        Ok(())
    }

    fn is_untouched(&self) -> bool {
        self.steps.get() == 0
    }
}
