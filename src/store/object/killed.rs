//! Deaths at every request of a binding with its checkpoint, and of a compaction: done or not done, and then nothing more is answered.
//! Afterwards everybody reads the same, an audit finds nothing, and it can be done again.

use super::bind::PAGES;
use super::long::{grow, history, holds, is_sound, run, small};
use super::tests::Shelf;
use super::*;

/// What everybody sees: with the contents and without them, and whoever was there all the time.
async fn all_see(shelf: &Shelf, said: &str, at: &str) {
    let fresh = small(shelf, None);
    assert_eq!(history(&fresh).await, said, "{at}");
    let entries = fresh.read().await.expect("it is whole");
    assert!(entries.windows(2).all(|two| two[0].seq + 1 == two[1].seq), "{at}");
    is_sound(&small(shelf, None)).await;
    let Some(contents) = shelf.found("contents.json").await else { return };
    shelf.change("contents.json", "", "").await;
    let without = small(shelf, None);
    assert_eq!(history(&without).await, said, "{at}, without the contents");
    is_sound(&without).await;
    shelf.put("contents.json", &contents).await;
}

#[tokio::test]
async fn a_death_at_any_request_of_a_binding_loses_nothing() {
    let (shelf, pages) = (Shelf::new(), 4 * PAGES);
    grow(&small(&shelf, None), 0..pages - 1).await;
    assert!(!shelf.names("checkpoints").await.is_empty());
    let begun = shelf.google().objects();
    for is_done in [false, true] {
        for after in 0.. {
            shelf.google().put_back(&begun);
            let store = small(&shelf, None);
            let (dying, witness) = (small(&shelf, None), small(&shelf, None));
            dying.history().await.expect("whole");
            let before = witness.read().await.expect("whole").len();
            dying.may_append().await.expect("it may");
            shelf.google().die_after(after, is_done);
            let event = Event::Resumed { by: crate::review::User("ann".into()) };
            let _maybe = dying.append(vec![event], &run(), pages, None).await;
            let died = shelf.google().live();
            if is_done && died == Some(false) {
                continue; // a read is done or not, nobody can tell
            }
            let at = format!("after {after} requests, {is_done}");
            let there = small(&shelf, None).read().await.expect("whole").len();
            assert!((before..=before + 1).contains(&there), "{at}");
            let said = history(&witness).await;
            all_see(&shelf, &said, &at).await;
            grow(&store, pages..2 * pages).await;
            let said = history(&witness).await;
            all_see(&shelf, &said, &at).await;
            assert!(shelf.names("checkpoints").await.len() <= 3, "{at}");
            if died.is_none() {
                assert!(after >= 5, "a page, the contents, a volume, a checkpoint, and the contents again");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_death_at_any_request_of_a_compaction_loses_nothing() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..26).await;
    store.compact(6, vec![], &run(), 98).await.expect("it can");
    grow(&store, 26..30).await;
    let begun = shelf.google().objects();
    for is_done in [false, true] {
        for after in 0.. {
            shelf.google().put_back(&begun);
            let store = small(&shelf, None);
            let (dying, witness) = (small(&shelf, None), small(&shelf, None));
            assert_eq!((holds(&dying).await, holds(&witness).await), (Ok(30), Ok(30)));
            shelf.google().die_after(after, is_done);
            let told = dying.compact(14, vec![], &run(), 99).await;
            let died = shelf.google().live();
            if is_done && died == Some(false) {
                continue; // a read is done or not, nobody can tell
            }
            let at = format!("after {after} requests, {is_done}");
            assert!(told.is_ok() == died.is_none(), "{at}: {told:?}");
            let said = history(&witness).await;
            all_see(&shelf, &said, &at).await;
            grow(&store, 30..31).await;
            assert_eq!(holds(&witness).await, Ok(31), "{at}");

            let again = small(&shelf, None);
            again.compact(16, vec![], &run(), 100).await.unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(history(&small(&shelf, None)).await, history(&witness).await, "{at}");
            is_sound(&again).await;
            assert_eq!(shelf.names("bases").await.len(), 1, "{at}");
            let left = again.read().await.expect("whole");
            assert!(left[0].seq > 14, "{at}: what was to go is gone");
            let oldest = shelf.names("volumes").await.into_iter().next().expect("one");
            assert!(oldest[..12].parse::<u64>().expect("a number") > 14, "{at}: {oldest}");
            if died.is_none() {
                assert!(after > 40, "{after} requests");
                break;
            }
        }
    }
}

/// Two who compact at once, and others who read and write meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compactions_beside_each_other_and_beside_writers_lose_nothing() {
    for round in 0..6 {
        let shelf = Shelf::new();
        grow(&small(&shelf, None), 0..40).await;
        let compact = |store: ObjectStore, before: u64| async move {
            for _ in 0..20 {
                match store.compact(before, vec![], &run(), 99).await {
                    Err(StoreError::Io { what, .. }) if what.contains("somebody else") || what.contains("beyond") => {}
                    done => return done.map(drop),
                }
            }
            Ok(())
        };
        let one = tokio::spawn(compact(small(&shelf, None), 20 + round));
        let two = tokio::spawn(compact(small(&shelf, None), 30 - round));
        let writers = [40..52, 52..64].map(|numbers| {
            let store = small(&shelf, None);
            tokio::spawn(async move { grow(&store, numbers).await })
        });
        let mut last = 40;
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            let reader = small(&shelf, None);
            let now = holds(&reader).await.expect("it is whole at every moment");
            assert!(now >= last, "{now} after {last}");
            last = now;
            reader.read().await.expect("it is whole at every moment");
        }
        for writer in writers {
            writer.await.expect("it wrote");
        }
        one.await.expect("it ended").expect("it compacted");
        two.await.expect("it ended").expect("it compacted");
        small(&shelf, None).compact(30, vec![], &run(), 100).await.expect("what was left is done");
        assert_eq!(holds(&small(&shelf, None)).await, Ok(64));
        let said = history(&small(&shelf, None)).await;
        all_see(&shelf, &said, &format!("round {round}")).await;
    }
}

/// A run may have slept with a request that it sent, or was about to send, before the book was compacted.
#[tokio::test]
async fn a_request_that_slept_changes_nothing_of_a_compacted_book() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..7).await;
    let mut asleep = Vec::new();
    let of_the_book = shelf.everything().into_keys().filter(|name| name != "trial");
    for name in of_the_book {
        let object = shelf.bucket().get(&format!("j/{name}"), 1 << 20).await.expect("readable").expect("it is there");
        asleep.push((name, object));
    }
    grow(&store, 7..40).await;
    store.compact(30, vec![], &run(), 99).await.expect("it can");
    let (said, before) = (history(&store).await, shelf.everything());
    for (name, object) in asleep {
        let (bucket, key) = (shelf.bucket(), format!("j/{name}"));
        let over = bucket.put(&key, &object.bytes, Some(&object.version)).await;
        assert!(over.is_err(), "{name}: over what it was");
        if name.starts_with("pages/") || name == "contents.json" {
            assert!(bucket.put(&key, &object.bytes, None).await.is_err(), "{name}: its name is still used");
            assert_eq!(shelf.everything(), before);
        } else {
            bucket.put(&key, &object.bytes, None).await.expect("nobody has it, and nobody asks for it");
        }
    }
    assert_eq!(history(&small(&shelf, None)).await, said);
    is_sound(&small(&shelf, None)).await;
}
