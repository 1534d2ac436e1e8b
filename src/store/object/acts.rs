//! What is done on pages: entries appended, leases taken, given back and taken away. Each says what it wants after the last page as it is.

use super::desk::{Desk, Plan};
use super::page::Change;
use crate::journal::Event;
use crate::stack::TargetId;
use crate::store::group::{self, Claim, Group, Sealed};
use crate::store::leases::{Asked, taken_from};
use crate::store::{Holder, Lease, StoreError};
use std::sync::Arc;

impl Desk {
    /// Returns the sealed entries of each group whose lease was its own, or why it may not be written.
    pub(super) fn append(&mut self, groups: Vec<Group>) -> Result<Vec<Sealed>, StoreError> {
        if group::follows(&groups, self.book.chain.seq) {
            self.look()?;
        }
        self.change(|desk| {
            let mut change = Change::on(&desk.book.chain);
            let is_ours = |claim: &Claim| desk.book.leases.contains_key(&claim.epoch);
            let since = |seq| desk.book.recent.since(seq, desk.book.chain.seq);
            let sealed = group::seal(groups.clone(), &mut change.chain, is_ours, since);
            change.entries = group::entries(&sealed).cloned().collect();
            Ok(if change.entries.is_empty() { Plan::Done(sealed) } else { Plan::Write(change.into(), sealed) })
        })
    }

    pub(super) fn acquire(&mut self, targets: Vec<TargetId>, holder: Holder) -> Result<Lease, StoreError> {
        if targets.is_empty() {
            return Ok(Lease::over_nothing(holder));
        }
        self.look()?; // nobody is refused for what was so once
        let mut asked = Asked::by(holder, targets, &self.here)?;
        let taken = self.change(|desk| {
            let epoch = desk.book.epoch + 1;
            let (lease, ended) = asked.against(desk.book.leases.values().cloned().collect(), epoch)?;
            let mut change = Change::on(&desk.book.chain);
            (change.lease, change.ended) = (Some(lease), ended);
            Ok(Plan::Write(change.into(), epoch))
        });
        asked.answered(taken)
    }

    /// When somebody took the targets over, there is nothing to give back.
    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        let Some(epoch) = lease.epochs.values().next().copied() else { return Ok(()) };
        let trace = self.change(|desk| {
            let Some(own) = desk.book.leases.get(&epoch) else { return Ok(Plan::Done(None)) };
            let mut change = Change::on(&desk.book.chain);
            change.ended = vec![epoch];
            Ok(Plan::Write(change.into(), Some(own.trace.clone())))
        })?;
        trace.iter().for_each(|trace| self.here.forget(trace));
        Ok(())
    }

    pub(super) fn free(&mut self, of: &str, event: &Event, run: &Arc<str>, at_ms: u64) -> Result<Vec<TargetId>, StoreError> {
        self.look()?;
        self.change(|desk| {
            let (ended, targets) = taken_from(of, desk.book.leases.values().cloned().collect(), &desk.here)?;
            let mut change = Change::on(&desk.book.chain);
            if let Some(unsealed) = change.chain.refuses(std::slice::from_ref(event)) {
                return Err(unsealed.into());
            }
            change.entries = change.chain.seal_group(vec![event.clone()], run, at_ms);
            change.ended = ended;
            Ok(Plan::Write(change.into(), targets))
        })
    }
}
