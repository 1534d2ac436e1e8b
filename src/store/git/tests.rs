//! What only a ref can suffer: answers that are lost, races between clones, hands that rewrite it, hosts that cannot be asked.

use super::draft::{Change, Draft};
use super::known::Known;
use super::tip::Pushed;
use super::tree::Contents;
use super::wire::Wire;
use super::*;
use crate::journal::{Chain, SCHEMA};
use crate::review::User;
use crate::store::blocking::IN_DOUBT;
use crate::store::cases::stored;
use crate::store::life::Here;
use crate::store::places::{site, tip};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A bare repository with room for clones beside it.
pub(super) fn origin() -> TempDir {
    let dir = crate::scratch::dir();
    git2::Repository::init_bare(dir.path().join("deep/origin.git")).expect("it has room");
    dir
}

pub(super) fn at(dir: &Path) -> GitSite {
    site(dir, Location::Disk(dir.join("deep/origin.git")))
}

fn open(dir: &Path) -> GitStore {
    GitStore::open(at(dir))
}

/// A clone of its own, which meets the others only at the ref.
fn clone_of(dir: &Path, name: &str) -> GitStore {
    GitStore::open(GitSite { cache: dir.join(name), ..at(dir) })
}

fn paused(reason: &str) -> Event {
    Event::Paused { by: User("ann".into()), reason: reason.into() }
}

fn freed() -> Event {
    Event::Freed { of: "one".into(), by: User("ann".into()), reason: "its job was cancelled".into() }
}

fn holder(run: &str) -> Holder {
    Holder { run: run.into(), host: "here".into(), pid: std::process::id(), since_ms: 5, job: None }
}

fn ids(targets: &[&str]) -> Vec<TargetId> {
    targets.iter().map(|target| target.parse().expect("a target")).collect()
}

async fn append(store: &GitStore, reason: &str) -> Result<usize, StoreError> {
    store.append(vec![paused(reason)], &"run".into(), 7, None).await.map(|entries| entries.len())
}

async fn reasons(dir: &Path) -> Vec<String> {
    let reason = |entry: &Entry| match &entry.event {
        Event::Paused { reason, .. } | Event::Freed { reason, .. } => reason.to_string(),
        other => panic!("nobody appended {other:?}"),
    };
    open(dir).read().await.expect("it is whole").iter().map(reason).collect()
}

fn cut() -> StoreError {
    StoreError::Io { what: "the line was cut".into(), hint: None }
}

/// A store whose first `times` pushes arrive, and whose answers do not.
fn deaf(dir: &Path, times: usize) -> GitStore {
    let left = AtomicUsize::new(times);
    let around = move |push: &mut dyn FnMut() -> Result<Pushed, StoreError>| {
        let answer = push()?;
        let lost = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Ok(if lost { Pushed::Unsure(cut()) } else { answer })
    };
    GitStore::with(at(dir), Arc::new(around))
}

/// A store whose first `times` pushes never arrive.
fn mute(dir: &Path, times: usize) -> GitStore {
    let left = AtomicUsize::new(times);
    let around = move |push: &mut dyn FnMut() -> Result<Pushed, StoreError>| {
        let lost = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lost { Ok(Pushed::Unsure(cut())) } else { push() }
    };
    GitStore::with(at(dir), Arc::new(around))
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_there_once() {
    for lost in 1..=3 {
        for make in [deaf, mute] {
            let dir = origin();
            let store = make(dir.path(), lost);
            assert_eq!(append(&store, "a").await, Ok(1));
            assert_eq!(append(&store, "b").await, Ok(1));
            assert_eq!(reasons(dir.path()).await, ["a", "b"], "{lost} lost");
            assert_eq!(store.history().await.expect("whole").paused().map(|(_, reason)| reason), Some("b"));
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_below_what_others_wrote_since() {
    let dir = origin();
    append(&open(dir.path()), "before").await.expect("it has room");
    let path = dir.path().to_path_buf();
    let first = AtomicUsize::new(0);
    let around = move |push: &mut dyn FnMut() -> Result<Pushed, StoreError>| {
        let answer = push()?;
        if first.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(answer);
        }
        let other = clone_of(&path, "other");
        for reason in ["c", "d"] {
            tokio::runtime::Handle::current().block_on(append(&other, reason)).expect("it has room");
        }
        Ok(Pushed::Unsure(cut()))
    };
    let store = GitStore::with(at(dir.path()), Arc::new(around));
    let group = vec![paused("a"), paused("b")];
    let sealed = store.append(group, &"run".into(), 7, None).await.expect("it is found");
    assert_eq!(sealed.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(reasons(dir.path()).await, ["before", "a", "b", "c", "d"]);
    append(&store, "e").await.expect("it goes on");
    assert_eq!(reasons(dir.path()).await.last().map(String::as_str), Some("e"));
}

#[tokio::test]
async fn leases_survive_lost_answers_too() {
    for make in [deaf, mute] {
        let dir = origin();
        let store = make(dir.path(), 2);
        let lease = store.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        assert_eq!(open(dir.path()).holders().await.map(|held| held.len()), Ok(1));
        let again = make(dir.path(), 2);
        again.release(lease).await.expect("it is ours");
        assert_eq!(open(dir.path()).holders().await, Ok(vec![]));
        open(dir.path()).acquire(&ids(&["a@prod/x"]), holder("two")).await.expect("it is free");
    }
}

#[tokio::test]
async fn who_is_never_answered_is_told_that_nobody_knows() {
    let dir = origin();
    let refused = append(&mute(dir.path(), usize::MAX), "a").await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.contains("not sure")), "{refused:?}");
    assert_eq!(reasons(dir.path()).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clones_that_meet_only_at_the_ref_lose_nothing() {
    let dir = origin();
    let clones: Vec<GitStore> = (0..4).map(|nth| clone_of(dir.path(), &format!("clone{nth}"))).collect();
    let write = |(nth, store): (usize, GitStore)| async move {
        for at in 0..5 {
            append(&store, &format!("{nth} {at}")).await.expect("somebody gets on, and so do all");
        }
    };
    let tasks: Vec<_> = clones.into_iter().enumerate().map(|clone| tokio::spawn(write(clone))).collect();
    for task in tasks {
        task.await.expect("it wrote");
    }
    let mut read = reasons(dir.path()).await;
    for nth in 0..4 {
        let own: Vec<&String> = read.iter().filter(|reason| reason.starts_with(&format!("{nth} "))).collect();
        assert!(own.is_sorted(), "{own:?}");
    }
    read.sort();
    let expected: Vec<String> = (0..4).flat_map(|nth| (0..5).map(move |at| format!("{nth} {at}"))).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_writer_who_is_late_asks_again_whether_its_lease_is_its_own() {
    let dir = origin();
    let (slow, quick) = (clone_of(dir.path(), "slow"), clone_of(dir.path(), "quick"));
    let lease = slow.acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
    let Lease { run, epochs, guard, .. } = lease;
    drop(guard); // as if its process had ended, and came back
    // A child of another test that is just being started may hold what we let go, until it is another program.
    let newer = loop {
        match quick.acquire(&ids(&["a@prod/x"]), holder("two")).await {
            Err(StoreError::Held { .. }) => tokio::task::yield_now().await,
            newer => break newer,
        }
    };
    let _newer = newer.expect("its owner ended");
    let stale = Lease { run, epochs, guard: None, trace: None };
    let refused = slow.append(vec![paused("x")], &"one".into(), 7, Some(&stale)).await;
    assert_eq!(refused, Err(StoreError::Fenced(ids(&["a@prod/x"]).remove(0))));
    assert_eq!(reasons(dir.path()).await.len(), 0);
}

#[tokio::test]
async fn a_ref_that_was_moved_back_rewritten_or_removed_is_broken_for_who_knew_more() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    let (repository, first) = tip(dir.path());
    let knows = open(dir.path());
    append(&knows, "b").await.expect("it has room");
    let set = |id| repository.reference("refs/isobar/journal", id, true, "by hand").map(drop).expect("it can be moved");
    let broken = |read: Result<History, StoreError>| matches!(read, Err(StoreError::Broken { .. }));

    set(first);
    assert!(broken(knows.history().await), "moved back");
    assert!(matches!(append(&knows, "c").await, Err(StoreError::Broken { .. })));
    append(&open(dir.path()), "another b").await.expect("who knows nothing sees a chain that holds");
    assert!(broken(knows.history().await), "rewritten");
    repository.find_reference("refs/isobar/journal").and_then(|mut it| it.delete()).expect("it can be removed");
    assert!(broken(knows.history().await), "removed");
}

/// Who read entries in a smaller file does not read them again, but sees that they are the same.
#[tokio::test]
async fn what_was_read_and_is_another_in_the_file_it_grew_into_is_broken() {
    for is_forged in [false, true] {
        let dir = origin();
        append(&open(dir.path()), "a").await.expect("it has room");
        let knows = open(dir.path());
        knows.history().await.expect("whole");
        append(&open(dir.path()), "b").await.expect("it has room");
        let (repository, last) = tip(dir.path());
        let commit = repository.find_commit(last).expect("a commit");
        let (tree, who, path) = (commit.tree().expect("a tree"), commit.author(), super::tree::part_path(1));
        let blob = tree.get_path(Path::new(&path)).and_then(|file| repository.find_blob(file.id())).expect("one file has both");
        let text = std::str::from_utf8(blob.content()).expect("a text");
        let text = if is_forged { text.replacen("ann", "bob", 1) } else { text.into() };
        let blob = repository.blob(text.as_bytes()).expect("it has room");
        let mut update = git2::build::TreeUpdateBuilder::new();
        let tree = update.upsert(path.as_str(), blob, git2::FileMode::Blob).create_updated(&repository, &tree);
        let tree = tree.and_then(|id| repository.find_tree(id)).expect("it has room");
        repository.commit(Some("refs/isobar/journal"), &who, &who, "By hand", &tree, &[&commit]).expect("it has room");
        let read = knows.history().await;
        assert_eq!(matches!(read, Err(StoreError::Broken { .. })), is_forged, "{read:?}");
    }
}

#[tokio::test]
async fn a_ref_that_cannot_be_read_is_no_empty_journal() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    std::fs::write(dir.path().join("deep/origin.git/refs/isobar/journal"), "").expect("it is ours");
    let read = open(dir.path()).read().await;
    assert!(matches!(read, Err(StoreError::Broken { .. })), "{read:?}");
    assert!(append(&open(dir.path()), "b").await.is_err());
}

/// Also where the tree says of an object that it is another kind than it is.
#[tokio::test]
async fn names_of_a_journal_over_other_kinds_of_objects_are_a_broken_journal() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    let (repository, kept) = tip(dir.path());
    let commit = repository.find_commit(kept).expect("a commit");
    let (tree, who) = (commit.tree().expect("a tree"), commit.author());
    let part = tree.get_name("entries-000000").expect("a directory").id();
    let raw = |entries: &[(&str, git2::Oid)]| {
        let bytes: Vec<u8> = entries.iter().flat_map(|(name, id)| [name.as_bytes(), b"\0", id.as_bytes()].concat()).collect();
        repository.odb().and_then(|odb| odb.write(git2::ObjectType::Tree, &bytes)).expect("it has room")
    };
    let epoch = repository.blob(b"1\n").expect("it has room");
    for (entries, what) in [
        (vec![("40000 entries-000000", part), ("40000 epoch", part)], "its epoch is no file"),
        (vec![("40000 entries-000000", part), ("160000 epoch", kept)], "its epoch is no file"),
        (vec![("40000 entries-000000", part), ("100644 epoch", part)], "requested type"),
        (vec![("160000 entries-000000", kept), ("100644 epoch", epoch)], "entries-000000 is no directory"),
        (vec![("40000 entries-000000", raw(&[("40000 000000000001.jsonl", part)]))], "among the entries is no file"),
        (vec![("40000 entries-000000", raw(&[("100644 000000000001.jsonl", part)]))], "requested type"),
        (vec![("40000 entries-000000", part), ("40000 leases", raw(&[("160000 1.json", kept)]))], "among the leases is no file"),
    ] {
        let tree = repository.find_tree(raw(&entries)).expect("just written");
        repository.reference("refs/isobar/journal", kept, true, "put back").expect("it has room");
        let parents = [&commit];
        repository.commit(Some("refs/isobar/journal"), &who, &who, "By hand", &tree, &parents).expect("it has room");
        let read = open(dir.path()).read().await;
        assert!(matches!(&read, Err(StoreError::Broken { what: said, .. }) if said.contains(what)), "{what}: {read:?}");
        let audit = open(dir.path()).audit(&[]).await.expect("it is a finding");
        assert!(audit.findings.iter().any(|found| found.what.contains(what)), "{what}: {audit:?}");
    }
}

#[tokio::test]
async fn objects_that_a_crash_left_without_the_ref_are_nothing() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    let died = GitStore::with(at(dir.path()), Arc::new(|_| Err(cut()))); // written, and never pushed
    assert_eq!(append(&died, "lost").await, Err(cut()));
    assert_eq!(reasons(dir.path()).await, ["a"]);
    append(&open(dir.path()), "b").await.expect("it goes on");
    assert_eq!(reasons(dir.path()).await, ["a", "b"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_readers_and_writers() {
    let dir = origin();
    let repository = git2::Repository::open_bare(dir.path().join("deep/origin.git")).expect("it was made");
    let mut change = Change::on(&Known::nothing("here".into(), None), "From the future".into());
    let mut entry = Chain::empty().seal(paused("a"), &"run".into(), 7);
    entry.schema = SCHEMA + 1;
    change.entries.push(entry);
    let draft = Draft::write("here", &repository, &Known::nothing("here".into(), None), change).expect("it has room");
    repository.reference("refs/isobar/journal", draft.commit, true, "by hand").expect("it has room");
    assert_eq!(open(dir.path()).read().await, Err(StoreError::Newer(SCHEMA + 1)));
    assert_eq!(append(&open(dir.path()), "b").await, Err(StoreError::Newer(SCHEMA + 1)));
}

#[tokio::test]
async fn files_of_entries_stay_few_and_what_is_old_is_not_written_again() {
    let dir = origin();
    let repository = git2::Repository::open_bare(dir.path().join("deep/origin.git")).expect("it was made");
    let mut known = Known::nothing("here".into(), None);
    let mut written = 0;
    for at in 0..200 {
        let mut change = Change::on(&known, String::new());
        change.entries = change.chain.seal_group(vec![paused(&format!("{at:04}"))], &"run".into(), at);
        let draft = Draft::write("here", &repository, &known, change).expect("it has room");
        draft.adopt(&mut known);
        written += known.parts.last().map_or(0, |part| part.size);
        assert!(known.parts.len() <= 12, "{} files after {at} appends", known.parts.len());
    }
    let whole: usize = known.parts.iter().map(|part| part.size).sum();
    assert!(written < 10 * whole, "{written} bytes were written for {whole}");
    let tip = known.tip();
    let mut reader = Known::nothing("here".into(), None);
    let wire = Wire::Disk(dir.path().join("deep/origin.git"));
    let contents = Contents::read("here", &repository, tip).expect("it is whole");
    reader.follow(&wire, &repository, tip, contents).expect("it is whole");
    let mut entries = 0;
    reader.each(&wire, &repository, &mut |_| entries += 1).expect("it is whole");
    assert_eq!((reader.chain.seq, entries), (200, 200));
}

#[tokio::test]
async fn what_another_machine_holds_is_freed_by_the_word_of_somebody_and_not_by_time() {
    let dir = origin();
    let store = open(dir.path());
    let lease = store.acquire(&ids(&["a@prod/x", "b@prod/x"]), holder("one")).await.expect("nobody has them");
    std::mem::forget(lease);
    let elsewhere = elsewhere(dir.path());
    let refused = elsewhere.acquire(&ids(&["b@prod/x"]), holder("two")).await.err();
    let target = ids(&["b@prod/x"]).remove(0);
    assert_eq!(refused, Some(StoreError::Held { target, holder: Box::new(holder("one")), is_proven: false }));
    assert_eq!(elsewhere.holders().await.map(|held| held.len()), Ok(1));

    assert_eq!(elsewhere.free("one", freed(), &"two".into(), 9).await, Ok(ids(&["a@prod/x", "b@prod/x"])));
    assert_eq!(reasons(dir.path()).await, ["its job was cancelled"]);
    assert!(elsewhere.acquire(&ids(&["b@prod/x"]), holder("two")).await.is_ok());
    assert!(elsewhere.free("one", freed(), &"two".into(), 9).await.is_err(), "once is enough");
}

/// The journal as another machine sees it: what was left by processes of this one says nothing there.
fn elsewhere(dir: &Path) -> GitStore {
    let store = clone_of(dir, "elsewhere");
    let mut desk = Desk::open(&store.bench.site, store.bench.around.clone(), None).expect("it is there");
    desk.here = Here::of_another_boot(dir.join("elsewhere/state"));
    *held(&store.bench.desk) = Some(desk);
    store
}

#[tokio::test]
async fn a_release_by_word_survives_a_lost_answer() {
    for make in [deaf, mute] {
        let dir = origin();
        let lease = open(dir.path()).acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
        crate::store::leased::end(lease, &open(dir.path())).await;
        let freed_now = make(dir.path(), 1).free("one", freed(), &"two".into(), 9).await;
        assert_eq!(freed_now, Ok(ids(&["a@prod/x"])));
        assert_eq!(reasons(dir.path()).await, ["its job was cancelled"]);
    }
}

#[tokio::test]
async fn of_one_change_fifty_sets_are_kept_beside_the_journal_and_the_oldest_goes() {
    let dir = origin();
    let store = open(dir.path());
    for at_ms in 0..53 {
        let set = Stored { change: Some(12), run: Some((at_ms, 1)), ..stored(&format!("{at_ms:07x}"), at_ms) };
        store.save(&set).await.expect("it has room");
    }
    let kept: Vec<u64> = store.saved().await.expect("readable").iter().map(|set| set.at_ms).collect();
    assert_eq!(kept, (3..53).collect::<Vec<_>>());
    let repository = git2::Repository::open_bare(dir.path().join("deep/origin.git")).expect("it was made");
    let names = repository.references().expect("readable").names().flatten().map(str::to_string).collect::<Vec<_>>();
    assert!(names.len() == 50 && names.iter().all(|name| name.starts_with("refs/isobar/previews/12-")), "{names:?}");
}

/// What `git ls-remote` says of so many is longer than what is kept of it.
#[tokio::test]
async fn no_set_is_missed_among_many_refs() {
    let dir = origin();
    let Some(far) = far(dir.path()) else { return };
    let repository = git2::Repository::open_bare(dir.path().join("deep/origin.git")).expect("it was made");
    let set = Stored {
        head: Some("c1".into()),
        base: "base".into(),
        at_ms: 1,
        first_ms: 1,
        change: None,
        part: None,
        run: None,
        previews: Vec::new(),
        whole: None,
    };
    open(dir.path()).save(&set).await.expect("it has room");
    let own = repository.references_glob("refs/isobar/previews/*").expect("readable").names().flatten().next().map(String::from);
    let commit = repository.refname_to_id(&own.expect("it was kept")).expect("it is there");
    for nth in 0..700 {
        repository.reference(&format!("refs/isobar/previews/z{nth:063}"), commit, true, "by hand").expect("it has room");
    }
    let heads = |sets: Vec<Stored>| sets.iter().filter(|kept| **kept == set).count();
    assert_eq!(far.saved().await.map(heads), Ok(701));
}

#[test]
fn previews_stand_beside_their_own_journal() {
    assert_eq!(previews::prefix("refs/isobar/journal"), "refs/isobar/previews/");
    assert_eq!(previews::prefix("refs/isobar/prod"), "refs/isobar/prod-previews/");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_named() {
    let dir = crate::scratch::dir();
    let refused = open(dir.path()).read().await;
    assert!(matches!(&refused, Err(StoreError::Io { what, hint: Some(_) }) if what.contains("origin.git")), "{refused:?}");
}

#[tokio::test]
async fn without_git_a_journal_elsewhere_says_what_is_missing() {
    let dir = origin();
    let address = Location::Address("https://git.example.test/a.git".into());
    let mut site = site(dir.path(), address);
    site.variables.insert("PATH".into(), "/nowhere".into());
    let refused = GitStore::open(site).read().await;
    assert!(
        matches!(&refused, Err(StoreError::Io { what, hint: Some(hint) }) if what.contains("git") && hint.contains("install")),
        "{refused:?}"
    );
}

/// Nobody said that he died, so nobody takes it away; but whoever is kept out learns what stands in the way.
#[tokio::test]
async fn a_lock_that_nobody_takes_away_is_named_with_what_to_do() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    let lock = dir.path().join("deep/origin.git").join(format!("{}.lock", at(dir.path()).reference));
    std::fs::write(&lock, "").expect("it has room");
    let store = open(dir.path());
    store.looking(|_| Ok(())).await.expect("it is there");
    held(&store.bench.desk).as_mut().expect("it looked").pushes_max = 3;
    match append(&store, "b").await {
        Err(StoreError::Io { what, hint: Some(hint) }) => {
            let name = lock.display().to_string();
            assert!(what.contains(&name) && what.ends_with("nothing was journalled"), "{what}");
            assert!(hint.contains(&format!("delete {name}")), "{hint}");
        }
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(lock).expect("it is there");
    append(&store, "b").await.expect("it is free");
    assert_eq!(reasons(dir.path()).await, ["a", "b"]);
}

/// The same journal, reached by the program `git`; nothing where there is none.
fn far(dir: &Path) -> Option<GitStore> {
    let has_git = std::process::Command::new("git").arg("--version").output().is_ok_and(|said| said.status.success());
    let address = format!("file://{}", dir.join("deep/origin.git").display());
    has_git.then(|| GitStore::open(site(dir, Location::Address(address.into()))))
}

/// Where the objects of a journal are kept that is reached by the program.
fn cache_of(dir: &Path) -> std::path::PathBuf {
    let mut found = std::fs::read_dir(dir.join("deep/clone")).expect("it was made").flatten().map(|entry| entry.path());
    found.find_map(|path| Some(path.join("objects.git")).filter(|path| path.exists())).expect("a cache")
}

/// What has objects synced to disk is a file as well, which a kill may leave empty.
#[tokio::test]
async fn what_a_kill_left_half_written_turns_no_syncing_off() {
    let dir = origin();
    append(&open(dir.path()), "a").await.expect("it has room");
    let mut found = std::fs::read_dir(dir.path().join("deep/clone")).expect("it was made").flatten();
    let file = found.find_map(|at| Some(at.path().join("durable.config")).filter(|path| path.exists())).expect("it was made");
    let whole = std::fs::read_to_string(&file).expect("it is text");
    assert!(whole.contains("fsyncObjectFiles = true"));
    let of_another_version = format!("{whole}more");
    for left in ["", &whole[..7], &of_another_version] {
        std::fs::write(&file, left).expect("it has room");
        append(&open(dir.path()), "b").await.expect("it has room");
        assert_eq!(std::fs::read_to_string(&file).expect("it is text"), whole);
    }
}

/// A push whose answer was lost may still arrive when the next one is forbidden.
#[tokio::test]
async fn a_doubt_outlives_the_push_that_is_refused_after_it() {
    let dir = origin();
    let pushes = AtomicUsize::new(0);
    let around = move |_: &mut dyn FnMut() -> Result<Pushed, StoreError>| match pushes.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(Pushed::Unsure(cut())),
        _ => Err(StoreError::Io { what: "it may not be written".into(), hint: None }),
    };
    let refused = append(&GitStore::with(at(dir.path()), Arc::new(around)), "a").await;
    assert!(matches!(&refused, Err(StoreError::Io { what, .. }) if what.ends_with(IN_DOUBT)), "{refused:?}");
}

/// Files that a git leaves in the cache that is killed in the middle of a fetch.
const LEFT: [&str; 6] =
    ["shallow.lock", "packed-refs.lock", "config.lock", "HEAD.lock", "refs/isobar/seen.lock", "objects/pack/tmp_pack_x"];

fn leave(cache: &Path) {
    for name in LEFT {
        std::fs::create_dir_all(cache.join(name).parent().expect("it is below")).expect("it has room");
        std::fs::write(cache.join(name), "").expect("it has room");
    }
}

#[tokio::test]
async fn what_a_killed_git_left_in_the_cache_stops_no_later_run() {
    let dir = origin();
    let Some(store) = far(dir.path()) else { return };
    append(&store, "a").await.expect("it has room");
    append(&open(dir.path()), "b").await.expect("it has room"); // so that there is something to fetch
    let cache = cache_of(dir.path());
    leave(&cache);
    let later = far(dir.path()).expect("there is a git");
    assert_eq!(later.read().await.expect("nobody holds those").len(), 2);
    append(&open(dir.path()), "c").await.expect("it has room");
    leave(&cache);
    append(&later, "d").await.expect("nobody holds those");
    assert_eq!(later.read().await.expect("nobody holds those").len(), 4);
    assert!(LEFT.iter().all(|name| !cache.join(name).exists()), "{cache:?}");
}

/// A run that was killed leaves its git alive, which may still be at work.
#[tokio::test]
async fn what_a_living_git_locks_in_the_cache_stays_and_is_named() {
    let dir = origin();
    let Some(store) = far(dir.path()) else { return };
    append(&store, "a").await.expect("it has room");
    append(&open(dir.path()), "b").await.expect("it has room");
    let cache = cache_of(dir.path());
    let lives = super::busy::Busy::with(&cache).expect("it has room");
    leave(&cache);
    let refused = far(dir.path()).expect("there is a git").read().await;
    let named = |text: &str| text.contains(&cache.display().to_string());
    assert!(matches!(&refused, Err(StoreError::Io { what, hint: Some(hint) }) if named(what) && named(hint)), "{refused:?}");
    assert!(LEFT.iter().all(|name| cache.join(name).exists()), "{cache:?}");
    drop(lives);
    assert_eq!(far(dir.path()).expect("there is a git").read().await.expect("nobody holds those").len(), 2);
}

#[tokio::test]
async fn a_lease_that_was_given_back_leaves_no_file_whatever_became_of_the_answer() {
    for make in [deaf, mute] {
        for lost in 0..=2 {
            let dir = origin();
            let lease = open(dir.path()).acquire(&ids(&["a@prod/x"]), holder("one")).await.expect("nobody has it");
            let left = || std::fs::read_dir(dir.path().join("deep/state")).map_or(0, Iterator::count);
            assert_eq!(left(), 1);
            make(dir.path(), lost).release(lease).await.expect("it arrives in the end");
            assert_eq!(left(), 0, "{lost} lost");
        }
    }
}

#[tokio::test]
async fn a_lock_of_all_packed_refs_is_named() {
    let dir = origin();
    let store = open(dir.path());
    append(&store, "a").await.expect("it has room");
    let origin = git2::Repository::open_bare(dir.path().join("deep/origin.git")).expect("it is there");
    let id = origin.refname_to_id(&at(dir.path()).reference).expect("a journal");
    let lock = origin.path().join("packed-refs.lock");
    std::fs::write(
        origin.path().join("packed-refs"),
        format!("# pack-refs with: peeled fully-peeled sorted \n{id} refs/isobar/old\n"),
    )
    .expect("it has room");
    std::fs::write(&lock, "").expect("it has room");
    let update = super::tip::Update { reference: "refs/isobar/old", new: None, old: super::tip::Old::Any };
    let refused = super::refs::change(&origin, &update).expect_err("git keeps it locked");
    assert_eq!(super::refs::lock_in_the_way(&origin, update.reference, &refused), Some(lock.clone()), "{refused}");
    std::fs::remove_file(lock).expect("it is there");
    super::refs::change(&origin, &update).expect("it is free");
}
