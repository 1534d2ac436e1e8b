//! `isobar audit verify`: looks at everything that is kept of the journal, and says what is not what was written.

use crate::command::say::count;
use crate::command::tell;
use crate::exit::{Exit, Failure};
use crate::journal::Seals;
use crate::store::{Anchor, Audit, Unproven};
use crate::world::World;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub async fn verify(world: &World, anchors: &[Anchor], as_json: bool) -> Result<Exit, Failure> {
    let audit = world.store.audit(anchors).await?;

    if as_json {
        tell::json(world, "audit", to_json(&audit, &world.store.place()));
    } else {
        world.terminal.say(&text(&audit, &world.store.place(), anchors.is_empty()));
    }
    Ok(if audit.findings.is_empty() && audit.unproven.is_empty() { Exit::Clean } else { Exit::Negative })
}

fn text(audit: &Audit, place: &str, no_anchor: bool) -> String {
    let mut text = match audit.findings.len() {
        0 if audit.head.is_none() => format!("There is no entry in the journal, so there is nothing to verify: {place}\n"),
        0 if !audit.unproven.is_empty() => {
            format!("The journal is not verified, though nothing in it is known to be wrong: {place}\n")
        }
        0 => format!("The journal is what was written, as far as can be told: {place}\n"),
        found => format!(
            "{} in the journal {place}\n",
            count(found, "place is not what was written", "places are not what was written")
        ),
    };
    let proven = match &audit.head {
        Some((seq, hash)) => format!("{} up to {seq}:{hash}", count_of(audit.entries, "entry", "entries")),
        None => "no entry".into(),
    };
    let _ = writeln!(text, "  read and proven: {proven}");
    let _ = writeln!(text, "  {}", seals(audit));
    let checkpoints = count(audit.checkpoints, "checkpoint holds", "checkpoints hold");
    let previews = count(audit.previews, "set of previews", "sets of previews");
    let _ = writeln!(text, "  {checkpoints} what the entries fold into; {previews} looked at");
    match (no_anchor, audit.anchored) {
        (true, _) => text.push_str(
            "  no --anchor was given: that nothing is missing at the end is not proven; every report names the head of its time\n",
        ),
        (false, met) => {
            let _ = writeln!(text, "  {} met", count(met, "anchor was", "anchors were"));
        }
    }
    for unseen in &audit.unseen {
        let _ = writeln!(text, "  not seen: {unseen}");
    }
    for Unproven { what, next } in &audit.unproven {
        let _ = write!(text, "\n? {what}\n  next: {next}\n");
    }
    for finding in &audit.findings {
        let seq = finding.seq.map_or_else(String::new, |seq| format!(", where entry {seq} must stand"));
        let _ = write!(
            text,
            "\n✗ {}{seq}\n  {}\n  it means: {}\n  next: {}\n",
            finding.place, finding.what, finding.means, finding.next
        );
    }
    text
}

fn seals(audit: &Audit) -> String {
    let sealed = count_of(audit.sealed, "entry is sealed", "entries are sealed");
    match (audit.has_key, audit.seals, audit.sealed) {
        (true, Seals::Checked, _) => format!("{sealed}; ISOBAR_KEY sealed the newest, and so vouches for all"),
        (true, Seals::None | Seals::Unchecked, _) => format!("{sealed}, and the newest not by ISOBAR_KEY"),
        (false, _, 0) => "no entry is sealed: whoever can write here could write the whole chain anew".into(),
        (false, _, _) => format!("{sealed}, and seals were not checked: ISOBAR_KEY is not set"),
    }
}

pub(super) fn count_of(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn to_json(audit: &Audit, place: &str) -> Value {
    let findings = audit.findings.iter().map(|finding| {
        json!({
            "place": finding.place,
            "seq": finding.seq,
            "what": finding.what,
            "means": finding.means,
            "next": finding.next,
        })
    });
    let unproven = audit.unproven.iter().map(|Unproven { what, next }| json!({ "what": what, "next": next }));
    json!({
        "journal": place,
        "entries": audit.entries,
        "head": audit.head.as_ref().map(|(seq, hash)| json!({ "seq": seq, "hash": hash })),
        "seals": match audit.seals {
            Seals::None => "none",
            Seals::Unchecked => "unchecked",
            Seals::Checked => "checked",
        },
        "sealed": audit.sealed,
        "checkpoints": audit.checkpoints,
        "previews": audit.previews,
        "anchors": audit.anchored,
        "findings": findings.collect::<Vec<_>>(),
        "unproven": unproven.collect::<Vec<_>>(),
        "unseen": audit.unseen,
    })
}
