//! What is done on pages: what is wished, and leases taken away. Each says what it wants after the last page as it is.

use super::desk::{Desk, Plan};
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use crate::store::StoreError;
use crate::store::group;
use crate::store::leases::{LeaseFile, taken_from};
use crate::store::life::Here;
use crate::store::together::{IsThere, Shared};
use crate::store::turn::Turns;
use crate::store::wish::{Granted, Standing, Stroke, Wish};
use std::sync::Arc;

impl Desk {
    pub(super) fn free(&mut self, of: &str, event: &Event, run: &Arc<str>, at_ms: u64) -> Result<Vec<TargetId>, StoreError> {
        self.look()?;
        self.change(|desk| {
            let (ended, targets) = taken_from(of, desk.book.leases.values().cloned().collect(), &desk.here)?;
            let mut change = Stroke::on(&desk.book.chain);
            if let Some(unsealed) = change.chain.refuses(std::slice::from_ref(event)) {
                return Err(unsealed.into());
            }
            change.entries = change.chain.seal_group(vec![event.clone()], run, at_ms);
            change.ended = ended;
            Ok(Plan::Write(change.into(), targets))
        })
    }
}

impl Standing for Desk {
    fn chain(&self) -> &Chain {
        &self.book.chain
    }

    fn since(&self, seq: u64) -> Option<Vec<Entry>> {
        self.book.followed.since(seq, self.book.chain.seq)
    }

    fn is_held(&self, epoch: u64) -> bool {
        self.book.leases.contains_key(&epoch)
    }

    fn leases(&self) -> Result<Vec<LeaseFile>, StoreError> {
        Ok(self.book.leases.values().cloned().collect())
    }

    fn epoch(&self) -> u64 {
        self.book.epoch
    }

    fn here(&self) -> &Here {
        &self.here
    }
}

impl Shared for Desk {
    fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    fn is_read(&self) -> bool {
        self.book.is_open()
    }

    fn mark(&self) -> String {
        self.book.page.to_string()
    }

    fn look(&mut self) -> Result<(), StoreError> {
        Desk::look(self)
    }

    /// Each page proves those before it, so that what is in the next one is asked for with one request.
    fn look_until(&mut self, is_enough: &dyn Fn(&Self) -> bool) -> Result<(), StoreError> {
        self.read_until(is_enough)
    }

    fn look_in_turn(&mut self, mark: &str) -> Result<(), StoreError> {
        let page = mark.parse().unwrap_or(u64::MAX);
        self.read_until(|desk| desk.book.page >= page)
    }

    fn read_since(&mut self, seq: u64) -> Result<Vec<Entry>, StoreError> {
        self.entries_after(seq)
    }

    fn may_be_under_way(&self) -> bool {
        true
    }

    /// A page with nothing on it.
    fn write_barrier(&mut self, is_there: &IsThere<'_, Self>) -> Result<Option<Granted>, StoreError> {
        self.change(|desk| match is_there(desk)? {
            Some(granted) => Ok(Plan::Done(Some(granted))),
            None => Ok(Plan::Write(Stroke::on(&desk.book.chain).into(), None)),
        })
    }

    /// On one page.
    fn write(&mut self, wishes: &[Wish], is_there: &IsThere<'_, Self>) -> Result<Vec<Option<Granted>>, StoreError> {
        let follows = |desk: &Self| wishes.iter().any(|wish| group::follows(&wish.groups, desk.book.chain.seq));
        if follows(self) {
            self.read_until(|desk| !follows(desk))?;
        }
        self.change(|desk| {
            if let Some(granted) = is_there(desk)? {
                return Ok(Plan::Done(vec![Some(granted)]));
            }
            let (stroke, granted) = Stroke::of(wishes, desk);
            Ok(if stroke.is_empty() { Plan::Done(granted) } else { Plan::Write(stroke.into(), granted) })
        })
    }
}
