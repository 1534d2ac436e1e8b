//! The command line: selectors, JSON on every verb, exit codes, schemas, completions and man pages.

use crate::support::{APPROVALS, Sandbox, app, fixtures};
use serde_json::Value;

/// The schema that `isobar schema` prints.
fn schema(which: &str) -> jsonschema::Validator {
    let text = Sandbox::empty().isobar(&format!("schema {which}")).ends(0).stdout;
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    jsonschema::validator_for(&schema).expect("a schema is one")
}

#[track_caller]
fn keeps_to(validator: &jsonschema::Validator, json: &Value, what: &str) {
    let errors: Vec<String> = validator.iter_errors(json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{json}");
}

#[test]
fn what_json_prints_keeps_to_the_published_schema() {
    let report = schema("report");
    let fleet = app("prod/a prod/b", APPROVALS);
    for line in ["preview", "judge", "apply", "tick", "status", "recover", "drift", "preview app@prod/a", "apply --region prod/b"]
    {
        keeps_to(&report, &fleet.isobar(&format!("{line} --json")).json(), line);
    }
    fleet.isobar("preview");
    fleet.isobar("apply --review bob=approve").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").remove("live/prod/b/app/app.yaml");
    for line in ["drift", "status", "drift --fix", "apply", "preview --all", "tick"] {
        keeps_to(&report, &fleet.isobar(&format!("{line} --json")).json(), line);
    }
}

#[test]
fn every_other_verb_prints_one_line_of_json() {
    let fleet = app("prod/a prod/b", "");
    let lines = [
        "list --json",
        "list --changed --json",
        "graph --json",
        "matrix --json",
        "why app@prod/a --json",
        "check --json",
        "doctor --json",
        "pause --reason x --json",
        "resume --json",
        "hold prod/a --reason x --json",
        "hold prod/a --release --json",
    ];
    for line in lines {
        let ran = fleet.isobar(line);
        assert!(ran.json().is_object() && ran.stdout.lines().count() == 1, "{line}: {}", ran.stdout);
    }
}

#[test]
fn every_json_names_its_form_in_one_style() {
    let fleet = app("prod/a prod/b", "");
    let forms = [
        ("preview", "report"),
        ("status", "report"),
        ("list", "list"),
        ("graph", "graph"),
        ("matrix", "matrix"),
        ("why app@prod/a", "why"),
        ("check", "check"),
        ("doctor", "doctor"),
        ("pause --reason x", "control"),
        ("resume", "control"),
        ("hold prod/a --reason x", "control"),
    ];
    let pages = fleet.root().join(".isobar/man");
    let man = format!("man {}", pages.display());
    let alone = [(man.as_str(), "man"), ("demo --into .isobar/demo", "demo")];
    let docs = include_str!("../../docs/commands.md");
    for (line, form) in forms.into_iter().chain(alone) {
        let id = format!("urn:isobar:schema:{form}:v1");
        assert_eq!(fleet.isobar(&format!("{line} --json")).json()["schema"], id.as_str(), "{line}");
        assert!(docs.contains(&format!("`{id}`")), "{id}");
    }
}

#[test]
fn init_tells_what_it_wrote_as_json() {
    let fleet = Sandbox::empty();
    let written = fleet.isobar("init --json").ends(0).json()["written"].clone();
    assert_eq!(written[1], "isobar.yaml", "{written}");
    fleet.isobar("init --json").ends(64);
}

#[test]
fn a_selector_says_what_is_drawn_and_what_is_looked_at() {
    let fleet = app("prod/a prod/b", "");
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.yaml.j2", "kind: web\n").commit("One more");
    let drawn = "app@prod/a\nweb@prod/a\n  waits for app@prod/a\n";
    assert_eq!(fleet.isobar("graph web@prod/a --targets").ends(0).stdout, drawn);
    let json = fleet.isobar("graph app --json").ends(0).json();
    assert_eq!(json["targets"], serde_json::json!(["app@prod/a", "app@prod/b"]));

    fleet.stack("api", "").edit("api/stack.yaml", "}}/api", "}}/app");
    fleet.file("api/templates/api.yaml.j2", "kind: api\n").commit("A mistake");
    fleet.isobar("check").ends(65).says("are the same thing");
    fleet
        .isobar("check web")
        .ends(0)
        .says("no mistakes: 3 stacks × 2 regions make 6 targets; of 2 of them every value was looked at");
    fleet.isobar("doctor web").says("3 stacks in 2 regions make 6 targets");
    fleet.isobar("doctor").says("1 mistake in the definitions");
    for line in ["graph nowhere", "check nowhere", "doctor nowhere"] {
        fleet.isobar(line).ends(64).says("\"nowhere\" matches no target");
    }
}

#[test]
fn every_pattern_that_matches_nothing_is_told_at_once() {
    let fleet = app("prod/a", "");
    fleet.isobar("preview nope@* app zilch*").ends(64).says("error: \"nope@*\", \"zilch*\" match no target\n");
}

#[test]
fn with_json_every_verb_tells_its_mistakes_and_failures_as_json() {
    let report = schema("report");
    let fleet = app("prod/a prod/b", "");
    let good = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("there is a fleet");
    fleet.file("isobar.yaml", &format!("{good}polcy: []\nrollot: {{}}\n")).commit("Mistakes");
    let site = good.lines().count() + 1;
    for line in
        ["preview", "judge", "apply", "tick", "drift", "status", "list", "graph", "matrix", "why app@prod/a", "recover", "check"]
    {
        let ran = fleet.isobar(&format!("{line} --json"));
        if line == "judge" {
            assert_eq!((ran.code, &ran.json()["what"]), (64, &"no preview was shown yet".into()), "{}", ran.stdout);
            continue;
        }
        let json = ran.json();
        keeps_to(&report, &json, line);
        assert_eq!((ran.code, &json["told"], &json["code"]), (65, &"failure".into(), &65.into()), "{line}: {json}");
        let mistakes = json["mistakes"].as_array().expect("a list");
        assert_eq!(mistakes.len(), 2, "{line}: {json}");
        assert_eq!((&mistakes[0]["file"], &mistakes[0]["line"]), (&"isobar.yaml".into(), &site.into()), "{line}: {json}");
        assert!(ran.stderr.contains("2 mistakes in the definitions"), "{line}: {}", ran.stderr);
    }
    fleet.file("isobar.yaml", &good).commit("Mended");
    for (line, code) in
        [("list nowhere", 64), ("why nothing@prod/a", 64), ("hold prod/z --reason x", 64), ("preview --bsae x", 64)]
    {
        let ran = fleet.isobar(&format!("{line} --json")).ends(code);
        keeps_to(&report, &ran.json(), line);
        assert!(ran.json()["hint"].is_string(), "{line}: {}", ran.stdout);
    }
    let ran = fleet.isobar("pause --json").ends(64);
    let said = "the following required arguments were not provided: --reason <REASON>";
    assert_eq!(ran.json()["what"], said, "{}", ran.stdout);
    fleet.file("dirty.txt", "x\n");
    let ran = fleet.isobar("apply --json").ends(64);
    assert!(ran.json()["what"].as_str().is_some_and(|what| what.contains("not committed: dirty.txt")), "{}", ran.stdout);
    fleet.isobar("apply").ends(64).keeps_quiet_about("{");
}

#[test]
fn the_published_schemas_accept_every_fleet_that_teaches() {
    let (fleet, stack) = (schema("isobar"), schema("stack"));
    for entry in std::fs::read_dir(fixtures()).expect("there are fixtures").flatten() {
        for (path, text) in crate::support::tree(&entry.path()) {
            let validator = match path.rsplit('/').next() {
                Some("isobar.yaml") => &fleet,
                Some("stack.yaml") => &stack,
                _ => continue,
            };
            let value: Value = serde_yaml::from_str(&text.replace("!secret ", "")).expect("plain YAML");
            keeps_to(validator, &value, &format!("{}/{path}", entry.path().display()));
        }
    }
    assert!(!fleet.is_valid(&serde_json::json!({ "version": 1, "regions": {}, "polcy": [] })));
    assert!(!stack.is_valid(&serde_json::json!({ "where": "all", "documents": { "sorce": "." } })));
}

#[test]
fn every_fleet_that_teaches_reads_without_a_mistake() {
    for entry in std::fs::read_dir(fixtures()).expect("there are fixtures").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        Sandbox::fleet(&name).isobar("check").ends(0).says("no mistakes");
    }
}

#[test]
fn a_selector_chooses_and_an_unknown_one_is_an_error() {
    let fleet = Sandbox::fleet("demo");
    let list = |line: &str| fleet.isobar(&format!("list {line}")).ends(0).stdout.lines().map(str::to_string).collect::<Vec<_>>();
    assert_eq!(list("").len(), 18);
    assert_eq!(list("network@prod/eu-west-1"), ["network@prod/eu-west-1"]);
    assert_eq!(list("@staging/*").len(), 6);
    assert_eq!(list("edge base@prod/*").len(), 6 + 4);
    assert_eq!(list("--region prod/*west*").len(), 6);
    assert_eq!(list("--label tier=one network"), ["network@prod/us-east-1", "network@prod/eu-west-1"]);
    fleet.isobar("preview").ends(0);
    for line in ["list", "preview", "judge", "apply", "drift", "status", "tick", "recover"] {
        fleet.isobar(&format!("{line} netwrok@prod/*")).ends(64).says("\"netwrok@prod/*\" matches no target");
    }
    fleet.isobar("list Network!").ends(64).says("must look like");
    fleet.isobar("list --label tier").ends(64).says("key=value");
}

#[test]
fn list_changed_names_what_a_change_touches_and_why() {
    let fleet = Sandbox::fleet("demo");
    fleet.isobar("preview");
    fleet.isobar("apply --review grace=approve").ends(0);
    assert_eq!(fleet.isobar("list --changed").ends(0).stdout, "");
    fleet.file("shared/headers.yaml", "x: y\n").commit("Headers");
    let ran = fleet.isobar("list --changed").ends(0).says("shared/headers.yaml");
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("edge@")).count(), 6);
    assert_eq!(ran.stdout.lines().count(), 6);
}

#[test]
fn why_tells_where_a_value_comes_from_and_what_it_waits_for() {
    let fleet = Sandbox::fleet("demo");
    fleet
        .isobar("why edge@prod/eu-west-1")
        .ends(0)
        .says("because it is new")
        .says("replicas = 3")
        .says("isobar.yaml:21")
        .says("of environment prod")
        .says("waits for\n  network@prod/eu-west-1");
    fleet.isobar("why edge@prod/eu-wst-1").ends(64).says("did you mean \"edge@prod/eu-west-1\"?");
}

#[test]
fn a_graph_is_drawn_as_text_dot_and_mermaid() {
    let fleet = Sandbox::fleet("demo");
    fleet.isobar("graph").ends(0).says("network").says("base");
    fleet.isobar("graph --format dot").ends(0).says("digraph");
    fleet.isobar("graph --format mermaid").ends(0).says("flowchart").says("edge");
    fleet.isobar("graph --targets --format dot").ends(0).says("network@prod/eu-west-1");
}

#[test]
fn exit_codes_are_in_the_help() {
    let ran = Sandbox::empty().isobar("--help").ends(0).says("Exit codes:");
    for code in [0, 1, 2, 3, 64, 65, 130, 143] {
        assert!(ran.stdout.contains(&format!("\n  {code:>3}  ")), "{code}: {}", ran.stdout);
    }
    Sandbox::empty().isobar("aply").ends(64).says("apply");
    Sandbox::empty().isobar("").ends(64);
}

#[test]
fn arguments_that_could_not_be_meant_are_refused() {
    let fleet = app("prod/a prod/b", "");
    for line in ["preview --parallel 0", "apply --parallel 0", "drift --parallel 0"] {
        fleet.isobar(line).ends(64).says("at least one at once").says("--parallel");
    }
    fleet.isobar("apply --parallel some").ends(64).says("a whole number, at least 1");
    for arguments in [["pause", "--reason", " "].as_slice(), &["hold", "prod/a", "--reason", ""]] {
        fleet.run(arguments).ends(64).says("say why").says("--reason");
    }
    fleet.isobar("hold prod/a --until 2020-01-01 --reason works").ends(64).says("2020-01-01 00:00 UTC is over already");
    fleet.run(&["preview", "--review", " =approve"]).ends(64).says("is no name");
    assert_eq!(fleet.journal_lines().len(), 0);
}

#[test]
fn a_region_that_is_not_held_is_not_released_and_those_that_are_held_are_named() {
    let fleet = app("prod/a prod/b prod/c", "");
    fleet.isobar("hold prod/a --until 99999999999d --reason works").ends(64).says("is no time");
    fleet.isobar("hold prod/a --release").ends(64).says("prod/a is not held").says("no region is held");
    fleet.isobar("hold prod/b --reason works").ends(0);
    fleet.isobar("hold prod/c --until 4h --reason works").ends(0);
    fleet.isobar("hold prod/a --until 99999999999d --reason works").ends(64).says("is no time");
    fleet.isobar("hold prod/a --release").ends(64).says("held are prod/b, prod/c");
    fleet.pass_secs(5 * 3_600);
    fleet.isobar("hold prod/c --release").ends(64).says("prod/c is not held").says("held are prod/b");
    fleet.isobar("hold prod/b --release").ends(0).says("prod/b is released");
}

#[test]
fn completions_and_man_pages_come_out() {
    let anywhere = Sandbox::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        anywhere.isobar(&format!("completions {shell}")).ends(0).says("isobar").says("preview");
    }
    let dir = anywhere.outside("man");
    anywhere.run(&["man", &dir]).ends(0);
    let pages = crate::support::tree(std::path::Path::new(&dir));
    assert!(pages.contains_key("isobar.1") && pages.contains_key("isobar-apply.1"), "{:?}", pages.keys());
}

#[test]
fn a_status_is_a_page_of_its_own() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("status").ends(0).says("2 never applied");
    fleet.isobar("apply").ends(0);
    let page = fleet.outside("status.html");
    fleet.run(&["status", "--html", &page]).ends(0);
    let html = std::fs::read_to_string(&page).expect("it was written");
    assert!(html.starts_with("<!") && html.contains("prod/a") && !html.contains("http://"), "{html}");

    fleet.isobar("status --html .isobar/status.html").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0); // where it is suggested, the page keeps nothing from the next apply
}

#[test]
fn a_graph_without_edges_names_its_targets() {
    let graph = app("prod/a prod/b", "").isobar("graph --json").ends(0).json();
    assert_eq!((&graph["targets"], &graph["edges"]), (&serde_json::json!(["app@prod/a", "app@prod/b"]), &serde_json::json!([])));
}

#[test]
fn a_status_tells_who_approved_from_who_ran() {
    let fleet = Sandbox::fleet("demo");
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review grace=approve").ends(0);
    let ran = fleet.isobar("status").ends(0).says("approved by grace");
    assert_eq!(ran.stdout.matches("grace").count(), ran.stdout.matches("approved by grace").count(), "{}", ran.stdout);
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says(" by ").keeps_quiet_about("approved by");
    assert_eq!(fleet.isobar("status --json").ends(0).json()["targets"][0]["approved"], false);
}

#[test]
fn nothing_outside_a_repository_works_and_says_so() {
    let nowhere = Sandbox::empty();
    nowhere.remove(".git");
    nowhere.isobar("preview").ends(1).says("git init");
}

#[test]
fn another_directory_can_be_named() {
    let fleet = app("prod/a", "");
    let root = fleet.root().join("app");
    let mut program = fleet.program();
    let ran = fleet.finish(program.current_dir("/").args(["-C", &root.to_string_lossy(), "list"])).ends(0);
    assert_eq!(ran.stdout, "app@prod/a\n");
}

#[test]
fn init_overwrites_nothing_and_what_it_writes_is_good() {
    for example in ["init", "init --example"] {
        let shop = Sandbox::of("api/README.md | # API\nweb/README.md | # Web\n.gitignore | target/");
        shop.isobar(example).ends(0).says("wrote isobar.yaml");
        shop.isobar("check").ends(0).says("no mistakes");
        let ignores = std::fs::read_to_string(shop.root().join(".gitignore")).expect("it was there");
        assert_eq!(ignores, "target/\n/live/\n/.isobar/*\n!/.isobar/schema/\n");
        shop.isobar(example).ends(64).says("already there: isobar.yaml");
        shop.commit("First fleet");
        shop.isobar("preview").ends(0);
        shop.isobar("doctor").says("a git repository at");
    }
}

#[test]
fn init_writes_the_workflows_of_either_form_and_doctor_tells_which() {
    let action = format!("acme/isobar@{}", "0123456789".repeat(4));
    for (flags, form) in [("", "on GitHub two jobs"), (" --simple", "on GitHub one job")] {
        let fleet = app("prod/a", "");
        fleet.isobar(&format!("init --github{flags} --action {action}")).ends(0).says("required check").says("ISOBAR_KEY");
        let written = fleet.live(".github/workflows");
        assert!(written.values().all(|text| text.contains(&action) && !text.contains("OWNER/")), "{:?}", written.keys());
        for text in written.values() {
            let named = text.split([' ', ',', ';', ':', '.', '/', '`', '(']).filter(|word| word.starts_with("isobar-"));
            let is_there = |name: &str| written.contains_key(&format!("{name}.yml"));
            let files = ["preview", "report", "apply", "drift", "commands"].map(|name| format!("isobar-{name}"));
            assert!(named.filter(|name| files.iter().any(|file| file == name)).all(is_there), "{text}");
        }
        fleet.isobar(&format!("init --github{flags}")).ends(64).says("already there: .github/workflows/isobar-");
        fleet.commit("Isobar on GitHub");
        fleet.isobar("doctor").says(form);
    }
    let fleet = app("prod/a", "");
    fleet.isobar("doctor").ends(0).keeps_quiet_about("on GitHub");
    for action in ["acme/isobar@v1", "acme/isobar", "isobar@0123456789012345678901234567890123456789"] {
        fleet.isobar(&format!("init --github --action {action}")).ends(64).says("OWNER/NAME@DIGEST");
    }
}

#[test]
fn what_was_published_and_every_path_to_a_person_is_free_of_escape_codes() {
    let fleet = app("prod/a", "");
    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: \"\u{1b}[31mred\u{1b}[0m\"").commit("Colour");
    for line in ["preview", "apply", "drift", "status"] {
        fleet.isobar(line).keeps_quiet_about("\u{1b}");
    }
}

#[test]
fn doctor_marks_what_is_only_a_note_as_one_and_counts_in_words() {
    let fleet = app("prod/a", "");
    let ran = fleet.isobar("doctor").ends(0).says("✓ 1 stack in 1 region make 1 target\n").says("· no policy is declared\n");
    assert!(
        ran.stdout.contains("\n· ISOBAR_KEY is not set\n") && ran.stdout.contains("has 0 entries about 0 targets;"),
        "{}",
        ran.stdout
    );
    let json = fleet.isobar("doctor --json").ends(0).json();
    let marks =
        json["findings"].as_array().into_iter().flatten().map(|finding| (finding["mark"].as_str(), finding["good"].as_bool()));
    let marks: std::collections::BTreeSet<_> = marks.collect();
    assert_eq!(marks, [(Some("good"), Some(true)), (Some("note"), Some(true))].into());
}

#[test]
fn slips_are_told_with_what_helps_and_of_the_verb_that_was_typed() {
    let fleet = app("prod/a", "");
    fleet.isobar("tick --fix").ends(64).says("--fix belongs to isobar drift").keeps_quiet_about("-- --fix");
    fleet.isobar("tick --fix --json").ends(64).says("--fix belongs to isobar drift");
    fleet.isobar("apply --shards 2").ends(64).says("--shards belongs to isobar matrix").keeps_quiet_about("similar");
    fleet.isobar("tick --nonsense").ends(64).keeps_quiet_about("belongs to");
    fleet.isobar("list --head main").ends(64).says("isobar list --base main --head main");
    let ran = fleet.isobar("preview --base nosuch").ends(1).says("no commit \"nosuch\" in this repository\n").says("git fetch");
    assert!(!ran.stderr.contains("revspec"), "{}", ran.stderr);
}

#[test]
fn a_time_that_is_none_is_a_slip_and_not_the_time_of_day() {
    let fleet = app("prod/a", "").env("ISOBAR_NOW_MS", "abc");
    fleet.isobar("status").ends(64).says("ISOBAR_NOW_MS is \"abc\"").says("milliseconds since 1970");
}

#[test]
fn doctor_tells_a_journal_that_cannot_be_written_and_one_that_cannot_be_read_once() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let entries = fleet.root().join(".isobar/journal/entries.jsonl");
    std::fs::remove_file(&entries).expect("it was written");
    std::os::unix::fs::symlink("/nowhere/at/all", &entries).expect("it has room");
    fleet.isobar("doctor").ends(2).says("entries.jsonl: ").keeps_quiet_about("the journal can be written to");

    for to in ["journal", "/nowhere/at/all"] {
        let linked = app("prod/a", "");
        linked.file(".isobar/empty", "").commit("A directory for it");
        std::os::unix::fs::symlink(to, linked.root().join(".isobar/journal")).expect("it has room");
        let ran = linked.isobar("doctor").ends(2).says("! opening ").says("✓ 1 stack in 1 region").says("mend what is marked");
        ran.keeps_quiet_about("can be written to").keeps_quiet_about("set `journal:`");
        linked.isobar("apply").ends(1).says(".isobar/journal").keeps_quiet_about("File exists");
    }

    let broken = app("prod/a", "");
    broken.edit("isobar.yaml", "journal: file:.isobar/journal", "journal: git").commit("The journal goes along");
    broken.set_origin("file:///nowhere/at/all");
    let ran = broken.isobar("doctor").ends(2);
    assert_eq!(ran.stdout.matches("opening the journal's repository").count(), 1, "{}", ran.stdout);
}

/// Whoever reads half an answer and no failure takes it for the whole.
#[test]
fn an_answer_that_could_not_be_written_whole_is_a_failure() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    for verb in ["audit export", "status --json", "matrix", "list", "preview", "audit verify"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("every Linux has it");
        let mut command = fleet.program();
        let output = command.args(verb.split(' ')).stdout(full).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{verb}: {said}");
        assert!(said.contains("writing to standard output: ") && said.contains("is not whole"), "{verb}: {said}");
    }
}

/// By default the system ends a program without a word that lets a file grow beyond `ulimit -f`.
#[test]
fn a_file_that_may_not_grow_is_told() {
    let fleet = app("prod/a", "");
    let script = format!("ulimit -f 1; exec {} apply", crate::support::program());
    let ran = fleet.finish(fleet.command("bash").args(["-c", &script]));
    ran.ends(1).says("File too large").says("ulimit -f");
    fleet.isobar("apply").ends(0);

    // The journal is full in the middle, and cannot be told of what was in flight.
    let fleet = app("prod/a prod/b prod/c prod/d prod/e prod/f prod/g prod/h", "");
    let script = format!("ulimit -f 8; exec {} apply --parallel 1", crate::support::program());
    let ran = fleet.finish(fleet.command("bash").args(["-c", &script]));
    ran.ends(1).says("ulimit -f").says("isobar recover looks at it");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 8 targets applied");
}

#[test]
fn doctor_sees_a_lock_that_is_none_and_the_hint_names_what_is_in_the_way() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let lock = fleet.root().join(".isobar/journal/lock");
    std::fs::remove_file(&lock).and_then(|()| std::fs::create_dir(&lock)).expect("it has room");
    fleet.isobar("doctor").ends(2).says("! opening ").says("move it away").keeps_quiet_about("the journal can be written to");
    fleet.isobar("apply").ends(1).says("move it away");
}
