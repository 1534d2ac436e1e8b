//! Broken definitions through the program: each mistake with its file and line, all of them at once, and never a panic.

use crate::support::{Sandbox, app};
use std::os::unix::fs::symlink;

/// What is broken, how, and what must be said: file, line and what.
const BROKEN: &[(&str, &str, &str, &str)] = &[
    (
        "an unknown region",
        "app/stack.yaml",
        "where: { region: prod/eu-wst-1 }\nDOCUMENTS",
        "app/stack.yaml:1:18: unknown region \"prod/eu-wst-1\"",
    ),
    (
        "an unknown environment",
        "app/stack.yaml",
        "where: { environment: prd }\nDOCUMENTS",
        "app/stack.yaml:1:23: unknown environment \"prd\"",
    ),
    (
        "a where that matches nothing",
        "app/stack.yaml",
        "where: { cloud: gcp, environment: prod }\nDOCUMENTS",
        "app/stack.yaml:1:",
    ),
    ("an unknown key", "app/stack.yaml", "where: all\ndepends: []\nDOCUMENTS", "app/stack.yaml:2:1: unknown key \"depends\""),
    ("a duplicate key", "app/stack.yaml", "where: all\nwhere: all\nDOCUMENTS", "app/stack.yaml:2:1:"),
    ("a wrong type", "app/stack.yaml", "where: all\ndepends_on: { a: b }\nDOCUMENTS", "app/stack.yaml:2:"),
    (
        "a journal on a branch",
        "isobar.yaml",
        "version: 1\nregions: { prod/a: {} }\njournal: git:#refs/heads/journal\n",
        "isobar.yaml:3:10: journal \"git:#refs/heads/journal\" lies below refs/heads/",
    ),
    (
        "a journal that fills a bucket",
        "isobar.yaml",
        "version: 1\nregions: { prod/a: {} }\njournal: s3://bucket\n",
        "isobar.yaml:3:10: journal \"s3://bucket\" names no prefix",
    ),
    ("no engine", "app/stack.yaml", "where: all\n", "app/stack.yaml:1:1:"),
    ("two engines", "app/stack.yaml", "where: all\ntofu: {}\nDOCUMENTS", "app/stack.yaml:"),
    ("an engine to come", "app/stack.yaml", "where: all\npulumi: { source: . }\n", "app/stack.yaml:2:1:"),
    ("an unknown dependency", "app/stack.yaml", "where: all\ndepends_on: [bse]\nDOCUMENTS", "app/stack.yaml:2:14:"),
    ("a cycle of one", "app/stack.yaml", "where: all\ndepends_on: [app]\nDOCUMENTS", "app/stack.yaml:2:14:"),
    ("an unknown var", "app/stack.yaml", "where: all\ninputs: { x: \"${{ vars.onwer }}\" }\nDOCUMENTS", "app/stack.yaml:2:15:"),
    (
        "a missing output",
        "app/stack.yaml",
        "where: all\ninputs: { x: \"${{ stacks[\\\"other\\\"].outputs.ip }}\" }\nDOCUMENTS",
        "app/stack.yaml:2:",
    ),
    (
        "an expression without an end",
        "app/stack.yaml",
        "where: all\ninputs: { x: \"${{ vars.a\" }\nDOCUMENTS",
        "app/stack.yaml:2:",
    ),
    ("a secret in the wrong place", "app/stack.yaml", "where: !secret X\nDOCUMENTS", "app/stack.yaml:1:16:"),
    ("no YAML", "app/stack.yaml", "where: [\n", "app/stack.yaml:"),
    (
        "an anchor bomb",
        "app/stack.yaml",
        "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nwhere: [*c, *c, *c, *c, *c, *c, *c, *c]\n",
        "app/stack.yaml:",
    ),
    (
        "a deep bomb",
        "app/stack.yaml",
        "where: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]\n",
        "app/stack.yaml:1:",
    ),
    (
        "a path that leaves the repository",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ../../etc, destination: \"file:./live\" }\n",
        "app/stack.yaml:2:22: source \"../../etc\" leads out of the repository",
    ),
    (
        "a destination that leaves the repository",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./templates, destination: \"file:../../live/${{ region.id }}\" }\n",
        "app/stack.yaml:2:",
    ),
    (
        "a destination in .git",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./templates, destination: \"file:.git/hooks\" }\n",
        "belongs to git",
    ),
    (
        "one destination for two targets",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./templates, destination: \"file:./live/app\" }\n",
        "app@prod/a and app@prod/b are the same thing: file:live/app",
    ),
    (
        "a source that is not there",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./tempaltes, destination: \"file:./live/${{ region.id }}\" }\n",
        "app/stack.yaml:2:22:",
    ),
    (
        "a bucket that can't be",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./templates, destination: \"s3://My_Bucket/live\" }\n",
        "app/stack.yaml:2:49: destination \"s3://My_Bucket/live\": \"My_Bucket\" can't be the name of a bucket",
    ),
    (
        "one bucket for two targets",
        "app/stack.yaml",
        "where: all\ndocuments: { source: ./templates, destination: \"az://account/container/live\" }\n",
        "are the same thing: az://account/container/live",
    ),
    (
        "a template with a syntax error",
        "app/templates/app.yaml.j2",
        "ok: 1\nbad: {{ region.name\n",
        "app/templates/app.yaml.j2:2",
    ),
    (
        "a template with an undefined value",
        "app/templates/app.yaml.j2",
        "ok: 1\nbad: {{ inputs.relicas }}\n",
        "app/templates/app.yaml.j2:2",
    ),
    (
        "a template that includes nothing",
        "app/templates/app.yaml.j2",
        "{% include \"nothing.j2\" %}\n",
        "app/templates/app.yaml.j2:1",
    ),
    (
        "a template that includes itself",
        "app/templates/app.yaml.j2",
        "ok: 1\n{% if false %}{% include \"app.yaml.j2\" %}{% endif %}\n",
        "app/templates/app.yaml.j2:2:26: app/templates/app.yaml.j2 includes itself",
    ),
    (
        "a template with an unknown filter where no region comes to it",
        "app/templates/app.yaml.j2",
        "ok: 1\n{% if false %}{{ region.name|uper }}{% endif %}\n",
        "app/templates/app.yaml.j2:2:30: unknown filter \"uper\"",
    ),
    (
        "a template with an unknown test",
        "app/templates/app.yaml.j2",
        "{% if region.name is definde %}{% endif %}\n",
        "app/templates/app.yaml.j2:1:22: unknown test \"definde\"",
    ),
    (
        "a template with an unknown function",
        "app/templates/app.yaml.j2",
        "a: {{ now() }}\n",
        "app/templates/app.yaml.j2:1:7: unknown name \"now\"",
    ),
    (
        "a template that calls a method",
        "app/templates/app.yaml.j2",
        "a: {{ region.name.upper() }}\n",
        "write it as a filter: region.name|upper",
    ),
    (
        "an output that carries a sensitive input",
        "app/stack.yaml",
        "where: all\ninputs: { pin: 1234-5678 }\nsensitive: pin\noutputs: { pin: \"x-${{ inputs.pin }}\" }\nDOCUMENTS",
        "app/stack.yaml:4:20: output \"pin\" carries the sensitive input \"pin\"",
    ),
    (
        "an output that is a secret",
        "app/stack.yaml",
        "where: all\noutputs: { pin: !secret PIN }\nDOCUMENTS",
        "app/stack.yaml:2:25: output \"pin\" carries a secret",
    ),
    ("a team of nobody", "isobar.yaml", "FLEETteams:\n  sre: []\n", "isobar.yaml:5:3: team \"sre\" has no members"),
    (
        "a slip in the label of a rule",
        "isobar.yaml",
        "version: 1\nregions: { prod/a: { labels: { tier: one } }, prod/b: {}, staging/a: {} }\npolicy:\n  - { rule: deny, message: no, when: { labels: { teir: one } } }\n",
        "isobar.yaml:4:50: unknown label \"teir\"",
    ),
    ("an unknown rule", "isobar.yaml", "FLEETpolicy:\n  - rule: aprovals\n", "isobar.yaml:5:11: unknown rule \"aprovals\""),
    ("a rule without what it needs", "isobar.yaml", "FLEETpolicy:\n  - rule: approvals\n", "isobar.yaml:5:"),
    (
        "an unknown team",
        "isobar.yaml",
        "FLEETteams: { platform: [bob] }\npolicy:\n  - { rule: approvals, require: [{ team: platfrom }] }\n",
        "isobar.yaml:6:",
    ),
    ("an empty policy", "isobar.yaml", "FLEETpolicy: []\n", "isobar.yaml:4:9: \"policy\" holds no rule"),
    ("rego", "isobar.yaml", "FLEETpolicy:\n  - rego: policy/*.rego\n", "rego policies are not in this version"),
    (
        "a freeze that ends before it begins",
        "isobar.yaml",
        "FLEETpolicy:\n  - { rule: freeze, from: 2026-12-20, to: 2026-12-01 }\n",
        "isobar.yaml:5:",
    ),
    (
        "an unknown profile",
        "isobar.yaml",
        "FLEETrollout: { prod: standrad }\n",
        "isobar.yaml:4:18: unknown rollout profile \"standrad\"",
    ),
    (
        "slots per a label of nobody",
        "isobar.yaml",
        "FLEETslots: [{ per: acount, count: 2 }]\n",
        "isobar.yaml:4:16: no region has the label \"acount\"",
    ),
    ("slots that nobody could have", "isobar.yaml", "FLEETslots: [{ per: engine, count: 0 }]\n", "isobar.yaml:4:"),
    ("slots without a number", "isobar.yaml", "FLEETslots: [{ per: engine }]\n", "isobar.yaml:4:"),
    ("a rollout of an unknown environment", "isobar.yaml", "FLEETrollout: { prd: instant }\n", "isobar.yaml:4:"),
    (
        "environments in a circle",
        "isobar.yaml",
        "FLEETrollout: { prod: { after: staging }, staging: { after: prod } }\n",
        "isobar.yaml:4:",
    ),
    (
        "a region in no wave",
        "isobar.yaml",
        "FLEETrollout: { prod: { waves: [{ name: one, regions: a }] } }\n",
        "\"prod/b\" is in no wave of prod",
    ),
    ("a gate that asks nothing", "isobar.yaml", "FLEETrollout: { prod: { gates: [{ timeout: 1s }] } }\n", "isobar.yaml:4:"),
    (
        "a weight of nothing",
        "isobar.yaml",
        "version: 1\nregions: { prod/a: { weight: 0 } }\n",
        "isobar.yaml:2:30: \"weight\" must be a whole number, at least 1, and this is 0",
    ),
    (
        "a rule that asks nobody",
        "isobar.yaml",
        "FLEETpolicy:\n  - { rule: approvals, require: [] }\n",
        "and this is an empty list",
    ),
    ("a tab", "app/stack.yaml", "where: all\n\tlabels: {}\nDOCUMENTS", "app/stack.yaml:2:"),
    (
        "one destination for two targets, in lines",
        "app/stack.yaml",
        "where: all\ndocuments:\n  source: ./templates\n  destination: file:./live/app\n",
        "app/stack.yaml:4:16: app@prod/a and app@prod/b are the same thing",
    ),
    ("a duration without a unit", "isobar.yaml", "FLEETrollout: { prod: { bake: 15 } }\n", "isobar.yaml:4:"),
    ("a fleet without regions", "isobar.yaml", "version: 1\n", "isobar.yaml:1:1: the fleet needs the key \"regions\""),
    ("a region of three dots", "isobar.yaml", "version: 1\nregions: { prod/a..b: {} }\n", "isobar.yaml:2:12:"),
    ("another version", "isobar.yaml", "version: 2\nregions: { prod/a: {} }\n", "isobar.yaml:1:10: \"version\" must be 1"),
];

const DOCUMENTS: &str = "documents: { source: ./templates, destination: \"file:./live/${{ region.id }}/app\" }\n";
const FLEET: &str = "version: 1\nregions: { prod/a: {}, prod/b: {}, staging/a: { cloud: gcp } }\njournal: file:.isobar/journal\n";

fn good() -> Sandbox {
    let fleet = app("prod/a prod/b staging/a", "");
    fleet.file("isobar.yaml", FLEET);
    fleet.stack("other", "").file("other/templates/other.txt", "other\n").commit("Other");
    fleet
}

#[test]
fn a_directory_where_a_definition_must_be_is_told_with_what_leads_on() {
    let fleet = app("prod/a", "");
    fleet.file("other/stack.yaml/text", "");
    fleet.isobar("check").ends(65).says("other/stack.yaml is a directory, and must be a file");
    fleet.remove("other").remove("isobar.yaml").file("isobar.yaml/text", "");
    for line in ["check", "doctor", "init"] {
        let ran = fleet.isobar(line).says("isobar.yaml is a directory").says("move the directory away, then isobar init");
        ran.keeps_quiet_about("isobar check reads what is there");
    }
}

#[test]
fn each_of_many_broken_definitions_is_a_clear_error_with_its_line() {
    assert!(BROKEN.len() >= 25);
    let fleet = good();
    fleet.isobar("check").ends(0);
    let mut wrong = Vec::new();
    for (what, path, text, told) in BROKEN {
        let before = std::fs::read_to_string(fleet.root().join(path)).expect("a good one");
        fleet.file(path, &text.replace("DOCUMENTS", DOCUMENTS).replace("FLEET", FLEET));
        let ran = fleet.isobar("check");
        if ran.code != 65 || !ran.stderr.contains(told) || ran.stderr.contains("panicked") {
            wrong.push(format!("{what}: wants {told:?}, ends with {}:\n{}", ran.code, ran.stderr));
        }
        fleet.file(path, &before);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    fleet.isobar("check").ends(0);
}

#[test]
fn all_mistakes_are_told_at_once_with_line_and_hint() {
    let fleet = good();
    fleet.file("isobar.yaml", &format!("{FLEET}rollout: {{ prod: standrad }}\npolicy:\n  - rule: aprovals\n"));
    fleet.file("app/templates/app.yaml.j2", "bad: {{ region.name\n");
    fleet.file("other/templates/other.txt.j2", "{{ inputs.nothing }}\n").remove("other/templates/other.txt");
    let ran = fleet.isobar("check").ends(65).says("did you mean \"approvals\"?").says("did you mean \"standard\"?");
    for place in ["isobar.yaml:4:18", "isobar.yaml:6:11", "app/templates/app.yaml.j2:1", "other/templates/other.txt.j2:1"] {
        assert!(ran.stderr.contains(place), "{place}:\n{}", ran.stderr);
    }
    assert!(ran.stderr.contains("4 mistakes in the definitions"), "{}", ran.stderr);
    let json = fleet.isobar("check --json").json();
    assert_eq!(json["mistakes"].as_array().map(Vec::len), Some(4), "{json}");
}

#[test]
fn a_journal_that_cannot_be_read_hides_no_other_mistake() {
    for journal in ["file:../../outside", "nonsense:x", "7"] {
        let fleet = good();
        fleet.edit("isobar.yaml", "file:.isobar/journal", journal).edit("isobar.yaml", "version: 1", "version: 1\npolcy: []");
        fleet.edit("app/stack.yaml", "where: all", "where: { environment: prodd }").commit("Three mistakes");
        let ran = fleet.isobar("check").ends(65).says("isobar.yaml:4:10: ").says("unknown key \"polcy\"");
        ran.says("unknown environment \"prodd\"").says("3 mistakes in the definitions");
    }
}

#[test]
fn two_stacks_with_one_name_are_one_mistake() {
    let fleet = good();
    fleet.edit("other/stack.yaml", "where: all", "name: app\nwhere: all");
    fleet.edit("app/stack.yaml", "where: all", "where: all\noutputs: { id: x }");
    fleet.stack("third", "inputs: { id: \"${{ stacks.app.outputs.id }}\" }").file("third/templates/a", "a\n").commit("Twins");
    let ran = fleet.isobar("check").ends(65).says("two stacks are named \"app\"").says("1 mistake in the definitions");
    ran.keeps_quiet_about("has no outputs there");
}

#[test]
fn a_directory_in_the_place_of_the_fleet_file_is_said_in_plain_words() {
    let fleet = good();
    fleet.remove("isobar.yaml").file("isobar.yaml/x", "x\n");
    fleet.isobar("check").ends(65).says("isobar.yaml is a directory, and must be a file");
    fleet.commit("A directory");
    fleet.isobar("check").ends(65).says("isobar.yaml is a directory, and must be a file").keeps_quiet_about("blobless");
}

#[test]
fn an_undefined_value_of_a_region_is_set_where_regions_are() {
    let fleet = good();
    fleet.file("app/templates/app.yaml.j2", "{{ region.vars.x }}\n{{ region.labels.tier }}\n{{ vars.x }}\n");
    let ran = fleet.isobar("check").ends(65).says("set it under vars of its regions in isobar.yaml");
    ran.says("add the label to its regions in isobar.yaml").says("hint: set it under vars; or say");
}

/// Mistakes of one file, and no other file's: all of them in one round, and none that only follows from another.
const AT_ONCE: &[(&str, &str, &[&str])] = &[
    (
        "app/stack.yaml",
        "where: all\nlables: {}\ndocuments: { source: ./templates, sauce: 1, destination: \"file:./live/${{ region.id }}/app\" }\ninputs: { x: 1 }\n",
        &["2:1: unknown key \"lables\"", "3:35: unknown key \"sauce\""],
    ),
    (
        "app/stack.yaml",
        "where: all\ninputs: { x: \"${{ region.vars.zz }}\" }\ndocuments: { source: ./templates, destination: \"file:../live\" }\n",
        &["2:15: undefined region.vars.zz", "3:49: destination \"file:../live\" leads out"],
    ),
    (
        "isobar.yaml",
        "FLEETfirst_apply: later\nvars: 7\nteams: { sre: [] }\nrollout: { prod: { after: stagin } }\npolicy:\n  - rule: aprovals\n  - { rule: deny, message: no, wen: {} }\n  - { rule: deny, message: no, when: { environment: prd } }\n",
        &[
            "4:14: first_apply can't be",
            "5:7: \"vars\" must be a map, and this is a number",
            "6:10: team \"sre\" has no members",
            "7:27: ",
            "9:11: unknown rule \"aprovals\"",
            "10:32: unknown key \"wen\"",
            "11:53: unknown environment \"prd\"",
        ],
    ),
];

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_none_that_only_follows() {
    for (path, text, told) in AT_ONCE {
        let fleet = good();
        fleet.file("app/templates/app.yaml.j2", "{{ inputs.x }}\n");
        fleet.file("other/stack.yaml", "where: all\ninputs: { owner: \"${{ vars.owner }}\" }\ndocuments: { source: ./templates, destination: \"file:./live/${{ region.id }}/other\" }\n");
        fleet.edit("isobar.yaml", "journal:", "vars: { owner: ann }\njournal:");
        fleet.file("app/stack.yaml", &format!("where: all\ninputs: {{ x: 1 }}\n{DOCUMENTS}"));
        fleet.isobar("check").ends(0);
        fleet.file(path, &text.replace("FLEET", FLEET));
        let ran = fleet.isobar("check").ends(65);
        for told in *told {
            assert!(ran.stderr.contains(&format!("{path}:{told}")), "{told}:\n{}", ran.stderr);
        }
        assert!(ran.stderr.contains(&format!("{} mistakes in the definitions", told.len())), "{}", ran.stderr);
    }
}

/// Files with their texts, and the places and beginnings of what is told of them.
type Told = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// Mistakes of several files: all of them in one round, and none that only follows from another.
const OF_ALL_FILES: &[Told] = &[
    // Region ids that can't be read hide neither policy nor rollout, and nothing that names them is wrong.
    (
        &[(
            "isobar.yaml",
            "version: 1\nregions: { Prod/b: { labels: { tier: one } }, staging/a: { cloud: gcp } }\nrollout: { prod: { after: stagin, profile: standrad }, staging: instnt }\npolicy:\n  - { rule: approvals, require: [{ team: x, cuont: 1 }], when: { environment: prod, region: prod/b, labels: { tier: one } } }\n  - rul: deny\n  - { rule: deny, when: { cloud: gpc, labels: { teir: one } } }\n",
        )],
        &[
            "isobar.yaml:2:12: bad region id",
            "isobar.yaml:3:27: unknown environment \"stagin\" in \"after\"",
            "isobar.yaml:3:44: unknown rollout profile \"standrad\"",
            "isobar.yaml:3:65: unknown rollout profile \"instnt\"",
            "isobar.yaml:5:45: unknown key \"cuont\"",
            "isobar.yaml:6:5: unknown key \"rul\"",
            "isobar.yaml:7:5: a policy rule needs the key \"message\"",
            "isobar.yaml:7:34: unknown cloud \"gpc\"",
            "isobar.yaml:7:49: unknown label \"teir\"",
        ],
    ),
    // A fleet file that can't be read hides nothing of sections and templates.
    (
        &[
            ("isobar.yaml", "version: 1\nregions: {\n"),
            ("app/stack.yaml", "where: all\ndocuments: { sauce: x, source: ./templates }\n"),
            ("other/templates/other.txt", "{{ region.nme }}\n"),
        ],
        &[
            "isobar.yaml:2:10: ",
            "app/stack.yaml:2:14: unknown key \"sauce\"",
            "app/stack.yaml:2:12: the documents section needs the key \"destination\"",
            "other/templates/other.txt:1:4: unknown name region.nme",
        ],
    ),
    // A name and instances that can't be read hide neither section nor templates.
    (
        &[
            (
                "app/stack.yaml",
                "name: App\nwhere: { environment: prd }\ndocuments: { source: ./templates, destination: s4://x, sauce: 1 }\n",
            ),
            ("app/templates/app.yaml.j2", "{{ region.nme }}\n{{ instance.name }}\n"),
            (
                "other/stack.yaml",
                "instances: 7\nwhere: all\ndepends_on: app\ndocuments: { source: ./templates, destination: 7 }\n",
            ),
            ("other/templates/other.txt", "{{ inputs.x }}{{ instance.name }}\n"),
        ],
        &[
            "app/stack.yaml:1:7: bad stack name",
            "app/stack.yaml:2:23: unknown environment \"prd\"",
            "app/stack.yaml:3:48: destination \"s4://x\" has no scheme we know",
            "app/stack.yaml:3:56: unknown key \"sauce\"",
            "app/templates/app.yaml.j2:1:4: unknown name region.nme",
            "app/templates/app.yaml.j2:2:4: app/stack.yaml has no instances",
            "other/stack.yaml:1:12: \"instances\" must be a map",
            "other/stack.yaml:4:48: \"destination\" must be a text",
            "other/templates/other.txt:1:4: unknown name inputs.x",
        ],
    ),
    // Inputs that can't be read make no template wrong that names one; what else is wrong in it is told.
    (
        &[
            ("app/stack.yaml", "where: all\ninputs: [x]\nDOCUMENTS"),
            ("app/templates/app.yaml.j2", "{{ inputs.x }}\n{{ vars.x | uper }}\n{% if %}\n"),
            ("app/templates/_p", "{{ region.nme }}\n"),
        ],
        &[
            "app/stack.yaml:2:9: \"inputs\" must be a map",
            "app/templates/app.yaml.j2:3:7: ",
            "app/templates/_p:1:4: unknown name region.nme",
        ],
    ),
    // What is wrong with one stack hides nothing of the targets of another.
    (
        &[
            ("app/stack.yaml", "where: all\nlables: {}\nDOCUMENTS"),
            (
                "other/stack.yaml",
                "where: all\ninputs: { x: \"${{ region.vars.y }}\" }\ndocuments: { source: ./templates, destination: \"file:./live/other\" }\n",
            ),
            ("isobar.yaml", "version: 1\nregions: { prod/a: { vars: { y: 1 } }, prod/b: {} }\n"),
            ("third/stack.yaml", "where: all\ndocuments: { source: ./templates, destination: \"file:./live/third\" }\n"),
            ("third/templates/a", "a\n"),
        ],
        &[
            "app/stack.yaml:2:1: unknown key \"lables\"",
            "other/stack.yaml:2:15: region.vars has no \"y\" in prod/b",
            "third/stack.yaml:2:49: third@prod/a and third@prod/b are the same thing",
        ],
    ),
    // A destination that leaves the repository, and one that two targets have, beside what else is wrong in their files.
    (
        &[
            (
                "app/stack.yaml",
                "where: all\nlables: {}\ninputs: { x: \"${{ vars.zz }}\" }\ndocuments: { source: ./templates, destination: \"file:../live/${{ region.id }}\" }\n",
            ),
            ("other/stack.yaml", "where: all\nwach: x\ndocuments: { source: ./templates, destination: file:./live/other }\n"),
            (
                "third/stack.yaml",
                "where: all\nwath: x\ndocuments: { source: ./templates, destination: \"file:./live/${{ region.id }}/${{ region.vars.up }}\" }\n",
            ),
            ("third/templates/a", "a\n"),
            (
                "isobar.yaml",
                "version: 1\nregions: { prod/a: { vars: { up: x } }, prod/b: { vars: { up: ../../.. } } }\ntaems: {}\n",
            ),
        ],
        &[
            "app/stack.yaml:2:1: unknown key \"lables\"",
            "app/stack.yaml:3:15: undefined vars.zz",
            "app/stack.yaml:4:49: destination \"file:../live/${{ region.id }}\" leads out",
            "isobar.yaml:3:1: unknown key \"taems\"",
            "other/stack.yaml:2:1: unknown key \"wach\"",
            "other/stack.yaml:3:48: other@prod/a and other@prod/b are the same thing",
            "third/stack.yaml:2:1: unknown key \"wath\"",
            "third/stack.yaml:3:49: destination \"file:./live/prod/b/../../..\" is the repository itself",
        ],
    ),
    // What decides where something goes may be what is misspelt: then nothing is said of where it goes.
    (
        &[
            ("isobar.yaml", "version: 1\nregions: { prod/a: {}, prod/b: { vras: { dir: b } } }\nvars: { dir: a }\n"),
            ("app/stack.yaml", "where: all\ndocuments: { source: ./templates, destination: \"file:./live/${{ vars.dir }}\" }\n"),
            (
                "other/stack.yaml",
                "nmae: x\nwhere: all\ndocuments: { source: ./templates, destination: \"file:./live/${{ stack.name }}\" }\n",
            ),
        ],
        &["isobar.yaml:2:34: unknown key \"vras\"", "other/stack.yaml:1:1: unknown key \"nmae\""],
    ),
    // What every rendering reads and some region lacks is known without rendering; what is asked for first, or in a loop, is not told.
    (
        &[
            (
                "isobar.yaml",
                "version: 1\nregions: { prod/a: { vars: { zone: a } }, prod/b: {} }\nvars: { owner: ann, net: { cidr: x } }\n",
            ),
            (
                "app/templates/app.yaml.j2",
                "{{ vars.onwer }}\n  b: {{ region.vars.zone|upper }}{% include '_p' %}\n{% if vars.size is defined %}{{ vars.size }}{% endif %}{{ vars.x|default(1) }}\n{% for one in [] %}{{ vars.y }}{% endfor %}{% include '_q' ignore missing %}\n",
            ),
            ("app/templates/_p", "{{ vars.net.cdir }}\n"),
            ("app/templates/_q", "{{ vars.q }}\n"),
            ("app/templates/_r", "{{ vars.r }}\n"),
            ("other/templates/other.txt", "{% set vars = {'x': 1} %}{{ vars.x }}\n"),
        ],
        &[
            "app/templates/_p:1:4: undefined vars.net.cdir",
            "app/templates/app.yaml.j2:1:4: undefined vars.onwer",
            "app/templates/app.yaml.j2:2:9: undefined region.vars.zone in app@prod/b",
        ],
    ),
    // Beside other mistakes too, unless one of those may be why it is missing.
    (
        &[
            ("app/stack.yaml", "where: all\nlables: {}\nDOCUMENTS"),
            ("app/templates/app.yaml.j2", "{{ vars.nope }}\n"),
            (
                "other/stack.yaml",
                "where: all\nvras: { nope: 1 }\ninpust: { nope: 1 }\ndocuments: { source: ./templates, destination: \"file:./live/${{ region.id }}/other\" }\n",
            ),
            ("other/templates/other.txt", "{{ vars.nope }}{{ inputs.nope }}\n"),
        ],
        &[
            "app/stack.yaml:2:1: unknown key \"lables\"",
            "app/templates/app.yaml.j2:1:4: undefined vars.nope",
            "other/stack.yaml:2:1: unknown key \"vras\"",
            "other/stack.yaml:3:1: unknown key \"inpust\"",
        ],
    ),
    // A file that is no YAML stands alone with that, and hides nothing of the others.
    (
        &[
            ("app/stack.yaml", "where: [\nlables: {}\n"),
            ("isobar.yaml", "version: 1\nregions: { prod/a: {}, prod/b: {} }\nrollout: { prd: instant }\n"),
            (
                "other/stack.yaml",
                "where: all\nwach: x\ndepends_on: app\ndocuments: { source: ./templates, destination: file:./live/other }\n",
            ),
            ("other/templates/other.txt", "{{ region.nme }}\n"),
        ],
        &[
            "app/stack.yaml:1:8: not readable as YAML",
            "isobar.yaml:3:12: unknown environment \"prd\"",
            "other/stack.yaml:2:1: unknown key \"wach\"",
            "other/stack.yaml:4:48: other@prod/a and other@prod/b are the same thing",
            "other/templates/other.txt:1:4: unknown name region.nme",
        ],
    ),
    // A cloud and labels that can't be read, and what names them.
    (
        &[
            (
                "isobar.yaml",
                "version: 1\nregions: { prod/a: { cloud: [aws] }, prod/b: { labels: 7, cloud: gcp }, staging/a: { cluod: x } }\nclouds: { aws: { vars: { arn: 1 } } }\npolicy:\n  - { rule: deny, message: no, when: { cloud: aws, labels: { tier: one } } }\n  - { rule: deny, mesage: no }\n",
            ),
            (
                "app/stack.yaml",
                "where: [{ cloud: aws }, { labels: { tier: one } }]\ndepends_on: other\ninputs: { x: \"${{ vars.arn }}\" }\nDOCUMENTS",
            ),
            (
                "other/stack.yaml",
                "where: { cloud: gcp }\ndocuments: { source: ./templates, destination: \"file:./live/${{ region.id }}/other\" }\n",
            ),
        ],
        &[
            "isobar.yaml:2:29: \"cloud\" must be a text",
            "isobar.yaml:2:56: \"labels\" must be a map",
            "isobar.yaml:2:86: unknown key \"cluod\"",
            "isobar.yaml:6:19: unknown key \"mesage\"",
        ],
    ),
];

#[test]
fn mistakes_of_all_files_are_told_at_once_and_none_that_only_follows() {
    for (files, told) in OF_ALL_FILES {
        let fleet = good();
        for (path, text) in *files {
            fleet.file(path, &text.replace("DOCUMENTS", DOCUMENTS));
        }
        let json = fleet.isobar("check --json").ends(65).json();
        let mistakes = json["mistakes"].as_array().expect("a list");
        let place = |mistake: &serde_json::Value| {
            format!(
                "{}:{}:{}: {}",
                mistake["file"].as_str().unwrap_or_default(),
                mistake["line"],
                mistake["column"],
                mistake["what"].as_str().unwrap_or_default()
            )
        };
        let places: Vec<String> = mistakes.iter().map(place).collect();
        for told in *told {
            assert!(places.iter().any(|place| place.starts_with(told)), "{told}:\n{places:#?}");
        }
        assert_eq!(places.len(), told.len(), "{places:#?}");
        assert!(mistakes.iter().all(|mistake| mistake["hint"].is_string()), "{mistakes:#?}");
    }
}

#[test]
fn mistakes_that_only_new_definitions_are_asked_for_are_told_with_all_others() {
    let fleet = good();
    fleet.file("isobar.yaml", &format!("{FLEET}teams: {{ sre: [] }}\npolicy:\n  - rule: aprovals\n"));
    fleet.file("app/templates/app.yaml.j2", "bad: {{ region.name\n");
    fleet.file("other/templates/other.txt", "{{ region.name|uper }}{{ region.name|lowr }}\n");
    let ran = fleet.isobar("check").ends(65).says("5 mistakes in the definitions").says("did you mean \"lower\"?");
    for place in ["isobar.yaml:4:10", "isobar.yaml:6:11", "app/templates/app.yaml.j2:1", "other/templates/other.txt:1:16"] {
        assert!(ran.stderr.contains(place), "{place}:\n{}", ran.stderr);
    }
}

#[test]
fn what_a_rule_names_and_nobody_has_is_a_warning_and_stops_nothing() {
    let fleet = good();
    fleet.file("app/stack.yaml", &format!("where: all\nlabels: {{ exposure: internal }}\n{DOCUMENTS}"));
    let rule = |when: &str| format!("  - {{ rule: deny, message: no, when: {{ {when} }} }}\n");
    let rules = [rule("labels: { exposure: internl }"), rule("labels: { keep: \"yes\" }"), rule("stack: aps/*")].concat();
    fleet.file("isobar.yaml", &format!("{FLEET}policy:\n{rules}"));
    let ran = fleet.isobar("check").ends(0).says("no mistakes").says("did you mean \"internal\"?");
    for told in [
        "warning: isobar.yaml:5:60: no region and no stack has the label \"exposure\" with value \"internl\"",
        "warning: isobar.yaml:6:50: no region and no stack has the label \"keep\", so the rule matches nothing",
        "warning: isobar.yaml:7:47: no stack is named like \"aps/*\"",
    ] {
        assert!(ran.stderr.contains(told), "{told}:\n{}", ran.stderr);
    }
    assert_eq!(fleet.isobar("check --json").ends(0).json()["warnings"].as_array().map(Vec::len), Some(3));
    fleet.isobar("doctor").says("isobar.yaml:6: no region and no stack has the label \"keep\"");
    let fleet = fleet.env("GITHUB_ACTIONS", "true");
    fleet.isobar("check").ends(0).says("::warning file=isobar.yaml,line=5,col=60,");
}

#[test]
fn every_verb_that_reads_definitions_refuses_broken_ones() {
    let fleet = app("prod/a", "");
    fleet.file("app/stack.yaml", "where: nowhere\n").commit("Broken");
    for line in ["preview", "apply", "drift", "tick", "status", "list", "graph", "check", "why app@prod/a", "recover"] {
        let ran = fleet.isobar(line);
        assert_eq!(ran.code, 65, "{line}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("app/stack.yaml:1:8"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_symlink_out_of_the_repository_is_refused_in_the_sources() {
    let fleet = good();
    symlink("/etc/hostname", fleet.root().join("app/templates/host.txt")).expect("a link");
    fleet.commit("A link");
    fleet.isobar("check").ends(65).says("app/templates/host.txt");
    fleet.isobar("apply").ends(65);
}

#[test]
fn a_symlink_out_of_the_repository_is_not_followed_in_a_destination() {
    let fleet = app("prod/a", "");
    let outside = fleet.outside("elsewhere");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::create_dir_all(fleet.root().join("live/prod/a")).expect("a directory");
    symlink(&outside, fleet.root().join("live/prod/a/app")).expect("a link");
    fleet.isobar("apply").ends(1).says("live/prod/a/app");
    assert!(crate::support::tree(std::path::Path::new(&outside)).is_empty());
}

#[test]
fn two_stacks_of_one_name_are_a_mistake() {
    let fleet = good();
    fleet.edit("other/stack.yaml", "where: all", "name: app\nwhere: all");
    fleet.isobar("check").ends(65).says("other/stack.yaml:1:7");
}

#[test]
fn a_cycle_is_named() {
    let fleet = good();
    fleet.edit("other/stack.yaml", "where: all", "where: all\ndepends_on: [app]");
    fleet.edit("app/stack.yaml", "where: all", "where: all\ndepends_on: [other]");
    fleet.isobar("check").ends(65).says("app").says("other").says("depends_on");
}

#[test]
fn two_stacks_with_one_destination_are_a_mistake() {
    let fleet = good();
    fleet.edit("other/stack.yaml", "}}/other", "}}/app");
    fleet.isobar("check").ends(65).says("are the same thing: file:live/prod/a/app");
    fleet.commit("Both");
    fleet.isobar("apply").ends(65);
    assert_eq!(fleet.live("live").len(), 0);
}

#[test]
fn a_destination_inside_another_target_or_inside_sources_is_a_mistake() {
    for (dir, told) in [
        (
            "./live/prod/a/app/conf.d",
            "the destination of other@staging/a, live/prod/a/app/conf.d, lies inside live/prod/a/app, the destination of app@prod/a",
        ),
        (
            "./live/prod",
            "the destination of app@prod/a, live/prod/a/app, lies inside live/prod, the destination of other@staging/a",
        ),
        (
            "./app/templates/sub",
            "the destination of other@staging/a, app/templates/sub, lies in app/templates, which holds the sources of app",
        ),
        ("./app", "the destination of other@staging/a, app, holds app/templates, which is among the sources of app"),
        ("./.git/hooks", "belongs to git"),
        ("./.isobar/journal/x", "belongs to the journal"),
        ("./kept/journal/x", "the destination of other@staging/a, kept/journal/x, lies in the journal, kept/journal"),
    ] {
        let fleet = good();
        fleet.file("isobar.yaml", &FLEET.replace("file:.isobar", "file:kept"));
        fleet.file(
            "other/stack.yaml",
            &format!("where: staging/a\ndocuments:\n  source: ./templates\n  destination: file:{dir}\n")
                .replace("where: staging/a", "where: { region: staging/a }"),
        );
        fleet.commit("Inside");
        let ran = fleet.isobar("check").ends(65).says(told).says("1 mistake in the definitions");
        let place = if dir == "./live/prod" { "app/stack.yaml:" } else { "other/stack.yaml:4:" };
        assert!(ran.stderr.contains(place), "{place}:\n{}", ran.stderr);
        fleet.isobar("apply").ends(65);
        assert_eq!(fleet.live("live").len(), 0, "{dir}");
    }
}

#[test]
fn a_file_named_nearly_as_a_definition_is_a_warning() {
    let fleet = good();
    fleet.file("late/stack.yml", "where: all\n").file("isobar.yml", "version: 1\n");
    let ran =
        fleet.isobar("check").ends(0).says("warning: late/stack.yml:1:1: this file is not read").says("rename it to stack.yaml");
    assert!(ran.stderr.contains("warning: isobar.yml:1:1: this file is not read"), "{}", ran.stderr);
}

#[test]
fn a_journal_that_is_nowhere_is_a_mistake_with_its_line() {
    for place in ["s3:foo", "gs://Bucket/j", "file:../../j", "file:/etc/foo", "file:.git/x"] {
        let fleet = good();
        let before = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
        fleet.file("isobar.yaml", &before.replace("file:.isobar/journal", place));
        fleet.isobar("check").ends(65).says(&format!("isobar.yaml:3:10: journal {place:?} ")).says("hint: ");
        fleet.commit("Elsewhere");
        for verb in ["check", "status", "apply", "pause --reason x"] {
            fleet.isobar(verb).ends(65).says(&format!("isobar.yaml:3:10: journal {place:?} ")).says("1 mistake");
        }
        fleet.file("isobar.yaml", &before);
        fleet.isobar("check").ends(0);
    }
}

#[test]
fn on_github_actions_each_mistake_is_an_annotation() {
    let fleet = good().env("GITHUB_ACTIONS", "true");
    fleet.file("app/stack.yaml", "where: all\nwhat: 1\n");
    fleet.isobar("check").ends(65).says("::error file=app/stack.yaml,line=2");
}

#[test]
fn a_key_that_is_like_none_is_told_which_there_are_each_once() {
    let fleet = app("prod/a", "zzqqxx: 1");
    let ran = fleet.isobar("check").ends(65);
    let known = ran.stderr.split(" knows ").nth(1).and_then(|rest| rest.lines().next()).expect("the keys").split(", ");
    let known: Vec<&str> = known.collect();
    let distinct: std::collections::BTreeSet<&&str> = known.iter().collect();
    assert!(known.contains(&"regions") && distinct.len() == known.len(), "{known:?}");
}
