//! Where history lies. A change cannot move the history that it will be judged by, in however many commits: of all places that the
//! line `journal:` ever named, the one that holds entries counts, until they are moved by hand.

use super::scene::FLEET;
use crate::bucket::{Access, Address, Buckets};
use crate::exit::Failure;
use crate::stack::{GitPlace, JournalPlace, Mistake, Mistakes, Node};
use crate::store::{FileStore, GitSite, GitStore, Location, ObjectSite, ObjectStore, Store};
use crate::workspace::{Snapshot, Workspace};
use crate::world::{Environment, state_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the journal is unless the fleet says otherwise, from the root.
pub(super) const DIRECTORY: &str = ".isobar/journal";

/// Opens the journal.
pub(super) async fn open(workspace: &Workspace, environment: &Environment) -> Result<Arc<dyn Store>, Failure> {
    let named = named(workspace)?;
    let mut places = BTreeSet::from([named.clone(), JournalPlace::Directory(DIRECTORY.into())]);
    if let JournalPlace::Git(_) = named {
        places.insert(JournalPlace::Git(GitPlace::default())); // a clone may be too shallow to tell that it was named
    }
    for snapshot in workspace.versions(FLEET)? {
        places.extend(declared(workspace, &snapshot)?.and_then(Result::ok));
    }
    let directories = filled_directories(workspace, &places);
    let is_only = |place: &JournalPlace| *place == named || matches!(place, JournalPlace::Directory(_));
    if directories.is_empty() && places.iter().all(is_only) {
        return deep_enough(workspace, &named, store(workspace, environment, &named).await?).await; // nobody else need be asked
    }

    let mut filled: Vec<(String, Arc<dyn Store>)> = Vec::new();
    for dir in directories {
        filled.push((dir.display().to_string(), Arc::new(FileStore::open(dir.clone())?.sealed_by(environment.key().as_ref()))));
    }
    for place in &places {
        match place {
            JournalPlace::Directory(_) => {}
            JournalPlace::Git(place) => {
                let journal = git(workspace, environment, place).await?;
                if !journal.is_empty().await? {
                    filled.push((journal.place(), Arc::new(journal)));
                }
            }
            JournalPlace::Objects(url) => {
                let journal = objects(environment, url)?;
                if !journal.is_empty().await? {
                    filled.push((journal.place(), Arc::new(journal)));
                }
            }
        }
    }
    filled.sort_by(|one, other| one.0.cmp(&other.0));
    filled.dedup_by(|one, other| one.0 == other.0); // the same place, named in two ways
    match filled.as_slice() {
        [] => deep_enough(workspace, &named, store(workspace, environment, &named).await?).await,
        [(_, store)] => Ok(store.clone()),
        [(one, _), (other, _), ..] => {
            let what = format!("history lies in two places: {one} and {other}");
            Err(Failure::usage(what, "keep the one that is true and move the other out of the repository"))
        }
    }
}

/// A clone that lacks older commits cannot tell whether the line once named another place: there no history is begun.
async fn deep_enough(workspace: &Workspace, named: &JournalPlace, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Failure> {
    let is_far = match named {
        JournalPlace::Directory(_) => false,
        JournalPlace::Git(_) | JournalPlace::Objects(_) => true,
    };
    let begins = is_far && workspace.is_shallow() && store.history().await?.first_commit().is_none();
    if !begins {
        return Ok(store);
    }
    let what = format!("{} holds no history, and this clone is too shallow to tell whether it lies elsewhere", store.place());
    Err(Failure::usage(what, "git fetch --unshallow (or fetch-depth: 0 in actions/checkout)"))
}

async fn store(workspace: &Workspace, environment: &Environment, place: &JournalPlace) -> Result<Arc<dyn Store>, Failure> {
    Ok(match place {
        JournalPlace::Directory(dir) => {
            Arc::new(FileStore::open(workspace.root().join(dir))?.sealed_by(environment.key().as_ref()))
        }
        JournalPlace::Git(place) => Arc::new(git(workspace, environment, place).await?),
        JournalPlace::Objects(url) => Arc::new(objects(environment, url)?),
    })
}

/// The directories among `places` that hold entries, each once.
fn filled_directories(workspace: &Workspace, places: &BTreeSet<JournalPlace>) -> Vec<PathBuf> {
    let mut filled: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for place in places {
        let JournalPlace::Directory(dir) = place else { continue };
        let dir = workspace.root().join(dir);
        if let (true, Ok(real)) = (FileStore::has_entries(&dir), dir.canonicalize()) {
            filled.entry(real).or_insert(dir);
        }
    }
    filled.into_values().collect()
}

/// Opens a prefix of a bucket, by the credentials of the environment.
fn objects(environment: &Environment, url: &str) -> Result<ObjectStore, Failure> {
    let hint = "name a bucket as its service does, in `journal:` of isobar.yaml";
    let address = match Address::parse(url) {
        Some(Ok(address)) => address,
        Some(Err(flaw)) => return Err(Failure::usage(format!("journal {url:?}: {}", flaw.what), hint)),
        None => return Err(Failure::usage(format!("journal {url:?} is in no bucket"), hint)),
    };
    let buckets = Buckets::new(Access::of(|name| environment.get(name)));
    let site = ObjectSite { address, buckets, locks: state_dir(environment).join("leases") };
    let hint = "set the credentials that the service needs, or another `journal:` in isobar.yaml";
    let journal = ObjectStore::open(site).map_err(|fault| Failure::World(fault.to_string(), Some(hint.into())))?;
    Ok(journal.sealed_by(environment.key().as_ref()))
}

/// Opens a ref. That of `origin` once there is an `origin`, unless the history was begun in this repository itself and is only there.
async fn git(workspace: &Workspace, environment: &Environment, place: &GitPlace) -> Result<GitStore, Failure> {
    let own = Location::Disk(workspace.shared_dir());
    let origin = workspace.origin().map(|origin| Location::of(&origin, workspace.root()));
    let at = |location: Location| {
        GitStore::open(GitSite {
            location,
            reference: place.reference.clone(),
            cache: workspace.shared_dir().join("isobar"),
            locks: state_dir(environment).join("leases"),
            variables: environment.variables.clone(),
            settings: workspace.settings(),
        })
        .sealed_by(environment.key().as_ref())
    };
    let (Some(origin), None) = (origin, &place.remote) else {
        let location = place.remote.as_ref().map_or(own, |remote| Location::of(remote, workspace.root()));
        return Ok(at(location));
    };
    let journal = at(origin);
    if workspace.has_reference(&place.reference) && journal.is_empty().await? && !at(own).is_empty().await? {
        let reference = &place.reference;
        let what = format!("history lies in this repository itself ({reference}), and `journal:` now means that of origin");
        return Err(Failure::usage(what, format!("git push origin {reference}:{reference} && git update-ref -d {reference}")));
    }
    Ok(journal)
}

/// What `HEAD` says. Without one, or when it says nothing that is right, the working tree: it may mend what was never right before that
/// is committed.
fn named(workspace: &Workspace) -> Result<JournalPlace, Failure> {
    let committed = match workspace.head() {
        Ok(head) => declared(workspace, &workspace.at(&head.0)?)?,
        Err(_) => None,
    };
    let said = match committed.filter(Result::is_ok) {
        Some(said) => Some(said),
        None => declared(workspace, &workspace.worktree(&[".isobar".to_string()])?)?,
    };
    said.unwrap_or_else(|| Ok(JournalPlace::Directory(DIRECTORY.into()))).map_err(|mistakes| Failure::Definitions(*mistakes))
}

/// What a fleet says, or what is wrong with the line; also one with other mistakes. `None` when there is no fleet, or one that is no
/// YAML and was never applied.
type Declared = Result<JournalPlace, Box<Mistakes>>;

fn declared(workspace: &Workspace, snapshot: &Snapshot) -> Result<Option<Declared>, Failure> {
    let Some(source) = workspace.read(snapshot, FLEET)? else { return Ok(None) };
    let Some(node) = Node::parse(FLEET, &source.bytes, &mut Mistakes::default()) else { return Ok(None) };
    let Some((text, journal)) = node.get("journal").and_then(|node| Some((node.as_str()?, node))) else {
        return Ok(Some(Ok(JournalPlace::Directory(DIRECTORY.into()))));
    };
    Ok(Some(JournalPlace::parse(text).map_err(|(what, hint)| {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&journal.site, what).hint(hint));
        mistakes.quote(|_| Some(&source.bytes));
        Box::new(mistakes)
    })))
}
