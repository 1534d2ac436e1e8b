//! A checkpoint: the history up to one entry, so that a reader need not fold everything before it. Knows how it is written
//! and proven; not where it is kept.
//!
//! A checkpoint is one line of JSON, closed like an entry. It is only a shortcut: one that is missing, damaged, of another
//! [`CHECKPOINT_SCHEMA`] or without our seal is made anew from the entries. Only when those were compacted away it is what is
//! left of them; then an entry that follows names its hash.

use super::History;
use super::chain::{Chain, Seals};
use super::seal::{Sealer, close, closed, is_sealed_by};
use crate::change::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of the checkpoints we write. A later version must read those that stand for compacted entries.
pub const CHECKPOINT_SCHEMA: u32 = 6;
/// The oldest that may still stand for compacted entries. Before 2 nothing was known of how long applies take, before 3 not at which
/// head one failed: such a target is tried once more; before 4 a clean look proved nothing of outputs: who uses one is looked at once more;
/// before 5 an old name stayed beside the new one that took over what it was; before 6 the keys of entries that are gone were forgotten.
const OLDEST_SCHEMA: u32 = 1;

/// The history up to the entry `seq`, a group's last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    schema: u32,
    pub seq: u64,
    /// The hash of that entry.
    pub head: Digest,
    /// What its writer knew of the seals up to there.
    seals: Seals,
    /// The lines with which keys began, oldest first: a key that was replaced stays so when those are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Arc<str>>,
    pub history: History,
    /// The segments that were compacted away, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
}

/// What is left of a segment that was compacted away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Its first and last entry.
    pub first: u64,
    pub last: u64,
    /// The hash before its first entry, and of its last.
    pub prev: Digest,
    pub head: Digest,
    /// Its file: bytes, and what `sha256sum` prints.
    pub bytes: u64,
    pub digest: Digest,
}

/// Why a checkpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// It is not what was written, and how we know.
    #[error("{0}")]
    Broken(String),
    /// Another version wrote it, in this schema.
    #[error("it has schema {0}, and this version reads {CHECKPOINT_SCHEMA}")]
    Schema(u32),
}

/// Only its schema, so that any other version's can be told.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

impl Checkpoint {
    /// Makes the checkpoint where `chain` and `history` stand.
    pub fn of(chain: &Chain, history: History) -> Self {
        let (seq, head, keys) = (chain.seq, chain.head.clone(), chain.keys().to_vec());
        Self { schema: CHECKPOINT_SCHEMA, seq, head, seals: chain.seals, keys, history, dropped: Vec::new() }
    }

    /// The same checkpoint, which stands for segments that are gone.
    pub fn instead_of(self, dropped: Vec<Dropped>) -> Self {
        Self { dropped, ..self }
    }

    /// Returns its text, without a line's end; sealed when there is a key.
    pub fn text(&self, sealer: Option<&Sealer>) -> String {
        let body = serde_json::to_string(self).expect("a checkpoint holds only what JSON can");
        close(body, sealer)
    }

    /// Reads a checkpoint that somebody else vouches for, by the hash that is returned with it.
    pub fn read(text: &str) -> Result<(Self, Digest), CheckpointFault> {
        let broken = |error: serde_json::Error| CheckpointFault::Broken(error.to_string());
        let hash = closed(text).map(|closed| closed.hash);
        let hash = hash.ok_or_else(|| CheckpointFault::Broken("it is not what its hash says".into()))?;
        let Versioned { schema } = serde_json::from_str(text).map_err(broken)?;
        if !(OLDEST_SCHEMA..=CHECKPOINT_SCHEMA).contains(&schema) {
            return Err(CheckpointFault::Schema(schema));
        }
        let read: Self = serde_json::from_str(text).map_err(broken)?;
        match read.history.head() {
            Some(head) if head == (read.seq, &read.head) => Ok((read, hash)),
            Some(_) | None => Err(CheckpointFault::Broken("its history stands elsewhere".into())),
        }
    }

    /// Reads a checkpoint that vouches for itself: by our seal when we have a key.
    pub fn read_sealed(text: &str, sealer: Option<&Sealer>) -> Result<Self, CheckpointFault> {
        let (read, _) = Self::read(text)?;
        match sealer {
            _ if read.schema != CHECKPOINT_SCHEMA => Err(CheckpointFault::Schema(read.schema)), // it can be made anew
            Some(sealer) if !is_sealed_by(text, sealer) => Err(CheckpointFault::Broken("ISOBAR_KEY did not seal it".into())),
            Some(_) | None => Ok(read),
        }
    }

    /// Says whether it is what stands at the end of `chain`, which folds into `history`, after `dropped` was compacted away. Whose
    /// seals they are only their key can tell; that there are any, everybody.
    pub fn is_of(&self, chain: &Chain, history: &History, dropped: &[Dropped]) -> bool {
        let is_after = self.dropped.starts_with(dropped) || dropped.starts_with(&self.dropped); // it is older, or younger
        let is_sealed = |seals: Seals| seals != Seals::None;
        (self.seq, &self.head, &*self.keys) == (chain.seq, &chain.head, chain.keys())
            && is_sealed(self.seals) == is_sealed(chain.seals)
            && is_after
            && json(&self.history) == json(history)
    }

    /// Returns the chain that the next entry must follow.
    pub fn chain(&self, sealer: Option<Sealer>) -> Chain {
        let seals = match (self.seals, &sealer) {
            (Seals::Checked, None) => Seals::Unchecked, // by a key that we do not have
            (seals, _) => seals,
        };
        Chain::after(self.seq, self.head.clone(), seals).with_keys(self.keys.clone()).sealed_by(sealer)
    }
}

fn json(history: &History) -> String {
    serde_json::to_string(history).expect("a history holds only what JSON can")
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{Chance, assert_same, events};
    use super::*;
    use crate::change::Key;
    use crate::journal::{Entry, Event};
    use crate::review::User;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn sealer(key: &str) -> Sealer {
        Sealer::of_journal(&Key::new(key.as_bytes()))
    }

    /// Entries of a random story, and the chain after them.
    fn story(seed: u64, length: usize) -> (Vec<Entry>, Chain) {
        let (mut chain, mut chance) = (Chain::empty(), Chance(seed));
        let entries = (1..).zip(events(&mut chance, length));
        let entries = entries.map(|(at_ms, event)| chain.seal(event, &format!("run-{}", at_ms / 9).into(), at_ms));
        (entries.collect(), chain)
    }

    #[test]
    fn a_history_read_back_anywhere_and_gone_on_with_is_the_history_of_all_entries() {
        let mut open = 0;
        for seed in 1..60 {
            let (entries, _) = story(seed, 60);
            let whole = History::of(entries.clone());
            let mut chance = Chance(seed);
            let mut history = History::default();
            let mut chain = Chain::empty();
            for entry in &entries {
                history.fold(entry);
                chain.follow(entry).expect("it follows");
                if chance.below(8) == 0 {
                    let text = Checkpoint::of(&chain, history.resolved()).text(None);
                    history = Checkpoint::read(&text).expect("it was just written").0.history;
                }
            }
            open += whole.rollouts().count();
            assert_same(&history.resolved(), &whole, &format!("seed {seed}"));
        }
        assert!(open > 20, "{open} open rollouts were read back");
    }

    /// What no story says is compared as nothing with nothing: then a member that is not kept would not show above.
    #[test]
    fn the_stories_give_every_member_of_a_history_and_of_its_records_something_to_say() {
        fn note(value: &Value, path: &str, said: &mut BTreeMap<String, bool>) {
            let is_said = !matches!(value, Value::Null | Value::Bool(false)) && *value != json!(0) && *value != json!([]);
            *said.entry(path.into()).or_default() |= is_said;
        }
        let mut said = BTreeMap::new();
        for seed in 1..60 {
            let Value::Object(history) = json!(History::of(story(seed, 60).0)) else { panic!("a history is an object") };
            history.iter().for_each(|(name, value)| note(value, name, &mut said));
            for record in history["targets"].as_object().into_iter().flat_map(|targets| targets.values()) {
                record
                    .as_object()
                    .into_iter()
                    .flatten()
                    .for_each(|(name, value)| note(value, &format!("record {name}"), &mut said));
            }
        }
        said.remove("misses"); // these stories are whole
        let silent: Vec<String> = said.into_iter().filter(|(_, is_said)| !is_said).map(|(name, _)| name).collect();
        assert_eq!(silent, Vec::<String>::new());
    }

    #[test]
    fn a_checkpoint_that_was_changed_or_is_of_another_version_is_not_used() {
        let (entries, chain) = story(1, 40);
        let text = Checkpoint::of(&chain, History::of(entries)).text(None);
        assert!(Checkpoint::read(&text).is_ok());
        for at in (0..text.len()).step_by(7) {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(Checkpoint::read(&changed).is_err(), "byte {at}");
        }
        let newer = close(r#"{"schema":7,"history":"another shape"}"#, None);
        assert_eq!(Checkpoint::read(&newer).err(), Some(CheckpointFault::Schema(7)));
    }

    #[test]
    fn what_an_older_version_kept_of_compacted_entries_is_read_and_its_shortcuts_are_made_anew() {
        let (entries, chain) = story(1, 40);
        let text = Checkpoint::of(&chain, History::of(entries)).text(None);
        let mut older: Value = serde_json::from_str(&text).expect("JSON");
        let lose = |of: &mut Value, member: &str| of.as_object_mut().and_then(|object| object.remove(member)).is_some();
        assert!(lose(&mut older, "hash"));
        let history = &mut older["history"];
        let runs = history["runs"].as_array_mut().into_iter().flatten();
        assert!(runs.fold(0, |heads, run| heads + usize::from(lose(&mut run[1], "head"))) > 0);
        let records = history["targets"].as_object_mut().into_iter().flat_map(|targets| targets.values_mut());
        let failed = records.filter_map(|record| record["state"].get_mut("failed"));
        assert!(failed.fold(0, |heads, failed| heads + usize::from(lose(failed, "head"))) > 0);
        for schema in [2, 1] {
            older["schema"] = schema.into();
            assert!(schema == 2 || lose(&mut older["history"], "usual"));
            let older = close(older.to_string(), None);
            assert!(Checkpoint::read(&older).is_ok_and(|(read, _)| read.seq == chain.seq));
            assert_eq!(Checkpoint::read_sealed(&older, None).err(), Some(CheckpointFault::Schema(schema)));
        }
    }

    #[test]
    fn with_a_key_only_its_own_checkpoints_are_used() {
        let (entries, chain) = story(1, 40);
        let made = Checkpoint::of(&chain, History::of(entries));
        let ours = |text: &str| Checkpoint::read_sealed(text, Some(&sealer("k"))).is_ok();
        assert_eq!(
            [Some(sealer("k")), Some(sealer("other")), None].map(|key| ours(&made.text(key.as_ref()))),
            [true, false, false]
        );
        assert!(Checkpoint::read_sealed(&made.text(Some(&sealer("k"))), None).is_ok(), "without a key any will do");
    }

    #[test]
    fn a_key_that_was_replaced_in_entries_that_are_gone_does_not_come_back() {
        let began = |key: &str| Event::KeyBegan { key: sealer(key).id().clone(), by: User("ann".into()) };
        let (mut chain, mut entries) = (Chain::empty(), Vec::new());
        let mut write = |key: &str, event: Event| {
            chain = chain.clone().sealed_by(Some(sealer(key)));
            entries.push(chain.seal(event, &"run".into(), 7));
            (chain.clone(), entries.clone())
        };
        write("one", Event::Resumed { by: User("ann".into()) });
        write("two", began("two"));
        write("two", Event::Resumed { by: User("ann".into()) });
        let (chain, entries) = write("three", began("three"));

        let text = Checkpoint::of(&chain, History::of(entries)).text(None);
        let (read, _) = Checkpoint::read(&text).expect("it was just written");
        let known = |key: &str| read.chain(None).sealed_by(Some(sealer(key)));
        assert_eq!(["one", "two", "three", "four"].map(|key| known(key).replaced), [Some(2), Some(4), None, None]);
        let said = known("one").refuses(&[began("one")]).map(|unsealed| unsealed.what);
        assert_eq!(said, Some("another key took over the journal from ISOBAR_KEY"));
        assert_eq!(known("four").refuses(&[began("four")]), None);

        let back = known("one").seal(began("one"), &"run".into(), 8);
        let said = known("one").follow(&back);
        assert_eq!(said, Err("entry 5 is sealed with a key that was replaced before it".into()));
        assert_eq!(read.chain(Some(sealer("three"))).follow(&back), Ok(()), "whose key it is can only its holder tell");
    }

    #[test]
    fn a_checkpoint_of_elsewhere_is_none() {
        let (entries, mut chain) = story(1, 40);
        chain.seq += 1;
        assert!(Checkpoint::read(&Checkpoint::of(&chain, History::of(entries)).text(None)).is_err());
    }

    #[test]
    fn a_checkpoint_is_held_whole_against_what_was_followed() {
        let (entries, chain) = story(1, 40);
        let (keyed, history) = (chain.clone().sealed_by(Some(sealer("k"))), History::of(entries).resolved());
        let (mut sealed, mut after) = (keyed.clone(), history.clone());
        after.fold(&sealed.seal(Event::Resumed { by: User("ann".into()) }, &"run".into(), 7));
        let after = after.resolved();
        let made = Checkpoint::of(&sealed, after.clone());
        let unkeyed = made.chain(None);
        assert_eq!((sealed.seals, unkeyed.seals), (Seals::Checked, Seals::Unchecked));
        assert!(made.is_of(&sealed, &after, &[]) && made.is_of(&unkeyed, &after, &[]), "with the key, and without");

        let part = |last: u64| Dropped {
            first: 1,
            last,
            prev: chain.head.clone(),
            head: chain.head.clone(),
            bytes: 1,
            digest: chain.head.clone(),
        };
        let younger = made.clone().instead_of(vec![part(3), part(5)]);
        assert!(younger.is_of(&sealed, &after, &[part(3)]) && made.is_of(&sealed, &after, &[part(3)]));
        for (what, other) in [
            ("head", Checkpoint { head: chain.head.clone(), ..made.clone() }),
            ("seals", Checkpoint { seals: Seals::None, ..made.clone() }),
            ("keys", Checkpoint { keys: Vec::new(), ..made.clone() }),
            ("history", Checkpoint { history, ..made.clone() }),
            ("dropped", made.instead_of(vec![part(4)])),
        ] {
            assert!(!other.is_of(&sealed, &after, &[part(3)]), "{what}");
        }
    }

    /// A changed form of the history, or another fold, shows here: raise [`CHECKPOINT_SCHEMA`], then renew the digest.
    #[test]
    fn this_story_has_this_checkpoint() {
        let (entries, chain) = story(7, 60);
        let text = Checkpoint::of(&chain, History::of(entries)).text(None);
        let digest = Digest::of_bytes(text.as_bytes());
        assert_eq!((CHECKPOINT_SCHEMA, digest.short()), (6, "dcee4a3c73b2"));
    }
}
