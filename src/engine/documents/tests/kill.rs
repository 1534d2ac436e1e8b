//! Killed anywhere and run again, it ends as if it had not been killed.

use super::*;
use crate::bucket::cloud::google::{Google, Trouble};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns an engine that stops at its step number `at`, from 0, as a kill would: no later step is done.
fn killed_at(bench: &Bench, at: usize) -> Documents {
    let steps = AtomicUsize::new(0);
    let stop = move |_: &str| match steps.fetch_add(1, Ordering::Relaxed) < at {
        true => Ok(()),
        false => Err(io::Error::other("killed")),
    };
    Documents { before_write: Some(Arc::new(stop)), ..bench.engine() }
}

fn before(ground: &Ground) -> Bench {
    let mut bench =
        Bench::on(ground, &[("t/a", "a1\n"), ("t/gone/b", "b1\n"), ("t/c", "c1\n"), ("t/d/e", "e1\n"), ("t/same", "same\n")]);
    bench.add("network/t/pw", b"pw={{ inputs.pw }}\nv1\n");
    bench.inputs(vec![secret("pw", json!("hunter2!"))]);
    bench.apply();
    bench
}

/// Changes, removes and adds documents; `c` becomes a directory and `d` a document.
fn after(bench: &mut Bench) {
    for path in ["network/t/gone/b", "network/t/c", "network/t/d/e"] {
        bench.drop_source(path);
    }
    for (path, text) in [("a", "a2\n"), ("c/x", "x\n"), ("d", "d\n"), ("new/y", "y\n"), ("pw", "pw={{ inputs.pw }}\nv2\n")] {
        bench.add(&format!("network/t/{path}"), text.as_bytes());
    }
}

/// Applies with kills at each of `kills`, then once more to the end; false when a kill came too late to matter.
fn survives(bench: &Bench, kills: &[usize], expected: &BTreeMap<String, String>) -> bool {
    for at in kills {
        let preview = bench.preview();
        assert_eq!(preview.strays, [], "what a kill left is not drift (kills at {kills:?})");
        if wait(killed_at(bench, *at).apply(&bench.job, &preview)).is_ok() {
            return false;
        }
    }
    let preview = bench.preview();
    assert_eq!(preview.strays, [], "kills at {kills:?}");
    bench.make(&preview).expect("nothing stands in the way any more");
    assert_eq!(&bench.everything(), expected, "kills at {kills:?}");
    true
}

/// How a bench begins.
type Prepare = fn(&Ground) -> Bench;

fn uninterrupted(ground: &Ground, prepare: Prepare, change: fn(&mut Bench)) -> BTreeMap<String, String> {
    let mut bench = prepare(ground);
    change(&mut bench);
    bench.apply();
    bench.everything()
}

/// Kills at every step, and after some of them the run after it as well; returns the number of steps. An emulator is slower than a disk,
/// so there most are left out; our own server takes them all.
fn survives_everywhere(ground: &Ground, prepare: Prepare, change: fn(&mut Bench)) -> usize {
    let expected = uninterrupted(ground, prepare, change);
    for at in (0..).step_by(stride(ground)) {
        let mut bench = prepare(ground);
        change(&mut bench);
        if !survives(&bench, &[at], &expected) {
            return at;
        }
        let seconds: &[usize] = match ground {
            Ground::Folder if at % 4 == 0 => &[at + 2],
            _ if at % 4 == 2 => &[at / 2],
            Ground::Folder | Ground::Cloud(..) => &[],
        };
        for second in seconds {
            let mut bench = prepare(ground);
            change(&mut bench);
            survives(&bench, &[at, *second], &expected);
        }
    }
    unreachable!("an apply has an end")
}

/// While somebody works, every third step; each of them where `ISOBAR_FUZZ` asks for more, as CI does.
fn stride(ground: &Ground) -> usize {
    match ground.name() {
        "file" | "gs" if crate::fuzz::factor() > 1 => 1,
        "file" | "gs" => 3,
        _ => 7,
    }
}

/// Steps at least: a disk has more of them, for directories and for waiting until they are safe.
fn steps(ground: &Ground, folder: usize, bucket: usize) -> usize {
    match ground {
        Ground::Folder => folder,
        Ground::Cloud(..) => bucket,
    }
}

#[test]
fn an_apply_killed_at_any_step_is_finished_by_the_next() {
    on_every_ground(|ground| assert!(survives_everywhere(ground, before, after) >= steps(ground, 26, 10)));
}

#[test]
fn a_first_apply_killed_at_any_step_is_finished_by_the_next() {
    let prepare: Prepare = |ground| Bench::on(ground, &[("t/a", "a\n"), ("t/sub/deep/b", "b\n")]);
    on_quick_grounds(|ground| assert!(survives_everywhere(ground, prepare, |_| {}) >= steps(ground, 11, 4)));
}

#[test]
fn a_destroy_killed_at_any_step_is_finished_by_the_next() {
    let destroy: fn(&mut Bench) = |bench| bench.job.intent = Intent::Destroy;
    on_quick_grounds(|ground| assert!(survives_everywhere(ground, before, destroy) >= steps(ground, 11, 8)));
}

#[test]
fn a_takeover_killed_at_any_step_is_finished_by_the_next() {
    let take_over: fn(&mut Bench) = |bench| {
        after(bench);
        bench.rename("net", "prod/eu");
        bench.job.was = vec![target("network", "prod/eu")];
    };
    on_quick_grounds(|ground| assert!(survives_everywhere(ground, before, take_over) >= steps(ground, 26, 10)));
}

#[test]
fn a_kill_while_a_service_is_tried_out_leaves_nothing_for_long() {
    for ground in Ground::all().iter().filter(|ground| !matches!(ground, Ground::Folder)) {
        let prepare: Prepare = |ground| {
            let bench = Bench::on(ground, &[("t/a", "a\n")]);
            let Ground::Cloud(cloud, ..) = ground else { panic!("a folder is not tried out") };
            bench.on_untried(cloud)
        };
        // Five steps of the trial come first.
        assert!(survives_everywhere(ground, prepare, |_| {}) >= 5 + 3, "{}", ground.name());
    }
}

#[test]
fn after_a_kill_another_commit_may_come_first() {
    let last: fn(&mut Bench) = |bench| {
        after(bench);
        bench.drop_source("network/t/new/y");
        bench.drop_source("network/t/c/x");
        bench.add("network/t/c", b"c3\n");
    };
    on_quick_grounds(|ground| {
        let expected = uninterrupted(ground, before, last);
        for at in (0..200).step_by(stride(ground)) {
            let mut bench = before(ground);
            after(&mut bench);
            let done = wait(killed_at(&bench, at).apply(&bench.job, &bench.preview())).is_ok();
            last(&mut bench);
            assert_eq!(bench.preview().strays, [], "killed at {at}");
            bench.apply();
            assert_eq!(bench.everything(), expected, "killed at {at}");
            if done {
                return;
            }
        }
        panic!("the apply never ended");
    });
}

#[test]
fn at_every_step_a_document_is_whole() {
    for at in (0..200).step_by(stride(&Ground::Folder)) {
        let mut bench = before(&Ground::Folder);
        after(&mut bench);
        let done = wait(killed_at(&bench, at).apply(&bench.job, &bench.preview())).is_ok();
        let text = bench.live("a").expect("a document that stays is always there");
        assert!(["a1\n", "a2\n"].contains(&text.as_str()), "killed at {at}: {text:?}");
        assert!(["pw=hunter2!\nv1\n", "pw=hunter2!\nv2\n"].contains(&bench.live("pw").unwrap_or_default().as_str()));
        if done {
            return;
        }
    }
    panic!("the apply never ended");
}

#[test]
fn a_kill_before_the_first_step_says_that_nothing_was_touched() {
    let mut bench = before(&Ground::Folder);
    after(&mut bench);
    let preview = bench.preview();
    let failures: Vec<bool> =
        [0, 1, 5].map(|at| wait(killed_at(&bench, at).apply(&bench.job, &preview)).expect_err("it was killed").untouched).into();
    assert_eq!(failures, [true, false, false]);
}

#[test]
fn an_apply_that_nobody_waits_for_changes_nothing_more() {
    let mut bench = before(&Ground::Folder);
    after(&mut bench);
    let preview = bench.preview();
    let steps = Arc::new(AtomicUsize::new(0));
    let (reached, third_step) = tokio::sync::oneshot::channel();
    let (go_on, left) = std::sync::mpsc::channel::<()>();
    let (counted, gate) = (steps.clone(), std::sync::Mutex::new((Some(reached), left)));
    let pause_at_third = move |_: &str| {
        if counted.fetch_add(1, Ordering::SeqCst) == 2 {
            let mut gate = gate.lock().expect("one thread works");
            gate.0.take().expect("there is one third step").send(()).expect("the test waits");
            gate.1.recv().expect("the test goes on");
        }
        Ok(())
    };
    let engine = Documents { before_write: Some(Arc::new(pause_at_third)), ..bench.engine() };

    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(async {
        tokio::select! {
            done = engine.apply(&bench.job, &preview) => panic!("it waits at its third step: {done:?}"),
            reached = third_step => reached.expect("the third step comes"),
        }
    });
    go_on.send(()).expect("it waits");
    drop(runtime); // waits for the thread

    assert_eq!(steps.load(Ordering::SeqCst), 3, "the step it was at, and none after it");
    bench.make(&bench.preview()).expect("the next run goes on");
}

#[test]
fn an_apply_that_nobody_waits_for_waits_for_no_service() {
    let google = Google::start();
    let cloud = google.cloud();
    let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
    let ground = Ground::Cloud(cloud, Buckets::new(access), String::new());
    let mut bench = before(&ground);
    bench.add("network/t/a", b"a2\n"); // one write at a time, so that none is on its way beside the one without an answer
    let preview = bench.preview();
    google.troubles(&[Trouble::None, Trouble::Silence]);
    let engine = bench.engine();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let silent = async {
            while !google.is_silent() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = engine.apply(&bench.job, &preview) => panic!("it waits for an answer: {done:?}"),
            () = silent => {}
        }
    });
    let asked = google.requests();
    drop(runtime); // waits for the thread

    assert_eq!(google.requests(), asked, "nothing was asked again");
    bench.make(&bench.preview()).expect("the next run goes on");
}
