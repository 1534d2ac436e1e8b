//! What a lease says where it lies on no disk of ours, and whom it keeps out. Knows no place.

use super::life::{Here, Life, Trace};
use super::{Holder, Lease, StoreError};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

/// What is written of a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LeaseFile {
    pub(super) epoch: u64,
    pub(super) holder: Holder,
    pub(super) targets: Vec<TargetId>,
    pub(super) trace: Trace,
}

impl LeaseFile {
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a lease holds only strings and numbers")
    }

    pub(super) fn life(&self, here: &Here) -> Life {
        here.life(&self.holder, &self.trace)
    }
}

/// Targets that a run asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) holder: Holder,
    pub(super) targets: Vec<TargetId>,
    pub(super) trace: Trace,
}

/// Targets that this process asks for, and what it leaves here while it waits for the answer.
pub(super) struct Claimant {
    pub(super) wanted: Wanted,
    here: Here,
    guard: File,
}

impl Wanted {
    /// The lease to be written with `epoch` where `held` are there, and those that end with it: their owners are proven to have ended.
    /// Refuses when somebody else has one of the targets.
    pub(super) fn against<'a>(
        &self,
        held: impl IntoIterator<Item = &'a LeaseFile>,
        epoch: u64,
        here: &Here,
    ) -> Result<(LeaseFile, Vec<LeaseFile>), StoreError> {
        let wanted: BTreeSet<&TargetId> = self.targets.iter().collect();
        let mut gone = Vec::new();
        for lease in held {
            let life = lease.life(here);
            if life == Life::Ended {
                gone.push(lease.clone());
            } else if let Some(target) = lease.targets.iter().find(|target| wanted.contains(target)) {
                let (target, holder) = (target.clone(), Box::new(lease.holder.clone()));
                return Err(StoreError::Held { target, holder, is_proven: life == Life::Lives });
            }
        }
        let Self { holder, targets, trace } = self.clone();
        Ok((LeaseFile { epoch, holder, targets, trace }, gone))
    }

    /// Refused by a lease of somebody who lives, if that is over one of the targets.
    pub(super) fn meets(&self, lease: &LeaseFile) -> Option<StoreError> {
        let wanted: BTreeSet<&TargetId> = self.targets.iter().collect();
        let target = lease.targets.iter().find(|target| wanted.contains(target))?.clone();
        Some(StoreError::Held { target, holder: Box::new(lease.holder.clone()), is_proven: true })
    }

    /// It is what was asked for.
    pub(super) fn is_it(&self, lease: &LeaseFile) -> bool {
        (&lease.trace, &lease.holder, &lease.targets) == (&self.trace, &self.holder, &self.targets)
    }
}

impl Claimant {
    /// From now on everybody here can see that the run lives.
    pub(super) fn by(holder: Holder, targets: Vec<TargetId>, here: &Here) -> Result<Self, StoreError> {
        let (trace, guard) = here.leave(&holder.run)?;
        Ok(Self { wanted: Wanted { holder, targets, trace }, here: here.clone(), guard })
    }

    /// It was written with that epoch, or not. Where nobody knows, the file stays, and nobody locks it: that proves the end of a lease that
    /// was written all the same.
    pub(super) fn answered(self, epoch: Result<u64, StoreError>) -> Result<Lease, StoreError> {
        let Wanted { holder, targets, trace } = self.wanted;
        let is_refused = |error: &StoreError| matches!(error, StoreError::Held { .. });
        let epoch = epoch.inspect_err(|error| {
            if is_refused(error) {
                self.here.forget(&trace)
            }
        })?;
        let epochs = targets.into_iter().map(|target| (target, epoch)).collect();
        Ok(Lease { run: holder.run, epochs, guard: Some(self.guard), trace: Some(trace) })
    }
}

impl Lease {
    /// What a run has that asked for nothing.
    pub(super) fn over_nothing(holder: Holder) -> Self {
        Self { run: holder.run, epochs: BTreeMap::new(), guard: None, trace: None }
    }
}

/// What may be taken from `of`, on somebody's word: the epochs of its leases, and their targets. Nobody takes from the living.
pub(super) fn taken_from(of: &str, held: Vec<LeaseFile>, here: &Here) -> Result<(Vec<u64>, Vec<TargetId>), StoreError> {
    let own: Vec<LeaseFile> = held.into_iter().filter(|lease| *lease.holder.run == *of).collect();
    if own.iter().any(|lease| lease.life(here) == Life::Lives) {
        return Err(lives_on(of));
    }
    let epochs = own.iter().map(|lease| lease.epoch).collect();
    let targets: Vec<TargetId> = own.into_iter().flat_map(|lease| lease.targets).collect();
    if targets.is_empty() { Err(holds_nothing(of)) } else { Ok((epochs, targets)) }
}

/// Nobody takes from the living.
pub(super) fn lives_on(run: &str) -> StoreError {
    let hint = "wait until it has ended, or end it: what it holds is free then; isobar status shows it";
    StoreError::Io { what: format!("run {run} lives, which is proven: nothing was taken from it"), hint: Some(hint.into()) }
}

pub(super) fn holds_nothing(run: &str) -> StoreError {
    StoreError::Io { what: format!("no run {run} holds anything"), hint: Some("isobar status shows who writes".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn holder(run: &str) -> Holder {
        Holder { run: run.into(), host: "here".into(), pid: std::process::id(), since_ms: 1, job: None }
    }

    /// The error of a write that may have taken place all the same.
    #[test]
    fn a_lease_that_was_written_in_doubt_ends_with_who_asked_for_it() {
        let dir = crate::scratch::dir();
        let here = Here::new(dir.path().join("locks"));
        let target: TargetId = "a@prod/x".parse().expect("a target");
        let ask = |run: &str| Claimant::by(holder(run), vec![target.clone()], &here).expect("it has room");

        let one = ask("one");
        let (written, _) = one.wanted.against([], 1, &here).expect("nobody has it");
        let doubt = StoreError::Io { what: "the answer was lost".into(), hint: None };
        assert_eq!(one.answered(Err(doubt.clone())).err(), Some(doubt));

        let two = ask("two");
        // A child that another test starts at this moment has the file as well, until it becomes another program.
        let is_free = || two.wanted.against([&written], 2, &here).is_ok_and(|(_, gone)| gone == [written.clone()]);
        for _ in 0..1_000 {
            if is_free() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("its end is proven");
    }

    #[test]
    fn who_was_refused_leaves_nothing_behind() {
        let dir = crate::scratch::dir();
        let here = Here::new(dir.path().join("locks"));
        let target: TargetId = "a@prod/x".parse().expect("a target");
        let one = Claimant::by(holder("one"), vec![target.clone()], &here).expect("it has room");
        let held = StoreError::Held { target, holder: Box::new(holder("two")), is_proven: true };
        assert!(one.answered(Err(held)).is_err());
        assert_eq!(std::fs::read_dir(dir.path().join("locks")).expect("it is there").count(), 0);
    }
}
