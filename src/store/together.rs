//! Wishes of many processes of one machine, written together: by whoever has the turn, for all who wait. Knows how it comes out what
//! became of ours; not how a journal is written.

use super::group::{Group, Sealed};
use super::leases::Asked;
use super::turn::{Fate, Turn, Turns, Waited};
use super::wish::{Ending, Granted, Standing, Wish};
use super::{Holder, Lease, StoreError};
use crate::stack::TargetId;

/// A journal as one process sees it, which can be written for others as well.
pub(super) trait Shared: Standing {
    fn turns(&mut self) -> &mut Turns;
    /// The journal was read before.
    fn is_read(&self) -> bool;
    /// Names how far it was read, in a few letters.
    fn mark(&self) -> String;
    /// Verifies what came since the last look. Not in our turn.
    fn look(&mut self) -> Result<(), StoreError>;
    /// The same, at least as far as `is_enough`.
    fn look_until(&mut self, is_enough: &dyn Fn(&Self) -> bool) -> Result<(), StoreError>;
    /// The same in our turn, at least as far as `mark` names.
    fn look_for(&mut self, mark: &str) -> Result<(), StoreError>;
    /// Writes what is wished at once, or returns what `is_there` says of it, asked again whenever somebody else was first.
    fn write(&mut self, wishes: &[Wish], is_there: &dyn Fn(&Self) -> Option<Vec<Granted>>) -> Result<Vec<Granted>, StoreError>;
}

/// Appends groups. Returns what became of each.
pub(super) fn append<D: Shared>(desk: &mut D, groups: Vec<Group>) -> Result<Vec<Sealed>, StoreError> {
    carry(desk, Wish { groups, ..Wish::default() }).map(|granted| granted.sealed)
}

/// Ends `lease` and takes all of `targets`, or none and says who has one.
pub(super) fn exchange<D: Shared>(
    desk: &mut D,
    lease: Option<&Lease>,
    targets: Vec<TargetId>,
    holder: Holder,
) -> Result<Lease, StoreError> {
    let ends = lease.and_then(Ending::of);
    if targets.is_empty() && ends.is_none() {
        return Ok(Lease::over_nothing(holder));
    }
    desk.look()?; // nobody is refused for what was so once
    let asked = match targets.is_empty() {
        true => None,
        false => Some(Asked::by(holder.clone(), targets, desk.here())?),
    };
    let wish = Wish { groups: Vec::new(), ends, wants: asked.as_ref().map(|asked| asked.wanted.clone()) };
    let granted = carry(desk, wish);
    if let (Ok(_), Some(trace)) = (&granted, lease.and_then(|lease| lease.trace.as_ref())) {
        desk.here().forget(trace);
    }
    match asked {
        Some(asked) => asked.answered(granted.and_then(|granted| granted.lease.unwrap_or_else(|| Err(stuck())))),
        None => granted.map(|_| Lease::over_nothing(holder)),
    }
}

/// Gives a lease back. When somebody took the targets over, there is nothing to give back.
pub(super) fn release<D: Shared>(desk: &mut D, lease: &Lease) -> Result<(), StoreError> {
    let Some(ends) = Ending::of(lease) else { return Ok(()) };
    carry(desk, Wish { ends: Some(ends), ..Wish::default() })?;
    lease.trace.iter().for_each(|trace| desk.here().forget(trace));
    Ok(())
}

/// Has a wish written: by ourselves, with those of others who wait, or by somebody who does so for us.
fn carry<D: Shared>(desk: &mut D, wish: Wish) -> Result<Granted, StoreError> {
    if let Some(turn) = desk.turns().try_take() {
        return write(desk, wish, &turn);
    }
    if !desk.is_read() {
        desk.look()?; // what comes from now on may be ours
    }
    let known = desk.chain().seq;
    let mut waited = desk.turns().wait(Some(&wish));
    if let (Fate::Written, None) = (waited.fate, &waited.turn) {
        desk.look_until(&|desk| wish.is_met(known, desk))?;
        if let Some(granted) = wish.found(known, desk) {
            return Ok(granted);
        }
        let turn = desk.turns().take(); // somebody cleared up
        waited = Waited { turn, fate: Fate::Unsure };
    }
    match (waited.fate, &waited.turn) {
        (Fate::Untouched, Some(turn)) => write(desk, wish, turn),
        (Fate::Untouched, None) => one(desk.write(&[wish], &|_| None)),
        (Fate::Unsure | Fate::Written, _) => {
            let is_there = |desk: &D| wish.found(known, desk).map(|granted| vec![granted]);
            one(desk.write(std::slice::from_ref(&wish), &is_there))
        }
        (Fate::Stuck, _) => {
            desk.look()?;
            wish.found(known, desk).ok_or_else(stuck)
        }
    }
}

/// In our turn, with what others wait with.
fn write<D: Shared>(desk: &mut D, wish: Wish, turn: &Turn) -> Result<Granted, StoreError> {
    if let Some(mark) = turn.mark().filter(|mark| desk.is_read() && *mark != desk.mark()) {
        desk.look_for(&mark)?;
    }
    let requests = desk.turns().requests(turn);
    let wishes: Vec<Wish> = [wish].into_iter().chain(requests.iter().map(|request| request.wish.clone())).collect();
    let granted = desk.write(&wishes, &|_| None)?;
    turn.leave(&desk.mark());
    requests.into_iter().for_each(|request| request.written());
    granted.iter().flat_map(|granted| &granted.gone).for_each(|trace| desk.here().forget(trace));
    one(Ok(granted))
}

/// Of the first wish, which is ours.
fn one(granted: Result<Vec<Granted>, StoreError>) -> Result<Granted, StoreError> {
    granted?.into_iter().next().ok_or_else(stuck)
}

fn stuck() -> StoreError {
    StoreError::Io {
        what: "another process of this machine took over what we had to journal, and does not come to an end".into(),
        hint: Some("it is not sure whether it was journalled: end that process, and run the same command again".into()),
    }
}

#[cfg(test)]
mod tests;
