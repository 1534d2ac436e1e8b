//! What a store must do. The contract tests are one list for every store.

use super::After;
use super::audit::{self, Anchor, Audit, Compacted};
use super::life::Trace;
use crate::change::{BarePreview, Digest, Extent, Preview, Unseen};
use crate::journal::{Bears, CHECKPOINT_SCHEMA, CheckpointFault, Entry, Event, History, Unsealed};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// The sealed entries of a group, none where it may not be written any more, or why it is refused.
pub type Written = Result<Vec<Entry>, StoreError>;

/// Takes entries one by one.
pub type Take = Box<dyn FnMut(Entry) + Send>;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What went wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Other targets' leases are fine; this one is held by somebody who lives, proven or not.
    #[error("{target} is being written by {holder}")]
    Held { target: TargetId, holder: Box<Holder>, is_proven: bool },
    /// Our lease is no longer ours: we must stop writing.
    #[error("the lease on {0} is no longer ours")]
    Fenced(TargetId),
    /// The journal is not what was written: place and finding. Nothing may be applied on it.
    #[error("the journal is broken at {place}: {what}")]
    Broken { place: String, what: String },
    /// A newer Isobar wrote it.
    #[error("the journal has schema {0}, which this version cannot read")]
    Newer(u32),
    #[error("{what}")]
    Io { what: String, hint: Option<String> },
}

impl StoreError {
    /// Why what stands in the place of compacted entries cannot be read: no copy helps where a newer version wrote it.
    pub(super) fn of_base(place: String, fault: CheckpointFault) -> Self {
        match fault {
            CheckpointFault::Schema(schema) if schema > CHECKPOINT_SCHEMA => Self::Newer(schema),
            CheckpointFault::Schema(_) | CheckpointFault::Broken(_) => Self::Broken { place, what: fault.to_string() },
        }
    }
}

impl From<Unsealed> for StoreError {
    fn from(unsealed: Unsealed) -> Self {
        StoreError::Io { what: unsealed.what.into(), hint: Some(unsealed.hint.into()) }
    }
}

/// Who asks for a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Unique for each run of the binary.
    pub run: Arc<str>,
    pub host: Arc<str>,
    pub pid: u32,
    pub since_ms: u64,
    /// The job of a forge that runs it, whose end the forge can confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
}

/// One attempt of one job, as GitHub Actions names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// `owner/name`.
    pub repository: Arc<str>,
    pub run_id: Arc<str>,
    pub attempt: Arc<str>,
    pub name: Arc<str>,
    /// Where the forge is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<str>>,
}

impl Job {
    /// Where people find it. What a holder says may be anything: none where that makes no address.
    pub fn address(&self) -> Option<String> {
        let Self { repository, run_id, attempt, name: _, server } = self;
        let is_plain = |text: &str, marks: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
        let server = server.as_deref()?.trim_end_matches('/');
        let host = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"))?;
        let are_plain = is_plain(host, "-.:/") && is_plain(repository, "-._/") && is_plain(run_id, "") && is_plain(attempt, "");
        are_plain.then(|| format!("{server}/{repository}/actions/runs/{run_id}/attempts/{attempt}"))
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, run_id, attempt, name, server: _ } = self;
        write!(f, "job {name} of {repository}, run {run_id}, attempt {attempt}")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}, process {} on {}", self.run, self.pid, self.host)?;
        self.job.as_ref().map_or(Ok(()), |job| write!(f, " ({job})"))
    }
}

/// Who holds which targets.
pub type Held = (Holder, Vec<TargetId>);

/// The right to write about a set of targets. Only a store can make one; it ends with [`Store::release`] or the process.
#[derive(Debug)]
pub struct Lease {
    pub(super) run: Arc<str>,
    /// Each target's epoch: greater than that of any lease before.
    pub(super) epochs: BTreeMap<TargetId, u64>,
    /// What the store needs to keep it alive: the locked file.
    pub(super) guard: Option<std::fs::File>,
    /// What it leaves on this machine, where the lease itself lies elsewhere.
    pub(super) trace: Option<Trace>,
}

impl Lease {
    pub fn run(&self) -> &Arc<str> {
        &self.run
    }

    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.epochs.keys()
    }

    pub fn covers(&self, target: &TargetId) -> bool {
        self.epochs.contains_key(target)
    }
}

/// A preview set that was shown, kept apart from the journal; may be deleted at any time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The commit previewed; `None` for an uncommitted tree.
    pub head: Option<Arc<str>>,
    /// The base it was merged into; empty when each target was compared with its own last apply.
    pub base: Arc<str>,
    /// When it was shown last.
    pub at_ms: u64,
    /// When the very same was shown first: the store keeps that.
    pub first_ms: u64,
    /// Number of the change that it was shown of; `None` where it was shown of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
    /// The targets that were asked for, as they were written; `None` for all of them, and where it was shown of no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Arc<str>>,
    /// The workflow's run that showed it last, and its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<(u64, u32)>,
    /// How much the whole change was; `None` where only a part of it was looked at, so that nobody knows.
    #[serde(default)]
    pub whole: Option<Extent>,
    /// Seen and not seen, redacted, in the order of the fleet.
    pub previews: Vec<Result<Arc<Preview>, Unseen>>,
}

/// How a set is read that was written down.
pub type Reader = fn(&[u8]) -> Result<Stored, serde_json::Error>;

impl Stored {
    /// Reads a set as it is.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Reads a set without what only a reader needs: what decisions are bound to, and no more.
    pub fn read_bare(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Bare {
            head: Option<Arc<str>>,
            base: Arc<str>,
            at_ms: u64,
            first_ms: u64,
            #[serde(default)]
            change: Option<u64>,
            #[serde(default)]
            part: Option<Arc<str>>,
            #[serde(default)]
            run: Option<(u64, u32)>,
            #[serde(default)]
            whole: Option<Extent>,
            previews: Vec<Result<BarePreview, Unseen>>,
        }
        let Bare { head, base, at_ms, first_ms, change, part, run, whole, previews } = serde_json::from_slice(bytes)?;
        let previews = previews.into_iter().map(|answer| answer.map(|bare| Arc::new(Preview::from(bare)))).collect();
        Ok(Self { head, base, at_ms, first_ms, change, part, run, whole, previews })
    }
}

/// What is to be appended as one group.
pub struct Append<'a> {
    pub events: Vec<Event>,
    pub run: &'a Arc<str>,
    pub at_ms: u64,
    /// Entries about a target need one that covers it and is still ours.
    pub lease: Option<&'a Lease>,
    /// What it was decided on, where it may be wrong by now.
    pub after: Option<After>,
}

/// Keeps the journal.
pub trait Store: Send + Sync {
    /// `file:.isobar/journal`: where, for people.
    fn place(&self) -> String;

    /// Reads and verifies every entry that was not compacted away.
    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>>;

    /// Reads, verifies and folds every entry; a store that can does so without keeping them all.
    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(async move { Ok(History::of(self.read().await?)) })
    }

    /// Hands every entry that [`Store::read`] returns to `take`, oldest first; a store that can does so without keeping them all.
    /// What was taken before an error counts no more.
    fn each<'a>(&'a self, mut take: Take) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.read().await?.into_iter().for_each(&mut take);
            Ok(())
        })
    }

    /// Looks at everything that is kept, believes no shortcut, and says what is not what was written. `anchors` are heads that
    /// must have been there.
    fn audit<'a>(&'a self, anchors: &'a [Anchor]) -> Boxed<'a, Result<Audit, StoreError>> {
        Box::pin(async move { Ok(audit::audit_entries(&self.read().await?, anchors, &self.place())) })
    }

    /// Lets old entries go where that can be proven later: whole segments whose newest entry is older than `before_ms`. `first` is
    /// appended with the entry that says so. Nothing when there is none.
    fn compact<'a>(
        &'a self,
        _before_ms: u64,
        _first: Vec<Event>,
        _run: &'a Arc<str>,
        _at_ms: u64,
    ) -> Boxed<'a, Result<Compacted, StoreError>> {
        Box::pin(async { Ok(Compacted::default()) })
    }

    /// Appends a group after the newest entry, durably: when this returns, it survives a power cut. Returns the sealed entries; none
    /// when what it was decided on is not so any more.
    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Result<Vec<Entry>, StoreError>>;

    /// [`Store::write`] for groups that follow one another, each for itself: what becomes of one says nothing about the next. A store
    /// that can does so with one stroke.
    fn write_all<'a>(&'a self, appends: Vec<Append<'a>>) -> Boxed<'a, Vec<Written>> {
        Box::pin(async move {
            let mut written = Vec::new();
            for append in appends {
                written.push(self.write(append).await);
            }
            written
        })
    }

    /// [`Store::write`], whatever the newest entry is.
    fn append<'a>(
        &'a self,
        events: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
        lease: Option<&'a Lease>,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.write(Append { events, run, at_ms, lease, after: None })
    }

    /// Every entry after `head`, which is `None` for the beginning, oldest first; a store that can does so without reading those
    /// before it again.
    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(async move { Ok(self.read().await?.into_iter().filter(|entry| entry.seq > known).collect()) })
    }

    /// The same as far as this process knows the journal by now, which is at least to the last entry that it wrote; a store that can asks
    /// nobody for that. Who decides on it says so with what he writes.
    fn met_since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.since(head)
    }

    /// [`Store::write`], if the newest entry is still `head`, which is `None` where there is none yet. Returns no entries when it is
    /// another by now: what was decided may not be so any more.
    fn append_after<'a>(
        &'a self,
        head: Option<&'a (u64, Digest)>,
        events: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
        lease: Option<&'a Lease>,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.write(Append { events, run, at_ms, lease, after: Some(After::new(head, Bears::Nothing)) })
    }

    /// Takes all of `targets`, or none and says who has one.
    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>>;

    /// Gives a lease back.
    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>>;

    /// Gives `lease` back and takes all of `targets`, or none and says who has one: `lease` is over in either case. A store that can
    /// does so with one stroke.
    fn exchange<'a>(&'a self, lease: Lease, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            self.release(lease).await?;
            self.acquire(targets, holder).await
        })
    }

    /// Who holds what now, proven alive or not provable: holder and targets.
    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>>;

    /// Takes from `of` what it holds, on the word of somebody who knows that it ended, and appends `event`, which says so, with the
    /// same stroke. Refuses when `of` is proven to live, or holds nothing. Returns the targets that are free now.
    fn free<'a>(
        &'a self,
        of: &'a str,
        event: Event,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Vec<TargetId>, StoreError>>;

    /// Says whether an append would be let in, as far as that can be known without making one.
    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>>;

    /// Keeps a shown preview set; it replaces none but the very same shown earlier.
    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>>;

    /// Every kept preview set, oldest first.
    fn saved<'a>(&'a self) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        self.saved_as(Stored::read)
    }

    /// Every kept preview set, oldest first, read by `read`: all of them as they are may be more than a runner has room for.
    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_an_address_where_its_words_make_one() {
        let job = |server: &str, repository: &str| Job {
            repository: repository.into(),
            run_id: "7".into(),
            attempt: "1".into(),
            name: "deploy".into(),
            server: Some(server.into()),
        };
        let found = Some("https://git.acme.test/acme/fleet/actions/runs/7/attempts/1".to_string());
        assert_eq!(job("https://git.acme.test/", "acme/fleet").address(), found);
        assert_eq!(job("javascript:alert(1)", "acme/fleet").address(), None);
        assert_eq!(job("https://git.acme.test", "acme/fleet?x=\u{202e}").address(), None);
        let old: Job = serde_json::from_str(r#"{"repository":"a/b","run_id":"7","attempt":"1","name":"x"}"#).expect("a job");
        assert_eq!(old.address(), None, "as it was written before");
    }
}
