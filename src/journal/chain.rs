//! The chain that holds entries together: what the next one must follow. Knows what follows what; not where it is kept.
//!
//! `prev` of an entry is the hash of the line before, so a byte changed anywhere breaks the chain there. Entries appended together are
//! one group: each says how many `more` follow, so a group that was cut short is known to be one.

use super::entry::{Entry, Fault, SCHEMA};
use super::event::Event;
use super::seal::{Sealer, Unsealed, closed, is_sealed_by};
use crate::change::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The head of a chain: what the next entry must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub seq: u64,
    pub head: Digest,
    /// Entries that the last group still lacks.
    pub lacks: u32,
    pub seals: Seals,
    /// The entry with which another key took over from ours. Such a key does not come back.
    pub replaced: Option<u64>,
    /// The lines with which keys began: the first with a seal, and each that says so. Who has a key can tell its own among them.
    keys: Vec<Arc<str>>,
    sealer: Option<Sealer>,
}

/// What is known of the seals of all entries so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seals {
    /// No entry has one.
    #[default]
    None,
    /// The newest has one that we have no key for.
    Unchecked,
    /// The newest was sealed by our key, and so stands for all before it.
    Checked,
}

impl Chain {
    /// The chain with no entry.
    pub fn empty() -> Self {
        Self::after(0, Digest::of("journal", &["empty"]), Seals::None)
    }

    /// The chain after the entry `seq`, a group's last, whose hash is `head`.
    pub fn after(seq: u64, head: Digest, seals: Seals) -> Self {
        Self { seq, head, lacks: 0, seals, replaced: None, keys: Vec::new(), sealer: None }
    }

    /// The same chain, whose entries to come are sealed and whose seals are checked.
    pub fn sealed_by(self, sealer: Option<Sealer>) -> Self {
        let replaced = self.replaced.or_else(|| sealer.as_ref().and_then(|sealer| self.replaced_after(sealer)));
        Self { sealer, replaced, ..self }
    }

    /// The same chain, in whose entries keys began with these lines.
    pub(super) fn with_keys(self, keys: Vec<Arc<str>>) -> Self {
        Self { keys, ..self }
    }

    /// The lines with which keys began.
    pub(super) fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }

    /// The entry with which another key followed this one.
    fn replaced_after(&self, sealer: &Sealer) -> Option<u64> {
        let own = self.keys.iter().rposition(|line| is_sealed_by(line, sealer))?;
        Entry::read(self.keys.get(own + 1)?).ok().map(|entry| entry.seq)
    }

    /// Remembers an entry with which a key begins.
    fn note_key(&mut self, entry: &Entry, line: impl FnOnce() -> Arc<str>) {
        if entry.seal.is_some() && (self.keys.is_empty() || matches!(entry.event, Event::KeyBegan { .. })) {
            self.keys.push(line());
        }
    }

    /// No group is cut short.
    pub fn is_whole(&self) -> bool {
        self.lacks == 0
    }

    /// Makes the next entry, a group of its own, and moves the head to it.
    pub fn seal(&mut self, event: Event, run: &Arc<str>, at_ms: u64) -> Entry {
        self.seal_next(event, run, at_ms, 0)
    }

    /// Makes the next entries, one group, and moves the head to the last.
    pub fn seal_group(&mut self, events: Vec<Event>, run: &Arc<str>, at_ms: u64) -> Vec<Entry> {
        let last = events.len().saturating_sub(1);
        let more = |at: usize| u32::try_from(last - at).expect("a group is far smaller than four billion entries");
        events.into_iter().enumerate().map(|(at, event)| self.seal_next(event, run, at_ms, more(at))).collect()
    }

    fn seal_next(&mut self, event: Event, run: &Arc<str>, at_ms: u64, more: u32) -> Entry {
        let (seq, prev) = (self.seq + 1, self.head.clone());
        let hash = prev.clone();
        let mut entry = Entry { schema: SCHEMA, seq, at_ms, run: run.clone(), prev, more, event, seal: None, hash };
        entry.close(self.sealer.as_ref());
        self.note_key(&entry, || entry.line().into());
        self.seals = if self.sealer.is_some() { Seals::Checked } else { self.seals };
        (self.seq, self.head, self.lacks) = (seq, entry.hash.clone(), more);
        entry
    }

    /// Accepts `entry` when it is the next one and its hash is right; else says what is broken.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), String> {
        match self.follow_line(&entry.line()) {
            Ok(_) => Ok(()),
            Err(Fault::Newer(schema)) => Err(format!("entry {} has schema {schema}, which this version cannot read", entry.seq)),
            Err(Fault::Broken(what)) => Err(what),
        }
    }

    /// Reads `line` and accepts it when it is the next entry, its hash is right, and its seal when there is a key.
    pub fn follow_line(&mut self, line: &str) -> Result<Entry, Fault> {
        let entry = Entry::read(line)?;
        if entry.seq != self.seq + 1 {
            return Err(Fault::Broken(format!("entry {} stands where {} must stand", entry.seq, self.seq + 1)));
        }
        if entry.prev != self.head {
            return Err(Fault::Broken(format!("entry {} does not follow the entry before it", entry.seq)));
        }
        if self.lacks > 0 && entry.more != self.lacks - 1 {
            return Err(Fault::Broken(format!("entry {} does not belong to the group it stands in", entry.seq)));
        }

        let seals = self.check_seal(line, &entry).map_err(Fault::Broken)?;
        if self.seals == Seals::Checked && seals == Seals::Unchecked && self.sealer.is_some() {
            self.replaced = Some(entry.seq);
        }
        self.note_key(&entry, || line.into());
        self.seals = seals;
        (self.seq, self.head, self.lacks) = (entry.seq, entry.hash.clone(), entry.more);
        Ok(entry)
    }

    /// A seal that is not of our key may be that of a key before it: [`Chain::lacks_seal`] asks for ours at the end.
    fn check_seal(&self, line: &str, entry: &Entry) -> Result<Seals, String> {
        let seq = entry.seq;
        if entry.seal.is_none() {
            return match self.seals {
                Seals::None => Ok(Seals::None),
                Seals::Unchecked | Seals::Checked => Err(format!("entry {seq} has no seal, and the one before it has")),
            };
        }
        let Some(sealer) = &self.sealer else { return Ok(Seals::Unchecked) };
        let is_ours = closed(line).is_some_and(|closed| sealer.has_sealed(&closed));
        let begins = matches!(entry.event, Event::KeyBegan { .. });
        match (self.seals, is_ours, begins) {
            (_, true, _) if self.replaced.is_some() => {
                Err(format!("entry {seq} is sealed with a key that was replaced before it"))
            }
            (_, true, _) => Ok(Seals::Checked), // and so is all before it: whoever has the key had checked it
            (Seals::Checked, false, true) => Ok(Seals::Unchecked), // by who had our key, or by nobody who had any: it is not believed
            (Seals::Checked, false, false) => Err(format!("the seal of entry {seq} was not made with ISOBAR_KEY")),
            (Seals::None | Seals::Unchecked, false, _) => Ok(Seals::Unchecked),
        }
    }

    /// Says why this journal cannot be believed with our key, once all of it was followed.
    pub fn lacks_seal(&self) -> Option<Unsealed> {
        match (&self.sealer, self.seals) {
            (None, _) | (Some(_), Seals::Checked) => None,
            (Some(_), Seals::None) if self.seq == 0 => None,
            (Some(_), Seals::None) => Some(Unsealed {
                what: "ISOBAR_KEY is set, and no entry of the journal is sealed",
                hint: "if the key is new, begin with it: isobar audit seal; if not, somebody put another journal here",
            }),
            (Some(_), Seals::Unchecked) if self.replaced.is_some() => Some(Unsealed {
                what: "another key took over the journal from ISOBAR_KEY",
                hint: "set the key that took over; where nobody changed the key, isobar audit verify says which entry to ask about",
            }),
            (Some(_), Seals::Unchecked) => Some(Unsealed {
                what: "the journal is sealed by another key than ISOBAR_KEY",
                hint: "set the key that sealed it; only who means to replace that key sets it as ISOBAR_KEY_BEFORE and types isobar audit seal",
            }),
        }
    }

    /// Says why `events` may not be appended by whoever has our key, or none.
    pub fn refuses(&self, events: &[Event]) -> Option<Unsealed> {
        let begins = |sealer: &Sealer| matches!(events.first(), Some(Event::KeyBegan { key, .. }) if key == sealer.id());
        match (&self.sealer, self.seals) {
            (None, Seals::Unchecked | Seals::Checked) => Some(Unsealed {
                what: "the journal is sealed, and ISOBAR_KEY is not set",
                hint: "set the key for everybody who writes; reading needs none",
            }),
            (Some(sealer), _) if self.replaced.is_none() && begins(sealer) => None,
            (Some(_), _) => self.lacks_seal(),
            (None, Seals::None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Action, ChangeMark, Intent};
    use crate::review::User;
    use crate::rollout::StepEvent;

    fn run() -> Arc<str> {
        "run-1".into()
    }

    fn paused(reason: &str) -> Event {
        Event::Paused { by: User("ann".into()), reason: reason.into() }
    }

    fn applied() -> Event {
        let mark = ChangeMark {
            address: "a \"quoted\" näme.yaml".into(),
            kind: "document".into(),
            action: Action::Create,
            before: None,
            after: Some(Digest::of_bytes(b"x")),
            holes: vec!["base.outputs.id".into()],
        };
        let target = "network@prod/eu-west-1".parse().expect("a target");
        let digest = Digest::of_bytes(b"preview");
        Event::Applied { target, intent: Intent::Converge, commit: "c0ffee".into(), digest, changes: vec![mark], was: vec![] }
    }

    #[test]
    fn an_entry_is_this_line() {
        let entry = Chain::empty().seal(paused("lunch"), &run(), 7);
        let prev = Chain::empty().head;
        let body = format!(
            r#"{{"schema":1,"seq":1,"at_ms":7,"run":"run-1","prev":"{prev}","event":"paused","by":"ann","reason":"lunch"}}"#
        );
        let hash = Digest::of_bytes(body.as_bytes());
        assert_eq!(entry.line(), format!(r#"{},"hash":"{hash}"}}"#, &body[..body.len() - 1]));
        assert_eq!(prev.as_str(), "6767a4959fffd68d92e20bc25c896682afb2136db3d13dbbbc58b98cf72712b1");
    }

    #[test]
    fn a_line_reads_back_as_its_entry() {
        let mut chain = Chain::empty();
        let step =
            Event::Step { rollout: "r1".into(), step: StepEvent::Started { target: "a@prod/x".parse().expect("a target") } };
        let entries = chain.seal_group(vec![applied(), step], &run(), 1);

        let mut reader = Chain::empty();
        for entry in &entries {
            assert_eq!(reader.follow_line(&entry.line()).as_ref(), Ok(entry));
        }
        assert_eq!(reader, chain);
    }

    #[test]
    fn any_changed_byte_breaks_the_line() {
        let entry = Chain::empty().seal(applied(), &run(), 7);
        let line = entry.line().into_bytes();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.clone();
                changed[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(changed) else { continue };
                assert!(Chain::empty().follow_line(&text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn an_entry_changed_in_memory_does_not_follow() {
        let mut entry = Chain::empty().seal(paused("lunch"), &run(), 7);
        assert_eq!(Chain::empty().follow(&entry), Ok(()));
        entry.at_ms += 1;
        assert_eq!(Chain::empty().follow(&entry), Err("entry 1 is not what its hash says".into()));
    }

    #[test]
    fn an_entry_left_out_or_moved_breaks_the_chain() {
        let mut chain = Chain::empty();
        let entries: Vec<Entry> = ["a", "b", "c"].map(|reason| chain.seal(paused(reason), &run(), 7)).into();

        let mut reader = Chain::empty();
        assert_eq!(reader.follow(&entries[0]), Ok(()));
        assert_eq!(reader.follow(&entries[2]), Err("entry 3 stands where 2 must stand".into()));

        let mut other = Chain::empty();
        other.seal(paused("z"), &run(), 7);
        let stranger = other.seal(paused("b"), &run(), 7);
        assert_eq!(reader.follow(&stranger), Err("entry 2 does not follow the entry before it".into()));
    }

    #[test]
    fn a_group_is_whole_with_its_last_entry() {
        let mut chain = Chain::empty();
        let group = chain.seal_group(vec![paused("a"), paused("b"), paused("c")], &run(), 7);
        assert_eq!(group.iter().map(|entry| entry.more).collect::<Vec<_>>(), [2, 1, 0]);

        let mut reader = Chain::empty();
        let whole: Vec<bool> = group.iter().map(|entry| reader.follow(entry).is_ok() && reader.is_whole()).collect();
        assert_eq!(whole, [false, false, true]);
    }

    #[test]
    fn another_group_cannot_stand_inside_a_group() {
        let mut cut = Chain::empty();
        cut.seal_next(paused("a"), &run(), 7, 1);
        let next = cut.clone().seal_next(paused("of another group"), &run(), 7, 5);
        assert_eq!(cut.follow(&next), Err("entry 2 does not belong to the group it stands in".into()));
    }

    fn keyed(key: &str) -> Chain {
        Chain::empty().sealed_by(Some(sealer(key)))
    }

    fn sealer(key: &str) -> Sealer {
        Sealer::of_journal(&crate::change::Key::new(key.as_bytes()))
    }

    fn began(key: &str) -> Event {
        Event::KeyBegan { key: sealer(key).id().clone(), by: User("ann".into()) }
    }

    /// What a reader with `key`, or without one, says of `entries`: the first fault, or what is missing in the end.
    fn read(entries: &[Entry], key: Option<&str>) -> Result<Seals, String> {
        let mut reader = Chain::empty().sealed_by(key.map(sealer));
        entries.iter().try_for_each(|entry| reader.follow(entry))?;
        reader.lacks_seal().map_or(Ok(reader.seals), |unsealed| Err(unsealed.what.into()))
    }

    #[test]
    fn a_sealed_entry_is_this_line() {
        let entry = keyed("k").seal(paused("lunch"), &run(), 7);
        let prev = Chain::empty().head;
        let body = format!(
            r#"{{"schema":1,"seq":1,"at_ms":7,"run":"run-1","prev":"{prev}","event":"paused","by":"ann","reason":"lunch"}}"#
        );
        let seal = sealer("k").seal(&body);
        let sealed = format!(r#"{},"seal":"{seal}"}}"#, &body[..body.len() - 1]);
        let hash = Digest::of_bytes(sealed.as_bytes());
        assert_eq!(entry.line(), format!(r#"{},"hash":"{hash}"}}"#, &sealed[..sealed.len() - 1]));
        assert_eq!(Entry::read(&entry.line()).as_ref(), Ok(&entry));
    }

    #[test]
    fn a_reader_with_the_key_checks_seals_and_one_without_reads_on() {
        let mut chain = keyed("k");
        let entries = chain.seal_group(vec![paused("a"), paused("b"), paused("c")], &run(), 7);
        assert_eq!(read(&entries, Some("k")), Ok(Seals::Checked));
        assert_eq!(read(&entries, None), Ok(Seals::Unchecked));
        assert_eq!(read(&entries, Some("other")), Err("the journal is sealed by another key than ISOBAR_KEY".into()));
        assert_eq!(read(&[], Some("k")), Ok(Seals::None), "an empty journal needs no seal");
    }

    #[test]
    fn what_somebody_without_the_key_wrote_is_refused() {
        let mut chain = keyed("k");
        let first = chain.seal(paused("a"), &run(), 7);
        let mut without = chain.clone().sealed_by(None);
        let mut other = chain.clone().sealed_by(Some(sealer("other")));
        let plain = [first.clone(), without.seal(paused("b"), &run(), 7)];
        assert_eq!(read(&plain, Some("k")), Err("entry 2 has no seal, and the one before it has".into()));
        assert_eq!(read(&plain, None), Err("entry 2 has no seal, and the one before it has".into()));
        let foreign = [first.clone(), other.seal(paused("b"), &run(), 7)];
        assert_eq!(read(&foreign, Some("k")), Err("the seal of entry 2 was not made with ISOBAR_KEY".into()));
        let began = [first, chain.sealed_by(Some(sealer("other"))).seal(began("other"), &run(), 7)];
        assert_eq!(read(&began, Some("k")), Err("another key took over the journal from ISOBAR_KEY".into()));
    }

    #[test]
    fn a_journal_written_anew_without_the_key_is_refused_as_a_whole() {
        let anew = Chain::empty().seal_group(vec![paused("a"), paused("b")], &run(), 7);
        assert_eq!(read(&anew, Some("k")), Err("ISOBAR_KEY is set, and no entry of the journal is sealed".into()));
        assert_eq!(read(&anew, None), Ok(Seals::None));
    }

    #[test]
    fn a_key_begins_late_or_follows_another_by_an_entry_that_says_so() {
        let mut chain = Chain::empty();
        let mut entries = vec![chain.seal(paused("before any key"), &run(), 7)];
        for key in ["one", "two"] {
            chain = chain.sealed_by(Some(sealer(key)));
            assert!(chain.refuses(&[paused("x")]).is_some() && chain.refuses(&[began("else")]).is_some(), "not by itself");
            assert_eq!(chain.refuses(&[began(key)]), None);
            entries.extend([chain.seal(began(key), &run(), 8), chain.seal(paused(key), &run(), 9)]);
            assert_eq!(chain.refuses(&[paused("x")]), None);
            // As another process finds it.
            let seals = if chain.seals == Seals::Checked { Seals::Unchecked } else { chain.seals };
            chain = Chain::after(chain.seq, chain.head.clone(), seals);
        }
        assert_eq!(read(&entries, Some("two")), Ok(Seals::Checked));
        assert_eq!(read(&entries, Some("one")), Err("another key took over the journal from ISOBAR_KEY".into()));
        assert_eq!(read(&entries[..3], Some("one")), Ok(Seals::Checked));
        assert_eq!(read(&entries, None), Ok(Seals::Unchecked));
    }

    #[test]
    fn a_key_that_was_replaced_does_not_come_back() {
        let mut chain = keyed("one");
        let mut entries = vec![chain.seal(paused("a"), &run(), 7)];
        chain = chain.sealed_by(Some(sealer("two")));
        entries.push(chain.seal(began("two"), &run(), 8));
        let mut replaced = keyed("one");
        entries.iter().try_for_each(|entry| replaced.follow(entry)).expect("each follows the one before");
        assert_eq!(replaced.replaced, Some(2));
        assert!(replaced.refuses(&[began("one")]).is_some() && replaced.refuses(&[paused("b")]).is_some());

        entries.push(chain.sealed_by(Some(sealer("one"))).seal(began("one"), &run(), 9));
        assert_eq!(read(&entries, Some("one")), Err("entry 3 is sealed with a key that was replaced before it".into()));
    }

    #[test]
    fn who_has_no_key_may_not_write_after_seals() {
        let mut chain = keyed("k");
        chain.seal(paused("a"), &run(), 7);
        let refused = chain.sealed_by(None).refuses(&[paused("b")]);
        assert_eq!(refused.map(|unsealed| unsealed.what), Some("the journal is sealed, and ISOBAR_KEY is not set"));
    }

    #[test]
    fn a_newer_schema_is_refused_whatever_it_looks_like() {
        let newer = r#"{"schema":2,"seq":1,"event":"teleported","hash":{"blake3":"…"}}"#;
        assert_eq!(Chain::empty().follow_line(newer), Err(Fault::Newer(2)));
        let mut entry = Chain::empty().seal(paused("lunch"), &run(), 7);
        entry.schema = 3;
        assert_eq!(Chain::empty().follow_line(&entry.line()), Err(Fault::Newer(3)));
    }

    #[test]
    fn what_a_wave_decides_is_about_no_single_target() {
        assert_eq!(paused("lunch").target(), None);
        assert_eq!(applied().target().map(ToString::to_string).as_deref(), Some("network@prod/eu-west-1"));
        assert_eq!(Event::Step { rollout: "r".into(), step: StepEvent::Verified { wave: 0 } }.target(), None);
    }
}
