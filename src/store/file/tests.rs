//! What only a journal in a directory can suffer: crashes at any byte, hands that edit it, disks that fail.

use super::disk::Pen;
use super::*;
use crate::journal::SCHEMA;
use crate::review::User;
use crate::scratch;
use crate::store::cases::stored;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn open(dir: &Path) -> FileStore {
    FileStore::open(dir.to_path_buf()).expect("a directory or nothing")
}

fn paused(reason: &str) -> Event {
    Event::Paused { by: User("ann".into()), reason: reason.into() }
}

async fn append(store: &FileStore, reasons: &[&str]) -> Result<usize, StoreError> {
    let events = reasons.iter().map(|reason| paused(reason)).collect();
    store.append(events, &"run".into(), 7, None).await.map(|entries| entries.len())
}

/// A journal of two groups, of one entry and of three; its text, and where the second begins.
async fn two_groups(dir: &Path) -> (Vec<u8>, usize) {
    let store = open(dir);
    append(&store, &["first"]).await.expect("it has room");
    let begins = text(dir).len();
    append(&store, &["a", "näher", "c"]).await.expect("it has room");
    (text(dir), begins)
}

fn text(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("entries.jsonl")).expect("the journal")
}

fn put(dir: &Path, text: &[u8]) {
    std::fs::write(dir.join("entries.jsonl"), text).expect("it has room");
}

async fn length(store: &FileStore) -> Result<usize, StoreError> {
    store.read().await.map(|entries| entries.len())
}

fn mode(path: PathBuf) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_journal_that_is_there_and_cannot_be_looked_at_is_not_an_empty_one() {
    let dir = scratch::dir();
    let at = |name: &str| dir.path().join(name);
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, at(from)).expect("it has room");
    std::fs::write(at("file"), "x").expect("it has room");
    link("loop", "loop");
    link("nowhere", "dangling");
    std::fs::create_dir(at("tail")).expect("it has room");
    link("nowhere", "tail/entries.jsonl");
    std::fs::create_dir(at("cut")).expect("it has room");
    link("nowhere", "cut/segments");
    for place in ["file", "file/journal", "loop", "loop/journal", "dangling", "dangling/journal", "tail", "cut"] {
        let told = FileStore::has_entries(&at(place)).expect_err(place).to_string();
        assert!(told.contains(place), "{told}");
    }
    assert_eq!(FileStore::has_entries(&at("nothing/journal")), Ok(false));

    std::fs::create_dir(at("locked")).expect("it has room");
    std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o000)).expect("it is ours");
    if !rustix::process::geteuid().is_root() {
        let told = FileStore::has_entries(&at("locked")).expect_err("nobody may look");
        assert!(told.to_string().contains("Permission denied"), "{told}");
    }
    std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[test]
fn no_hint_moves_a_journal_that_cannot_be_read_to_another_place() {
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::NotADirectory, io::ErrorKind::Other] {
        let StoreError::Io { hint: Some(hint), .. } = disk::failed("opening", Path::new("journal"), &kind.into()) else {
            panic!()
        };
        assert!(!hint.contains("`journal:`"), "{kind}: {hint}");
    }
}

#[tokio::test]
async fn a_group_torn_at_any_byte_is_no_group() {
    let dir = scratch::dir();
    let (whole, begins) = two_groups(dir.path()).await;
    for cut in begins..whole.len() {
        put(dir.path(), &whole[..cut]);
        assert_eq!(length(&open(dir.path())).await, Ok(1), "cut at {cut}");
        assert_eq!(text(dir.path()).len(), cut, "a reader mends nothing");

        let store = open(dir.path());
        assert_eq!(append(&store, &["next"]).await, Ok(1), "cut at {cut}");
        assert_eq!(length(&open(dir.path())).await, Ok(2), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_rest_that_a_lost_disk_cache_left_as_zeros_is_torn_too() {
    let dir = scratch::dir();
    let (whole, begins) = two_groups(dir.path()).await;
    put(dir.path(), &[&whole[..begins + 40], [0; 4096].as_slice()].concat());
    assert_eq!(append(&open(dir.path()), &["next"]).await, Ok(1));
    assert_eq!(length(&open(dir.path())).await, Ok(2));
}

#[tokio::test]
async fn a_changed_byte_anywhere_breaks_the_journal() {
    let dir = scratch::dir();
    let (whole, begins) = two_groups(dir.path()).await;
    for at in 0..whole.len() {
        for flip in [1 << (at % 8), 0x20 >> (at % 3)] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            put(dir.path(), &changed);
            let read = open(dir.path()).read().await;
            // Only the number of the schema can say more.
            let refused = matches!(read, Err(StoreError::Broken { .. } | StoreError::Newer(_)));
            assert!(refused, "byte {at} of {} ^ {flip:#x}: {read:?}", whole.len());
        }
    }

    // A writer goes by the same eyes; the line ends are where it could mistake a change for a crash.
    for at in [0, begins - 1, begins + 9, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 0x04;
        put(dir.path(), &changed);
        let appended = append(&open(dir.path()), &["next"]).await;
        assert!(matches!(appended, Err(StoreError::Broken { .. })), "byte {at}: {appended:?}");
        assert_eq!(text(dir.path()), changed, "and cuts nothing off");
    }
}

#[tokio::test]
async fn a_broken_line_is_named() {
    let dir = scratch::dir();
    let (whole, begins) = two_groups(dir.path()).await;
    let changed = String::from_utf8(whole).expect("it is text").replace("näher", "ferner");
    put(dir.path(), changed.as_bytes());
    let place = format!("{}:3", dir.path().join("entries.jsonl").display());
    let what = "entry 3 is not what its hash says".to_string();
    assert_eq!(length(&open(dir.path())).await, Err(StoreError::Broken { place, what }));

    put(dir.path(), &changed.as_bytes()[begins..]);
    let place = format!("{}:1", dir.path().join("entries.jsonl").display());
    let what = "entry 2 stands where 1 must stand".to_string();
    assert_eq!(length(&open(dir.path())).await, Err(StoreError::Broken { place, what }));
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_readers_and_writers() {
    let dir = scratch::dir();
    let (mut text, _) = two_groups(dir.path()).await;
    text.extend(format!("{{\"schema\":{},\"event\":\"unheard of\"}}\n", SCHEMA + 1).bytes());
    put(dir.path(), &text);
    assert_eq!(length(&open(dir.path())).await, Err(StoreError::Newer(SCHEMA + 1)));
    assert_eq!(append(&open(dir.path()), &["next"]).await, Err(StoreError::Newer(SCHEMA + 1)));
}

#[tokio::test]
async fn a_journal_that_lost_entries_while_we_ran_is_broken() {
    let dir = scratch::dir();
    let store = open(dir.path());
    append(&store, &["a"]).await.expect("it has room");
    let one = text(dir.path());
    append(&store, &["b"]).await.expect("it has room");
    put(dir.path(), &one);
    assert!(matches!(append(&store, &["c"]).await, Err(StoreError::Broken { .. })));
}

#[tokio::test]
async fn a_disk_that_fails_leaves_the_journal_as_it_was() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    fn half(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(&bytes[..bytes.len() / 2], at)?;
        Err(io::ErrorKind::StorageFull.into())
    }
    fn unsynced(_: &File) -> io::Result<()> {
        Err(io::Error::other("input/output error"))
    }
    let sound = Pen::default();
    let pens = [Pen { write: half, ..sound }, Pen { sync: unsynced, ..sound }];
    for (pen, said) in pens.into_iter().zip([full().to_string(), "input/output error".into()]) {
        let dir = scratch::dir();
        let (before, _) = two_groups(dir.path()).await;
        let store = FileStore::with_pen(dir.path().to_path_buf(), pen, SEGMENT_BYTES).expect("a directory");
        let refused = append(&store, &["x", "y"]).await;
        let Err(StoreError::Io { what, hint: Some(_) }) = refused else { panic!("{refused:?}") };
        assert!(what.contains(&said) && what.contains("entries.jsonl"), "{what}");
        assert_eq!(text(dir.path()), before);
        assert_eq!(append(&open(dir.path()), &["later"]).await, Ok(1), "and it can go on");
    }
}

#[tokio::test]
async fn others_write_while_a_disk_takes_its_time() {
    static WROTE: AtomicBool = AtomicBool::new(false);
    fn slow(file: &File) -> io::Result<()> {
        while !WROTE.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        file.sync_data()
    }
    let dir = scratch::dir();
    append(&open(dir.path()), &["a"]).await.expect("it has room");
    let pen = Pen { sync: slow, ..Pen::default() };
    let waits = FileStore::with_pen(dir.path().to_path_buf(), pen, SEGMENT_BYTES).expect("a directory");
    let slow = tokio::spawn(async move { append(&waits, &["b"]).await });
    while length(&open(dir.path())).await != Ok(2) {
        tokio::task::yield_now().await;
    }

    assert_eq!(append(&open(dir.path()), &["c"]).await, Ok(1), "the disk of another keeps nobody out");
    WROTE.store(true, Ordering::SeqCst);
    assert_eq!(slow.await.expect("nobody panicked"), Ok(1));
    assert_eq!(length(&open(dir.path())).await, Ok(3));
}

#[tokio::test]
async fn what_is_not_durable_is_not_taken_back_from_under_what_others_wrote() {
    static WROTE: AtomicBool = AtomicBool::new(false);
    fn fails(_: &File) -> io::Result<()> {
        while !WROTE.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::other("input/output error"))
    }
    let dir = scratch::dir();
    append(&open(dir.path()), &["a"]).await.expect("it has room");
    let pen = Pen { sync: fails, ..Pen::default() };
    let store = FileStore::with_pen(dir.path().to_path_buf(), pen, SEGMENT_BYTES).expect("a directory");
    let failing = tokio::spawn(async move { (append(&store, &["b"]).await, store) });
    while length(&open(dir.path())).await != Ok(2) {
        tokio::task::yield_now().await;
    }
    append(&open(dir.path()), &["c"]).await.expect("it has room");
    WROTE.store(true, Ordering::SeqCst);

    let (refused, store) = failing.await.expect("nobody panicked");
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("not sure")), "{refused:?}");
    assert_eq!(length(&open(dir.path())).await, Ok(3), "what another built on stays");
    assert_eq!(length(&store).await, Ok(3), "and it can be read on");
}

#[tokio::test]
async fn what_others_built_on_is_written_once_more_when_a_disk_refused_it() {
    static WROTE: AtomicBool = AtomicBool::new(false);
    static REFUSED: AtomicBool = AtomicBool::new(false);
    fn fails_once(file: &File) -> io::Result<()> {
        while !WROTE.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if REFUSED.swap(true, Ordering::SeqCst) { file.sync_data() } else { Err(io::Error::other("input/output error")) }
    }
    let dir = scratch::dir();
    append(&open(dir.path()), &["a"]).await.expect("it has room");
    let pen = Pen { sync: fails_once, ..Pen::default() };
    let store = FileStore::with_pen(dir.path().to_path_buf(), pen, SEGMENT_BYTES).expect("a directory");
    let failing = tokio::spawn(async move { append(&store, &["b"]).await });
    while length(&open(dir.path())).await != Ok(2) {
        tokio::task::yield_now().await;
    }
    append(&open(dir.path()), &["c"]).await.expect("it has room");
    WROTE.store(true, Ordering::SeqCst);
    assert_eq!(failing.await.expect("nobody panicked"), Ok(1), "it is durable now");
    assert_eq!(length(&open(dir.path())).await, Ok(3));
}

#[tokio::test]
async fn an_entry_in_the_place_of_the_one_that_we_read_is_built_on_by_nobody() {
    let dir = scratch::dir();
    let store = open(dir.path());
    append(&store, &["a"]).await.expect("it has room");
    let one = text(dir.path());
    append(&store, &["b"]).await.expect("it has room");
    put(dir.path(), &one);
    append(&open(dir.path()), &["c"]).await.expect("as long as what was there");
    assert!(matches!(append(&store, &["d"]).await, Err(StoreError::Broken { .. })));
    assert_eq!(length(&open(dir.path())).await, Ok(2), "and the journal of the others is whole");
}

#[tokio::test]
async fn what_a_failed_cut_left_is_no_group_and_is_cut_later() {
    fn half(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(&bytes[..bytes.len() / 2], at)?;
        Err(io::Error::other("input/output error"))
    }
    let pen = Pen { write: half, truncate: |_, _| Err(io::Error::other("input/output error")), ..Pen::default() };
    let dir = scratch::dir();
    two_groups(dir.path()).await;
    let store = FileStore::with_pen(dir.path().to_path_buf(), pen, SEGMENT_BYTES).expect("a directory");
    let refused = append(&store, &["x", "y"]).await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("not sure")), "{refused:?}");
    assert_eq!(length(&open(dir.path())).await, Ok(4));
    assert_eq!(append(&open(dir.path()), &["later"]).await, Ok(1));
}

#[tokio::test]
async fn the_journal_is_its_owners_alone_and_never_dirties_a_work_tree() {
    let root = scratch::dir();
    let dir = root.path().join(".isobar/journal");
    let store = open(&dir);
    append(&store, &["a"]).await.expect("it has room");
    let holder = Holder { run: "one".into(), host: "here".into(), pid: 1, since_ms: 5, job: None };
    let targets = ["a@prod/x".parse().expect("a target")];
    let _lease = store.acquire(&targets, holder).await.expect("nobody has it");

    let files = ["entries.jsonl", "lock", "epoch", "leases/6.json", ".gitignore"].map(|name| mode(dir.join(name)));
    assert_eq!(files, [0o600; 5]);
    assert_eq!(["", "leases", ".."].map(|name| mode(dir.join(name))), [0o700; 3]);
    assert_eq!(std::fs::read_to_string(dir.join(".gitignore")).as_deref().ok(), Some("*\n"));
}

#[tokio::test]
async fn a_lease_file_that_a_crash_left_half_written_holds_nothing() {
    let dir = scratch::dir();
    std::fs::create_dir(dir.path().join("leases")).expect("it has room");
    std::fs::write(dir.path().join("leases/41.json"), "{\"epoch\":41,\"hol").expect("it has room");
    let holder = Holder { run: "one".into(), host: "here".into(), pid: 1, since_ms: 5, job: None };
    let targets = ["a@prod/x".parse().expect("a target")];
    let store = open(dir.path());
    assert_eq!(store.holders().await, Ok(vec![]));
    assert!(store.acquire(&targets, holder).await.is_ok());
    assert!(!dir.path().join("leases/41.json").exists());
}

/// A lease over one target, taken at `since_ms`.
async fn acquired(store: &FileStore, target: &str, since_ms: u64) -> Result<Lease, StoreError> {
    let holder = Holder { run: "one".into(), host: "here".into(), pid: 1, since_ms, job: None };
    store.acquire(&[target.parse().expect("a target")], holder).await
}

fn epoch_of(lease: &Lease) -> u64 {
    *lease.epochs.values().next().expect("a lease over something")
}

#[tokio::test]
async fn without_the_number_of_the_last_lease_the_next_is_beyond_all_there_were() {
    for damaged in [Some("many\n"), Some(""), Some("18446744073709551615\n"), Some("-1\n"), None] {
        let dir = scratch::dir();
        let store = open(dir.path());
        let held = acquired(&store, "a@prod/x", 1_000).await.expect("nobody has it");
        let given = acquired(&store, "b@prod/x", 1_001).await.expect("nobody has it");
        let newest = epoch_of(&given);
        store.release(given).await.expect("it is ours");
        let path = dir.path().join("epoch");
        damaged.map_or_else(|| std::fs::remove_file(&path), |text| std::fs::write(&path, text)).expect("it has room");

        let next = acquired(&store, "b@prod/x", 9_000).await.expect("it counts on");
        assert!(epoch_of(&next) > newest, "{damaged:?}: {} after {newest}", epoch_of(&next));
        let appended = store.append(vec![paused("on")], &"one".into(), 7, Some(&held)).await;
        assert!(appended.is_ok(), "who held one goes on: {appended:?}");
        let then = acquired(&store, "c@prod/x", 9_000).await.expect("nobody has it");
        assert_eq!(epoch_of(&then), epoch_of(&next) + 1, "{damaged:?}");
    }
}

#[tokio::test]
async fn without_the_number_of_the_last_lease_a_clock_that_was_put_back_gives_none_that_is_held() {
    let dir = scratch::dir();
    let store = open(dir.path());
    let held = acquired(&store, "a@prod/x", 1_000).await.expect("nobody has it");
    std::fs::write(dir.path().join("epoch"), "").expect("it has room");
    let next = acquired(&store, "b@prod/x", 5).await.expect("it counts on");
    assert!(epoch_of(&next) > epoch_of(&held));
}

#[tokio::test]
async fn what_is_no_number_of_the_last_lease_is_found_and_gone_with_the_next_lease() {
    let dir = scratch::dir();
    let store = open(dir.path());
    append(&store, &["a"]).await.expect("it has room");
    let path = dir.path().join("epoch");
    std::fs::write(&path, "").expect("it has room");
    let found = store.audit(&[]).await.expect("readable").findings;
    let told: Vec<_> = found.iter().map(|finding| (finding.place.as_str(), finding.what.as_str())).collect();
    assert_eq!(told, [(path.to_str().expect("UTF-8"), "it does not hold the number of the last lease")]);
    acquired(&store, "a@prod/x", 5).await.expect("it counts on");
    assert!(store.audit(&[]).await.expect("readable").findings.is_empty());
}

#[tokio::test]
async fn a_directory_in_the_place_of_the_number_of_the_last_lease_is_found_and_says_what_to_do() {
    let dir = scratch::dir();
    let store = open(dir.path());
    std::fs::create_dir(dir.path().join("epoch")).expect("it has room");
    let refused = acquired(&store, "a@prod/x", 5).await;
    assert!(matches!(&refused, Err(StoreError::Io { hint: Some(hint), .. }) if hint.contains("move it away")), "{refused:?}");
    let found = store.audit(&[]).await.expect("readable").findings;
    assert!(found.len() == 1 && found[0].next.contains("move it away"), "{found:?}");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_journal_is_refused_at_once() {
    let dir = scratch::dir();
    std::fs::write(dir.path().join("journal"), "").expect("it has room");
    let refused = FileStore::open(dir.path().join("journal")).map(|store| store.place());
    assert!(matches!(refused, Err(StoreError::Io { hint: Some(_), .. })), "{refused:?}");
}

#[tokio::test]
async fn of_one_change_fifty_sets_are_kept_and_the_oldest_goes() {
    let dir = scratch::dir();
    let store = open(dir.path());
    for at_ms in 0..55 {
        let set = Stored { change: Some(12), run: Some((at_ms, 1)), ..stored(&format!("{at_ms:07x}"), at_ms) };
        store.save(&set).await.expect("it has room");
    }
    let kept: Vec<u64> = store.saved().await.expect("readable").iter().map(|set| set.at_ms).collect();
    assert_eq!(kept, (5..55).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_set_of_previews_that_cannot_be_read_says_what_to_do() {
    let dir = scratch::dir();
    std::fs::create_dir(dir.path().join("previews")).expect("it has room");
    std::fs::write(dir.path().join("previews/c1.json"), "{}").expect("it has room");
    let refused = open(dir.path()).saved().await;
    assert!(matches!(&refused, Err(StoreError::Io { hint: Some(hint), .. }) if hint.contains("rm ")), "{refused:?}");
}

#[tokio::test]
async fn what_no_reader_could_read_is_not_written() {
    let dir = scratch::dir();
    let store = open(dir.path());
    append(&store, &["first"]).await.expect("it has room");
    let refused = append(&store, &[&"x".repeat(64 << 20)]).await;
    let says =
        |what: &str| what.contains("\"paused\"") && what.contains("at most 67108864") && what.contains("nothing was journalled");
    assert!(matches!(&refused, Err(StoreError::Io { what, hint: Some(_) }) if says(what)), "{refused:?}");
    assert_eq!(append(&store, &["second"]).await, Ok(1));
    assert_eq!(open(dir.path()).read().await.map(|entries| entries.len()), Ok(2));
}
