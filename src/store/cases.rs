//! What holds for every store: one list of cases, each over all of them. What holds of leases stands in [`super::leased`].

use super::places::{self, THROUGH_GIT, places};
use super::{Anchor, Holder, Store, StoreError, Stored};
use crate::change::{Digest, Intent, Key, Unseen, UnseenReason};
use crate::journal::{Entry, Event, Sealer};
use crate::review::User;
use crate::rollout::StepEvent;
use crate::stack::TargetId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(name: &str) -> Arc<str> {
    name.into()
}

pub(super) fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

pub(super) fn ids(texts: &[&str]) -> Vec<TargetId> {
    texts.iter().map(|text| id(text)).collect()
}

pub(super) fn holder(name: &str) -> Holder {
    Holder { run: run(name), host: "here".into(), pid: std::process::id(), since_ms: 5, job: None }
}

pub(super) fn paused(reason: &str) -> Event {
    Event::Paused { by: User("ann".into()), reason: reason.into() }
}

pub(super) fn started(target: &str) -> Event {
    Event::Step { rollout: "r".into(), step: StepEvent::Started { target: id(target) } }
}

pub(super) fn applied(target: &str) -> Event {
    let digest = Digest::of_bytes(b"preview");
    Event::Applied { target: id(target), intent: Intent::Converge, commit: "c1".into(), digest, changes: vec![], was: vec![] }
}

pub(super) fn reasons(entries: &[Entry]) -> Vec<String> {
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
async fn what_a_writer_knows_goes_at_least_to_what_it_wrote() {
    for place in places() {
        let (one, other) = (place.open(), place.open());
        append_groups(&*one, "a", 1).await;
        let head = one.read().await.expect("readable").last().map(|entry| (entry.seq, entry.hash.clone()));
        append_groups(&*other, "b", 1).await;
        append_groups(&*one, "c", 1).await;
        let met = one.met_since(head.as_ref()).await.expect("it was read");
        assert_eq!(reasons(&met), ["b 0 0", "b 0 1", "b 0 2", "c 0 0", "c 0 1", "c 0 2"], "{}", place.name);
        let known = met.last().map(|entry| (entry.seq, entry.hash.clone()));
        append_groups(&*other, "d", 1).await;
        let more = one.met_since(known.as_ref()).await.expect("it was read");
        assert!(more.is_empty() || reasons(&more) == ["d 0 0", "d 0 1", "d 0 2"], "{}: {more:?}", place.name);
        assert_eq!(place.open().met_since(None).await.map(|met| met.len()), Ok(12), "{}: who comes new reads", place.name);
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
        let (store, before) = (place.open(), place.files());
        assert_eq!(store.read().await, Ok(vec![]));
        assert_eq!(store.holders().await, Ok(vec![]));
        assert_eq!(store.saved().await, Ok(vec![]));
        assert!(store.history().await.is_ok_and(|history| history.targets().next().is_none()));
        assert_eq!(store.append(vec![], &run("one"), 7, None).await, Ok(vec![]));
        let made: Vec<PathBuf> = place.files().into_keys().filter(|path| !before.contains_key(path)).collect();
        assert!(made.iter().all(|path| path.starts_with(place.dir.path().join("deep/clone"))), "{made:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_of_many_tasks_and_stores_are_all_kept_and_never_mixed() {
    for place in places() {
        let stores = [place.open(), place.open()];
        let writers: BTreeSet<String> = (0..8).map(|writer| format!("w{writer}")).collect();
        let tasks: Vec<_> = (writers.iter().cloned().zip(stores.iter().cycle().cloned()))
            .map(|(writer, store)| tokio::spawn(async move { append_groups(&*store, &writer, place.groups).await }))
            .collect();
        for task in tasks {
            task.await.expect("it appended");
        }
        check_groups(&place.open().read().await.expect("it is whole"), &writers, place.groups);
    }
}

#[tokio::test]
async fn appends_of_many_processes_are_all_kept_and_never_mixed() {
    for place in places() {
        let writers: BTreeSet<String> = (0..4).map(|writer| format!("p{writer}")).collect();
        let children: Vec<Child> =
            writers.iter().map(|writer| place.start("child_that_appends", &format!("{writer} {}", place.groups))).collect();
        for mut child in children {
            assert!(child.wait().expect("it ends").success());
        }
        check_groups(&place.open().read().await.expect("it is whole"), &writers, place.groups);
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_says_so_and_names_itself() {
    for place in places() {
        let store = place.unwritable();
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

pub(super) fn stored(head: &str, at_ms: u64) -> Stored {
    let unseen = Unseen::new(id("a@prod/x"), UnseenReason::Cancelled);
    let head = (!head.is_empty()).then(|| head.into());
    Stored {
        head,
        base: "base".into(),
        at_ms,
        first_ms: at_ms,
        change: None,
        part: None,
        run: None,
        whole: Default::default(),
        previews: vec![Err(unseen)],
    }
}

#[tokio::test]
async fn what_was_shown_of_a_change_is_of_the_run_that_showed_it_last_and_of_its_part() {
    for place in places() {
        let store = place.open();
        let part = |part: Option<&str>, run: u64, at_ms: u64| Stored {
            change: Some(12),
            part: part.map(Into::into),
            run: Some((run, 1)),
            ..stored("c1", at_ms)
        };
        for set in [part(None, 7, 10), part(Some("@prod/*"), 8, 20), part(None, 9, 30)] {
            store.save(&set).await.expect("it has room");
        }
        let again = Stored { first_ms: 10, ..part(None, 9, 30) };
        let expected = [part(Some("@prod/*"), 8, 20), again];
        assert_eq!(place.open().saved().await, Ok(expected.clone().into()));
        assert_eq!(place.open().saved_as(Stored::read_bare).await, Ok(expected.into()));
    }
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
        assert_eq!(place.open().saved().await, Ok(expected.clone().into()));
        assert_eq!(place.open().saved_as(Stored::read_bare).await, Ok(expected.into()));
        assert_eq!(store.read().await, Ok(vec![]));
        assert_eq!(place.dir.path().read_dir().expect("the temporary directory").count(), 1);
    }
}

#[tokio::test]
async fn an_append_whose_asker_went_away_is_there_once() {
    for place in places() {
        let (store, one) = (place.open(), run("one"));
        let impatient = tokio::time::timeout(Duration::ZERO, store.append(vec![paused("lost")], &one, 7, None)).await;
        let told = impatient.is_ok();
        store.append(vec![paused("next")], &one, 8, None).await.expect("it has room");
        let read = place.open().read().await.map(|entries| reasons(&entries));
        assert_eq!(read, Ok(vec!["lost".into(), "next".into()]), "{}, told: {told}", place.name);
    }
}

#[tokio::test]
async fn who_looked_long_ago_reads_and_writes_after_what_came_since() {
    for place in places() {
        let (slow, quick) = (place.open(), place.open());
        slow.append(vec![paused("a")], &run("slow"), 7, None).await.expect("it has room");
        for reason in ["b", "c", "d"] {
            quick.append(vec![paused(reason)], &run("quick"), 8, None).await.expect("it has room");
        }
        let history = slow.history().await.expect("it is whole");
        assert_eq!(history.paused(), Some((&User("ann".into()), "d")));
        quick.append(vec![paused("e")], &run("quick"), 8, None).await.expect("it has room");
        slow.append(vec![paused("f")], &run("slow"), 7, None).await.expect("it has room");
        let history = quick.history().await.expect("it is whole");
        assert_eq!(history.paused(), Some((&User("ann".into()), "f")));
        let read = slow.read().await.map(|entries| reasons(&entries));
        assert_eq!(read, Ok(["a", "b", "c", "d", "e", "f"].map(String::from).into()));
    }
}

#[tokio::test]
async fn clocks_that_disagree_change_no_order_and_free_nothing() {
    const DAY_MS: u64 = 86_400_000;
    for place in places() {
        let store = place.open();
        let early = Holder { since_ms: 0, ..holder("one") };
        let lease = store.acquire(&ids(&["a@prod/x"]), early).await.expect("nobody has it");
        for (reason, at_ms) in [("a", 9 * DAY_MS), ("b", DAY_MS), ("c", 0), ("d", 900_000 * DAY_MS)] {
            store.append(vec![paused(reason)], &run("one"), at_ms, Some(&lease)).await.expect("it has room");
        }
        let late = Holder { since_ms: 900_000 * DAY_MS, ..holder("two") };
        let refused = place.open().acquire(&ids(&["a@prod/x"]), late).await;
        assert!(matches!(refused, Err(StoreError::Held { .. })), "however long ago it was taken");
        let entries = place.open().read().await.expect("it is whole");
        assert_eq!(reasons(&entries), ["a", "b", "c", "d"]);
    }
}

#[tokio::test]
async fn a_writer_killed_at_any_moment_leaves_whole_groups_and_others_go_on() {
    for place in places() {
        let mut seen = 0;
        for round in 0..place.groups.min(3) {
            let mut child = place.start("child_that_never_ends", &format!("k{round}"));
            let reader = place.open();
            let more = seen + 3 * (round + 1);
            while reader.read().await.expect("a reader never meets half a group").len() < more {
                tokio::time::sleep(Duration::from_millis(5)).await; // leaves the processor to the child
            }
            child.kill().expect("it lives");
            child.wait().expect("it ends");
            place
                .open()
                .append(vec![paused("after 0"), paused("after 1"), paused("after 2")], &run("two"), 1, None)
                .await
                .expect("it can go on");
            let entries = place.open().read().await.expect("it is whole");
            assert_eq!(entries.len() % 3, 0);
            seen = entries.len();
        }
    }
}

#[tokio::test]
async fn a_changed_byte_stops_readers_and_writers() {
    for place in places() {
        let store = place.open();
        for reason in ["a", "b", "c"] {
            store.append(vec![paused(reason)], &run("one"), 7, None).await.expect("it has room");
        }
        (place.damage)(place.dir.path());
        let read = place.open().read().await;
        let appended = place.open().append(vec![paused("d")], &run("one"), 7, None).await;
        if place.name != THROUGH_GIT {
            let audit = place.open().audit(&[]).await.expect("readable");
            assert!(!audit.chain_holds && audit.findings.len() == 1, "{}: {audit:?}", place.name);
        }
        match place.name {
            THROUGH_GIT => assert!(read.is_err() && appended.is_err(), "the server may be the one who finds it"),
            _ => {
                assert!(matches!(read, Err(StoreError::Broken { .. })), "{}: {read:?}", place.name);
                assert!(matches!(appended, Err(StoreError::Broken { .. })), "{}: {appended:?}", place.name);
            }
        }
    }
}

#[tokio::test]
async fn who_loses_the_right_to_write_half_way_is_told_and_goes_on_when_it_is_back() {
    for place in places() {
        let store = place.open();
        store.append(vec![paused("a")], &run("one"), 7, None).await.expect("it has room");
        if !place.set_writable(false) {
            continue; // the gate on the forge does not run as root, so there every disk is tried
        }
        let refused = store.append(vec![paused("b")], &run("one"), 7, None).await;
        let reads = place.open().read().await.map(|entries| reasons(&entries));
        let may = store.may_append().await;
        place.set_writable(true);
        assert!(matches!(&refused, Err(StoreError::Io { hint: Some(_), .. })), "{}: {refused:?}", place.name);
        assert_eq!(reads, Ok(vec!["a".into()]), "{}", place.name);
        assert!(may.is_err() || place.name == THROUGH_GIT, "{}", place.name);
        store.append(vec![paused("c")], &run("one"), 7, None).await.expect("it may again");
        assert_eq!(place.open().read().await.map(|entries| reasons(&entries)), Ok(vec!["a".into(), "c".into()]));
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
async fn who_follows_the_journal_meets_each_entry_once_whoever_wrote_it() {
    for place in places() {
        let (store, other) = (place.open(), place.open());
        let mut met = store.since(None).await.expect("there is nothing yet");
        assert_eq!(met, []);
        for nth in 0..4 {
            let writer = if nth % 2 == 0 { &store } else { &other };
            writer.append(vec![paused(&format!("{nth}")), paused("more")], &run("one"), 7, None).await.expect("it has room");
            let head = met.last().map(|entry| (entry.seq, entry.hash.clone()));
            met.extend(store.since(head.as_ref()).await.expect("it is whole"));
            let head = met.last().map(|entry| (entry.seq, entry.hash.clone()));
            assert_eq!(store.since(head.as_ref()).await, Ok(vec![]), "{}", place.name);
        }
        assert_eq!(met, place.open().read().await.expect("it is whole"), "{}", place.name);
        let first = met.first().map(|entry| (entry.seq, entry.hash.clone()));
        assert_eq!(place.open().since(first.as_ref()).await.expect("it is whole"), met[1..], "{}", place.name);
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

#[tokio::test]
async fn what_is_compacted_is_gone_and_everything_else_says_the_same() {
    for place in places() {
        let store = place.keyed("k");
        let mut entries = Vec::new();
        for at_ms in 0..12 {
            let reason = format!("{at_ms} {}", "x".repeat(100));
            entries.extend(store.append(vec![paused(&reason)], &run("one"), at_ms, None).await.expect("it has room"));
        }
        let knows = place.keyed("k");
        knows.history().await.expect("it is whole");
        let gone = store.compact(10, vec![paused("lunch")], &run("two"), 99).await.expect("it can");
        assert!(gone.through <= 10 && gone.entries == gone.through, "{}: {gone:?}", place.name);
        let has_gone = gone.through > 0;
        let is_of_pages = ["s3", "gs", "az"].contains(&place.name); // a segment has megabytes
        assert!(has_gone || !is_of_pages, "{}: {gone:?}", place.name);

        let left = usize::try_from(gone.through).expect("it is small");
        for store in [&store, &knows, &place.keyed("k"), &place.open()] {
            let read = store.read().await.expect("it is whole");
            assert_eq!(read[..12 - left], entries[left..], "{}", place.name);
            assert_eq!(read.len() - (12 - left), if has_gone { 2 } else { 0 }, "{}", place.name);
            let history = store.history().await.expect("it is whole");
            let last = if has_gone { "lunch".into() } else { format!("11 {}", "x".repeat(100)) };
            assert_eq!(history.paused().map(|(_, reason)| reason.to_string()), Some(last), "{}", place.name);
            assert_eq!(store.audit(&[]).await.expect("readable").findings, [], "{}", place.name);
        }
        knows.append(vec![paused("more")], &run("one"), 100, None).await.expect("it goes on");
        assert_eq!(place.open().history().await.expect("it is whole").paused().map(|(_, reason)| reason), Some("more"));
    }
}

/// What the parent wants: the store, and an argument.
fn wanted() -> (Arc<dyn Store>, String) {
    let wanted = std::env::var("ISOBAR_CHILD").expect("only other tests start this");
    let [name, dir, argument] = wanted.split('\n').collect::<Vec<_>>()[..] else { panic!("{wanted:?}") };
    (places::open(name, Path::new(dir)), argument.into())
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn child_that_appends() {
    let (store, wanted) = wanted();
    let (writer, groups) = wanted.split_once(' ').expect("a name and a number");
    append_groups(&*store, writer, groups.parse().expect("a number")).await;
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn child_that_never_ends() {
    let (store, writer) = wanted();
    append_groups(&*store, &writer, usize::MAX).await;
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
