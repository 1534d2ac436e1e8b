//! The JSON Schemas of `isobar.yaml` and `stack.yaml`, for editors and for the docs. A test holds them to the keys that the
//! readers know.

use super::definition::ENGINES;
use super::name::PART_MAX;
use serde_json::{Map, Value, json};

/// What other rooms know of their own sections.
#[derive(Clone, Debug, Default)]
pub struct Parts<'a> {
    /// Name and schema of each engine at hand.
    pub engines: &'a [(&'a str, Value)],
    pub policy: Option<Value>,
    pub rollout: Option<Value>,
    pub slots: Option<Value>,
}

/// Returns the schema of `file`: `isobar` or `stack`.
pub fn json_schema(file: &str, parts: &Parts<'_>) -> Option<Value> {
    match file {
        "isobar" => Some(fleet(parts)),
        "stack" => Some(stack(parts)),
        _ => None,
    }
}

fn fleet(parts: &Parts<'_>) -> Value {
    let unread = |schema: &Option<Value>| schema.clone().unwrap_or(json!({}));
    let keys = [
        ("version", such_as(json!(1), about("Version of this file's form.", json!({ "const": 1 })))),
        (
            "regions",
            such_as(
                json!({ "prod/eu-west-1": { "cloud": "aws", "weight": 3 } }),
                about("Every region of the fleet, by id.", by_name(&region_id(), region())),
            ),
        ),
        ("vars", such_as(json!({ "owner": "platform" }), vars("Values for every target; the lowest layer."))),
        (
            "environments",
            such_as(
                json!({ "prod": { "vars": { "replicas": 3 } } }),
                about("Vars of all regions of an environment (the first part of a region's id).", map_of(layer())),
            ),
        ),
        (
            "clouds",
            such_as(
                json!({ "aws": { "vars": { "storage_class": "gp3" } } }),
                about("Vars of all regions of a cloud.", map_of(layer())),
            ),
        ),
        (
            "teams",
            such_as(
                json!({ "platform": ["ada", "grace"], "sre": "@acme/site-reliability" }),
                about("Logins by team, or a team that GitHub keeps; the policy counts them.", map_of(texts())),
            ),
        ),
        (
            "first_apply",
            such_as(
                json!("covered"),
                or_else(
                    json!("waits"),
                    about(
                        "A new target that can only be previewed once what it needs was applied: it then waits for an approval of \
                         its own, or the approval of the preview that named it counts, as long as it only creates.",
                        json!({ "enum": ["waits", "covered"] }),
                    ),
                ),
            ),
        ),
        (
            "direct_push",
            such_as(
                json!("allow"),
                or_else(
                    json!("deny"),
                    about(
                        "On GitHub, a commit that no pull request brought: somebody has to approve what it does, whatever the policy asks \
                         for, or the policy decides alone.",
                        json!({ "enum": ["deny", "allow"] }),
                    ),
                ),
            ),
        ),
        ("policy", about("Rules that decide who must approve what.", unread(&parts.policy))),
        ("rollout", about("In what order and how fast each environment is applied.", unread(&parts.rollout))),
        ("slots", about("How many targets may be in flight at once that share something.", unread(&parts.slots))),
        (
            "journal",
            such_as(
                json!("file:.isobar/journal"),
                or_else(
                    json!("file:.isobar/journal"),
                    about(
                        "Where history lives: file:DIR, from the root of the repository; git, a ref of origin, or git:REPOSITORY#REF; \
                         s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://ACCOUNT/CONTAINER/PREFIX.",
                        json!({ "type": "string", "minLength": 1 }),
                    ),
                ),
            ),
        ),
    ];
    document("isobar.yaml", "The fleet: regions, layers of vars, policy, rollout and journal.", keys, &["version", "regions"])
}

fn region() -> Value {
    let keys = [
        ("cloud", such_as(json!("aws"), about("The cloud it is in.", json!({ "type": "string" })))),
        ("labels", such_as(json!({ "tier": "one" }), labels("Labels that `where`, policy and selectors can choose by."))),
        (
            "weight",
            such_as(
                json!(5),
                or_else(
                    json!(1),
                    about("Its share of traffic, or of what breaks with it.", json!({ "type": "integer", "minimum": 1 })),
                ),
            ),
        ),
        (
            "vars",
            such_as(json!({ "cidr": "10.1.0.0/16" }), vars("Values of this region, read as region.vars and as a layer of vars.")),
        ),
    ];
    or_null(object("A region: environment/name, or environment/name/cell.", keys, &[]))
}

fn layer() -> Value {
    or_null(object("What its regions share.", [("vars", such_as(json!({ "replicas": 3 }), vars("A layer of vars.")))], &[]))
}

fn stack(parts: &Parts<'_>) -> Value {
    let mut keys = vec![
        (
            "name",
            such_as(
                json!("apps/api"),
                about("Its name; the directory's path from the root unless said otherwise.", stack_name()),
            ),
        ),
        (
            "where",
            such_as(
                json!({ "environment": "prod", "labels": { "tier": ["one", "two"] } }),
                about("In which regions it runs: all, or what a region must match.", wanted()),
            ),
        ),
        (
            "depends_on",
            such_as(
                json!(["base", { "stack": "dns", "region": "prod/global" }]),
                about("Stacks that are applied before it. A use of an output implies it.", one_or_many(dependency())),
            ),
        ),
        (
            "was",
            such_as(
                json!("net"),
                about("Names it had before; their targets are taken over, not destroyed.", one_or_many(stack_name())),
            ),
        ),
        (
            "inputs",
            such_as(
                json!({ "cidr": "${{ region.vars.cidr }}" }),
                about("What the engine is given; values may hold ${{ … }}.", map_of(json!({}))),
            ),
        ),
        ("sensitive", such_as(json!(["password"]), about("Inputs that are never shown.", texts()))),
        (
            "outputs",
            such_as(
                json!({ "id": "${{ region.name }}-net" }),
                about("What other stacks may use: an expression, or a map that the engine understands.", map_of(json!({}))),
            ),
        ),
        (
            "watch",
            such_as(
                json!(["shared/*.yaml"]),
                about("Globs from the root of the repository whose files touch this stack too.", texts()),
            ),
        ),
        ("labels", such_as(json!({ "exposure": "public" }), labels("Labels that policy and selectors can choose by."))),
        (
            "instances",
            such_as(
                json!({ "acme": { "vars": { "size": "large" } }, "globex": null }),
                about(
                    "The stacks that it stands for, each named after it, such as tenants/acme.",
                    by_name(&instance_name(), instance()),
                ),
            ),
        ),
        ("vars", such_as(json!({ "replicas": 5 }), vars("Values of this stack; only an instance's win over them."))),
    ];
    for engine in ENGINES {
        let known = parts.engines.iter().find(|(name, _)| *name == engine);
        let section = match known {
            Some((_, schema)) => schema.clone(),
            None => json!({ "not": {} }),
        };
        let said = match known {
            Some(_) => format!("The section of the engine {engine}."),
            None => format!("The engine {engine} is not built into this version."),
        };
        keys.push((engine, about(&said, section)));
    }
    let mut schema = document("stack.yaml", "One stack and the regions it runs in.", keys, &["where"]);
    schema["oneOf"] = ENGINES.iter().map(|engine| json!({ "required": [engine] })).collect();
    schema
}

fn instance() -> Value {
    let keys = [
        ("vars", such_as(json!({ "size": "large" }), vars("Values of this instance; the highest layer."))),
        (
            "where",
            such_as(
                json!({ "region": "prod/eu-*" }),
                about("In which of the stack's regions it runs; all unless said.", wanted()),
            ),
        ),
        (
            "was",
            such_as(
                json!("tenants/acme-inc"),
                about(
                    "Full names of stacks that it was before; their targets are taken over, not destroyed.",
                    one_or_many(stack_name()),
                ),
            ),
        ),
    ];
    or_null(object("One of the stacks that a definition stands for.", keys, &[]))
}

fn wanted() -> Value {
    let keys = [
        ("environment", such_as(json!(["staging", "prod"]), about("Environments.", texts()))),
        ("region", such_as(json!("prod/eu-*"), about("Region ids; * stands for any characters.", texts()))),
        ("cloud", such_as(json!("aws"), about("Clouds.", texts()))),
        (
            "labels",
            such_as(
                json!({ "tier": "one" }),
                about("Labels of the region, each with a value or a list of values.", map_of(texts())),
            ),
        ),
    ];
    let mut term = object("Keys are and, lists are or.", keys, &[]);
    term["minProperties"] = json!(1);
    json!({ "anyOf": [{ "const": "all" }, term, { "type": "array", "items": term, "minItems": 1 }] })
}

fn dependency() -> Value {
    let keys = [
        ("stack", such_as(json!("dns"), about("Its name.", stack_name()))),
        (
            "region",
            such_as(json!("prod/global"), about("The region it is met in; the same one unless said otherwise.", region_id())),
        ),
    ];
    json!({ "anyOf": [{ "type": "string" }, object("A stack in a named region.", keys, &["stack"])] })
}

fn stack_name() -> Value {
    let part = name_part();
    json!({ "type": "string", "pattern": format!("^{part}(/{part})*$") })
}

fn region_id() -> Value {
    let part = name_part();
    json!({ "type": "string", "pattern": format!("^{part}/{part}(/{part})?$") })
}

fn instance_name() -> Value {
    json!({ "type": "string", "pattern": format!("^{}$", name_part()) })
}

fn name_part() -> String {
    format!("[a-z0-9][a-z0-9_-]{{0,{}}}", PART_MAX - 1)
}

fn labels(said: &str) -> Value {
    about(said, map_of(json!({ "type": "string" })))
}

fn vars(said: &str) -> Value {
    about(said, json!({ "type": ["object", "null"] }))
}

fn texts() -> Value {
    one_or_many(json!({ "type": "string" }))
}

fn one_or_many(item: Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

fn map_of(value: Value) -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": value })
}

fn by_name(name: &Value, value: Value) -> Value {
    json!({ "type": "object", "propertyNames": name, "additionalProperties": value, "minProperties": 1 })
}

fn or_null(mut object: Value) -> Value {
    object["type"] = json!(["object", "null"]);
    object
}

fn about(said: &str, mut schema: Value) -> Value {
    if schema.get("description").is_none() {
        schema["description"] = json!(said); // a room's own words for its section stay
    }
    schema
}

/// Adds an example, for the docs and for editors.
fn such_as(example: Value, mut schema: Value) -> Value {
    schema["examples"] = json!([example]);
    schema
}

/// Adds what holds where nothing is written.
fn or_else(default: Value, mut schema: Value) -> Value {
    schema["default"] = default;
    schema
}

fn object(said: &str, keys: impl IntoIterator<Item = (&'static str, Value)>, required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.into_iter().map(|(key, schema)| (key.into(), schema)).collect();
    json!({
        "type": "object",
        "description": said,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn document(title: &str, said: &str, keys: impl IntoIterator<Item = (&'static str, Value)>, required: &[&str]) -> Value {
    let mut schema = object(said, keys, required);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

#[cfg(test)]
mod tests {
    use super::super::{Listing, Mistakes, Node, draft, fleet_file, instance, place::Where};
    use super::*;
    use std::collections::BTreeSet;

    fn schema(file: &str) -> Value {
        let engines = [("documents", json!({ "type": "object" }))];
        json_schema(file, &Parts { engines: &engines, policy: None, rollout: None, slots: None }).expect("one of the two files")
    }

    /// Asks a reader which keys it knows, by giving it one that it can't know.
    fn known_to(text: &str, read: impl Fn(&Node, &mut Mistakes)) -> BTreeSet<String> {
        let mut mistakes = Mistakes::default();
        let node = Node::parse("a.yaml", text.as_bytes(), &mut mistakes).expect("valid YAML");
        read(&node, &mut mistakes);
        let asked = mistakes.iter().find(|mistake| mistake.what.contains("zzzzzzzzzzzz")).expect("an unknown key");
        let (_, keys) = asked.hint.as_deref().and_then(|hint| hint.split_once(" knows ")).expect("the known keys");
        keys.split(", ").map(Into::into).collect()
    }

    fn keys_at(schema: &Value, pointer: &str) -> BTreeSet<String> {
        let properties = schema.pointer(pointer).and_then(Value::as_object).expect(pointer);
        assert!(properties.values().all(|key| key["description"].is_string()), "{pointer} lacks a description");
        properties.keys().cloned().collect()
    }

    #[test]
    fn the_schemas_have_the_keys_that_the_readers_know() {
        let fleet = |node: &Node, mistakes: &mut Mistakes| drop(fleet_file::read(node, &Listing::default(), mistakes));
        let stack = |node: &Node, mistakes: &mut Mistakes| {
            drop(draft::read("a", node, mistakes).map(|draft| instance::stacks_of(draft, mistakes)));
        };
        let wanted = |node: &Node, mistakes: &mut Mistakes| drop(Where::read(node, mistakes));

        let isobar = schema("isobar");
        assert_eq!(keys_at(&isobar, "/properties"), known_to("zzzzzzzzzzzz: 1", fleet));
        let region = "/properties/regions/additionalProperties/properties";
        assert_eq!(keys_at(&isobar, region), known_to("regions: {a/b: {zzzzzzzzzzzz: 1}}", fleet));
        for layer in ["environments", "clouds"] {
            let pointer = format!("/properties/{layer}/additionalProperties/properties");
            assert_eq!(keys_at(&isobar, &pointer), known_to(&format!("{layer}: {{a: {{zzzzzzzzzzzz: 1}}}}"), fleet));
        }

        let file = schema("stack");
        assert_eq!(keys_at(&file, "/properties"), known_to("zzzzzzzzzzzz: 1", stack));
        assert_eq!(keys_at(&file, "/properties/where/anyOf/1/properties"), known_to("zzzzzzzzzzzz: 1", wanted));
        let instance = "/properties/instances/additionalProperties/properties";
        assert_eq!(keys_at(&file, instance), known_to("instances: {a: {zzzzzzzzzzzz: 1}}", stack));
        let dependency = "/properties/depends_on/anyOf/0/anyOf/1/properties";
        assert_eq!(keys_at(&file, dependency), known_to("depends_on: {zzzzzzzzzzzz: 1}", stack));
    }

    #[test]
    fn the_example_of_the_readme_passes_and_a_slip_does_not() {
        let check = |file: &str, text: &str| {
            let node = Node::parse("a.yaml", text.as_bytes(), &mut Mistakes::default()).expect("valid YAML");
            let validator = jsonschema::validator_for(&schema(file)).expect("a valid schema");
            validator.iter_errors(&node.to_value()).map(|error| error.to_string()).collect::<Vec<_>>()
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(
            check("isobar", "version: 1\nregions: {prod/eu: {cloud: aws, weight: 5}, dev/eu: }\nteams: {ops: [ann]}"),
            none
        );
        assert_eq!(check("stack", "where: [{environment: prod}]\ndepends_on: [a, {stack: b, region: c/d}]\ndocuments: {}"), none);
        assert_eq!(
            check("stack", "where: all\ninstances: {acme: {vars: {size: 1}, where: {cloud: aws}}, globex: }\ndocuments: {}"),
            none
        );
        assert_eq!(check("isobar", "version: 1\nregions: {Prod: {}}").len(), 1);
        assert_eq!(check("stack", "where: all\nwach: x\ndocuments: {}").len(), 1);
        assert_eq!(check("stack", "where: all\ninstances: {a/b: }\ndocuments: {}").len(), 1);
        assert_eq!(check("stack", "where: all").len(), 1);
    }

    #[test]
    fn another_file_has_no_schema() {
        assert_eq!(json_schema("fleet", &Parts::default()), None);
    }
}
