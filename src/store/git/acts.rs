//! What is done to the tip: entries appended, leases taken, given back and taken away. Each says what it wants of the tip as it is,
//! and knows what of it is there already.

use super::desk::{Desk, Plan};
use super::draft::Change;
use super::fault::git_failed;
use super::leases;
use crate::change::Digest;
use crate::journal::Event;
use crate::stack::TargetId;
use crate::store::group::{Appended, Group, holds_nothing, lives_on};
use crate::store::leases::{LeaseFile, ended};
use crate::store::life::Life;
use crate::store::{Holder, Lease, StoreError};
use git2::{ObjectType, Oid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Desk {
    /// Returns the sealed entries of each group whose lease was its own, or why nothing may be written for want of the key.
    pub(super) fn append(&mut self, groups: &[Group<u64>]) -> Result<Appended, StoreError> {
        let mut tries: BTreeMap<Digest, Appended> = BTreeMap::new();
        self.change(|desk| {
            if let Some(sealed) = desk.known.arrived.as_ref().and_then(|hash| tries.remove(hash)) {
                return Ok(Plan::Done(sealed));
            }
            let mut change = Change::on(&desk.known, String::new());
            let mut sealed = BTreeMap::new();
            for (nth, group) in groups.iter().enumerate() {
                let is_ours = |(epoch, _): &(u64, TargetId)| desk.known.leases.contains_key(epoch);
                if !group.claim.as_ref().is_none_or(is_ours) {
                    continue;
                }
                if group.comes_late(&change.chain) {
                    sealed.insert(nth, Ok(Vec::new()));
                } else if let Some(unsealed) = change.chain.refuses(&group.events) {
                    sealed.insert(nth, Err(unsealed.into()));
                } else {
                    let entries = change.chain.seal_group(group.events.clone(), &group.run, group.at_ms);
                    change.entries.extend(entries.iter().cloned());
                    change.at_ms = Some(group.at_ms);
                    sealed.insert(nth, Ok(entries));
                }
            }
            let (Some(first), Some(last)) = (change.entries.first(), change.entries.last()) else {
                return Ok(Plan::Done(sealed));
            };
            change.message = format!("Entries {} to {}\n\n{}", first.seq, last.seq, last.hash.as_str());
            tries.insert(last.hash.clone(), sealed.clone());
            Ok(Plan::Push(change.with_checkpoint(&desk.known, desk.segment_bytes).into(), sealed))
        })
    }

    pub(super) fn acquire(&mut self, targets: Vec<TargetId>, holder: Holder) -> Result<Lease, StoreError> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        if wanted.is_empty() {
            return Ok(Lease { run: holder.run, epochs: BTreeMap::new(), guard: None });
        }
        self.look()?; // nobody is refused for what was so once
        let (trace, guard) = self.here.leave(&holder.run)?;
        let mut ours: BTreeMap<u64, Oid> = BTreeMap::new();
        let mut gone = Vec::new();
        let taken = self.change(|desk| {
            if let Some((epoch, _)) = ours.iter().find(|(epoch, blob)| desk.known.leases.get(epoch) == Some(blob)) {
                return Ok(Plan::Done(*epoch));
            }
            let all = leases::all(&desk.place, &desk.repository, &desk.known)?;
            gone = ended(all, &wanted, &desk.here)?;
            let epoch = desk.known.epoch + 1;
            let lease = LeaseFile { epoch, holder: holder.clone(), targets: targets.clone(), trace: trace.clone() };
            let text = lease.text();
            let blob =
                Oid::hash_object(ObjectType::Blob, &text).map_err(|error| git_failed(&desk.place, "naming a lease", &error))?;
            ours.insert(epoch, blob);
            let mut change = Change::on(&desk.known, format!("Run {} takes {} targets", holder.run, targets.len()));
            change.at_ms = Some(holder.since_ms);
            change.ended = gone.iter().map(|lease| lease.epoch).collect();
            change.lease = Some((epoch, text));
            Ok(Plan::Push(change.into(), epoch))
        });
        let epoch = taken.inspect_err(|_| self.here.forget(&trace))?;
        gone.iter().for_each(|lease| self.here.forget(&lease.trace));
        let epochs = wanted.into_iter().map(|target| (target.clone(), epoch)).collect();
        Ok(Lease { run: holder.run, epochs, guard: Some(guard) })
    }

    /// When somebody took the targets over, there is nothing to give back.
    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let Some(epoch) = lease.epochs.values().next().copied() else { return Ok(()) };
        let trace = self.change(|desk| {
            let all = leases::all(&desk.place, &desk.repository, &desk.known)?;
            let Some(own) = all.into_iter().find(|held| held.epoch == epoch) else { return Ok(Plan::Done(None)) };
            let mut change = Change::on(&desk.known, format!("Run {} gives {} targets back", own.holder.run, own.targets.len()));
            change.ended = vec![epoch];
            Ok(Plan::Push(change.into(), Some(own.trace)))
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
            let mut own = leases::all(&desk.place, &desk.repository, &desk.known)?;
            own.retain(|lease| *lease.holder.run == *of);
            if own.iter().any(|lease| lease.life(&desk.here) == Life::Lives) {
                return Err(lives_on(of));
            }
            let targets: Vec<TargetId> = own.iter().flat_map(|lease| lease.targets.iter().cloned()).collect();
            if targets.is_empty() {
                return Err(holds_nothing(of));
            }
            let mut change = Change::on(&desk.known, format!("Run {of} ended, as somebody said"));
            if let Some(unsealed) = change.chain.refuses(std::slice::from_ref(event)) {
                return Err(unsealed.into());
            }
            change.entries = change.chain.seal_group(vec![event.clone()], run, at_ms);
            change.ended = own.iter().map(|lease| lease.epoch).collect();
            change.at_ms = Some(at_ms);
            tries.extend(change.entries.last().map(|entry| (entry.hash.clone(), targets.clone())));
            Ok(Plan::Push(change.into(), targets))
        })
    }
}
