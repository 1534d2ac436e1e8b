//! Wishes that wait for one another: what is written once, by whomever, and what becomes of those who wait when somebody dies.

use super::*;
use crate::change::Key;
use crate::journal::{Bears, Chain, Entry};
use crate::store::blocking::held;
use crate::store::cases::{holder, ids, paused, reasons, run, started};
use crate::store::leases::LeaseFile;
use crate::store::life::{Here, Life};
use crate::store::places::{Place, in_git, in_google, last_page, meddle, tip};
use crate::store::wish::Stroke;
use crate::store::{After, Append, Lease, Written};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is written; each write is one, and is taken only on top of the last.
#[derive(Clone, Default)]
struct Journal {
    entries: Vec<Entry>,
    leases: BTreeMap<u64, LeaseFile>,
    epoch: u64,
    writes: usize,
}

/// One process at a journal that lies in this process's memory. It knows of it what it saw at its last look, and writes without one.
struct Desk {
    journal: Arc<Mutex<Journal>>,
    chain: Chain,
    seen: Journal,
    here: Here,
    turns: Turns,
    /// How many of the newest entries it keeps.
    keeps: usize,
}

impl Desk {
    /// False when somebody was first.
    fn put(&mut self, stroke: Stroke) -> bool {
        let mut journal = held(&self.journal);
        if journal.writes != self.seen.writes {
            return false;
        }
        journal.writes += 1;
        journal.entries.extend(stroke.entries);
        journal.leases.retain(|epoch, _| !stroke.ended.contains(epoch));
        for lease in stroke.leases {
            journal.epoch = lease.epoch;
            assert!(journal.leases.insert(lease.epoch, lease).is_none(), "an epoch is never used twice");
        }
        drop(journal);
        self.look().expect("it is whole");
        true
    }
}

impl Standing for Desk {
    fn chain(&self) -> &Chain {
        &self.chain
    }

    fn since(&self, seq: u64) -> Option<Vec<Entry>> {
        let since: Vec<Entry> = self.seen.entries.iter().filter(|entry| entry.seq > seq).cloned().collect();
        (since.len() <= self.keeps).then_some(since)
    }

    fn is_held(&self, epoch: u64) -> bool {
        self.seen.leases.contains_key(&epoch)
    }

    fn leases(&self) -> Result<Vec<LeaseFile>, StoreError> {
        Ok(self.seen.leases.values().cloned().collect())
    }

    fn epoch(&self) -> u64 {
        self.seen.epoch
    }

    fn here(&self) -> &Here {
        &self.here
    }
}

impl Shared for Desk {
    fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    fn is_read(&self) -> bool {
        true
    }

    fn mark(&self) -> String {
        self.seen.writes.to_string()
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let journal = held(&self.journal).clone();
        for entry in journal.entries.iter().skip(self.seen.entries.len()) {
            self.chain.follow_line(&entry.line()).expect("it is whole");
        }
        self.seen = journal;
        Ok(())
    }

    fn look_until(&mut self, _: &dyn Fn(&Self) -> bool) -> Result<(), StoreError> {
        self.look()
    }

    fn look_in_turn(&mut self, _: &str) -> Result<(), StoreError> {
        self.look()
    }

    fn read_since(&mut self, seq: u64) -> Result<Vec<Entry>, StoreError> {
        Ok(self.seen.entries.iter().filter(|entry| entry.seq > seq).cloned().collect())
    }

    fn may_be_under_way(&self) -> bool {
        true
    }

    fn write_barrier(&mut self, is_there: &IsThere<'_, Self>) -> Result<Option<Granted>, StoreError> {
        loop {
            if let Some(granted) = is_there(self)? {
                return Ok(Some(granted));
            }
            let nothing = Stroke::on(&self.chain);
            if self.put(nothing) {
                return Ok(None);
            }
            self.look()?;
        }
    }

    fn write(&mut self, wishes: &[Wish], is_there: &IsThere<'_, Self>) -> Result<Vec<Option<Granted>>, StoreError> {
        loop {
            if let Some(granted) = is_there(self)? {
                return Ok(vec![Some(granted)]);
            }
            let (stroke, granted) = Stroke::of(wishes, self);
            if stroke.is_empty() || self.put(stroke) {
                return Ok(granted);
            }
            self.look()?;
        }
    }
}

/// A journal, and where its processes wait for their turn.
struct Room {
    journal: Arc<Mutex<Journal>>,
    dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { journal: Arc::default(), dir: crate::scratch::dir() }
    }

    fn turns(&self, key: Option<&str>) -> Turns {
        let key = key.map(|key| Key::new(key.as_bytes()));
        Turns::new(self.dir.path().into(), "here", key.as_ref())
    }

    fn desk(&self, turns: Turns) -> Desk {
        let here = Here::new(self.dir.path().join("locks"));
        Desk { journal: self.journal.clone(), chain: Chain::empty(), seen: Journal::default(), here, turns, keeps: 9 }
    }

    /// Has another process do something, and returns when it waits, if it must.
    fn start<T: Send + 'static>(
        &self,
        key: Option<&str>,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> JoinHandle<Result<T, StoreError>> {
        let (before, mut desk) = (self.files().len(), self.desk(self.turns(key)));
        let thread = thread::spawn(move || work(&mut desk));
        while self.files().len() == before && !thread.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        thread
    }

    fn asks(&self, groups: Vec<Group>) -> JoinHandle<Result<Vec<Sealed>, StoreError>> {
        self.start(None, |desk| append(desk, groups))
    }

    fn wants(&self, name: &'static str, lease: Option<Lease>, targets: &[&str]) -> JoinHandle<Result<Lease, StoreError>> {
        let targets = ids(targets);
        self.start(None, move |desk| exchange(desk, lease.as_ref(), targets, holder(name)))
    }

    fn files(&self) -> Vec<PathBuf> {
        files(self.dir.path())
    }

    fn told(&self) -> (Vec<String>, usize) {
        let journal = held(&self.journal);
        (reasons(&journal.entries), journal.writes)
    }
}

/// What processes wait with.
fn files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("waiting")).into_iter().flatten().flatten().map(|file| file.path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|end| end != "new")).collect();
    files.sort();
    files
}

fn groups(appends: Vec<Append<'_>>) -> Vec<Group> {
    appends.into_iter().map(|append| Group::of(append).expect("it may ask").expect("it says something")).collect()
}

fn plain(reason: &str) -> Vec<Group> {
    groups(vec![Append { events: vec![paused(reason)], run: &run(reason), at_ms: 1, lease: None, after: None }])
}

/// On an empty journal.
fn first(reason: &str) -> Vec<Group> {
    let after = Some(After::new(None, Bears::Nothing));
    groups(vec![Append { events: vec![paused(reason)], run: &run(reason), at_ms: 1, lease: None, after }])
}

fn done(thread: JoinHandle<Result<Vec<Sealed>, StoreError>>) -> Vec<Written> {
    thread.join().expect("it ends").expect("it may write")
}

fn take(file: &Path) {
    fs::rename(file, file.with_extension("taken")).expect("it is there");
}

#[test]
fn what_waits_is_written_with_what_is_written() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let waiting: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|reason| (reason, room.asks(plain(reason)))).collect();
    assert_eq!(room.files().len(), 4);
    drop(turn);
    for (reason, thread) in waiting {
        let written = done(thread);
        let [Ok(entries)] = written.as_slice() else { panic!("{written:?}") };
        assert_eq!(reasons(entries), [reason]);
    }
    let (mut told, writes) = room.told();
    told.sort();
    assert_eq!((told, writes), (["a", "b", "c", "d"].map(String::from).to_vec(), 1));
    assert!(room.files().is_empty());
}

#[test]
fn each_is_answered_for_itself_whoever_wrote() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let lease = Lease {
        run: run("gone"),
        epochs: ids(&["a@prod/x"]).into_iter().map(|target| (target, 7)).collect(),
        guard: None,
        trace: None,
    };
    let fenced = Append { events: vec![started("a@prod/x")], run: &run("gone"), at_ms: 1, lease: Some(&lease), after: None };
    let firsts = ["a", "b"].map(|reason| room.asks(first(reason)));
    let fenced = room.asks(groups(vec![fenced]));
    drop(turn);
    let counts: Vec<usize> = firsts.map(done).iter().map(|written| written[0].as_ref().map_or(9, Vec::len)).collect();
    assert!(counts == [1, 0] || counts == [0, 1], "one of them is the first: {counts:?}");
    assert!(matches!(done(fenced).as_slice(), [Err(StoreError::Fenced(_))]));
    assert_eq!(room.told().1, 1);
}

#[test]
fn leases_are_taken_and_given_back_with_what_is_written() {
    let room = Room::new();
    let first = room.wants("first", None, &["a@prod/x"]).join().expect("it ends").expect("nobody has it");
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let entry = room.asks(plain("a"));
    let next = room.wants("first", Some(first), &["b@prod/x"]);
    let both = ["one", "two"].map(|name| room.wants(name, None, &["c@prod/x", "d@prod/x"]));
    drop(turn);
    done(entry);
    let next = next.join().expect("it ends").expect("nobody has it");
    let [one, two] = both.map(|thread| thread.join().expect("it ends"));
    let (lease, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    let lease = lease.expect("nobody had them");
    assert!(
        matches!(&refused, Err(StoreError::Held { holder, is_proven: true, .. }) if holder.run == *lease.run()),
        "{refused:?}"
    );
    assert_eq!((room.told().1, held(&room.journal).leases.len()), (2, 2), "the first, and all that waited");

    let turn = room.turns(None).try_take().expect("nobody else is there");
    let ends = room.start(None, move |desk| release(desk, &lease));
    let last = room.wants("first", Some(next), &[]);
    drop(turn);
    ends.join().expect("it ends").expect("it is ours");
    assert_eq!(last.join().expect("it ends").expect("it is ours").targets().count(), 0);
    assert_eq!((room.told().1, held(&room.journal).leases.len()), (3, 0));
    assert_eq!(fs::read_dir(room.dir.path().join("locks")).expect("it is there").count(), 0, "what they left is gone");
}

#[test]
fn a_lease_that_somebody_took_for_us_before_he_died_is_ours_once() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.wants("one", None, &["a@prod/x"]);
    let request = room.turns(None).requests(&turn).pop().expect("it waits");
    room.desk(room.turns(None)).write(&[request.wish], &|_| Ok(None)).expect("it has room");
    drop(turn);
    thread.join().expect("it ends").expect("it was taken for us");
    assert_eq!(held(&room.journal).leases.len(), 1);
}

#[test]
fn what_somebody_took_and_did_not_write_is_written_once() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("a"));
    take(&room.files()[0]);
    drop(turn); // he died
    assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries.len() == 1));
    assert_eq!(room.told().0, ["a"]);
    assert!(room.files().is_empty());
}

#[test]
fn what_somebody_took_and_wrote_before_he_died_is_there_once() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("a"));
    take(&room.files()[0]);
    let wishes = ["b", "a", "c"].map(|reason| Wish { groups: plain(reason), ..Wish::default() });
    room.desk(room.turns(None)).write(&wishes, &|_| Ok(None)).expect("it has room");
    drop(turn);
    let written = done(thread);
    assert!(matches!(written.as_slice(), [Ok(entries)] if entries[0].seq == 2), "{written:?}");
    assert_eq!(room.told().0, ["b", "a", "c"]);
}

#[test]
fn what_somebody_cleared_away_is_not_taken_for_written() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let (thread, late) = (room.asks(plain("a")), room.asks(first("b")));
    room.files().iter().for_each(|file| fs::remove_file(file).expect("it is there"));
    let late = done(late);
    assert!(matches!(late.as_slice(), [Ok(entries)] if entries.is_empty()), "to be decided anew: {late:?}");
    drop(turn);
    assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries.len() == 1));
    assert_eq!(room.told().0, ["a"]);
}

#[test]
fn nobody_writes_for_the_dead() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("living"));
    let alive = room.files();
    for (name, of) in [("1-dead.asked", &alive[0]), ("2-dead.taken", &alive[0]), ("3-dead.new", &alive[0])] {
        fs::copy(of, room.dir.path().join("waiting").join(name)).expect("it has room");
    }
    drop(turn);
    done(thread);
    assert_eq!(room.told().0, ["living"]);
    done(room.asks(plain("next")));
    assert_eq!(fs::read_dir(room.dir.path().join("waiting")).expect("it is there").count(), 0);
}

#[test]
fn nobody_writes_for_who_has_another_key_or_none_nor_what_cannot_be_read() {
    for (key, other) in [(None, Some("k")), (Some("k"), None), (Some("k"), Some("l"))] {
        let room = Room::new();
        let turn = room.turns(None).try_take().expect("nobody else is there");
        let thread = room.start(key, |desk| append(desk, plain("a")));
        assert!(room.turns(other).requests(&turn).is_empty(), "{key:?} {other:?}");
        let file = &room.files()[0];
        assert!(file.extension().is_some_and(|end| end == "asked"));
        assert_eq!(room.turns(key).requests(&turn).len(), 1);
        fs::rename(file.with_extension("taken"), file).expect("it was taken");

        let text = fs::read_to_string(file).expect("it is there");
        fs::write(file, text.replace("\"a\"", "\"b\"")).expect("it has room");
        assert!(room.turns(key).requests(&turn).is_empty(), "somebody changed it");
        drop(turn);
        assert!(matches!(done(thread).as_slice(), [Ok(entries)] if reasons(entries) == ["a"]));
    }
}

#[test]
fn who_gets_no_turn_goes_on_alone_and_nobody_writes_it_as_well() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let turns = room.turns(None).with_patience(Duration::from_millis(20));
    append(&mut room.desk(turns), plain("a")).expect("the journal decides");
    assert_eq!((room.told().0, room.files().len()), (vec!["a".to_string()], 0));
    assert!(room.turns(None).requests(&turn).is_empty());
}

/// Takes what waits, as somebody who dies in his turn.
fn taken(room: &Room, turn: &Turn) -> Vec<Wish> {
    room.turns(None).requests(turn).into_iter().map(|request| request.wish).collect()
}

#[test]
fn a_decision_that_was_written_for_us_is_not_taken_for_refused_however_that_went() {
    for does_remove in [true, false] {
        let room = Room::new();
        let turn = room.turns(None).try_take().expect("nobody else is there");
        let thread = room.asks(first("a"));
        let wishes = taken(&room, &turn);
        room.desk(room.turns(None)).write(&wishes, &|_| Ok(None)).expect("it has room");
        if does_remove {
            room.files().iter().for_each(|file| fs::remove_file(file).expect("it is there"));
        }
        drop(turn);
        assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries.len() == 1), "{does_remove}");
        assert_eq!(room.told(), (vec!["a".to_string()], 1));
    }
}

/// What somebody who died was about to write arrives before or after its asker looks: then it is there, or is kept out.
#[test]
fn what_is_still_on_its_way_arrives_in_time_or_never() {
    let room = Room::new();
    room.desk(room.turns(None))
        .write(&[Wish { groups: plain("before"), ..Wish::default() }], &|_| Ok(None))
        .expect("it has room");
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(first("a"));
    let mut late = room.desk(room.turns(None));
    late.look().expect("it is whole");
    let (stroke, _) = Stroke::of(&[Wish { groups: plain("a"), ..Wish::default() }], &late);
    taken(&room, &turn);
    drop(turn);
    assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries.is_empty()), "it was not the first");
    assert!(!late.put(stroke), "and what was on its way came too late");
    assert_eq!(room.told(), (vec!["before".to_string()], 2));
}

#[test]
fn a_lease_that_was_taken_for_us_is_not_taken_for_anothers() {
    let room = Room::new();
    let before = room.wants("gone", None, &["a@prod/x"]).join().expect("it ends").expect("nobody has it");
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.start(None, |desk| {
        desk.look()?;
        exchange(desk, None, ids(&["a@prod/x"]), holder("one"))
    });
    drop(before);
    let wishes = taken(&room, &turn);
    let mut desk = room.desk(room.turns(None));
    desk.look().expect("it is whole");
    while desk.seen.leases.values().next().expect("it has one").life(&desk.here) != Life::Ended {
        thread::sleep(Duration::from_millis(5)); // a child of another test may have the lock for a moment
    }
    desk.write(&wishes, &|_| Ok(None)).expect("it has room");
    drop(turn);
    assert!(thread.join().expect("it ends").expect("it was taken for us").covers(&ids(&["a@prod/x"])[0]));
    assert_eq!(held(&room.journal).leases.len(), 1);
}

#[test]
fn what_came_with_more_than_anybody_keeps_is_there_once() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("a"));
    let wishes = taken(&room, &turn);
    let many = (0..20).map(|nth| Wish { groups: plain(&nth.to_string()), ..Wish::default() });
    room.desk(room.turns(None)).write(&many.chain(wishes).collect::<Vec<_>>(), &|_| Ok(None)).expect("it has room");
    room.files().iter().for_each(|file| fs::remove_file(file).expect("it is there"));
    drop(turn);
    assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries[0].seq == 21));
    assert_eq!(room.told().0.len(), 21);
}

#[test]
fn what_its_process_wrote_meanwhile_is_not_written_for_it_again() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("a"));
    let wishes = taken(&room, &turn);
    fs::remove_dir_all(room.dir.path()).expect("it is ours"); // as somebody who clears a cache away
    assert!(matches!(done(thread).as_slice(), [Ok(entries)] if entries.len() == 1));
    room.desk(room.turns(None)).write(&wishes, &|_| Ok(None)).expect("it has room");
    assert_eq!(room.told().0, ["a"]);
    drop(turn);
}

#[test]
fn who_dies_while_others_wait_with_him_stops_nobody() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let [one, other] = ["one", "other"].map(|name| {
        let thread = room.wants(name, None, &[&format!("{name}@prod/x")]);
        (thread, taken(&room, &turn).pop().expect("it waits"))
    });
    let locks = room.dir.path().join("locks");
    let dead = fs::read_dir(&locks).expect("it is there").flatten().map(|file| file.path());
    let dead: Vec<PathBuf> = dead.filter(|path| path.to_string_lossy().contains("/one.")).collect();
    fs::remove_file(&dead[0]).and_then(|()| fs::write(&dead[0], "")).expect("it is ours"); // nobody holds the new one
    room.desk(room.turns(None)).write(&[one.1, other.1], &|_| Ok(None)).expect("it has room");
    assert_eq!(held(&room.journal).leases.len(), 2, "the dead one's is over with the next");
    drop(turn);
    other.0.join().expect("it ends").expect("nobody has it");
    one.0.join().expect("it ends").expect("it is there");
}

#[test]
fn what_waits_at_one_journal_is_written_to_no_other() {
    let room = Room::new();
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let thread = room.asks(plain("a"));
    assert!(Turns::new(room.dir.path().into(), "elsewhere", None).requests(&turn).is_empty());
    drop(turn);
    done(thread);
}

#[test]
fn what_stands_on_another_journal_is_left_to_its_process() {
    let room = Room::new();
    room.desk(room.turns(None)).write(&[Wish { groups: plain("ours"), ..Wish::default() }], &|_| Ok(None)).expect("it has room");
    let turn = room.turns(None).try_take().expect("nobody else is there");
    let elsewhere = Room { journal: Arc::default(), dir: crate::scratch::dir() };
    elsewhere
        .desk(elsewhere.turns(None))
        .write(&[Wish { groups: plain("x"), ..Wish::default() }], &|_| Ok(None))
        .expect("it has room");
    let mut stranger = Desk { journal: elsewhere.journal.clone(), ..room.desk(room.turns(None)) };
    let before = room.files().len();
    let thread = thread::spawn(move || {
        stranger.look()?;
        append(&mut stranger, plain("theirs"))
    });
    while room.files().len() == before {
        thread::sleep(Duration::from_millis(1));
    }
    let mut desk = room.desk(room.turns(None));
    desk.look().expect("it is whole");
    write(&mut desk, Wish { groups: plain("more"), ..Wish::default() }, &turn).expect("it has room");
    assert!(room.files()[0].extension().is_some_and(|end| end == "asked"), "given back");
    drop(turn);
    done(thread);
    assert_eq!(
        (room.told().0, reasons(&held(&elsewhere.journal).entries)),
        (vec!["ours".into(), "more".into()], vec!["x".into(), "theirs".into()])
    );
}

/// Where the processes of a place take turns.
fn turn_dir(place: &Place) -> PathBuf {
    let dirs = ["deep/clone", "deep/state"].map(|dir| place.dir.path().join(dir));
    let below = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten()).map(|dir| dir.path());
    below.into_iter().find(|dir| dir.join("lock").exists()).expect("somebody had a turn")
}

/// Commits on the ref, or pages.
fn ways(place: &Place) -> u64 {
    if place.name == "gs" {
        return meddle(place.dir.path(), async |bucket, prefix| last_page(&bucket, &prefix).await.0);
    }
    let (repository, tip) = tip(place.dir.path());
    let mut walk = repository.revwalk().expect("it is there");
    walk.push(tip).expect("it is there");
    walk.count() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_wait_cost_one_way_to_the_journal() {
    for place in [in_git(), in_google()] {
        place.open().append(vec![paused("first")], &run("one"), 1, None).await.expect("it has room");
        let dir = turn_dir(&place);
        let turn = Turns::new(dir.clone(), "elsewhere", None).try_take().expect("nobody else is there");
        let append = |nth: u64| {
            let store = place.open();
            tokio::spawn(async move { store.append(vec![paused("more")], &run(&format!("{nth}")), 1, None).await })
        };
        let waiting: Vec<_> = (0..6).map(append).collect();
        while files(&dir).len() < waiting.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = ways(&place);
        drop(turn);
        for append in waiting {
            assert_eq!(append.await.expect("it ends").map(|entries| entries.len()), Ok(1), "{}", place.name);
        }
        assert_eq!(ways(&place) - before, 1, "{}", place.name);
        assert_eq!(place.open().read().await.map(|entries| entries.len()), Ok(7), "{}", place.name);
    }
}
