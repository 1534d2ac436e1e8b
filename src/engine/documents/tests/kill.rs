//! Killed anywhere and run again, it ends as if it had not been killed.

use super::*;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns an engine that stops at its step number `at`, from 0, as a kill would: no later step is done.
fn killed_at(at: usize) -> Documents {
    let steps = AtomicUsize::new(0);
    let stop = move |_: &str| match steps.fetch_add(1, Ordering::Relaxed) < at {
        true => Ok(()),
        false => Err(io::Error::other("killed")),
    };
    Documents { before_write: Some(Arc::new(stop)) }
}

fn before() -> Bench {
    let mut bench =
        Bench::new(&[("t/a", "a1\n"), ("t/gone/b", "b1\n"), ("t/c", "c1\n"), ("t/d/e", "e1\n"), ("t/same", "same\n")]);
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
        if wait(killed_at(*at).apply(&bench.job, &preview)).is_ok() {
            return false;
        }
    }
    let preview = bench.preview();
    assert_eq!(preview.strays, [], "kills at {kills:?}");
    bench.make(&preview).expect("nothing stands in the way any more");
    assert_eq!(&bench.everything(), expected, "kills at {kills:?}");
    true
}

fn uninterrupted(prepare: fn() -> Bench, change: fn(&mut Bench)) -> BTreeMap<String, String> {
    let mut bench = prepare();
    change(&mut bench);
    bench.apply();
    bench.everything()
}

/// Kills at every step, and in the run after it at a few more; returns the number of steps.
fn survives_everywhere(prepare: fn() -> Bench, change: fn(&mut Bench)) -> usize {
    let expected = uninterrupted(prepare, change);
    for at in 0.. {
        let mut bench = prepare();
        change(&mut bench);
        if !survives(&bench, &[at], &expected) {
            return at;
        }
        for second in [at / 2, at + 2] {
            let mut bench = prepare();
            change(&mut bench);
            survives(&bench, &[at, second], &expected);
        }
    }
    unreachable!("an apply has an end")
}

#[test]
fn an_apply_killed_at_any_step_is_finished_by_the_next() {
    assert!(survives_everywhere(before, after) > 25);
}

#[test]
fn a_first_apply_killed_at_any_step_is_finished_by_the_next() {
    let prepare = || Bench::new(&[("t/a", "a\n"), ("t/sub/deep/b", "b\n")]);
    assert!(survives_everywhere(prepare, |_| {}) > 10);
}

#[test]
fn a_destroy_killed_at_any_step_is_finished_by_the_next() {
    assert!(survives_everywhere(before, |bench| bench.job.intent = Intent::Destroy) > 10);
}

#[test]
fn a_takeover_killed_at_any_step_is_finished_by_the_next() {
    let take_over = |bench: &mut Bench| {
        after(bench);
        bench.rename("net", "prod/eu");
        bench.job.was = vec![target("network", "prod/eu")];
    };
    assert!(survives_everywhere(before, take_over) > 25);
}

#[test]
fn after_a_kill_another_commit_may_come_first() {
    let last = |bench: &mut Bench| {
        after(bench);
        bench.drop_source("network/t/new/y");
        bench.drop_source("network/t/c/x");
        bench.add("network/t/c", b"c3\n");
    };
    let expected = uninterrupted(before, last);
    for at in 0..200 {
        let mut bench = before();
        after(&mut bench);
        let done = wait(killed_at(at).apply(&bench.job, &bench.preview())).is_ok();
        last(&mut bench);
        assert_eq!(bench.preview().strays, [], "killed at {at}");
        bench.apply();
        assert_eq!(bench.everything(), expected, "killed at {at}");
        if done {
            return;
        }
    }
    panic!("the apply never ended");
}

#[test]
fn at_every_step_a_document_is_whole() {
    for at in 0..200 {
        let mut bench = before();
        after(&mut bench);
        let done = wait(killed_at(at).apply(&bench.job, &bench.preview())).is_ok();
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
    let mut bench = before();
    after(&mut bench);
    let preview = bench.preview();
    let failures: Vec<bool> =
        [0, 1, 5].map(|at| wait(killed_at(at).apply(&bench.job, &preview)).expect_err("it was killed").untouched).into();
    assert_eq!(failures, [true, false, false]);
}

#[test]
fn an_apply_that_nobody_waits_for_changes_nothing_more() {
    let mut bench = before();
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
    let engine = Documents { before_write: Some(Arc::new(pause_at_third)) };

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
