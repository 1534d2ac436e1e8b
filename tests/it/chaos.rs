//! Several processes bring one fleet and are killed one after the other, in the middle of whatever they do: whoever is left, or comes
//! next, does the rest, in every kind of journal.

use crate::support::cloud::google;
use crate::support::{Sandbox, app};
use std::process::{Child, Stdio};
use std::time::Duration;

const SHARDS: usize = 6;
/// Processes that are killed, in one story.
const KILLS: u64 = 14;

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

fn kill_again_and_again(fleet: &Sandbox, seed: u64) {
    let mut dice = Dice(seed);
    let mut shards: Vec<Child> = (1..=SHARDS).map(|nth| start(fleet, nth)).collect();
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_micros(dice.below(150_000)));
        let nth = dice.below(SHARDS as u64) as usize;
        shards[nth].kill().and_then(|()| shards[nth].wait()).expect("it is our child");
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
}

fn seeds() -> std::ops::Range<u64> {
    0..fuzz::factor() as u64
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_a_directory() {
    seeds().for_each(|seed| kill_again_and_again(&fleet("file:.isobar/journal"), seed));
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_git() {
    seeds().for_each(|seed| kill_again_and_again(&fleet("git"), seed));
}

#[test]
fn shards_that_are_killed_again_and_again_bring_the_fleet_with_a_journal_in_a_bucket() {
    for seed in seeds() {
        let cloud = google();
        let journal = format!("{}/chaos/{}-{seed}", cloud.url, std::process::id());
        let fleet = fleet(&journal);
        let fleet = cloud.variables.iter().fold(fleet, |fleet, (name, value)| fleet.env(name, value));
        kill_again_and_again(&fleet, seed);
    }
}
