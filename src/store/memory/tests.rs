//! What the journal in memory has in common with the others: order, groups, one writer, fences.

use super::*;
use crate::review::User;
use crate::rollout::StepEvent;
use futures::FutureExt as _;

/// Nothing in memory makes anybody wait.
fn now<T>(answer: Boxed<'_, T>) -> T {
    answer.now_or_never().expect("memory answers at once")
}

fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

fn holder(run: &str) -> Holder {
    Holder { run: run.into(), host: "here".into(), pid: 1, since_ms: 5, job: None }
}

fn started(target: &str) -> Event {
    Event::Step { rollout: "r".into(), step: StepEvent::Started { target: id(target) } }
}

fn paused() -> Event {
    Event::Paused { by: User("ann".into()), reason: "lunch".into() }
}

#[test]
fn groups_are_chained_and_read_back() {
    let store = MemoryStore::default();
    now(store.append(vec![paused(), paused()], &"one".into(), 1, None)).expect("nobody stands in the way");
    now(store.clone().append(vec![paused()], &"two".into(), 2, None)).expect("nobody stands in the way");
    let (entries, mut chain) = (now(store.read()).expect("it is there"), Chain::empty());
    assert_eq!(entries.iter().map(|entry| (entry.seq, entry.more)).collect::<Vec<_>>(), [(1, 1), (2, 0), (3, 0)]);
    assert!(entries.iter().all(|entry| chain.follow(entry).is_ok()));
}

#[test]
fn one_writer_a_target_until_it_ends_or_gives_it_back() {
    let store = MemoryStore::default();
    let one = now(store.acquire(&[id("a@prod/x")], holder("one"))).expect("free");
    let held = StoreError::Held { target: id("a@prod/x"), holder: Box::new(holder("one")), is_proven: true };
    assert_eq!(now(store.acquire(&[id("b@prod/x"), id("a@prod/x")], holder("two"))).err(), Some(held));
    now(store.release(one)).expect("it was ours");
    now(store.acquire(&[id("a@prod/x")], holder("two"))).expect("given back");
    store.end("two");
    assert!(now(store.acquire(&[id("a@prod/x")], holder("three"))).is_ok(), "its owner ended");
    assert_eq!(now(store.holders()).expect("it is there").len(), 1);
}

#[test]
fn a_stale_writer_is_refused_whatever_it_writes() {
    let store = MemoryStore::default();
    let stale = now(store.acquire(&[id("a@prod/x")], holder("one"))).expect("free");
    store.end("one");
    let fresh = now(store.acquire(&[id("a@prod/x")], holder("two"))).expect("its owner ended");
    let write = |event: Event, lease: Option<&Lease>| now(store.append(vec![event], &"run".into(), 1, lease)).map(drop);
    let fenced = Err(StoreError::Fenced(id("a@prod/x")));
    assert_eq!([started("a@prod/x"), paused()].map(|event| write(event, Some(&stale))), [fenced.clone(), fenced.clone()]);
    assert_eq!(write(started("a@prod/x"), None), fenced);
    assert_eq!(write(started("b@prod/x"), Some(&fresh)), Err(StoreError::Fenced(id("b@prod/x"))));
    assert_eq!([write(started("a@prod/x"), Some(&fresh)), write(paused(), None)], [Ok(()), Ok(())]);
}
