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
    properties["profile"]["default"] = json!("instant");
    properties["after"] = json!({
        "description": "Environments that must be verified first.",
        "examples": ["staging"],
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    properties["progress_deadline"] = duration(
        "A wave must be verified within this time of its first start, or of the next where it had to wait for others in between. No bound unless given.",
        "2h",
    );
    properties["waves"] = json!({
        "description": "Waves one after another; a region goes to the first that matches it. auto: as the profile cuts them.",
        "default": "auto",
        "examples": [[{ "name": "canary", "regions": ["eu-west-1"] }, { "name": "rest", "regions": ["*"] }]],
        "anyOf": [{ "const": "auto" }, { "type": "array", "items": wave() }]
    });
    json!({
        "type": "object",
        "description": "How one environment rolls out.",
        "additionalProperties": false,
        "properties": properties
    })
}

fn wave() -> Value {
    let mut properties = limits();
    properties["name"] = json!({
        "description": "Its name: letters, digits, spaces, - and _.",
        "examples": ["canary"],
        "type": "string",
        "pattern": "^[A-Za-z0-9 _-]{1,63}$"
    });
    properties["regions"] = json!({
        "description": "Patterns of region names: eu-*, or prod/eu-*.",
        "examples": ["eu-*"],
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    });
    json!({
        "type": "object",
        "description": "One wave; what it does not say is as for its environment.",
        "additionalProperties": false,
        "required": ["name", "regions"],
        "properties": properties
    })
}

fn limits() -> Value {
    json!({
        "max_parallel": share(
            "Targets applied at once in a wave; a share rounds down, to at least one. 64 for instant and 10 for standard unless given.",
            1, "25%"
        ),
        "failure_tolerance": share(
            "Targets of a wave that may fail before the rollout stops; 0 unless given, and always 0 for the standard profile's canary and pilot.",
            0, "10%"
        ),
        "bake": duration("How long a verified wave is watched before the next begins. As the profile says unless given.", "15m"),
        "gates": {
            "description": "What must hold before a wave counts as verified. None unless given.",
            "examples": [[{ "http": "https://example.com/health" }]],
            "type": "array",
            "items": gate()
        }
    })
}

fn gate() -> Value {
    let timeout = duration("At most 1h; 10s for http and 5m for a command unless given.", "30s");
    json!({
        "type": "object",
        "description": "A question that must be answered with yes: an address or a program.",
        "additionalProperties": false,
        "oneOf": [{ "required": ["http"] }, { "required": ["command"] }],
        "properties": {
            "http": {
                "description": "A GET that must answer with a status of 200 to 299.",
                "examples": ["https://example.com/health"],
                "type": "string",
                "pattern": "^https?://"
            },
            "command": {
                "description": "A program and its arguments; no shell. It must exit with 0. Runs in the root of the repository; a path of the repository, such as ./smoke-test, is the file of the commit before the change.",
                "examples": [["./smoke-test", "prod"]],
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
        "examples": ["standard"],
        "enum": ["instant", "standard"]
    })
}

fn share(about: &str, min: u32, example: &str) -> Value {
    json!({
        "description": about,
        "examples": [example],
        "anyOf": [{ "type": "integer", "minimum": min }, { "type": "string", "pattern": "^[0-9]{1,3}%$" }]
    })
}

fn duration(about: &str, example: &str) -> Value {
    json!({ "description": about, "examples": [example], "type": "string", "pattern": "^[0-9]+[smhd]$" })
}
