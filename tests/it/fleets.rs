//! The fleets that teach: each is plain YAML, says what it teaches, and becomes a repository.

use crate::support::{Sandbox, fixtures, tree};
use std::fs;

/// Names of the fixtures, sorted.
fn fleets() -> Vec<String> {
    let entries = fs::read_dir(fixtures()).expect("there are fixtures").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_fleet_says_what_it_teaches() {
    for fleet in fleets() {
        let text = fs::read_to_string(fixtures().join(&fleet).join("isobar.yaml")).unwrap_or_default();
        let lesson = text.lines().find_map(|line| line.strip_prefix("# Teaches: "));
        assert!(
            lesson.is_some_and(|lesson| lesson.ends_with('.')),
            "fixtures/fleets/{fleet}/isobar.yaml does not say `# Teaches: …`"
        );
    }
}

#[test]
fn every_fleet_is_one_commit_and_leaves_nothing_to_commit_after_an_apply() {
    for fleet in fleets() {
        let sandbox = Sandbox::fleet(&fleet);
        let committed = sandbox.live("");
        for (path, text) in tree(&fixtures().join(&fleet)) {
            assert_eq!(committed.get(&path), Some(&text), "{fleet}: {path}");
        }
        sandbox.file("live/prod/a/app.yaml", "published\n").file(".isobar/journal/entries.jsonl", "{}\n");
        assert_eq!(sandbox.dirty(), [""; 0], "{fleet}");
    }
}
