//! Appends of many processes of one machine, written together: by whoever has the turn, for all who wait. Knows how it comes out what
//! became of ours; not how a journal is written.

use super::StoreError;
use super::group::{self, Claim, Group, Sealed};
use super::turn::{Fate, Turn, Turns, Waited};
use crate::journal::{Chain, Entry};

/// A journal as one process sees it, which can be written for others as well.
pub(super) trait Shared {
    fn turns(&mut self) -> &mut Turns;
    /// The journal was read before.
    fn is_read(&self) -> bool;
    /// Verifies what came since the last look. Not in our turn.
    fn look(&mut self) -> Result<(), StoreError>;
    /// As far as it was read.
    fn chain(&self) -> &Chain;
    /// The entries after one, as far as it was read; `None` when they are not all known.
    fn since(&self, seq: u64) -> Option<Vec<Entry>>;
    fn is_ours(&self, claim: &Claim) -> bool;
    /// Writes groups at once, or returns what `is_there` says of them, asked again whenever somebody else was first.
    fn write(&mut self, groups: &[Group], is_there: &dyn Fn(&Self) -> Option<Vec<Sealed>>) -> Result<Vec<Sealed>, StoreError>;
}

/// Appends groups: by ourselves, with those that others wait with, or by somebody who does so for us. Returns what became of each.
pub(super) fn append<D: Shared>(desk: &mut D, groups: &[Group]) -> Result<Vec<Sealed>, StoreError> {
    if let Some(turn) = desk.turns().try_take() {
        return write(desk, groups, &turn);
    }
    if !desk.is_read() {
        desk.look()?; // what comes from now on may be ours
    }
    let known = desk.chain().seq;
    let mut waited = desk.turns().wait(groups);
    if let (Fate::Written, None) = (waited.fate, &waited.turn) {
        desk.look()?;
        if let Some(sealed) = found(desk, groups, known) {
            return Ok(sealed);
        }
        let turn = desk.turns().take(); // somebody cleared up
        waited = Waited { turn, fate: Fate::Unsure };
    }
    match (waited.fate, &waited.turn) {
        (Fate::Untouched, Some(turn)) => write(desk, groups, turn),
        (Fate::Untouched, None) => desk.write(groups, &|_| None),
        (Fate::Unsure | Fate::Written, _) => desk.write(groups, &|desk| found(desk, groups, known)),
        (Fate::Stuck, _) => {
            desk.look()?;
            found(desk, groups, known).ok_or_else(stuck)
        }
    }
}

/// In our turn, with what others wait with.
fn write<D: Shared>(desk: &mut D, groups: &[Group], turn: &Turn) -> Result<Vec<Sealed>, StoreError> {
    let requests = desk.turns().requests(turn);
    let others = requests.iter().flat_map(|request| &request.groups);
    let all: Vec<Group> = groups.iter().chain(others).cloned().collect();
    let mut sealed = desk.write(&all, &|_| None)?;
    requests.into_iter().for_each(|request| request.written());
    sealed.truncate(groups.len());
    Ok(sealed)
}

/// What became of groups that somebody else was about to write after entry `known`; `None` when nobody did.
fn found<D: Shared>(desk: &D, groups: &[Group], known: u64) -> Option<Vec<Sealed>> {
    group::found(groups, &desk.since(known)?, desk.chain(), |claim| desk.is_ours(claim))
}

fn stuck() -> StoreError {
    StoreError::Io {
        what: "another process of this machine took over what we had to journal, and does not come to an end".into(),
        hint: Some("it is not sure whether it was journalled: end that process, and run the same command again".into()),
    }
}

#[cfg(test)]
mod tests;
