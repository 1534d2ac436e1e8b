//! Looks at every byte of the journal: each line of each segment and of the tail, each checkpoint against what the entries
//! fold into, each preview's seal, and the number of the last lease. Believes no shortcut.

use super::checkpoints::{Start, bases_dir, checkpoints_dir, numbered, read_text};
use super::disk;
use super::leases::fault_of_epoch;
use super::previews::set_files;
use super::segments::Segment;
use super::shelf::Shelf;
use crate::change::Digest;
use crate::journal::{Chain, Dropped};
use crate::store::audit::{Reading, Standing};
use crate::store::blocking::held;
use crate::store::{Anchor, Audit, StoreError};

const REMAKE: &str = "delete that file: it is only a shortcut and is made anew; then find out who could write here";
const REMOVE: &str = "delete that file; then find out who could write here";

impl Shelf {
    /// Looks without the lock first, so that a long journal holds no writer up; what is found then is looked at again under it.
    pub(super) fn audit(&self, anchors: &[Anchor]) -> Result<Audit, StoreError> {
        let audit = self.audit_once(anchors)?;
        if audit.findings.is_empty() {
            return Ok(audit);
        }
        let _lock = disk::lock_shared(&self.dir.join("lock"))?;
        self.audit_once(anchors)
    }

    pub(super) fn audit_once(&self, anchors: &[Anchor]) -> Result<Audit, StoreError> {
        let mut reading = Reading::of(anchors, self.sealer.is_some());
        let start = match Start::first(&self.dir, self.sealer.as_ref()) {
            Ok(start) => start,
            Err(StoreError::Broken { place, what }) => {
                reading.broken_base(place, what);
                return Ok(reading.finish(&self.dir.display().to_string(), &Chain::empty()));
            }
            Err(other) => return Err(other),
        };
        reading.begin(&start.chain, start.base.as_ref(), &start.dropped);
        let (through, dropped) = (start.chain.seq, start.dropped.clone());
        let mut standing = self.standing(through, &dropped, &mut reading)?;
        let segments = start.files.segments.clone();
        let chain = self.entries(start, &mut standing, &mut reading)?;

        standing.rest(&chain, &mut reading);
        self.say_dropped(&dropped, through, &segments, &mut reading)?;
        self.epoch(&mut reading)?;
        self.previews(&mut reading)?;
        Ok(reading.finish(&self.dir.display().to_string(), &chain))
    }

    /// Goes through all entries; returns the chain up to the first fault.
    fn entries(&self, mut start: Start, standing: &mut Standing, reading: &mut Reading<'_>) -> Result<Chain, StoreError> {
        let mut history = std::mem::take(&mut start.history);
        let (closed, mut folded) = (start.files.closed(), None);
        let mut scan = start.scan();
        while let Some(next) = scan.next() {
            match next {
                Ok(entry) => {
                    reading.met(&entry);
                    reading.audit.sealed += u64::from(entry.seal.is_some());
                    history.fold(&entry);
                    if entry.seq == scan.end_chain().seq {
                        standing.pass(scan.end_chain(), || history.clone(), reading);
                    }
                    if entry.seq == closed {
                        folded = Some(history.clone().resolved());
                    }
                }
                Err(StoreError::Broken { what, place }) => {
                    let (chain, line) = scan.at();
                    reading.broken(place, &what, chain, line);
                    return Ok(chain.clone());
                }
                Err(other) => return Err(other),
            }
        }
        if scan.torn() > 0 {
            let torn = scan.torn();
            reading.audit.unseen.push(format!("{torn} bytes at the end: a crash cut that group short, and it never counted"));
        }
        let (chain, segment) = (scan.end_chain().clone(), scan.closed().cloned());
        if let Err(StoreError::Broken { place, what }) = scan.end() {
            reading.broken_base(place, what);
        } else if let (Some(folded), Some(segment)) = (folded, segment) {
            *held(&self.folded) = Some((segment, folded)); // for the checkpoint that a new key needs
        }
        Ok(chain)
    }

    /// Checkpoints and bases after entry `through`. Up to there only what reading begins at may stand, which an entry vouches for: nothing
    /// is left that any other could be held against.
    fn standing(&self, through: u64, dropped: &[Dropped], reading: &mut Reading<'_>) -> Result<Standing, StoreError> {
        let mut standing = Standing::new(REMAKE, dropped.to_vec());
        let (checkpoints, bases) = (numbered(&checkpoints_dir(&self.dir))?, numbered(&bases_dir(&self.dir))?);
        let begun = bases.iter().find(|(seq, _)| *seq == through).cloned();
        for (seq, path) in checkpoints.into_iter().chain(bases).filter(|one| Some(one) != begun.as_ref()) {
            let Some(text) = read_text(&path)? else { continue };
            if seq > through {
                standing.add(seq, path.display().to_string(), text);
            } else {
                let what = format!("it stands at entry {seq}, and the entries up to {through} were compacted away");
                let means = "somebody put it there: nothing of ours is left at a compacted entry";
                reading.found(path.display().to_string(), what, means, REMOVE);
            }
        }
        Ok(standing)
    }

    /// Segments that were compacted away and lie here again are proven by what was kept of them.
    fn say_dropped(
        &self,
        dropped: &[Dropped],
        through: u64,
        there: &[Segment],
        reading: &mut Reading<'_>,
    ) -> Result<(), StoreError> {
        let mut gone = 0;
        let mut known = Vec::new();
        for one in dropped {
            let segment = Segment::of(&self.dir, one.first, one.last);
            match disk::read_existing(&segment.path)?.filter(|_| there.contains(&segment)) {
                None => gone += one.last - one.first + 1,
                Some(bytes) if Digest::of_bytes(&bytes) == one.digest => {}
                Some(_) => {
                    let what = "it is not what was compacted away".to_string();
                    let means = "the segment was changed after it was written";
                    reading.found(segment.path.display().to_string(), what, means, "delete it, or restore it from a copy");
                }
            }
            known.push(segment);
        }
        for segment in there.iter().filter(|segment| segment.last <= through && !known.contains(segment)) {
            let what = format!("no such segment was among the entries up to {through}, which were compacted away");
            reading.found(segment.path.display().to_string(), what, "somebody put it there", REMOVE);
        }
        if let (Some(last), 1..) = (dropped.last(), gone) {
            let through = last.last;
            reading.audit.unseen.push(format!(
                "{gone} of the first {through} entries were compacted away; what they folded into is proven, they themselves are not here"
            ));
        }
        Ok(())
    }

    fn epoch(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        const AWAY: &str =
            "move it away: the next lease counts on without it; then see whether the disk is healthy, and who could write here";
        if let Some(what) = fault_of_epoch(&self.dir)? {
            let means = "the disk lost it, or somebody changed it; no entry depends on it";
            reading.found(self.dir.join("epoch").display().to_string(), what.into(), means, AWAY);
        }
        Ok(())
    }

    fn previews(&self, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        const AGAIN: &str = "delete that file and run isobar preview again";
        for path in set_files(&self.dir.join("previews"))? {
            let Some(text) = read_text(&path)? else { continue };
            reading.preview(path.display().to_string(), &text, self.preview_sealer.as_ref(), AGAIN);
        }
        Ok(())
    }
}
