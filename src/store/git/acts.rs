//! What is done to the tip: what is wished, and leases taken away. Each says what it wants of the tip as it is, and knows what of it is
//! there already.

use super::desk::{Desk, Plan};
use super::draft::Change;
use super::leases;
use super::wire::Wire;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use crate::store::StoreError;
use crate::store::leases::{LeaseFile, taken_from};
use crate::store::life::Here;
use crate::store::together::{IsThere, Shared};
use crate::store::turn::Turns;
use crate::store::wish::{Granted, Standing, Stroke, Wish};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Desk {
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

impl Standing for Desk {
    fn chain(&self) -> &Chain {
        &self.known.chain
    }

    fn since(&self, seq: u64) -> Option<Vec<Entry>> {
        self.known.followed.since(seq, self.known.chain.seq)
    }

    fn is_held(&self, epoch: u64) -> bool {
        self.known.leases.contains_key(&epoch)
    }

    fn leases(&self) -> Result<Vec<LeaseFile>, StoreError> {
        leases::all(&self.place, &self.repository, &self.known)
    }

    fn epoch(&self) -> u64 {
        self.known.epoch
    }

    fn here(&self) -> &Here {
        &self.here
    }
}

/// A stroke that was tried, whose answer may have been lost.
struct Try {
    last: Option<Digest>,
    leases: Vec<LeaseFile>,
    granted: Vec<Option<Granted>>,
}

impl Try {
    /// The one that arrived, if any did: its last entry was met, or its leases are there. Two on the same tip may have the same entries.
    fn arrived<'a>(tries: &'a [Self], desk: &Desk) -> Option<&'a Self> {
        let is_met = |tried: &&Self| tried.last.is_some() && tried.last == desk.known.arrived;
        let has_leases = |tried: &&Self| {
            let is_there = |lease: &LeaseFile| {
                let blob = Oid::hash_object(ObjectType::Blob, &lease.text()).ok();
                blob.is_some() && desk.known.leases.get(&lease.epoch) == blob.as_ref()
            };
            !tried.leases.is_empty() && tried.leases.iter().all(is_there)
        };
        let mut newest = tries.iter().rev();
        newest
            .clone()
            .find(|tried| is_met(tried) && has_leases(tried))
            .or_else(|| newest.find(|tried| is_met(tried) || tried.last.is_none() && has_leases(tried)))
    }
}

impl Shared for Desk {
    fn turns(&mut self) -> &mut Turns {
        &mut self.turns
    }

    fn is_read(&self) -> bool {
        self.known.has_looked()
    }

    fn mark(&self) -> String {
        self.known.tip().map(|tip| tip.to_string()).unwrap_or_default()
    }

    fn look(&mut self) -> Result<(), StoreError> {
        Desk::look(self)
    }

    fn look_until(&mut self, _: &dyn Fn(&Self) -> bool) -> Result<(), StoreError> {
        Desk::look(self)
    }

    fn look_in_turn(&mut self, _: &str) -> Result<(), StoreError> {
        self.look_again()
    }

    fn read_since(&mut self, seq: u64) -> Result<Vec<Entry>, StoreError> {
        self.entries_after(seq)
    }

    /// On a disk the ref is changed by whoever has the turn, and by no child or server after him.
    fn may_be_under_way(&self) -> bool {
        matches!(self.wire, Wire::Program(_))
    }

    fn write_barrier(&mut self, is_there: &IsThere<'_, Self>) -> Result<Option<Granted>, StoreError> {
        let message = "Nothing: keeps out what a dead process may still have on its way";
        self.change_now(|desk| match is_there(desk)? {
            None if desk.known.tip().is_some() => Ok(Plan::Push(Change::on(&desk.known, message.into()).into(), None)),
            there => Ok(Plan::Done(there)), // and no journal begins with nothing
        })
    }

    /// With one commit.
    fn write(&mut self, wishes: &[Wish], is_there: &IsThere<'_, Self>) -> Result<Vec<Option<Granted>>, StoreError> {
        let mut tries: Vec<Try> = Vec::new();
        self.change_now(|desk| {
            if let Some(tried) = Try::arrived(&tries, desk) {
                return Ok(Plan::Done(tried.granted.clone()));
            }
            if let Some(granted) = is_there(desk)? {
                return Ok(Plan::Done(vec![Some(granted)]));
            }
            let (stroke, granted) = Stroke::of(wishes, desk);
            if stroke.is_empty() {
                return Ok(Plan::Done(granted));
            }
            let message = stroke.message(wishes, &granted);
            let last = stroke.entries.last().cloned();
            let since_ms = stroke.leases.last().map(|lease| lease.holder.since_ms);
            let at_ms = last.as_ref().map(|last| last.at_ms).or(since_ms);
            tries.push(Try {
                last: last.as_ref().map(|last| last.hash.clone()),
                leases: stroke.leases.clone(),
                granted: granted.clone(),
            });
            let change = Change { at_ms, ..Change::of(stroke, message) };
            let change = if last.is_some() { change.with_checkpoint(&desk.known, desk.segment_bytes) } else { change };
            Ok(Plan::Push(change.into(), granted))
        })
    }
}
