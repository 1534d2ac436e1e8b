//! Object storage behind a small face: conditional reads and writes in S3, Google Cloud Storage and Azure Blob Storage. Knows names
//! and versions; not what an object holds.

mod access;
mod address;
mod answer;
#[cfg(test)]
#[path = "../../tests/it/support/cloud/mod.rs"]
pub(crate) mod cloud;
mod delete;
mod fault;
mod patience;
mod service;
#[cfg(test)]
mod tests;
mod trial;

pub use access::Access;
pub use address::{Address, Container, Flaw};
pub use fault::{Cause, Fault, Refusal};
pub use trial::BeforeWrite;

use answer::Discerning;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion};
use patience::{Asked, Patience};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

/// Bytes of an object that is written at most; larger ones would need several requests, which no condition covers.
pub const WRITE_MAX: usize = 64 * 1024 * 1024;

/// The containers that are used, each opened once. Cheap to clone.
#[derive(Clone, Default)]
pub struct Buckets {
    access: Arc<Access>,
    connector: Discerning,
    opened: Arc<Mutex<BTreeMap<Container, Bucket>>>,
}

/// One container. Cheap to clone; its connections are shared.
#[derive(Clone)]
pub struct Bucket {
    container: Container,
    store: Arc<dyn ObjectStore>,
    lists: Arc<dyn PaginatedListStore>,
    eraser: Arc<delete::Eraser>,
    /// Set once its conditional writes were seen to work.
    tried: Arc<OnceCell<()>>,
}

/// Which writing of an object this is. Two writings of different bytes never have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    e_tag: Option<String>,
    generation: Option<String>,
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub bytes: Vec<u8>,
    pub version: Version,
}

/// The names right below a prefix, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub objects: Vec<String>,
    /// Those that have more below them, without `/` at the end.
    pub prefixes: Vec<String>,
}

impl Buckets {
    pub fn new(access: Access) -> Self {
        Self { access: Arc::new(access), ..Self::default() }
    }

    /// The same way in, for who opens and tries out containers for a purpose of its own: each needs other rights there.
    pub fn anew(&self) -> Self {
        Self { opened: Arc::default(), ..self.clone() }
    }

    /// What they are opened by.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Opens a container, or returns it as it was opened before. Asks nobody yet.
    pub fn open(&self, container: &Container) -> Result<Bucket, Fault> {
        let mut opened = self.opened.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bucket) = opened.get(container) {
            return Ok(bucket.clone());
        }
        let bucket = service::open(container, &self.access, &self.connector)?;
        opened.insert(container.clone(), bucket.clone());
        Ok(bucket)
    }
}

impl Bucket {
    /// Returns the names right below `dir`, without it; `""` is the top. More than `max` are a fault.
    pub async fn list(&self, dir: &str, max: usize) -> Result<Names, Fault> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut names = Names::default();
        let mut page_token = None;
        loop {
            let mut patience = Patience::new();
            let page = loop {
                if let Some(page) = patience.weigh(self.page(&prefix, page_token.clone()).await).await {
                    break page;
                }
            };
            let page = page.map_err(|asked| asked.fault("listing", &self.container, dir))?;
            let own = |path: &Path| path.as_ref().strip_prefix(&prefix).map(String::from);
            names.objects.extend(page.result.objects.iter().filter_map(|object| own(&object.location)));
            names.prefixes.extend(page.result.common_prefixes.iter().filter_map(own));
            if names.objects.len() + names.prefixes.len() > max {
                return Err(Fault::too_many(&self.container.url(dir), max));
            }
            page_token = page.page_token;
            if page_token.is_none() {
                break;
            }
        }
        names.objects.retain(|name| !name.is_empty()); // what a console puts in place of a directory
        names.objects.sort();
        names.prefixes.sort();
        Ok(names)
    }

    async fn page(&self, prefix: &str, page_token: Option<String>) -> Result<object_store::list::PaginatedListResult, Asked> {
        let options = PaginatedListOptions { delimiter: Some(Cow::Borrowed("/")), page_token, ..PaginatedListOptions::default() };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        self.lists.list_paginated(prefix, options).await.map_err(Asked::from)
    }

    /// Returns the object, or `None` when there is none; one of more than `max` bytes is a fault.
    pub async fn get(&self, key: &str, max: u64) -> Result<Option<Object>, Fault> {
        let (path, mut patience) = (self.path(key)?, Patience::new());
        loop {
            let Some(read) = patience.weigh(self.read(&path, max).await).await else { continue };
            return match read {
                Ok(Read::Whole(object)) => Ok(Some(object)),
                Ok(Read::TooLarge) => Err(Fault::too_large(&self.container.url(key), max)),
                Err(asked) if asked.is_absent() => Ok(None),
                Err(asked) => Err(asked.fault("reading", &self.container, key)),
            };
        }
    }

    /// Returns which writing of the object is there, without its bytes; `None` when there is none.
    pub async fn version(&self, key: &str) -> Result<Option<Version>, Fault> {
        let (path, mut patience) = (self.path(key)?, Patience::new());
        loop {
            // No HEAD: its answer has no body, and so no word for what is absent.
            let found = self.store.get(&path).await.map_err(Asked::from);
            let Some(found) = patience.weigh(found).await else { continue };
            return match found {
                Ok(found) => Ok(Some(Version { e_tag: found.meta.e_tag, generation: found.meta.version })),
                Err(asked) if asked.is_absent() => Ok(None),
                Err(asked) => Err(asked.fault("reading", &self.container, key)),
            };
        }
    }

    async fn read(&self, path: &Path, max: u64) -> Result<Read, Asked> {
        let found = self.store.get(path).await?;
        if found.meta.size > max {
            return Ok(Read::TooLarge);
        }
        let version = Version { e_tag: found.meta.e_tag.clone(), generation: found.meta.version.clone() };
        let bytes = found.bytes().await?.to_vec();
        Ok(Read::Whole(Object { bytes, version }))
    }

    /// Writes an object whole, when it is still what was `expected`: that version, or absent. Returns its version. An answer that was
    /// lost is asked for again, and a write of our own that had arrived all the same is known by what is read back.
    pub async fn put(&self, key: &str, bytes: &[u8], expected: Option<&Version>) -> Result<Version, Fault> {
        if bytes.len() > WRITE_MAX {
            return Err(Fault::too_large(&self.container.url(key), WRITE_MAX as u64));
        }
        let (path, mut patience) = (self.path(key)?, Patience::new());
        let payload = PutPayload::from(bytes.to_vec());
        let version = loop {
            let mut written = self.write(&path, payload.clone(), expected).await;
            if let Err(asked) = &written
                && patience.unsure
                && asked.is_moved()
            {
                written = self.own_write(&path, bytes, asked).await;
            }
            if let Some(written) = patience.weigh(written).await {
                break written.map_err(|asked| asked.fault("writing", &self.container, key))?;
            }
        };
        if version.e_tag.is_none() && version.generation.is_none() {
            return Err(Fault::unfit(&self.container, "it gives a written object no version"));
        }
        Ok(version)
    }

    async fn write(&self, path: &Path, payload: PutPayload, expected: Option<&Version>) -> Result<Version, Asked> {
        let mode = match expected {
            None => PutMode::Create,
            Some(version) => PutMode::Update(version.to_update()),
        };
        match self.store.put_opts(path, payload, mode.into()).await.map_err(Asked::from) {
            Ok(written) => Ok(Version { e_tag: written.e_tag, generation: written.version }),
            Err(asked) if expected.is_some() && asked.is_absent() => Err(asked.moved()),
            Err(asked) => Err(asked),
        }
    }

    /// After a write without an answer something else stands there than was expected: is it what we wrote?
    async fn own_write(&self, path: &Path, bytes: &[u8], moved: &Asked) -> Result<Version, Asked> {
        match self.read(path, bytes.len() as u64).await {
            Ok(Read::Whole(object)) if object.bytes == bytes => Ok(object.version),
            Ok(_) => Err(moved.clone()),
            Err(asked) if asked.is_absent() => Err(moved.clone()),
            Err(asked) => Err(asked),
        }
    }

    /// Deletes an object when it is still that version; that it is gone already is fine.
    pub async fn delete(&self, key: &str, expected: &Version) -> Result<(), Fault> {
        let (path, mut patience) = (self.path(key)?, Patience::new());
        loop {
            let Some(deleted) = patience.weigh(self.eraser.delete(&path, expected).await).await else { continue };
            return match deleted {
                Ok(()) => Ok(()),
                Err(asked) if asked.is_absent() => Ok(()),
                // Some answer so for what is not there either.
                Err(asked) if asked.is_moved() && self.is_gone(&path).await => Ok(()),
                Err(asked) => Err(asked.fault("deleting", &self.container, key)),
            };
        }
    }

    /// Asks for the object itself: an answer to HEAD has no body, and so no word for what is absent.
    async fn is_gone(&self, path: &Path) -> bool {
        self.read(path, 0).await.is_err_and(|asked| asked.is_absent())
    }

    fn path(&self, key: &str) -> Result<Path, Fault> {
        Path::parse(key).map_err(|error| Fault::plain(format!("{} is no name of an object: {error}", self.container.url(key))))
    }
}

enum Read {
    Whole(Object),
    TooLarge,
}

impl Version {
    fn to_update(&self) -> UpdateVersion {
        UpdateVersion { e_tag: self.e_tag.clone(), version: self.generation.clone() }
    }
}
