//! What is done to the tip: entries appended, leases taken, given back and taken away. Each says what it wants of the tip as it is,
//! and knows what of it is there already.

use super::desk::{Desk, Plan};
use super::draft::Change;
use super::fault::git_failed;
use super::leases;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use crate::store::group::{self, Claim, Group, Sealed};
use crate::store::leases::{Asked, taken_from};
use crate::store::together::Shared;
use crate::store::turn::Turns;
use crate::store::{Holder, Lease, StoreError};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Desk {
    pub(super) fn acquire(&mut self, targets: Vec<TargetId>, holder: Holder) -> Result<Lease, StoreError> {
        if targets.is_empty() {
            return Ok(Lease::over_nothing(holder));
        }
        self.look()?; // nobody is refused for what was so once
        let message = format!("Run {} takes {} targets", holder.run, targets.len());
        let at_ms = Some(holder.since_ms);
        let mut asked = Asked::by(holder, targets, &self.here)?;
        let mut ours: BTreeMap<u64, Oid> = BTreeMap::new();
        let taken = self.change(|desk| {
            if let Some((epoch, _)) = ours.iter().find(|(epoch, blob)| desk.known.leases.get(epoch) == Some(blob)) {
                return Ok(Plan::Done(*epoch));
            }
            let epoch = desk.known.epoch + 1;
            let (lease, ended) = asked.against(leases::all(&desk.place, &desk.repository, &desk.known)?, epoch)?;
            let text = lease.text();
            let blob = Oid::hash_object(ObjectType::Blob, &text);
            ours.insert(epoch, blob.map_err(|error| git_failed(&desk.place, "naming a lease", &error))?);
            let lease = Some((epoch, text));
            Ok(Plan::Push(Change { at_ms, ended, lease, ..Change::on(&desk.known, message.clone()) }.into(), epoch))
        });
        asked.answered(taken)
    }

    /// When somebody took the targets over, there is nothing to give back.
    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let Some(epoch) = lease.epochs.values().next().copied() else { return Ok(()) };
        let mut trace = None; // kept over pushes whose answer is lost: after them the lease is gone
        self.change(|desk| {
            let all = leases::all(&desk.place, &desk.repository, &desk.known)?;
            let Some(own) = all.into_iter().find(|held| held.epoch == epoch) else { return Ok(Plan::Done(())) };
            let mut change = Change::on(&desk.known, format!("Run {} gives {} targets back", own.holder.run, own.targets.len()));
            change.ended = vec![epoch];
            trace = Some(own.trace);
            Ok(Plan::Push(change.into(), ()))
        })?;
        trace.iter().for_each(|trace| self.here.forget(trace));
        Ok(())
    }

    pub(super) fn free(&mut self, of: &str, event: &Event, run: &Arc<str>, at_ms: u64) -> Result<Vec<TargetId>, StoreError> {
        self.look()?;
        let mut tries: BTreeMap<Digest, Vec<TargetId>> = BTreeMap::new();
        self.change(|desk| {
            if let Some(targets) = desk.known.arrived.as_ref().and_then(|hash| tries.remove(hash)) {
                return Ok(Plan::Done(targets));
            }
            let all = leases::all(&desk.place, &desk.repository, &desk.known)?;
            let (ended, targets) = taken_from(of, all, &desk.here)?;
            let mut change = Change::on(&desk.known, format!("Run {of} ended, as somebody said"));
            if let Some(unsealed) = change.chain.refuses(std::slice::from_ref(event)) {
                return Err(unsealed.into());
            }
            change.entries = change.chain.seal_group(vec![event.clone()], run, at_ms);
            (change.ended, change.at_ms) = (ended, Some(at_ms));
            tries.extend(change.entries.last().map(|entry| (entry.hash.clone(), targets.clone())));
            Ok(Plan::Push(change.into(), targets))
        })
    }
}

impl Shared for Desk {
    fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    fn is_read(&self) -> bool {
        self.known.has_looked()
    }

    fn look(&mut self) -> Result<(), StoreError> {
        Desk::look(self)
    }

    fn chain(&self) -> &Chain {
        &self.known.chain
    }

    fn since(&self, seq: u64) -> Option<Vec<Entry>> {
        self.known.recent.since(seq, self.known.chain.seq)
    }

    fn is_ours(&self, claim: &Claim) -> bool {
        self.known.leases.contains_key(&claim.epoch)
    }

    /// With one commit.
    fn write(&mut self, groups: &[Group], is_there: &dyn Fn(&Self) -> Option<Vec<Sealed>>) -> Result<Vec<Sealed>, StoreError> {
        let mut tries: BTreeMap<Digest, Vec<Sealed>> = BTreeMap::new();
        self.change_now(|desk| {
            let arrived = desk.known.arrived.as_ref().and_then(|hash| tries.remove(hash));
            if let Some(sealed) = arrived.or_else(|| is_there(desk)) {
                return Ok(Plan::Done(sealed));
            }
            let mut change = Change::on(&desk.known, String::new());
            let sealed =
                group::seal(groups.to_vec(), &mut change.chain, |claim| desk.is_ours(claim), |seq| Shared::since(desk, seq));
            change.entries = group::entries(&sealed).cloned().collect();
            let (Some(first), Some(last)) = (change.entries.first(), change.entries.last()) else {
                return Ok(Plan::Done(sealed));
            };
            change.at_ms = Some(last.at_ms);
            change.message = format!("Entries {} to {}\n\n{}", first.seq, last.seq, last.hash.as_str());
            tries.insert(last.hash.clone(), sealed.clone());
            Ok(Plan::Push(change.with_checkpoint(&desk.known, desk.segment_bytes).into(), sealed))
        })
    }
}
