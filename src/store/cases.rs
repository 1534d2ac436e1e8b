//! What holds for every store: one list of cases, each over all of them. A new store is one line in [`places`].

use super::{Anchor, FileStore, Holder, Lease, Store, StoreError, Stored};
use crate::change::{Digest, Intent, Key, Unseen, UnseenReason};
use crate::journal::{Entry, Event, Sealer};
use crate::review::User;
use crate::rollout::StepEvent;
use crate::stack::TargetId;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Where a store can keep its journal, and what only its own tests know how to do to it.
struct Place {
    name: &'static str,
    dir: tempfile::TempDir,
    /// Opens it as another process would.
    open: fn(&Path) -> Arc<dyn Store>,
    /// Opens it as a process with this key would.
    keyed: fn(&Path, &Key) -> Arc<dyn Store>,
    /// A place that nobody may write to.
    unwritable: fn() -> Arc<dyn Store>,
    /// Takes a lease from its living owner, as nobody should.
    take_away: fn(&Path, &Lease),
}

impl Place {
    fn open(&self) -> Arc<dyn Store> {
        (self.open)(self.dir.path())
    }

    fn keyed(&self, key: &str) -> Arc<dyn Store> {
        (self.keyed)(self.dir.path(), &Key::new(key.as_bytes()))
    }

    /// Starts one of the children below as a process of its own.
    fn start(&self, child: &str, argument: &str) -> Child {
        let program = std::env::current_exe().expect("this test binary");
        let name = format!("store::cases::{child}");
        Command::new(program)
            .args([name.as_str(), "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env("ISOBAR_CHILD", format!("{}\n{}\n{argument}", self.name, self.dir.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts again")
    }
}

fn places() -> Vec<Place> {
    vec![Place {
        name: "file",
        dir: tempfile::tempdir().expect("a temporary directory"),
        open: |dir| Arc::new(FileStore::open(dir.join("deep/journal")).expect("a directory or nothing")),
        keyed: |dir, key| {
            let store = FileStore::open(dir.join("deep/journal")).expect("a directory or nothing");
            Arc::new(store.sealed_by(Some(key)))
        },
        unwritable: || Arc::new(FileStore::open(PathBuf::from("/sys/isobar-journal")).expect("nothing there")),
        take_away: |dir, lease| {
            let epoch = lease.epochs.values().next().expect("a lease over something");
            std::fs::remove_file(dir.join(format!("deep/journal/leases/{epoch}.json"))).expect("its file");
        },
    }]
}

fn run(name: &str) -> Arc<str> {
    name.into()
}

fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

fn ids(texts: &[&str]) -> Vec<TargetId> {
    texts.iter().map(|text| id(text)).collect()
}

fn holder(name: &str) -> Holder {
    Holder { run: run(name), host: "here".into(), pid: std::process::id(), since_ms: 5 }
}

fn paused(reason: &str) -> Event {
    Event::Paused { by: User("ann".into()), reason: reason.into() }
}

fn started(target: &str) -> Event {
    Event::Step { rollout: "r".into(), step: StepEvent::Started { target: id(target) } }
}

fn applied(target: &str) -> Event {
    let digest = Digest::of_bytes(b"preview");
    Event::Applied { target: id(target), intent: Intent::Converge, commit: "c1".into(), digest, changes: vec![] }
}

fn reasons(entries: &[Entry]) -> Vec<String> {
    let reason = |entry: &Entry| match &entry.event {
        Event::Paused { reason, .. } => reason.to_string(),
        other => panic!("nobody appended {other:?}"),
    };
    entries.iter().map(reason).collect()
}

/// Appends groups of three, named so that the test can see them interleaved.
async fn append_groups(store: &dyn Store, writer: &str, groups: usize) {
    for group in 0..groups {
        let events = (0..3).map(|part| paused(&format!("{writer} {group} {part}"))).collect();
        store.append(events, &run(writer), 1, None).await.expect("it has room");
    }
}

/// Every group of every writer is there once, whole and in its writer's order.
fn check_groups(entries: &[Entry], writers: &BTreeSet<String>, groups: usize) {
    assert_eq!(entries.len(), writers.len() * groups * 3);
    let reasons = reasons(entries);
    for (at, group) in reasons.chunks(3).enumerate() {
        let first = group[0].strip_suffix(" 0").unwrap_or_else(|| panic!("group {at} begins with {}", group[0]));
        assert_eq!(group[1..], [format!("{first} 1"), format!("{first} 2")]);
    }
    for writer in writers {
        let own = reasons.iter().filter(|reason| reason.starts_with(&format!("{writer} ")));
        let expected = (0..groups).flat_map(|group| (0..3).map(move |part| format!("{writer} {group} {part}")));
        assert_eq!(own.cloned().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_is_appended_is_read_back_by_another_process() {
    for place in places() {
        let store = place.open();
        let first = store.append(vec![paused("a"), paused("b")], &run("one"), 7, None).await.expect("it has room");
        let second = place.open().append(vec![paused("c")], &run("two"), 8, None).await.expect("it has room");

        let read = place.open().read().await.expect("it is whole");
        assert_eq!(read, [first, second].concat());
        assert_eq!(read.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
        let history = store.history().await.expect("it is whole");
        assert_eq!(history.paused(), Some((&User("ann".into()), "c")));
    }
}

#[tokio::test]
async fn a_journal_that_is_not_there_is_empty_and_reading_makes_nothing() {
    for place in places() {
        let store = place.open();
        assert_eq!(store.read().await, Ok(vec![]));
        assert_eq!(store.holders().await, Ok(vec![]));
        assert_eq!(store.saved().await, Ok(vec![]));
        assert!(store.history().await.is_ok_and(|history| history.targets().next().is_none()));
        assert_eq!(store.append(vec![], &run("one"), 7, None).await, Ok(vec![]));
        assert_eq!(place.dir.path().read_dir().expect("the temporary directory").count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_of_many_tasks_and_stores_are_all_kept_and_never_mixed() {
    for place in places() {
        let stores = [place.open(), place.open()];
        let writers: BTreeSet<String> = (0..8).map(|writer| format!("w{writer}")).collect();
        let tasks: Vec<_> = (writers.iter().cloned().zip(stores.iter().cycle().cloned()))
            .map(|(writer, store)| tokio::spawn(async move { append_groups(&*store, &writer, 20).await }))
            .collect();
        for task in tasks {
            task.await.expect("it appended");
        }
        check_groups(&place.open().read().await.expect("it is whole"), &writers, 20);
    }
}

#[tokio::test]
async fn appends_of_many_processes_are_all_kept_and_never_mixed() {
    for place in places() {
        let writers: BTreeSet<String> = (0..4).map(|writer| format!("p{writer}")).collect();
        let children: Vec<Child> = writers.iter().map(|writer| place.start("child_that_appends", writer)).collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        check_groups(&place.open().read().await.expect("it is whole"), &writers, 15);
    }
}

#[tokio::test]
async fn a_target_is_leased_to_one_run_at_a_time() {
    for place in places() {
        let store = place.open();
        let lease = store.acquire(&ids(&["a@prod/x", "b@prod/x"]), holder("one")).await.expect("nobody has them");
        assert!(lease.covers(&id("a@prod/x")) && !lease.covers(&id("c@prod/x")));

        let refused = place.open().acquire(&ids(&["c@prod/x", "b@prod/x"]), holder("two")).await.err();
        assert_eq!(refused, Some(StoreError::Held { target: id("b@prod/x"), run: run("one"), since_ms: 5 }));
        let other = place.open().acquire(&ids(&["c@prod/x"]), holder("two")).await.expect("all or nothing: it is free");
        let own = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.err();
        assert!(matches!(own, Some(StoreError::Held { .. })), "not even to the same run twice");
        let held = store.holders().await.expect("readable");
        let expected = [(holder("one"), ids(&["a@prod/x", "b@prod/x"])), (holder("two"), ids(&["c@prod/x"]))];
        assert_eq!(held, expected);

        store.release(lease).await.expect("it was ours");
        store.release(other).await.expect("it was ours");
        assert_eq!(store.holders().await, Ok(vec![]));
        store.acquire(&ids(&["b@prod/x"]), holder("three")).await.expect("it was given back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_one_target_one_gets_it() {
    for place in places() {
        let tasks: Vec<_> = (0..8)
            .map(|at| {
                let store = place.open();
                tokio::spawn(async move { store.acquire(&[id("a@prod/x")], holder(&format!("r{at}"))).await })
            })
            .collect();
        let mut leases = Vec::new();
        for task in tasks {
            leases.extend(task.await.expect("it ended"));
        }
        assert_eq!(leases.len(), 1);
    }
}

#[tokio::test]
async fn a_lease_whose_owner_ended_is_free_and_its_epoch_grows() {
    for place in places() {
        let store = place.open();
        let mut epochs = Vec::new();
        for owner in ["one", "two", "three"] {
            let lease = store.acquire(&ids(&["a@prod/x"]), holder(owner)).await.expect("its owner ended");
            epochs.extend(lease.epochs.values().copied());
            drop(lease);
            assert_eq!(store.holders().await, Ok(vec![]), "{owner} ended");
        }
        assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
    }
}

#[tokio::test]
async fn a_lease_of_a_killed_process_is_free_and_of_a_living_one_is_not() {
    for place in places() {
        let store = place.open();
        let mut child = place.start("child_that_holds", "");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let said = output.lines().map_while(Result::ok).any(|line| line.contains("it is ours"));
        assert!(said, "the child acquired");

        let refused = store.acquire(&ids(&["a@prod/x"]), holder("two")).await;
        assert!(matches!(refused, Err(StoreError::Held { .. })), "{refused:?}");
        child.kill().expect("it lives");
        child.wait().expect("it ends");
        store.acquire(&ids(&["a@prod/x"]), holder("two")).await.expect("its owner is gone");
    }
}

#[tokio::test]
async fn what_is_said_of_a_target_needs_its_lease() {
    for place in places() {
        let store = place.open();
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        let append = |events: Vec<Event>, lease| {
            let store = store.clone();
            async move { store.append(events, &run("one"), 7, lease).await.map(|entries| entries.len()) }
        };
        assert_eq!(append(vec![started("a@prod/x")], Some(&lease)).await, Ok(1));
        let uncovered = append(vec![paused("x"), started("b@prod/x")], Some(&lease)).await;
        assert_eq!(uncovered, Err(StoreError::Fenced(id("b@prod/x"))));
        assert_eq!(append(vec![applied("a@prod/x")], None).await, Err(StoreError::Fenced(id("a@prod/x"))));
        assert_eq!(store.read().await.map(|entries| entries.len()), Ok(1), "nothing of a refused group is there");
    }
}

#[tokio::test]
async fn a_writer_whose_lease_was_taken_is_refused() {
    for place in places() {
        let (one, two) = (place.open(), place.open());
        let stale = one.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        (place.take_away)(place.dir.path(), &stale);
        let fenced = Err(StoreError::Fenced(id("a@prod/x")));
        assert_eq!(one.append(vec![started("a@prod/x")], &run("one"), 7, Some(&stale)).await, fenced);

        let lease = two.acquire(&ids(&["a@prod/x"]), holder("two")).await.expect("it was taken away");
        assert_eq!(one.append(vec![started("a@prod/x")], &run("one"), 7, Some(&stale)).await, fenced);
        assert_eq!(one.append(vec![paused("x")], &run("one"), 7, Some(&stale)).await, fenced, "nor may it say else");
        assert!(two.append(vec![started("a@prod/x")], &run("two"), 7, Some(&lease)).await.is_ok());

        one.release(stale).await.expect("there is nothing to give back");
        assert_eq!(two.holders().await.map(|held| held.len()), Ok(1), "and it takes nothing from the later owner");
    }
}

#[tokio::test]
async fn a_fenced_group_does_not_keep_others_from_being_written() {
    for place in places() {
        let store = place.open();
        let stale = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        (place.take_away)(place.dir.path(), &stale);
        let one = run("one");
        let (fenced, written) = tokio::join!(
            store.append(vec![started("a@prod/x")], &one, 7, Some(&stale)),
            store.append(vec![paused("lunch")], &one, 7, None),
        );
        assert_eq!(fenced, Err(StoreError::Fenced(id("a@prod/x"))));
        assert!(written.is_ok());
        assert_eq!(store.read().await.map(|entries| reasons(&entries)), Ok(vec!["lunch".to_string()]));
    }
}

#[tokio::test]
async fn ten_thousand_targets_are_one_lease() {
    for place in places() {
        let store = place.open();
        let targets: Vec<TargetId> = (0..10_000).map(|at| id(&format!("s{}@prod/r{}", at / 10, at % 10))).collect();
        let lease = store.acquire(&targets, holder("one")).await.expect("nobody has them");
        assert_eq!(store.holders().await, Ok(vec![(holder("one"), targets.clone())]));
        for target in targets.iter().take(100) {
            let step = Event::Step { rollout: "r".into(), step: StepEvent::Started { target: target.clone() } };
            store.append(vec![step], &run("one"), 7, Some(&lease)).await.expect("it is ours");
        }
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_says_so_and_names_itself() {
    for place in places() {
        let store = (place.unwritable)();
        let refused = [
            store.append(vec![paused("x")], &run("one"), 7, None).await.err(),
            store.acquire(&ids(&["a@prod/x"]), holder("one")).await.err(),
            store.save(&stored("c1", 1)).await.err(),
        ];
        for error in refused {
            let Some(StoreError::Io { what, hint: Some(hint) }) = error else { panic!("{error:?}") };
            assert!(what.contains("isobar-journal"), "{what}");
            assert!(hint.contains("isobar.yaml") || hint.contains("run the same command again"), "{hint}");
        }
        assert_eq!(store.read().await, Ok(vec![]));
    }
}

fn stored(head: &str, at_ms: u64) -> Stored {
    let unseen = Unseen::new(id("a@prod/x"), UnseenReason::Cancelled);
    let head = (!head.is_empty()).then(|| head.into());
    Stored { head, base: "base".into(), at_ms, first_ms: at_ms, previews: vec![Err(unseen)] }
}

#[tokio::test]
async fn shown_previews_are_kept_apart_and_only_the_very_same_replaces_one() {
    for place in places() {
        let store = place.open();
        let other = Stored { base: "other".into(), ..stored("c2", 25) };
        for set in [stored("c2", 20), stored("", 5), other.clone(), stored("c2", 30), stored("../../odd head", 7)] {
            store.save(&set).await.expect("it has room");
        }
        let again = Stored { first_ms: 20, ..stored("c2", 30) };
        let expected = [stored("", 5), stored("../../odd head", 7), other, again];
        assert_eq!(place.open().saved().await, Ok(expected.into()));
        assert_eq!(store.read().await, Ok(vec![]));
        assert_eq!(place.dir.path().read_dir().expect("the temporary directory").count(), 1);
    }
}

/// What an I/O error says.
fn said<T: std::fmt::Debug>(refused: Result<T, StoreError>) -> String {
    match refused {
        Err(StoreError::Io { what, hint: Some(_) }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn with_a_key_entries_are_sealed_and_whoever_has_none_reads_and_does_not_write() {
    for place in places() {
        let store = place.keyed("k");
        let sealed = store.append(vec![paused("a"), paused("b")], &run("one"), 7, None).await.expect("it has room");
        assert!(sealed.iter().all(|entry| entry.seal.is_some()));
        assert_eq!(place.keyed("k").read().await.as_ref(), Ok(&sealed));
        assert_eq!(place.open().read().await.as_ref(), Ok(&sealed));

        let unsealed = place.open().append(vec![paused("c")], &run("two"), 8, None).await;
        assert_eq!(said(unsealed), "the journal is sealed, and ISOBAR_KEY is not set");
        let other = place.keyed("other").append(vec![paused("c")], &run("two"), 8, None).await;
        assert_eq!(said(other), "the journal is sealed by another key than ISOBAR_KEY");
        assert_eq!(said(place.keyed("other").history().await), "the journal is sealed by another key than ISOBAR_KEY");
        assert_eq!(place.open().read().await, Ok(sealed), "nothing was written");
    }
}

#[tokio::test]
async fn a_journal_without_seals_is_refused_by_whoever_has_a_key_until_it_begins() {
    for place in places() {
        place.open().append(vec![paused("a")], &run("one"), 7, None).await.expect("it has room");
        let keyed = place.keyed("k");
        for refused in [keyed.read().await.map(drop), keyed.append(vec![paused("b")], &run("one"), 8, None).await.map(drop)] {
            assert_eq!(said(refused), "ISOBAR_KEY is set, and no entry of the journal is sealed");
        }
        let key = Sealer::of_journal(&Key::new(b"k")).id().clone();
        let began = Event::KeyBegan { key, by: User("ann".into()) };
        keyed.append(vec![began], &run("one"), 9, None).await.expect("it begins");
        keyed.append(vec![paused("b")], &run("one"), 10, None).await.expect("it is sealed");
        assert_eq!(place.keyed("k").read().await.map(|entries| entries.len()), Ok(3));
    }
}

#[tokio::test]
async fn an_audit_meets_the_head_that_was_there_and_misses_one_that_never_was() {
    for place in places() {
        let store = place.open();
        let entries = store.append(vec![paused("a"), paused("b")], &run("one"), 7, None).await.expect("it has room");
        let there: Anchor = format!("2:{}", entries[1].hash).parse().expect("an anchor");
        let never: Anchor = format!("3:{}", entries[1].hash).parse().expect("an anchor");
        let audit = store.audit(std::slice::from_ref(&there)).await.expect("readable");
        assert_eq!((audit.entries, audit.anchored, audit.findings.len()), (2, 1, 0));
        let audit = store.audit(&[there, never]).await.expect("readable");
        assert_eq!((audit.anchored, audit.findings.len()), (1, 1));
    }
}

#[tokio::test]
async fn each_hands_on_what_read_returns() {
    for place in places() {
        let store = place.open();
        append_groups(&*store, "w", 4).await;
        let taken: Arc<std::sync::Mutex<Vec<Entry>>> = Arc::default();
        let shared = taken.clone();
        let take = move |entry| shared.lock().expect("nobody panicked").push(entry);
        store.each(Box::new(take)).await.expect("it is whole");
        assert_eq!(store.read().await.as_ref(), Ok(&*taken.lock().expect("nobody panicked")));
    }
}

/// What the parent wants: the store, and an argument.
fn wanted() -> (Arc<dyn Store>, String) {
    let wanted = std::env::var("ISOBAR_CHILD").expect("only other tests start this");
    let [name, dir, argument] = wanted.split('\n').collect::<Vec<_>>()[..] else { panic!("{wanted:?}") };
    let place = places().into_iter().find(|place| place.name == name).expect("a place of the list");
    ((place.open)(Path::new(dir)), argument.into())
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn child_that_appends() {
    let (store, writer) = wanted();
    append_groups(&*store, &writer, 15).await;
}

#[tokio::test]
#[ignore = "a process that other tests start"]
#[allow(clippy::print_stdout)]
async fn child_that_holds() {
    let (store, _) = wanted();
    let _lease = store.acquire(&ids(&["a@prod/x"]), holder("child")).await.expect("nobody has it");
    println!("it is ours");
    std::thread::sleep(std::time::Duration::from_secs(60));
}
