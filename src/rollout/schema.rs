//! The JSON Schema of the `rollout` section.

use serde_json::{Value, json};

/// Returns the schema of the fleet's `rollout` section.
pub fn schema() -> Value {
    json!({
        "description": "How each environment rolls out. An environment that is not named here is instant.",
        "type": "object",
        "additionalProperties": { "anyOf": [profile(), environment()] }
    })
}

fn environment() -> Value {
    let mut properties = limits();
    properties["profile"] = profile();
    properties["after"] = json!({
        "description": "Environments that must be verified first.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    properties["progress_deadline"] =
        duration("A wave must be verified within this time of its first start. No bound unless given.");
    properties["waves"] = json!({
        "description": "Waves one after another; a region goes to the first that matches it. auto: as the profile cuts them.",
        "anyOf": [{ "const": "auto" }, { "type": "array", "items": wave() }]
    });
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn wave() -> Value {
    let mut properties = limits();
    properties["name"] = json!({ "type": "string", "pattern": "^[A-Za-z0-9 _-]{1,63}$" });
    properties["regions"] = json!({
        "description": "Patterns of region names: eu-*, or prod/eu-*.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    json!({ "type": "object", "additionalProperties": false, "required": ["name", "regions"], "properties": properties })
}

fn limits() -> Value {
    json!({
        "max_parallel": share("Targets applied at once in a wave; a share rounds down, to at least one.", 1),
        "failure_tolerance": share("Targets of a wave that may fail before the rollout stops; canary and pilot always 0.", 0),
        "bake": duration("How long a verified wave is watched before the next begins."),
        "gates": { "description": "What must hold before a wave counts as verified.", "type": "array", "items": gate() }
    })
}

fn gate() -> Value {
    let timeout = duration("At most 1h; 10s for http and 5m for a command unless given.");
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{ "required": ["http"] }, { "required": ["command"] }],
        "properties": {
            "http": { "description": "A GET that must answer with a status of 200 to 299.", "type": "string", "pattern": "^https?://" },
            "command": {
                "description": "A program and its arguments; no shell. It must exit with 0.",
                "type": "array",
                "items": { "type": "string" },
                "minItems": 1
            },
            "timeout": timeout
        }
    })
}

fn profile() -> Value {
    json!({
        "description": "instant: one wave, all at once. standard: canary, pilot, early, then slices, with bakes between them.",
        "enum": ["instant", "standard"]
    })
}

fn share(about: &str, min: u32) -> Value {
    json!({
        "description": about,
        "anyOf": [{ "type": "integer", "minimum": min }, { "type": "string", "pattern": "^[0-9]{1,3}%$" }]
    })
}

fn duration(about: &str) -> Value {
    json!({ "description": about, "type": "string", "pattern": "^[0-9]+[smhd]$" })
}
