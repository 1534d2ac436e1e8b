//! History as a run keeps it while it writes: alone, or beside others who write the same journal. Knows what is appended on what; not
//! what an entry means to a rollout, nor which clock is asked.

use super::share::Share;
use super::{Leases, Look};
use crate::change::Digest;
use crate::journal::{Entry, Event, History};
use crate::rollout::{Progress, Rollout, Takeover};
use crate::stack::TargetId;
use crate::store::{Append, Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who writes, where and when.
pub struct Writer<'a> {
    pub store: &'a dyn Store,
    pub run: &'a Arc<str>,
    pub now_ms: Box<dyn Fn() -> u64 + Send + Sync + 'a>,
    /// What is left of the job that this run is a part of, where somebody said so.
    pub time: Option<TimeLeft>,
}

/// How much time a run had when it began, and when it is over.
#[derive(Clone, Copy)]
pub struct TimeLeft {
    pub whole_ms: u64,
    pub until_ms: u64,
}

/// What became of an append that must stand on the newest entry.
enum Newest {
    /// It stands.
    Ours,
    /// Others came, and did nothing yet.
    Came,
    /// Others wrote.
    Theirs,
}

/// History, kept entry by entry. Where others write as well, nothing is folded but in the order of the journal.
pub struct Replica<'a> {
    pub(super) writer: Writer<'a>,
    history: Mutex<History>,
    /// What is known of others, when they bring the same with us.
    pub(super) share: Option<Share<'a>>,
}

impl TimeLeft {
    pub fn is_over(self, now_ms: u64) -> bool {
        self.until_ms <= now_ms
    }

    /// As much is left as something usually takes.
    pub fn fits(self, usual_ms: u64, now_ms: u64) -> bool {
        now_ms < self.until_ms && usual_ms <= self.until_ms - now_ms
    }
}

impl<'a> Replica<'a> {
    pub fn new(writer: Writer<'a>, history: History, share: Option<Share<'a>>) -> Self {
        Self { writer, history: Mutex::new(history), share }
    }

    /// Other processes bring the same with us.
    pub fn is_shared(&self) -> bool {
        self.share.is_some()
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn into_history(self) -> History {
        self.history.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.writer.now_ms)()
    }

    /// The job's time is over.
    pub fn is_late(&self) -> bool {
        self.writer.time.is_some_and(|time| time.is_over(self.now_ms()))
    }

    /// As much of the job is left as this target usually takes.
    pub fn fits(&self, target: &TargetId, now_ms: u64) -> bool {
        self.writer.time.is_none_or(|time| time.fits(self.usual_ms(target), now_ms))
    }

    /// Something that is leased may still be in flight, though the drive of it ended in an error. A shard reads its own starts with the
    /// next look at the journal, and that may be what failed.
    pub fn may_have_in_flight(&self, leases: &Leases) -> bool {
        leases.targets().any(|target| self.is_shared() || self.history().is_unknown(target))
    }

    /// How long a target usually takes.
    pub fn usual_ms(&self, target: &TargetId) -> u64 {
        self.history().usual().p90_ms(target).unwrap_or_default()
    }

    /// Journals that the run begins, and reads what others wrote until then: from there on whoever would plan sees that it came. True
    /// when there was something that it did not know.
    pub async fn announce(&self, event: Event, leases: &Leases) -> Result<bool, StoreError> {
        self.append(vec![event], leases).await?;
        self.refresh().await
    }

    /// Appends what is one group, or where it is covered by several leases one for each, whatever the newest entry is.
    pub async fn append(&self, events: Vec<Event>, leases: &Leases) -> Result<(), StoreError> {
        let (Writer { store, run, .. }, at_ms) = (&self.writer, self.now_ms());
        let append = |(events, lease)| Append { events, run, at_ms, lease: Some(lease), after: None };
        let written = store.write_all(leases.groups(events).into_iter().map(append).collect()).await;
        let written = written.into_iter().collect::<Result<Vec<_>, _>>()?;
        if self.is_shared() {
            self.follow(Look::Known).await?;
        }
        written.iter().for_each(|sealed| self.sealed(sealed));
        Ok(())
    }

    /// Keeps history current with what we appended; where others write as well, it is read in the order of the journal.
    pub fn sealed(&self, entries: &[Entry]) {
        if !self.is_shared() {
            let mut history = self.history();
            entries.iter().for_each(|entry| history.record(entry));
        }
    }

    /// Folds in what was appended since, by whomever; false when that was nothing but others who came.
    pub async fn catch_up(&self) -> Result<bool, StoreError> {
        self.follow(Look::Newest).await
    }

    pub(super) async fn follow(&self, look: Look) -> Result<bool, StoreError> {
        let Some(share) = &self.share else { return Ok(false) };
        let (head, store) = (self.head(), self.writer.store);
        let fresh = match look {
            Look::Known => store.met_since(head.as_ref()).await?,
            Look::Newest => store.since(head.as_ref()).await?,
        };
        let mut history = self.history();
        for entry in &fresh {
            history.record(entry);
            share.meet(entry, self.writer.run);
        }
        Ok(fresh.iter().any(|entry| !matches!(entry.event, Event::RunStarted { .. })))
    }

    /// Reads the journal again when others wrote between our own entries; false when nobody did.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        let misses = self.history().misses_entries();
        if misses {
            let fresh = self.writer.store.history().await?;
            *self.history() = fresh;
        }
        Ok(misses)
    }

    /// Appends what follows from the whole state of a rollout; false when others wrote since that was read: then it must be decided anew.
    /// Nobody else drives what a run has by itself.
    pub async fn decide(&self, events: Vec<Event>, leases: &Leases) -> Result<bool, StoreError> {
        if !self.is_shared() {
            self.append(events, leases).await?;
            return Ok(true);
        }
        self.append_on_newest(events, leases).await
    }

    /// Appends what was decided on history as it is here, if nobody wrote since. Who only came is no reason to decide anew.
    async fn append_on_newest(&self, events: Vec<Event>, leases: &Leases) -> Result<bool, StoreError> {
        loop {
            match self.append_if_newest(events.clone(), leases).await? {
                Newest::Ours => return Ok(true),
                Newest::Came => {}
                Newest::Theirs => return Ok(false),
            }
        }
    }

    async fn append_if_newest(&self, events: Vec<Event>, leases: &Leases) -> Result<Newest, StoreError> {
        let (Writer { store, run, .. }, known) = (&self.writer, self.head());
        let sealed = store.append_after(known.as_ref(), events, run, self.now_ms(), Some(leases.newest())).await?;
        let is_more = self.catch_up().await?;
        Ok(match (sealed.is_empty(), is_more) {
            (false, _) => Newest::Ours,
            (true, false) => Newest::Came,
            (true, true) => Newest::Theirs,
        })
    }

    /// Appends what whoever is the last at work has to say, if that is us and nobody did; false when it must be decided anew.
    pub async fn append_as_last(&self, event: Event, leases: &Leases) -> Result<bool, StoreError> {
        let Some(share) = &self.share else {
            self.append(vec![event], leases).await?;
            return Ok(true);
        };
        if share.is_said(&event) {
            return Ok(true);
        }
        Ok(!self.elsewhere().await?.is_empty() || self.append_on_newest(vec![event], leases).await?)
    }

    /// Journals a plan and returns what is to be driven; nothing when others did something meanwhile that it knows nothing of.
    pub async fn plan(&self, rollout: Rollout, takeover: &Takeover, leases: &Leases) -> Result<Option<Progress>, StoreError> {
        let commit = &rollout.commit;
        let superseded = takeover.rollouts().map(|old| Event::Superseded { rollout: old.id.clone(), commit: commit.clone() });
        let events: Vec<Event> = superseded.chain([Event::Planned { rollout: rollout.clone() }]).collect();
        if !self.is_shared() {
            self.append(events, leases).await?;
            return Ok(Some(Progress::new(rollout)));
        }
        let planned = rollout.waves.iter().flat_map(|wave| &wave.targets).map(|planned| planned.target.clone()).collect();
        loop {
            match self.append_if_newest(events.clone(), leases).await? {
                Newest::Ours => return Ok(self.anew(&rollout.id)),
                Newest::Came if self.is_written_elsewhere(&planned).await? => return Ok(None), // by who came, and will plan it
                Newest::Came => {}
                Newest::Theirs => return Ok(None),
            }
        }
    }

    /// The newest entry that is known here.
    pub(super) fn head(&self) -> Option<(u64, Digest)> {
        self.history().head().map(|(seq, hash)| (seq, hash.clone()))
    }
}
