//! What is done on pages: entries appended, leases taken, given back and taken away. Each says what it wants after the last page as it is.

use super::desk::{Desk, Plan};
use super::page::Change;
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use crate::store::group::{self, Claim, Group, Sealed};
use crate::store::leases::{Asked, taken_from};
use crate::store::together::Shared;
use crate::store::turn::Turns;
use crate::store::{Holder, Lease, StoreError};
use std::sync::Arc;

impl Desk {
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

impl Shared for Desk {
    fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    fn is_read(&self) -> bool {
        self.book.is_open()
    }

    fn look(&mut self) -> Result<(), StoreError> {
        Desk::look(self)
    }

    fn chain(&self) -> &Chain {
        &self.book.chain
    }

    fn since(&self, seq: u64) -> Option<Vec<Entry>> {
        self.book.recent.since(seq, self.book.chain.seq)
    }

    fn is_ours(&self, claim: &Claim) -> bool {
        self.book.leases.contains_key(&claim.epoch)
    }

    /// On one page.
    fn write(&mut self, groups: &[Group], is_there: &dyn Fn(&Self) -> Option<Vec<Sealed>>) -> Result<Vec<Sealed>, StoreError> {
        if group::follows(groups, self.book.chain.seq) {
            Desk::look(self)?;
        }
        self.change(|desk| {
            if let Some(sealed) = is_there(desk) {
                return Ok(Plan::Done(sealed));
            }
            let mut change = Change::on(&desk.book.chain);
            let sealed =
                group::seal(groups.to_vec(), &mut change.chain, |claim| desk.is_ours(claim), |seq| Shared::since(desk, seq));
            change.entries = group::entries(&sealed).cloned().collect();
            Ok(if change.entries.is_empty() { Plan::Done(sealed) } else { Plan::Write(change.into(), sealed) })
        })
    }
}
