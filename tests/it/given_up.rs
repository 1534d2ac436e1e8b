//! A place of the journal that is gone: it stops every command, because history may lie there, until somebody who knows gives it up.

use crate::support::{APPROVALS, Sandbox, app};
use git2::{Oid, Repository};
use std::fs;
use std::path::{Path, PathBuf};

const PLACE: &str = "git:../state.git#refs/isobar/journal";

/// A fleet whose history lay in another repository, and that now names a directory again.
fn moved(fleet: Sandbox) -> Sandbox {
    git2::Repository::init_bare(fleet.outside("state.git")).expect("the directory is new");
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", "journal: git:../state.git").commit("In another repository");
    fleet.approved_apply("bob").ends(0);
    fleet.edit("isobar.yaml", "journal: git:../state.git", "journal: file:.isobar/journal").commit("In a directory");
    fleet
}

fn gone(fleet: Sandbox) -> Sandbox {
    let fleet = moved(fleet);
    std::fs::remove_dir_all(fleet.outside("state.git")).expect("it was made");
    fleet
}

fn give_up(fleet: &Sandbox, place: &str) -> crate::support::Ran {
    fleet.run(&["recover", "--give-up", place, "--reason", "its disk is lost"])
}

#[test]
fn a_place_of_the_journal_that_is_gone_stops_every_command_until_it_is_given_up() {
    let fleet = gone(app("prod/a", APPROVALS));
    let command = format!("isobar recover --give-up {PLACE} --reason");
    fleet.isobar("status").ends(1).says(&format!("history may lie at {PLACE}")).says(&command);
    fleet.isobar("apply").ends(1).says(&command);

    give_up(&fleet, PLACE).ends(0).says(&format!("{PLACE} is given up"));
    let given = &fleet.events("given_up")[0];
    assert_eq!((given["place"].as_str(), given["by"].as_str()), (Some(PLACE), Some("ada")));
    fleet.isobar("status").ends(0).says("Journal places given up").says("its disk is lost").says(PLACE);
    assert_eq!(fleet.isobar("status --json").json()["given_up"][0]["place"], PLACE);
    // The history is lost, and the policy before the run that gave it up still asks, also when a later one does not.
    fleet.isobar("preview").ends(0);
    fleet.edit("isobar.yaml", "environment: prod }", "environment: prod, actions: delete }").commit("Nobody is asked");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn an_earlier_directory_that_is_there_and_cannot_be_looked_at_stops_every_command_too() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("isobar.yaml", APPROVALS, "").commit("Nobody is asked");
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", "journal: file:.isobar/other").commit("In another directory");
    fleet.version(1, 2);
    let (journal, away) = (fleet.root().join(".isobar/journal"), fleet.outside("away"));
    fs::rename(&journal, &away).expect("it can be moved");
    let link = |to: &str| std::os::unix::fs::symlink(to, &journal);
    for put in [&|| fs::write(&journal, "x"), &|| link("journal"), &|| link("/nowhere/at/all")] as [&dyn Fn() -> _; 3] {
        put().expect("it has room");
        for line in ["status", "preview", "apply"] {
            let ran = fleet.isobar(line).ends(1).says("history may lie at file:.isobar/journal");
            ran.says("isobar recover --give-up file:.isobar/journal --reason").keeps_quiet_about("`journal:`");
        }
        fleet.isobar("doctor").ends(2).says("! history may lie at file:.isobar/journal").says("✓ HEAD is");
        fs::remove_file(&journal).expect("it was put there");
    }
    assert_eq!(fleet.versions(), "prod/a 1");

    fs::rename(&away, &journal).expect("it can be moved back");
    fleet.isobar("apply").ends(3);
}

#[test]
fn only_a_place_that_is_named_and_cannot_be_looked_at_is_given_up_and_one_that_comes_back_counts() {
    let fleet = moved(app("prod/a", APPROVALS));
    give_up(&fleet, PLACE).ends(64).says("can be looked at");
    give_up(&fleet, "file:.isobar/journal").ends(64).says("is where the journal is");
    give_up(&fleet, "git:#refs/isobar/other").ends(64).says("no commit names git:#refs/isobar/other").says(PLACE);
    fleet.run(&["recover", "--give-up", PLACE]).ends(64).says("--reason");

    let (here, away) = (fleet.outside("state.git"), fleet.outside("away.git"));
    std::fs::rename(&here, &away).expect("it can be moved");
    give_up(&fleet, PLACE).ends(0);
    std::fs::rename(&away, &here).expect("it can be moved back");
    fleet.isobar("status").ends(64).says("history lies in two places");
}

#[test]
fn the_word_that_a_place_is_given_up_needs_a_witness_here_or_the_key() {
    let fleet = gone(app("prod/a", APPROVALS));
    give_up(&fleet, PLACE).ends(0);
    let elsewhere = fleet.twin();
    elsewhere.isobar("status").ends(1).says("nothing proves that here").says("isobar recover --give-up");
    give_up(&elsewhere, PLACE).ends(0);
    elsewhere.isobar("status").ends(0);
    assert_eq!(elsewhere.events("given_up").len(), 1);

    let fleet = gone(app("prod/a", APPROVALS).env("ISOBAR_KEY", "0123456789abcdef0123456789abcdef"));
    give_up(&fleet, PLACE).ends(0);
    let mut elsewhere = fleet.twin();
    elsewhere.isobar("status").ends(0);
    elsewhere.without_env("ISOBAR_KEY").isobar("status").ends(1).says("nothing proves that here");
}

/// The entries of the other repository, as git names them.
fn entries(repository: &Repository) -> Oid {
    let tip = repository.refname_to_id("refs/isobar/journal").and_then(|tip| repository.find_commit(tip)).expect("a journal");
    let tree = tip.tree().expect("a tree");
    tree.get_path(Path::new("entries-000000/000000000001.jsonl")).expect("entries").id()
}

/// Puts `text` in the place of the entries, as somebody would who may push.
fn put_entries(repository: &Repository, text: &str) {
    let tip = repository.refname_to_id("refs/isobar/journal").and_then(|tip| repository.find_commit(tip)).expect("a journal");
    let blob = repository.blob(text.as_bytes()).expect("it has room");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert("entries-000000/000000000001.jsonl", blob, git2::FileMode::Blob);
    let tree = update.create_updated(repository, &tip.tree().expect("a tree")).and_then(|id| repository.find_tree(id));
    let (who, tree) = (tip.author(), tree.expect("it has room"));
    repository.commit(Some("refs/isobar/journal"), &who, &who, "Other", &tree, &[&tip]).expect("it has room");
}

#[test]
fn a_journal_that_is_there_and_broken_or_newer_is_not_gone() {
    let refused = |fleet: &Sandbox, what: &str| {
        fleet.isobar("status").ends(1).says(what).keeps_quiet_about("--give-up");
        give_up(fleet, PLACE).ends(64).says("can be looked at");
        assert!(fleet.events("given_up").is_empty());
    };
    let fleet = moved(app("prod/a", APPROVALS));
    let bare = Repository::open_bare(fleet.outside("state.git")).expect("it was made");
    let blob = entries(&bare);
    let text = String::from_utf8(bare.find_blob(blob).expect("entries").content().to_vec()).expect("text");
    put_entries(&bare, &text.replacen("ada", "eve", 1));
    refused(&fleet, "the journal is broken");
    fleet.isobar("audit verify").ends(2).says("the line was changed after it was written");

    put_entries(&bare, &text.replace("\"schema\":1", "\"schema\":99"));
    refused(&fleet, "the journal has schema 99");

    let fleet = moved(app("prod/a", APPROVALS));
    let bare = Repository::open_bare(fleet.outside("state.git")).expect("it was made");
    let hex = entries(&bare).to_string();
    let object: PathBuf = bare.path().join("objects").join(&hex[..2]).join(&hex[2..]);
    fs::remove_file(&object).and_then(|()| fs::write(&object, "no object")).expect("it lies loose");
    refused(&fleet, "the journal is broken");
}

#[test]
fn a_command_to_paste_has_nothing_for_a_shell_in_it() {
    let fleet = app("prod/a", APPROVALS);
    let place = "git:../state$(touch${IFS}mine);'|`.git";
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", &format!("journal: \"{place}\""));
    fleet.isobar("check").ends(65).says("isobar.yaml:2:").says("holds a character");
    fleet.commit("Elsewhere");
    fleet.isobar("status").ends(65).says("holds a character");
    fleet.edit("isobar.yaml", &format!("journal: \"{place}\""), "journal: file:.isobar/journal").commit("Here");

    let quoted = place.replace('\'', r"'\''");
    let command = format!("isobar recover --give-up '{quoted}#refs/isobar/journal' --reason");
    fleet.isobar("status").ends(1).says(&command);
    give_up(&fleet, place).ends(0);
    fleet.isobar("status").ends(0);
}

#[test]
fn a_journal_in_the_place_of_a_file_of_the_repository_is_a_mistake_with_its_line() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("docs/README.md", "Hello\n");
    let said = "docs/README.md is a file of the repository, and a journal lies apart from those";
    fleet.edit("isobar.yaml", "file:.isobar/journal", "file:docs/README.md/journal");
    fleet.isobar("check").ends(65).says("isobar.yaml:2:").says(said);
    fleet.edit("isobar.yaml", "file:docs/README.md/journal", "file:docs/README.md").commit("In the way");
    fleet.isobar("status").ends(65).says("isobar.yaml:2:").says(said);
    fleet.edit("isobar.yaml", "file:docs/README.md", "file:docs");
    fleet.isobar("check").ends(65).says("isobar.yaml:2:").says(said);
    fleet.edit("isobar.yaml", "file:docs", "file:state");
    fleet.isobar("status").ends(1).says("isobar recover --give-up file:docs/README.md"); // history may have lain there before the file
    fleet.run(&["recover", "--give-up", "file:docs/README.md", "--reason", "a slip"]).ends(0);
    fleet.isobar("check").ends(0);
}

/// A commit that brings a journal along, in the place of one that git ignores: a checkout puts it there without a word.
#[test]
fn a_journal_that_a_commit_brings_along_is_no_history() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.track(".isobar/journal/entries.jsonl");
    fleet.commit("History of my own");
    let said = ".isobar/journal/entries.jsonl is a file of the repository";
    for command in ["status", "apply", "preview", "audit verify"] {
        fleet.isobar(command).ends(65).says("isobar.yaml:2:").says(said).says("git rm --cached");
    }
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal\n", "").commit("And nothing said");
    fleet.isobar("apply").ends(64).says(said).says("git rm --cached .isobar/journal/entries.jsonl");
    fleet.untrack(".isobar/journal/entries.jsonl");
    fleet.commit("It is none");
    fleet.isobar("status").ends(0);

    let linked = app("prod/a", "");
    std::fs::create_dir_all(linked.root().join(".isobar/journal")).expect("it has room");
    std::os::unix::fs::symlink("../../isobar.yaml", linked.root().join(".isobar/journal/epoch.new")).expect("it has room");
    linked.track(".isobar/journal/epoch.new");
    linked.commit("A way out");
    linked.isobar("apply").ends(65).says(".isobar/journal/epoch.new is a file of the repository");
}

#[test]
fn a_place_that_no_bucket_can_have_holds_no_history() {
    let fleet = app("prod/a", APPROVALS);
    let mut now = "file:.isobar/journal";
    for place in ["s3://a/x", "gs://a$b/x", "az://a/b/c", "az://ac-me/docs/x"] {
        fleet.edit("isobar.yaml", &format!("journal: {now}"), &format!("journal: {place}"));
        fleet.isobar("check").ends(65).says("isobar.yaml:2:").says("names no bucket");
        fleet.commit("In a bucket");
        now = place;
    }
    fleet.edit("isobar.yaml", &format!("journal: {now}"), "journal: file:.isobar/journal").commit("Here");
    fleet.isobar("status").ends(0);
}

#[test]
fn a_place_is_given_up_only_where_the_first_apply_after_it_could_begin() {
    let fleet = app("prod/a", "rollout: { prod: { gates: [{ command: [./ops/smoke] }] } }");
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", "journal: git:../state.git").commit("In another repository");
    fleet.edit("isobar.yaml", "journal: git:../state.git", "journal: file:.isobar/journal");
    fleet.program_file("ops/smoke", "#!/bin/sh\nexit 0\n").commit("In a directory, with the gate's program");
    give_up(&fleet, PLACE).ends(1).says("\"ops/smoke\" is not in");
    assert!(fleet.events("run_started").is_empty());

    fleet.file("README.md", "words\n").commit("Words");
    give_up(&fleet, PLACE).ends(0);
    fleet.isobar("apply").ends(0);
}
