//! Processes of one machine that write the same journal take turns, and whoever has the turn writes what the others wait with: many
//! processes at once cost one way to the journal, as many appends of one process do. Knows files and locks; not how a journal is written.
//!
//! ```text
//! lock                locked by whoever has the turn; says how far the journal went when the last turn ended
//! waiting/X.asked     what a process waits with, locked by it as long as it lives
//! waiting/X.taken     the same, while somebody is about to write it
//! ```
//!
//! A file that is gone was written, or what it holds may not be written any more: the journal says which. One that stays taken when
//! the turn is free was left by somebody who died or failed, and nobody but the journal knows whether he wrote it. All of it may be
//! deleted while nobody writes.

use super::wish::Wish;
use crate::change::Key;
use crate::journal::{Sealer, close};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long others go first; after that the journal itself decides who was first.
const TURN_MAX: Duration = Duration::from_secs(30);
/// The same for who waited that long in vain: whoever has the turn stands still.
const TURN_NEXT_MAX: Duration = Duration::from_secs(1);
/// How long we wait for somebody who is about to write what is ours.
const TAKEN_MAX: Duration = Duration::from_secs(300);
const TURN_POLL: Duration = Duration::from_millis(1);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes that are written for others at once.
const REQUESTS_MAX: usize = 8 << 20;

/// Bytes of a mark at most.
const MARK_MAX: usize = 64;

const ASKED: &str = "asked";
const TAKEN: &str = "taken";
/// Not asked yet: somebody writes it.
const NEW: &str = "new";

/// Where the processes of one machine that write one journal take turns.
pub(super) struct Turns {
    dir: PathBuf,
    /// Of the journal.
    place: String,
    sealer: Option<Sealer>,
    patience: Duration,
}

/// It is ours to write, as long as this lives.
pub(super) struct Turn {
    waiting: PathBuf,
    lock: File,
}

/// How waiting ended, and whose turn it is: nobody's that we know of where it is not to be had.
pub(super) enum Waited {
    /// Nobody touched the wish.
    Untouched(Option<Turn>),
    /// Somebody was about to write it when he died or failed.
    Unsure(Turn),
    /// Somebody wrote it, as far as it may be written.
    Written(Option<Turn>),
    /// Somebody is about to, and does not come to an end.
    Stuck,
}

/// What somebody else waits with, and we are about to write.
pub(super) struct Request {
    pub(super) wish: Wish,
    file: PathBuf,
}

/// What stands in a file.
#[derive(Serialize, Deserialize)]
struct Text {
    version: String,
    /// The journal's.
    place: String,
    /// Of the file, without what it ends with.
    name: String,
    wish: Wish,
}

/// What we left for others.
struct Left {
    path: PathBuf,
    lock: File,
}

impl Turns {
    /// `dir` is of this clone, or of this user; it is made when it is needed. Only requests sealed with `key` are taken; without one, only
    /// those without a seal.
    pub(super) fn new(dir: PathBuf, place: &str, key: Option<&Key>) -> Self {
        Self { dir, place: place.into(), sealer: key.map(Sealer::of_requests), patience: TURN_MAX }
    }

    /// Waits for our turn; `None` when it cannot be had. After a wait in vain the next ones are short, until a turn was had.
    pub(super) fn take(&mut self) -> Option<Turn> {
        self.try_take().or_else(|| match self.wait(None) {
            Waited::Untouched(turn) | Waited::Written(turn) => turn,
            Waited::Unsure(turn) => Some(turn),
            Waited::Stuck => None,
        })
    }

    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// With another key, or none.
    pub(super) fn seal_by(&mut self, key: Option<&Key>) {
        self.sealer = key.map(Sealer::of_requests);
    }

    /// Our turn, if nobody else has it.
    pub(super) fn try_take(&self) -> Option<Turn> {
        let lock = self.lock()?;
        lock.try_lock().ok().map(|()| self.turn(lock))
    }

    /// Waits until it is our turn, or somebody else has written `wish`.
    pub(super) fn wait(&mut self, wish: Option<&Wish>) -> Waited {
        let Some(lock) = self.lock() else { return Waited::Untouched(None) };
        let asked = wish.and_then(|wish| self.ask(wish));
        let begun = Instant::now();
        loop {
            if asked.as_ref().is_some_and(Left::is_gone) {
                return Waited::Written(None);
            }
            match lock.try_lock() {
                Ok(()) => {
                    self.patience = TURN_MAX;
                    let turn = self.turn(lock);
                    return match asked {
                        Some(left) => left.end(turn),
                        None => Waited::Untouched(Some(turn)),
                    };
                }
                Err(TryLockError::WouldBlock) => {}
                // Nobody can lock anything there.
                Err(TryLockError::Error(_)) if asked.as_ref().is_none_or(Left::take_back) => {
                    return Waited::Untouched(None);
                }
                Err(TryLockError::Error(_)) => {}
            }
            let waited = begun.elapsed();
            if waited > self.patience && asked.as_ref().is_none_or(Left::take_back) {
                self.patience = TURN_NEXT_MAX;
                return Waited::Untouched(None);
            }
            if waited > TAKEN_MAX {
                return Waited::Stuck;
            }
            std::thread::sleep(TURN_POLL);
        }
    }

    fn lock(&self) -> Option<File> {
        fs::create_dir_all(&self.dir).ok()?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.dir.join("lock")).ok()
    }

    fn turn(&self, lock: File) -> Turn {
        Turn { waiting: self.waiting(), lock }
    }

    fn waiting(&self) -> PathBuf {
        self.dir.join("waiting")
    }

    /// Leaves a wish for whoever has the turn. What cannot be left waits with us.
    fn ask(&self, wish: &Wish) -> Option<Left> {
        let waiting = self.waiting();
        DirBuilder::new().recursive(true).mode(0o700).create(&waiting).ok()?;
        let name =
            format!("{}-{:016x}", std::process::id(), RandomState::new().hash_one(wish.known.as_ref().map(|known| known.0)));
        let text = self.text(wish, &name)?;
        let path = waiting.join(name);
        let new = path.with_extension(NEW);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).ok()?;
        let is_asked = file.try_lock().is_ok()
            && file.write_all(text.as_bytes()).is_ok()
            && fs::rename(&new, path.with_extension(ASKED)).is_ok();
        if !is_asked {
            let _left = fs::remove_file(&new);
        }
        is_asked.then_some(Left { path, lock: file })
    }

    /// A wish as a file says it, with the seal of whoever has a key.
    fn text(&self, wish: &Wish, name: &str) -> Option<String> {
        let text = Text { version: VERSION.into(), place: self.place.clone(), name: name.into(), wish: wish.clone() };
        Some(close(serde_json::to_string(&text).ok()?, self.sealer.as_ref()))
    }

    /// Takes what others wait with, who live and have our key; removes what the dead left.
    pub(super) fn requests(&self, turn: &Turn) -> Vec<Request> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&turn.waiting).into_iter().flatten().flatten().map(|file| file.path()).collect();
        files.sort();
        let mut room = REQUESTS_MAX;
        files.into_iter().filter_map(|file| self.request(file, &mut room)).collect()
    }

    fn request(&self, file: PathBuf, room: &mut usize) -> Option<Request> {
        if !is_locked(&file)? {
            let _left = fs::remove_file(&file); // whoever waited for it is dead
            return None;
        }
        if file.extension()? != ASKED {
            return None;
        }
        let text = fs::read_to_string(&file).ok()?;
        // Another version may say more than we understand, another key or journal is another's, and a change breaks the seal.
        let Text { wish, .. } = serde_json::from_str(&text).ok()?;
        if wish.known.is_none() || self.text(&wish, file.file_stem()?.to_str()?)? != text {
            return None;
        }
        *room = room.checked_sub(text.len())?;
        let taken = file.with_extension(TAKEN);
        fs::rename(&file, &taken).ok()?;
        Some(Request { wish, file: taken })
    }
}

impl Turn {
    /// How far the journal went when the last turn ended, where somebody said so: who knows it otherwise comes too late.
    pub(super) fn mark(&self) -> Option<String> {
        let mut bytes = [0; MARK_MAX];
        let read = self.lock.read_at(&mut bytes, 0).ok()?;
        Some(String::from_utf8_lossy(&bytes[..read]).into_owned()).filter(|mark| !mark.is_empty())
    }

    /// Says how far it goes now.
    pub(super) fn leave(&self, mark: &str) {
        let _only_slower = self.lock.write_all_at(mark.as_bytes(), 0).and_then(|()| self.lock.set_len(mark.len() as u64));
    }
}

impl Request {
    /// It is written, as far as it may be.
    pub(super) fn written(self) {
        let _left = fs::remove_file(&self.file);
    }

    /// Nobody wrote it, and its turn comes again.
    pub(super) fn give_back(self) {
        let _left = fs::rename(&self.file, self.file.with_extension(ASKED));
    }
}

impl Left {
    fn file(&self, state: &str) -> PathBuf {
        self.path.with_extension(state)
    }

    /// Somebody wrote it. Asked of the file itself, as it may change its name at any moment.
    fn is_gone(&self) -> bool {
        self.lock.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// False when somebody took it before.
    fn take_back(&self) -> bool {
        fs::remove_file(self.file(ASKED)).is_ok()
    }

    /// It is our turn, so that nobody else is about to do anything.
    fn end(self, turn: Turn) -> Waited {
        if self.take_back() {
            return Waited::Untouched(Some(turn));
        }
        match fs::remove_file(self.file(TAKEN)) {
            Ok(()) => Waited::Unsure(turn),
            Err(_) => Waited::Written(Some(turn)),
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let _gone = self.take_back();
    }
}

/// `None` when it is gone, or cannot be asked.
fn is_locked(file: &Path) -> Option<bool> {
    match File::open(file).ok()?.try_lock() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}
