//! `isobar schema`: the JSON Schemas of the definitions and of `--json`.

use crate::bucket::Buckets;
use crate::exit::Failure;
use crate::stack::Parts;
use serde_json::Value;

/// Which schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// `isobar.yaml`.
    Fleet,
    /// `stack.yaml`.
    Stack,
    /// What `--json` prints.
    Report,
    /// A line of the journal.
    Journal,
}

/// Returns a schema, complete with the sections of every engine.
pub fn schema(which: Which) -> Result<Value, Failure> {
    let engines = crate::engine::all(&Buckets::default());
    let engines: Vec<(&str, Value)> = engines.iter().map(|engine| (engine.name(), engine.schema())).collect();
    let (policy, rollout) = (crate::policy::schema(), crate::rollout::schema());
    let parts =
        Parts { engines: &engines, policy: Some(policy), rollout: Some(rollout), slots: Some(crate::rollout::slots_schema()) };
    let found = match which {
        Which::Fleet => crate::stack::json_schema("isobar", &parts),
        Which::Stack => crate::stack::json_schema("stack", &parts),
        Which::Report => Some(crate::report::json_schema()),
        Which::Journal => Some(crate::journal::schema()),
    };
    found.ok_or_else(|| Failure::World("no such schema".into(), None))
}
