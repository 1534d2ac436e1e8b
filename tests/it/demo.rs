//! `isobar demo`: a pull request's life, played to its end.

use crate::support::Sandbox;
use std::path::Path;

#[test]
fn the_demo_plays_to_its_end_and_leaves_a_repository_without_drift() {
    let anywhere = Sandbox::empty();
    let into = anywhere.outside("demo");
    // The machine's own clock: it really runs on while the demo does.
    let demo = || anywhere.finish(anywhere.program().env_remove("ISOBAR_NOW_MS").args(["demo", "--no-pause", "--into", &into]));
    let ran = demo().ends(0);
    for said in ["18 targets", "missing 1 of platform", "killed:", "Drift in 1 of 18 targets", "things to try"] {
        let all = ran.stdout.to_lowercase();
        assert!(all.contains(&said.to_lowercase()), "{said}:\n{}\n{}", ran.stdout, ran.stderr);
    }
    let root = Path::new(&into).join("fleet");
    let drift = anywhere.finish(anywhere.program().current_dir(&root).arg("drift")).ends(0);
    assert!(drift.stdout.contains("No drift in 18 targets"), "{}", drift.stdout);
    anywhere.finish(anywhere.program().current_dir(&root).arg("apply")).ends(0).says("Nothing to apply");
    demo().ends(64).says("is there already");
}
