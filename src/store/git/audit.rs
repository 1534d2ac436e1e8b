//! Looks at every byte of the journal that the tip holds: each line, each checkpoint against what the entries fold into, each
//! preview's seal. Believes no shortcut. Commits before the tip are no part of the journal.

use super::desk::Desk;
use super::known::{Start, text};
use super::lines::Lines;
use super::previews;
use super::tree::{Contents, base_path, checkpoint_path};
use crate::journal::{Chain, Event};
use crate::store::audit::{Reading, Standing};
use crate::store::{Anchor, Audit, StoreError};

const REMAKE: &str = "it is only a shortcut: remove it from the tree, and it is made anew; then find out who could push here";

pub(super) fn audit(desk: &Desk, anchors: &[Anchor]) -> Result<Audit, StoreError> {
    let mut reading = Reading::of(anchors, desk.known.sealer().is_some());
    let contents = match desk.tip().and_then(|tip| desk.contents(tip)) {
        Ok(contents) => Some(contents),
        Err(StoreError::Broken { place, what }) => {
            reading.no_journal(place, what);
            None
        }
        Err(other) => return Err(other),
    };
    let read = contents.map_or(Ok(Chain::empty()), |contents| entries(desk, &contents, &mut reading));
    let chain = match read {
        Ok(read) => read,
        Err(StoreError::Broken { place, what }) => {
            reading.broken_base(place, what);
            Chain::empty()
        }
        Err(other) => return Err(other),
    };
    for (place, text) in previews::texts(desk)? {
        reading.preview(place, &text, desk.preview_sealer.as_ref(), "delete that ref and run isobar preview again");
    }
    Ok(reading.finish(&desk.place, &chain))
}

/// Goes through all entries; returns the chain up to the first fault.
fn entries(desk: &Desk, contents: &Contents, reading: &mut Reading<'_>) -> Result<Chain, StoreError> {
    let (place, repository) = (&*desk.place, &desk.repository);
    let all = contents.parts.iter().map(|(_, blob)| *blob);
    let all: Vec<_> = all.chain(contents.checkpoints.values().copied()).chain(contents.bases.values().copied()).collect();
    desk.wire.bring(place, repository, &all)?;
    let start = Start::first(place, repository, contents, desk.known.sealer())?;
    reading.begin(&start.chain, start.base.as_ref(), &start.dropped);
    let (through, mut unvouched, mut history) = (start.chain.seq, start.base, start.history);

    let mut standing = Standing::new(REMAKE, start.dropped);
    let kept = contents.checkpoints.iter().map(|(seq, blob)| (*seq, checkpoint_path(*seq), *blob));
    let bases = contents.bases.iter().map(|(seq, blob)| (*seq, base_path(*seq), *blob));
    for (seq, path, blob) in kept.chain(bases.filter(|(seq, ..)| *seq != through)) {
        let file = format!("{place}, {path}");
        if seq > through {
            standing.add(seq, file, text(place, repository, blob)?);
        } else {
            let what = format!("it stands at entry {seq}, and the entries up to {through} were compacted away");
            let means = "somebody put it there: nothing of ours is left at a compacted entry";
            reading.found(file, what, means, "remove it from the tree; then find out who could push here");
        }
    }

    let mut lines = Lines::new(place, repository, contents.after(through), start.chain);
    while let Some(entry) = lines.next() {
        reading.met(&entry);
        reading.audit.sealed += u64::from(entry.seal.is_some());
        if let Event::Compacted { base, .. } = &entry.event {
            unvouched.take_if(|named| named == base);
        }
        history.fold(&entry);
        standing.pass(lines.at().0, || history.clone(), reading);
    }
    let (chain, line) = (lines.at().0.clone(), lines.at().1.to_vec());
    match lines.end() {
        Ok(_) => {}
        Err(StoreError::Broken { place, what }) => {
            reading.broken(place, &what, &chain, &line);
            return Ok(chain);
        }
        Err(other) => return Err(other),
    }
    if let Some(base) = unvouched {
        let what = format!("no entry says that anything was compacted into what has the hash {base}");
        reading.broken_base(format!("{place}, bases"), what);
    }
    if through > 0 {
        reading.audit.unseen.push(format!(
            "the first {through} entries were compacted away; what they folded into is proven, they themselves are not here"
        ));
    }
    standing.rest(&chain, reading);
    Ok(chain)
}
