//! What holds in every store of the right to write: who gets it, who is refused, and when it ends.

use super::cases::{applied, holder, id, ids, paused, reasons, run, started};
use super::places::places;
use super::{Lease, Store, StoreError};
use crate::journal::Event;
use crate::review::User;
use crate::rollout::StepEvent;
use crate::stack::TargetId;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

#[tokio::test]
async fn a_target_is_leased_to_one_run_at_a_time() {
    for place in places() {
        let store = place.open();
        let lease = store.acquire(&ids(&["a@prod/x", "b@prod/x"]), holder("one")).await.expect("nobody has them");
        assert!(lease.covers(&id("a@prod/x")) && !lease.covers(&id("c@prod/x")));

        let refused = place.open().acquire(&ids(&["c@prod/x", "b@prod/x"]), holder("two")).await.err();
        assert_eq!(refused, Some(StoreError::Held { target: id("b@prod/x"), holder: Box::new(holder("one")), is_proven: true }));
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

#[tokio::test]
async fn who_saw_a_lease_that_was_given_back_since_is_not_refused() {
    for place in places() {
        let (one, two) = (place.open(), place.open());
        let lease = one.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        assert_eq!(two.holders().await.map(|held| held.len()), Ok(1));
        one.release(lease).await.expect("it was ours");
        two.acquire(&ids(&["a@prod/x"]), holder("two")).await.expect("it was given back");
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

/// Ends the owner of a lease. A process that another test is just making has a copy of its lock until it becomes what it will be.
pub(super) async fn end(lease: Lease, store: &dyn Store) {
    drop(lease);
    for _ in 0..1_000 {
        if store.holders().await.is_ok_and(|held| held.is_empty()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
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
            end(lease, &*store).await;
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
        for target in targets.iter().take(10) {
            let step = Event::Step { rollout: "r".into(), step: StepEvent::Started { target: target.clone() } };
            store.append(vec![step], &run("one"), 7, Some(&lease)).await.expect("it is ours");
        }
    }
}

#[tokio::test]
async fn nothing_is_taken_from_the_living_nor_from_nobody() {
    let event = || Event::Freed { of: "one".into(), by: User("ann".into()), reason: "gone".into() };
    for place in places() {
        let store = place.open();
        assert_eq!(store.may_append().await, Ok(()), "{}", place.name);
        let nobody = store.free("one", event(), &run("two"), 9).await;
        assert!(matches!(&nobody, Err(StoreError::Io { what, .. }) if what.contains("holds anything")), "{nobody:?}");
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        let living = place.open().free("one", event(), &run("two"), 9).await;
        assert!(matches!(&living, Err(StoreError::Io { what, .. }) if what.contains("lives")), "{living:?}");
        assert_eq!(store.read().await, Ok(vec![]));
        store.append(vec![started("a@prod/x")], &run("one"), 7, Some(&lease)).await.expect("it is still ours");
    }
}

#[tokio::test]
async fn a_lease_is_exchanged_for_another_and_is_over_whoever_has_that() {
    for place in places() {
        let (store, other) = (place.open(), place.open());
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        let next =
            store.exchange(lease, &ids(&["a@prod/x", "b@prod/x"]), holder("one")).await.expect("it was its own, or nobody's");
        store.append(vec![started("b@prod/x")], &run("one"), 7, Some(&next)).await.expect("it is ours");

        let theirs = other.acquire(&ids(&["c@prod/x"]), holder("two")).await.expect("nobody has it");
        let refused = store.exchange(next, &ids(&["d@prod/x", "c@prod/x"]), holder("one")).await.err();
        let held = StoreError::Held { target: id("c@prod/x"), holder: Box::new(holder("two")), is_proven: true };
        assert_eq!(refused, Some(held), "{}", place.name);
        assert_eq!(other.holders().await, Ok(vec![(holder("two"), ids(&["c@prod/x"]))]), "{}", place.name);

        let nothing = other.exchange(theirs, &[], holder("two")).await.expect("it was ours");
        assert_eq!((nothing.targets().count(), other.holders().await), (0, Ok(vec![])), "{}", place.name);
    }
}

#[tokio::test]
async fn a_lease_that_was_taken_away_is_exchanged_for_what_is_free() {
    for place in places() {
        let store = place.open();
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        (place.take_away)(place.dir.path(), &lease);
        place.open().acquire(&ids(&["a@prod/x"]), holder("two")).await.map(std::mem::forget).expect("it was taken away");
        let next = store.exchange(lease, &ids(&["b@prod/x"]), holder("one")).await.expect("nobody has it");
        assert!(next.covers(&id("b@prod/x")), "{}", place.name);
        assert_eq!(
            store.holders().await.map(|held| held.len()),
            Ok(2),
            "{}: and it takes nothing from the later owner",
            place.name
        );
    }
}
