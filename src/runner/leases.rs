//! What a run may write about: the lease that it began with, and the bites that it took since. Knows no journal.

use crate::journal::Event;
use crate::stack::TargetId;
use crate::store::Lease;

/// The leases of a run. One by itself has all that it is about in one; a shard has a bite in each, and keeps an older one while something of
/// it is in flight.
pub struct Leases {
    first: Lease,
    bites: Vec<Lease>,
}

impl Leases {
    pub fn new(first: Lease) -> Self {
        Self { first, bites: Vec::new() }
    }

    pub fn covers(&self, target: &TargetId) -> bool {
        self.over(target).is_some()
    }

    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.all().flat_map(Lease::targets)
    }

    /// All of them, to be given back.
    pub fn into_all(self) -> impl Iterator<Item = Lease> {
        std::iter::once(self.first).chain(self.bites)
    }

    /// The one for what is about no target: whoever is fenced says nothing else either.
    pub(super) fn newest(&self) -> &Lease {
        self.bites.last().unwrap_or(&self.first)
    }

    pub(super) fn add(&mut self, bite: Lease) {
        self.bites.push(bite);
    }

    /// Takes out the bites of which nothing is `kept`.
    pub(super) fn take_out(&mut self, kept: impl Fn(&TargetId) -> bool) -> Vec<Lease> {
        self.bites.extract_if(.., |bite| !bite.targets().any(&kept)).collect()
    }

    /// Splits events into groups, for what is written as one is covered by one lease; those of one target stay in their order.
    pub(super) fn groups(&self, events: Vec<Event>) -> Vec<(Vec<Event>, &Lease)> {
        let mut groups: Vec<(Vec<Event>, &Lease)> = Vec::new();
        for event in events {
            let lease = event.target().and_then(|target| self.over(target)).unwrap_or(self.newest());
            match groups.iter_mut().find(|(_, known)| std::ptr::eq(*known, lease)) {
                Some((group, _)) => group.push(event),
                None => groups.push((vec![event], lease)),
            }
        }
        groups
    }

    fn all(&self) -> impl Iterator<Item = &Lease> {
        std::iter::once(&self.first).chain(&self.bites)
    }

    /// The lease that covers a target.
    pub(super) fn over(&self, target: &TargetId) -> Option<&Lease> {
        self.all().find(|lease| lease.covers(target))
    }
}
