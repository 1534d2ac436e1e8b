//! Where history lies. A change cannot move the history that it will be judged by, in however many commits: of all places that the
//! line `journal:` ever named, the one that holds entries counts, until they are moved by hand.

use super::say::pasted;
use super::scene::FLEET;
use crate::bucket::{Address, Buckets};
use crate::change::Digest;
use crate::exit::Failure;
use crate::stack::{GitPlace, JournalPlace, Listing, Mistake, Mistakes, Node};
use crate::store::{Anew, FileStore, GitSite, GitStore, Location, ObjectSite, ObjectStore, Store, StoreError};
use crate::workspace::{Snapshot, Workspace};
use crate::world::{Environment, repository_dir, state_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the journal is unless the fleet says otherwise, from the root.
pub(super) const DIRECTORY: &str = ".isobar/journal";

/// A place that cannot be looked at, and why.
struct Gone {
    place: JournalPlace,
    what: String,
    hint: Option<String>,
}

/// Why a place could not be opened.
enum Fault {
    /// Nobody can tell what lies there, or what lies there is no journal of ours.
    Store(StoreError),
    /// There is something to mend first.
    Told(Failure),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error.into(),
            Fault::Told(failure) => failure,
        }
    }
}

/// What opens places.
#[derive(Clone, Copy)]
pub(super) struct Opener<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) environment: &'a Environment,
    pub(super) buckets: &'a Buckets,
}

/// Opens the journal. A place that cannot be looked at stops every command, because history may lie there: unless somebody gave it up
/// before, or this run gives it up.
pub(super) async fn open(opener: Opener<'_>, given_up: Option<&str>) -> Result<Arc<dyn Store>, Failure> {
    let Opener { workspace, environment, .. } = opener;
    let (named, files) = named(workspace)?;
    let mut places = BTreeSet::from([named.clone(), JournalPlace::Directory(DIRECTORY.into())]);
    if let JournalPlace::Git(_) = named {
        places.insert(JournalPlace::Git(GitPlace::default())); // a clone may be too shallow to tell that it was named
    }
    for snapshot in workspace.versions(FLEET)? {
        places.extend(declared(workspace, &snapshot, |text, _| JournalPlace::parse_old(text))?.and_then(Result::ok));
    }
    refuse_tracked(&named, &files)?;
    let (directories, mut gone) = filled_directories(workspace, &places, &named, &files)?;
    let is_only = |place: &JournalPlace| *place == named || matches!(place, JournalPlace::Directory(_));
    if given_up.is_none() && directories.is_empty() && gone.is_empty() && places.iter().all(is_only) {
        let journal = store(opener, &named, anew(&named)).await?; // nobody else need be asked
        return deep_enough(workspace, &named, journal).await;
    }

    let mut filled: Vec<(String, Arc<dyn Store>)> = Vec::new();
    for dir in directories {
        filled.push((dir.display().to_string(), Arc::new(FileStore::open(dir.clone())?.sealed_by(environment.key().as_ref()))));
    }
    for place in &places {
        match look(opener, place).await {
            Ok(Some(journal)) => filled.push((journal.place(), journal)),
            Ok(None) => {}
            Err(Fault::Store(StoreError::Io { what, hint })) if *place != named => {
                gone.push(Gone { place: place.clone(), what, hint });
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    filled.sort_by(|one, other| one.0.cmp(&other.0));
    filled.dedup_by(|one, other| one.0 == other.0); // the same place, named in two ways
    let journal = match filled.as_slice() {
        [] => {
            let is_gone = |place: &JournalPlace| gone.iter().any(|gone| gone.place == *place); // it stops us below, or is given up
            refuse_forgotten(opener, places.iter().filter(|place| !is_gone(place)), &named).await?;
            store(opener, &named, Anew::Unasked).await?
        }
        [(_, store)] => store.clone(),
        [(one, _), (other, _), ..] => {
            let what = format!("history lies in two places: {one} and {other}");
            return Err(Failure::usage(what, "keep the one that is true and move the other out of the repository"));
        }
    };
    if let Some(text) = given_up {
        let place = parse(text)?;
        may_be_given_up(&place, &named, &places, &gone)?;
        gone.retain(|gone| gone.place != place);
    }
    for gone in gone {
        must_be_given_up(opener, &*journal, gone).await?;
    }
    if filled.is_empty() { deep_enough(workspace, &named, journal).await } else { Ok(journal) }
}

/// Opens a place that is no directory; `None` when it holds nothing.
async fn look(opener: Opener<'_>, place: &JournalPlace) -> Result<Option<Arc<dyn Store>>, Fault> {
    let (journal, is_empty): (Arc<dyn Store>, _) = match place {
        JournalPlace::Directory(_) => return Ok(None),
        JournalPlace::Git(place) => {
            let journal = git(opener, place, Anew::Unasked).await?;
            let is_empty = journal.is_empty().await;
            (Arc::new(journal), is_empty)
        }
        JournalPlace::Objects(url) => {
            let journal = objects(opener, url)?;
            let is_empty = journal.is_empty().await;
            (Arc::new(journal), is_empty)
        }
    };
    match is_empty {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(journal)),
        // It is there, and says what is wrong with it to whoever reads it.
        Err(StoreError::Broken { .. } | StoreError::Newer(_)) => Ok(Some(journal)),
        Err(error @ (StoreError::Io { .. } | StoreError::Held { .. } | StoreError::Fenced(_))) => Err(error.into()),
    }
}

/// Whether a journal may be begun where `journal:` says: what `origin` is changes without a commit, as does whether there is one.
fn anew(named: &JournalPlace) -> Anew {
    match named {
        JournalPlace::Git(GitPlace { remote: None, .. }) => Anew::UnlessSeen,
        JournalPlace::Git(_) | JournalPlace::Directory(_) | JournalPlace::Objects(_) => Anew::UnlessSeenHere,
    }
}

/// Where history lies nowhere, it may not be one that this clone has seen, at any place that a commit names.
async fn refuse_forgotten(
    opener: Opener<'_>,
    places: impl Iterator<Item = &JournalPlace>,
    named: &JournalPlace,
) -> Result<(), Fault> {
    for place in places {
        let JournalPlace::Git(site) = place else { continue };
        let anew = if place == named { anew(named) } else { Anew::UnlessSeenHere };
        git(opener, site, anew).await?.is_empty().await?;
    }
    Ok(())
}

/// A place that is gone is left out only where the journal says that it was given up and that word is proven: whoever could write another
/// journal, and name it in a change, could write the word as well. It is proven by the key, or by somebody who gave the word here.
async fn must_be_given_up(opener: Opener<'_>, journal: &dyn Store, gone: Gone) -> Result<(), Failure> {
    let Opener { workspace, environment, .. } = opener;
    let Gone { place, what, hint } = gone;
    let command = format!("isobar recover --give-up {} --reason \"…\"", pasted(&place.to_string()));
    let history = journal.history().await?; // where there is a key, only a journal that it sealed
    let Some(given) = history.given_up().get(place.to_string().as_str()) else {
        let mend = hint.map_or_else(String::new, |hint| format!("{hint}; "));
        let what = format!("history may lie at {place}, which a commit names, and it cannot be looked at: {what}");
        return Err(Failure::World(what, Some(format!("{mend}when it is gone for good: {command}"))));
    };
    let is_witnessed = witnessed(environment, workspace.root()).lines().any(|line| *line == *given.entry.as_str());
    if is_witnessed || environment.key().is_some() {
        return Ok(());
    }
    let what =
        format!("{} says that {place} was given up by {}, and nothing proves that here: {what}", journal.place(), given.by);
    Err(Failure::World(what, Some(format!("set the ISOBAR_KEY that seals the journal, or say so on this machine: {command}"))))
}

/// Only what history may lie in, and nobody can look at, is given up.
fn may_be_given_up(
    place: &JournalPlace,
    named: &JournalPlace,
    places: &BTreeSet<JournalPlace>,
    gone: &[Gone],
) -> Result<(), Failure> {
    let far = || places.iter().filter(|place| !matches!(place, JournalPlace::Directory(_))).map(ToString::to_string);
    if place == named {
        let hint = "name another place in `journal:` first, and commit that";
        return Err(Failure::usage(format!("{place} is where the journal is"), hint));
    }
    if !places.contains(place) {
        let named: Vec<String> = far().collect();
        let hint =
            if named.is_empty() { "nothing needs to be given up".into() } else { format!("named are {}", named.join(", ")) };
        return Err(Failure::usage(format!("no commit names {place} as a place of the journal"), hint));
    }
    if gone.iter().any(|gone| gone.place == *place) {
        return Ok(());
    }
    let hint = "only a place that is gone is given up; what it holds, if anything, counts";
    Err(Failure::usage(format!("{place} can be looked at"), hint))
}

/// Returns a place as `journal:` would say it.
pub(super) fn spelled(text: &str) -> Result<String, Failure> {
    Ok(parse(text)?.to_string())
}

fn parse(text: &str) -> Result<JournalPlace, Failure> {
    JournalPlace::parse_old(text).map_err(|(what, hint)| Failure::usage(what, hint))
}

/// Notes on this machine, outside of the repository, that somebody here gave the word which that entry holds.
pub(super) fn witness(environment: &Environment, root: &Path, entry: &Digest) -> Result<(), Failure> {
    let (path, mut words) = (witness_path(environment, root), witnessed(environment, root));
    words.push_str(&format!("{}\n", entry.as_str()));
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, words));
    written.map_err(|error| Failure::World(format!("writing {}: {error}", path.display()), None))
}

fn witnessed(environment: &Environment, root: &Path) -> String {
    std::fs::read_to_string(witness_path(environment, root)).unwrap_or_default()
}

fn witness_path(environment: &Environment, root: &Path) -> PathBuf {
    repository_dir(environment, root).join("given-up")
}

/// A clone that lacks older commits cannot tell whether the line once named another place: there no history is begun.
async fn deep_enough(workspace: &Workspace, named: &JournalPlace, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Failure> {
    let is_far = match named {
        JournalPlace::Directory(_) => false,
        JournalPlace::Git(_) | JournalPlace::Objects(_) => true,
    };
    let begins = is_far && workspace.is_shallow() && store.history().await?.head().is_none();
    if !begins {
        return Ok(store);
    }
    let what = format!("{} holds no history, and this clone is too shallow to tell whether it lies elsewhere", store.place());
    Err(Failure::usage(what, "git fetch --unshallow (or fetch-depth: 0 in actions/checkout)"))
}

async fn store(opener: Opener<'_>, place: &JournalPlace, anew: Anew) -> Result<Arc<dyn Store>, Failure> {
    let Opener { workspace, environment, .. } = opener;
    Ok(match place {
        JournalPlace::Directory(dir) => {
            Arc::new(FileStore::open(workspace.root().join(dir))?.sealed_by(environment.key().as_ref()))
        }
        JournalPlace::Git(place) => Arc::new(git(opener, place, anew).await?),
        JournalPlace::Objects(url) => Arc::new(objects(opener, url)?),
    })
}

/// History that a commit brings along was written by whoever wrote the commit, and a checkout puts it in the place of what is there.
fn refuse_tracked(place: &JournalPlace, files: &Listing) -> Result<(), Failure> {
    let Some(path) = place.tracked(files) else { return Ok(()) };
    let what =
        format!("{path} is a file of the repository, and the journal {place} lies there: a change could write the history");
    let hint = format!(
        "see who committed it (git log -- {path}) and whether the history is still there; then git rm --cached {path}, and commit that"
    );
    Err(Failure::usage(what, hint))
}

/// The directories among `places` that hold entries, each once; and those that are there and cannot be looked at. One that is not there
/// holds nothing.
fn filled_directories(
    workspace: &Workspace,
    places: &BTreeSet<JournalPlace>,
    named: &JournalPlace,
    files: &Listing,
) -> Result<(Vec<PathBuf>, Vec<Gone>), Failure> {
    let (mut filled, mut gone): (BTreeMap<PathBuf, PathBuf>, _) = (BTreeMap::new(), Vec::new());
    for place in places {
        let JournalPlace::Directory(dir) = place else { continue };
        let dir = workspace.root().join(dir);
        match FileStore::has_entries(&dir) {
            Ok(true) => {
                refuse_tracked(place, files)?;
                filled.entry(dir.canonicalize().unwrap_or_else(|_| dir.clone())).or_insert(dir);
            }
            Ok(false) => {}
            Err(StoreError::Io { what, hint }) if place != named => gone.push(Gone { place: place.clone(), what, hint }),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((filled.into_values().collect(), gone))
}

/// Opens a prefix of a bucket, by the credentials of the environment.
fn objects(opener: Opener<'_>, url: &str) -> Result<ObjectStore, Fault> {
    let Opener { environment, buckets, .. } = opener;
    let hint = "name a bucket as its service does, in `journal:` of isobar.yaml";
    let address = match Address::parse(url) {
        Some(Ok(address)) => address,
        Some(Err(flaw)) => return Err(Fault::Told(Failure::usage(format!("journal {url:?}: {}", flaw.what), hint))),
        None => return Err(Fault::Told(Failure::usage(format!("journal {url:?} is in no bucket"), hint))),
    };
    let site = ObjectSite { address, buckets: buckets.anew(), locks: state_dir(environment).join("leases") };
    let hint = "set the credentials that the service needs, or another `journal:` in isobar.yaml";
    let journal = ObjectStore::open(site).map_err(|fault| StoreError::Io { what: fault.to_string(), hint: Some(hint.into()) })?;
    Ok(journal.sealed_by(environment.key().as_ref()))
}

/// Opens a ref. That of `origin` once there is an `origin`, unless the history was begun in this repository itself and is only there.
async fn git(opener: Opener<'_>, place: &GitPlace, anew: Anew) -> Result<GitStore, Fault> {
    let Opener { workspace, environment, .. } = opener;
    let own = Location::Disk(workspace.shared_dir());
    let origin = workspace.origin().map(|origin| Location::of(&origin, workspace.root()));
    let at = |location: Location, anew: Anew| {
        GitStore::open(GitSite {
            anew,
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
        return Ok(at(location, anew));
    };
    let reference = &place.reference;
    if workspace.has_reference(reference) {
        let journal = at(origin.clone(), Anew::Unasked);
        if !journal.is_empty().await? {
            return Ok(journal);
        }
        if !at(own, Anew::Unasked).is_empty().await? {
            let what = format!("history lies in this repository itself ({reference}), and `journal:` now means that of origin");
            let hint = format!("git push origin {reference}:{reference} && git update-ref -d {reference}");
            return Err(Fault::Told(Failure::usage(what, hint)));
        }
    }
    Ok(at(origin, anew))
}

/// What `HEAD` says. Without one, or when it says nothing that is right, the working tree: it may mend what was never right before that
/// is committed. With the files that are there.
fn named(workspace: &Workspace) -> Result<(JournalPlace, Listing), Failure> {
    let committed = match workspace.head() {
        Ok(head) => {
            let snapshot = workspace.at(&head.0)?;
            declared(workspace, &snapshot, JournalPlace::parse_among)?.map(|said| (said, snapshot.listing))
        }
        Err(_) => None,
    };
    let (said, files) = match committed.filter(|(said, _)| said.is_ok()) {
        Some((said, files)) => (Some(said), files),
        None => {
            let snapshot = workspace.worktree(&[".isobar".to_string()])?;
            (declared(workspace, &snapshot, JournalPlace::parse_among)?, snapshot.listing)
        }
    };
    let place = said.unwrap_or_else(|| Ok(JournalPlace::Directory(DIRECTORY.into())));
    place.map(|place| (place, files)).map_err(|mistakes| Failure::Definitions(*mistakes))
}

/// What a fleet says, or what is wrong with the line; also one with other mistakes. `None` when there is no fleet, or one that is no
/// YAML and was never applied.
type Declared = Result<JournalPlace, Box<Mistakes>>;

/// How the text of `journal:` is read, beside these files.
type Parse = fn(&str, &Listing) -> Result<JournalPlace, (String, &'static str)>;

fn declared(workspace: &Workspace, snapshot: &Snapshot, parse: Parse) -> Result<Option<Declared>, Failure> {
    let Some(source) = workspace.read(snapshot, FLEET)? else { return Ok(None) };
    let Some(node) = Node::parse(FLEET, &source.bytes, &mut Mistakes::default()) else { return Ok(None) };
    let Some((text, journal)) = node.get("journal").and_then(|node| Some((node.as_str()?, node))) else {
        return Ok(Some(Ok(JournalPlace::Directory(DIRECTORY.into()))));
    };
    Ok(Some(parse(text, &snapshot.listing).map_err(|(what, hint)| {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&journal.site, what).hint(hint));
        mistakes.quote(|_| Some(&source.bytes));
        Box::new(mistakes)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two rooms that read names of buckets may not know each other.
    #[test]
    fn a_bucket_that_a_journal_may_name_is_one_that_a_service_may_have() {
        let long = |length: usize| "a".repeat(length);
        let names = ["a", "ab", "abc", "a-b", "a.b", "a_b", "a$b", "-ab", "ab-", ".ab", "$web", "$root", "$foo", "Abc"];
        let names = names.map(String::from).into_iter().chain([24, 25, 63, 64, 222, 223].map(long));
        for name in names {
            for bucket in [format!("s3://{name}"), format!("gs://{name}"), format!("az://abc/{name}"), format!("az://{name}/abc")]
            {
                let may_name = JournalPlace::parse(&format!("{bucket}/journal")).is_ok();
                let may_have = Address::parse(&format!("{bucket}/journal")).is_some_and(|address| address.is_ok());
                assert_eq!(may_name, may_have, "{bucket}");
            }
        }
    }
}
