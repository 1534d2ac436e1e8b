//! Several processes bring one rollout together: each target once, waves and tolerance over all of them, and nobody is waited for who
//! died.

use crate::support::{APPROVALS, Ran, Sandbox, app};
use isobar::journal::Event;
use isobar::rollout::{Outcome, StepEvent};
use isobar::stack::TargetId;
use isobar::store::{FileStore, Holder, Lease, Store as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};

/// Three stacks of which one needs another, in so many regions and two waves.
fn fleet(regions: usize, more: &str) -> Sandbox {
    let regions: Vec<String> = (0..regions).map(|nth| format!("prod/r{nth}")).collect();
    let waves = "waves: [{ name: first, regions: [r0, r1] }, { name: rest, regions: \"*\" }]";
    let fleet = app(&regions.join(" "), &format!("rollout: {{ prod: {{ {waves}, {more} }} }}"));
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.txt", "web 1\n");
    fleet.stack("api", "").file("api/templates/api.txt", "api 1\n").commit("More");
    fleet
}

/// Starts so many shards at once.
fn start(fleet: &Sandbox, of: usize) -> Vec<Child> {
    (1..=of).map(|nth| start_one(fleet, &format!("{nth}/{of}"))).collect()
}

fn start_one(fleet: &Sandbox, shard: &str) -> Child {
    let mut program = fleet.program();
    program.args(["apply", "--json", "--shard", shard]).stdout(Stdio::piped()).stderr(Stdio::piped());
    program.spawn().expect("the program starts")
}

/// Waits for all, and returns how each ended: its code, and the states that it told of its targets with their reasons.
fn join(children: Vec<Child>) -> Vec<(i32, BTreeSet<String>)> {
    let end = |child: Child| {
        let output = child.wait_with_output().expect("it is our child");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let rows = report["targets"].as_array().cloned().unwrap_or_default();
        let told = |row: &Value| [&row["state"], &row["why"]].iter().flat_map(|it| it.as_str()).collect::<Vec<_>>().join(": ");
        let mut said: BTreeSet<String> = rows.iter().map(told).collect();
        said.extend(report["notes"].as_array().into_iter().flatten().map(|note| note["text"].to_string()));
        said.extend(report["error"].as_str().map(String::from));
        (output.status.code().unwrap_or(-1), said)
    };
    children.into_iter().map(end).collect()
}

/// How often each target was started, by the journal.
fn starts(fleet: &Sandbox) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for target in steps(fleet, "started") {
        *starts.entry(target).or_default() += 1;
    }
    starts
}

fn steps(fleet: &Sandbox, step: &str) -> Vec<String> {
    let entries = fleet.events("step").into_iter().filter(|entry| entry["step"]["step"] == step);
    entries.map(|entry| entry["step"]["target"].as_str().unwrap_or_default().to_string()).collect()
}

#[test]
fn three_processes_bring_each_target_once_and_no_wave_begins_before_the_one_before_it() {
    let fleet = fleet(10, "max_parallel: 4");
    // The first is kept at a gate of another environment until the last target is there, so others bring that.
    let gate = "touch asked; until [ -e live/prod/r9/web ] || [ $((i+=1)) -gt 999 ]; do sleep 0.02; done";
    let dev = format!("rollout: {{ dev: {{ gates: [{{ command: [sh, -c, \"{gate}\"] }}] }}, prod");
    fleet.edit("isobar.yaml", "  prod/r0: {}", "  dev/x: {}\n  prod/r0: {}").edit("isobar.yaml", "rollout: { prod", &dev);
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("A gate");
    let mut first = start_one(&fleet, "3/3");
    fleet.await_file("asked", &mut first);
    for (code, said) in join(vec![start_one(&fleet, "1/3"), start_one(&fleet, "2/3"), first]) {
        assert_eq!(code, 0, "{said:?}");
        assert!(said.contains("applied") || said.contains("unchanged"), "{said:?}");
    }
    assert_eq!(starts(&fleet).len(), 33);
    assert!(starts(&fleet).values().all(|times| *times == 1), "{:?}", starts(&fleet));
    assert_eq!(fleet.events("planned").len(), 1, "one of them plans, the others join");

    let (mut in_flight, mut most, mut verified) = (0, 0, false);
    for entry in fleet.events("step") {
        let (step, target) =
            (entry["step"]["step"].as_str().unwrap_or_default(), entry["step"]["target"].as_str().unwrap_or_default());
        let is_first = ["r0", "r1"].iter().any(|region| target.ends_with(region));
        match step {
            _ if target.ends_with("dev/x") => {}
            "started" => {
                assert_eq!(verified, !is_first, "{target}");
                in_flight += 1;
                most = most.max(in_flight);
            }
            "finished" => in_flight -= 1,
            "verified" => verified = true,
            _ => {}
        }
    }
    assert!(most <= 4, "{most} at once, and the wave allows 4");
    let runs: BTreeSet<String> = fleet.events("applied").iter().map(|entry| entry["run"].to_string()).collect();
    assert!(runs.len() > 1, "one of them did it all");
    fleet.isobar("drift").ends(0);
    fleet.isobar("audit verify").ends(0);
}

#[test]
fn a_breach_that_one_sees_stops_all() {
    let fleet = fleet(4, "max_parallel: 1");
    fleet.block("prod/r0").block("prod/r1");
    for (code, said) in join(start(&fleet, 3)) {
        assert_eq!(code, 1, "{said:?}");
    }
    let failed: Vec<String> = fleet
        .events("step")
        .iter()
        .filter(|entry| entry["step"]["outcome"].to_string().contains("failed"))
        .map(|entry| entry["step"]["target"].to_string())
        .collect();
    assert_eq!(failed.len(), 1, "no failure is tolerated, so nothing starts after the first: {failed:?}");
    assert!(starts(&fleet).keys().all(|target| ["r0", "r1"].iter().any(|region| target.ends_with(region))));
    fleet.isobar("status").ends(0).says("stopped");
}

#[test]
fn a_lone_shard_whose_wave_stopped_goes_on_with_what_another_wave_still_has() {
    let rollout = "rollout: { dev: instant, prod: { profile: instant, max_parallel: 1 } }";
    for shard in ["1/2", "2/2"] {
        let fleet = app("prod/a prod/b prod/c prod/d dev/w dev/x dev/y dev/z", rollout);
        fleet.block("prod/a").block("prod/b").block("prod/c").block("prod/d");

        let ran =
            fleet.isobar(&format!("apply --shard {shard} --wait 2s")).ends(1).says("4 of 8 applied, 1 failed, 3 not started");

        ran.says("isobar resume").keeps_quiet_about("who writes");
    }
}

#[test]
fn what_a_shard_left_that_died_is_done_by_the_others() {
    // The first process that asks the gate of the first wave is killed by it; whoever is left asks it again.
    let gate = "gates: [{ command: [sh, -c, \"mkdir killed 2> /dev/null || exit 0; kill -9 $PPID\"] }]";
    let fleet = fleet(4, gate);
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    let ended = join(start(&fleet, 3));
    let mut codes: Vec<i32> = ended.iter().map(|(code, ..)| *code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [-1, 0, 0], "{ended:?}");
    assert_eq!(fleet.applied().len(), 12);
    fleet.isobar("drift").ends(0);
}

#[test]
fn a_target_whose_end_nobody_journalled_is_looked_at_by_whatever_shard_comes() {
    let fleet = fleet(4, "max_parallel: 2");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started"); // as if the machine had been lost right then
    for (code, said) in join(start(&fleet, 2)) {
        assert_eq!(code, 0, "{said:?}");
    }
    fleet.isobar("status").ends(0).keeps_quiet_about("unknown");
    fleet.isobar("drift").ends(0);
}

#[test]
fn one_shard_alone_does_what_the_others_never_came_for() {
    let fleet = fleet(4, "max_parallel: 4");
    let ended = fleet.isobar("apply --json --shard 2/8").ends(0);
    assert!(ended.states().starts_with("applied "), "{}", ended.states());
    assert_eq!(starts(&fleet).len(), 12);
    fleet.isobar("apply --shard 1/8").ends(0).says("Nothing to apply");
}

#[test]
fn a_shard_waits_for_others_so_long_and_no_longer() {
    let gate = "gates: [{ command: [sh, -c, \"touch asked; exec sleep 60\"] }]";
    let fleet = fleet(4, gate);
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
    let mut first = fleet.start(&["apply"]);
    fleet.await_file("asked", &mut first);
    let late = fleet.isobar("apply --shard 1/2 --wait 0s").ends(1).says("isobar status");
    assert!(late.stdout.contains("wrote nothing for too long"), "{}", late.stdout);
    first.kill().expect("it is our child");
    first.wait().expect("it is our child");
}

/// Starts a run of `dev` and waits until it asks a gate that keeps it until it is killed.
fn at_a_gate(fleet: &Sandbox) -> Child {
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
    let mut first = fleet.start(&["apply", "--region", "dev/*"]);
    fleet.await_file("asked", &mut first);
    first
}

const SLOW_GATE: &str = "gates: [{ command: [sh, -c, \"touch asked; exec sleep 60\"] }]";

#[test]
fn what_a_shard_leaves_to_another_run_is_not_green_even_when_every_target_arrived() {
    let fleet = app("dev/x dev/y", &format!("rollout: {{ dev: {{ {SLOW_GATE} }} }}"));
    let mut first = at_a_gate(&fleet);
    let late = fleet.isobar("apply --shard 1/2 --wait 0s --json").ends(1);
    assert_eq!(late.states(), "applied app@dev/x app@dev/y");
    assert!(late.stdout.contains("isobar status (who writes)"), "{}", late.stdout);
    first.kill().expect("it is our child");
    first.wait().expect("it is our child");
}

#[test]
fn a_wait_that_somebody_asked_for_excuses_nothing_that_is_left_to_another_run() {
    let dev = format!("dev: {{ waves: [{{ name: one, regions: x, {SLOW_GATE} }}, {{ name: two, regions: y }}] }}");
    let prod = "prod: { waves: [{ name: one, regions: a, bake: 15m }, { name: two, regions: b }] }";
    let fleet = app("prod/a prod/b dev/x dev/y", &format!("rollout: {{ {prod}, {dev} }}"));
    fleet.isobar("apply --region prod/*").ends(0);
    let mut first = at_a_gate(&fleet);
    let late = fleet.isobar("apply --shard 1/2 --wait 0s --json").ends(1).says("bakes until");
    assert!(late.why("app@dev/y").contains("another run is at work here"), "{}", late.stdout);
    fleet.isobar("tick --shard 1/2 --wait 0s").ends(1).says("another run is at work here");
    first.kill().expect("it is our child");
    first.wait().expect("it is our child");
}

#[test]
fn what_failed_and_was_tolerated_waits_for_a_resume_though_no_shard_could_settle() {
    let rollout = format!("rollout: {{ prod: {{ failure_tolerance: 1 }}, dev: {{ {SLOW_GATE} }} }}");
    let fleet = app("prod/a prod/b dev/x", &rollout);
    let mut first = at_a_gate(&fleet);
    fleet.block("prod/a");
    let times = || starts(&fleet)["app@prod/a"];
    let shard = "apply app@prod/a app@prod/b --shard 1/2 --wait 0s";
    fleet.isobar(shard).ends(1).says("failed");
    for _ in 0..2 {
        fleet.isobar(shard).ends(1).says("failed before with the same changes");
        assert_eq!((times(), fleet.events("settled").len()), (1, 0), "the other run is at work, so none is the last");
    }
    fleet.isobar("resume").ends(0);
    fleet.isobar(shard).ends(1);
    assert_eq!(times(), 2);
    first.kill().expect("it is our child");
    first.wait().expect("it is our child");
}

#[test]
fn what_waits_in_several_shards_is_shown_once_and_approved_as_one() {
    let fleet = app("prod/r0 prod/r1 prod/r2 prod/r3 prod/r4 prod/r5", APPROVALS);
    assert!(join(start(&fleet, 3)).iter().all(|(code, _)| *code == 3));
    // Each shard knows but its own: it does not say that all of it could be approved here.
    let ran = fleet.isobar("apply --shard 1/3").ends(3).says("isobar preview  (shows what waits in every shard");
    assert!(!ran.stdout.contains("approves all that is shown above"), "{}", ran.stdout);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);
    assert!(join(start(&fleet, 3)).iter().all(|(code, _)| *code == 0));
}

#[test]
fn a_matrix_has_the_shards_that_a_workflow_starts_and_none_when_there_is_nothing_to_do() {
    let fleet = fleet(4, "max_parallel: 4");
    let all = fleet.isobar("matrix --shards 3").ends(0);
    assert_eq!(all.stdout, "{\"include\":[{\"shard\":\"1/3\"},{\"shard\":\"2/3\"},{\"shard\":\"3/3\"}]}\n");
    assert_eq!(fleet.isobar("matrix").ends(0).json()["include"].as_array().map(Vec::len), Some(1), "12 targets are not many");
    let json = fleet.isobar("matrix api@prod/r1 api@prod/r2 --shards 3 --json").ends(0).json();
    assert_eq!((&json["shards"], &json["targets"]), (&2.into(), &2.into()), "no more than there are targets");

    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.isobar("matrix --shards 3").ends(0).stdout, "{\"include\":[]}\n");
    fleet.isobar("matrix --shards 257").ends(64).says("256");
    fleet.isobar("matrix nobody").ends(64);
}

#[test]
fn a_matrix_has_a_shard_for_a_gate_that_a_killed_run_left_and_none_while_it_rests() {
    let killed = "gates: [{ command: [sh, -c, \"[ -e killed ] || { touch killed; kill -9 $PPID; }\"] }]";
    let bakes = "waves: [{ name: one, regions: a, bake: 15m }, { name: two, regions: b }]";
    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ {killed} }} }}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    fleet.isobar("apply").ends(137);
    let one = "{\"include\":[{\"shard\":\"1/1\"}]}\n";
    assert_eq!(fleet.isobar("matrix --shards 3").ends(0).stdout, one, "every target is there, and the gate was not asked");
    fleet.isobar("pause --reason lunch").ends(0);
    assert_eq!(fleet.isobar("matrix").ends(0).stdout, "{\"include\":[]}\n");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply --shard 1/1").ends(0);
    assert_eq!(fleet.isobar("matrix").ends(0).stdout, "{\"include\":[]}\n");

    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ {bakes} }} }}"));
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.isobar("matrix app@prod/a").ends(0).stdout, "{\"include\":[]}\n", "it bakes");
}

#[test]
fn shards_meet_in_a_journal_in_git_too() {
    let fleet = app("prod/a prod/b prod/c prod/d", "");
    fleet.edit("isobar.yaml", "journal: file:.isobar/journal", "journal: git").commit("In git");
    for (code, said) in join(start(&fleet, 2)) {
        assert_eq!(code, 0, "{said:?}");
    }
    let rows = fleet.isobar("audit export").ends(0);
    assert_eq!(rows.stdout.lines().count(), 4, "each target once: {}", rows.stdout);
    fleet.isobar("drift").ends(0);
}

/// Previews so many parts into a directory beside the repository, as jobs of a workflow do; returns it.
fn parts(fleet: &Sandbox, of: usize) -> String {
    let dir = fleet.outside("parts");
    std::fs::create_dir_all(&dir).expect("a directory beside the repository");
    for nth in 1..=of {
        fleet.isobar(&format!("preview --shard {nth}/{of} --part {dir}/{nth}.json")).ends(0).says("written to");
    }
    dir
}

/// What a report says, without the time.
fn timeless(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).expect("a report");
    report["at_ms"].take();
    report
}

#[test]
fn a_preview_of_parts_says_what_one_process_would_say() {
    let fleet = fleet(4, "max_parallel: 4");
    let one = fleet.isobar("preview --json").ends(0);
    let dir = parts(&fleet, 4);
    assert_eq!(timeless(&fleet.isobar(&format!("preview --parts {dir} --json")).ends(0).stdout), timeless(&one.stdout));
}

#[test]
fn what_uses_an_output_of_another_part_is_previewed_with_it() {
    let fleet = app("prod/a prod/b", "");
    fleet.stack("app", "outputs: { address: '10.0.0.1' }");
    fleet.stack("web", "inputs: { address: \"${{ stacks[\\\"app\\\"].outputs.address }}\" }");
    fleet.file("web/templates/web.txt.j2", "{{ inputs.address }}\n").commit("Web");
    let one = fleet.isobar("preview --json").ends(0);
    assert!(one.stdout.contains("10.0.0.1"), "{}", one.stdout);
    let dir = parts(&fleet, 4);
    assert_eq!(timeless(&fleet.isobar(&format!("preview --parts {dir} --json")).ends(0).stdout), timeless(&one.stdout));
}

#[test]
fn the_targets_of_a_lost_part_are_unseen_and_nothing_is_green() {
    let fleet = fleet(4, "max_parallel: 4");
    let dir = parts(&fleet, 3);
    std::fs::remove_file(format!("{dir}/2.json")).expect("it was written");
    let ran = fleet.isobar(&format!("preview --parts {dir} --json")).ends(1);
    let counts = &ran.json()["counts"];
    assert_eq!((&counts["unseen"], &counts["create"]), (&4.into(), &8.into()), "{counts}");
    assert!(ran.why("api@prod/r2").contains("no part tells of it"), "{}", ran.stdout);
    fleet.isobar("judge").ends(1);
}

#[test]
fn a_part_counts_for_the_commit_that_it_is_of_and_as_it_was_written() {
    let mut fleet = fleet(4, "max_parallel: 4").env("ISOBAR_KEY", "a key");
    let dir = parts(&fleet, 2);
    let (first, other) = (format!("{dir}/1.json"), fleet.outside("other.json"));
    let text = std::fs::read_to_string(&first).expect("it was written");
    std::fs::write(&first, text.replace("api 1", "api 2")).expect("it can be changed");
    fleet.isobar(&format!("preview --parts {dir}")).ends(1).says("was not sealed with ISOBAR_KEY");
    fleet.without_env("ISOBAR_KEY");
    fleet.isobar(&format!("preview --parts {dir}")).ends(1).says("is not what a shard wrote");

    std::fs::write(&first, text).expect("it can be changed");
    fleet.version(1, 2);
    fleet.isobar(&format!("preview --parts {dir}")).ends(64).says("preview all parts again");
    fleet
        .file("dirty.txt", "x\n")
        .isobar(&format!("preview --shard 1/2 --part {other}"))
        .ends(64)
        .says("not committed: dirty.txt");
    fleet.isobar("preview --shard 1/2").ends(64);
    fleet.isobar("preview --shard 1/2 --part parts/1").ends(64).says("parts/1.json");
}

/// The most that were in flight at once of targets that `is_meant`, by the journal.
fn most_at_once(fleet: &Sandbox, is_meant: impl Fn(&str) -> bool) -> usize {
    let (mut in_flight, mut most) = (0, 0);
    for entry in fleet.events("step") {
        match (entry["step"]["step"].as_str(), entry["step"]["target"].as_str()) {
            (Some("started"), Some(target)) if is_meant(target) => in_flight += 1,
            (Some("finished"), Some(target)) if is_meant(target) => in_flight -= 1,
            _ => {}
        }
        most = most.max(in_flight);
    }
    most
}

#[test]
fn slots_of_an_account_hold_for_one_process_and_over_all_shards() {
    let slots = "slots: [{ per: account, count: 2 }, { per: [account, engine], count: 1 }, { per: engine, count: 3 }]";
    let begin = app("prod/a prod/b prod/c prod/d", slots);
    for (region, account) in [("a", "one"), ("b", "one"), ("c", "one"), ("d", "two")] {
        begin.edit(
            "isobar.yaml",
            &format!("prod/{region}: {{}}"),
            &format!("prod/{region}: {{ labels: {{ account: {account} }} }}"),
        );
    }
    begin.stack("web", "").file("web/templates/web.txt", "web 1\n").commit("Accounts");
    let of_one = |target: &str| !target.ends_with("prod/d");
    for shards in [0, 2] {
        let fleet = begin.twin();
        match shards {
            0 => drop(fleet.isobar("apply").ends(0)),
            of => join(start(&fleet, of)).into_iter().for_each(|(code, said)| assert_eq!(code, 0, "{said:?}")),
        }
        assert_eq!(starts(&fleet).len(), 8);
        assert_eq!(most_at_once(&fleet, of_one), 1, "{shards} shards");
        assert!(most_at_once(&fleet, |_| true) <= 2, "{shards} shards");
    }
}

#[test]
fn a_target_whose_slot_is_free_does_not_wait_behind_one_whose_slot_is_taken() {
    let fleet = app("prod/a prod/b prod/c", "slots: [{ per: account, count: 1 }]\nrollout: { prod: { max_parallel: 2 } }");
    for (region, account) in [("a", "one"), ("b", "one"), ("c", "two")] {
        let (from, to) = (format!("prod/{region}: {{}}"), format!("prod/{region}: {{ labels: {{ account: {account} }} }}"));
        fleet.edit("isobar.yaml", &from, &to);
    }
    fleet.commit("Accounts");
    fleet.isobar("apply").ends(0);
    assert_eq!(steps(&fleet, "started"), ["app@prod/a", "app@prod/c", "app@prod/b"]);
    assert_eq!(most_at_once(&fleet, |_| true), 2);
}

/// What another run writes of a target.
struct Other {
    store: FileStore,
    target: TargetId,
    lease: Lease,
    now_ms: u64,
}

impl Other {
    /// Begins an apply of a target.
    fn begins(fleet: &Sandbox, target: &str) -> Self {
        let (now_ms, target): (u64, TargetId) = (fleet.now_ms(), target.parse().expect("a target"));
        let store = FileStore::open(fleet.root().join(".isobar/journal")).expect("a journal");
        let holder = Holder { run: "other".into(), host: "here".into(), pid: std::process::id(), since_ms: now_ms, job: None };
        let lease = wait(store.acquire(std::slice::from_ref(&target), holder)).expect("nobody has it");
        let other = Self { store, target: target.clone(), lease, now_ms };
        other.append(StepEvent::Started { target }, 0);
        other
    }

    /// Ends it after so many milliseconds.
    fn ends(self, took_ms: u64) {
        self.append(StepEvent::Finished { target: self.target.clone(), outcome: Outcome::Applied }, took_ms);
        wait(self.store.release(self.lease)).expect("it is ours");
    }

    fn append(&self, step: StepEvent, later_ms: u64) {
        let events = vec![Event::Step { rollout: "other".into(), step }];
        wait(self.store.append(events, &"other".into(), self.now_ms + later_ms, Some(&self.lease))).expect("it has room");
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Runs with the clock of the machine, so that time passes while it runs.
fn in_time(fleet: &Sandbox, arguments: &str) -> Ran {
    fleet.finish(fleet.program().env_remove("ISOBAR_NOW_MS").args(arguments.split_whitespace()))
}

#[test]
fn a_target_that_takes_longer_than_the_whole_job_is_named_and_not_green() {
    let mut fleet = app("prod/a prod/b", "");
    fleet.stack("web", "").file("web/templates/web.txt", "web 1\n").commit("Web");
    fleet.isobar("apply").ends(0);
    Other::begins(&fleet, "app@prod/a").ends(600_000);
    fleet.file("web/templates/web.txt", "web 2\n");
    fleet.version(1, 2);

    let ran = fleet.isobar("apply --time-left 5m --json").ends(1);
    assert_eq!(ran.states(), "applied web@prod/a web@prod/b; not_started app@prod/a app@prod/b");
    let above = "isobar tick begins it with a --time-left above 10m";
    assert_eq!(ran.why("app@prod/b"), format!("it usually takes 10m, and this run had 5m; {above}"));
    assert!(ran.stdout.contains("isobar tick  (with a --time-left above 10m, or without one)"), "{}", ran.stdout);
    fleet = fleet.env("ISOBAR_TIME_LEFT", "");
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_job_that_is_spent_is_no_failure_and_says_what_needs_more_time() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    Other::begins(&fleet, "app@prod/a").ends(600_000);
    fleet.version(1, 2);

    let ran = fleet.isobar("apply --time-left 0s --json").ends(0);
    assert_eq!(ran.why("app@prod/b"), "no time is left of the job; isobar tick goes on");
    let ran = fleet.isobar("tick --time-left 5m").ends(0).says("it usually takes 10m, and this run had 5m");
    ran.says("isobar tick  (with a --time-left above 10m, or without one)");
    fleet.isobar("tick --time-left 11m").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn what_no_longer_fits_into_the_job_is_left_to_the_next() {
    let fleet = app("dev/x prod/b", "rollout: { dev: { gates: [{ command: [sleep, \"0.2\"] }] }, prod: { after: dev } }");
    fleet.stack("long", "").edit("long/stack.yaml", "where: all", "where: { environment: prod }");
    fleet.file("long/templates/long.txt", "long 1\n").commit("Long");
    fleet.isobar("apply").ends(0);
    Other::begins(&fleet, "long@prod/b").ends(600_000);
    fleet.file("long/templates/long.txt", "long 2\n");
    fleet.version(1, 2);

    let ran = in_time(&fleet, "apply --time-left 10m --json").ends(0).says("isobar tick");
    assert_eq!(ran.states(), "applied app@dev/x app@prod/b; not_started long@prod/b");
    assert!(ran.why("long@prod/b").contains("it usually takes longer than the time that is left"), "{}", ran.stdout);
    fleet.isobar("tick --time-left 10m").ends(0);
}

#[test]
fn a_shard_whose_targets_fit_no_longer_goes_on_with_what_does() {
    let slots = "slots: [{ per: account, count: 1 }]";
    let dev = "dev: { waves: [{ name: one, regions: x, gates: [{ command: [sleep, \"0.3\"] }] }, { name: two, regions: y }] }";
    let fleet = app("dev/x dev/y prod/a prod/z", &format!("{slots}\nrollout: {{ {dev} }}"));
    for region in ["prod/a", "prod/z"] {
        fleet.edit("isobar.yaml", &format!("{region}: {{}}"), &format!("{region}: {{ labels: {{ account: one }} }}"));
    }
    fleet.stack("app", "").edit("app/stack.yaml", "where: all", "where: { environment: dev }");
    fleet.stack("long", "").edit("long/stack.yaml", "where: all", "where: { environment: prod }");
    fleet.file("long/templates/long.txt", "long 1\n").commit("Long");
    fleet.isobar("apply").ends(0);
    Other::begins(&fleet, "long@prod/a").ends(599_701);
    let other = Other::begins(&fleet, "long@prod/z"); // and has the only slot
    fleet.file("long/templates/long.txt", "long 2\n");
    fleet.version(1, 2);

    let ran = in_time(&fleet, "apply app long@prod/a --shard 1/1 --wait 0s --time-left 10m --json").ends(0);
    assert_eq!(ran.states(), "applied app@dev/x app@dev/y; not_started long@prod/a");
    other.ends(0);
}

#[test]
fn a_shard_whose_job_is_over_begins_nothing_and_waits_for_nobody() {
    let fleet = fleet(4, "max_parallel: 4");
    fleet.isobar("apply --shard 1/2 --time-left 0s").ends(0).says("isobar tick");
    assert_eq!(starts(&fleet).len(), 0);
    fleet.isobar("tick").ends(0);
    assert_eq!(starts(&fleet).len(), 12);
}

#[test]
fn a_shard_that_a_newer_commit_overtook_ends_what_it_began_and_plans_nothing_more() {
    let gate = "gates: [{ command: [sh, -c, \"touch asked; until [ -e go ]; do sleep 0.05; done\"] }]";
    let fleet = app("dev/x prod/a", &format!("rollout: {{ dev: {{ {gate} }} }}"));
    fleet.stack("web", "").file("web/templates/web.txt", "web 1\n");
    fleet.edit(".gitignore", "/live/", "/live/\n/asked\n/go").file("go", "").commit("More");
    fleet.isobar("apply").ends(0);
    fleet.remove("go").remove("asked");

    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: 2").commit("Another app");
    let mut overtaken = start_one(&fleet, "1/2");
    fleet.await_file("asked", &mut overtaken);
    fleet.file("web/templates/web.txt", "web 2\n").commit("Another web");
    fleet.isobar("apply web@prod/a --shard 2/2 --wait 0s").says("web@prod/a");
    let planned = fleet.events("planned").len();
    assert_eq!(planned, 3, "the first, and one of each commit");

    fleet.file("go", "");
    let ended = join(vec![overtaken]);
    assert_eq!(ended[0].0, 1, "{ended:?}");
    assert!(ended[0].1.iter().any(|said| said.contains("older code is never put over newer")), "{ended:?}");
    assert_eq!((fleet.events("planned").len(), fleet.events("settled").len()), (planned, 1));
    let web = |region: &str| fleet.live(&format!("live/{region}/web"))["web.txt"].clone();
    assert_eq!(web("prod/a"), "web 2\n");
    fleet.isobar("apply").ends(0);
    assert_eq!(web("dev/x"), "web 2\n");
}
