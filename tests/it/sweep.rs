//! A few cases of the fault sweep, by the files that play all of them: `tests/sweep/run`.

#[path = "../sweep/mod.rs"]
mod played;

use crate::support::{program, scratch};
use played::{Fault, Ground, Harm, Seam, play};
use std::io::Write as _;
use std::path::Path;

/// The seam, or why these tests pass over it; `ISOBAR_REQUIRE=cc` makes that an error.
fn seam(dir: &Path) -> Option<Seam> {
    match Seam::build(dir) {
        Ok(seam) => Some(seam),
        Err(why) => {
            let required = std::env::var("ISOBAR_REQUIRE").is_ok_and(|tools| tools.split(',').any(|tool| tool == "cc"));
            assert!(!required, "no fault can be made here: {why}");
            let _closed = writeln!(std::io::stderr(), "skipped: what needs a C compiler and the right to trace: {why}");
            None
        }
    }
}

#[test]
fn harmed_at_a_call_and_run_again_it_ends_as_if_nothing_had_happened() {
    let dir = scratch::dir();
    let Some(seam) = seam(dir.path()) else { return };
    let isobar = Path::new(program());
    let ground = Ground::prepare(isobar, Some(seam), dir.path(), &["drift/file"]).expect("the scene can be prepared");
    let scene = ground.find("drift/file").expect("it was prepared");
    let last = |call: &str, of: &str| {
        let last =
            scene.points.iter().rfind(|point| point.call == call && format!("{} {}", point.path, point.detail).contains(of));
        last.unwrap_or_else(|| panic!("no {call} of {of}")).number
    };
    for (fault, call, of) in [
        (Fault::Torn, "write", "entries.jsonl"),
        (Fault::Eio, "rename", "live/prod/c/web/.isobar-manifest.json"),
        (Fault::Full, "write", "live/prod/b/app"),
    ] {
        let harm = Harm { fault, at: last(call, of) };
        let played = play(&ground.actor, scene, &[harm], &dir.path().join("case")).expect("the case can be played");
        assert!(played.broken.is_empty(), "{harm}: {:?}\n{}", played.broken, played.told.join("\n"));
        assert!(played.told[0].contains(" at "), "it was not harmed: {}", played.told[0]);
    }
    let harm = Harm { fault: Fault::Instant, at: scene.micros / 2 };
    let played = play(&ground.actor, scene, &[harm], &dir.path().join("case")).expect("the case can be played");
    assert!(played.broken.is_empty(), "{harm}: {:?}\n{}", played.broken, played.told.join("\n"));
}

#[test]
fn harmed_over_a_journal_in_git_and_run_again_it_ends_as_if_nothing_had_happened() {
    let dir = scratch::dir();
    let Some(seam) = seam(dir.path()) else { return };
    let ground =
        Ground::prepare(Path::new(program()), Some(seam), dir.path(), &["drift/git"]).expect("the scene can be prepared");
    let scene = ground.find("drift/git").expect("it was prepared");
    let started = |entry: &&serde_json::Value| entry["step"]["step"] == "started";
    assert_eq!(scene.whole.entries.iter().filter(started).count(), 3, "the entries of the ref are looked at");

    let locks = || scene.points.iter().filter(|point| point.path.ends_with("refs/isobar/journal.lock"));
    let at = locks().nth(locks().count() / 2).expect("a ref is locked before it is moved").number;
    let harm = Harm { fault: Fault::After, at };
    let played = play(&ground.actor, scene, &[harm], &dir.path().join("case")).expect("the case can be played");
    assert!(played.broken.is_empty(), "{harm}: {:?}\n{}", played.broken, played.told.join("\n"));
}

#[test]
fn harmed_at_a_request_to_a_bucket_and_run_again_it_ends_as_if_nothing_had_happened() {
    let dir = scratch::dir();
    let ground = Ground::prepare(Path::new(program()), None, dir.path(), &["drift/bucket"]).expect("the scene can be prepared");
    let scene = ground.find("drift/bucket").expect("it was prepared");
    let last = |fault: Fault, of: &str| {
        let last = scene.points.iter().rfind(|point| fault.fits(point) && point.path.contains(of));
        last.unwrap_or_else(|| panic!("no request for {of}")).number
    };
    for (fault, of) in [
        (Fault::After, "journal/pages"),
        (Fault::Late, "journal/pages"),
        (Fault::Torn, "live/prod/c/web/.isobar-manifest.json"),
        (Fault::Lost, "live/prod/b/app/app.yaml"),
        (Fault::Cut, "live/prod/b/app/app.yaml"),
        (Fault::Busy, "journal/contents.json"),
        (Fault::Forbid, "live/staging/a/app/app.yaml"),
        (Fault::Stop, "live/prod/c/web/web.txt"),
    ] {
        let harm = Harm { fault, at: last(fault, of) };
        let played = play(&ground.actor, scene, &[harm], &dir.path().join("case")).expect("the case can be played");
        assert!(played.broken.is_empty(), "{harm}: {:?}\n{}", played.broken, played.told.join("\n"));
        assert!(played.told[0].contains(" at "), "it was not harmed: {}", played.told[0]);
    }
}
