//! The tip of the ref on a desk: looked at, changed by a push that is taken only when nobody was first, and read back when an answer
//! is lost. Knows that a change is made once; not what it is.

use super::GitSite;
use super::draft::{Change, Draft};
use super::fault::in_doubt;
use super::known::Known;
use super::program::Program;
use super::reach::Reach;
use super::seen::{Met, Seen};
use super::tip::{Old, Pushed, Tip, Update};
use super::tree::Contents;
use super::wire::Wire;
use crate::change::{Digest, Key};
use crate::journal::{Entry, Sealer};
use crate::store::life::Here;
use crate::store::turn::{Turn, Turns};
use crate::store::{Location, StoreError};
use git2::Repository;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The most that a reader folds who begins at a checkpoint, and about as much as it fetches.
const SEGMENT_BYTES: usize = 16 << 20;
/// Pushes of one change. Each that comes too late means that somebody else's came in time, so many writers all get on.
const PUSHES_MAX: u32 = 60;
/// Of them, those whose answer was lost, and looks that failed after them.
const DOUBTS_MAX: u32 = 5;
/// Between two pushes: from the first to the second, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// What stands around a push: nothing, or in tests something that loses it, or its answer.
pub(super) type Around = dyn Fn(&mut dyn FnMut() -> Result<Pushed, StoreError>) -> Result<Pushed, StoreError> + Send + Sync;

/// What one call works with.
pub(super) struct Desk {
    pub(super) place: Arc<str>,
    pub(super) reference: Arc<str>,
    pub(super) wire: Wire,
    pub(super) repository: Repository,
    cache: PathBuf,
    /// Of the processes of this clone.
    pub(super) turns: Turns,
    seen: Seen,
    pub(super) known: Known,
    pub(super) here: Here,
    pub(super) preview_sealer: Option<Sealer>,
    around: Arc<Around>,
    is_durable: bool,
    /// Bytes of entries after the newest checkpoint at which the next one is made.
    pub(super) segment_bytes: usize,
    pub(super) pushes_max: u32,
}

/// What is to be done on the tip as it is now.
pub(super) enum Plan<T> {
    /// Nothing: it is there already.
    Done(T),
    Push(Box<Change>, T),
}

impl Desk {
    pub(super) fn open(site: &GitSite, around: Arc<Around>, key: Option<&Key>) -> Result<Self, StoreError> {
        let place: Arc<str> = format!("git:{}#{}", site.location.shown(), site.reference).into();
        let cache = site.cache.join(Digest::of("git journal", &[&place]).short());
        let wire = match &site.location {
            Location::Disk(dir) => Wire::Disk(dir.clone()),
            Location::Address(address) => {
                let reach = Reach::new(address, &site.variables, &site.settings);
                Wire::Program(Program { cache: cache.join("objects.git"), reach })
            }
        };
        let mut turns = Turns::new(cache.clone(), &place, key);
        let repository = {
            let _turn = matches!(wire, Wire::Program(_)).then(|| turns.take()); // the cache may have to be made
            wire.objects(&place)?
        };
        let known = Known::nothing(place.clone(), key.map(Sealer::of_journal));
        let preview_sealer = key.map(Sealer::of_previews);
        let seen = Seen::new(&site.cache, &cache, &place, &site.reference, site.anew);
        let (reference, here) = (site.reference.clone(), Here::new(site.locks.clone()));
        Ok(Self {
            place,
            reference,
            wire,
            repository,
            seen,
            cache,
            turns,
            known,
            here,
            preview_sealer,
            around,
            is_durable: false,
            segment_bytes: SEGMENT_BYTES,
            pushes_max: PUSHES_MAX,
        })
    }

    /// Verifies what came since the last look.
    pub(super) fn look(&mut self) -> Result<(), StoreError> {
        let _turn = self.turn_at_cache();
        self.look_again()
    }

    /// Where the ref is now, whatever it holds.
    pub(super) fn tip(&self) -> Result<Tip, StoreError> {
        self.wire.look(&self.place, &self.repository, &self.reference, self.known.tip())
    }

    /// What the tree of `tip` holds by name. Less than this clone has seen is no journal that nobody has begun.
    pub(super) fn contents(&self, tip: Tip) -> Result<Contents, StoreError> {
        let contents = Contents::read(&self.place, &self.repository, tip)?;
        let met = match tip {
            None => Met::Nothing,
            Some(_) if contents.parts.is_empty() => Met::Begun,
            Some(_) => Met::Entries,
        };
        self.seen.note(met);
        match self.known.has_looked() {
            true => {} // the journal knows best what it means that something of it went away
            false => self.seen.refuse_less(met, &self.place)?,
        }
        Ok(contents)
    }

    /// The same in our turn.
    pub(super) fn look_again(&mut self) -> Result<(), StoreError> {
        let tip = self.tip()?;
        if self.known.is_at(tip) {
            return Ok(());
        }
        let contents = self.contents(tip)?;
        self.known.follow(&self.wire, &self.repository, tip, contents)
    }

    /// The entries after one, up to the last that was verified: all of them are read again where we have not kept them.
    pub(super) fn entries_after(&self, seq: u64) -> Result<Vec<Entry>, StoreError> {
        if let Some(entries) = self.known.followed.since(seq, self.known.chain.seq) {
            return Ok(entries);
        }
        let mut entries = Vec::new();
        let take = &mut |entry: Entry| entries.extend(Some(entry).filter(|entry| entry.seq > seq));
        self.known.each(&self.wire, &self.repository, take)?;
        Ok(entries)
    }

    /// A push tells as much as a look, when looking is a way through a network: if the tip is not what we know, it is refused.
    fn may_guess(&self) -> bool {
        self.known.has_looked() && matches!(self.wire, Wire::Program(_))
    }

    /// Lets other processes of this clone go first: they would only come too late, one after the other.
    pub(super) fn turn(&mut self) -> Option<Turn> {
        self.turns.take()
    }

    /// The same for who only reads, where others of this clone must not write to the cache meanwhile.
    pub(super) fn turn_at_cache(&mut self) -> Option<Turn> {
        match self.wire {
            Wire::Disk(_) => None,
            Wire::Program(_) => self.turn(),
        }
    }

    pub(super) fn make_durable(&mut self) -> Result<(), StoreError> {
        if !self.is_durable {
            self.repository = self.wire.durable_objects(&self.place, &self.cache)?;
            self.is_durable = true;
        }
        Ok(())
    }

    /// Makes a change on the tip, and makes it anew on each newer tip, until it is taken or there is nothing to do. It is made once,
    /// whatever becomes of the answers.
    pub(super) fn change<T>(&mut self, plan: impl FnMut(&Desk) -> Result<Plan<T>, StoreError>) -> Result<T, StoreError> {
        let _turn = self.turn();
        self.change_now(plan)
    }

    /// The same when it is our turn, or is not to be had.
    pub(super) fn change_now<T>(&mut self, mut plan: impl FnMut(&Desk) -> Result<Plan<T>, StoreError>) -> Result<T, StoreError> {
        self.make_durable()?;
        (self.known.tried, self.known.arrived) = (Vec::new(), None);
        let mut doubts = 0;
        let mut doubt: Option<StoreError> = None;
        let mut lock = None;
        for push in 0..self.pushes_max {
            if push > 0 {
                std::thread::sleep(pause(push, self.known.chain.seq));
            }
            let looked = if push == 0 && self.may_guess() { Ok(()) } else { self.look_again() };
            match looked {
                Ok(()) => {}
                Err(StoreError::Io { .. }) if doubt.is_some() && doubts < DOUBTS_MAX => {
                    doubts += 1;
                    continue;
                }
                Err(error) => return Err(if doubt.is_some() { in_doubt(error) } else { error }),
            }
            let told = |error| if doubt.is_some() { in_doubt(error) } else { error };
            let (change, value) = match plan(self).map_err(told)? {
                Plan::Done(value) => return Ok(value),
                Plan::Push(change, value) => (*change, value),
            };
            self.known.tried.extend(change.entries.last().map(|entry| entry.hash.clone()));
            let draft = Draft::write(&self.place, &self.repository, &self.known, change).map_err(told)?;
            let update = Update { reference: &self.reference, new: Some(draft.commit), old: Old::Just(self.known.tip()) };
            let mut push = || self.wire.push(&self.place, &self.repository, std::slice::from_ref(&update));
            match (self.around)(&mut push).map_err(told)? {
                Pushed::Done => {
                    draft.adopt(&mut self.known);
                    self.seen.note(if self.known.chain.seq > 0 { Met::Entries } else { Met::Begun });
                    return Ok(value);
                }
                Pushed::Lost(in_the_way) => lock = in_the_way,
                Pushed::Unsure(error) if doubts < DOUBTS_MAX => {
                    doubts += 1;
                    doubt = Some(error);
                }
                Pushed::Unsure(error) => return Err(in_doubt(error)),
            }
        }
        Err(doubt.map_or_else(|| self.crowded(lock.as_deref()), in_doubt))
    }

    /// Every push came too late. `lock` is the file that the last of them met.
    fn crowded(&self, lock: Option<&Path>) -> StoreError {
        let (place, times) = (&self.place, self.pushes_max);
        let Some(lock) = lock else {
            return StoreError::Io {
                what: format!("somebody else was first {times} times in a row at {place}; nothing was journalled"),
                hint: Some("run the same command again; many runs at once are better one after the other".into()),
            };
        };
        let lock = lock.display();
        StoreError::Io {
            what: format!("the ref stays locked at {place}, by the file {lock}; nothing was journalled"),
            hint: Some(format!(
                "when no isobar and no git works there, a process died: delete {lock} and run the same command again"
            )),
        }
    }
}

/// Longer each time, and not the same for two writers who met.
fn pause(push: u32, seq: u64) -> Duration {
    let salt = Digest::of("pause", &[&std::process::id().to_string(), &seq.to_string(), &push.to_string()]);
    let part = u32::from_str_radix(&salt.as_str()[..4], 16).unwrap_or_default();
    let whole = (PAUSE_FIRST * 2_u32.pow(push.min(10))).min(PAUSE_MAX);
    whole / 2 + whole / 2 * part / 0x1_0000
}
