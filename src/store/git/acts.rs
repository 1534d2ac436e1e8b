//! What is done to the tip: entries appended, leases taken, given back and taken away. Each says what it wants of the tip as it is,
//! and knows what of it is there already.

use super::desk::{Desk, Plan};
use super::draft::Change;
use super::fault::git_failed;
use super::leases;
use crate::change::Digest;
use crate::journal::Event;
use crate::stack::TargetId;
use crate::store::group::{self, Claim, Group, Sealed};
use crate::store::leases::{Asked, taken_from};
use crate::store::{Holder, Lease, StoreError};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Desk {
    /// Returns the sealed entries of each group whose lease was its own, or why it may not be written.
    pub(super) fn append(&mut self, groups: Vec<Group>) -> Result<Vec<Sealed>, StoreError> {
        let mut tries: BTreeMap<Digest, Vec<Sealed>> = BTreeMap::new();
        self.change(|desk| {
            if let Some(sealed) = desk.known.arrived.as_ref().and_then(|hash| tries.remove(hash)) {
                return Ok(Plan::Done(sealed));
            }
            let mut change = Change::on(&desk.known, String::new());
            let is_ours = |claim: &Claim| desk.known.leases.contains_key(&claim.epoch);
            let since = |seq| desk.known.recent.since(seq, desk.known.chain.seq);
            let sealed = group::seal(groups.clone(), &mut change.chain, is_ours, since);
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
