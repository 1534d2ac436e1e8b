//! Files with names that nobody types: what is told of them stays in its line, and nothing of them is left out without a word.

use crate::support::{Ran, app};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Every line of what was said must be one that we began: a name can make none.
#[track_caller]
fn has_no_line(ran: &Ran, forged: &str) {
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    let found: Vec<&str> = lines.filter(|line| line.trim_start().starts_with(forged)).collect();
    assert!(found.is_empty(), "{found:?} in\n{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_name_with_a_line_end_begins_no_line_of_ours() {
    let fleet = app("prod/a", "");
    fleet.file("app/templates/_part\nforged line", "part\n").commit("A partial");
    fleet.isobar("apply").ends(0);
    fleet.file("app/templates/_part\nforged line", "another part\n");
    for line in ["preview", "list --changed", "why app@prod/a", "apply"] {
        let ran = fleet.isobar(line).says("app/templates/_partU+000Aforged line");
        has_no_line(&ran, "forged");
    }

    fleet.file("app/templates/_part\nforged line", "{{ inputs.nope }} {% if %}").commit("Broken");
    let ran = fleet.isobar("check").ends(65).says("app/templates/_partU+000Aforged line:1:");
    has_no_line(&ran, "forged");
    has_no_line(&fleet.isobar("preview").ends(65), "forged");
}

#[test]
fn a_document_with_a_line_end_in_its_name_is_refused_in_one_line() {
    let fleet = app("prod/a", "");
    fleet.file("app/templates/page\nforged line", "page\n").commit("A page");
    let ran = fleet.isobar("check").ends(65).says("app/templates/pageU+000Aforged line:1:1: ").says("can't be a document");
    has_no_line(&ran, "forged");
}

#[test]
fn a_file_by_hand_with_a_line_end_in_its_name_is_drift_in_one_line() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/by hand\nforged line", "x\n");
    has_no_line(&fleet.isobar("drift").ends(2).says("by hand"), "forged");
}

#[test]
fn a_source_whose_name_is_not_utf_8_is_an_error_with_its_stack() {
    for committed in [false, true] {
        let fleet = app("prod/a", "");
        let place = fleet.root().join("app/templates").join(OsStr::from_bytes(b"caf\xe9.txt"));
        std::fs::write(place, "menu\n").expect("such a name is allowed here");
        if committed {
            fleet.commit("A menu");
        }
        let told = "app/templates/caf\u{FFFD}.txt:1:1: the name of this file, which app reads, is not UTF-8";
        for line in ["check", "preview"] {
            fleet.isobar(line).ends(65).says(told);
        }
        fleet.isobar("doctor").ends(2).says("1 mistake in the definitions");
    }
}

#[test]
fn a_stack_in_a_directory_whose_name_is_not_utf_8_is_not_passed_over() {
    let fleet = app("prod/a", "");
    let dir = fleet.root().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&dir).expect("such a name is allowed here");
    std::fs::write(dir.join("stack.yaml"), "name: cafe\nwhere: all\ndocuments: { source: ./t, destination: file:live/cafe }\n")
        .expect("a file");
    fleet.isobar("check").ends(65).says("caf\u{FFFD}/stack.yaml:1:1: the name of this file, which defines a stack, is not UTF-8");
}

#[test]
fn elsewhere_in_the_repository_any_name_will_do() {
    let fleet = app("prod/a", "");
    std::fs::write(fleet.root().join(OsStr::from_bytes(b"notes\xff")), "x\n").expect("such a name is allowed here");
    fleet.isobar("check").ends(0);
    fleet.commit("Notes");
    fleet.isobar("apply").ends(0);
}
