//! What only a bucket can suffer: answers that are lost, pages that go missing, services that forget their conditions or are full.

use super::bind::{PAGES, SMALL_MAX};
use super::*;
use crate::bucket::cloud::google::{Google, Trouble};
use crate::bucket::{Access, Bucket};
use crate::change::Digest;
use crate::journal::{Chain, SCHEMA};
use crate::review::User;
use serde_json::json;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// A server that nobody else speaks to, and this machine.
pub(super) struct Shelf {
    google: Google,
    buckets: Buckets,
    dir: TempDir,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let google = Google::start();
        let cloud = google.cloud();
        let buckets = Buckets::new(Access::of(|name| cloud.variables.get(name).map(String::as_str)));
        Self { google, buckets, dir: crate::scratch::dir() }
    }

    pub(super) fn google(&self) -> &Google {
        &self.google
    }

    /// Opens the journal as another process would.
    pub(super) fn open(&self) -> ObjectStore {
        let address = Address::parse("gs://isobar-tests/j").expect("a scheme of ours").expect("a name");
        let site = ObjectSite { address, buckets: self.buckets.clone(), locks: self.dir.path().join("locks") };
        ObjectStore::open(site).expect("it asks nobody")
    }

    /// The same, where what was left by processes of this machine says nothing.
    pub(super) fn elsewhere(&self) -> ObjectStore {
        let store = self.open();
        held(&store.bench.desk).move_to(self.dir.path().join("elsewhere"));
        store
    }

    pub(super) fn bucket(&self) -> Bucket {
        let address = Address::parse("gs://isobar-tests/j").expect("a scheme of ours").expect("a name");
        self.buckets.open(&address.container).expect("it asks nobody")
    }

    /// Removes an object, as nobody should.
    async fn remove(&self, name: &str) {
        let (bucket, key) = (self.bucket(), format!("j/{name}"));
        let object = bucket.get(&key, 1 << 20).await.expect("readable").expect("it is there");
        bucket.delete(&key, &object.version).await.expect("it can go");
    }

    pub(super) async fn put(&self, name: &str, text: &str) {
        self.bucket().put(&format!("j/{name}"), text.as_bytes(), None).await.expect("nobody has it");
    }

    pub(super) async fn text(&self, name: &str) -> String {
        let object = self.bucket().get(&format!("j/{name}"), 1 << 20).await.expect("readable").expect("it is there");
        String::from_utf8(object.bytes).expect("a text")
    }

    /// The same of what may not be there.
    pub(super) async fn found(&self, name: &str) -> Option<String> {
        let object = self.bucket().get(&format!("j/{name}"), 1 << 20).await.expect("readable")?;
        Some(String::from_utf8(object.bytes).expect("a text"))
    }

    /// Everything below the prefix, by its name from there.
    pub(super) fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        self.google.objects().below("j/").into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
    }

    /// Replaces a part of an object by another, as nobody should; the whole of it by nothing.
    pub(super) async fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name).await;
        assert!(text.contains(from), "{name}: {text}");
        self.remove(name).await;
        if !from.is_empty() {
            self.put(name, &text.replacen(from, to, 1)).await;
        }
    }

    pub(super) async fn names(&self, dir: &str) -> Vec<String> {
        self.bucket().list(&format!("j/{dir}"), 1_000).await.expect("it can be listed").objects
    }

    async fn reasons(&self) -> Vec<String> {
        let reason = |entry: &Entry| match &entry.event {
            Event::Paused { reason, .. } | Event::Freed { reason, .. } => reason.to_string(),
            other => panic!("nobody appended {other:?}"),
        };
        self.open().read().await.expect("it is whole").iter().map(reason).collect()
    }
}

pub(super) fn paused(reason: &str) -> Event {
    Event::Paused { by: User("ann".into()), reason: reason.into() }
}

pub(super) fn holder(run: &str) -> Holder {
    Holder { run: run.into(), host: "here".into(), pid: std::process::id(), since_ms: 5, job: None }
}

pub(super) fn ids(targets: &[&str]) -> Vec<TargetId> {
    targets.iter().map(|target| target.parse().expect("a target")).collect()
}

pub(super) async fn append(store: &ObjectStore, reason: &str) -> Result<usize, StoreError> {
    store.append(vec![paused(reason)], &"run".into(), 7, None).await.map(|entries| entries.len())
}

pub(super) fn stored(at_ms: u64) -> Stored {
    crate::store::cases::stored(&format!("{at_ms:07x}"), at_ms)
}

fn is_broken<T>(read: &Result<T, StoreError>) -> bool {
    matches!(read, Err(StoreError::Broken { .. }))
}

#[tokio::test]
async fn a_page_whose_answer_is_lost_is_there_once() {
    use Trouble::{Answer, LoseAnswer, LoseRequest};
    for troubles in [
        &[LoseAnswer] as &[Trouble],
        &[LoseRequest],
        &[LoseRequest, LoseAnswer, LoseAnswer],
        &[Answer(503), LoseAnswer],
        &[LoseAnswer, Answer(503)],
        &[LoseAnswer, Answer(503), Answer(503), Answer(503), Answer(503), Answer(503)], // never answered, and there
    ] {
        let shelf = Shelf::new();
        let store = shelf.open();
        append(&store, "a").await.expect("it has room");
        shelf.google.troubles(troubles);
        assert_eq!(append(&store, "b").await, Ok(1), "{troubles:?}");
        assert_eq!(append(&store, "c").await, Ok(1), "{troubles:?}");
        assert_eq!(shelf.reasons().await, ["a", "b", "c"], "{troubles:?}");
    }
}

#[tokio::test]
async fn a_request_that_was_lost_while_somebody_else_wrote_is_written_after_it() {
    let shelf = Shelf::new();
    let (slow, quick) = (shelf.open(), shelf.open());
    append(&slow, "a").await.expect("it has room");
    append(&quick, "b").await.expect("it has room");
    shelf.google.troubles(&[Trouble::LoseRequest]);
    assert_eq!(append(&slow, "c").await, Ok(1));
    assert_eq!(shelf.reasons().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn who_is_never_answered_is_told_that_nobody_knows() {
    let shelf = Shelf::new();
    let store = shelf.open();
    append(&store, "a").await.expect("it has room");
    shelf.google.troubles(&[Trouble::LoseRequest; 6]);
    let refused = append(&store, "b").await;
    assert!(matches!(&refused, Err(StoreError::Io { what, hint: Some(_) }) if what.contains("not sure")), "{refused:?}");
    append(&store, "c").await.expect("it goes on");
    assert_eq!(shelf.reasons().await, ["a", "c"]);
}

#[tokio::test]
async fn a_service_without_room_says_so_and_nothing_is_in_doubt() {
    let shelf = Shelf::new();
    let store = shelf.open();
    append(&store, "a").await.expect("it has room");
    shelf.google.troubles(&[Trouble::Answer(507)]);
    let refused = append(&store, "b").await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("no room") && !what.contains("not sure")));
    append(&store, "c").await.expect("somebody made room");
    assert_eq!(shelf.reasons().await, ["a", "c"]);
}

#[tokio::test]
async fn a_service_that_forgets_its_conditions_gets_no_page() {
    let shelf = Shelf::new();
    shelf.google.forget_conditions();
    let refused = append(&shelf.open(), "a").await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("conditional writes")), "{refused:?}");
    assert!(shelf.open().may_append().await.is_err());
    assert_eq!(shelf.names("pages").await, [""; 0]);
}

#[tokio::test]
async fn leases_survive_lost_answers_too() {
    let shelf = Shelf::new();
    let store = shelf.open();
    append(&store, "a").await.expect("it has room");
    shelf.google.troubles(&[Trouble::LoseAnswer]);
    let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
    assert_eq!(shelf.open().holders().await.map(|held| held.len()), Ok(1));
    shelf.google.troubles(&[Trouble::LoseAnswer, Trouble::LoseRequest]);
    store.release(lease).await.expect("it is ours");
    assert_eq!(shelf.open().holders().await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_lose_nothing() {
    let shelf = Shelf::new();
    let write = |(nth, store): (usize, ObjectStore)| async move {
        for at in 0..4 {
            append(&store, &format!("{nth:02} {at}")).await.expect("somebody gets on, and so do all");
        }
    };
    let tasks: Vec<_> = (0..16).map(|nth| tokio::spawn(write((nth, shelf.open())))).collect();
    for task in tasks {
        task.await.expect("it wrote");
    }
    let mut read = shelf.reasons().await;
    read.sort();
    let expected: Vec<String> = (0..16).flat_map(|nth| (0..4).map(move |at| format!("{nth:02} {at}"))).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn whoever_comes_new_reads_few_objects_however_many_pages_there_are() {
    let shelf = Shelf::new();
    let stores = [shelf.open(), shelf.open(), shelf.open()];
    let lease = stores[0].acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
    let pages = PAGES as usize * (SMALL_MAX + 1) * 3 + 1;
    for at in 0..pages {
        append(&stores[at % 3], &format!("{at:04}")).await.expect("it has room");
    }
    let before = shelf.google.requests();
    let store = shelf.open();
    let read = store.read().await.expect("it is whole");
    assert!(read.iter().map(|entry| entry.seq).eq(1..=pages as u64));
    let volumes = held(&store.bench.desk).book.contents.volumes.len();
    assert!((1..=SMALL_MAX + 1).contains(&volumes), "{volumes} volumes");
    let asked = shelf.google.requests() - before;
    assert!(asked <= 1 + 2 * volumes + 3 * PAGES as usize, "{asked} requests for {volumes} volumes");
    assert_eq!(shelf.open().holders().await.map(|held| held.len()), Ok(1), "what is bound still counts");
    stores[1].release(lease).await.expect("anybody may give it back");

    for store in &stores {
        assert_eq!(store.read().await.as_ref(), Ok(&read), "those who were there all the time see the same");
    }
    let before = shelf.google.requests();
    store.history().await.expect("it is whole");
    assert_eq!(shelf.google.requests() - before, 2, "the release, which was left here, and the next page, which is not there");
    let before = shelf.google.requests();
    store.history().await.expect("it is whole");
    assert_eq!(shelf.google.requests() - before, 2, "the last page and the next, which is not there");
}

#[tokio::test]
async fn an_entry_is_one_request_and_many_at_once_are_one() {
    let shelf = Shelf::new();
    let (store, run) = (shelf.open(), Arc::from("run"));
    append(&store, "a").await.expect("it has room");
    let before = shelf.google.requests();
    append(&store, "b").await.expect("it has room");
    assert_eq!(shelf.google.requests() - before, 1);
    let many = (0..50).map(|at| store.append(vec![paused(&at.to_string())], &run, 7, None));
    let before = shelf.google.requests();
    for written in futures::future::join_all(many).await {
        written.expect("it has room");
    }
    assert!(shelf.google.requests() - before <= 6, "{}", shelf.google.requests() - before);
}

#[tokio::test]
async fn who_writes_after_another_process_of_this_machine_reads_its_page_first() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.open(), shelf.open());
    for store in [&one, &other] {
        append(store, "a").await.expect("it has room");
    }
    let before = shelf.google.requests();
    append(&one, "b").await.expect("it has room");
    assert_eq!(shelf.google.requests() - before, 2, "the page that came, to see that it is there, and its own");
    let stranger = shelf.elsewhere();
    assert_eq!(stranger.history().await.map(|history| history.head().map(|(seq, _)| seq)), Ok(Some(3)));
    let before = shelf.google.requests();
    append(&one, "c").await.expect("it has room");
    append(&stranger, "d").await.expect("it has room");
    assert!(shelf.google.requests() - before > 2, "another machine asks the service");
}

/// What others of this machine left tells of a page that the bucket has lost since.
#[tokio::test]
async fn nothing_is_written_behind_a_page_that_is_gone_from_the_bucket() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.open(), shelf.open());
    for store in [&one, &other] {
        append(store, "a").await.expect("it has room");
    }
    shelf.remove("pages/000000000002.jsonl").await;
    let refused = append(&one, "b").await;
    assert!(is_broken(&refused), "{refused:?}");
    assert_eq!(shelf.names("pages").await.len(), 1, "no page stands behind a gap");
}

#[tokio::test]
async fn what_stops_a_binding_stops_no_entry() {
    for trouble in [Trouble::Answer(403), Trouble::LoseAnswer] {
        for at in 1..=2 {
            let shelf = Shelf::new();
            let store = shelf.open();
            for page in 1..PAGES {
                append(&store, &page.to_string()).await.expect("it has room");
            }
            // The page, then the volume, then the contents.
            shelf.google.troubles(&vec![Trouble::None; at]);
            shelf.google.troubles(&[trouble]);
            append(&store, "last").await.expect("it has room");
            assert_eq!(shelf.reasons().await.len(), PAGES as usize);
            for page in 0..PAGES {
                append(&store, &page.to_string()).await.expect("it has room");
            }
            assert_eq!(shelf.reasons().await.len(), 2 * PAGES as usize);
            assert!(!shelf.names("volumes").await.is_empty());
        }
    }
}

#[tokio::test]
async fn without_contents_all_pages_are_read() {
    let shelf = Shelf::new();
    let store = shelf.open();
    for page in 0..PAGES + 2 {
        append(&store, &page.to_string()).await.expect("it has room");
    }
    shelf.remove("contents.json").await;
    assert_eq!(shelf.reasons().await.len(), PAGES as usize + 2);
    append(&shelf.open(), "more").await.expect("it goes on");
}

#[tokio::test]
async fn a_page_or_a_volume_that_is_gone_is_a_broken_journal() {
    let shelf = Shelf::new();
    let store = shelf.open();
    for page in 1..=PAGES + 3 {
        append(&store, &page.to_string()).await.expect("it has room");
    }
    let gone = format!("pages/{:012}.jsonl", PAGES + 1);
    shelf.remove(&gone).await;
    assert!(is_broken(&shelf.open().read().await));
    assert!(is_broken(&append(&shelf.open(), "x").await));

    let shelf = Shelf::new();
    let store = shelf.open();
    for page in 1..=PAGES {
        append(&store, &page.to_string()).await.expect("it has room");
    }
    let volume = shelf.names("volumes").await.remove(0);
    shelf.remove(&format!("volumes/{volume}")).await;
    assert!(is_broken(&shelf.open().read().await));
}

#[tokio::test]
async fn a_journal_that_was_put_back_is_broken_for_who_knew_more() {
    let shelf = Shelf::new();
    let knows = shelf.open();
    append(&knows, "a").await.expect("it has room");
    append(&knows, "b").await.expect("it has room");
    shelf.remove("pages/000000000002.jsonl").await;
    assert!(is_broken(&knows.history().await));
    assert!(is_broken(&append(&knows, "x").await), "nor does it write on it");

    let knows = shelf.open();
    append(&knows, "c").await.expect("who knows nothing sees a book that holds");
    shelf.remove("pages/000000000002.jsonl").await;
    append(&shelf.open(), "d").await.expect("another page");
    assert!(is_broken(&knows.history().await));
}

#[tokio::test]
async fn a_login_page_is_no_empty_journal_and_no_broken_one() {
    let shelf = Shelf::new();
    let knows = shelf.open();
    append(&knows, "a").await.expect("it has room");
    shelf.google.be_a_web_page(true);
    let fresh = shelf.open();
    let told = [
        fresh.read().await.map(drop),
        fresh.is_empty().await.map(drop),
        fresh.history().await.map(drop),
        fresh.holders().await.map(drop),
        fresh.saved().await.map(drop),
        fresh.audit(&[]).await.map(drop),
        knows.history().await.map(drop),
        append(&knows, "b").await.map(drop),
        append(&fresh, "b").await.map(drop),
    ];
    for (nth, told) in told.into_iter().enumerate() {
        let Err(StoreError::Io { what, hint: Some(_) }) = &told else { panic!("{nth}: {told:?}") };
        assert!(what.contains("a web page was answered, and no object store"), "{nth}: {what}");
        assert!(what.contains("gs://isobar-tests/j/"), "{nth}: {what}");
    }
    shelf.google.be_a_web_page(false);
    append(&knows, "c").await.expect("it goes on");
    assert_eq!(shelf.reasons().await, ["a", "c"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_readers_and_writers() {
    let after = Digest::of("pages", &["none"]);
    let mut entry = Chain::empty().seal(paused("a"), &"run".into(), 7);
    entry.schema = SCHEMA + 1;
    let text = |schema: u32, lines: &str| format!("{}\n{lines}", json!({ "schema": schema, "page": 1, "after": after }));
    for (name, text, schema) in [
        ("pages/000000000001.jsonl", text(page::SCHEMA + 1, ""), page::SCHEMA + 1),
        ("pages/000000000001.jsonl", text(1, &format!("{}\n", entry.line())), SCHEMA + 1),
        ("contents.json", json!({ "schema": page::SCHEMA + 1, "checkpoint": "x" }).to_string(), page::SCHEMA + 1),
    ] {
        let shelf = Shelf::new();
        shelf.put(name, &text).await;
        assert_eq!(shelf.open().read().await, Err(StoreError::Newer(schema)), "{text}");
        assert_eq!(append(&shelf.open(), "b").await, Err(StoreError::Newer(schema)), "{text}");
    }
}

#[tokio::test]
async fn a_page_that_is_cut_short_or_from_elsewhere_is_a_broken_journal() {
    let shelf = Shelf::new();
    append(&shelf.open(), "a").await.expect("it has room");
    let page = shelf.bucket().get("j/pages/000000000001.jsonl", 1 << 20).await.expect("readable").expect("it is there");
    let text = String::from_utf8(page.bytes).expect("a text");
    for wrong in [&text[..text.len() - 1], &text[..20], "", &text] {
        let shelf = Shelf::new();
        append(&shelf.open(), "a").await.expect("it has room");
        shelf.put("pages/000000000002.jsonl", wrong).await;
        assert!(is_broken(&shelf.open().read().await), "{wrong:?}");
        assert!(is_broken(&append(&shelf.open(), "b").await), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_another_machine_holds_is_freed_by_the_word_of_somebody_and_not_by_time() {
    let shelf = Shelf::new();
    let lease = shelf.open().acquire(&ids(&["a@prod/x", "b@prod/x"]), holder("one")).await.expect("nobody has them");
    std::mem::forget(lease);
    let elsewhere = shelf.elsewhere();
    let refused = elsewhere.acquire(&ids(&["b@prod/x"]), holder("two")).await.err();
    let target = ids(&["b@prod/x"]).remove(0);
    assert_eq!(refused, Some(StoreError::Held { target, holder: Box::new(holder("one")), is_proven: false }));

    let freed = || Event::Freed { of: "one".into(), by: User("ann".into()), reason: "its job was cancelled".into() };
    shelf.google.troubles(&[Trouble::LoseAnswer]);
    assert_eq!(elsewhere.free("one", freed(), &"two".into(), 9).await, Ok(ids(&["a@prod/x", "b@prod/x"])));
    assert_eq!(shelf.reasons().await, ["its job was cancelled"]);
    assert!(elsewhere.acquire(&ids(&["b@prod/x"]), holder("two")).await.is_ok());
    assert!(elsewhere.free("one", freed(), &"two".into(), 9).await.is_err(), "once is enough");
}

#[tokio::test]
async fn of_one_change_fifty_sets_are_kept_beside_the_book_and_the_oldest_goes() {
    let shelf = Shelf::new();
    let store = shelf.open();
    for at_ms in 0..53 {
        store.save(&Stored { change: Some(12), ..stored(at_ms) }).await.expect("it has room");
    }
    store.save(&Stored { change: Some(12), at_ms: 60, first_ms: 60, ..stored(3) }).await.expect("it has room");
    let kept: Vec<(u64, u64)> = store.saved().await.expect("readable").iter().map(|set| (set.first_ms, set.at_ms)).collect();
    let expected: Vec<(u64, u64)> = (4..53).map(|at_ms| (at_ms, at_ms)).chain([(3, 60)]).collect();
    assert_eq!(kept, expected);
    assert_eq!((shelf.names("previews").await.len(), shelf.names("pages").await.len()), (50, 0));
}
