//! Changes refs of a repository on a disk of this machine: each is compared and changed under git's own lock of it, a file beside it.
//!
//! A process that is killed inside leaves that file behind, and nobody could ever change the ref again. So whoever changes refs from
//! here takes turns, by a lock that the system lets go with the process, and says before what it is about to change. Whose turn it is
//! and finds such words of somebody else knows that he died, and which lock is his.

use super::tip::{Old, Update};
use git2::{ErrorClass, ErrorCode, Repository, Signature};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Somebody whose turn takes longer was stopped; who goes on without a turn takes nobody's lock away.
const TURN_MAX: Duration = Duration::from_secs(2);
const TURN_POLL: Duration = Duration::from_millis(1);

/// Git makes a lock and writes to it at once: one that stays empty or half written for so long is that of a dead process.
const UNWRITTEN_MAX: Duration = Duration::from_millis(50);

/// Where git keeps refs that were not changed for a while.
const PACKED: &str = "packed-refs";

/// Changes a ref that is what `update` says, or fails with an error that is [`is_lost`].
pub(super) fn change(repository: &Repository, update: &Update<'_>) -> Result<(), git2::Error> {
    let turn = Turn::take(repository.commondir());
    if let Some(turn) = &turn {
        turn.clear();
        turn.announce(update);
    }
    let changed = set(repository, update);
    // After any other error the lock may have stayed, though we were told that it was not made: the next turn looks.
    let is_known = changed.as_ref().err().is_none_or(is_lost);
    if let Some(turn) = turn.filter(|_| is_known) {
        turn.end();
    }
    changed
}

/// Somebody changed the ref since we looked, or is about to.
pub(super) fn is_lost(error: &git2::Error) -> bool {
    [ErrorCode::Modified, ErrorCode::Exists, ErrorCode::Locked].contains(&error.code())
}

/// The file that stood in the way of a change: git's lock of the ref, or of the file of many refs, of somebody who changes it or died.
pub(super) fn lock_in_the_way(repository: &Repository, reference: &str, error: &git2::Error) -> Option<PathBuf> {
    let own = lock_of(repository.commondir(), reference);
    let packed = lock_of(repository.commondir(), PACKED);
    let is_packed = error.message().contains(&format!("{PACKED}.lock")) || !own.exists() && packed.exists();
    (error.code() == ErrorCode::Locked).then_some(if is_packed { packed } else { own })
}

fn lock_of(dir: &Path, reference: &str) -> PathBuf {
    dir.join(format!("{reference}.lock"))
}

/// Without git's lock two could make the same ref at once, each finding none, and one of them be lost.
fn set(repository: &Repository, update: &Update<'_>) -> Result<(), git2::Error> {
    let mut change = repository.transaction()?;
    change.lock_ref(update.reference)?;
    let now = match repository.refname_to_id(update.reference) {
        Ok(id) => Some(id),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    match (update.new, update.old) {
        (Some(_), Old::Just(old)) if now != old => {
            return Err(git2::Error::new(ErrorCode::Modified, ErrorClass::Reference, "somebody else was first"));
        }
        (Some(new), Old::Just(_) | Old::Any) => change.set_target(update.reference, new, Some(&nobody()?), "isobar")?,
        (None, Old::Just(_) | Old::Any) if now.is_none() => return Ok(()),
        (None, Old::Just(_) | Old::Any) => change.remove(update.reference)?,
    }
    change.commit()
}

/// Whom the log of a ref names, where one is kept: the journal itself says who.
fn nobody() -> Result<Signature<'static>, git2::Error> {
    Signature::new("isobar", "isobar@localhost", &git2::Time::new(0, 0))
}

/// The turn of this process in one repository. What cannot be written is left out: the change itself tells that better.
struct Turn {
    dir: PathBuf,
    _lock: File,
}

impl Turn {
    fn take(dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir.join("isobar")).ok()?;
        let lock = open_turn(&dir.join("isobar/turn"))?;
        let until = Instant::now() + TURN_MAX;
        while lock.try_lock().is_err() {
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(TURN_POLL);
        }
        Some(Self { dir: dir.into(), _lock: lock })
    }

    /// What is about to be changed, and to what.
    fn words(&self) -> PathBuf {
        self.dir.join("isobar/changes")
    }

    fn announce(&self, update: &Update<'_>) {
        let new = update.new.map(|new| new.to_string()).unwrap_or_default();
        let (path, words) = (self.words(), format!("{}\n{new}\n", update.reference));
        // It may be another user's, who shares the repository.
        let _left_out = fs::write(&path, &words).or_else(|_| fs::remove_file(&path).and_then(|()| fs::write(&path, &words)));
    }

    /// The file stays, with nothing in it: making it anew with each change would cost more than the change.
    fn end(&self) {
        let emptied = OpenOptions::new().write(true).truncate(true).open(self.words());
        let _left_out = emptied.map(drop).or_else(|_| fs::remove_file(self.words()));
    }

    /// Removes the lock of somebody who died in his turn: it holds what he said, or the beginning of that, or nothing yet.
    fn clear(&self) {
        let Ok(words) = fs::read_to_string(self.words()) else { return };
        let mut lines = words.lines();
        let (Some(reference), new) = (lines.next(), lines.next().unwrap_or_default()) else { return };
        let lock = lock_of(&self.dir, reference);
        let held = || fs::read_to_string(&lock).ok();
        let is_his = match held() {
            Some(text) if text.is_empty() || text.len() < new.len() && new.starts_with(&text) => {
                std::thread::sleep(UNWRITTEN_MAX);
                held() == Some(text)
            }
            Some(text) => text.trim_end() == new,
            None => false,
        };
        if is_his {
            let _left_out = fs::remove_file(&lock);
        }
        self.end();
    }
}

/// Where several users share a repository it may be another's, whose file we may read and not write: that is enough to lock it.
fn open_turn(path: &Path) -> Option<File> {
    let made = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    made.or_else(|_| File::open(path)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::git::tip::Old;
    use git2::Oid;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    const REF: &str = "refs/isobar/journal";

    fn commit(repository: &Repository, text: &str) -> Oid {
        let tree = repository.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| repository.find_tree(id));
        let (tree, who) = (tree.expect("it has room"), nobody().expect("a name"));
        repository.commit(None, &who, &who, text, &tree, &[]).expect("it has room")
    }

    fn bare() -> (tempfile::TempDir, Repository) {
        let dir = crate::scratch::dir();
        let repository = Repository::init_bare(dir.path()).expect("it has room");
        (dir, repository)
    }

    #[test]
    fn what_a_killed_process_locked_is_free_and_what_others_lock_is_not() {
        for (is_marked, text, is_free) in
            [(true, "", true), (true, "ours", true), (true, "half", true), (true, "another", false), (false, "ours", false)]
        {
            let (dir, repository) = bare();
            let new = commit(&repository, "new");
            let lock = dir.path().join("refs/isobar/journal.lock");
            fs::create_dir_all(lock.parent().expect("it is below")).expect("it has room");
            let id = format!("{new}\n");
            fs::write(&lock, text.replace("ours", &id).replace("half", &id[..20])).expect("it has room");
            if is_marked {
                fs::create_dir_all(dir.path().join("isobar")).expect("it has room");
                fs::write(dir.path().join("isobar/changes"), format!("{REF}\n{new}\n")).expect("it has room");
            }
            let changed = change(&repository, &Update { reference: REF, new: Some(new), old: Old::Just(None) });
            assert_eq!(changed.is_ok(), is_free, "{is_marked} {text}: {changed:?}");
            assert_eq!(lock.exists(), !is_free);
            assert!(changed.err().is_none_or(|error| is_lost(&error)), "it may be free later");
        }
    }

    /// As a disk that tells of an error though it had made the file.
    #[test]
    fn a_lock_that_stayed_when_a_change_failed_is_free_in_the_next_turn() {
        let (dir, repository) = bare();
        let (old, new) = (commit(&repository, "old"), commit(&repository, "new"));
        let (own, lock) = (dir.path().join(REF), lock_of(dir.path(), REF));
        fs::create_dir_all(own.parent().expect("it is below")).expect("it has room");
        fs::write(&own, "what no disk should hold").expect("it has room");
        let update = Update { reference: REF, new: Some(new), old: Old::Just(Some(old)) };
        let failed = change(&repository, &update).expect_err("it cannot be read");
        assert!(!is_lost(&failed), "{failed}");
        fs::write(&own, format!("{old}\n")).and_then(|()| fs::write(&lock, "")).expect("it has room");
        change(&repository, &update).expect("nobody else was there");
        assert!(!lock.exists());
    }

    #[test]
    fn a_turn_can_be_taken_where_the_file_of_it_may_only_be_read() {
        let (dir, repository) = bare();
        let new = commit(&repository, "new");
        let lock = lock_of(dir.path(), REF);
        let turn = dir.path().join("isobar/turn");
        for file in [&lock, &turn] {
            fs::create_dir_all(file.parent().expect("it is below")).expect("it has room");
        }
        fs::write(&turn, "another's").expect("it has room");
        fs::set_permissions(&turn, fs::Permissions::from_mode(0o444)).expect("it is ours");
        fs::write(&lock, "").expect("it has room");
        fs::write(dir.path().join("isobar/changes"), format!("{REF}\n{new}\n")).expect("it has room");
        change(&repository, &Update { reference: REF, new: Some(new), old: Old::Just(None) }).expect("he died in his turn");
        assert_eq!(fs::read_to_string(turn).expect("it is there"), "another's");
    }

    /// Makes a ref out of nothing in many repositories, each time by two at once.
    #[test]
    fn of_two_who_make_the_same_ref_at_once_one_comes_too_late() {
        let (dir, _) = bare();
        let (rounds, both) = (3_000, Barrier::new(2));
        let make = |text: &str| -> Vec<bool> {
            let repository = Repository::open(dir.path()).expect("it is there");
            let new = commit(&repository, text);
            let round = |nth: usize| {
                let reference = format!("refs/isobar/{nth}");
                both.wait();
                match set(&repository, &Update { reference: &reference, new: Some(new), old: Old::Just(None) }) {
                    Ok(()) => true,
                    Err(error) if is_lost(&error) => false,
                    Err(error) => panic!("{error}"),
                }
            };
            (0..rounds).map(round).collect()
        };
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| make("one"));
            let other = make("other");
            (one.join().expect("it ends"), other)
        });
        let made: Vec<usize> = one.iter().zip(&other).map(|(one, other)| usize::from(*one) + usize::from(*other)).collect();
        assert_eq!(made, vec![1; rounds]);
    }
}
