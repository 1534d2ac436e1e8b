//! The same input gives the same bytes, at any parallelism.

use crate::support::Sandbox;

/// All forms of one preview.
fn forms(fleet: &Sandbox, parallel: &str) -> [String; 3] {
    let file = fleet.outside("comment.md");
    let at = fleet.now_ms();
    let json = fleet.run(&["preview", "--json", "--parallel", parallel, "--markdown", &file]).ends(0).stdout;
    fleet.set_now_ms(at);
    let text = fleet.run(&["preview", "--parallel", parallel]).ends(0).stdout;
    fleet.set_now_ms(at);
    [json, text, std::fs::read_to_string(&file).expect("a comment")]
}

#[test]
fn the_same_preview_at_parallel_1_and_16_twice_is_byte_identical() {
    let fleet = Sandbox::fleet("demo");
    let first = forms(&fleet, "1");
    assert!(first[0].contains("\"digest\""));
    for parallel in ["1", "16", "16"] {
        assert_eq!(forms(&fleet, parallel), first, "--parallel {parallel}");
    }
}

#[test]
fn the_same_repository_elsewhere_has_the_same_digests() {
    let digests = || {
        let json = Sandbox::fleet("demo").isobar("preview --json").ends(0).json();
        let digests = json["targets"].as_array().expect("targets").iter().map(|target| target["digest"].to_string());
        digests.collect::<Vec<_>>()
    };
    let (one, other) = (digests(), digests());
    assert_eq!((one.len(), one == other), (18, true));
}

#[test]
fn the_journal_of_the_same_story_tells_the_same() {
    let facts = || {
        let fleet = Sandbox::fleet("demo");
        fleet.approved_apply("grace");
        let fact = |mut entry: serde_json::Value| {
            ["at_ms", "run", "prev", "hash", "seq", "more"].iter().for_each(|key| entry[key] = 0.into());
            entry.to_string()
        };
        let mut facts: Vec<String> = fleet.journal_lines().into_iter().map(fact).collect();
        facts.sort(); // which of two targets at once was first is chance
        facts
    };
    assert_eq!(facts(), facts());
}
