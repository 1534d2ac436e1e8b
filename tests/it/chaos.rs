//! Several processes bring one fleet and are killed one after the other, in the middle of whatever they do: whoever is left, or comes
//! next, does the rest, in every kind of journal.

use crate::support::cloud::google;
use crate::support::{Sandbox, app};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

const SHARDS: usize = 6;
/// How often somebody is to be killed, in one story: who had ended before is not.
const KILLS: u64 = 14;
const SIGKILL: i32 = 9;

/// Numbers that are the same in every run, though what they meet is not.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[path = "support/fuzz.rs"]
mod fuzz;

/// Three stacks of which one needs another, in eight regions and two waves.
fn fleet(journal: &str) -> Sandbox {
    let regions: Vec<String> = (0..8).map(|nth| format!("prod/r{nth}")).collect();
    let waves = "waves: [{ name: first, regions: [r0, r1] }, { name: rest, regions: \"*\" }]";
    let fleet = app(&regions.join(" "), &format!("rollout: {{ prod: {{ {waves} }} }}"));
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.txt", "web 1\n");
    fleet.stack("api", "").file("api/templates/api.txt", "api 1\n");
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", &format!("journal: {journal}")).commit("More");
    fleet
}

fn start(fleet: &Sandbox, nth: usize) -> Child {
    let mut program = fleet.program();
    program.args(["apply", "--parallel", "2", "--shard", &format!("{nth}/{SHARDS}")]);
    program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Returns how many were killed before they had ended.
fn kill_again_and_again(fleet: &Sandbox, seed: u64) -> usize {
    let mut dice = Dice(seed);
    let mut shards: Vec<Child> = (1..=SHARDS).map(|nth| start(fleet, nth)).collect();
    let mut killed = 0;
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_micros(dice.below(150_000)));
        let nth = dice.below(SHARDS as u64) as usize;
        let ended = shards[nth].kill().and_then(|()| shards[nth].wait()).expect("it is our child");
        killed += usize::from(ended.signal() == Some(SIGKILL));
        shards[nth] = start(fleet, nth + 1);
    }
    for shard in shards {
        let ended = shard.wait_with_output().expect("it is our child");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(matches!(ended.status.code(), Some(0 | 2 | 3)), "seed {seed}: {}: {said}", ended.status);
    }
    fleet.isobar("recover").ends(0);
    fleet.isobar("apply").ends(0);
    let status = fleet.isobar("status --json").ends(0).json();
    let states = status["targets"].as_array().into_iter().flatten().map(|row| row["state"].to_string());
    assert_eq!(states.collect::<Vec<_>>(), vec!["\"applied\""; 24], "seed {seed}");
    fleet.isobar("audit verify").ends(0);
    fleet.isobar("drift").ends(0);
    let repeated = repeated(&fleet.entries());
    assert!(repeated.is_empty(), "seed {seed}: {repeated:?}");
    assert!(killed > 0, "seed {seed}: all had ended before they were killed");
    killed
}

/// Documents of a target that is killed while it is brought.
const MANY: usize = 300;

/// One shard is killed in its engine, and its lease lies there; whoever comes next brings what it had begun.
fn kill_one_in_its_engine(fleet: &Sandbox) {
    for nth in 0..MANY {
        fleet.file(&format!("api/templates/{nth:03}.txt"), "api 1\n");
    }
    fleet.commit("Many");
    let mut first = start(fleet, 1);
    let begun = || fleet.root().join("live/prod/r0/api/000.txt").exists();
    fleet.await_that("its first document", &mut first, begun);
    let ended = first.kill().and_then(|()| first.wait()).expect("it is our child");
    assert_eq!(ended.signal(), Some(SIGKILL));

    let of = |entry: &Value, step: &str| entry["step"]["step"] == step && entry["step"]["target"] == "api@prod/r0";
    let count = |step: &str| fleet.entries().iter().filter(|entry| of(entry, step)).count();
    assert_eq!((count("started"), count("finished")), (1, 0), "it was in flight");
    let (runtime, world) = fleet.world(&[]);
    assert_eq!(runtime.block_on(world.store.holders()).expect("a journal").len(), 0, "the dead hold nothing");
    assert_eq!(leases(fleet).iter().filter(|lease| lease.contains("api@prod/r0")).count(), 1, "but their lease lies there");

    let others: Vec<Child> = (2..=3).map(|nth| start(fleet, nth)).collect();
    for other in others {
        let ended = other.wait_with_output().expect("it is our child");
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!((count("started"), count("finished")), (2, 1), "another brought it");
    assert_eq!(repeated(&fleet.entries()), Vec::<String>::new());
    fleet.isobar("drift").ends(0);
}

/// The leases that lie in a directory, or in the repository itself.
fn leases(fleet: &Sandbox) -> Vec<String> {
    if let Ok(files) = std::fs::read_dir(fleet.root().join(".isobar/journal/leases")) {
        return files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    }
    let repo = git2::Repository::open(fleet.root()).expect("it was made");
    let tip = repo.find_reference("refs/isobar/journal").and_then(|tip| tip.peel_to_tree()).expect("a journal");
    let lying = tip.get_name("leases").and_then(|dir| repo.find_tree(dir.id()).ok()).expect("somebody took one");
    let text = |blob: git2::Blob<'_>| String::from_utf8_lossy(blob.content()).into_owned();
    lying.iter().filter_map(|lease| repo.find_blob(lease.id()).map(text).ok()).collect()
}

/// Targets of one rollout that were started after they had ended, that ended twice, or that one run started twice: whoever takes up what
/// a dead one began is another run.
fn repeated(entries: &[Value]) -> Vec<String> {
    let (mut ended, mut started, mut repeated) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for entry in entries.iter().filter(|entry| entry["event"] == "step") {
        let target = format!("{} in {}", entry["step"]["target"], entry["rollout"]);
        let is_new = match entry["step"]["step"].as_str() {
            Some("started") => !ended.contains(&target) && started.insert(format!("{target} by {}", entry["run"])),
            Some("finished") => ended.insert(target),
            _ => true,
        };
        repeated.extend((!is_new).then(|| entry.to_string()));
    }
    repeated
}

/// Plays as many as are asked for, and tells how many were killed.
fn play(journal: &str, story: impl Fn(u64) -> usize) {
    let (killed, stories) = (seeds().map(story).sum::<usize>(), seeds().end);
    let _closed = writeln!(std::io::stderr(), "{journal}: {killed} killed of {} that were to be", stories * KILLS);
}

fn seeds() -> std::ops::Range<u64> {
    0..fuzz::factor() as u64
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_a_directory() {
    play("directory", |seed| kill_again_and_again(&fleet("file:.isobar/journal"), seed));
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_git() {
    play("git", |seed| kill_again_and_again(&fleet("git"), seed));
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_a_bucket() {
    play("bucket", |seed| {
        let cloud = google();
        let journal = format!("{}/chaos/{}-{seed}", cloud.url, std::process::id());
        let fleet = fleet(&journal);
        let fleet = cloud.variables.iter().fold(fleet, |fleet, (name, value)| fleet.env(name, value));
        kill_again_and_again(&fleet, seed)
    });
}

#[test]
fn a_target_that_was_in_flight_when_its_shard_died_is_brought_by_another() {
    ["file:.isobar/journal", "git"].iter().for_each(|journal| kill_one_in_its_engine(&fleet(journal)));
}

#[test]
fn what_was_repeated_is_found() {
    let step = |run: u32, step: &str| {
        let step = json!({ "step": step, "target": "app@prod/a" });
        json!({ "event": "step", "run": run, "rollout": "r1", "step": step })
    };
    let taken_up = [step(1, "started"), step(2, "started"), step(2, "finished")];
    assert_eq!(repeated(&taken_up), Vec::<String>::new());
    for more in [step(3, "started"), step(2, "finished"), step(2, "started")] {
        let entries: Vec<Value> = taken_up.iter().cloned().chain([more.clone()]).collect();
        assert_eq!(repeated(&entries), [more.to_string()]);
    }
    assert_eq!(repeated(&[step(1, "started"), step(1, "started")]).len(), 1);
}
