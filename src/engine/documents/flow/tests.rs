//! Templates that print, and templates that look.

use super::*;
use crate::engine::documents::template::parse;
use crate::engine::documents::values::Mark;
use crate::stack::mark_hole;
use serde_json::json;

/// Names of the holes that `text`, with a second template of macros, looks at.
fn looked_at(text: &str) -> Vec<String> {
    let values = json!({
        "inputs": {
            "id": mark_hole("id"), "arn": format!("arn:{}", mark_hole("arn")), "known": "x",
            "subnets": [mark_hole("a"), mark_hole("b")], "zones": [{ "name": "a", "id": mark_hole("zone") }],
            "tags": { "id": mark_hole("tag") },
        },
        "vars": { "owner": "platform" },
    });
    let library = "{% macro show(x) %}<{{ x }}>{% endmacro %}{% macro choose(x) %}{% if x %}y{% endif %}{% endmacro %}\
                   {% macro wrap() %}{{ caller(inputs.id) }}{% endmacro %}";
    let (one, two) = (parse("a", text).expect("well formed"), parse("lib", library).expect("well formed"));
    let marks = inspected(&[&one, &two], &values);
    let name = |mark| match mark {
        Mark::Hole(name) => name.to_string(),
        Mark::Secret(name) => format!("secret {name}"),
    };
    marks.into_iter().map(name).collect()
}

#[test]
fn printing_looks_at_nothing() {
    for text in [
        "{{ inputs.id }} {{ inputs['arn'] }}",
        "{{ 'x-' ~ inputs.id ~ '-y' }}",
        "{% set x = inputs.id %}{{ x }}",
        "{% with x = inputs.arn %}{{ x }}{% endwith %}",
        "{% for s in inputs.subnets %}{{ s }}{% if not loop.last %},{% endif %}{% endfor %}",
        "{% for z in inputs.zones %}{% if z.name == 'a' %}{{ z.id }}{% endif %}{% endfor %}",
        "{% for k, v in inputs.tags|items %}{{ k }}={{ v }}{% endfor %}",
        "{{ inputs.subnets|join(',') }} {{ inputs.subnets[0] }} {{ inputs.subnets|length }}",
        "{{ inputs.id if inputs.known == 'x' else 'y' }}",
        "{{ inputs.id|default('none') }}{% if inputs.id is defined %}y{% endif %}",
        "{% from 'lib' import show %}{{ show(inputs.id) }}",
        "{% from 'lib' import show as s %}{{ s(inputs.id) }}",
        "{% import 'lib' as lib %}{{ lib.show(x=inputs.id) }}",
        "{% call(x) wrap() %}{{ x }}{% endcall %}",
        "{% set x %}a{{ inputs.id }}b{% endset %}{{ x }}",
        "{% for x in [inputs.id, 'b'] %}{{ x }}{% endfor %}",
        "{% if inputs.subnets %}y{% endif %}{{ vars.owner|upper }}",
        "{% set ns = namespace(last='') %}{% set ns.last = inputs.id %}{{ ns.last }}",
    ] {
        assert_eq!(looked_at(text), [""; 0], "{text}");
    }
}

#[test]
fn whatever_asks_looks_at_the_value() {
    for text in [
        "{% if inputs.id %}y{% endif %}",
        "{% if 'x' == inputs.id %}y{% endif %}",
        "{% if inputs.id in ['x'] %}y{% endif %}",
        "{{ inputs.id|upper }}",
        "{{ inputs.id + 'x' }}",
        "{{ inputs.id[0] }}{{ inputs.id.name }}",
        "{{ inputs.id[0:3] }}",
        "{% for c in inputs.id %}{{ c }}{% endfor %}",
        "{% set x = inputs.id %}{% if x == 'a' %}y{% endif %}",
        "{% set x %}{{ inputs.id }}{% endset %}{% if x == 'a' %}y{% endif %}",
        "{% filter upper %}{{ inputs.id }}{% endfilter %}",
        "{% macro m(a) %}{% set a = a %}{% if a %}{% endif %}{% endmacro %}{{ m(inputs.id) }}",
        "{% macro m(a) %}{% include 'b' %}{% endmacro %}{{ m(inputs.id) }}{{ a|upper }}",
        "{% autoescape true %}{{ inputs.id }}{% endautoescape %}",
        "{{ inputs.id or 'none' }}",
        "{{ 1 if inputs.id else 2 }}",
        "{% from 'lib' import choose %}{{ choose(inputs.id) }}",
        "{% from 'lib' import choose as c %}{{ c(inputs.id) }}",
        "{% import 'lib' as lib %}{{ lib.choose(inputs.id) }}",
        "{% from 'lib' import show %}{{ show(inputs.id)|upper }}",
        "{% call(x) wrap() %}{{ x|upper }}{% endcall %}",
        "{% macro m(a) %}{% if a == 'x' %}{% endif %}{% endmacro %}{% set f = m %}{{ f(inputs.id) }}",
        "{{ [inputs.id] }}",
        "{{ {'a': inputs.id}|tojson }}",
        "{{ vars[inputs.id] }}",
        "{{ range(inputs.id) }}",
        "{% include inputs.id %}",
        "{% if inputs.id is string %}{% endif %}",
        "{% set x %}{% block b %}{{ inputs.id }}{% endblock %}{% endset %}{{ x|upper }}",
        "{% set x = [inputs.id] %}{% for i in range(3) %}{% set x = [x] %}{% endfor %}{{ x }}",
        "{% for k in [[inputs.id]] %}{% for i in k %}{{ i|lower }}{% endfor %}{% endfor %}",
    ] {
        assert_eq!(looked_at(text), ["id"], "{text}");
    }
}

#[test]
fn a_list_that_is_printed_whole_or_sorted_is_looked_at() {
    assert_eq!(looked_at("{{ inputs.subnets }}"), ["a", "b"]);
    assert_eq!(looked_at("{{ inputs.subnets|sort|join(',') }}"), ["a", "b"]);
    assert_eq!(looked_at("{{ inputs.tags|tojson }}"), ["tag"]);
    assert_eq!(looked_at("{% for z in inputs.zones %}{{ z.id|upper }}{% endfor %}"), ["zone"]);
}

/// Draws templates by a fixed recipe: the same ones in every run.
struct Dice(u64);

impl Dice {
    fn pick<'a>(&mut self, faces: &[&'a str]) -> &'a str {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        faces[(self.0 >> 33) as usize % faces.len()]
    }

    fn expression(&mut self, depth: usize) -> String {
        let form = if depth == 0 {
            "name"
        } else {
            self.pick(&["name", "name", "name", "joined", "either", "filter", "same", "list", "call", "choice"])
        };
        let mut inner = || self.expression(depth.saturating_sub(1));
        match form {
            "joined" => format!("({} ~ {})", inner(), inner()),
            "either" => format!("({} or {})", inner(), inner()),
            "same" => format!("({} == {})", inner(), inner()),
            "list" => format!("[{}, {}]", inner(), inner()),
            "call" => format!("m({}, {})", inner(), inner()),
            "choice" => format!("({} if {} else {})", inner(), inner(), inner()),
            "filter" => {
                let base = inner();
                let filters =
                    ["upper", "default('d')", "string", "first", "length", "join('-')", "list", "trim", "last", "items"];
                format!("({base}|{})", self.pick(&filters))
            }
            _ => {
                let names = [
                    "inputs.id",
                    "inputs.list",
                    "inputs.map",
                    "inputs.map.k",
                    "inputs.list[0]",
                    "inputs.x",
                    "a",
                    "b",
                    "'s'",
                    "inputs.x",
                    "'t'",
                ];
                self.pick(&names).to_string()
            }
        }
    }

    fn statements(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..2 {
            let value = self.expression(1);
            let name = self.pick(&["a", "b"]);
            let form =
                self.pick(&["print", "print", "print", "set", "set", "if", "for", "capture", "pairs", "filter", "call", "with"]);
            let body = if depth == 0 { format!("{{{{ {name} }}}}") } else { self.statements(depth - 1) };
            text += &match form {
                "set" => format!("{{% set {name} = {value} %}}"),
                "if" => format!("{{% if {value} %}}{body}{{% endif %}}"),
                "for" => format!("{{% for {name} in {value} %}}{body}{{% endfor %}}"),
                "pairs" => format!("{{% for a, b in {value} %}}{body}{{% endfor %}}"),
                "capture" => format!("{{% set {name} %}}{body}{{% endset %}}"),
                "filter" => format!("{{% filter upper %}}{body}{{% endfilter %}}"),
                "call" => format!("{{% call(a) n({value}) %}}{body}{{% endcall %}}"),
                "with" => format!("{{% with {name} = {value} %}}{body}{{% endwith %}}"),
                _ => format!("{{{{ {value} }}}};"),
            };
        }
        text
    }
}

#[test]
fn what_only_prints_gives_the_same_text_when_the_value_is_put_in_later() {
    let given = |id: &str| json!({ "inputs": { "id": id, "list": [id, "x"], "map": { "k": id, "l": "y" }, "x": "x" } });
    let (hole, value) = (mark_hole("id"), "Some-Value");
    let (marked, plain) = (given(&hole), given(value));
    let macros = "{% macro m(a, b) %}<{{ a }}{{ b }}>{% endmacro %}{% macro n(b) %}[{{ caller(b) }}]{% endmacro %}\
                  {% set a = 'a' %}{% set b = 'b' %}";
    let mut dice = Dice(7);
    let (mut printed, mut looked) = (0, 0);
    for _ in 0..3_000 {
        let text = format!("{macros}{}", dice.statements(1));
        let Ok(template) = parse("t", &text) else { continue };
        if !inspected(&[&template], &marked).is_empty() {
            looked += 1;
            continue;
        }
        let environment = minijinja::Environment::new();
        let run = |values: &Value| environment.render_str(&text, minijinja::Value::from(minijinja::value::Serde(values))).ok();
        let (later, now) = (run(&marked).map(|text| text.replace(&hole, value)), run(&plain));
        assert_eq!(later, now, "{text}");
        printed += usize::from(now.is_some_and(|text| text.contains(value)));
    }
    assert!(printed > 100 && looked > 100, "{printed} print the value and {looked} look at it");
}
