//! `isobar audit`: proves the journal, exports it for an auditor, begins with a key, and lets old entries go.

mod export;
mod verify;

pub use export::{Format, export};
pub use verify::verify;

use super::control::{operator, parse_time};
use super::say::count;
use super::tell;
use crate::change::{Digest, Key};
use crate::exit::{Exit, Failure};
use crate::journal::{Chain, Entry, Event, Sealer, Seals, Verb};
use crate::store::{Anchor, Unproven};
use crate::world::World;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// The key that sealed the journal before `ISOBAR_KEY` does.
const KEY_BEFORE: &str = "ISOBAR_KEY_BEFORE";

/// Audits of a journal that others write to meanwhile, before a key begins in it.
const AUDITS_MAX: u32 = 5;

/// Begins to seal the journal with `ISOBAR_KEY`: the first key of a journal without one, or the next.
pub async fn seal(world: &World, anchors: &[Anchor], as_json: bool) -> Result<Exit, Failure> {
    let Some(key) = &world.key else {
        return Err(Failure::usage("ISOBAR_KEY is not set", "export ISOBAR_KEY=\"$(openssl rand -hex 32)\" and keep it"));
    };
    for _ in 0..AUDITS_MAX {
        if let Some(exit) = seal_once(world, key, anchors, as_json).await? {
            return Ok(exit);
        }
    }
    let what = format!("others wrote to the journal {AUDITS_MAX} times while it was audited; no key began");
    Err(Failure::World(what, Some("run the same command again when no run is under way: isobar status shows who writes".into())))
}

/// The same, once; `None` when somebody wrote to the journal after the audit: nobody vouches for what was not looked at.
async fn seal_once(world: &World, key: &Key, anchors: &[Anchor], as_json: bool) -> Result<Option<Exit>, Failure> {
    let audit = world.store.audit(anchors).await?;
    if let (true, Some(Unproven { what, next })) = (audit.chain_holds, audit.unproven.first()) {
        return Err(Failure::World(format!("{what}; so no key vouches for the journal"), Some((*next).into())));
    }
    if !audit.chain_holds || audit.anchored < anchors.len() {
        let what = "the journal is not what was written, so no key may vouch for it";
        return Err(Failure::World(what.into(), Some("isobar audit verify says where, and what to do".into())));
    }
    match (audit.seals, &audit.head) {
        (Seals::Checked, _) => {
            say(world, as_json, "sealed", "ISOBAR_KEY seals this journal already");
            return Ok(Some(Exit::Clean));
        }
        (Seals::Unchecked, Some(head)) if !is_head(anchors, head) => check_key_before(world, head).await?,
        (Seals::Unchecked | Seals::None, _) => {}
    }

    let began = Event::KeyBegan { key: Sealer::of_journal(key).id().clone(), by: operator(world) };
    let at_ms = world.clock.now_ms();
    let entries = world.store.append_after(audit.head.as_ref(), vec![began], &world.run, at_ms, None).await?;
    let Some(Entry { seq, .. }) = entries.last() else { return Ok(None) };

    let what =
        format!("from entry {seq} on ISOBAR_KEY seals the journal; it vouches for the {} before", count_entries(audit.entries));
    say(world, as_json, "sealed", &what);
    world.terminal.note("set the same key for everybody who writes; previews that were shown before must be shown again");
    Ok(Some(Exit::Clean))
}

/// Somebody vouches for the newest entry itself, and so for all before it.
fn is_head(anchors: &[Anchor], (seq, hash): &(u64, Digest)) -> bool {
    anchors.iter().any(|anchor| anchor.names(*seq, hash))
}

/// The seals of the key before must be right up to the audited `head`, or what is handed over could be anything.
async fn check_key_before(world: &World, head: &(u64, Digest)) -> Result<(), Failure> {
    let refuse = |what: String| {
        let hint =
            format!("set {KEY_BEFORE} to the key that sealed it; if that is lost, vouch for the head of a report: --anchor");
        Err(Failure::World(what, Some(hint)))
    };
    let name: Arc<str> = KEY_BEFORE.into();
    let Some(before) = world.secrets([&name]).remove(&name) else {
        return refuse("the journal is sealed by another key".into());
    };
    let sealer = Sealer::of_journal(&Key::new(before.as_bytes()));
    let reading: Arc<Mutex<(Option<Chain>, Option<String>)>> = Arc::default();
    let (shared, last) = (reading.clone(), head.0);
    let take = move |entry: Entry| {
        if entry.seq > last {
            return; // written after the audit: then no key begins, and all is looked at again
        }
        let mut reading = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (chain, fault) = &mut *reading;
        let seals = if entry.seal.is_some() { Seals::Unchecked } else { Seals::None };
        let begin = || Chain::after(entry.seq - 1, entry.prev.clone(), seals).sealed_by(Some(sealer.clone()));
        let followed = chain.get_or_insert_with(begin).follow(&entry);
        *fault = fault.take().or(followed.err());
    };
    // Our own key makes the store refuse a journal that it did not seal; where that is all, every entry was handed on by then.
    let read = world.store.each(Box::new(take)).await;
    let mut reading = reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (chain, fault) = (reading.0.take(), reading.1.take());
    if let Some(fault) = fault {
        return refuse(format!("{KEY_BEFORE} did not seal the journal: {fault}"));
    }
    match (chain, read) {
        // A part of it says nothing of the rest: another key may have taken over there.
        (Some(chain), _) if (chain.seq, &chain.head) == (head.0, &head.1) => match chain.seals {
            Seals::Checked => Ok(()),
            Seals::Unchecked | Seals::None => refuse(format!("{KEY_BEFORE} did not seal the journal")),
        },
        (_, Err(error)) => Err(error.into()),
        (_, Ok(())) => {
            let what = format!("the journal was not read up to entry {}, up to which it was audited; no key began", head.0);
            Err(Failure::World(
                what,
                Some("run the same command again when no run is under way: isobar status shows who writes".into()),
            ))
        }
    }
}

/// Lets entries go that are older than `before`, where they stand in closed segments.
pub async fn compact(world: &World, before: &str, as_json: bool) -> Result<Exit, Failure> {
    let now_ms = world.clock.now_ms();
    let before_ms = parse_time(before, now_ms, false)?;
    if before_ms > now_ms {
        return Err(Failure::usage(format!("{before:?} is yet to come"), "isobar audit compact --before 365d"));
    }
    let commit = world.workspace.head().map_or_else(|_| Arc::from(""), |head| head.0);
    let first = Event::RunStarted { verb: Verb::Audit, commit, by: operator(world), pull_request: None };
    let gone = world.store.compact(before_ms, vec![first], &world.run, now_ms).await?;

    let what = match gone.segments {
        0 => "nothing to compact: only closed segments go, and the newest stays".to_string(),
        segments => format!(
            "{} up to entry {} are gone, in {} of {} bytes together; what they folded into is kept and proven",
            count_entries(gone.entries),
            gone.through,
            count(segments, "segment", "segments"),
            gone.bytes
        ),
    };
    say(world, as_json, "compacted", &what);
    Ok(Exit::Clean)
}

fn count_entries(number: u64) -> String {
    verify::count_of(number, "entry", "entries")
}

fn say(world: &World, as_json: bool, done: &str, text: &str) {
    if as_json {
        tell::json(world, "audit", json!({ "done": done, "text": text }));
    } else {
        world.terminal.say(&format!("{text}\n"));
    }
}
