//! Journals that grew: closed segments, checkpoints, compaction, keys that begin and follow one another, and a death at every
//! step of it.

use super::disk::Pen;
use super::*;
use crate::journal::{CHECKPOINT_SCHEMA, Checkpoint, Sealer};
use crate::review::User;
use crate::scratch;
use crate::stack::RegionId;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes after which a tail is closed here: after every third entry or so.
const SMALL: u64 = 600;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes())
}

fn with(dir: &Path, pen: Pen, key: Option<&Key>) -> FileStore {
    FileStore::with_pen(dir.to_path_buf(), pen, SMALL).expect("a directory or nothing").sealed_by(key)
}

/// Opens the journal as another process would, with a tail that is closed soon.
pub(super) fn small(dir: &Path, key: Option<&Key>) -> FileStore {
    with(dir, Pen::default(), key)
}

fn run() -> Arc<str> {
    "run".into()
}

/// Holds one more region, so that the history shows how many entries it has.
pub(super) fn held(nth: u64) -> Event {
    let region: RegionId = format!("prod/r{nth}").parse().expect("a region");
    Event::Held { region, until_ms: None, reason: "move".into(), by: User("ann".into()) }
}

pub(super) async fn grow(store: &FileStore, from: u64, to: u64) {
    for nth in from..to {
        store.append(vec![held(nth)], &run(), nth, None).await.expect("it has room");
    }
}

fn began(key: &Key) -> Event {
    Event::KeyBegan { key: Sealer::of_journal(key).id().clone(), by: User("ann".into()) }
}

/// How many entries the history knows, by what they did.
async fn holds(store: &FileStore) -> Result<usize, StoreError> {
    store.history().await.map(|history| history.holds(0).len())
}

fn names(dir: &Path, below: &str) -> Vec<String> {
    let paths = disk::list(&dir.join(below)).expect("readable");
    paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

/// Everything in a directory, by its path from there.
pub(super) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(at) = dirs.pop() {
        for path in disk::list(&at).expect("readable") {
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                all.insert(path.strip_prefix(dir).expect("it is below").to_path_buf(), bytes);
            }
        }
    }
    all
}

async fn is_sound(store: &FileStore) {
    let audit = store.audit(&[]).await.expect("readable");
    assert_eq!(audit.findings, []);
}

#[tokio::test]
async fn a_long_tail_is_closed_and_reading_begins_at_the_checkpoint() {
    let dir = scratch::dir();
    let store = small(dir.path(), None);
    grow(&store, 0, 20).await;
    let segments = names(dir.path(), "segments");
    assert!(segments.len() > 4, "{segments:?}");
    assert_eq!(names(dir.path(), "checkpoints").len(), 2, "one more than the newest, for a reader who has just listed it");

    assert_eq!(holds(&small(dir.path(), None)).await, Ok(20));
    assert_eq!(small(dir.path(), None).read().await.map(|entries| entries.len()), Ok(20));
    is_sound(&store).await;

    // Nothing before the checkpoint is read: a reader does not even notice that it was changed. `audit verify` does.
    let oldest = dir.path().join("segments").join(&segments[0]);
    std::fs::write(&oldest, "no entries\n").expect("it has room");
    assert_eq!(holds(&small(dir.path(), None)).await, Ok(20));
    let audit = small(dir.path(), None).audit(&[]).await.expect("readable");
    assert_eq!(audit.findings.first().map(|found| found.place.clone()), Some(format!("{}:1", oldest.display())));
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_used_is_made_anew() {
    let forge = |text: &str| text.replace("\"reason\":\"move\"", "\"reason\":\"lies\"");
    let newer = |_: &str| crate::journal::close(format!(r#"{{"schema":{},"history":9}}"#, CHECKPOINT_SCHEMA + 1), None);
    let cut = |text: &str| text[..text.len() / 2].to_string();
    for (nth, spoil) in [&forge as &dyn Fn(&str) -> String, &newer, &cut, &|_: &str| String::new()].into_iter().enumerate() {
        let dir = scratch::dir();
        grow(&small(dir.path(), None), 0, 20).await;
        for name in names(dir.path(), "checkpoints") {
            let path = dir.path().join("checkpoints").join(name);
            let text = std::fs::read_to_string(&path).expect("text");
            std::fs::write(&path, spoil(&text)).expect("it has room");
        }
        let spoilt = files(&dir.path().join("checkpoints"));
        let store = small(dir.path(), None);
        let history = store.history().await.expect("the entries are there");
        assert_eq!(history.holds(0).iter().filter(|hold| &*hold.reason == "move").count(), 20, "spoilt {nth}");
        assert_eq!(files(&dir.path().join("checkpoints")), spoilt, "readers make nothing");
        grow(&store, 20, 21).await;
        let newest = names(dir.path(), "checkpoints").pop().expect("one");
        let text = std::fs::read_to_string(dir.path().join("checkpoints").join(newest)).expect("text");
        assert!(Checkpoint::read(&text).is_ok(), "the next writer does: spoilt {nth}");
    }
    let dir = scratch::dir();
    grow(&small(dir.path(), None), 0, 20).await;
    std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("it is there");
    assert_eq!(holds(&small(dir.path(), None)).await, Ok(20));
    is_sound(&small(dir.path(), None)).await;
}

#[tokio::test]
async fn two_processes_close_each_others_tails_and_lose_nothing() {
    let dir = scratch::dir();
    let (one, two) = (small(dir.path(), None), small(dir.path(), None));
    for nth in 0..30 {
        let store = if nth % 7 < 3 { &one } else { &two };
        grow(store, nth, nth + 1).await;
    }
    assert_eq!((holds(&one).await, holds(&two).await), (Ok(30), Ok(30)));
    is_sound(&one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_never_misses_what_is_closed_while_it_reads() {
    let dir = scratch::dir();
    let writer = small(dir.path(), None);
    grow(&writer, 0, 1).await;
    let task = tokio::spawn(async move { grow(&writer, 1, 60).await });
    let mut last = 1;
    while !task.is_finished() {
        let now = holds(&small(dir.path(), None)).await.expect("it is whole at every moment");
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
    task.await.expect("it wrote");
    assert_eq!(holds(&small(dir.path(), None)).await, Ok(60));
}

#[tokio::test]
async fn a_death_while_a_segment_is_closed_loses_nothing() {
    fn no_rename(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::Error::other("died"))
    }
    fn no_replace(path: &Path, _: &[u8]) -> Result<(), StoreError> {
        Err(disk::failed("writing", path, &io::Error::other("died")))
    }
    /// Writes half of it beside, as `replace` does before it renames.
    fn half_replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        std::fs::write(path.with_extension("new"), &bytes[..bytes.len() / 2]).expect("it has room");
        no_replace(path, bytes)
    }
    /// A disk that lost power may have the name and not the bytes.
    fn torn_replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("it has room");
        no_replace(path, bytes)
    }
    let sound = Pen::default();
    let pens = [
        Pen { rename: no_rename, ..sound },
        Pen { replace: no_replace, ..sound },
        Pen { replace: half_replace, ..sound },
        Pen { replace: torn_replace, ..sound },
    ];
    for (nth, pen) in pens.into_iter().enumerate() {
        for at in 1..12 {
            let dir = scratch::dir();
            grow(&small(dir.path(), None), 0, at).await;
            grow(&with(dir.path(), pen, None), at, at + 3).await; // whatever fails, the entries are safe
            assert_eq!(holds(&small(dir.path(), None)).await, Ok(at as usize + 3), "pen {nth} at {at}");
            let next = small(dir.path(), None);
            grow(&next, at + 3, at + 9).await;
            assert_eq!(holds(&next).await, Ok(at as usize + 9), "pen {nth} at {at}");
            is_sound(&next).await;
        }
    }
}

#[tokio::test]
async fn compacted_entries_are_gone_and_what_they_folded_into_is_proven() {
    let dir = scratch::dir();
    let store = small(dir.path(), Some(&key("k")));
    grow(&store, 0, 20).await;
    let anchors: Vec<Anchor> = store
        .read()
        .await
        .expect("all")
        .iter()
        .map(|entry| format!("{}:{}", entry.seq, entry.hash).parse().expect("one"))
        .collect();
    let before = files(&dir.path().join("segments"));

    let gone = store.compact(10, vec![held(20)], &run(), 99).await.expect("it can");
    assert!(gone.segments > 1 && gone.through < 11, "{gone:?}");
    assert_eq!(names(dir.path(), "segments").len(), before.len() - gone.segments);
    for _ in 0..2 {
        assert_eq!(holds(&small(dir.path(), Some(&key("k")))).await, Ok(21), "nothing of the history is lost");
        let left = small(dir.path(), None).read().await.expect("the rest");
        assert_eq!(left.first().map(|entry| entry.seq), Some(gone.through + 1));
        let _ = std::fs::remove_dir_all(dir.path().join("checkpoints")); // again from the base
    }
    let audit = store.audit(&anchors).await.expect("readable");
    let (gone_for_good, kept) = (gone.through as usize - gone.segments, 20 - gone.through as usize + gone.segments);
    let weighed = |audit: Audit| (audit.findings, audit.anchored, audit.unproven.len());
    assert_eq!(weighed(audit.clone()), (vec![], kept, gone_for_good), "the key vouches for each segment's last hash");
    let unkeyed = small(dir.path(), None).audit(&anchors).await.expect("readable");
    assert_eq!(weighed(unkeyed), (vec![], 0, 20), "without it nothing vouches for what an entry after all anchors names");
    assert!(audit.unseen.iter().any(|said| said.contains("were compacted away; what they folded into is proven")));
    assert_eq!(store.compact(0, vec![], &run(), 99).await, Ok(Compacted::default()));

    // An archived segment is proven by what was kept of it.
    let (name, bytes) = before.first_key_value().expect("one");
    let back = dir.path().join("segments").join(name);
    std::fs::write(&back, bytes).expect("it has room");
    is_sound(&store).await;
    std::fs::write(&back, [bytes.as_slice(), b"more"].concat()).expect("it has room");
    assert_eq!(store.audit(&[]).await.map(|audit| audit.findings.len()), Ok(1));
    assert_eq!(holds(&small(dir.path(), Some(&key("k")))).await, Ok(21));
    std::fs::remove_file(back).expect("it is there");

    // And it can be compacted further.
    grow(&store, 21, 30).await;
    let more = small(dir.path(), Some(&key("k"))).compact(16, vec![], &run(), 99).await.expect("it can");
    assert!(more.through > gone.through, "{more:?}");
    assert_eq!((holds(&store).await, names(dir.path(), "bases").len()), (Ok(30), 1));
    is_sound(&store).await;
}

#[tokio::test]
async fn a_made_up_base_is_no_base() {
    for key in [None, Some(key("k"))] {
        let dir = scratch::dir();
        let store = small(dir.path(), key.as_ref());
        grow(&store, 0, 20).await;
        let gone = store.compact(10, vec![], &run(), 99).await.expect("it can");
        let path = dir.path().join("bases").join(format!("{:012}.json", gone.through));
        let text = std::fs::read_to_string(&path).expect("the base");
        let body = text.replace("\"reason\":\"move\"", "\"reason\":\"lies\"");
        let forged = crate::journal::close(format!("{}}}", &body[..body.rfind(",\"hash\"").expect("closed")]), None);
        assert!(Checkpoint::read(&forged).is_ok(), "it is what its hash says");
        std::fs::write(&path, forged).expect("it has room");
        std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("they are there");

        let refused = holds(&small(dir.path(), key.as_ref())).await;
        assert!(matches!(&refused, Err(StoreError::Broken { .. })), "{refused:?}");
        let audit = store.audit(&[]).await.expect("readable");
        assert_eq!(audit.findings.len(), 1);
    }
}

#[tokio::test]
async fn what_a_newer_version_kept_of_compacted_entries_is_not_called_broken() {
    let dir = scratch::dir();
    let store = small(dir.path(), None);
    grow(&store, 0, 20).await;
    let gone = store.compact(10, vec![], &run(), 99).await.expect("it can");
    let path = dir.path().join("bases").join(format!("{:012}.json", gone.through));
    let text = format!("{{\"schema\":{},\"history\":\"another shape\"}}", CHECKPOINT_SCHEMA + 1);
    std::fs::write(&path, crate::journal::close(&text, None)).expect("it has room");
    std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("they are there");

    let newer = StoreError::Newer(CHECKPOINT_SCHEMA + 1);
    assert_eq!(holds(&small(dir.path(), None)).await, Err(newer.clone()));
    assert_eq!(small(dir.path(), None).audit(&[]).await, Err(newer));
}

/// How many steps a [`mortal`] pen goes before the process dies. For one test at a time: whoever sets it holds the lock.
static STEPS_LEFT: AtomicUsize = AtomicUsize::new(0);
static MORTAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn mortal() -> Pen {
    fn died(path: &Path) -> StoreError {
        disk::failed("removing", path, &io::Error::other("died"))
    }
    fn step() -> bool {
        STEPS_LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
    Pen {
        replace: |path, bytes| if step() { (Pen::default().replace)(path, bytes) } else { Err(died(path)) },
        write: |file, bytes, at| if step() { (Pen::default().write)(file, bytes, at) } else { Err(io::Error::other("died")) },
        remove: |path| if step() { (Pen::default().remove)(path) } else { Err(died(path)) },
        ..Pen::default()
    }
}

#[tokio::test]
async fn a_death_while_entries_are_compacted_loses_nothing() {
    let _mortal = MORTAL.lock().await;
    let pen = mortal();
    let mut finished = false;
    for steps in 0..20 {
        let dir = scratch::dir();
        grow(&small(dir.path(), None), 0, 20).await;
        STEPS_LEFT.store(steps, Ordering::SeqCst);
        finished = with(dir.path(), pen, None).compact(12, vec![], &run(), 99).await.is_ok();
        for from_base in [false, true] {
            if from_base {
                std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("they are there");
            }
            assert_eq!(holds(&small(dir.path(), None)).await, Ok(20), "after {steps} steps");
        }
        is_sound(&small(dir.path(), None)).await;
        let again = small(dir.path(), None);
        again.compact(12, vec![], &run(), 99).await.expect("it goes on");
        assert_eq!(holds(&again).await, Ok(20));
        assert_eq!(names(dir.path(), "bases").len(), 1);
        let left = small(dir.path(), None).read().await.expect("readable");
        assert!(left[0].seq > 5, "what was to go is gone");
        is_sound(&again).await;
    }
    assert!(finished, "the last round met no death");
}

/// The first leaves a base that no entry names; whatever the second leaves, nobody may begin at that one.
#[tokio::test]
async fn two_deaths_while_entries_are_compacted_lose_nothing() {
    let _mortal = MORTAL.lock().await;
    for (is_compacted, one, two) in [(false, 8, 14), (false, 14, 8), (true, 10, 14)] {
        let once = scratch::dir();
        grow(&small(once.path(), None), 0, 20).await;
        if is_compacted {
            small(once.path(), None).compact(6, vec![], &run(), 99).await.expect("it can");
        }
        let bases = names(once.path(), "bases").len();
        STEPS_LEFT.store(1, Ordering::SeqCst);
        assert!(with(once.path(), mortal(), None).compact(one, vec![], &run(), 99).await.is_err());
        assert_eq!(names(once.path(), "bases").len(), bases + 1, "one that no entry names");

        let mut finished = false;
        for steps in 0..24 {
            let dir = scratch::dir();
            for (path, bytes) in files(once.path()) {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().expect("it is below")).expect("it has room");
                std::fs::write(path, bytes).expect("it has room");
            }
            STEPS_LEFT.store(steps, Ordering::SeqCst);
            finished = with(dir.path(), mortal(), None).compact(two, vec![], &run(), 99).await.is_ok();
            let at = format!("{one} and {two} after {steps} steps");
            for from_base in [false, true] {
                if from_base {
                    let _ = std::fs::remove_dir_all(dir.path().join("checkpoints"));
                }
                assert_eq!(holds(&small(dir.path(), None)).await, Ok(20), "{at}");
            }
            is_sound(&small(dir.path(), None)).await;
            let again = small(dir.path(), None);
            again.compact(two, vec![], &run(), 99).await.unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!((holds(&again).await, names(dir.path(), "bases").len()), (Ok(20), 1), "{at}");
            is_sound(&again).await;
            if finished {
                break;
            }
        }
        assert!(finished, "the last round met no death");
    }
}

#[tokio::test]
async fn a_key_that_begins_late_or_follows_another_vouches_for_all_before() {
    let dir = scratch::dir();
    let (one, two) = (key("one"), key("two"));
    grow(&small(dir.path(), None), 0, 8).await;

    let refused = |said: Result<usize, StoreError>| match said {
        Err(StoreError::Io { what, hint: Some(_) }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(holds(&small(dir.path(), Some(&one))).await), "ISOBAR_KEY is set, and no entry of the journal is sealed");
    let early = small(dir.path(), Some(&one)).append(vec![held(8)], &run(), 8, None).await;
    assert!(matches!(early, Err(StoreError::Io { .. })), "nothing is sealed before somebody said so");

    for (nth, key) in [(8, &one), (16, &two)] {
        let store = small(dir.path(), Some(key));
        store.append(vec![began(key)], &run(), 9, None).await.expect("it begins");
        assert_eq!(names(dir.path(), "checkpoints").len(), 1, "of the key before, none is of use");
        grow(&store, nth, nth + 8).await;
        assert_eq!(holds(&small(dir.path(), Some(key))).await, Ok(nth as usize + 8));
        is_sound(&store).await;
    }
    assert_eq!(holds(&small(dir.path(), None)).await, Ok(24), "without a key it is read all the same");
    assert_eq!(
        refused(holds(&small(dir.path(), Some(&key("three")))).await),
        "the journal is sealed by another key than ISOBAR_KEY"
    );
    let unsealed = small(dir.path(), None).append(vec![held(24)], &run(), 24, None).await;
    assert_eq!(refused(unsealed.map(|_| 0)), "the journal is sealed, and ISOBAR_KEY is not set");
}

#[tokio::test]
async fn a_base_made_under_one_key_is_good_under_the_next() {
    let dir = scratch::dir();
    let (one, two) = (key("one"), key("two"));
    let store = small(dir.path(), Some(&one));
    grow(&store, 0, 20).await;
    store.compact(10, vec![], &run(), 99).await.expect("it can");
    let store = small(dir.path(), Some(&two));
    store.append(vec![began(&two)], &run(), 100, None).await.expect("it begins");
    std::fs::remove_dir_all(dir.path().join("checkpoints")).expect("they are there");
    assert_eq!(holds(&small(dir.path(), Some(&two))).await, Ok(20));
    is_sound(&store).await;
}

#[tokio::test]
async fn with_a_key_only_sealed_previews_are_believed() {
    use crate::change::{Unseen, UnseenReason};
    let dir = scratch::dir();
    let unseen = Unseen::new("a@prod/x".parse().expect("a target"), UnseenReason::Cancelled);
    let set = |at_ms| Stored {
        head: None,
        base: "".into(),
        at_ms,
        first_ms: at_ms,
        change: None,
        part: None,
        run: None,
        whole: None,
        previews: vec![Err(unseen.clone())],
    };
    let (plain, keyed) = (small(dir.path(), None), small(dir.path(), Some(&key("k"))));

    plain.save(&set(5)).await.expect("it has room");
    assert_eq!(keyed.saved().await, Ok(vec![]), "anybody could have made it");
    assert_eq!(keyed.audit(&[]).await.map(|audit| audit.findings.len()), Ok(1));
    keyed.save(&set(7)).await.expect("it has room");
    assert_eq!(keyed.saved().await, Ok(vec![set(7)]), "and when it was shown first is not taken from what anybody wrote");
    plain.save(&set(9)).await.expect("it has room");
    assert_eq!(
        (keyed.saved().await, plain.saved().await),
        (Ok(vec![set(7)]), Ok(vec![set(7)])),
        "who has no key unseals nothing"
    );
    is_sound(&keyed).await;

    let path = disk::list(&dir.path().join("previews")).expect("readable").remove(0);
    let text = std::fs::read_to_string(&path).expect("text").replace("\"at_ms\":7", "\"at_ms\":8");
    std::fs::write(&path, text).expect("it has room");
    assert_eq!(keyed.saved().await, Ok(vec![]));
    for store in [&plain, &keyed] {
        assert_eq!(store.audit(&[]).await.map(|audit| audit.findings.len()), Ok(1), "with and without a key");
    }
}

#[tokio::test]
async fn a_key_that_was_replaced_in_entries_that_are_gone_does_not_come_back() {
    let dir = scratch::dir();
    let store = |name: &str| small(dir.path(), Some(&key(name)));
    grow(&store("one"), 0, 4).await;
    store("two").append(vec![began(&key("two"))], &run(), 4, None).await.expect("it takes over");
    grow(&store("two"), 5, 20).await;
    let gone = store("two").compact(15, vec![], &run(), 99).await.expect("it can");
    assert!(gone.through > 6, "{gone:?}");
    grow(&store("two"), 20, 24).await;

    let unsealed = StoreError::Io {
        what: "another key took over the journal from ISOBAR_KEY".into(),
        hint: Some(
            "set the key that took over; where nobody changed the key, isobar audit verify says which entry to ask about".into(),
        ),
    };
    assert_eq!(store("one").append(vec![began(&key("one"))], &run(), 100, None).await, Err(unsealed.clone()));
    assert_eq!(holds(&store("one")).await, Err(unsealed));
    assert_eq!(holds(&store("two")).await, Ok(23));
    is_sound(&store("two")).await;
    let found = store("one").audit(&[]).await.expect("readable").findings;
    assert_eq!(found.iter().map(|found| found.seq).collect::<Vec<_>>(), [Some(5)]);
    store("three").append(vec![began(&key("three"))], &run(), 101, None).await.expect("it takes over");
}
