//! The journal as a ref of the repository: clones that know of each other only what they pushed.

use crate::support::{APPROVALS, Access, GitServer, Sandbox, app, program};
use git2::Repository;
use serde_json::Value;
use std::path::Path;

const FILE: &str = "journal: file:.isobar/journal";

/// Two regions, the journal in a ref, and a bare `origin`.
fn published(more: &str) -> (Sandbox, std::path::PathBuf) {
    let fleet = app("prod/a prod/b", more);
    fleet.edit("isobar.yaml", FILE, "journal: git").commit("The journal goes along");
    let bare = fleet.publish();
    (fleet, bare)
}

/// The entries of a journal in a bare repository.
fn entries(bare: &Path) -> Vec<Value> {
    let repository = Repository::open(bare).expect("it was made");
    let Ok(tip) = repository.refname_to_id("refs/isobar/journal") else { return Vec::new() };
    let tree = repository.find_commit(tip).and_then(|commit| commit.tree()).expect("a tree");
    let mut text = String::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |_, entry| {
        if entry.name().is_ok_and(|name| name.ends_with(".jsonl")) {
            let blob = repository.find_blob(entry.id()).expect("it is there");
            text.push_str(std::str::from_utf8(blob.content()).expect("it is text"));
        }
        git2::TreeWalkResult::Ok
    })
    .expect("it can be walked");
    text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

fn count(bare: &Path, event: &str) -> usize {
    entries(bare).iter().filter(|entry| entry["event"] == event).count()
}

/// Makes every lease one of another machine, which nobody here can look at.
fn carry_leases_away(bare: &Path) {
    let repository = Repository::open_bare(bare).expect("it was made");
    let parent = repository.refname_to_id("refs/isobar/journal").and_then(|tip| repository.find_commit(tip)).expect("a journal");
    let tree = parent.tree().expect("a tree");
    let leases = tree.get_name("leases").and_then(|dir| repository.find_tree(dir.id()).ok()).expect("somebody writes");
    let mut update = git2::build::TreeUpdateBuilder::new();
    for lease in &leases {
        let blob = repository.find_blob(lease.id()).expect("it is there");
        let mut held: Value = serde_json::from_slice(blob.content()).expect("a lease");
        held["trace"]["boot"] = "of another machine".into();
        let blob = repository.blob(held.to_string().as_bytes()).expect("it has room");
        update.upsert(format!("leases/{}", lease.name().expect("a name")), blob, git2::FileMode::Blob);
    }
    let tree = update.create_updated(&repository, &tree).and_then(|id| repository.find_tree(id)).expect("it has room");
    let who = parent.author();
    repository.commit(Some("refs/isobar/journal"), &who, &who, "Elsewhere", &tree, &[&parent]).expect("it has room");
}

#[test]
fn what_one_clone_applied_another_sees() {
    let (fleet, bare) = published("");
    let other = Sandbox::clone_of(&bare);
    other.isobar("status").ends(0).says("2 never applied");
    fleet.isobar("apply").ends(0);
    other.isobar("status").ends(0).says("All 2 targets applied");
    other.pass_secs(60).isobar("pause --reason lunch").ends(0);
    fleet.isobar("status").ends(0).says("paused by ada: lunch");
    assert!(fleet.dirty().is_empty() && other.dirty().is_empty());
    assert!(!fleet.root().join(".isobar").exists());

    let newest = Sandbox::clone_of(&bare);
    assert_eq!(newest.refs(), ["refs/heads/main", "refs/remotes/origin/main"], "an ordinary fetch brings nothing of it");
}

#[test]
fn previews_and_approvals_go_along() {
    let (fleet, bare) = published(crate::support::APPROVALS);
    fleet.isobar("preview").ends(0);
    let refs = Repository::open_bare(&bare).expect("it was made");
    let previews = refs.references_glob("refs/isobar/previews/*").expect("readable").count();
    assert_eq!(previews, 1);
    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(count(&bare, "cleared"), 2);
}

#[test]
fn a_journal_in_git_is_sealed_proven_exported_and_compacted() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    let fleet = fleet.env("ISOBAR_KEY", "the first key, long enough to be one");
    fleet.isobar("status").ends(1).says("no entry of the journal is sealed").says("isobar audit seal");
    fleet.isobar("audit seal").ends(0);
    let other = Sandbox::clone_of(&bare);
    other.isobar("pause --reason lunch").ends(1).says("the journal is sealed, and ISOBAR_KEY is not set");
    let mut other = other.env("ISOBAR_KEY", "the second key, long enough to be one");
    other.isobar("status").ends(1).says("sealed by another key than ISOBAR_KEY");
    other = other.env("ISOBAR_KEY_BEFORE", "the first key, long enough to be one");
    other.isobar("audit seal").ends(0);
    other.isobar("audit verify").ends(0).says("1 checkpoint holds").says("ISOBAR_KEY sealed the newest");
    assert_eq!(other.isobar("audit export").ends(0).stdout.lines().count(), 2, "one row an apply of a target");

    let before = entries(&bare).len();
    let other = other.pass_secs(90 * 86_400);
    other.isobar("audit compact --before 1d").ends(0).says("are gone");
    assert!(entries(&bare).len() < before);
    other.isobar("audit verify").ends(0).says("were compacted away");
    other.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_line_that_was_changed_in_git_is_found() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    let repository = Repository::open_bare(&bare).expect("it was made");
    let parent = repository.refname_to_id("refs/isobar/journal").and_then(|tip| repository.find_commit(tip)).expect("a journal");
    let tree = parent.tree().expect("a tree");
    let path = "entries-000000/000000000001.jsonl";
    let blob = tree.get_path(Path::new(path)).and_then(|file| repository.find_blob(file.id())).expect("entries");
    let text = std::str::from_utf8(blob.content()).expect("text").replacen("ada", "eve", 1);
    let blob = repository.blob(text.as_bytes()).expect("it has room");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert(path, blob, git2::FileMode::Blob);
    let tree = update.create_updated(&repository, &tree).and_then(|id| repository.find_tree(id)).expect("it has room");
    let who = parent.author();
    repository.commit(Some("refs/isobar/journal"), &who, &who, "Forged", &tree, &[&parent]).expect("it has room");

    fleet.isobar("status").ends(1).says("the journal is broken");
    fleet.isobar("audit verify").ends(2).says(path).says("the line was changed after it was written").says("next: restore");
}

#[test]
fn a_repository_without_origin_keeps_its_own() {
    let fleet = app("prod/a", "");
    fleet.edit("isobar.yaml", FILE, "journal: git").commit("The journal goes along");
    fleet.isobar("apply").ends(0);
    assert_eq!(count(&fleet.root(), "applied"), 1);
    assert!(fleet.dirty().is_empty());

    // An origin that knows nothing of it does not make it forgotten.
    let bare = fleet.publish();
    fleet.isobar("status").ends(64).says("git push origin refs/isobar/journal:refs/isobar/journal");
    let own = Repository::open(fleet.root()).expect("it is one");
    let mut origin = own.find_remote("origin").expect("it was just named");
    origin.push(&["refs/isobar/journal:refs/isobar/journal"], None).expect("it has room");
    fleet.isobar("status").ends(0).says("All 1 target applied");
    assert_eq!(count(&bare, "applied"), 1);
}

#[test]
fn a_yes_is_about_what_was_shown_here_whatever_others_looked_at_meanwhile() {
    let (fleet, bare) = published(APPROVALS);
    fleet.approved_apply("bob").ends(0);
    let other = Sandbox::clone_of(&bare);
    other.version(1, 66);
    fleet.version(1, 2);
    fleet.isobar("preview").ends(0).says("version: 2");
    other.pass_secs(600);
    other.isobar("preview").ends(0).says("version: 66");
    fleet.isobar("judge --review bob=approve").ends(0).says("version: 2");
    other.isobar("apply").ends(3);
    fleet.isobar("apply").ends(0);
}

/// Two regions, the journal in a repository of its own, and a bare `origin`.
fn kept_apart() -> (Sandbox, std::path::PathBuf) {
    let fleet = app("prod/a prod/b", "");
    let state = std::path::PathBuf::from(fleet.outside("state.git"));
    Repository::init_bare(&state).expect("it has room");
    fleet.edit("isobar.yaml", FILE, "journal: git:../state.git").commit("The journal is kept apart");
    fleet.publish();
    (fleet, state)
}

fn delete_journal(of: &Path) {
    let repository = Repository::open(of).expect("it is one");
    repository.find_reference("refs/isobar/journal").and_then(|mut journal| journal.delete()).expect("it was there");
}

/// Makes the ref of a journal name a commit with these files and with nothing before it, as somebody who may force a push can.
fn overwrite_journal(of: &Path, files: &[(&str, &str)]) {
    let repository = Repository::open(of).expect("it is one");
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, text) in files {
        update.upsert(*path, repository.blob(text.as_bytes()).expect("it has room"), git2::FileMode::Blob);
    }
    let none = repository.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| repository.find_tree(id));
    let tree = update.create_updated(&repository, &none.expect("it has room")).and_then(|id| repository.find_tree(id));
    let who = git2::Signature::new("eve", "eve@acme.test", &git2::Time::new(0, 0)).expect("a name");
    let commit = repository.commit(None, &who, &who, "By hand", &tree.expect("it has room"), &[]).expect("it has room");
    repository.reference("refs/isobar/journal", commit, true, "by hand").expect("it has room");
}

/// A tree as a first run leaves it that ended before its first entry.
const WITHOUT_ENTRIES: &[(&str, &str)] = &[("epoch", "1\n")];

/// Every command stops, until the note that it names is deleted.
fn is_not_begun_anew(fleet: &Sandbox, what: &str) {
    for line in ["status", "preview", "apply", "audit verify"] {
        fleet.isobar(line).ends(1).says(what);
    }
    let ran = fleet.isobar("apply").ends(1);
    let note = ran.stderr.split_once("delete ").map(|(_, note)| note.trim().to_string()).unwrap_or_default();
    std::fs::remove_file(&note).expect("the note that was named");
    fleet.isobar("apply").ends(0);
}

#[test]
fn a_journal_in_a_repository_of_its_own_stops_nobody() {
    let (fleet, _state) = kept_apart();
    for line in ["apply", "status", "preview", "status"] {
        fleet.isobar(line).ends(0);
    }
    for place in [FILE, "journal: git"] {
        fleet.edit("isobar.yaml", "journal: git:../state.git", place).commit("It counts until it is moved");
        fleet.isobar("status").ends(0).says("All 2 targets applied");
        fleet.edit("isobar.yaml", place, "journal: git:../state.git").commit("Kept apart, after all");
    }
}

#[test]
fn a_journal_in_a_repository_of_its_own_is_not_begun_anew_when_its_ref_is_gone() {
    let (fleet, state) = kept_apart();
    fleet.isobar("apply").ends(0);
    delete_journal(&state);
    is_not_begun_anew(&fleet, "is gone from");

    // Neither at a place that a later commit names.
    fleet.edit("isobar.yaml", "journal: git:../state.git", FILE).commit("In a directory");
    delete_journal(&state);
    is_not_begun_anew(&fleet, "is gone from");
}

#[test]
fn a_journal_that_is_overwritten_by_one_without_entries_is_not_begun_anew() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    overwrite_journal(&bare, WITHOUT_ENTRIES);
    is_not_begun_anew(&fleet, "no entry is in the journal at");

    let (fleet, state) = kept_apart();
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "journal: git:../state.git", FILE).commit("In a directory");
    overwrite_journal(&state, WITHOUT_ENTRIES);
    is_not_begun_anew(&fleet, "no entry is in the journal at");
}

#[test]
fn what_is_no_journal_never_passes_as_an_empty_one() {
    let (fleet, bare) = published(APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("isobar.yaml", APPROVALS, "").commit("No policy");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3);
    let repository = Repository::open_bare(&bare).expect("it was made");
    let kept = repository.refname_to_id("refs/isobar/journal").expect("a journal");
    let main = repository.revparse_single("refs/heads/main").expect("a branch");
    let tag = repository.tag("v1", &main, &main.peel_to_commit().expect("one").author(), "One", false).expect("it has room");

    let stops = |fleet: &Sandbox, what: &str| {
        for line in ["status", "preview", "apply"] {
            fleet.isobar(line).ends(1).says("the journal is broken").says(what).keeps_quiet_about("Gate open");
        }
        let verified = fleet.isobar("audit verify").ends(2).says(what).says("what stands at the ref is no journal");
        verified.keeps_quiet_about("compacted");
    };
    for (id, what) in [(main.id(), "no entries"), (tag, "a tag")] {
        repository.reference("refs/isobar/journal", id, true, "by hand").expect("it has room");
        stops(&fleet, what);
    }
    let trees: [(&[_], _); 6] = [
        (&[], "no entries"),
        (&[("bases/000000000009.json", "{}"), ("epoch", "1\n")], "no entries"),
        (&[("leases", "a file"), ("epoch", "1\n")], "is no directory"),
        (&[("epoch/number", "1\n")], "its epoch is no file"),
        (&[("entries-000000/000000000001.jsonl/1", ""), ("epoch", "1\n")], "000000000001.jsonl among the entries is no file"),
        (&[("entries-000000/000000000001.jsonl", "")], "no line"),
    ];
    for (files, what) in trees {
        overwrite_journal(&bare, files);
        for line in ["status", "apply"] {
            fleet.isobar(line).ends(1).says("the journal is broken").says(what).keeps_quiet_about("there is no git repository");
        }
        fleet.isobar("audit verify").ends(2).says(what);
    }
    Sandbox::clone_of(&bare).isobar("status").ends(1).says("no line");
    repository.reference("refs/isobar/journal", kept, true, "put back").expect("it has room");
    fleet.isobar("apply").ends(3);
}

#[test]
fn a_place_that_holds_something_else_than_the_journal_that_was_there_stops_whoever_moved_on() {
    let (fleet, state) = kept_apart();
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "journal: git:../state.git", FILE).commit("In a directory");
    overwrite_journal(&state, &[("README.md", "Not a journal.\n")]);
    for line in ["status", "preview", "apply"] {
        fleet.isobar(line).ends(1).says("the journal is broken").says("README.md");
    }
    fleet.run(&["recover", "--give-up", "git:../state.git", "--reason", "no use"]).says("can be looked at").ends(64);
}

#[test]
fn an_origin_that_is_gone_for_good_says_how_to_go_on() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    std::fs::remove_dir_all(&bare).expect("it was there");
    fleet.isobar("status").ends(1).says("name another place there first, and commit that");
    fleet.edit("isobar.yaml", "journal: git", FILE).commit("In a directory");
    fleet.isobar("status").ends(1).says("when it is gone for good: isobar recover --give-up git --reason");
    fleet.run(&["recover", "--give-up", "git", "--reason", "its disk is lost"]).ends(0);
    fleet.isobar("status").ends(0).says("2 never applied");
}

#[test]
fn a_journal_that_was_at_origin_is_not_begun_anew_in_a_clone_without_origin() {
    let (fleet, _bare) = published("");
    fleet.isobar("apply").ends(0);
    let own = Repository::open(fleet.root()).expect("it is one");
    own.remote_delete("origin").expect("it was there");
    is_not_begun_anew(&fleet, "has seen one at");
    delete_journal(&fleet.root());
    is_not_begun_anew(&fleet, "is gone from");
}

#[test]
fn a_journal_that_this_clone_has_seen_is_not_begun_anew_where_it_is_not() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    let elsewhere = bare.with_file_name("elsewhere.git");
    Repository::init_bare(&elsewhere).expect("it has room");
    let own = Repository::open(fleet.root()).expect("it is one");
    own.remote_set_url("origin", elsewhere.to_str().expect("a text")).expect("it can be written");
    for line in ["status", "preview", "apply", "audit verify"] {
        fleet.isobar(line).ends(1).says("no journal is at").says("has seen one at").says("push the ref");
    }
    own.remote_set_url("origin", bare.to_str().expect("a text")).expect("it can be written");
    fleet.isobar("status").ends(0).says("All 2 targets applied");

    delete_journal(&bare);
    is_not_begun_anew(&fleet, "is gone from");
}

#[test]
fn the_history_of_a_directory_counts_until_somebody_moves_it() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let bare = fleet.publish();
    fleet.edit("isobar.yaml", FILE, "journal: git").commit("The journal goes along");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!((fleet.events("applied").len(), count(&bare, "applied")), (2, 0));
}

#[test]
fn of_two_refs_that_were_named_the_one_that_holds_history_counts() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "journal: git", "journal: git:#refs/isobar/other").commit("Another journal");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!(count(&bare, "applied"), 4);
    let repository = Repository::open_bare(&bare).expect("it was made");
    let tip = repository.refname_to_id("refs/isobar/journal").expect("a journal");
    repository.reference("refs/isobar/other", tip, false, "by hand").expect("it has room");
    fleet.isobar("status").ends(64).says("history lies in two places");
}

#[test]
fn of_two_applies_at_once_each_target_is_brought_once_and_the_loser_says_who_holds() {
    let gate = "gates: [{ command: [sh, -c, \"[ -e asked ] || { touch asked; until [ -e go ]; do sleep 0.02; done; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let (fleet, bare) = published(&waves);
    fleet.edit(".gitignore", "/live/", "/live/\n/asked\n/go").commit("Ignore");
    fleet.push_to(&bare);
    let other = Sandbox::clone_of(&bare);
    let mut first = fleet.start(&["apply"]);
    fleet.await_file("asked", &mut first);

    other.isobar("apply").ends(1).says("is being written by run").says("isobar status");
    other.isobar("status").ends(0).says("Writing now");
    fleet.file("go", "");
    assert!(first.wait().expect("it is our child").success());
    other.isobar("status").ends(0).says("All 2 targets applied").keeps_quiet_about("Writing now");
    assert_eq!(count(&bare, "applied"), 2);
}

/// A fleet whose apply was killed in the gate of its first wave.
fn killed() -> (Sandbox, std::path::PathBuf) {
    let gate = "gates: [{ command: [sh, -c, \"[ -e killed ] || { touch killed; kill -9 $PPID; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let (fleet, bare) = published(&waves);
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    fleet.push_to(&bare);
    fleet.isobar("apply").ends(137);
    (fleet, bare)
}

#[test]
fn what_a_killed_run_held_is_free_where_its_end_can_be_proven() {
    let (fleet, bare) = killed();
    let other = Sandbox::clone_of(&bare);
    other.file("killed", "").isobar("status").ends(0).keeps_quiet_about("Writing now");
    fleet.pass_secs(1).isobar("apply").ends(0);
    assert_eq!(count(&bare, "applied"), 2);
}

#[test]
fn what_a_run_on_another_machine_held_is_freed_by_the_word_of_somebody() {
    let (_fleet, bare) = killed();
    carry_leases_away(&bare);
    let other = Sandbox::clone_of(&bare);
    other.file("killed", "").pass_secs(365 * 86_400);
    let refused = other.isobar("apply").ends(1).says("whether it lives cannot be proven from here, and time alone frees nothing");
    let command = refused.stderr.split("isobar recover --release ").nth(1).expect("the one command").to_string();
    let run = command.split_whitespace().next().expect("a run").to_string();

    let told = other.isobar("status").ends(0).says(&format!("isobar recover --release {run} --reason"));
    told.says("only when it is gone for good").says(&format!("run {run}, process ")).says("2 targets: app@prod/a, app@prod/b");
    let lease = &other.isobar("status --json").ends(0).json()["leases"][0];
    assert_eq!((lease["run"].as_str(), lease["first"][1].as_str()), (Some(&*run), Some("app@prod/b")));
    other.run(&["recover", "--release", &run, "--reason", "…"]).ends(64).says("in the place of the dots");

    other.isobar("recover --release nobody --reason gone").ends(1).says("no run nobody holds anything");
    other.run(&["recover", "--release", &run]).ends(64);
    other.run(&["recover", "--release", &run, "--reason", "its job was cancelled"]).ends(0).says("2 targets were taken from run");
    let freed: Vec<Value> = entries(&bare).into_iter().filter(|entry| entry["event"] == "freed").collect();
    assert_eq!((freed.len(), &freed[0]["by"], &freed[0]["reason"]), (1, &"ada".into(), &"its job was cancelled".into()));
    assert_eq!(freed[0]["of"], run.as_str());
    other.isobar("apply").ends(0);
    other.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_run_that_is_refused_leaves_no_lease_that_nobody_could_prove_to_be_over() {
    let (fleet, bare) = published("");
    fleet.branch("old").checkout("main").version(1, 2);
    fleet.isobar("apply").ends(0);
    let leases = || {
        let repository = Repository::open_bare(&bare).expect("it was made");
        let tip = repository.refname_to_id("refs/isobar/journal").and_then(|tip| repository.find_commit(tip)).expect("a journal");
        let tree = tip.tree().expect("a tree");
        let dir = tree.get_name("leases").and_then(|dir| repository.find_tree(dir.id()).ok());
        dir.map_or(0, |leases| leases.len())
    };
    assert_eq!(leases(), 0);
    fleet.checkout("old").isobar("apply").ends(1).says("older code is never put over newer");
    assert_eq!(leases(), 0, "an older head");
    fleet.checkout("main").isobar("apply --review ada=approve@00000000").ends(64).says("no digest that was shown");
    assert_eq!(leases(), 0, "a decision about nothing");
}

#[test]
fn a_push_that_finds_no_room_leaves_the_journal_as_it_was() {
    let (fleet, bare) = published("");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    let before = entries(&bare);
    let limited = "ulimit -f 0; exec \"$0\" apply"; // no file may have a byte
    let ran = fleet.finish(fleet.command("/bin/sh").args(["-c", limited, program()]));
    assert_ne!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(entries(&bare), before);
    fleet.pass_secs(1).isobar("apply").ends(0);
    assert_eq!(count(&bare, "applied"), 4);
}

const TOKEN: &str = "ghs_0123456789";
const AUTHORIZATION: &str = "basic eC1hY2Nlc3MtdG9rZW46Z2hzXzAxMjM0NTY3ODk="; // x-access-token and the token

/// A clone whose `origin` is behind http, which keeps no credentials and is given a token.
fn behind_http(access: Access) -> Option<(Sandbox, std::path::PathBuf, GitServer)> {
    let (fleet, bare) = published("");
    let server = GitServer::start(bare.parent().expect("a directory"), AUTHORIZATION, access)?;
    fleet.set_origin(&format!("{}/origin.git", server.url()));
    let fleet = fleet.env("GITHUB_TOKEN", TOKEN).env("GITHUB_SERVER_URL", server.url());
    Some((fleet, bare, server))
}

#[test]
fn a_journal_behind_http_is_reached_with_the_token_of_the_environment() {
    let Some((fleet, bare, server)) = behind_http(Access::Write) else { return };
    fleet.isobar("doctor").says("the journal can be written to");
    let ran = fleet.isobar("apply").ends(0);
    assert_eq!(count(&bare, "applied"), 2);
    let once = server.requests();

    let other = Sandbox::clone_of(&bare).env("GITHUB_TOKEN", TOKEN).env("GITHUB_SERVER_URL", server.url());
    other.set_origin(&format!("{}/origin.git", server.url()));
    other.isobar("status").ends(0).says("All 2 targets applied");
    assert!(server.requests() - once <= 8, "a status asked {} times", server.requests() - once);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!(count(&bare, "applied"), 4);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(TOKEN));
}

#[test]
fn a_token_that_may_only_read_is_told_which_permission_is_missing() {
    let Some((fleet, bare, _server)) = behind_http(Access::Read) else { return };
    fleet.isobar("status").ends(0).says("2 never applied");
    fleet.isobar("apply").ends(1).says("permissions: contents: write").says("not granted").keeps_quiet_about(TOKEN);
    fleet.isobar("doctor").ends(2).says("permissions: contents: write");
    assert!(entries(&bare).is_empty() && fleet.live("live").is_empty());
}

#[test]
fn without_a_token_the_journal_says_what_to_give_it() {
    let Some((mut fleet, _bare, _server)) = behind_http(Access::Write) else { return };
    fleet.without_env("GITHUB_TOKEN");
    fleet.isobar("status").ends(1).says("GITHUB_TOKEN in the environment");
}

#[test]
fn a_journal_behind_http_that_is_overwritten_never_passes_as_an_empty_one() {
    let Some((fleet, bare, _server)) = behind_http(Access::Write) else { return };
    fleet.isobar("pause --reason lunch").ends(0);
    overwrite_journal(&bare, WITHOUT_ENTRIES);
    fleet.isobar("status").ends(1).says("no entry is in the journal at");
    let repository = Repository::open_bare(&bare).expect("it was made");
    let main = repository.revparse_single("refs/heads/main").expect("a branch");
    let tag = repository.tag("v1", &main, &main.peel_to_commit().expect("one").author(), "One", false).expect("it has room");
    for (id, what) in [(main.id(), "no entries"), (tag, "a tag")] {
        repository.reference("refs/isobar/journal", id, true, "by hand").expect("it has room");
        fleet.isobar("status").ends(1).says("the journal is broken").says(what);
    }
}

#[test]
fn an_origin_behind_http_that_is_gone_says_how_to_go_on() {
    let Some((fleet, bare, _server)) = behind_http(Access::Write) else { return };
    std::fs::remove_dir_all(&bare).expect("it was there");
    fleet.isobar("status").ends(1).says("name another place there first, and commit that");
}

#[test]
fn who_may_only_read_goes_on_without_a_place_that_was_given_up_by_the_key() {
    let (fleet, bare) = published("");
    let Some(server) = GitServer::start(bare.parent().expect("a directory"), AUTHORIZATION, Access::Read) else { return };
    fleet.edit("isobar.yaml", "journal: git", "journal: git:../gone.git").commit("Elsewhere");
    fleet.edit("isobar.yaml", "journal: git:../gone.git", "journal: git").commit("In origin again");
    let fleet = fleet.env("ISOBAR_KEY", "0123456789abcdef0123456789abcdef");
    fleet.run(&["recover", "--give-up", "git:../gone.git", "--reason", "its disk is lost"]).ends(0);

    fleet.push_to(&bare);
    let reader = Sandbox::clone_of(&bare).env("ISOBAR_KEY", "0123456789abcdef0123456789abcdef");
    reader.set_origin(&format!("{}/origin.git", server.url()));
    let reader = reader.env("GITHUB_TOKEN", TOKEN).env("GITHUB_SERVER_URL", server.url());
    reader.isobar("status").ends(0).says("Journal places given up");
}
