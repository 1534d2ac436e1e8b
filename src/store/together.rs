//! Wishes of many processes of one machine, written together: by whoever has the turn, for all who wait. Knows how it comes out what
//! became of ours; not how a journal is written.

use super::blocking::IN_DOUBT;
use super::group::{Group, Sealed};
use super::leases::Claimant;
use super::turn::{Turn, Turns, Waited};
use super::wish::{Ending, Granted, Standing, Wish};
use super::{Holder, Lease, StoreError};
use crate::journal::Entry;
use crate::stack::TargetId;

/// What is there already of what is to be written; `None` where nothing is.
pub(super) type IsThere<'a, D> = dyn Fn(&D) -> Result<Option<Granted>, StoreError> + 'a;

/// A journal as one process sees it, which can be written for others as well.
pub(super) trait Shared: Standing {
    fn turns(&mut self) -> &mut Turns;
    /// The journal was read before.
    fn is_read(&self) -> bool;
    /// Names how far it was read, in a few letters.
    fn mark(&self) -> String;
    /// Verifies what came since the last look, to the end. Takes a turn by itself where it needs one.
    fn look(&mut self) -> Result<(), StoreError>;
    /// The same, and may stop once `is_enough`.
    fn look_until(&mut self, is_enough: &dyn Fn(&Self) -> bool) -> Result<(), StoreError>;
    /// The same in our turn, at least to where `mark` names; to the end where that is nothing.
    fn look_in_turn(&mut self, mark: &str) -> Result<(), StoreError>;
    /// The entries after one, as far as it was read, from the journal where they are not all known.
    fn read_since(&mut self, seq: u64) -> Result<Vec<Entry>, StoreError>;
    /// What somebody who died was about to write may still arrive.
    fn may_be_under_way(&self) -> bool;
    /// Writes a commit or page with nothing in it at the end, so that a late write for that place is refused. Returns what `is_there`
    /// found instead, asked again after each lost race.
    fn write_barrier(&mut self, is_there: &IsThere<'_, Self>) -> Result<Option<Granted>, StoreError>;
    /// Writes what is wished at once, and returns what became of each; or what `is_there` says of the first, asked again whenever somebody
    /// else was first.
    fn write(&mut self, wishes: &[Wish], is_there: &IsThere<'_, Self>) -> Result<Vec<Option<Granted>>, StoreError>;
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
        false => Some(Claimant::by(holder.clone(), targets, desk.here())?),
    };
    let wish = Wish { ends, wants: asked.as_ref().map(|asked| asked.wanted.clone()), ..Wish::default() };
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
fn carry<D: Shared>(desk: &mut D, mut wish: Wish) -> Result<Granted, StoreError> {
    if let Some(turn) = desk.turns().try_take() {
        return write(desk, wish, &turn);
    }
    if !desk.is_read() {
        desk.look()?; // what comes from now on may be ours
    }
    wish.known = Some((desk.chain().seq, desk.chain().head.clone()));
    match desk.turns().wait(Some(&wish)) {
        Waited::Untouched(Some(turn)) => write(desk, Wish { known: None, ..wish }, &turn),
        Waited::Untouched(None) => one(desk.write(&[Wish { known: None, ..wish }], &|_| Ok(None))),
        Waited::Written(turn) => {
            read_on(desk, turn.as_ref(), &wish).map_err(in_doubt)?;
            let since = desk.read_since(wish.seq()).map_err(in_doubt)?;
            match wish.found(&since, desk) {
                Some(granted) => Ok(granted),
                None => write_once(desk, turn, wish), // somebody cleared up
            }
        }
        Waited::Unsure(turn) => write_once(desk, Some(turn), wish),
        Waited::Stuck => {
            desk.look().map_err(in_doubt)?;
            met(desk, &wish)?.ok_or_else(stuck)
        }
    }
}

/// In our turn, with what others wait with.
fn write<D: Shared>(desk: &mut D, wish: Wish, turn: &Turn) -> Result<Granted, StoreError> {
    if let Some(mark) = turn.mark().filter(|mark| desk.is_read() && *mark != desk.mark()) {
        desk.look_in_turn(&mark)?;
    }
    let requests = desk.turns().requests(turn);
    let wishes: Vec<Wish> = [wish].into_iter().chain(requests.iter().map(|request| request.wish.clone())).collect();
    let granted = desk.write(&wishes, &|_| Ok(None))?;
    turn.leave(&desk.mark());
    for (request, granted) in requests.into_iter().zip(granted.iter().skip(1)) {
        match granted {
            Some(_) => request.written(),
            None => request.give_back(),
        }
    }
    granted.iter().flatten().flat_map(|granted| &granted.gone).for_each(|trace| desk.here().forget(trace));
    one(Ok(granted))
}

/// What somebody else may have written, and who is not at it any more: it is there, or we write it.
fn write_once<D: Shared>(desk: &mut D, turn: Option<Turn>, mut wish: Wish) -> Result<Granted, StoreError> {
    let turn = turn.or_else(|| desk.turns().take());
    read_on(desk, turn.as_ref(), &wish).map_err(in_doubt)?;
    let since = desk.read_since(wish.seq()).map_err(in_doubt)?;
    if wish.is_met(&since, desk)
        && let Some(granted) = wish.found(&since, desk)
    {
        return Ok(granted);
    }
    wish.known = Some((desk.chain().seq, desk.chain().head.clone()));
    let is_there = |desk: &D| met(desk, &wish);
    let own = Wish { known: None, ..wish.clone() };
    let granted = one(desk.write(&[own], &is_there).map_err(in_doubt))?;
    // What is refused was not written by us, and nothing of ours keeps out what is still on its way.
    if granted.is_refused() && desk.may_be_under_way() && met(desk, &wish)?.is_none() {
        let arrived = desk.write_barrier(&is_there).map_err(in_doubt)?;
        return Ok(arrived.unwrap_or(granted));
    }
    Ok(granted)
}

/// To the end, unless what is looked for comes before.
fn read_on<D: Shared>(desk: &mut D, turn: Option<&Turn>, wish: &Wish) -> Result<(), StoreError> {
    match turn {
        Some(_) => desk.look_in_turn(""),
        None => desk.look_until(&|desk| met(desk, wish).is_ok_and(|met| met.is_some())),
    }
}

/// What became of a wish that is there.
fn met<D: Shared>(desk: &D, wish: &Wish) -> Result<Option<Granted>, StoreError> {
    let since = if wish.groups.is_empty() { Vec::new() } else { desk.since(wish.seq()).ok_or_else(stuck)? };
    Ok(if wish.is_met(&since, desk) { wish.found(&since, desk) } else { None })
}

/// Of the first wish, which is ours.
fn one(granted: Result<Vec<Option<Granted>>, StoreError>) -> Result<Granted, StoreError> {
    granted?.into_iter().next().flatten().ok_or_else(stuck)
}

fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Io { what, hint } if !what.ends_with(IN_DOUBT) => {
            StoreError::Io { what: format!("{what}; {IN_DOUBT}"), hint }
        }
        other => other,
    }
}

fn stuck() -> StoreError {
    StoreError::Io {
        what: format!("another process of this machine took over what we had to journal, and did not come to an end; {IN_DOUBT}"),
        hint: Some("it is there once or not at all: see `isobar status`, and run the same command again".into()),
    }
}

#[cfg(test)]
mod tests;
