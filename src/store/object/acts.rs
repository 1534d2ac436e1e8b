//! What is done on pages: entries appended, leases taken, given back and taken away. Each says what it wants after the last page as it is.

use super::desk::{Desk, Plan};
use super::page::Change;
use crate::journal::Event;
use crate::stack::TargetId;
use crate::store::group::{Appended, Group, holds_nothing, lives_on};
use crate::store::leases::{LeaseFile, ended};
use crate::store::life::Life;
use crate::store::{Holder, Lease, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Desk {
    /// Returns the sealed entries of each group whose lease was its own, or why nothing may be written for want of the key.
    pub(super) fn append(&mut self, groups: &[Group<u64>]) -> Result<Appended, StoreError> {
        if groups.iter().any(|group| group.after.is_some()) {
            self.look()?; // what it must follow may be newer than what we know
        }
        self.change(|desk| {
            let mut change = Change::on(&desk.book);
            let mut sealed = Appended::new();
            for (nth, group) in groups.iter().enumerate() {
                if !group.claim.as_ref().is_none_or(|(epoch, _)| desk.book.leases.contains_key(epoch)) {
                    continue;
                }
                if group.comes_late(&change.chain) {
                    sealed.insert(nth, Ok(Vec::new()));
                } else if let Some(unsealed) = change.chain.refuses(&group.events) {
                    sealed.insert(nth, Err(unsealed.into()));
                } else {
                    let entries = change.chain.seal_group(group.events.clone(), &group.run, group.at_ms);
                    change.entries.extend(entries.iter().cloned());
                    sealed.insert(nth, Ok(entries));
                }
            }
            Ok(if change.entries.is_empty() { Plan::Done(sealed) } else { Plan::Write(change.into(), sealed) })
        })
    }

    pub(super) fn acquire(&mut self, targets: Vec<TargetId>, holder: Holder) -> Result<Lease, StoreError> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        if wanted.is_empty() {
            return Ok(Lease { run: holder.run, epochs: BTreeMap::new(), guard: None });
        }
        self.look()?; // nobody is refused for what was so once
        let (trace, guard) = self.here.leave(&holder.run)?;
        let mut gone = Vec::new();
        let taken = self.change(|desk| {
            gone = ended(desk.book.leases.values().cloned().collect(), &wanted, &desk.here)?;
            let epoch = desk.book.epoch + 1;
            let mut change = Change::on(&desk.book);
            change.ended = gone.iter().map(|lease| lease.epoch).collect();
            change.lease = Some(LeaseFile { epoch, holder: holder.clone(), targets: targets.clone(), trace: trace.clone() });
            Ok(Plan::Write(change.into(), epoch))
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
            let Some(own) = desk.book.leases.get(&epoch) else { return Ok(Plan::Done(None)) };
            let mut change = Change::on(&desk.book);
            change.ended = vec![epoch];
            Ok(Plan::Write(change.into(), Some(own.trace.clone())))
        })?;
        trace.iter().for_each(|trace| self.here.forget(trace));
        Ok(())
    }

    pub(super) fn free(&mut self, of: &str, event: &Event, run: &Arc<str>, at_ms: u64) -> Result<Vec<TargetId>, StoreError> {
        self.look()?;
        self.change(|desk| {
            let own: Vec<&LeaseFile> = desk.book.leases.values().filter(|lease| *lease.holder.run == *of).collect();
            if own.iter().any(|lease| lease.life(&desk.here) == Life::Lives) {
                return Err(lives_on(of));
            }
            let targets: Vec<TargetId> = own.iter().flat_map(|lease| lease.targets.iter().cloned()).collect();
            if targets.is_empty() {
                return Err(holds_nothing(of));
            }
            let mut change = Change::on(&desk.book);
            if let Some(unsealed) = change.chain.refuses(std::slice::from_ref(event)) {
                return Err(unsealed.into());
            }
            change.entries = change.chain.seal_group(vec![event.clone()], run, at_ms);
            change.ended = own.iter().map(|lease| lease.epoch).collect();
            Ok(Plan::Write(change.into(), targets))
        })
    }
}
