//! What somebody can do who may write to the bucket, and whether an audit finds it.

use super::bind::PAGES;
use super::contents::Named;
use super::long::{contents, grow, is_sound, run, small};
use super::tests::{Shelf, append, ids, stored};
use super::*;
use crate::change::Digest;

fn key() -> Key {
    Key::new(b"k")
}

/// A sealed book of which [`PAGES`] pages are bound, and one is not.
async fn book() -> Shelf {
    let shelf = Shelf::new();
    let store = shelf.open().sealed_by(Some(&key()));
    store.save(&stored(1)).await.expect("it has room");
    for page in 0..=PAGES {
        append(&store, &format!("lunch {page}")).await.expect("it has room");
    }
    shelf
}

async fn audit(shelf: &Shelf) -> Audit {
    shelf.open().sealed_by(Some(&key())).audit(&[]).await.expect("readable")
}

#[tokio::test]
async fn what_nobody_touched_is_proven_with_every_seal() {
    let shelf = book().await;
    let audit = audit(&shelf).await;
    assert_eq!((audit.findings.as_slice(), audit.chain_holds), (&[] as &[_], true));
    assert_eq!((audit.entries, audit.sealed, audit.previews), (PAGES + 1, PAGES + 1, 1));
}

#[tokio::test]
async fn whatever_is_changed_or_gone_is_found_once_and_named() {
    let volume = book().await.names("volumes").await.remove(0);
    let preview = book().await.names("previews").await.remove(0);
    for (name, from, to, says, holds) in [
        ("pages/000000000002.jsonl", "lunch 1", "lunch 2", "the line", false),
        ("pages/000000000001.jsonl", "\"page\":1", "\"page\":1,\"ended\":[7]", "does not follow", false),
        ("pages/000000000003.jsonl", "", "", "is gone", false),
        ("pages/000000000004.jsonl", "", "", "is gone", false),
        (&format!("volumes/{volume}"), "lunch 1", "lunch 2", "not what the pages say", true),
        (&format!("volumes/{volume}"), "", "", "is gone", true),
        ("contents.json", "\"epoch\":0", "\"epoch\":9", "not how things stood", true),
        ("contents.json", "\"epoch\":0", "\"epoch\":x", "expected", true),
        (&format!("previews/{preview}"), "\"base\":\"base\"", "\"base\":\"bAse\"", "did not seal", true),
    ] {
        let shelf = book().await;
        shelf.change(name, from, to).await;
        let audit = audit(&shelf).await;
        assert_eq!((audit.findings.len(), audit.chain_holds), (1, holds), "{name}: {audit:?}");
        let finding = &audit.findings[0];
        assert!(format!("{} {}", finding.what, finding.means).contains(says), "{name}: {finding:?}");
        assert!(finding.place.starts_with("gs://isobar-tests/j/"), "{finding:?}");
    }
}

#[tokio::test]
async fn pages_that_fit_but_were_written_without_the_key_are_refused_by_whoever_has_it() {
    let shelf = book().await;
    let page = shelf.text(&page::name(PAGES + 1)).await;
    let after = Digest::of_bytes(page.as_bytes());
    let text = page.lines().last().expect("an entry");
    let last = Entry::read(text).expect("an entry");
    let mut chain = crate::journal::Chain::after(last.seq, last.hash, crate::journal::Seals::None);
    let forged = chain.seal(tests::paused("no more"), &"run".into(), 7);
    let head = serde_json::json!({ "schema": 1, "page": PAGES + 2, "after": after });
    shelf.put(&page::name(PAGES + 2), &format!("{head}\n{}\n", forged.line())).await;

    let audit = audit(&shelf).await;
    assert!(!audit.chain_holds && audit.findings.len() == 1, "{audit:?}");
    let read = shelf.open().sealed_by(Some(&key())).history().await;
    assert!(matches!(read, Err(StoreError::Broken { .. })), "{read:?}");
}

#[tokio::test]
async fn who_has_no_key_replaces_no_sealed_previews_and_who_has_one_believes_no_others() {
    let shelf = book().await;
    let keyed = shelf.open().sealed_by(Some(&key()));
    shelf.open().save(&Stored { at_ms: 9, ..stored(1) }).await.expect("nothing to do");
    shelf.open().save(&stored(2)).await.expect("it has room");
    assert_eq!(keyed.saved().await, Ok(vec![stored(1)]));
    assert_eq!(shelf.open().saved().await, Ok(vec![stored(1), stored(2)]));
    keyed.save(&Stored { at_ms: 9, first_ms: 9, ..stored(2) }).await.expect("it has room");
    let shown = Stored { at_ms: 9, first_ms: 9, ..stored(2) };
    assert_eq!(keyed.saved().await, Ok(vec![stored(1), shown]), "and takes no word for when it was shown first");
}

#[tokio::test]
async fn nobody_frees_a_run_without_the_key_of_a_sealed_book() {
    let shelf = book().await;
    let lease = shelf.open().acquire(&ids(&["a@prod/x"]), tests::holder("one")).await.expect("nobody has it");
    std::mem::forget(lease);
    let refused = shelf.elsewhere().free("one", tests::paused("gone"), &"two".into(), 9).await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("ISOBAR_KEY")), "{refused:?}");
    assert_eq!(shelf.elsewhere().holders().await.map(|held| held.len()), Ok(1));
}

/// The newest head, as a report names it.
async fn head(store: &ObjectStore) -> Vec<Anchor> {
    let (seq, hash) = store.audit(&[]).await.expect("readable").head.expect("it has entries");
    vec![format!("{seq}:{hash}").parse().expect("an anchor")]
}

/// How many anchors were met, cannot be told, and are found to be wrong.
async fn weighed(store: &ObjectStore, anchors: &[Anchor]) -> (usize, usize, usize) {
    let audit = store.audit(anchors).await.expect("readable");
    (audit.anchored, audit.unproven.len(), audit.findings.len())
}

#[tokio::test]
async fn a_book_that_was_made_up_and_compacted_beyond_an_anchor_is_not_verified() {
    let (shelf, other) = (Shelf::new(), Shelf::new());
    grow(&small(&shelf, None), 0..20).await;
    let anchor = head(&small(&shelf, None)).await;
    let made_up = small(&other, None);
    grow(&made_up, 100..140).await;
    made_up.compact(130, vec![], &run(), 999).await.expect("it can");
    assert_eq!(weighed(&made_up, &anchor).await, (0, 1, 0));
    assert_eq!(weighed(&small(&other, Some(&key())), &anchor).await, (0, 1, 1), "and with the key it is found");
}

/// The second line of a base with another history in it, closed again.
fn forged(base: &str) -> (&str, String) {
    let (stand, history) = base.trim_end().split_once('\n').expect("two lines");
    let body = history.replace("xxx", "yyy");
    (stand, crate::journal::close(format!("{}}}", &body[..body.rfind(",\"hash\"").expect("closed")]), None))
}

#[tokio::test]
async fn what_stands_for_entries_is_proven_by_no_anchor_that_is_older_than_the_entry_that_names_it() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..40).await;
    store.compact(30, vec![], &run(), 99).await.expect("it can");
    let anchor = head(&store).await;
    assert_eq!(weighed(&store, &anchor).await, (1, 0, 0));

    let named = contents(&shelf).await.base.expect("it was compacted");
    let text = shelf.text(&named.name).await;
    let (stand, history) = forged(&text);
    let text = format!("{stand}\n{history}\n");
    let head = Digest::of_bytes(b"nobody looks at this one");
    let says = Event::Compacted { through: named.seq, head, base: Digest::of_bytes(text.as_bytes()) };
    small(&shelf, None).append(vec![says], &run(), 100, None).await.expect("whoever can write can do that");
    shelf.change(&named.name, "", "").await;
    shelf.put(&named.name, &text).await;
    for kept in shelf.names("checkpoints").await {
        shelf.change(&format!("checkpoints/{kept}"), "", "").await;
    }
    assert_eq!(weighed(&small(&shelf, None), &anchor).await, (0, 1, 0));
}

#[tokio::test]
async fn contents_that_hide_a_compaction_behind_a_checkpoint_are_found() {
    for has_base in [false, true] {
        let shelf = Shelf::new();
        let store = small(&shelf, None);
        grow(&store, 0..40).await;
        store.compact(30, vec![], &run(), 99).await.expect("it can");
        is_sound(&store).await;
        let is = contents(&shelf).await;
        let base = is.base.clone().expect("it was compacted");
        let text = shelf.text(&base.name).await;
        let kept = Named { name: "checkpoints/000000000030-x.json".into(), seq: base.seq };
        shelf.put(&kept.name, &forged(&text).1).await;
        let volumes = is.volumes.clone();
        let lies = is.with(Some(base).filter(|_| has_base), vec![kept], volumes);
        shelf.change("contents.json", "", "").await;
        shelf.put("contents.json", &serde_json::to_string(&lies).expect("JSON")).await;
        let found = small(&shelf, None).audit(&[]).await.expect("readable").findings;
        assert!(found.len() == 1 && found[0].place.ends_with("contents.json"), "{found:?}");
    }
}
