//! What every store does with appends: many that wait are one write, and each is answered alone. A store says only how what waits is
//! written. Knows no place.

use super::blocking::{blocking, held, interrupted};
use super::{After, Append, Boxed, Lease, StoreError, Written};
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Bytes that a line of the journal may have, with its end: no reader takes a longer one for a line, so none is written. The plan of a
/// rollout over 10,000 targets has about two million.
pub(super) const LINE_MAX: u64 = 64 << 20;

/// Bytes of a line beside its event and its run, at most: numbers, hashes and their names.
const AROUND: u64 = 512;

/// What became of a group.
pub(super) type Sealed = Written;

/// One group to append. Cloned only by who may have to write it again, for a wave may have ten thousand clearances.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    events: Vec<Event>,
    run: Arc<str>,
    at_ms: u64,
    claim: Option<Claim>,
    after: Option<After>,
}

/// A group, and whom to tell what became of it.
type Pending = (Group, oneshot::Sender<Sealed>);

/// What shows that a lease is ours; whether it still is, is asked when the group is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) epoch: u64,
    /// Which file keeps the lease alive: its device and number there.
    #[serde(skip)]
    pub(super) guard: Option<(u64, u64)>,
    /// To name when it is not ours.
    target: TargetId,
}

/// Groups that wait for the next write, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<Pending>>);

impl Claim {
    /// `None` without a lease, or with one over nothing.
    fn of(events: &[Event], lease: Option<&Lease>) -> Result<Option<Self>, StoreError> {
        let Some((target, lease)) = covered(events, lease)?.zip(lease) else { return Ok(None) };
        let guard = lease.guard.as_ref().and_then(|guard| guard.metadata().ok()).map(|file| (file.dev(), file.ino()));
        Ok(lease.epochs.values().next().map(|epoch| Self { epoch: *epoch, guard, target: target.clone() }))
    }
}

impl Group {
    /// `None` for a group that would change nothing.
    pub(super) fn of(append: Append<'_>) -> Result<Option<Self>, StoreError> {
        let Append { events, run, at_ms, lease, after } = append;
        if events.is_empty() && after.is_none() {
            return Ok(None);
        }
        events.iter().try_for_each(|event| fits(event, run, LINE_MAX))?;
        let claim = Claim::of(&events, lease)?;
        Ok(Some(Self { events, run: run.clone(), at_ms, claim, after }))
    }

    /// Where it stands among entries.
    fn position(&self, entries: &[Entry]) -> Option<usize> {
        let is_one = |(entry, event): (&Entry, &Event)| (&entry.run, entry.at_ms, &entry.event) == (&self.run, self.at_ms, event);
        let count = self.events.len();
        let is_it = |entries: &[Entry]| entries.iter().zip(&self.events).all(is_one);
        entries.windows(count.max(1)).position(is_it).filter(|_| count > 0)
    }

    pub(super) fn is_among(&self, entries: &[Entry]) -> bool {
        self.position(entries).is_some()
    }

    /// Why it may not be written, whatever it was decided on.
    fn refusal(&self, chain: &Chain, is_ours: impl Fn(&Claim) -> bool) -> Sealed {
        match self.claim.as_ref().filter(|claim| !is_ours(claim)) {
            Some(claim) => Err(StoreError::Fenced(claim.target.clone())),
            None => chain.refuses(&self.events).map_or(Ok(Vec::new()), |unsealed| Err(unsealed.into())),
        }
    }

    /// What it was decided on is still so, now that `chain` is the whole journal: nothing came since, or nothing that matters.
    fn stands(&self, chain: &Chain, since: impl Fn(u64) -> Option<Vec<Entry>>) -> bool {
        let Some(after) = &self.after else { return true };
        after.is_newest(chain) || since(after.head.0).is_some_and(|entries| after.bears(&entries))
    }
}

impl Queue {
    /// Lets groups wait, has `write` call [`Queue::write`] where waiting holds nobody up, and returns what became of each: they are
    /// written then, by this call or by another one's, and never apart.
    pub(super) async fn append(&self, appends: Vec<Append<'_>>, write: impl FnOnce() + Send + 'static) -> Vec<Sealed> {
        let (mut asked, mut answers) = (Vec::new(), Vec::new());
        for append in appends {
            answers.push(Group::of(append).map(|group| {
                let (answer, answered) = oneshot::channel();
                asked.push((group?, answer));
                Some(answered)
            }));
        }
        if !asked.is_empty() {
            held(&self.0).extend(asked);
            let ran = blocking(move || {
                write();
                Ok(())
            });
            if let Err(error) = ran.await {
                return answers.into_iter().map(|_| Err(error.clone())).collect();
            }
        }
        let mut sealed = Vec::new();
        for answer in answers {
            sealed.push(match answer {
                Ok(Some(answered)) => answered.await.unwrap_or_else(|_| Err(interrupted())),
                Ok(None) => Ok(Vec::new()),
                Err(refused) => Err(refused),
            });
        }
        sealed
    }

    /// Has `write` write every group that waits at once, and answers each. Only in a store's turn: who comes meanwhile waits for the
    /// next one, and many appends at once cost one way to the journal.
    pub(super) fn write(&self, write: impl FnOnce(Vec<Group>) -> Result<Vec<Sealed>, StoreError>) {
        let (groups, answers): (Vec<_>, Vec<_>) = std::mem::take(&mut *held(&self.0)).into_iter().unzip();
        if groups.is_empty() {
            return;
        }
        let sealed = write(groups).unwrap_or_else(|error| vec![Err(error); answers.len()]);
        for (answer, sealed) in answers.into_iter().zip(sealed) {
            let _ = answer.send(sealed); // who asked may have gone; the entries are written all the same
        }
    }
}

/// Refuses an event whose line nobody could read.
fn fits(event: &Event, run: &str, max: u64) -> Result<(), StoreError> {
    let (mut line, mut around) = (Length::default(), Length::default());
    let counted = serde_json::to_writer(&mut line, event).and_then(|()| serde_json::to_writer(&mut around, run));
    counted.expect("an event holds only what JSON can");
    let bytes = line.bytes + around.bytes + AROUND;
    if bytes <= max {
        return Ok(());
    }
    let begin = String::from_utf8_lossy(&line.begin);
    let name = begin.split('"').nth(3).unwrap_or_default();
    Err(StoreError::Io {
        what: format!(
            "the entry {name:?} would have {bytes} bytes, and a line of the journal has at most {max}; nothing was journalled"
        ),
        hint: Some("ask for less at once: a selector brings a part of the fleet, and a reason need not be long".into()),
    })
}

/// Counts what is written to it, and keeps how that begins.
#[derive(Default)]
struct Length {
    bytes: u64,
    begin: Vec<u8>,
}

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = 64_usize.saturating_sub(self.begin.len()).min(bytes.len());
        self.begin.extend_from_slice(&bytes[..room]);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Seals each group after `chain`, or says why it may not be written. `is_ours` says whether a claim still holds, and `since` gives the
/// entries after one, up to the end of `chain`, where they are known.
pub(super) fn seal(
    groups: Vec<Group>,
    chain: &mut Chain,
    is_ours: impl Fn(&Claim) -> bool,
    since: impl Fn(u64) -> Option<Vec<Entry>>,
) -> Vec<Sealed> {
    let mut fresh: Vec<Entry> = Vec::new();
    let has_conditions = groups.iter().any(|group| group.after.is_some());
    let sealed = groups.into_iter().map(|group| {
        group.refusal(chain, &is_ours)?;
        if !group.stands(chain, |seq| Some(since(seq)?.into_iter().chain(fresh.iter().cloned()).collect())) {
            return Ok(Vec::new());
        }
        let sealed = chain.seal_group(group.events, &group.run, group.at_ms);
        fresh.extend(sealed.iter().filter(|_| has_conditions).cloned());
        Ok(sealed)
    });
    sealed.collect()
}

/// What became of `groups`, which were written together, or none of them, by somebody else: `since` are all entries from then on, and
/// `chain` is at their end. `None` where it cannot be told that they were written.
pub(super) fn found(groups: &[Group], since: &[Entry], chain: &Chain, is_ours: impl Fn(&Claim) -> bool) -> Option<Vec<Sealed>> {
    let (mut rest, mut is_met, mut is_told) = (since, false, true);
    let mut answers = Vec::new();
    for group in groups {
        let count = group.events.len();
        answers.push(match group.position(rest) {
            Some(at) => {
                is_met = true;
                let (entries, after) = rest[at..].split_at(count);
                rest = after;
                Ok(entries.to_vec())
            }
            None if count == 0 || group.after.is_some() => group.refusal(chain, &is_ours),
            None => group.refusal(chain, &is_ours).and_then(|_| {
                is_told = false;
                Err(interrupted())
            }),
        });
    }
    (is_met || is_told).then_some(answers)
}

/// What became of the only group of a write.
pub(super) fn one(written: Boxed<'_, Vec<Written>>) -> Boxed<'_, Written> {
    Box::pin(async move { written.await.pop().unwrap_or(Ok(Vec::new())) })
}

/// The entries of all groups that may be written, in order.
pub(super) fn entries(sealed: &[Sealed]) -> impl Iterator<Item = &Entry> + Clone {
    sealed.iter().flatten().flatten()
}

/// Whether one of them was decided on an entry after this one.
pub(super) fn follows(groups: &[Group], seq: u64) -> bool {
    groups.iter().filter_map(|group| group.after.as_ref()).any(|after| after.head.0 > seq)
}

/// Returns the target to name when a group is refused: entries about a target need a lease that covers it. `None` without a
/// lease, or with one over nothing. That the lease is still ours is asked when the group is written.
pub(super) fn covered<'a>(events: &'a [Event], lease: Option<&'a Lease>) -> Result<Option<&'a TargetId>, StoreError> {
    let mut targets = events.iter().filter_map(Event::target);
    if let Some(target) = targets.clone().find(|target| !lease.is_some_and(|lease| lease.covers(target))) {
        return Err(StoreError::Fenced(target.clone()));
    }
    Ok(lease.and_then(|lease| targets.next().or(lease.epochs.keys().next())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Digest;

    #[test]
    fn an_event_that_fits_has_a_line_that_fits() {
        let digest = Digest::of_bytes(b"x");
        let event = Event::Compacted { through: u64::MAX, head: digest.clone(), base: digest };
        let mut chain = Chain::after(u64::MAX - 1, Digest::of_bytes(b"y"), crate::journal::Seals::None);
        let sealer = crate::journal::Sealer::of_journal(&crate::change::Key::new(b"k"));
        chain = chain.sealed_by(Some(sealer));
        let line = Entry { more: u32::MAX, ..chain.seal(event.clone(), &"a run".into(), u64::MAX) }.line().len() as u64 + 1;
        assert_eq!(fits(&event, "a run", line + AROUND), Ok(()));
        let Err(StoreError::Io { what, hint: Some(_) }) = fits(&event, "a run", line - 1) else { panic!("no line has less") };
        assert!(
            what.starts_with("the entry \"compacted\" would have ") && what.contains(&format!("at most {}", line - 1)),
            "{what}"
        );
    }
}
