//! In what order, how far, and what stops it: waves, bakes, gates, breaches, pauses and holds.

use crate::support::{APPROVALS, Sandbox, app, program};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// One region after the other.
const ONE_BY_ONE: &str = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";

#[test]
fn a_bake_of_15_minutes_stops_after_wave_1_and_a_tick_goes_on_when_it_is_over() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@staging/a app@prod/a; not_started app@prod/b app@prod/c app@prod/d");
    fleet.isobar("status").ends(0).says("bakes").says("isobar tick goes on from 2026-11-22 09:16 UTC");

    fleet.pass_secs(14 * 60 - 2);
    let ran = fleet.isobar("tick --json").ends(0);
    assert!(ran.states().contains("not_started app@prod/b app@prod/c app@prod/d"), "{}", ran.states());
    assert_eq!(fleet.applied(), ["app@staging/a", "app@prod/a"]);

    fleet.pass_secs(60);
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.applied().len(), 5);
    fleet.isobar("status").ends(0).says("All 5 targets applied").keeps_quiet_about("bakes");
}

#[test]
fn a_bake_is_told_with_its_end_and_the_tick_that_goes_on_once() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("apply").ends(0);
    let until = "bakes until 2026-11-22 09:16 UTC";
    assert!(ran.stdout.contains(&format!("{until}; isobar tick goes on then\n")), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nNext\n  isobar tick  (goes on from 2026-11-22 09:16 UTC on)\n"), "{}", ran.stdout);
    let line = |line: &&str| line.matches("tick").count() > 1 || line.matches("09:15").count() > 1;
    assert_eq!(ran.stdout.lines().find(line), None, "{}", ran.stdout);
}

#[test]
fn a_wave_that_brought_nothing_says_why_and_every_reason_is_told_once() {
    let waves = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b prod/c", &format!("{APPROVALS}\n{waves}"));
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.yaml", "x: 1\n").commit("Web");
    fleet.isobar("preview").ends(0);
    let ran = fleet.isobar("apply").ends(3);
    assert!(ran.stdout.contains("0 of 2  1 not cleared, 1 skipped\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 of 4  4 skipped: app@prod/a, of an earlier wave, was not cleared\n"), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("missing 1 of platform").count(), 1, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("» app@prod/a, of an earlier wave, was not cleared\n    app, web in prod/b, prod/c\n"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stderr.contains("skipped"), "{}", ran.stderr);
}

#[test]
fn a_status_says_what_a_target_waits_for_that_was_not_cleared() {
    let waves = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b", &format!("{APPROVALS}\n{waves}"));
    fleet.isobar("apply").ends(3);
    let waits = |target: usize| fleet.isobar("status --json").json()["targets"][target]["waits"].as_str().map(str::to_string);
    assert_eq!(waits(0).as_deref(), Some("0 of 1 approval: missing 1 of platform (bob, carol, dora)"));
    let tried = "app@prod/a, of an earlier wave, was not cleared (tried 2026-11-22 09:00 UTC)";
    assert_eq!(waits(1).as_deref(), Some(tried));
    let page = fleet.outside("status.html");
    fleet.run(&["status", "--html", &page]).ends(0);
    assert!(std::fs::read_to_string(&page).is_ok_and(|html| html.contains("missing 1 of platform")));

    fleet.isobar("judge --review bob=approve").ends(0);
    assert_eq!(waits(0).as_deref(), Some("isobar apply; cleared: 1 of 1 approval: bob (platform)"));
    fleet.isobar("judge --review carol=reject").ends(3);
    assert_eq!(waits(0).as_deref(), Some("denied: rejected by carol"));
    std::fs::remove_dir_all(fleet.root().join(".isobar/journal/previews")).expect("previews can be deleted");
    let tried = "0 of 1 approval: missing 1 of platform (bob, carol, dora) (tried 2026-11-22 09:00 UTC)";
    assert_eq!(waits(0).as_deref(), Some(tried));
    fleet.version(1, 2);
    fleet.approved_apply("dora").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!((waits(0), waits(1)), (None, None));
}

#[test]
fn an_environment_waits_for_the_one_before() {
    let fleet = app("prod/a staging/a", "rollout: { prod: { after: staging } }");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.applied(), ["app@staging/a", "app@prod/a"]);
}

#[test]
fn a_preview_tells_the_waves() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("preview").ends(0).says("prod 1: first").says("after prod 1: first");
}

#[test]
fn a_breach_holds_later_waves_and_later_merges_wait_and_say_so() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.file("live/prod/a/app/app.yaml/in-the-way", "x\n");
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "failed app@prod/a; not_started app@prod/b");
    assert_eq!(ran.why("app@prod/b"), "the rollout stopped: prod 1: first: 1 of 1 targets failed, 0 may");

    fleet.version(1, 2);
    let ran = fleet.isobar("apply").ends(1).says("is stopped").says("isobar resume");
    assert_eq!(fleet.versions(), "prod/a -, prod/b -", "{}", ran.stdout);
    fleet.isobar("status").ends(0).says("stopped: prod 1: first");

    fleet.remove("live/prod/a/app/app.yaml").isobar("resume").ends(0).says("1 stopped rollout may go on");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn in_flight_work_finishes_when_another_target_fails() {
    let fleet = app(
        "prod/a prod/b prod/c",
        "rollout: { prod: { max_parallel: 2, waves: [{ name: first, regions: [a, b] }, { name: rest, regions: c }] } }",
    );
    fleet.block("prod/a");
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "applied app@prod/b; failed app@prod/a; not_started app@prod/c");
    fleet.isobar("recover").ends(0).says("no target has an unknown outcome");
}

#[test]
fn other_targets_go_on_while_a_stopped_rollout_holds_its_own() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.file("live/prod/a/app/app.yaml/in-the-way", "x\n");
    fleet.isobar("apply").ends(1);
    fleet.stack("other", "").file("other/templates/note.txt", "unrelated\n").commit("Another stack");
    let ran = fleet.isobar("apply --json").ends(1);
    assert!(ran.states().starts_with("applied other@prod/a other@prod/b; "), "{}", ran.states());
    assert_eq!(fleet.versions(), "prod/a -, prod/b -");
}

#[test]
fn a_revert_frees_a_stopped_rollout_and_goes_to_the_touched_targets_first() {
    let more = "rollout: { prod: { waves: [{ name: first, regions: a, gates: [{ command: [test, \"!\", -e, broken] }] }, \
                { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b", more);
    fleet.isobar("apply").ends(0);
    fleet.file("broken", "yes\n").version(1, 2);
    fleet.isobar("apply").ends(1).says("gate failed");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");

    fleet.remove("broken").version(2, 1);
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/a; unchanged app@prod/b");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("status").ends(0).says("All 2 targets applied").keeps_quiet_about("stopped");
}

#[test]
fn a_failing_command_gate_stops_and_resume_asks_it_again() {
    let more = "rollout: { prod: { waves: [{ name: first, regions: a, gates: [{ command: [test, -e, healthy] }] }, \
                { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b", more);
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");

    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

/// A fleet of two waves whose first is followed by a gate that is a program of the repository.
fn with_program_gate(program: &str, text: &str) -> Sandbox {
    let waves =
        format!("waves: [{{ name: first, regions: a, gates: [{{ command: [{program}] }}] }}, {{ name: rest, regions: \"*\" }}]");
    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ {waves} }} }}"));
    fleet.program_file(program, text).commit("A gate");
    fleet
}

#[test]
fn a_change_that_brings_another_program_for_its_gate_is_asked_about_by_the_program_before_it() {
    let fleet = with_program_gate("./ops/smoke", "#!/bin/sh\nexit 0\n");
    fleet.pass_secs(1).file("README.md", "words\n").commit("Words");
    fleet.isobar("apply").ends(0);

    fleet.file("ops/smoke", "#!/bin/sh\ntouch live/mine-ran\nexit 1\n").version(1, 2);
    fleet.isobar("apply").ends(0).says("gate passed: ./ops/smoke");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
    assert_eq!(fleet.live("live").get("mine-ran"), None);

    fleet.version(2, 3);
    fleet.isobar("apply").ends(1).says("gate failed: ./ops/smoke: ./ops/smoke exited with 1");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 2");
}

#[test]
fn a_change_that_waited_for_its_approval_is_rolled_out_as_the_commit_before_it_says() {
    let other_program: fn(&Sandbox) = |fleet| {
        fleet.file("ops/smoke", "#!/bin/sh\ntouch live/mine-ran\n");
    };
    let no_gate: fn(&Sandbox) = |fleet| {
        fleet.edit("isobar.yaml", "gates: [{ command: [./ops/smoke] }]", "bake: 0s");
    };
    for change in [other_program, no_gate] {
        let fleet = app("prod/a", &format!("{APPROVALS}\nrollout: {{ prod: {{ gates: [{{ command: [./ops/smoke] }}] }} }}"));
        fleet.program_file("ops/smoke", "#!/bin/sh\nexit 0\n").commit("A gate");
        fleet.file("README.md", "words\n").commit("Words");
        fleet.approved_apply("bob").ends(0);

        change(&fleet);
        fleet.version(1, 2);
        fleet.pass_secs(1).isobar("apply").ends(3);
        fleet.pass_secs(1).isobar("tick");
        fleet.pass_secs(1).isobar("apply --review bob=approve").ends(0).says("gate passed: ./ops/smoke");
        assert_eq!(fleet.versions(), "prod/a 2");
        assert_eq!(fleet.live("live").get("mine-ran"), None);
    }
}

#[test]
fn a_gates_program_finds_what_lies_beside_it_and_runs_in_the_root_of_the_repository() {
    let text = "#!/bin/sh\n. \"$(dirname \"$0\")/lib/words\"\ntest -f isobar.yaml && test \"$said\" = old\n";
    for (program, lib, beyond) in [("./ops/smoke", "ops/lib/words", true), ("ops/../smoke", "lib/words", false)] {
        let fleet = with_program_gate(program, text);
        fleet.file("ops/.keep", "").file(lib, "said=old\n").commit("Words");
        fleet.pass_secs(1).file("README.md", "words\n").commit("More words");
        let ran = fleet.isobar("apply");
        // The root is the whole repository: a program there comes with the files beside it, and with no directory.
        let _told = if beyond { ran.ends(0) } else { ran.ends(1).says("lib/words") };
        assert_eq!(std::fs::read_dir(fleet.outside("tmp")).expect("it was made").count(), 0);
    }
    let fleet = with_program_gate("./smoke", &text.replace("/lib/", "/"));
    fleet.file("words", "said=old\n").commit("Words");
    fleet.file("words", "said=new\n").commit("Newer words");
    fleet.isobar("apply").ends(0).says("gate passed: ./smoke");
    assert_eq!(std::fs::read_dir(fleet.outside("tmp")).expect("it was made").count(), 0);
}

#[test]
fn a_gate_whose_program_is_not_in_the_commit_that_speaks_begins_no_rollout() {
    let fleet = with_program_gate("./ops/smoke", "#!/bin/sh\nexit 0\n");
    // The first commit names the program and does not have it.
    let refused = fleet.isobar("apply").ends(1);
    refused.says("is not in").says("ops/smoke").says("hint: ");
    assert_eq!((fleet.events("planned").len(), fleet.versions()), (0, "prod/a -, prod/b -".into()));
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("apply").ends(0).says("gate passed");
}

#[test]
fn what_is_said_before_the_first_apply_begins_no_history() {
    for line in ["hold prod/b --reason launch", "pause --reason lunch", "audit compact --before 1d"] {
        let fleet = with_program_gate("./ops/smoke", "#!/bin/sh\nexit 0\n");
        fleet.isobar(line).ends(0);
        fleet.isobar("resume").ends(0);
        fleet.isobar("apply").ends(1).says("is not in"); // the commit before this one names it and does not have it
        fleet.file("README.md", "words\n").commit("Words");
        fleet.isobar("apply app@prod/a").ends(0);
    }
}

#[test]
fn a_first_run_of_one_environment_is_refused_for_the_gate_of_another_that_it_would_bar_for_ever() {
    let gate = "rollout: { prod: { gates: [{ command: [./ops/smoke] }] } }";
    let fleet = app("prod/a staging/a", gate);
    fleet.program_file("ops/smoke", "#!/bin/sh\nexit 0\n").commit("A gate");
    fleet.isobar("apply app@staging/a").ends(1).says("is not in");
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("apply app@staging/a").ends(0);
    fleet.isobar("apply").ends(0);
}

#[test]
fn a_gates_program_that_cannot_be_laid_out_says_what_to_do() {
    let fleet = with_program_gate("./ops/smoke", "#!/bin/sh\nexit 0\n");
    fleet.file("README.md", "words\n").commit("Words");
    let gone = fleet.outside("gone");
    let fleet = fleet.env("TMPDIR", &gone);
    fleet.isobar("apply").ends(1).says(&format!("laying out a program in {gone}")).says("TMPDIR says where");
}

#[test]
fn a_gates_program_that_is_missing_or_no_program_is_a_mistake_of_the_fleet() {
    let fleet = with_program_gate("./ops/smoke", "#!/bin/sh\nexit 0\n");
    fleet.isobar("check").ends(0);
    fleet.remove("ops/smoke");
    fleet.isobar("check").ends(65).says("isobar.yaml:6:").says("the gate's program \"ops/smoke\" is not in the repository");
    fleet.commit("No gate");
    fleet.isobar("apply").ends(65).says("the gate's program \"ops/smoke\" is not in ");
    fleet.file("ops/smoke", "#!/bin/sh\nexit 0\n");
    fleet.isobar("check").ends(65).says("may not be run").says("chmod +x ops/smoke");
    fleet.edit("isobar.yaml", "./ops/smoke", "../ops/smoke");
    fleet.isobar("check").ends(65).says("leads out of the repository");
}

/// Answers so many requests with a status, on a port of its own; returns the port.
fn answers(status: &'static str, requests: usize) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let answer = move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.expect("a connection");
            let _read = stream.read(&mut [0; 1024]).expect("a request");
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("it listens");
        }
    };
    (port, std::thread::spawn(answer))
}

fn with_http_gate(port: u16) -> Sandbox {
    let gate = format!("gates: [{{ http: \"http://127.0.0.1:{port}/health\" }}]");
    app(
        "prod/a prod/b",
        &format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}"),
    )
}

#[test]
fn an_http_gate_that_answers_well_lets_the_next_wave_begin() {
    let (port, server) = answers("204 No Content", 1);
    // A machine without certificates: they are no business of plain http.
    let fleet = with_http_gate(port).env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    server.join().expect("it was asked once");
}

#[test]
fn an_http_gate_that_answers_ill_or_not_at_all_stops() {
    let (port, server) = answers("503 Service Unavailable", 1);
    let fleet = with_http_gate(port);
    fleet.isobar("apply").ends(1).says("503");
    server.join().expect("it was asked once"); // and now nobody listens
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("failed");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
}

#[test]
fn a_pause_starts_nothing_until_resume() {
    let fleet = app("prod/a", "");
    fleet.isobar("pause --reason lunch").ends(0);
    let ran = fleet.isobar("apply --json").ends(0).says("paused by ada: lunch");
    assert_eq!((ran.states().as_str(), fleet.versions().as_str()), ("not_started app@prod/a", "prod/a -"));
    fleet.isobar("tick").says("paused by ada: lunch");
    fleet.isobar("status").ends(0).says("paused by ada: lunch");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
}

/// A fleet of two waves; between them somebody types this line.
fn interrupted_by(line: &str) -> Sandbox {
    let gate = format!("[sh, -c, \"[ -e asked ] || {{ touch asked; {} {line}; }}\"]", program());
    let waves = format!("[{{ name: first, regions: a, gates: [{{ command: {gate} }}] }}, {{ name: rest, regions: \"*\" }}]");
    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ waves: {waves} }} }}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
    fleet
}

#[test]
fn a_pause_reaches_an_apply_that_runs() {
    let fleet = interrupted_by("pause --reason lunch");
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/a; not_started app@prod/b");
    assert!(ran.why("app@prod/b").contains("lunch"), "{}", ran.stdout);
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn a_hold_reaches_an_apply_that_runs() {
    let fleet = interrupted_by("hold prod/b --reason works");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied app@prod/a; skipped app@prod/b");
}

#[test]
fn a_held_region_is_skipped_the_rest_goes_on_and_it_catches_up_when_released() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    fleet.run(&["hold", "prod/a", "--reason", "power works"]).ends(0).says("prod/a is skipped until isobar hold --release");
    fleet.version(1, 2);
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/b; skipped app@prod/a");
    assert!(ran.why("app@prod/a").contains("power works"), "{}", ran.stdout);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 2");

    fleet.isobar("hold prod/a --release").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_held_region_that_leaves_the_fleet_can_be_released_and_is_destroyed_then() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("hold prod/b --reason works").ends(0);
    fleet.edit("isobar.yaml", "  prod/b: {}\n", "").commit("Leave prod/b");
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("live/prod/b").is_empty());

    fleet.isobar("hold prod/b --reason again").ends(64).says("no region");
    fleet.isobar("hold prod/b --release").ends(0);
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/b").is_empty());
}

#[test]
fn a_hold_ends_by_itself_at_its_time() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("hold prod/b --until 4h --reason sale").ends(0).says("until 2026-11-22 13:01 UTC");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("prod/b until 2026-11-22 13:01 UTC: sale");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
    fleet.pass_secs(4 * 3600).isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_hold_of_no_region_and_without_a_reason_is_refused() {
    let fleet = app("prod/a", "");
    fleet.isobar("hold prod/b --reason x").ends(64).says("no region \"prod/b\"");
    fleet.isobar("hold prod/a").ends(64).says("a hold needs a reason");
    fleet.isobar("hold prod/a --until never --reason x").ends(64).says("\"never\" is no time");
}

#[test]
fn the_next_wave_is_previewed_and_judged_again() {
    let fleet = Sandbox::fleet("waves");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/b/app/app.yaml/in-the-way", "x\n"); // while it bakes
    fleet.pass_secs(15 * 60);
    let ran = fleet.isobar("tick --json").ends(1);
    assert_eq!(ran.states(), "applied app@staging/a app@prod/a app@prod/c app@prod/d; failed app@prod/b");
}

#[test]
fn a_wave_that_nobody_is_at_is_not_running_and_times_that_are_apart_are_told_apart() {
    let fleet = app("prod/a prod/b", "rollout: { prod: { max_parallel: 1 } }");
    fleet.isobar("apply app@prod/a").ends(0);
    fleet.pass_secs(3 * 3_600);
    fleet.isobar("apply").ends(0);
    let ran = fleet.isobar("status").ends(0).says("09:00 … 12:00 UTC");
    assert_eq!(ran.stdout.matches("app in ").count(), 1, "{}", ran.stdout);

    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started");
    fleet.isobar("status").ends(0).says("begun, and nobody is at it").keeps_quiet_about("running");
}

#[test]
fn a_merge_while_a_rollout_bakes_waits_for_it_and_says_so() {
    let fleet = Sandbox::fleet("waves");
    fleet.isobar("apply").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "1.0.0", "1.0.1").commit("Newer");
    let ran = fleet.isobar("apply --json").ends(0);
    assert!(ran.why("app@prod/b").contains("bakes"), "{}", ran.stdout);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "app: web\nregion: a\nversion: 1.0.0\n", "{}", ran.stdout);
    for _ in 0..2 {
        fleet.pass_secs(15 * 60).isobar("apply").ends(0);
    }
    assert_eq!(fleet.live("live/prod/d/app")["app.yaml"], "app: web\nregion: d\nversion: 1.0.1\n");
}
