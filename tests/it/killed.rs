//! Killed anywhere and run again, it ends as if it had not been killed; and what is unknown is said to be so.

use crate::support::{APPROVALS, Sandbox, app, program};
use std::collections::BTreeMap;

/// Two stacks in three regions, already at version 1 and now to be brought to 2.
fn fleet(more: &str) -> Sandbox {
    let fleet = app("prod/a prod/b prod/c", more);
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.txt", "web 1\n").file("web/templates/more.txt", "more 1\n");
    fleet.commit("Web");
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review bob=approve").ends(0);
    fleet.edit("web/templates/web.txt", "1", "2").edit("web/templates/more.txt", "1", "2").version(1, 2);
    fleet
}

/// Kills an apply as soon as the journal has that many lines; `false` when it had ended before.
fn kill_at(fleet: &Sandbox, lines: usize) -> bool {
    let mut child = fleet.start(&["apply"]);
    let journal = fleet.root().join(".isobar/journal/entries.jsonl");
    let count = || std::fs::read(&journal).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    while count() < lines {
        if child.try_wait().expect("it is our child").is_some() {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(1)); // leaves the processor to the child
    }
    child.kill().expect("it is our child");
    !child.wait().expect("it is our child").success()
}

/// The destinations with all that is kept there, manifests too.
fn documents(fleet: &Sandbox) -> BTreeMap<String, String> {
    fleet.live("live")
}

#[test]
fn killed_at_20_points_and_run_again_it_ends_as_if_it_had_not_been() {
    let begin = fleet("");
    let whole = begin.twin();
    let begun = whole.journal_lines().len();
    whole.isobar("apply").ends(0);
    let (expected, lines) = (documents(&whole), whole.journal_lines().len() - begun);
    assert!(lines >= 20, "{lines} lines are enough for 20 points");

    let mut killed = 0;
    for point in 0..20 {
        let fleet = begin.twin();
        killed += usize::from(kill_at(&fleet, begun + point * lines / 20));
        fleet.isobar("status").ends(0);
        fleet.isobar("apply").ends(0);
        assert_eq!(documents(&fleet), expected, "point {point}");
        fleet.isobar("drift").ends(0);
    }
    assert!(killed >= 5, "only {killed} of 20 were killed before they had ended: this machine is too busy to tell");
}

#[test]
fn a_journal_cut_in_the_middle_of_a_line_goes_on() {
    let begin = fleet("");
    let whole = begin.twin();
    let begun = std::fs::metadata(whole.root().join(".isobar/journal/entries.jsonl")).expect("a journal").len();
    whole.isobar("apply").ends(0);
    let all = std::fs::metadata(whole.root().join(".isobar/journal/entries.jsonl")).expect("a journal").len();
    let expected = documents(&whole);

    for nth in 1..=6 {
        let fleet = begin.twin();
        let blocks = (begun + nth * (all - begun) / 7) / 512; // of 512 bytes: the write that crosses the limit is cut short
        let limited = format!("ulimit -f {blocks}; exec \"$0\" apply");
        let ran = fleet.finish(fleet.command("/bin/sh").args(["-c", &limited, program()]));
        assert_ne!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        fleet.pass_secs(1).isobar("apply").ends(0);
        assert_eq!(documents(&fleet), expected);
    }
}

#[test]
fn a_half_done_apply_goes_on_without_a_new_approval() {
    // The gate of the first wave ends its own apply with SIGKILL, once.
    let gate = "gates: [{ command: [sh, -c, \"[ -e killed ] || { touch killed; kill -9 $PPID; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let fleet = app("prod/a prod/b", &format!("{waves}\n{APPROVALS}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);

    fleet.isobar("apply").ends(137);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    fleet.isobar("status").ends(0).says("open");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn a_target_killed_half_way_goes_on_with_what_is_left_of_its_approval() {
    let fleet = fleet(APPROVALS);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review carol=approve").ends(0);
    // What an apply leaves that was killed after its first document: a start without an outcome, and half of the work.
    let lines = fleet.journal_lines().len();
    assert!(kill_at(&fleet, lines + 6) || fleet.isobar("status").code == 0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/c/web")["more.txt"], "more 2\n");
    fleet.isobar("drift").ends(0);
}

#[test]
fn another_run_is_refused_while_one_writes_and_free_again_when_it_died() {
    let gate = "gates: [{ command: [sh, -c, \"touch asked; exec sleep 60\"] }]";
    let fleet = app("prod/a", &format!("rollout: {{ prod: {{ {gate} }} }}")).env("HOSTNAME", "laptop");
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
    let mut first = fleet.start(&["apply"]);
    fleet.await_file("asked", &mut first);

    let second = fleet.pass_secs(240).isobar("apply").ends(1).says("isobar status");
    let since = format!("process {} on laptop, since 2026-11-22 09:00 UTC (4 min ago)\n", first.id());
    assert!(second.stderr.contains(&since), "{}", second.stderr);
    fleet.isobar("status").ends(0).says("Writing now").says(&format!("process {} on laptop", first.id()));
    first.kill().expect("it is our child");
    first.wait().expect("it is our child");
    fleet.isobar("status").ends(0).keeps_quiet_about("Writing now");
}
