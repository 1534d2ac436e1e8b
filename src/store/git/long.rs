//! What a ref does when it grows long: checkpoints, what is fetched for them, and compaction.

use super::tests::{at, origin};
use super::*;
use crate::change::Digest;
use crate::journal::{CHECKPOINT_SCHEMA, Checkpoint, Sealer, is_sealed_by};
use crate::review::User;
use crate::store::places::{site, tip};
use std::path::Path;

/// Bytes of entries after which these tests make a checkpoint.
const SMALL: usize = 4_000;

fn small(site: GitSite, key: Option<&Key>) -> GitStore {
    let store = GitStore::open(site).sealed_by(key);
    let mut desk = Desk::open(&store.bench.site, store.bench.around.clone(), key).expect("it is there");
    desk.segment_bytes = SMALL;
    *held(&store.bench.desk) = Some(desk);
    store
}

/// The same repository as if it were far away, by a clone that knows nothing.
fn far(dir: &Path, clone: &str, key: Option<&Key>) -> GitStore {
    let address = format!("file://{}", dir.join("deep/origin.git").display());
    let site = site(dir, Location::Address(address.into()));
    small(GitSite { cache: dir.join(clone), ..site }, key)
}

/// Held regions: something of them all is left in history.
/// A few entries at a time, for each push takes its time.
async fn grow(store: &GitStore, numbers: std::ops::Range<u64>) {
    let event = |at: &u64| {
        let region = format!("prod/r{:02}", at % 7).parse().expect("a region");
        Event::Held { region, until_ms: Some(*at), reason: "x".repeat(200).into(), by: User("ann".into()) }
    };
    for few in numbers.collect::<Vec<_>>().chunks(3) {
        store.append(few.iter().map(event).collect(), &"run".into(), few[0], None).await.expect("it has room");
    }
}

async fn history(store: &GitStore) -> String {
    serde_json::to_string(&store.history().await.expect("it is whole")).expect("JSON")
}

async fn folded(store: &GitStore) -> String {
    serde_json::to_string(&History::of(store.read().await.expect("it is whole"))).expect("JSON")
}

/// What stands below a directory of the tip, by name.
fn names(dir: &Path, below: &str) -> Vec<(String, git2::Oid)> {
    let (repository, tip) = tip(dir);
    let tree = repository.find_commit(tip).and_then(|commit| commit.tree()).expect("a tree");
    let Some(entry) = tree.get_name(below) else { return Vec::new() };
    let tree = repository.find_tree(entry.id()).expect("a tree");
    tree.iter().map(|file| (file.name().expect("text").to_string(), file.id())).collect()
}

#[tokio::test]
async fn a_long_journal_is_read_from_its_checkpoint_on_and_says_the_same() {
    for key in [None, Some(Key::new(b"k"))] {
        let dir = origin();
        let store = small(at(dir.path()), key.as_ref());
        grow(&store, 0..60).await;
        assert_eq!(names(dir.path(), "checkpoints").len(), 1, "the newest alone");
        let fresh = small(at(dir.path()), key.as_ref());
        let said = history(&fresh).await;
        let read =
            held(&fresh.bench.desk).as_ref().map_or(0, |desk| desk.known.parts.iter().map(|part| part.size).sum::<usize>());
        assert!(read < 2 * SMALL, "{read} bytes were read");
        assert_eq!(said, folded(&fresh).await);
        assert_eq!(said, history(&store).await, "and so does who was there all the time");

        grow(&fresh, 60..90).await;
        grow(&store, 90..120).await;
        let audit = small(at(dir.path()), key.as_ref()).audit(&[]).await.expect("readable");
        assert_eq!((audit.entries, audit.checkpoints, audit.findings), (120, 1, vec![]));
        assert_eq!(history(&small(at(dir.path()), key.as_ref())).await, folded(&store).await);
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_none_of_ours_is_not_used_and_made_anew() {
    let (ours, other) = (Key::new(b"k"), Key::new(b"other"));
    for sealer in [None, Some(Sealer::of_journal(&other))] {
        let dir = origin();
        grow(&small(at(dir.path()), Some(&ours)), 0..40).await;
        let (repository, _) = tip(dir.path());
        let text = |blob| String::from_utf8(repository.find_blob(blob).expect("a blob").content().to_vec()).expect("text");
        let (name, blob) = names(dir.path(), "checkpoints").remove(0);
        assert!(is_sealed_by(&text(blob), &Sealer::of_journal(&ours)));

        let forged = text(blob).replace("xxx", "yyy");
        let body = forged.split(",\"seal\"").next().expect("it is sealed").to_string() + "}";
        put(dir.path(), &format!("checkpoints/{name}"), &crate::journal::close(&body, sealer.as_ref()));
        let fresh = small(at(dir.path()), Some(&ours));
        assert_eq!(history(&fresh).await, folded(&fresh).await);
        let audit = fresh.audit(&[]).await.expect("readable");
        assert_eq!(audit.findings.len(), 1, "{audit:?}");
        assert!(audit.chain_holds && audit.findings[0].place.contains("checkpoints/"), "{audit:?}");
        grow(&fresh, 40..41).await;
        let (_, blob) = names(dir.path(), "checkpoints").remove(0);
        assert!(is_sealed_by(&text(blob), &Sealer::of_journal(&ours)), "the next writer made one");
    }
}

/// Puts a file in the tree of the tip, as somebody who can push may.
fn put(dir: &Path, path: &str, text: &str) {
    let (repository, tip) = tip(dir);
    let parent = repository.find_commit(tip).expect("a commit");
    let blob = repository.blob(text.as_bytes()).expect("it has room");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert(path, blob, git2::FileMode::Blob);
    let tree = update.create_updated(&repository, &parent.tree().expect("a tree")).expect("it has room");
    let (tree, who) = (repository.find_tree(tree).expect("just written"), parent.author());
    repository.commit(Some("refs/isobar/journal"), &who, &who, "By hand", &tree, &[&parent]).expect("it has room");
}

#[tokio::test]
async fn old_files_go_and_what_they_said_stays_and_is_proven() {
    let dir = origin();
    let key = Key::new(b"k");
    let store = small(at(dir.path()), Some(&key));
    grow(&store, 0..80).await;
    let watcher = small(at(dir.path()), Some(&key));
    let before = watcher.history().await.expect("whole").holds(0).len();
    let first = Event::Resumed { by: User("ann".into()) };
    let gone = store.compact(60, vec![first.clone()], &"run".into(), 81).await.expect("it has room");
    assert!(gone.segments > 0 && gone.through < 60 && gone.entries == gone.through, "{gone:?}");
    assert_eq!(names(dir.path(), "bases").len(), 1);

    for store in [&store, &watcher, &small(at(dir.path()), Some(&key)), &small(at(dir.path()), None)] {
        assert_eq!(store.history().await.expect("whole").holds(0).len(), before);
        let read = store.read().await.expect("whole");
        assert_eq!((read[0].seq, read.last().map(|entry| entry.seq)), (gone.through + 1, Some(82)));
        let audit = store.audit(&[]).await.expect("readable");
        assert_eq!((audit.entries, audit.findings.len(), audit.unseen.len()), (82 - gone.through, 0, 1), "{audit:?}");
    }
    grow(&watcher, 82..100).await;
    let again = store.compact(90, vec![first], &"run".into(), 101).await.expect("it has room");
    assert!(again.through > gone.through, "{again:?}");
    assert_eq!(names(dir.path(), "bases").len(), 1, "the later one stands for both");
    assert_eq!(small(at(dir.path()), Some(&key)).history().await.expect("whole").holds(0).len(), before);

    let (name, _) = names(dir.path(), "bases").remove(0);
    put(dir.path(), &format!("bases/{name}"), &crate::journal::close("{\"schema\":1}", None));
    let audit = small(at(dir.path()), Some(&key)).audit(&[]).await.expect("readable");
    assert!(!audit.chain_holds && audit.findings[0].place.contains("bases"), "{audit:?}");
}

/// The newest head, as a report names it.
async fn head(store: &GitStore) -> Vec<Anchor> {
    let (seq, hash) = store.audit(&[]).await.expect("readable").head.expect("it has entries");
    vec![format!("{seq}:{hash}").parse().expect("an anchor")]
}

/// How many anchors were met, cannot be told, and are found to be wrong.
async fn weighed(store: &GitStore, anchors: &[Anchor]) -> (usize, usize, usize) {
    let audit = store.audit(anchors).await.expect("readable");
    (audit.anchored, audit.unproven.len(), audit.findings.len())
}

#[tokio::test]
async fn a_journal_that_was_made_up_and_compacted_beyond_an_anchor_is_not_verified() {
    let (dir, other) = (origin(), origin());
    grow(&small(at(dir.path()), None), 0..8).await;
    let anchor = head(&small(at(dir.path()), None)).await;
    let made_up = small(at(other.path()), None);
    grow(&made_up, 100..180).await;
    let gone = made_up.compact(160, vec![], &"run".into(), 999).await.expect("it can");
    assert!(gone.through > 8, "{gone:?}");
    assert_eq!(weighed(&made_up, &anchor).await, (0, 1, 0));
    let key = Key::new(b"k");
    assert_eq!(weighed(&small(at(other.path()), Some(&key)), &anchor).await, (0, 1, 1), "and with the key it is found");
}

#[tokio::test]
async fn what_stands_for_entries_is_proven_by_no_anchor_that_is_older_than_the_entry_that_names_it() {
    let dir = origin();
    let store = || small(at(dir.path()), None);
    grow(&store(), 0..80).await;
    let gone = store().compact(60, vec![], &"run".into(), 81).await.expect("it can");
    let anchor = head(&store()).await;
    assert_eq!(weighed(&store(), &anchor).await, (1, 0, 0));

    let (name, blob) = names(dir.path(), "bases").remove(0);
    let (repository, _) = tip(dir.path());
    let text = String::from_utf8_lossy(repository.find_blob(blob).expect("a blob").content()).replace("xxx", "yyy");
    let forged = crate::journal::close(format!("{}}}", &text[..text.rfind(",\"hash\"").expect("closed")]), None);
    let (read, base) = Checkpoint::read(&forged).expect("it is closed");
    let says = Event::Compacted { through: gone.through, head: read.head, base };
    store().append(vec![says], &"run".into(), 82, None).await.expect("whoever can push can do that");
    put(dir.path(), &format!("bases/{name}"), &forged);
    assert_eq!(weighed(&store(), &anchor).await, (0, 1, 0));

    put(dir.path(), &format!("checkpoints/{name}"), &forged);
    let found = store().audit(&[]).await.expect("readable").findings;
    assert!(found.len() == 1 && found[0].place.contains("checkpoints/"), "{found:?}");
    let held = store().history().await.expect("whole");
    assert!(held.holds(0).iter().all(|hold| hold.reason.starts_with("xxx")), "and nobody begins there");
}

#[tokio::test]
async fn a_key_that_was_replaced_in_entries_that_are_gone_does_not_come_back() {
    let dir = origin();
    let store = |key: &[u8]| small(at(dir.path()), Some(&Key::new(key)));
    let began =
        |key: &[u8]| vec![Event::KeyBegan { key: Sealer::of_journal(&Key::new(key)).id().clone(), by: User("ann".into()) }];
    grow(&store(b"one"), 0..3).await;
    store(b"two").append(began(b"two"), &"run".into(), 3, None).await.expect("it takes over");
    grow(&store(b"two"), 4..40).await;
    let gone = store(b"two").compact(30, vec![], &"run".into(), 41).await.expect("it has room");
    assert!(gone.through > 4, "{gone:?}");
    let back = store(b"one").append(began(b"one"), &"run".into(), 42, None).await;
    let Err(StoreError::Io { what, .. }) = back else { panic!("{back:?}") };
    assert_eq!(what, "another key took over the journal from ISOBAR_KEY");
    assert_eq!(store(b"two").audit(&[]).await.map(|audit| audit.findings), Ok(vec![]));
}

/// Files of about one size become one file, but not one that goes with the same push.
#[tokio::test]
async fn a_journal_of_a_few_entries_is_compacted_too() {
    let dir = origin();
    let store = small(at(dir.path()), None);
    for at in 0..5 {
        grow(&store, at..at + 1).await;
    }
    assert_eq!((names(dir.path(), "entries-000000").len(), names(dir.path(), "checkpoints").len()), (2, 0));
    let first = Event::Paused { by: User("ann".into()), reason: "y".repeat(900).into() };
    let gone = store.compact(9, vec![first], &"run".into(), 10).await.expect("it can");
    assert_eq!((gone.segments, gone.through), (1, 4));
    for store in [&store, &small(at(dir.path()), None)] {
        assert_eq!(store.history().await.expect("whole").holds(0).len(), 4);
        assert_eq!(store.read().await.map(|entries| entries.iter().map(|entry| entry.seq).collect()), Ok(vec![5, 6, 7]));
        assert_eq!(store.audit(&[]).await.map(|audit| audit.findings), Ok(vec![]));
    }
    grow(&store, 10..14).await;
    assert_eq!(small(at(dir.path()), None).read().await.map(|entries| entries.len()), Ok(7));
}

#[tokio::test]
async fn what_a_newer_version_kept_of_compacted_entries_is_not_called_broken() {
    let dir = origin();
    let store = small(at(dir.path()), None);
    grow(&store, 0..30).await;
    store.compact(20, vec![], &"run".into(), 31).await.expect("it can");
    for (name, _) in names(dir.path(), "bases") {
        let text = format!("{{\"schema\":{},\"history\":\"another shape\"}}", CHECKPOINT_SCHEMA + 1);
        put(dir.path(), &format!("bases/{name}"), &crate::journal::close(&text, None));
    }
    for (name, _) in names(dir.path(), "checkpoints") {
        put(dir.path(), &format!("checkpoints/{name}"), "none");
    }
    let newer = StoreError::Newer(CHECKPOINT_SCHEMA + 1);
    assert_eq!(small(at(dir.path()), None).history().await.err(), Some(newer.clone()));
    assert_eq!(small(at(dir.path()), None).audit(&[]).await, Err(newer));
}

#[tokio::test]
async fn nothing_is_compacted_where_nothing_is_old() {
    let dir = origin();
    let store = small(at(dir.path()), None);
    grow(&store, 50..60).await;
    assert_eq!(store.compact(50, vec![], &"run".into(), 61).await, Ok(Compacted::default()));
    assert_eq!(store.read().await.map(|entries| entries.len()), Ok(10));
}

#[tokio::test]
async fn a_clone_far_away_fetches_no_large_file_that_it_does_not_need() {
    if std::process::Command::new("git").arg("--version").output().is_err() {
        return; // git is not there; the contract tests say so when it is required
    }
    let dir = origin();
    let (repository, _) = {
        let store = GitStore::open(at(dir.path()));
        grow(&store, 0..1).await;
        tip(dir.path())
    };
    repository.config().and_then(|mut config| config.set_bool("uploadpack.allowFilter", true)).expect("it is ours");
    let near = small(at(dir.path()), None);
    let large: String = (0..60_000_u64).map(|at| Digest::of_bytes(&at.to_be_bytes()).as_str().to_string()).collect();
    let event = Event::Paused { by: User("ann".into()), reason: large.into() };
    near.append(vec![event, Event::Resumed { by: User("ann".into()) }], &"run".into(), 2, None).await.expect("it has room");
    grow(&near, 3..9).await;

    let clone = far(dir.path(), "far", None);
    assert_eq!(clone.history().await.expect("whole").holds(0).len(), 6);
    let (_, old) = names(dir.path(), "entries-000000").remove(0);
    let is_here = || {
        let desk = held(&clone.bench.desk);
        let odb = desk.as_ref().and_then(|desk| desk.repository.odb().ok()).expect("a cache");
        odb.refresh().expect("a cache");
        odb.exists(old)
    };
    assert!(!is_here(), "it holds what the checkpoint stands for");
    grow(&clone, 9..12).await;
    assert!(!is_here(), "nor does who writes need it");
    assert_eq!(clone.read().await.map(|entries| entries.len()), Ok(12));
    assert!(is_here());
    assert_eq!(clone.audit(&[]).await.map(|audit| (audit.entries, audit.findings.len())), Ok((12, 0)));
}
