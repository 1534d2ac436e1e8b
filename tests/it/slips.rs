//! Slips of people who are new here: each is told once, where it stands, with all others, and what to do next.

use crate::support::{Sandbox, app};
use std::os::unix::fs::symlink;

fn fleet(regions: usize) -> Sandbox {
    let regions: Vec<String> = (1..=regions).map(|n| format!("prod/r{n}")).collect();
    app(&regions.join(" "), "")
}

/// Writes the definition of `app`.
fn define(fleet: &Sandbox, more: &str, destination: &str) {
    let documents = format!("documents:\n  destination: \"file:./live/{destination}\"\n  source: ./templates\n");
    fleet.file("app/stack.yaml", &format!("where: all\n{more}\n{documents}"));
}

const OWN: &str = "${{ region.id }}/${{ stack.name }}";

#[test]
fn one_slip_at_one_place_is_told_once_and_hides_no_other() {
    let fleet = fleet(10);
    let instances: Vec<String> = (1..=12).map(|n| format!("t{n}: {{}}")).collect();
    let instances = format!("instances: {{ {} }}", instances.join(", "));
    define(&fleet, &instances, "${{ region.id }}/a");
    fleet.file(
        "app/stack.yaml",
        &(std::fs::read_to_string(fleet.root().join("app/stack.yaml")).expect("it was written") + "zzz: 1\n"),
    );
    let ran = fleet.isobar("check").ends(65).says("2 mistakes in the definitions");
    let ran = ran
        .says("app/stack.yaml:4:17: app/t1@prod/r1 and app/t10@prod/r1 are the same thing: file:live/prod/r1/a; so it is with ");
    ran.says(" and 104 more\n").says("app/stack.yaml:6:1: unknown key \"zzz\"").keeps_quiet_about("more mistakes than are told");

    define(&fleet, "inputs: { zone: \"${{ region.vars.zone }}\" }", OWN);
    fleet.edit("isobar.yaml", "prod/r1: {}", "prod/r1: { vars: { zone: a } }");
    let ran =
        fleet.isobar("check").ends(65).says("1 mistake in the definitions").says("region.vars has no \"zone\" in prod/r2; only");
    ran.says("; so it is with app@prod/r3, app@prod/r4, app@prod/r5, app@prod/r6, app@prod/r7 and 3 more\n");
}

#[test]
fn who_asks_first_whether_something_is_there_may_name_what_is_not() {
    let fleet = fleet(1);
    for asks in [
        "{{ inputs.zz | default(1) }}",
        "{% if inputs.zz is defined %}{{ inputs.zz }}{% endif %}",
        "{% if false %}{{ inputs.zz }}{{ stack.zz }}{{ instance.zz }}{% endif %}",
        "{{ stack.zz | default(1) }}",
        "{{ 'x' if instance is not defined else instance.name }}",
        "{{ region.cloud | default('none') }}{{ region.labels.zz is defined }}",
    ] {
        fleet.file("app/templates/app.yaml.j2", &format!("{asks}\n"));
        fleet.isobar("check").ends(0);
        fleet.isobar("preview").ends(0);
    }
    for (reads, told) in [
        ("{{ inputs.zz }}", "unknown name inputs.zz"),
        ("{{ stack.zz }}", "unknown name stack.zz"),
        ("{{ inputs.zz.deep | default(1) }}", "unknown name inputs.zz"),
        ("{{ instance.name | default('x') }}", "app has no instances"),
        ("{% if false %}{{ region.nme }}{% endif %}", "unknown name region.nme"),
        ("{{ vars.a.b }}", "undefined vars.a\n"),
    ] {
        fleet.file("app/templates/app.yaml.j2", &format!("{reads}\n"));
        fleet.isobar("check").ends(65).says("app/templates/app.yaml.j2:1:").says(told).says("1 mistake in");
    }
}

#[test]
fn a_region_without_a_cloud_has_none_to_print() {
    let fleet = fleet(1);
    fleet.file("app/templates/app.yaml.j2", "{{ region.cloud | default('dflt') }} {{ region.cloud is defined }}\n").commit("Ask");
    fleet.isobar("apply").ends(0);
    let shown = std::fs::read_to_string(fleet.root().join("live/prod/r1/app/app.yaml")).expect("it was published");
    assert_eq!(shown, "dflt false\n");
    fleet.file("app/templates/app.yaml.j2", "a: 1\ncloud: {{ region.cloud }}\n");
    fleet
        .isobar("check")
        .ends(65)
        .says("app/templates/app.yaml.j2:2:11: undefined region.cloud")
        .says("add cloud to its regions");
}

#[test]
fn every_former_name_that_still_exists_is_told_once_where_it_stands() {
    let fleet = fleet(1);
    fleet.stack("b", "").file("b/templates/b", "b\n");
    define(&fleet, "was: [app, b]\ninstances: { t1: {}, t3: null }", OWN);
    let ran = fleet
        .isobar("check")
        .ends(65)
        .says("2 mistakes in")
        .says("app/stack.yaml:2:7: \"was\" names a stack that still exists: \"app\"");
    ran.says("app/stack.yaml:2:12: \"was\" names a stack that still exists: \"b\"").keeps_quiet_about("app/t");

    define(&fleet, "was: b\ninstances: { t1: {}, \"t/2\": { was: app } }", "${{ region.id }}/a");
    let ran = fleet.isobar("check").ends(65).says("2 mistakes in").says("app/stack.yaml:3:22: bad instance name");
    ran.says("app/stack.yaml:2:6: \"was\" names").keeps_quiet_about("same thing");
}

#[test]
fn a_file_that_is_asked_for_gets_its_directory_and_a_dash_is_standard_output() {
    let fleet = fleet(2);
    fleet.isobar("preview --shard 1/2 --part .isobar/parts/1.json").ends(0);
    fleet.isobar("preview --shard 2/2 --part .isobar/parts/2.json").ends(0);
    fleet.isobar("preview --parts .isobar/parts --markdown .isobar/new/x.md").ends(0);
    fleet.isobar("status --html .isobar/other/x.html").ends(0);
    for file in [".isobar/new/x.md", ".isobar/other/x.html"] {
        assert!(fleet.root().join(file).is_file(), "{file}");
    }

    let [page, forecast] = ["status --html -", "simulate --html -"].map(|line| fleet.isobar(line).ends(0));
    assert!(page.stdout.starts_with("<!doctype html>") && forecast.stdout.starts_with("<!doctype html>"), "{}", page.stdout);
    let comment = fleet.isobar("preview --markdown -").ends(0).stdout;
    let written = std::fs::read_to_string(fleet.root().join(".isobar/new/x.md")).expect("it was written");
    assert!(!comment.is_empty() && comment.lines().next() == written.lines().next(), "{comment}\n{written}");
    // Before anything is looked at: else the target that there is not would be told.
    for line in ["status no --html - --json", "simulate no --html - --json", "preview no --markdown - --json"] {
        fleet.isobar(line).ends(64).says("both print to standard output");
    }
    fleet.isobar("preview --shard 1/2 --part -").ends(64).says("--part parts/1.json");
    assert!(!fleet.root().join("-").exists());
}

#[test]
fn an_empty_journal_is_not_said_to_be_right() {
    let fleet = fleet(1);
    fleet.isobar("audit verify").ends(0).says("no entry in the journal").keeps_quiet_about("is what was written");
    fleet.isobar("apply").ends(0);
    fleet.isobar("audit verify").ends(0).says("The journal is what was written");
}

#[test]
fn a_changed_line_of_the_journal_is_told_in_words() {
    let fleet = fleet(1);
    fleet.isobar("apply").ends(0);
    let journal = fleet.root().join(".isobar/journal/entries.jsonl");
    let text = std::fs::read_to_string(&journal).expect("there is a journal");
    std::fs::write(&journal, text.replacen("\"seq\":2", "\"seq\":{}", 1)).expect("it can be written");
    let ran = fleet.isobar("audit verify").ends(2).says("not an entry").says("the line was changed after it was written");
    ran.keeps_quiet_about("invalid type");
}

#[test]
fn a_destination_through_a_link_or_a_file_is_told_before_a_preview() {
    let fleet = fleet(2);
    symlink("live", fleet.root().join("link")).expect("a new name");
    for (through, told) in [("link", "link is a symlink"), ("isobar.yaml", "isobar.yaml is a file")] {
        let documents = format!("documents: {{ source: ./templates, destination: \"file:{through}/${{{{ region.id }}}}\" }}\n");
        fleet.file("app/stack.yaml", &format!("where: all\n{documents}"));
        let ran = fleet.isobar("check").ends(65).says("app/stack.yaml:2:").says("1 mistake in").says(told);
        ran.says("; so it is with app@prod/r2");
    }
}

#[test]
fn a_journal_among_the_sources_of_a_stack_is_told() {
    let fleet = fleet(1);
    fleet.edit("isobar.yaml", "file:.isobar/journal", "file:app");
    let ran = fleet.isobar("check").ends(65).says("isobar.yaml:2:10: the journal, app, holds app/templates");
    ran.says("none inside another");
}

#[test]
fn a_preview_that_saw_nothing_says_what_comes_next() {
    let fleet = fleet(1);
    fleet.file("app/templates/app.yaml.j2", "{% if true %}{{ vars.x }}{% endif %}\n").commit("Undefined");
    fleet
        .isobar("preview")
        .ends(1)
        .says("Next")
        .says("isobar preview  (again, once what kept everything from being seen is mended)");
}
