//! The JSON Schema of a line of the journal. Members are only ever added, so a reader must let unknown ones pass.

use super::entry::SCHEMA;
use serde_json::{Map, Value, json};

/// Identifies the schema of a line.
const SCHEMA_ID: &str = "urn:isobar:schema:journal:v1";

/// A member: its name (with `?` when it may be absent), its form below `$defs`, and what it says.
type Member = (&'static str, &'static str, &'static str);

/// Every event, what it says, and its members.
const EVENTS: &[(&str, &str, &[Member])] = &[
    (
        "run_started",
        "A run began to write.",
        &[
            ("verb", "verb", "The command."),
            ("commit", "text", "The head it was given."),
            ("by", "text", "Who ran it."),
            ("pull_request?", "count", "The pull request it belongs to."),
        ],
    ),
    (
        "cleared",
        "Policy cleared these changes of a target.",
        &[
            ("target", "target", "The target."),
            ("commit", "text", "The commit that is to be applied."),
            ("digest", "digest", "Of the preview."),
            ("changes", "changes", "What was cleared."),
            ("by", "people", "Who approved it."),
            ("why", "text", "Why it was cleared, in one sentence."),
            ("authority?", "text", "The commit whose policy cleared it."),
        ],
    ),
    ("planned", "A rollout begins with this plan.", &[("rollout", "rollout", "The plan, whole.")]),
    (
        "superseded",
        "The head goes on in the place of a rollout, which holds no target any more.",
        &[("rollout", "text", "The rollout."), ("commit", "text", "The head.")],
    ),
    ("step", "A step of a rollout.", &[("rollout", "text", "The rollout."), ("step", "step", "What happened in it.")]),
    (
        "applied",
        "What a finished target now owes to which commit.",
        &[
            ("target", "target", "The target."),
            ("intent", "intent", "What was wanted of it."),
            ("commit", "text", "The commit that was applied."),
            ("digest", "digest", "Of the preview that was applied."),
            ("changes", "changes", "What the engine changed."),
            ("was?", "targets", "Names that it had before; nothing is there under them any more."),
        ],
    ),
    (
        "settled",
        "Every applied target of the scope, but those behind, is what the commit says.",
        &[
            ("commit", "text", "The commit."),
            ("scope?", "targets", "Only these; all when absent."),
            ("behind?", "targets", "Those that are not."),
        ],
    ),
    ("paused", "Nothing new starts.", &[("by", "text", "Who paused."), ("reason", "text", "Why.")]),
    ("resumed", "The pause is over; what failed may be tried again.", &[("by", "text", "Who resumed.")]),
    (
        "held",
        "A region is skipped.",
        &[
            ("region", "text", "The region."),
            ("until_ms", "maybe", "Until then; until released when null."),
            ("reason", "text", "Why."),
            ("by", "text", "Who holds it."),
        ],
    ),
    ("released", "A region is skipped no more.", &[("region", "text", "The region."), ("by", "text", "Who released it.")]),
    (
        "drift_checked",
        "Reality was looked at; what is neither found nor unchecked is clean.",
        &[
            ("commit", "text", "The code it was held against."),
            ("scope?", "targets", "Only these; all when absent."),
            ("found", "found", "Targets that drifted: addresses, and how."),
            ("unchecked", "targets", "Targets that could not be looked at."),
        ],
    ),
    (
        "recovered",
        "What became of a start was answered.",
        &[
            ("target", "target", "The target."),
            ("how", "text", "How it was answered."),
            ("untouched?", "flag", "The engine had touched nothing."),
        ],
    ),
    (
        "key_began",
        "From here on this key seals every entry.",
        &[("key", "digest", "Names the key, and tells nothing else of it."), ("by", "text", "Who began with it.")],
    ),
    (
        "compacted",
        "Entries may be gone; what they folded into is kept.",
        &[
            ("through", "count", "The last of them."),
            ("head", "digest", "Its hash."),
            ("base", "digest", "The hash of what they folded into."),
        ],
    ),
    (
        "freed",
        "Somebody said that a run had ended, and took from it what it held.",
        &[("of", "text", "The run."), ("by", "text", "Who said so."), ("reason", "text", "Why.")],
    ),
    (
        "given_up",
        "Somebody said that a place of the journal is gone for good.",
        &[("place", "text", "As `journal:` named it."), ("by", "text", "Who said so."), ("reason", "text", "Why.")],
    ),
];

/// Returns the JSON Schema of a line of the journal.
pub fn schema() -> Value {
    let events = EVENTS.iter().map(|(name, about, members)| event(name, about, members));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "A line of Isobar's journal",
        "description": "The hash is over the line without the member hash; the seal over the line without seal and hash. Readers let unknown members pass.",
        "type": "object",
        "required": ["schema", "seq", "at_ms", "run", "prev", "event", "hash"],
        "properties": {
            "schema": { "const": SCHEMA, "description": "The version of this form." },
            "seq": { "type": "integer", "minimum": 1, "description": "From 1, without gaps." },
            "at_ms": { "type": "integer", "minimum": 0, "description": "Milliseconds since 1970, of the writer's clock; evidence, never order." },
            "run": { "type": "string", "description": "The run that wrote it." },
            "prev": { "$ref": "#/$defs/digest", "description": "The hash of the entry before; of the empty chain for the first." },
            "more": { "type": "integer", "minimum": 1, "description": "How many entries of its group follow." },
            "seal": { "$ref": "#/$defs/digest", "description": "HMAC-SHA256 with a key made of ISOBAR_KEY." },
            "hash": { "$ref": "#/$defs/digest", "description": "SHA-256, last in the line." },
        },
        "oneOf": events.collect::<Vec<_>>(),
        "$defs": definitions(),
    })
}

fn event(name: &str, about: &str, members: &[Member]) -> Value {
    let mut properties = Map::from_iter([("event".to_string(), json!({ "const": name }))]);
    let mut required = vec!["event"];
    for (member, form, says) in members {
        let bare = member.trim_end_matches('?');
        if bare == *member {
            required.push(bare);
        }
        properties.insert(bare.into(), json!({ "$ref": format!("#/$defs/{form}"), "description": says }));
    }
    json!({ "title": name, "description": about, "required": required, "properties": properties })
}

fn definitions() -> Value {
    let digest = json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
    let target = json!({ "type": "string", "pattern": "^[^@]+@[^@]+$" });
    let list = |of: &str| json!({ "type": "array", "items": { "$ref": format!("#/$defs/{of}") } });
    let step = |name: &str, members: &[&str]| {
        let required: Vec<&str> = ["step"].iter().chain(members).copied().collect();
        json!({ "required": required, "properties": { "step": { "const": name } } })
    };
    json!({
        "text": { "type": "string" },
        "count": { "type": "integer", "minimum": 0 },
        "maybe": { "type": ["integer", "null"] },
        "flag": { "type": "boolean" },
        "digest": digest,
        "target": target,
        "targets": list("target"),
        "people": list("text"),
        "intent": { "enum": ["converge", "destroy"] },
        "verb": { "enum": ["apply", "tick", "drift", "recover", "pause", "resume", "hold", "audit"] },
        "changes": list("change"),
        "change": {
            "type": "object",
            "required": ["address", "kind", "action"],
            "properties": {
                "address": { "type": "string", "description": "The resource within its target." },
                "kind": { "type": "string", "description": "The resource's type." },
                "action": { "enum": ["create", "update", "replace", "delete", "read", "move"] },
                "before": { "$ref": "#/$defs/digest" },
                "after": { "$ref": "#/$defs/digest" },
                "holes": list("text"),
            },
        },
        "found": {
            "type": "array",
            "items": { "type": "array", "prefixItems": [
                { "$ref": "#/$defs/target" },
                { "type": "array", "items": { "type": "array", "prefixItems": [
                    { "type": "string" },
                    { "enum": ["out_of_band", "missing", "unmanaged", "unapplied_commit", "not_checked"] },
                ] } },
            ] },
        },
        "rollout": {
            "type": "object",
            "required": ["id", "commit", "waves"],
            "properties": {
                "id": { "type": "string" },
                "commit": { "type": "string", "description": "The commit it brings." },
                "waves": list("wave"),
                "whole": { "type": "object", "description": "How much the whole change was, where a rule counts it." },
                "beside": list("target"),
            },
        },
        "wave": {
            "type": "object",
            "required": ["name", "environment", "after", "targets", "max_parallel", "failure_tolerance", "gates", "bake_secs", "progress_deadline_secs"],
            "properties": {
                "name": { "type": "string" },
                "environment": { "type": "string" },
                "after": { "type": "array", "items": { "type": "integer", "minimum": 0 }, "description": "Waves that come first, counted from 0." },
                "targets": list("planned"),
                "max_parallel": { "type": "integer", "minimum": 0 },
                "failure_tolerance": { "type": "integer", "minimum": 0 },
                "gates": { "type": "array", "items": { "type": "object", "required": ["kind"] } },
                "bake_secs": { "type": "integer", "minimum": 0 },
                "progress_deadline_secs": { "$ref": "#/$defs/maybe" },
                "unproven": {
                    "type": "boolean",
                    "description": "An earlier rollout brought targets of it and proved none of it: gates and bake are due though nothing starts.",
                },
            },
        },
        "planned": {
            "type": "object",
            "required": ["target", "intent"],
            "properties": {
                "target": { "$ref": "#/$defs/target" },
                "intent": { "$ref": "#/$defs/intent" },
                "after": list("target"),
            },
        },
        "step": {
            "type": "object",
            "oneOf": [
                step("started", &["target"]),
                step("finished", &["target", "outcome"]),
                step("gate_passed", &["wave", "gate"]),
                step("gate_failed", &["wave", "gate", "why"]),
                step("verified", &["wave"]),
                step("stopped", &["why"]),
                step("resumed", &[]),
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::{Chance, events};
    use super::super::{Chain, Event, Sealer};
    use super::*;
    use crate::change::Key;
    use crate::review::User;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_keeps_to_the_schema_and_every_event_is_in_it() {
        let validator = jsonschema::validator_for(&schema()).expect("the schema is one");
        let all = events(&mut Chance(5), 1_000);
        let mut chain = Chain::empty().sealed_by(Some(Sealer::of_journal(&Key::new(b"k"))));
        let mut met = BTreeSet::new();
        for entry in chain.seal_group(all, &"run".into(), 7) {
            let line: Value = serde_json::from_str(&entry.line()).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&line).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{line}: {errors:?}");
            met.extend(line["event"].as_str().map(String::from));
        }
        let told: BTreeSet<String> = EVENTS.iter().map(|(name, ..)| name.to_string()).collect();
        assert_eq!(met, told);
    }

    #[test]
    fn every_member_of_a_plan_is_in_the_schema() {
        let schema = schema();
        let form = |name: &str| &schema["$defs"][name];
        let mut met: BTreeSet<String> = BTreeSet::new();
        let mut hold = |said: &Value, form: &Value| {
            for (member, _) in said.as_object().into_iter().flatten() {
                assert!(form["properties"].get(member).is_some(), "{member} is in no schema: {said}");
                met.insert(member.clone());
            }
        };
        for event in events(&mut Chance(5), 1_000) {
            let said = json!(event);
            hold(&said["rollout"], form("rollout"));
            for said in said["rollout"]["waves"].as_array().into_iter().flatten() {
                hold(said, form("wave"));
                said["targets"].as_array().into_iter().flatten().for_each(|said| hold(said, form("planned")));
            }
        }
        assert!(met.contains("unproven") && met.contains("beside"), "{met:?}");
    }

    #[test]
    fn what_is_no_line_does_not_keep_to_it() {
        let validator = jsonschema::validator_for(&schema()).expect("the schema is one");
        let entry = Chain::empty().seal(Event::Resumed { by: User("ann".into()) }, &"run".into(), 7);
        let line: Value = serde_json::from_str(&entry.line()).expect("JSON");
        for (member, value) in [("hash", json!("abc")), ("event", json!("unheard_of")), ("by", json!(3)), ("schema", json!(2))] {
            let mut changed = line.clone();
            changed[member] = value;
            assert!(!validator.is_valid(&changed), "{member}");
        }
        assert!(validator.is_valid(&line));
    }
}
