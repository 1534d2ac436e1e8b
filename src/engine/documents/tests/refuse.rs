//! What the engine refuses to write over, to follow or to believe.

use super::*;
use crate::change::Action;
use std::os::unix::fs::symlink;

#[test]
fn a_file_that_is_not_ours_is_not_overwritten_even_when_it_is_the_same() {
    on_every_ground(|ground| {
        let bench = Bench::on(ground, &[("t/a", "a\n"), ("t/b", "b\n")]);
        bench.edit("a", "somebody's\n");
        bench.edit("b", "b\n");
        let told = bench.refusal();
        assert!(told.contains("live/prod/eu/network/a exists and is not ours"), "{told}");
        assert!(told.contains("live/prod/eu/network/b exists and is not ours") && told.contains("move it away"), "{told}");
    });
}

#[test]
fn two_targets_can_not_share_a_destination_and_a_declared_move_can() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a", "a\n")]);
        bench.apply();
        bench.rename("net", "prod/eu");
        assert!(bench.refusal().contains("belongs to network@prod/eu: two targets can't share a destination"));

        bench.job.was = vec![target("network", "prod/eu")];
        let preview = bench.preview();
        assert_eq!(short(&preview), ["→ .isobar-manifest.json"], "the documents stay as they are");
        bench.apply();
        assert!(bench.preview().is_empty());

        bench.rename("network", "prod/eu");
        bench.job.was = vec![];
        bench.job.intent = Intent::Destroy;
        assert!(bench.preview().is_empty(), "what was taken over is not destroyed");
        bench.apply();
        assert_eq!(bench.live("a"), Some("a\n".into()));
    });
}

#[test]
fn reality_that_moved_since_the_preview_is_left_alone() {
    on_every_ground(|ground| {
        let bench = Bench::on(ground, &[("t/a", "a\n")]);
        let preview = bench.preview();
        bench.apply();
        bench.edit("a", "by hand\n");
        let failure = bench.make(&preview).expect_err("it would now be an update");
        assert!(failure.untouched && failure.text.contains("reality moved"), "{failure:?}");
        assert_eq!(bench.live("a"), Some("by hand\n".into()));
    });
}

#[test]
fn symlinks_are_never_followed() {
    let bench = Bench::new(&[("t/a", "a\n"), ("t/sub/b", "b\n")]);
    let elsewhere = crate::scratch::dir();
    std::fs::create_dir_all(bench.place("")).expect("the destination can be made");
    symlink(elsewhere.path(), bench.place("sub")).expect("a link can be made");
    assert!(bench.refusal().contains("live/prod/eu/network/sub is a symlink"), "{}", bench.refusal());

    std::fs::remove_file(bench.place("sub")).expect("the link is there");
    symlink("/etc/passwd", bench.place("a")).expect("a link can be made");
    assert!(bench.refusal().contains("live/prod/eu/network/a is a symlink"));

    std::fs::remove_dir_all(bench.root.path().join("live")).expect("it is there");
    symlink(elsewhere.path(), bench.root.path().join("live")).expect("a link can be made");
    assert!(bench.refusal().contains("live is a symlink"), "{}", bench.refusal());
    assert_eq!(std::fs::read_dir(elsewhere.path()).expect("it can be listed").count(), 0);
}

#[test]
fn a_directory_or_a_file_in_the_way_is_named() {
    let bench = Bench::new(&[("t/a", "a\n"), ("t/sub/b", "b\n")]);
    bench.edit("a/x", "somebody's");
    bench.edit("sub", "somebody's");
    let told = bench.refusal();
    assert!(told.contains("network/a is a directory") && told.contains("network/sub is a file"), "{told}");
}

#[test]
fn a_manifest_that_was_forged_can_not_reach_outside() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a", "a\n")]);
        bench.apply();
        let forged = bench.live(".isobar-manifest.json").expect("it is there").replace("\"a\"", "\"../../../../victim\"");
        bench.edit(".isobar-manifest.json", &forged);
        bench.job.intent = Intent::Destroy;
        assert!(bench.refusal().contains("the manifest names \"../../../../victim\""), "{}", bench.refusal());
    });
}

#[test]
fn what_is_not_whole_is_a_mistake_and_not_an_empty_target() {
    let mut bench = Bench::new(&[]);
    let reason = |bench: &Bench| bench.see().expect_err("nothing can be rendered").reason;
    assert!(matches!(reason(&bench), UnseenReason::Definition(text) if text.contains("does not exist or is empty")));
    bench.add("network/t/a", b"x");
    bench.section(&json!({ "source": "./t", "destination": "file:../x" }));
    assert!(matches!(reason(&bench), UnseenReason::Definition(text) if text.contains("leads out of the repository")));
}

#[test]
fn an_action_is_refused_before_anything_is_touched() {
    on_every_ground(|ground| {
        let bench = Bench::on(ground, &[("t/a", "a\n")]);
        let preview = bench.preview();
        bench.edit("a", "came in between\n");
        let failure = bench.make(&preview).expect_err("it is somebody else's");
        assert!(failure.untouched && failure.text.contains("not ours"), "{failure:?}");
        assert_eq!(preview.changes[0].action, Action::Create);
    });
}

/// Returns an engine that lets somebody else act once before its step number `at`, from 0.
fn overtaken(bench: &Bench, at: usize, act: impl Fn() + Send + Sync + 'static) -> Documents {
    let steps = AtomicUsize::new(0);
    let before = move |_: &str| {
        if steps.fetch_add(1, Ordering::Relaxed) == at {
            act();
        }
        Ok(())
    };
    Documents { before_write: Some(Arc::new(before)), ..bench.engine() }
}

#[test]
fn in_a_bucket_what_somebody_wrote_in_between_is_never_written_over() {
    for ground in Ground::all().into_iter().filter(|ground| !matches!(ground, Ground::Folder)) {
        // The steps: the manifest, "a" and "b" (in any order), the removal of "c", the manifest.
        let mut refused = 0;
        for (file, at) in [(".isobar-manifest.json", 0), ("a", 1), ("b", 1), ("c", 2), (".isobar-manifest.json", 4)] {
            let mut bench = Bench::on(&ground, &[("t/a", "a1\n"), ("t/b", "b1\n"), ("t/c", "c1\n")]);
            bench.apply();
            bench.add("network/t/a", b"a2\n");
            bench.add("network/t/b", b"b2\n");
            bench.drop_source("network/t/c");
            let preview = bench.preview();

            let theirs = if file.starts_with('.') { bench.live(file).expect("published") + " " } else { "theirs\n".into() };
            let (url, edit) = (bench.url("live/prod/eu/network"), bench.editor(file, &theirs));
            let failure = wait(overtaken(&bench, at, edit).apply(&bench.job, &preview)).expect_err("somebody was faster");
            let moved = format!("{url}/{file} was changed by somebody else in the meantime; nothing was written over it");
            assert_eq!((&*failure.text, failure.untouched), (moved.as_str(), at == 0), "{} {file}", ground.name());
            assert_eq!(bench.live(file), Some(theirs), "{}: theirs stays", ground.name());
            refused += 1;
        }
        assert_eq!(refused, 5);
    }
}
