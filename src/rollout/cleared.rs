//! What is cleared and waits for its turn: in the order of the plan, but past those that no slot is free for. Targets that need
//! the same slots stand in one queue, so that finding the next costs a step for each queue and not for each target.

use super::Pool;
use crate::policy::Clearance;
use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::sync::Arc;

/// How many slots of each pool are taken, by its name.
pub type Taken = BTreeMap<Arc<str>, usize>;

/// Clearances by the place of their target in the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleared {
    all: BTreeMap<usize, (Clearance, Arc<[Pool]>)>,
    queues: BTreeMap<Arc<[Pool]>, BTreeSet<usize>>,
}

/// Cleared targets as they come to their turn: the head of each queue.
pub(super) struct Line<'a> {
    cleared: &'a Cleared,
    heads: BTreeMap<usize, (&'a [Pool], btree_set::Iter<'a, usize>)>,
    /// Some stay behind because no slot is free for them.
    pub(super) is_kept: bool,
}

impl Cleared {
    pub(super) fn insert(&mut self, place: usize, clearance: Clearance, pools: Vec<Pool>) {
        self.remove(place);
        let known = self.queues.get_key_value(&*pools).map(|(known, _)| known.clone());
        let pools: Arc<[Pool]> = known.unwrap_or_else(|| pools.into());
        self.queues.entry(pools.clone()).or_default().insert(place);
        self.all.insert(place, (clearance, pools));
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, place: usize) -> bool {
        let Some((_, pools)) = self.all.remove(&place) else { return false };
        if let Some(queue) = self.queues.get_mut(&pools) {
            queue.remove(&place);
            if queue.is_empty() {
                self.queues.remove(&pools);
            }
        }
        true
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        self.all.contains_key(&place)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.all.keys().copied()
    }

    pub(super) fn line(&self) -> Line<'_> {
        let heads = self.queues.iter().filter_map(|(pools, queue)| {
            let mut rest = queue.iter();
            Some((*rest.next()?, (&**pools, rest)))
        });
        Line { cleared: self, heads: heads.collect(), is_kept: false }
    }
}

impl<'a> Line<'a> {
    /// The next for which slots are free, and which it needs; a queue that comes to none is passed over as a whole.
    pub(super) fn next(&mut self, taken: &Taken) -> Option<(usize, &'a Clearance, &'a [Pool])> {
        while let Some((place, (pools, mut rest))) = self.heads.pop_first() {
            if pools.iter().any(|pool| taken.get(&pool.name).is_some_and(|taken| *taken >= pool.slots)) {
                self.is_kept = true;
                continue;
            }
            if let Some(behind) = rest.next() {
                self.heads.insert(*behind, (pools, rest));
            }
            let (clearance, _) = self.cleared.all.get(&place)?;
            return Some((place, clearance, pools));
        }
        None
    }
}
