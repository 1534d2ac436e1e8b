//! What holds in every store for groups that were decided on what was there: they are written while that is so, and not when it is not.

use super::cases::{holder, id, ids, paused, reasons, run, started};
use super::places::places;
use super::{After, Append, StoreError};
use crate::change::Digest;
use crate::journal::{Bears, Entry};
use std::sync::Arc;

/// Number and hash of the last of these entries.
fn head(entries: &[Entry]) -> Option<(u64, Digest)> {
    entries.last().map(|entry| (entry.seq, entry.hash.clone()))
}

/// One pause, decided on `head`, that bears entries of the run `bears` and no other.
fn beside<'a>(reason: &str, run: &'a Arc<str>, head: Option<&(u64, Digest)>, bears: &str) -> Append<'a> {
    let bears = Bears::Run(bears.into());
    Append { events: vec![paused(reason)], run, at_ms: 9, lease: None, after: Some(After::new(head, bears)) }
}

#[tokio::test]
async fn what_may_only_follow_one_entry_follows_no_other() {
    for place in places() {
        let (store, other) = (place.open(), place.open());
        let began = store.append_after(None, vec![paused("a")], &run("one"), 7, None).await.expect("it has room");
        let head = began.last().map(|entry| (entry.seq, entry.hash.clone()));
        other.append(vec![paused("b")], &run("two"), 8, None).await.expect("it has room");
        for late in [None, head.as_ref()] {
            let said = store.append_after(late, vec![paused("late")], &run("one"), 9, None).await;
            assert_eq!(said, Ok(vec![]), "{}", place.name);
        }
        let head = store.audit(&[]).await.expect("readable").head;
        store.append_after(head.as_ref(), vec![paused("c")], &run("one"), 10, None).await.expect("it has room");
        assert_eq!(reasons(&place.open().read().await.expect("whole")), ["a", "b", "c"], "{}", place.name);
    }
}

#[tokio::test]
async fn what_follows_one_entry_and_is_about_a_target_needs_its_lease_as_well() {
    for place in places() {
        let (store, other) = (place.open(), place.open());
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        let begun = other.append(vec![paused("a")], &run("two"), 7, None).await.expect("it has room");
        let head = begun.last().map(|entry| (entry.seq, entry.hash.clone()));

        let late = store.append_after(None, vec![started("a@prod/x")], &run("one"), 8, Some(&lease)).await;
        assert_eq!(late, Ok(vec![]), "{}", place.name);
        let bare = store.append_after(head.as_ref(), vec![started("a@prod/x")], &run("one"), 8, None).await;
        assert_eq!(bare, Err(StoreError::Fenced(id("a@prod/x"))), "{}", place.name);
        let in_time = store.append_after(head.as_ref(), vec![started("a@prod/x")], &run("one"), 8, Some(&lease)).await;
        assert_eq!(in_time.map(|entries| entries.len()), Ok(1), "{}", place.name);
        assert_eq!(place.open().read().await.map(|entries| entries.len()), Ok(2), "{}", place.name);
    }
}

#[tokio::test]
async fn what_bears_all_that_came_since_is_written_behind_it() {
    for place in places() {
        let (store, other, one) = (place.open(), place.open(), run("one"));
        let began = store.append(vec![paused("a")], &one, 7, None).await.expect("it has room");
        let since = other.append(vec![paused("b")], &run("two"), 8, None).await.expect("it has room");
        other.append(vec![paused("c")], &run("three"), 8, None).await.expect("it has room");

        let refused = store.write(beside("d", &one, head(&began).as_ref(), "two")).await;
        assert_eq!(refused, Ok(vec![]), "{}: it bears the first of them only", place.name);
        let taken = store.write(beside("d", &one, head(&since).as_ref(), "three")).await.expect("it has room");
        assert_eq!(taken.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [4], "{}", place.name);
        assert_eq!(reasons(&place.open().read().await.expect("whole")), ["a", "b", "c", "d"], "{}", place.name);
    }
}

#[tokio::test]
async fn groups_of_one_stroke_are_taken_in_order_and_each_for_itself() {
    for place in places() {
        let (store, other, one) = (place.open(), place.open(), run("one"));
        let began = store.append(vec![paused("a")], &one, 7, None).await.expect("it has room");
        let since = other.append(vec![paused("b")], &run("two"), 8, None).await.expect("it has room");
        let plain = |reason: &str| Append { events: vec![paused(reason)], run: &one, at_ms: 9, lease: None, after: None };
        let nothing = Append { events: vec![], run: &one, at_ms: 9, lease: None, after: None };

        let groups = vec![
            plain("c"),
            nothing,
            beside("late", &one, head(&began).as_ref(), "two"),
            beside("d", &one, head(&since).as_ref(), "one"),
        ];
        let written = store.write_all(groups).await.into_iter().map(|entries| entries.expect("it has room"));
        let seqs: Vec<Vec<u64>> = written.map(|entries| entries.iter().map(|entry| entry.seq).collect()).collect();
        assert_eq!(seqs, [vec![3], vec![], vec![], vec![4]], "{}", place.name);
        assert_eq!(reasons(&place.open().read().await.expect("whole")), ["a", "b", "c", "d"], "{}", place.name);
    }
}

#[tokio::test]
async fn what_was_decided_on_an_entry_that_is_not_known_is_refused() {
    for place in places() {
        let (store, one) = (place.open(), run("one"));
        store.append(vec![paused("a")], &one, 7, None).await.expect("it has room");
        let never = (7, Digest::of_bytes(b"never"));
        assert_eq!(store.write(beside("b", &one, Some(&never), "one")).await, Ok(vec![]), "{}", place.name);
        store.append(vec![paused("b")], &one, 7, None).await.expect("it has room");
        let other = (1, Digest::of_bytes(b"another first entry"));
        assert_eq!(store.write(beside("c", &one, Some(&other), "one")).await, Ok(vec![]), "{}", place.name);
    }
}

#[tokio::test]
async fn a_group_that_is_refused_takes_none_with_it() {
    for place in places() {
        let (store, one) = (place.open(), run("one"));
        let plain = |events| Append { events, run: &one, at_ms: 9, lease: None, after: None };
        let written = store.write_all(vec![plain(vec![started("a@prod/x")]), plain(vec![paused("a")])]).await;
        let [Err(StoreError::Fenced(_)), Ok(entries)] = written.as_slice() else { panic!("{}: {written:?}", place.name) };
        assert_eq!(reasons(entries), ["a"], "{}", place.name);
    }
}
