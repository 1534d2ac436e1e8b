//! What processes want of a journal, and how the wishes of many become one stroke. Knows entries and leases; not how a stroke is written.

use super::StoreError;
use super::group::{self, Claim, Group, Sealed};
use super::leases::{LeaseFile, Wanted};
use super::life::{Here, Trace};
use crate::journal::{Chain, Entry};
use crate::store::Lease;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one process wants: entries, with what they were decided on; that a lease of its own ends; that another begins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Wish {
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
    /// For those who look at a journal by hand.
    pub(super) fn says(&self) -> impl Iterator<Item = String> {
        let ends = self.ends.iter().map(|Ending { run, targets, .. }| format!("Run {run} gives {targets} targets back"));
        let wants = self.wants.iter().map(|wanted| format!("Run {} takes {} targets", wanted.holder.run, wanted.targets.len()));
        ends.chain(wants)
    }

    /// Something of it is there that was not, after entry `known`.
    pub(super) fn is_met(&self, known: u64, standing: &impl Standing) -> bool {
        let is_ours = |entry: &Entry| self.groups.iter().any(|group| group.is_by(entry));
        standing.since(known).is_some_and(|entries| entries.iter().any(is_ours))
            || self.ends.as_ref().is_some_and(|lease| !standing.is_held(lease.epoch))
            || self
                .wants
                .as_ref()
                .is_some_and(|wanted| standing.leases().is_ok_and(|all| all.iter().any(|lease| wanted.is_it(lease))))
    }

    /// What became of it, which somebody else was about to write with one stroke after entry `known`; `None` when nobody did, as far as
    /// that can be told.
    pub(super) fn found(&self, known: u64, standing: &impl Standing) -> Option<Granted> {
        let since = standing.since(known)?;
        let sealed = group::found(&self.groups, &since, standing.chain(), |claim| standing.is_ours(claim))?;
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
        Some(Granted { sealed, lease, gone: Vec::new() })
    }
}

impl Stroke {
    /// Nothing yet.
    pub(super) fn on(chain: &Chain) -> Self {
        Self { entries: Vec::new(), chain: chain.clone(), leases: Vec::new(), ended: Vec::new() }
    }

    /// Makes one of many wishes, entries before leases, and says what becomes of each.
    pub(super) fn of(wishes: &[Wish], standing: &impl Standing) -> Result<(Self, Vec<Granted>), StoreError> {
        let mut stroke = Self::on(standing.chain());
        let groups = wishes.iter().flat_map(|wish| &wish.groups).cloned().collect();
        let sealed = group::seal(groups, &mut stroke.chain, |claim| standing.is_ours(claim), |seq| standing.since(seq));
        stroke.entries = group::entries(&sealed).cloned().collect();
        let ends = wishes.iter().filter_map(|wish| wish.ends.as_ref()).map(|lease| lease.epoch);
        stroke.ended = ends.filter(|epoch| standing.is_held(*epoch)).collect();
        let mut held = if wishes.iter().any(|wish| wish.wants.is_some()) { standing.leases()? } else { Vec::new() };
        held.retain(|lease| !stroke.ended.contains(&lease.epoch));

        let mut sealed = sealed.into_iter();
        let grant = |wish: &Wish| {
            let sealed = sealed.by_ref().take(wish.groups.len()).collect();
            let mut gone = Vec::new();
            let lease = wish.wants.as_ref().map(|wanted| {
                let epoch = standing.epoch() + 1 + stroke.leases.len() as u64;
                let (lease, ended) = wanted.against(&held, epoch, standing.here())?;
                stroke.ended.extend(ended.iter().map(|lease| lease.epoch));
                held.retain(|lease| !stroke.ended.contains(&lease.epoch));
                gone = ended.into_iter().map(|lease| lease.trace).collect();
                held.push(lease.clone());
                stroke.leases.push(lease);
                Ok(epoch)
            });
            Granted { sealed, lease, gone }
        };
        let granted = wishes.iter().map(grant).collect();
        Ok((stroke, granted))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.leases.is_empty() && self.ended.is_empty()
    }
}
