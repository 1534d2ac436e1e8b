//! What processes want of a journal, and how the wishes of many become one stroke. Knows entries and leases; not how a stroke is written.

use super::StoreError;
use super::group::{self, Claim, Group, Sealed};
use super::leases::{LeaseFile, Wanted};
use super::life::{Here, Trace};
use crate::change::Digest;
use crate::journal::{Chain, Entry};
use crate::store::Lease;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one process wants: entries, with what they were decided on; that a lease of its own ends; that another begins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wish {
    /// The newest entry that its process knew when it left this to others, who may have written it since; `None` while nobody could.
    pub(super) known: Option<(u64, Digest)>,
    pub(super) groups: Vec<Group>,
    pub(super) ends: Option<Ending>,
    pub(super) wants: Option<Wanted>,
}

/// A lease that is to end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) epoch: u64,
    run: Arc<str>,
    targets: usize,
}

/// What became of a wish.
#[derive(Clone)]
pub(super) struct Granted {
    /// Of each group.
    pub(super) sealed: Vec<Sealed>,
    /// The epoch of the lease that was asked for.
    pub(super) lease: Option<Result<u64, StoreError>>,
    /// Of owners who are proven to have ended, and whose leases ended with this.
    pub(super) gone: Vec<Trace>,
    /// The lease that was to end ended with this.
    pub(super) has_ended: bool,
}

/// What is to be written at once.
pub(super) struct Stroke {
    pub(super) entries: Vec<Entry>,
    /// The chain with them.
    pub(super) chain: Chain,
    pub(super) leases: Vec<LeaseFile>,
    pub(super) ended: Vec<u64>,
}

/// How a journal stands, as far as it was read.
pub(super) trait Standing {
    fn chain(&self) -> &Chain;
    /// The entries after one; `None` when they are not all known.
    fn since(&self, seq: u64) -> Option<Vec<Entry>>;
    /// Somebody has the lease with this epoch.
    fn is_held(&self, epoch: u64) -> bool;
    /// Every lease, whoever lives.
    fn leases(&self) -> Result<Vec<LeaseFile>, StoreError>;
    /// Of the newest lease.
    fn epoch(&self) -> u64;
    fn here(&self) -> &Here;

    fn is_ours(&self, claim: &Claim) -> bool {
        self.is_held(claim.epoch)
    }
}

impl Ending {
    /// `None` of a lease over nothing.
    pub(super) fn of(lease: &Lease) -> Option<Self> {
        let epoch = lease.epochs.values().next().copied()?;
        Some(Self { epoch, run: lease.run.clone(), targets: lease.epochs.len() })
    }
}

impl Wish {
    /// The number of the newest entry that its process knew.
    pub(super) fn seq(&self) -> u64 {
        self.known.as_ref().map_or(0, |(seq, _)| *seq)
    }

    /// It is there: one of its groups, or the lease that it wants, or else the lease that it ends is over. `since` are the entries after
    /// the one that its process knew.
    pub(super) fn is_met(&self, since: &[Entry], standing: &impl Standing) -> bool {
        let has_lease = |wanted: &Wanted| standing.leases().is_ok_and(|all| all.iter().any(|lease| wanted.is_it(lease)));
        match (&self.wants, &self.ends) {
            (Some(wanted), _) => has_lease(wanted),
            (None, Some(lease)) => !standing.is_held(lease.epoch),
            (None, None) => self.groups.iter().any(|group| group.is_among(since)),
        }
    }

    /// Nobody wrote it yet; `None` where that cannot be told, or what its process knew is not of this journal.
    fn is_to_do(&self, standing: &impl Standing) -> Option<bool> {
        let Some((known, hash)) = &self.known else { return Some(true) };
        let since = standing.since(*known).filter(|_| *known <= standing.chain().seq)?;
        let before = since.first().map_or(&standing.chain().head, |next| &next.prev);
        (before == hash).then(|| !self.is_met(&since, standing))
    }

    /// What became of it, written by somebody else with one stroke; or why it may not be written. `None` where it may, and is not.
    pub(super) fn found(&self, since: &[Entry], standing: &impl Standing) -> Option<Granted> {
        let sealed = group::found(&self.groups, since, standing.chain(), |claim| standing.is_ours(claim))?;
        if self.ends.as_ref().is_some_and(|lease| standing.is_held(lease.epoch)) {
            return None;
        }
        let lease = match &self.wants {
            None => None,
            Some(wanted) => {
                let leases = standing.leases().ok()?;
                let own = leases.iter().find(|lease| wanted.is_it(lease)).map(|lease| Ok(lease.epoch));
                Some(own.or_else(|| wanted.against(&leases, 0, standing.here()).err().map(Err))?)
            }
        };
        Some(Granted { sealed, lease, gone: Vec::new(), has_ended: false })
    }
}

impl Granted {
    /// Nothing of it was written.
    pub(super) fn is_refused(&self) -> bool {
        let is_written = |sealed: &Sealed| sealed.as_ref().is_ok_and(|entries| !entries.is_empty());
        !self.has_ended && !self.sealed.iter().any(is_written) && !matches!(self.lease, Some(Ok(_)))
    }
}

impl Stroke {
    /// Nothing yet.
    pub(super) fn on(chain: &Chain) -> Self {
        Self { entries: Vec::new(), chain: chain.clone(), leases: Vec::new(), ended: Vec::new() }
    }

    /// Makes one of many wishes, entries before leases, and says what becomes of each. What somebody wrote meanwhile, or may have, is left
    /// out: whoever wished it finds it.
    pub(super) fn of(wishes: &[Wish], standing: &impl Standing) -> (Self, Vec<Option<Granted>>) {
        let mut stroke = Self::on(standing.chain());
        let to_do: Vec<Option<bool>> = wishes.iter().map(|wish| wish.is_to_do(standing)).collect();
        let left = || wishes.iter().zip(&to_do).filter(|(_, to_do)| **to_do == Some(true)).map(|(wish, _)| wish);
        let groups = left().flat_map(|wish| &wish.groups).cloned().collect();
        let sealed = group::seal(groups, &mut stroke.chain, |claim| standing.is_ours(claim), |seq| standing.since(seq));
        stroke.entries = group::entries(&sealed).cloned().collect();
        let ends = left().filter_map(|wish| wish.ends.as_ref()).map(|lease| lease.epoch);
        stroke.ended = ends.filter(|epoch| standing.is_held(*epoch)).collect();

        let (mut held, mut sealed) = (None, sealed.into_iter());
        let grant = |(wish, to_do): (&Wish, &Option<bool>)| match to_do {
            None => None,
            Some(false) => Some(Granted { sealed: Vec::new(), lease: None, gone: Vec::new(), has_ended: false }),
            Some(true) => {
                let sealed = sealed.by_ref().take(wish.groups.len()).collect();
                let lease = wish.wants.as_ref().map(|wanted| {
                    let held = held.get_or_insert_with(|| standing.leases());
                    stroke.take(wanted, held.as_ref(), standing)
                });
                let (lease, gone) = lease.map_or((None, Vec::new()), |taken| match taken {
                    Ok((epoch, gone)) => (Some(Ok(epoch)), gone),
                    Err(refused) => (Some(Err(refused)), Vec::new()),
                });
                let has_ended = wish.ends.as_ref().is_some_and(|lease| stroke.ended.contains(&lease.epoch));
                Some(Granted { sealed, lease, gone, has_ended })
            }
        };
        let granted = wishes.iter().zip(&to_do).map(grant).collect();
        (stroke, granted)
    }

    /// Takes a lease where `held` are there, and says what those left whose leases end with that.
    fn take(
        &mut self,
        wanted: &Wanted,
        held: Result<&Vec<LeaseFile>, &StoreError>,
        standing: &impl Standing,
    ) -> Result<(u64, Vec<Trace>), StoreError> {
        // Whoever waits with us lives, as far as anybody here can say before the next stroke.
        if let Some(held) = self.leases.iter().find_map(|lease| wanted.meets(lease)) {
            return Err(held);
        }
        let held = held.map_err(StoreError::clone)?.iter().filter(|lease| !self.ended.contains(&lease.epoch));
        let epoch = standing.epoch() + 1 + self.leases.len() as u64;
        let (lease, ended) = wanted.against(held, epoch, standing.here())?;
        self.ended.extend(ended.iter().map(|lease| lease.epoch));
        self.leases.push(lease);
        Ok((epoch, ended.into_iter().map(|lease| lease.trace).collect()))
    }

    /// For those who look at a journal by hand: what is written of `wishes`, of which that became.
    pub(super) fn message(&self, wishes: &[Wish], granted: &[Option<Granted>]) -> String {
        let entries = self.entries.first().zip(self.entries.last());
        let mut said: Vec<String> =
            entries.iter().map(|(first, last)| format!("Entries {} to {}", first.seq, last.seq)).collect();
        for (wish, granted) in wishes.iter().zip(granted) {
            let Some(Granted { lease, has_ended, .. }) = granted else { continue };
            let ended = wish.ends.iter().filter(|_| *has_ended);
            said.extend(ended.map(|Ending { run, targets, .. }| format!("Run {run} gives {targets} targets back")));
            let taken = wish.wants.iter().filter(|_| matches!(lease, Some(Ok(_))));
            said.extend(taken.map(|wanted| format!("Run {} takes {} targets", wanted.holder.run, wanted.targets.len())));
        }
        said.extend(entries.map(|(_, last)| last.hash.as_str().into()));
        said.join("\n\n")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.leases.is_empty() && self.ended.is_empty()
    }
}
