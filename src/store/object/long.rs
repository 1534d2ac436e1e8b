//! What a book does when it grows long: checkpoints, what is read of it for them, and compaction.

use super::bind::PAGES;
use super::contents::Contents;
use super::tests::{Shelf, append, holder, ids};
use super::*;
use crate::bucket::cloud::{Cloud, clouds};
use crate::journal::{CHECKPOINT_SCHEMA, Sealer, is_sealed_by};
use crate::review::User;

/// Bytes of entries after which these tests make a checkpoint.
const SMALL: usize = 2_000;

pub(super) fn small(shelf: &Shelf, key: Option<&Key>) -> ObjectStore {
    let store = shelf.open().sealed_by(key);
    held(&store.bench.desk).segment_bytes = SMALL;
    store
}

pub(super) fn run() -> Arc<str> {
    "run".into()
}

/// Held regions: something of them all is left in history.
pub(super) async fn grow(store: &ObjectStore, numbers: std::ops::Range<u64>) {
    for at in numbers {
        let region = format!("prod/r{at:03}").parse().expect("a region");
        let event = Event::Held { region, until_ms: None, reason: "x".repeat(200).into(), by: User("ann".into()) };
        store.append(vec![event], &run(), at, None).await.expect("it has room");
    }
}

pub(super) async fn history(store: &ObjectStore) -> String {
    serde_json::to_string(&store.history().await.expect("it is whole")).expect("JSON")
}

/// How many regions the history holds.
pub(super) async fn holds(store: &ObjectStore) -> Result<usize, StoreError> {
    store.history().await.map(|history| history.holds(0).len())
}

async fn folded(store: &ObjectStore) -> String {
    serde_json::to_string(&History::of(store.read().await.expect("it is whole"))).expect("JSON")
}

async fn numbers(store: &ObjectStore) -> (u64, u64, usize) {
    let entries = store.read().await.expect("it is whole");
    assert!(entries.windows(2).all(|two| two[0].seq + 1 == two[1].seq), "each once and in order");
    (entries[0].seq, entries[entries.len() - 1].seq, entries.len())
}

pub(super) async fn is_sound(store: &ObjectStore) {
    assert_eq!(store.audit(&[]).await.expect("readable").findings, []);
}

pub(super) async fn contents(shelf: &Shelf) -> Contents {
    serde_json::from_str(&shelf.text("contents.json").await).expect("contents")
}

/// What stands in the place of every page up to this one.
async fn pages_let_go(shelf: &Shelf) -> u64 {
    let mut gone = 0;
    while shelf.text(&page::name(gone + 1)).await.contains("\"compacted\":") {
        gone += 1;
    }
    gone
}

#[tokio::test]
async fn a_long_book_is_read_from_its_checkpoint_on_and_says_the_same() {
    for key in [None, Some(Key::new(b"k"))] {
        let shelf = Shelf::new();
        let store = small(&shelf, key.as_ref());
        grow(&store, 0..59).await;
        assert_eq!(shelf.names("checkpoints").await.len(), 2, "one more than the newest, for a reader who comes just now");
        let newest = contents(&shelf).await.checkpoints.pop().expect("one");

        // Nothing before the checkpoint is read: a reader does not even notice that it was changed. An audit does.
        let whole = [history(&store).await, folded(&small(&shelf, key.as_ref())).await];
        let oldest = contents(&shelf).await.volumes.remove(0);
        assert!(oldest.first < newest.seq);
        shelf.change(&oldest.name, "xxx", "yyy").await;
        let fresh = small(&shelf, key.as_ref());
        assert_eq!([history(&fresh).await, history(&fresh).await], whole);
        assert!(matches!(fresh.read().await, Err(StoreError::Broken { .. })));
        shelf.change(&oldest.name, "yyy", "xxx").await;

        let (one, two) = (small(&shelf, key.as_ref()), small(&shelf, key.as_ref()));
        for nth in 59..120 {
            grow(if nth % 7 < 3 { &one } else { &two }, nth..nth + 1).await;
            let now = contents(&shelf).await;
            assert!(now.checkpoints.iter().all(|kept| now.after(kept.seq).is_some()), "no volume reaches over one: {now:?}");
        }
        let audit = small(&shelf, key.as_ref()).audit(&[]).await.expect("readable");
        assert_eq!((audit.entries, audit.checkpoints, audit.findings), (120, 2, vec![]));
        assert_eq!(history(&small(&shelf, key.as_ref())).await, folded(&store).await);
        assert_eq!(numbers(&small(&shelf, key.as_ref())).await, (1, 120, 120));
    }
}

#[tokio::test]
async fn whoever_comes_new_reads_no_more_of_a_longer_book() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    let mut asked = Vec::new();
    for nth in 0..4 {
        grow(&store, nth * 50..nth * 50 + 50).await;
        let before = shelf.google().requests();
        small(&shelf, None).history().await.expect("it is whole");
        asked.push(shelf.google().requests() - before);
    }
    assert!(asked.iter().all(|asked| *asked < 20), "{asked:?} requests");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_used_is_read_past_and_made_anew() {
    let ours = Key::new(b"k");
    let forged = |text: &str, sealer: Option<&Sealer>| {
        let body = text.replace("xxx", "yyy");
        let end = body.find(",\"seal\"").or_else(|| body.find(",\"hash\"")).expect("it is closed");
        crate::journal::close(format!("{}}}", &body[..end]), sealer)
    };
    let other = Sealer::of_journal(&Key::new(b"other"));
    let newer = format!("{{\"schema\":{},\"history\":\"another shape\"}}", CHECKPOINT_SCHEMA + 1);
    let spoil: [&dyn Fn(&str) -> String; 6] = [
        &|text| text.replace("xxx", "yyy"),
        &|text| text[..text.len() / 2].into(),
        &|text| forged(text, None),
        &|text| forged(text, Some(&other)),
        &|_| crate::journal::close(newer.clone(), None),
        &|_| String::new(), // for: it is gone
    ];
    for (nth, spoil) in spoil.into_iter().enumerate() {
        let shelf = Shelf::new();
        grow(&small(&shelf, Some(&ours)), 0..42).await;
        let spoilt = contents(&shelf).await.checkpoints;
        for kept in &spoilt {
            let text = shelf.text(&kept.name).await;
            shelf.change(&kept.name, "", "").await;
            let text = spoil(&text);
            if !text.is_empty() {
                shelf.put(&kept.name, &text).await;
            }
        }
        let fresh = small(&shelf, Some(&ours));
        assert_eq!(history(&fresh).await, folded(&fresh).await, "spoilt {nth}");
        assert_eq!(contents(&shelf).await.checkpoints, spoilt, "readers make nothing");
        let audit = fresh.audit(&[]).await.expect("readable");
        let found: Vec<&str> = audit.findings.iter().map(|found| found.place.as_str()).collect();
        assert!(audit.chain_holds && found.iter().all(|place| place.contains("/checkpoints/")), "{audit:?}");
        assert_eq!((found.len(), audit.unseen.len()), [(2, 0), (2, 0), (2, 0), (2, 0), (0, 2), (0, 0)][nth], "spoilt {nth}");

        grow(&fresh, 42..42 + PAGES).await;
        let made = contents(&shelf).await.checkpoints;
        assert_eq!(made.len(), 1, "the next writer made one: spoilt {nth}");
        assert!(is_sealed_by(&shelf.text(&made[0].name).await, &Sealer::of_journal(&ours)));
        assert_eq!(history(&small(&shelf, Some(&ours))).await, folded(&fresh).await);
        is_sound(&fresh).await;
    }
}

#[tokio::test]
async fn a_checkpoint_that_the_book_does_not_follow_is_read_past() {
    let shelf = Shelf::new();
    let (store, elsewhere) = (small(&shelf, None), Shelf::new());
    grow(&store, 0..42).await;
    grow(&small(&elsewhere, None), 100..142).await;
    let (kept, other) = (contents(&shelf).await.checkpoints, contents(&elsewhere).await.checkpoints);
    for (kept, other) in kept.iter().zip(&other) {
        assert_eq!(kept.seq, other.seq);
        shelf.change(&kept.name, "", "").await;
        shelf.put(&kept.name, &elsewhere.text(&other.name).await).await;
    }
    assert_eq!(history(&small(&shelf, None)).await, folded(&store).await);
    assert_eq!(store.audit(&[]).await.map(|audit| audit.findings.len()), Ok(2));
}

#[tokio::test]
async fn a_key_that_begins_gets_a_checkpoint_of_its_own() {
    let (one, two) = (Key::new(b"one"), Key::new(b"two"));
    let shelf = Shelf::new();
    grow(&small(&shelf, Some(&one)), 0..41).await;
    let began = Event::KeyBegan { key: Sealer::of_journal(&two).id().clone(), by: User("ann".into()) };
    let store = small(&shelf, Some(&two));
    store.append(vec![began], &run(), 50, None).await.expect("it begins");
    let kept = contents(&shelf).await.checkpoints;
    assert_eq!(kept.iter().map(|kept| kept.seq).collect::<Vec<_>>(), [42], "of the key before, none is of use");
    assert_eq!(shelf.names("checkpoints").await.len(), 1);
    assert_eq!(holds(&small(&shelf, Some(&two))).await, Ok(41));
    assert_eq!(holds(&small(&shelf, None)).await, Ok(41));
    is_sound(&store).await;
}

/// Compacted entries are gone, what they folded into is there and proven, and it can be compacted further.
async fn compacts(open: impl Fn(Option<&Key>) -> ObjectStore, name: &str) -> (Vec<Entry>, Compacted) {
    let key = Key::new(b"k");
    let store = open(Some(&key));
    let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
    grow(&store, 0..40).await;
    let (watcher, late) = (open(Some(&key)), open(Some(&key)));
    assert_eq!(holds(&watcher).await, Ok(40));
    late.history().await.expect("whole");
    let before = store.read().await.expect("whole");
    let anchors: Vec<Anchor> =
        before.iter().map(|entry| format!("{}:{}", entry.seq, entry.hash).parse().expect("an anchor")).collect();

    let first = Event::Resumed { by: User("ann".into()) };
    let gone = store.compact(30, vec![first.clone()], &run(), 99).await.expect("it can");
    assert_eq!((gone.entries, gone.through, gone.segments), (30, 30, 1), "{name}");
    let (keyed, unkeyed) = (open(Some(&key)), open(None));
    // With the key the last of what is gone is met too; without it nothing vouches for what an entry after all anchors names.
    for (reader, met) in [(&store, 11), (&watcher, 11), (&keyed, 11), (&unkeyed, 0)] {
        assert_eq!(holds(reader).await, Ok(40), "{name}: nothing of the history is lost");
        assert_eq!(numbers(reader).await, (31, 42, 12), "{name}");
        assert_eq!(reader.holders().await.map(|held| held.len()), Ok(1), "{name}: nor who holds what");
        let audit = reader.audit(&anchors).await.expect("readable");
        assert_eq!((audit.findings, audit.anchored, audit.unproven.len()), (vec![], met, 40 - met), "{name}");
        assert!(audit.unseen.iter().any(|said| said.contains("the first 30 entries were compacted away")), "{name}");
    }
    assert_eq!(store.compact(30, vec![], &run(), 99).await, Ok(Compacted::default()), "{name}");

    grow(&late, 40..60).await;
    let again = watcher.compact(50, vec![first], &run(), 101).await.expect("it can");
    assert!(again.through > gone.through, "{name}: {again:?}");
    assert_eq!(holds(&open(Some(&key))).await, Ok(60), "{name}");
    assert_eq!(open(Some(&key)).audit(&[]).await.map(|audit| audit.findings), Ok(vec![]), "{name}");
    store.release(lease).await.expect("it is ours");
    assert_eq!(open(None).holders().await, Ok(vec![]), "{name}");
    (before, again)
}

#[tokio::test]
async fn old_entries_go_and_what_they_said_stays_and_is_proven() {
    for cloud in clouds() {
        let (dir, prefix) = (crate::scratch::dir(), crate::scratch::dir());
        let prefix = prefix.path().file_name().expect("it has a name").to_string_lossy().trim_start_matches('.').to_string();
        let open = |key: Option<&Key>| {
            let Cloud { url, variables, .. } = &cloud;
            let address = Address::parse(&format!("{url}/long/{prefix}")).expect("a scheme of ours").expect("a name");
            let buckets = Buckets::new(crate::bucket::Access::of(|name| variables.get(name).map(String::as_str)));
            let site = ObjectSite { address, buckets, locks: dir.path().join("locks") };
            let store = ObjectStore::open(site).expect("it asks nobody").sealed_by(key);
            held(&store.bench.desk).segment_bytes = SMALL;
            store
        };
        compacts(open, cloud.name).await;
    }
}

#[tokio::test]
async fn what_was_compacted_lies_nowhere_in_the_bucket_any_more() {
    let shelf = Shelf::new();
    let (before, gone) = compacts(|key| small(&shelf, key), "gs").await;
    let mut texts = Vec::new();
    for dir in ["pages", "volumes", "checkpoints", "bases"] {
        for name in shelf.names(dir).await {
            texts.push((format!("{dir}/{name}"), shelf.text(&format!("{dir}/{name}")).await));
        }
    }
    for entry in &before[..usize::try_from(gone.through).expect("it is small").min(before.len())] {
        // The line itself; what is known of keys is a line too, and kept.
        let line = entry.line();
        let holders: Vec<&String> =
            texts.iter().filter(|(_, text)| text.lines().any(|there| there == line)).map(|(name, _)| name).collect();
        assert_eq!(holders, [""; 0], "entry {}", entry.seq);
    }
    let bases = shelf.names("bases").await;
    assert_eq!((bases.len(), pages_let_go(&shelf).await > gone.through), (1, true), "the later one stands for both");
    assert!(shelf.names("pages").await.len() as u64 > pages_let_go(&shelf).await, "and every name is still used");
}

#[tokio::test]
async fn a_compacted_book_is_read_without_its_contents_and_gets_new_ones() {
    for key in [None, Some(Key::new(b"k"))] {
        let shelf = Shelf::new();
        let store = small(&shelf, key.as_ref());
        grow(&store, 0..40).await;
        store.compact(30, vec![], &run(), 99).await.expect("it can");
        let said = history(&store).await;
        for name in ["volumes", "checkpoints"] {
            for object in shelf.names(name).await {
                shelf.change(&format!("{name}/{object}"), "", "").await;
            }
        }
        shelf.change("contents.json", "", "").await;

        let fresh = small(&shelf, key.as_ref());
        assert_eq!(history(&fresh).await, said);
        assert_eq!(numbers(&fresh).await, (31, 41, 11));
        is_sound(&fresh).await;
        grow(&fresh, 40..40 + PAGES).await;
        let made = contents(&shelf).await;
        assert_eq!(made.base.map(|base| base.seq), Some(30));
        assert_eq!(numbers(&small(&shelf, key.as_ref())).await.0, 31);
        is_sound(&fresh).await;
        fresh.compact(35, vec![], &run(), 100).await.expect("and it can be compacted further");
        assert_eq!(holds(&small(&shelf, key.as_ref())).await, Ok(40 + PAGES as usize));
        is_sound(&fresh).await;
    }
}

#[tokio::test]
async fn whoever_knew_the_book_before_it_was_compacted_reads_and_writes_on() {
    let shelf = Shelf::new();
    let knows: Vec<ObjectStore> = (0..3).map(|_| small(&shelf, None)).collect();
    grow(&knows[0], 0..40).await;
    for store in &knows {
        assert_eq!(numbers(store).await, (1, 40, 40));
    }
    knows[2].compact(30, vec![], &run(), 99).await.expect("it can");
    assert_eq!(numbers(&knows[0]).await, (31, 41, 11), "its volumes are gone, and it finds the ones of now");
    grow(&knows[1], 40..40 + 2 * PAGES).await;
    assert_eq!(holds(&small(&shelf, None)).await, Ok(40 + 2 * PAGES as usize));
    assert_eq!(numbers(&knows[1]).await.0, 31);
    is_sound(&knows[0]).await;
}

#[tokio::test]
async fn who_slept_until_its_last_page_was_compacted_is_told_and_writes_nothing() {
    let shelf = Shelf::new();
    let sleeper = shelf.elsewhere();
    grow(&sleeper, 0..6).await;
    let store = small(&shelf, None);
    grow(&store, 6..40).await;
    store.compact(30, vec![], &run(), 99).await.expect("it can");
    for refused in [append(&sleeper, "late").await, sleeper.history().await.map(|_| 0)] {
        assert!(
            matches!(&refused, Err(StoreError::Io { what, hint: Some(_) }) if what.ends_with("compacted beyond entry 6, which we saw last")),
            "{refused:?}"
        );
    }
    assert_eq!(numbers(&small(&shelf, None)).await, (31, 41, 11));
}

#[tokio::test]
async fn a_made_up_base_is_no_base() {
    for key in [None, Some(Key::new(b"k"))] {
        for (from, to) in [("xxx", "yyy"), ("\"epoch\":0", "\"epoch\":7")] {
            let shelf = Shelf::new();
            let store = small(&shelf, key.as_ref());
            grow(&store, 0..40).await;
            store.compact(30, vec![], &run(), 99).await.expect("it can");
            let name = contents(&shelf).await.base.expect("it was compacted").name;
            let text = shelf.text(&name).await;
            let (stand, history) = text.trim_end().split_once('\n').expect("two lines");
            let body = history.replace(from, to);
            let body = crate::journal::close(format!("{}}}", &body[..body.rfind(",\"hash\"").expect("closed")]), None);
            shelf.change(&name, "", "").await;
            shelf.put(&name, &format!("{}\n{body}\n", stand.replace(from, to))).await;
            for kept in shelf.names("checkpoints").await {
                shelf.change(&format!("checkpoints/{kept}"), "", "").await;
            }
            let refused = holds(&small(&shelf, key.as_ref())).await;
            assert!(matches!(&refused, Err(StoreError::Broken { what, .. }) if what.contains("no entry says")), "{refused:?}");
            let audit = small(&shelf, key.as_ref()).audit(&[]).await.expect("readable");
            let named = audit.findings.iter().filter(|found| found.place.contains("/bases/")).count();
            assert!(!audit.chain_holds && named == 1, "{audit:?}");
            let refused = small(&shelf, key.as_ref()).compact(35, vec![], &run(), 100).await;
            assert!(matches!(refused, Err(StoreError::Broken { .. })), "nor is anything built on it: {refused:?}");
        }
    }
}

#[tokio::test]
async fn what_a_newer_version_kept_of_compacted_entries_is_not_called_broken() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..40).await;
    store.compact(30, vec![], &run(), 99).await.expect("it can");
    let name = contents(&shelf).await.base.expect("it was compacted").name;
    let stand = shelf.text(&name).await.lines().next().expect("two lines").to_string();
    let text = format!("{{\"schema\":{},\"history\":\"another shape\"}}", CHECKPOINT_SCHEMA + 1);
    shelf.change(&name, "", "").await;
    shelf.put(&name, &format!("{stand}\n{}\n", crate::journal::close(text, None))).await;
    for kept in shelf.names("checkpoints").await {
        shelf.change(&format!("checkpoints/{kept}"), "", "").await;
    }
    let newer = StoreError::Newer(CHECKPOINT_SCHEMA + 1);
    assert_eq!(small(&shelf, None).history().await.err(), Some(newer.clone()));
    assert_eq!(small(&shelf, None).audit(&[]).await, Err(newer));
}

#[tokio::test]
async fn whatever_is_changed_of_a_compacted_book_is_found_and_named() {
    let base = "bases/";
    for (name, from, to, says, holds) in [
        ("pages/000000000003.jsonl", "", "", "the page is gone", true),
        ("pages/000000000001.jsonl", "\"base\"", "\"other\"", "names nothing", false),
        ("contents.json", "\"epoch\":0", "\"epoch\":9", "not how things stood", true),
        ("contents.json", base, "bases/x", "it begins at bases/x", true),
        (base, "", "", "it is gone, and it stands for entries", false),
        (base, "\"epoch\":0", "\"epoch\":9", "no entry says", false),
        ("pages/000000000038.jsonl", "", "", "is gone", false),
    ] {
        let shelf = Shelf::new();
        let store = small(&shelf, None);
        grow(&store, 0..40).await;
        store.compact(30, vec![], &run(), 99).await.expect("it can");
        let name = if name == base { contents(&shelf).await.base.expect("compacted").name } else { name.to_string() };
        shelf.change(&name, from, to).await;
        let audit = small(&shelf, None).audit(&[]).await.expect("readable");
        assert_eq!(audit.chain_holds, holds, "{name} {from}: {audit:?}");
        let found = audit.findings.iter().filter(|found| found.what.contains(says)).count();
        assert_eq!(found, 1, "{name} {from}: {audit:?}");
    }
}

#[tokio::test]
async fn a_page_that_says_of_itself_that_it_was_compacted_is_a_broken_book() {
    let shelf = Shelf::new();
    grow(&small(&shelf, None), 0..PAGES + 2).await;
    let name = page::name(PAGES + 1);
    let text = shelf.text(&name).await;
    shelf.change(&name, &text, &page::LetGo::of(PAGES + 1, PAGES + 1).text()).await;
    let refused = holds(&small(&shelf, None)).await;
    assert!(matches!(&refused, Err(StoreError::Broken { what, .. }) if what.contains("the first page does not")), "{refused:?}");
    let audit = small(&shelf, None).audit(&[]).await.expect("readable");
    assert!(!audit.chain_holds && audit.findings.len() == 1, "{audit:?}");
}

#[tokio::test]
async fn a_bucket_that_locks_its_pages_keeps_all_entries_and_says_so() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..40).await;
    let before = shelf.everything();
    shelf.google().lock("j/pages", true);
    let refused = store.compact(30, vec![], &run(), 99).await;
    assert!(
        matches!(&refused, Err(StoreError::Io { what, hint: Some(hint) }) if what.contains("nothing was let go") && hint.contains("retention")),
        "{refused:?}"
    );
    assert_eq!(shelf.everything(), before, "and nothing else was done");
    shelf.google().lock("j/pages", false);
    assert_eq!(store.compact(30, vec![], &run(), 99).await.map(|gone| gone.through), Ok(30));
}

#[tokio::test]
async fn a_key_that_was_replaced_in_entries_that_are_gone_does_not_come_back() {
    let shelf = Shelf::new();
    let store = |key: &[u8]| small(&shelf, Some(&Key::new(key)));
    let began =
        |key: &[u8]| vec![Event::KeyBegan { key: Sealer::of_journal(&Key::new(key)).id().clone(), by: User("ann".into()) }];
    grow(&store(b"one"), 0..3).await;
    store(b"two").append(began(b"two"), &run(), 3, None).await.expect("it takes over");
    grow(&store(b"two"), 4..40).await;
    let gone = store(b"two").compact(30, vec![], &run(), 41).await.expect("it can");
    assert!(gone.through > 4, "{gone:?}");
    let back = store(b"one").append(began(b"one"), &run(), 42, None).await;
    let Err(StoreError::Io { what, .. }) = back else { panic!("{back:?}") };
    assert_eq!(what, "another key took over the journal from ISOBAR_KEY");
    is_sound(&store(b"two")).await;
}

#[tokio::test]
async fn nothing_is_compacted_where_nothing_is_old_nor_of_the_newest_pages() {
    let shelf = Shelf::new();
    let store = small(&shelf, None);
    grow(&store, 0..10).await;
    assert_eq!(store.compact(0, vec![], &run(), 99).await, Ok(Compacted::default()));
    assert_eq!(numbers(&store).await, (1, 10, 10));
    let gone = store.compact(1_000, vec![], &run(), 99).await.expect("it can");
    assert_eq!(gone.through, 10 - PAGES);
    assert_eq!(holds(&small(&shelf, None)).await, Ok(10));
}

#[tokio::test]
async fn what_stays_must_follow_what_is_compacted_or_nothing_is() {
    let shelf = Shelf::new();
    grow(&small(&shelf, None), 0..40).await;
    shelf.change("pages/000000000030.jsonl", "\"page\":30", "\"page\": 30").await; // whole in itself, and another text than page 31 knows
    let before = shelf.everything();
    let refused = small(&shelf, None).compact(30, vec![], &run(), 99).await;
    assert!(matches!(&refused, Err(StoreError::Broken { place, .. }) if place.contains("000000000031")), "{refused:?}");
    assert_eq!(shelf.everything(), before, "what proves it is still there");
}
