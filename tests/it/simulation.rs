//! A few of the seeded stories that `cargo run --release --example simulate` plays by the million, and what keeps them honest.

#[path = "../simulation/mod.rs"]
mod stories;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use stories::{Case, Grounds, Piece, Played, replay, shrink, tell};

/// Seeds in one test: less than a second, unoptimised. CI plays two thousand besides.
const SEEDS: u64 = 12;

fn holds(from: u64) {
    let mut grounds = Grounds::default();
    let (mut rollouts, mut entries) = (0, 0);
    for seed in from..from + SEEDS {
        let played = replay(&mut grounds, seed, &BTreeSet::new(), false);
        assert!(played.broken.is_empty(), "{}", tell(&mut grounds, seed));
        rollouts += played.rollouts;
        entries += played.entries;
    }
    assert!(rollouts as u64 > SEEDS && entries > 10 * rollouts, "{rollouts} rollouts, {entries} entries");
}

#[test]
fn promises_hold_in_a_made_up_world() {
    holds(0);
}

#[test]
fn promises_hold_in_another_made_up_world() {
    holds(10_000);
}

/// Stories in which the checker and the rollout once said different things of what was passed over.
#[test]
fn what_a_hold_or_a_tolerated_failure_passed_over_holds_up_nobody_else() {
    let mut grounds = Grounds::default();
    for seed in [225, 1_283, 12_143] {
        let played = replay(&mut grounds, seed, &BTreeSet::new(), false);
        assert!(played.broken.is_empty(), "{}", tell(&mut grounds, seed));
    }
}

/// A story in which a shard went on with an older commit when it had brought what it had begun, over what somebody applied meanwhile; and
/// one in which the checker asked a run to know what others wrote after its own last entry.
#[test]
fn a_shard_that_is_overtaken_puts_nothing_older_over_what_came() {
    let mut grounds = Grounds::default();
    for seed in [83_225, 27_409] {
        let played = replay(&mut grounds, seed, &BTreeSet::new(), false);
        assert!(played.broken.is_empty(), "{}", tell(&mut grounds, seed));
    }
}

/// A story in which a run that takes everything drove one rollout for so long that shards brought the next to its end, which it then told
/// as one that waits.
#[test]
fn what_others_ended_meanwhile_is_not_driven_again() {
    let played = replay(&mut Grounds::default(), 183_111, &BTreeSet::new(), false);
    assert!(played.broken.is_empty(), "{}", tell(&mut Grounds::default(), 183_111));
}

/// Stories in which a shard and a run that takes everything once began in the same moment, and both planned.
#[test]
fn shards_plan_once_whoever_else_comes() {
    let mut grounds = Grounds::default();
    for seed in [125, 646] {
        let played = replay(&mut grounds, seed, &BTreeSet::new(), false);
        assert!(played.broken.is_empty(), "{}", tell(&mut grounds, seed));
        let case = Case::of(seed, grounds.of(seed), &BTreeSet::new()).to_string();
        assert!(case.contains(" runs as shard "), "{case}");
    }
}

#[test]
fn a_seed_plays_the_same_story_every_time() {
    for seed in [3, 25, 1_598] {
        let play = || replay(&mut Grounds::default(), seed, &BTreeSet::new(), true).told;
        let first = play();
        assert!(first.len() > 10, "{first:?}");
        assert_eq!(first, play());
    }
}

#[test]
fn a_story_is_shrunk_to_what_it_cannot_do_without() {
    let failing = |played: &Played| played.told.iter().any(|line| line.contains("Failed("));
    let mut grounds = Grounds::default();
    let found = |seed: &u64| failing(&replay(&mut Grounds::default(), *seed, &BTreeSet::new(), true));
    let seed = (0..200).find(found).expect("some story has a failure");
    let without = shrink(&mut grounds, seed, failing);
    let left = Case::of(seed, grounds.of(seed), &without).pieces(&without);
    assert!(failing(&replay(&mut grounds, seed, &without, true)), "it still fails");
    for piece in &left {
        let less: BTreeSet<Piece> = without.iter().chain([piece]).copied().collect();
        assert!(!failing(&replay(&mut grounds, seed, &less, true)), "{piece} could go as well");
    }
    let whole = Case::of(seed, grounds.of(seed), &BTreeSet::new()).pieces(&BTreeSet::new()).len();
    assert!(left.len() < whole && left.len() <= 4, "{} of {whole} pieces are left", left.len());
}

/// `tests/planted/run` applies them one at a time; until then they must not rot.
#[test]
fn every_planted_bug_still_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bugs = 0;
    for entry in fs::read_dir(root.join("tests/planted")).expect("the planted bugs") {
        let path = entry.expect("it is listed").path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let (patch, name) = (fs::read_to_string(&path).expect("a patch is text"), path.display());
        assert!(patch.lines().next().is_some_and(|line| line.ends_with('.')), "{name} begins with what it breaks");
        let file = patch.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap_or_else(|| panic!("{name} names no file"));
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
        for hunk in patch.split("\n@@ ").skip(1) {
            let lines = hunk.lines().skip(1).filter(|line| line.starts_with([' ', '-']) || line.is_empty());
            let before: Vec<&str> = lines.map(|line| line.get(1..).unwrap_or_default()).collect();
            let before = before.join("\n");
            assert!(text.contains(before.trim_end()), "{name} does not fit {file} any more:\n{before}");
        }
        bugs += 1;
    }
    assert_eq!(bugs, 16);
}
