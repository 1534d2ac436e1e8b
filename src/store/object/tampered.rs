//! What somebody can do who may write to the bucket, and whether an audit finds it.

use super::bind::PAGES;
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
