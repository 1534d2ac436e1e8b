//! A rollout of which one environment stopped while another goes on or bakes: what its runs say, how they end, and what resume does.

use crate::support::{Sandbox, app};

const ONE_BY_ONE: &str = "{ name: rest, regions: \"*\" }] }";

/// Two environments on their own: the canary of dev bakes an hour, that of prod is asked about a file that is not there.
fn stopped_by_a_gate() -> Sandbox {
    let dev = format!("dev: {{ waves: [{{ name: canary, regions: a, bake: 1h }}, {ONE_BY_ONE}");
    let gates = "gates: [{ command: [test, -e, live/healthy] }]";
    let prod = format!("prod: {{ waves: [{{ name: canary, regions: a, {gates} }}, {ONE_BY_ONE}");
    app("dev/a dev/b prod/a prod/b", &format!("rollout: {{ {dev}, {prod} }}"))
}

const RESUME: &str = "isobar resume (after mending the cause), then isobar apply";
const BAKES: &str = "dev 1: canary bakes until 2026-11-22 10:01 UTC";
const NO: &str = "prod 1: canary: gate test -e live/healthy failed: test -e live/healthy exited with 1";

#[test]
fn a_gate_that_said_no_is_no_success_though_another_environment_bakes() {
    let fleet = stopped_by_a_gate();
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "applied app@dev/a app@prod/a; not_started app@dev/b app@prod/b");
    assert!(ran.why("app@prod/b").starts_with(&format!("the rollout stopped here: {NO}")), "{}", ran.stdout);
    assert_eq!(ran.why("app@dev/b"), format!("{BAKES}; isobar tick goes on then"));
    let told = ran.json();
    assert_eq!(told["headline"], "2 of 4 applied, 2 not started · stopped in part, a gate said no");
    assert_eq!(told["next"], serde_json::json!([RESUME, "isobar tick  (goes on from 2026-11-22 10:01 UTC on)"]));

    fleet.isobar("tick").ends(1).says("stopped in part, a gate said no").says(RESUME);
    fleet.isobar("apply app@dev/b").ends(1).says("left alone").says(RESUME);
    fleet.file("live/dev/a/app/app.yaml", "by hand\n");
    fleet.isobar("drift --fix").ends(1).says("a fix does not go on with it").says(RESUME);
    fleet.isobar("recover").ends(0).says("no target has an unknown outcome").says(RESUME).says("isobar tick");
    fleet.file("README.md", "words\n").version(1, 2);
    fleet.isobar("preview").ends(0).says("is stopped in part: prod 1: canary: gate").says(RESUME);
    fleet.isobar("apply").ends(1).says(RESUME);
    assert_eq!(fleet.versions(), "dev/a -, dev/b -, prod/a 1, prod/b -");
}

#[test]
fn a_status_tells_what_stopped_and_what_goes_on_and_which_target_waits_for_which() {
    let fleet = stopped_by_a_gate();
    fleet.isobar("apply").ends(1);
    let told = fleet.isobar("status --json").ends(0).json();
    let state = told["rollouts"][0]["state"].as_str().unwrap_or_default().to_string();
    assert!(state.starts_with(&format!("stopped in part: {NO}")) && state.ends_with(&format!("; {RESUME}; {BAKES}")), "{state}");
    assert!(told["rollouts"][0]["next_tick_ms"].is_u64(), "a tick goes on with what bakes");
    let waits = |nth: usize| told["targets"][nth]["waits"].as_str().unwrap_or_default();
    assert!(waits(1).ends_with(&format!(": {BAKES}")), "{}", waits(1));
    assert!(waits(3).contains(&format!(": stopped: {NO}")) && waits(3).ends_with(RESUME), "{}", waits(3));
    let page = fleet.outside("status.html");
    fleet.run(&["status", "--html", &page]).ends(0);
    assert!(std::fs::read_to_string(&page).is_ok_and(|html| html.contains("<p>stopped in part: prod 1: canary: gate")));
}

#[test]
fn a_resume_asks_the_gate_again_and_leaves_the_bake_beside_it_alone() {
    let fleet = stopped_by_a_gate();
    fleet.isobar("apply").ends(1);
    fleet.pass_secs(600).isobar("resume").ends(0).says("1 stopped rollout may go on");
    fleet.isobar("apply").ends(1).says("stopped in part, a gate said no").says(BAKES);

    fleet.file("live/healthy", "").isobar("resume").ends(0).says("1 stopped rollout may go on");
    fleet.isobar("tick").ends(0).says(BAKES).keeps_quiet_about("stopped");
    assert_eq!(fleet.versions(), "dev/a 1, dev/b -, prod/a 1, prod/b 1");
    fleet.pass_secs(3_600).isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "dev/a 1, dev/b 1, prod/a 1, prod/b 1");
    fleet.isobar("resume").ends(0).says("nothing was paused or stopped");
}

#[test]
fn a_mend_goes_on_in_the_place_of_what_stopped_in_part_once_it_was_resumed() {
    let fleet = stopped_by_a_gate();
    fleet.isobar("apply").ends(1);
    fleet.file("live/healthy", "").version(1, 2);
    fleet.isobar("apply").ends(1).says(RESUME).keeps_quiet_about("goes on in its place");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0).says("goes on in its place").says("bakes until");
    assert_eq!(fleet.versions(), "dev/a 2, dev/b -, prod/a 2, prod/b 2");
}

#[test]
fn every_environment_that_stopped_is_told_while_a_third_one_bakes() {
    let dev = format!("dev: {{ waves: [{{ name: canary, regions: a, bake: 1h }}, {ONE_BY_ONE}");
    let fleet = app("dev/a dev/b prod/a prod/b test/a", &format!("rollout: {{ {dev}, prod: {{ max_parallel: 1 }} }}"));
    fleet.block("prod/a").block("test/a");
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "applied app@dev/a; failed app@prod/a app@test/a; not_started app@dev/b app@prod/b");
    assert_eq!(ran.why("app@prod/b"), "the rollout stopped here: prod: 1 of 2 targets failed, 0 may");
    assert_eq!(ran.json()["headline"], "1 of 5 applied, 2 failed, 2 not started · stopped in part");
    let status = fleet.isobar("status").ends(0).says("prod: 1 of 2 targets failed, 0 may; test: 1 of 1 targets failed, 0 may");
    assert_eq!(status.stdout.matches("failed in rollout").count(), 2, "{}", status.stdout);

    fleet.unblock("prod/a").unblock("test/a").isobar("resume").ends(0).says("1 stopped rollout may go on");
    fleet.isobar("apply").ends(0).says("dev 1: canary bakes until 2026-11-22 10:01 UTC");
    assert_eq!(fleet.versions(), "dev/a 1, dev/b -, prod/a 1, prod/b 1, test/a 1");
}

#[test]
fn a_wave_whose_bake_ends_in_a_pause_is_paused_and_not_running() {
    let fleet = Sandbox::fleet("waves");
    fleet.isobar("apply").ends(0);
    fleet.isobar("pause --reason lunch").ends(0);
    fleet.pass_secs(3_600);
    for verb in ["tick", "apply"] {
        let ran = fleet.isobar(verb).ends(0).keeps_quiet_about("running");
        assert!(ran.stdout.lines().any(|line| line.ends_with("  paused")), "{}", ran.stdout);
    }
    let ran = fleet.isobar("status").ends(0).keeps_quiet_about("nobody is at it");
    assert!(ran.stdout.lines().any(|line| line.ends_with("  paused")), "{}", ran.stdout);
}

#[test]
fn a_pause_hides_no_gate_that_said_no() {
    let fleet = stopped_by_a_gate();
    fleet.isobar("apply").ends(1);
    fleet.isobar("pause --reason lunch").ends(0);
    let ran = fleet.isobar("tick --json").ends(1);
    assert_eq!(ran.json()["next"], serde_json::json!([RESUME]));
    fleet.isobar("resume").ends(0).says("1 stopped rollout may go on");
}

#[test]
fn shards_of_what_stopped_in_part_all_end_alike() {
    let fleet = stopped_by_a_gate();
    for shard in ["1/2", "2/2"] {
        let told = "stopped in part, a gate said no";
        fleet.isobar(&format!("apply --shard {shard} --wait 0s")).ends(1).says(told).says(RESUME);
    }
}
