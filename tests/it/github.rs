//! A pull request's life on GitHub: what the action does for each event, and what people find there afterwards.

use crate::support::github::{BOT, TOKEN};
use crate::support::{APPROVALS, Forge, app};
use serde_json::json;

/// A policy that says yes to what is small.
const OPEN: &str = "policy: [{ rule: limit, targets_max: 10 }]";

fn forge() -> Forge {
    Forge::of(app("prod/a staging/a", APPROVALS))
}

#[test]
fn a_change_is_shown_approved_merged_and_applied() {
    let forge = forge();
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let comment = forge.comment(number);
    assert!(comment.starts_with("### ") && comment.contains("**Gate closed**: 1 waiting"), "{comment}");
    assert!(comment.contains("missing 1 of platform") && comment.contains("version: 2"), "{comment}");
    assert_eq!(forge.gate(number), "pending: 2 of 2 regions will change · 1 waiting");

    forge.review(number, "bob", "APPROVED");
    forge.on_pull("pull_request_review", "submitted", number).ends(0);
    assert!(forge.comment(number).contains("**Gate open**"), "{}", forge.comment(number));
    assert_eq!(forge.gate(number), "success: 2 of 2 regions will change");

    let merged = forge.merge(number, "version-2");
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2, staging/a 2");
    let comment = forge.comment(number);
    assert!(comment.starts_with("### 2 of 2 applied") && comment.contains("Applied"), "{comment}");
    assert_eq!(forge.status(&merged, "isobar apply"), "success: 2 of 2 applied");
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn people_see_how_a_rollout_goes_while_it_goes_on() {
    let gate = "gates: [{ command: [sh, -c, \"until [ -e go ]; do sleep 0.05; done\"] }]";
    let waves =
        format!("rollout: {{ staging: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let fleet = app("staging/a staging/b staging/c", &format!("{OPEN}\n{waves}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/go").file("go", "").commit("Ignore");
    let forge = Forge::of(fleet);
    forge.fleet.remove("go");
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let merged = forge.merge(number, "version-2");
    let mut child = forge.start_on_push("");
    let says = |what: &str| forge.comment(number).starts_with(what);
    forge.fleet.await_that("a word on the way", &mut child, || says("### 1 of 3 applied, 2 to come · going on"));
    let comment = forge.comment(number);
    assert!(
        comment.contains("| staging 1: first | 1 of 1 | 0 | running |") && comment.contains("2 to come, 1 applied"),
        "{comment}"
    );
    assert!(comment.contains("| staging/b, staging/c | … |") && comment.contains("… to come"), "{comment}");
    assert_eq!(forge.status(&merged, "isobar apply"), "pending: 1 of 3 applied, 2 to come · going on");
    assert_eq!(forge.comments(number).len(), 1);

    forge.fleet.file("go", "");
    forge.fleet.signals(child, &[]).0.ends(0);
    assert!(says("### 3 of 3 applied\n"), "{}", forge.comment(number));
    assert_eq!(forge.status(&merged, "isobar apply"), "success: 3 of 3 applied");
}

#[test]
fn where_a_commit_was_brought_is_a_deployment_of_each_region_once() {
    let forge = Forge::of(app("prod/a prod/b", OPEN));
    let deployed = || forge.github.people(|state| state.deployed());
    let number = forge.propose(1, 2);
    forge.merge(number, "version-2");
    forge.on_push("").ends(0);
    assert_eq!(deployed(), [""; 0], "nobody asked for it");

    let number = forge.propose(2, 3);
    forge.merge(number, "version-3");
    forge.fleet.block("prod/b");
    forge.with("INPUT_DEPLOYMENTS", "true").on_push("").ends(1).keeps_quiet_about("warning:");
    assert_eq!(deployed(), ["prod/b failure 0 of 1 applied, 1 failed", "prod/a success 1 of 1 applied"]);
    forge.fleet.unblock("prod/b");
    forge.fleet.isobar("resume").ends(0);
    for _ in 0..2 {
        forge.on_push("").ends(0);
    }
    let again = "prod/b failure 0 of 1 applied, 1 failed, success 1 of 1 applied";
    assert_eq!(deployed(), [again, "prod/a success 1 of 1 applied"]);

    forge.github.token(TOKEN, BOT, &["contents: read", "pull-requests: write", "statuses: write", "issues: write"]);
    let number = forge.propose(3, 4);
    forge.merge(number, "version-4");
    forge.on_push("").ends(0).says("warning: what was deployed was not told").says("deployments: write");
}

#[test]
fn what_was_changed_by_hand_is_an_issue_until_it_is_put_back() {
    let forge = Forge::of(app("staging/a", OPEN));
    forge.on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), [""; 0]);

    forge.fleet.file("live/staging/a/app/app.yaml", "region: a\nversion: 7\n");
    for _ in 0..2 {
        forge.on("schedule", &json!({})).ends(2);
        assert_eq!(forge.issues(), ["Drift"]);
    }
    forge.fleet.isobar("drift --fix").ends(0);
    forge.on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn each_owner_hears_of_what_is_theirs_in_an_issue_of_their_own() {
    let fleet = app("staging/a staging/b staging/c", OPEN);
    fleet.edit("isobar.yaml", "staging/a: {}", "staging/a: { vars: { owner: networks } }");
    fleet.edit("isobar.yaml", "staging/b: {}", "staging/b: { vars: { owner: '@acme/data  <b>' } }").commit("Name the owners");
    let forge = Forge::of(fleet);
    let edit = |region: &str, version: u32| {
        let text = format!("region: {region}\nversion: {version}\n");
        forge.fleet.file(&format!("live/staging/{region}/app/app.yaml"), &text);
    };
    ["a", "b", "c"].into_iter().for_each(|region| edit(region, 7));
    for _ in 0..2 {
        forge.on("schedule", &json!({})).ends(2);
        assert_eq!(forge.issues(), ["Drift", "Drift: @acme/data <b>", "Drift: networks"]);
    }
    let bodies = forge.github.people(|state| state.issues.values().map(|issue| issue.body.clone()).collect::<Vec<_>>());
    for (body, theirs) in bodies.iter().zip(["staging/c", "staging/b", "staging/a"]) {
        let named = ["staging/a", "staging/b", "staging/c"].map(|region| body.contains(region));
        assert_eq!(named.iter().filter(|is_named| **is_named).count(), 1, "{body}");
        assert!(body.contains(theirs) && body.contains("isobar drift --fix"), "{body}");
    }

    edit("b", 1);
    forge.on("schedule", &json!({})).ends(2);
    assert_eq!(forge.issues(), ["Drift", "Drift: networks"]);
    forge.fleet.edit("isobar.yaml", "owner: networks", "owner: sre");
    forge.push("Another team has it");
    forge.on("schedule", &json!({})).ends(2);
    assert_eq!(forge.issues(), ["Drift", "Drift: sre"]);

    forge.with("INPUT_COMMAND", "fix").on("workflow_dispatch", &json!({})).ends(0);
    assert_eq!(forge.fleet.versions(), "staging/a 1, staging/b 1, staging/c 1");
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn what_cannot_begin_at_all_is_an_issue_until_something_runs() {
    let forge = Forge::of(app("staging/a", OPEN));
    forge.fleet.edit("isobar.yaml", "version: 1", "version: 9");
    forge.push("A slip");
    forge.on_push("").ends(65);
    forge.with("INPUT_COMMAND", "drift").on("schedule", &json!({})).ends(65);
    assert_eq!(forge.issues(), ["Isobar cannot apply", "Isobar cannot look for drift"]);
    forge.fleet.edit("isobar.yaml", "version: 9", "version: 1");
    forge.push("Mend it");
    forge.on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), ["Isobar cannot apply"]);
    forge.with("INPUT_COMMAND", "tick").on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

/// A fleet of which an apply has failed for a reason that is mended.
fn failed() -> Forge {
    let forge = Forge::of(app("staging/a", OPEN));
    let number = forge.propose(1, 2);
    forge.merge(number, "version-2");
    forge.fleet.block("staging/a");
    forge.on_push("").ends(1);
    assert_eq!(forge.issues(), ["An apply failed"]);
    forge.fleet.unblock("staging/a");
    forge
}

#[test]
fn an_apply_that_fails_is_an_issue_until_one_goes_well() {
    let forge = failed();
    forge.fleet.isobar("resume").ends(0);
    let number = forge.propose(2, 3);
    forge.merge(number, "version-3");
    forge.on_push("").ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn a_preview_that_cannot_be_made_is_told_too() {
    let forge = forge();
    let base = forge.fleet.head();
    forge.fleet.branch("broken").edit("app/stack.yaml", "where: all", "where: nowhere");
    let head = forge.fleet.commit("Break it");
    let number = forge.github.people(|state| state.open("ada", "Break it", &base, &[&head]));
    forge.on_pull("pull_request", "opened", number).ends(65);
    let comment = forge.comment(number);
    assert!(comment.starts_with("### The preview of ") && comment.contains("app/stack.yaml:1"), "{comment}");
    assert!(forge.gate(number).starts_with("error: "), "{}", forge.gate(number));
}

#[test]
fn a_base_that_is_not_in_the_clone_is_told_with_what_brings_it() {
    let forge = forge();
    let number = forge.propose(1, 2);
    forge.github.people(|state| state.pull(number).base_ref = "trunk".into());
    let head = forge.fleet.head();
    let payload = json!({
        "action": "opened",
        "repository": { "default_branch": "trunk" },
        "pull_request": { "number": number, "head": { "sha": head }, "base": { "ref": "trunk" } },
    });
    forge.on("pull_request", &payload).ends(64).says("fetch-depth: 0");
    assert!(forge.comment(number).contains("trunk is not in this clone"), "{}", forge.comment(number));
    assert!(forge.gate(number).starts_with("error: "), "{}", forge.gate(number));
}

#[test]
fn an_issue_of_a_failed_apply_is_closed_when_nothing_is_left_to_apply() {
    let forge = failed();
    forge.fleet.isobar("resume").ends(0);
    forge.fleet.isobar("apply").ends(0);
    forge.on_push("").ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn nothing_is_applied_where_reviews_cannot_be_read() {
    let forge = Forge::new(app("staging/a", OPEN));
    forge.github.token(TOKEN, BOT, &["statuses: write"]);
    forge.on_push("").ends(1).says("pull-requests: read");
    assert_eq!(forge.fleet.versions(), "staging/a -");
}

#[test]
fn a_change_of_240_targets_is_one_comment_and_few_calls() {
    let regions: Vec<String> = (0..40).map(|nth| format!("prod/r{nth}")).collect();
    let fleet = app(&regions.join(" "), APPROVALS);
    for stack in ["b", "c", "d", "e", "f"] {
        fleet.stack(stack, "").file(&format!("{stack}/templates/app.yaml.j2"), "version: 1\n");
    }
    fleet.commit("Six stacks");
    let forge = Forge::of(fleet);
    let number = forge.propose(1, 2);
    let before = forge.github.recorded().len();
    forge.on_pull("pull_request", "opened", number).ends(0);
    let calls = forge.github.recorded().len() - before;
    assert!(calls <= 12, "{calls} calls");
    assert!(forge.comment(number).starts_with("### 40 of 240 targets will change"), "{}", forge.comment(number));

    forge.fleet.version(2, 3);
    let head = forge.fleet.head();
    forge.github.people(|state| state.push(number, "ada", &head));
    let before = forge.github.recorded().len();
    forge.on_pull("pull_request", "synchronize", number).ends(0);
    let calls = forge.github.recorded().len() - before;
    assert!(calls <= 12, "{calls} calls");
    assert!(forge.comment(number).contains("version: 3"), "{}", forge.comment(number));
}

#[test]
fn later_steps_learn_how_it_ended() {
    let forge = forge();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let outputs = std::fs::read_to_string(forge.fleet.outside("outputs")).expect("they were left");
    let lines: Vec<&str> = outputs.lines().filter(|line| !line.starts_with("report=")).collect();
    assert_eq!(
        lines,
        ["targets=2", "changed=2", "applied=0", "failed=0", "waiting=0", "drifted=0", "result=clean", "exit-code=0"]
    );
    let report = outputs.lines().find_map(|line| line.strip_prefix("report=")).expect("where the report is");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(report).expect("it was written")).expect("JSON");
    assert_eq!(report["targets"].as_array().map(Vec::len), Some(2));
    let summary = std::fs::read_to_string(forge.fleet.outside("summary.md")).expect("it was written");
    assert!(summary.contains("**Gate closed**"), "{summary}");
}

#[test]
fn drafts_and_programs_pull_requests_are_previewed_where_that_is_asked_for() {
    let forge = forge();
    let number = forge.propose(1, 2);
    forge.github.people(|state| state.pull(number).is_draft = true);
    forge.on_pull("pull_request", "opened", number).ends(0).says("is a draft");
    assert_eq!(forge.comments(number), [""; 0]);
    let forge = Forge { fleet: forge.fleet.env("INPUT_DRAFTS", "true"), ..forge };
    forge.on_pull("pull_request", "opened", number).ends(0);
    assert_eq!(forge.comments(number).len(), 1);
}

#[test]
fn a_merge_queue_is_told_how_its_group_stands() {
    let forge = forge();
    let base = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let head = forge.fleet.head();
    let payload = json!({
        "action": "checks_requested",
        "repository": { "default_branch": "main" },
        "merge_group": { "head_sha": head, "base_sha": base },
    });
    forge.on("merge_group", &payload).ends(0);
    assert!(
        forge.status(&head, "isobar").starts_with("success: 2 of 2 regions will change"),
        "{}",
        forge.status(&head, "isobar")
    );
}

#[test]
fn what_is_merged_sets_other_changes_of_the_same_targets_back() {
    let fleet = app("prod/a staging/a", APPROVALS);
    fleet.stack("other", "").file("other/templates/other.yaml.j2", "version: 1\n").commit("Another");
    let forge = Forge::of(fleet);
    let before = forge.fleet.head();
    forge.on_push("");
    let first = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", first).ends(0);
    // Two more from the same commit: one of the same targets, and one of others.
    let propose = |branch: &str, path: &str| {
        forge.fleet.checkout("main").branch(branch).file(path, "more: 1\n");
        let head = forge.fleet.commit(branch);
        let number = forge.github.people(|state| state.open("ada", branch, &before, &[&head]));
        forge.on_pull("pull_request", "opened", number).ends(0);
        forge.review(number, "bob", "APPROVED");
        forge.on_pull("pull_request_review", "submitted", number).ends(0);
        assert!(forge.gate(number).starts_with("success"), "{}", forge.gate(number));
        number
    };
    let (same, other) = (propose("same", "app/templates/more.yaml"), propose("other", "other/templates/more.yaml"));

    forge.review(first, "bob", "APPROVED");
    forge.merge(first, "version-2");
    forge.on_push(&before);
    assert_eq!(forge.gate(same), "pending: #1 touches 2 targets as well: preview it again");
    assert!(forge.gate(other).starts_with("success"), "{}", forge.gate(other));
    // Whoever approves it now approves what is old.
    forge.fleet.checkout("same");
    forge.review(same, "carol", "APPROVED");
    forge.on_pull("pull_request_review", "submitted", same).ends(0);
    assert_eq!(forge.gate(same), "pending: main has moved on for 2 of its targets since it was looked at: preview it again");
    assert!(forge.comment(same).contains("main has moved on"), "{}", forge.comment(same));
    forge.fleet.checkout("main");
    forge.says("bob", same, "/isobar preview").ends(0);
    assert!(!forge.gate(same).contains("preview it again"), "{}", forge.gate(same));
}

#[test]
fn a_tick_tells_the_change_whose_rollout_it_goes_on_with() {
    let waves = "rollout: { prod: { waves: [{ name: first, regions: a, bake: 1h }, { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b", OPEN);
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "journal:", &format!("{waves}\njournal:")).commit("Waves");
    let forge = Forge::of(fleet);
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    let merged = forge.merge(number, "version-2");
    forge.on_push(&before).ends(0).says("bakes until");
    // Words are merged meanwhile.
    let base = forge.fleet.head();
    forge.fleet.branch("words").file("README.md", "words\n");
    let head = forge.fleet.commit("Words");
    let words = forge.github.people(|state| state.open("ada", "Words", &base, &[&head]));
    forge.merge(words, "words");
    forge.on_push(&base).ends(0);
    let told = forge.comments(words);

    forge.fleet.pass_secs(3_600);
    forge.on("schedule", &json!({})).ends(0).says("2 of 2 applied");
    assert_eq!(forge.fleet.versions(), "prod/a 2, prod/b 2");
    assert_eq!(forge.issues(), [""; 0], "what waits for a bake is no drift");
    assert!(forge.comment(number).contains("| 1 of 1 | 0 | done |"), "{}", forge.comment(number));
    assert!(!forge.comment(number).contains("bakes until"), "{}", forge.comment(number));
    assert_eq!(forge.comments(words), told);
    assert!(
        forge.status(&merged, "isobar apply").starts_with("success: 2 of 2 applied"),
        "{}",
        forge.status(&merged, "isobar apply")
    );
}

/// What stands under a pull request that begins so.
fn answer(forge: &Forge, number: u64, beginning: &str) -> Option<String> {
    forge.comments(number).into_iter().find(|text| text.starts_with(beginning))
}

#[test]
fn a_comment_is_a_command_of_who_may_give_it() {
    let forge = forge();
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.says("bob", number, "/isobar preview").ends(0);
    assert!(answer(&forge, number, "### 2 of 2 regions will change").is_some(), "{:?}", forge.comments(number));
    forge.says("eve", number, "/isobar pause").ends(0).says("may not write");
    assert!(answer(&forge, number, "eve may not write to this repository").is_some());
    forge.says("bob", number, "/isobar what").ends(0).says("/isobar approve DIGEST");
    for other in ["isobar preview", " /isobar preview", "/isobarpreview", "thanks\n/isobar preview"] {
        forge.says("bob", number, other).ends(0).says("nothing to do");
    }
    forge.says("bob[bot]", number, "/isobar pause").ends(0).says("nothing to do");

    forge.merge(number, "version-2");
    let ran = forge.on_push(&before).ends(3);
    let (_, rest) = ran.stdout.split_once("/isobar approve ").expect("it says how");
    let digest = rest.split_whitespace().next().expect("a digest");
    forge.says("eve", number, &format!("/isobar approve {digest}")).ends(0).says("may not write");
    forge.says("bob", number, "/isobar status").ends(0);
    assert!(
        answer(&forge, number, "```\n").is_some_and(|text| text.contains("app in staging/a")),
        "{:?}",
        forge.comments(number)
    );
    forge.says("bob", number, "/isobar why app@prod/a").ends(0);
    assert!(answer(&forge, number, "```\napp@prod/a is touched").is_some(), "{:?}", forge.comments(number));
    forge.says("bob", number, "/isobar why app@prod/```x").ends(0);
    assert!(answer(&forge, number, "````\nerror: ").is_some(), "{:?}", forge.comments(number));
    let last = |forge: &Forge| forge.comments(number).pop().expect("an answer");
    forge.says("bob", number, "/isobar pause").ends(0);
    assert!(last(&forge).starts_with("Paused"), "each command is answered below it: {:?}", forge.comments(number));
    forge.says("bob", number, "/isobar resume").ends(0);
    assert!(last(&forge).starts_with("Resumed"), "{:?}", forge.comments(number));
    forge.says("bob", number, "/isobar apply 0123456").ends(0).says("and not that one");
    assert_eq!(forge.fleet.versions(), "prod/a -, staging/a 2");
    forge.says("bob", number, &format!("/isobar approve {digest}")).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2, staging/a 2");
    assert!(answer(&forge, number, "### 1 of 1 applied").is_some(), "{:?}", forge.comments(number));
}

#[test]
fn what_the_examples_permit_is_enough_and_no_more() {
    for (file, job, events) in [
        ("pull-request.yml", "isobar", &["opened", "reviewed"][..]),
        ("apply.yml", "apply", &["pushed"]),
        ("drift.yml", "drift", &["drifted"]),
        ("drift.yml", "tick", &["ticked"]),
    ] {
        let permissions = permitted(file, job);
        let told = |allowed: &[String]| -> String {
            let forge = forge();
            let before = forge.fleet.head();
            let number = forge.propose(1, 2);
            forge.on_pull("pull_request", "opened", number).ends(0);
            forge.review(number, "bob", "APPROVED");
            let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
            forge.github.token(TOKEN, BOT, &allowed);
            let mut said = String::new();
            for event in events {
                let ran = match *event {
                    "opened" => forge.on_pull("pull_request", "synchronize", number),
                    "reviewed" => forge.on_pull("pull_request_review", "submitted", number),
                    "pushed" => {
                        forge.merge(number, "version-2");
                        forge.on_push(&before)
                    }
                    "drifted" | "ticked" => {
                        forge.merge(number, "version-2");
                        let fleet = &forge.fleet;
                        let command = if *event == "drifted" { "drift" } else { "tick" };
                        let mut program = fleet.program();
                        program.arg("action").env("GITHUB_EVENT_NAME", "schedule").env("INPUT_COMMAND", command);
                        fleet.finish(&mut program)
                    }
                    other => panic!("{other}"),
                };
                said.push_str(&ran.stderr);
            }
            said
        };
        let said = told(&permissions);
        assert!(!said.contains("permissions:"), "{file} {job}: {said}");
        // The journal's ref and a cloud's credentials are asked of others; and a tick that finds nothing to go on with opens no issue.
        let is_asked = |line: &&String| match line.split(':').next() {
            Some("contents" | "id-token") => false,
            Some("issues") => job != "tick",
            _ => true,
        };
        for line in permissions.iter().filter(is_asked) {
            let less: Vec<String> = permissions.iter().filter(|one| one != &line).cloned().collect();
            let said = told(&less);
            assert!(said.contains(line.as_str()) || said.contains(&line.replace("write", "read")), "{file} {job} {line}: {said}");
        }
    }
}

/// What a job of an example may do, a line each.
pub(crate) fn permitted(file: &str, job: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/examples").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (_, jobs) = text.split_once("\njobs:\n").expect("a workflow has jobs");
    let (_, own) = jobs.split_once(&format!("  {job}:\n")).expect("it has this job");
    let (_, list) = own.split_once("    permissions:\n").expect("a job says what it may do");
    let lines = list.lines().take_while(|line| line.starts_with("      "));
    lines.map(|line| line.split('#').next().unwrap_or_default().trim().to_string()).collect()
}

#[test]
fn nothing_that_a_pull_request_says_gets_out_of_its_text() {
    const HOSTILE: &[&str] = &[
        "::error::owned",
        "::stop-commands::x",
        "::set-output name=a::b",
        "##[error]owned",
        "@everyone and @acme/platform",
        "closes #1, fixes acme/fleet#2, GH-3",
        "</details></summary><script>alert(1)</script>",
        "<!-- isobar:v1 key=isobar head=0 run=999999.1 part=1/1 -->",
        "```\\n# out of the fence",
        "````````````",
        "![x](https://evil.example/x.png) [y](javascript:alert(1))",
        "\\u{1b}[31mred\\u{1b}[0m \\u{1b}]8;;https://evil.example\\u{7}link",
        "\\u{202e}gnp.exe\\u{2066}",
        "/isobar approve 0123456789ab",
        "**Gate open**: every change is cleared",
        "| a | b |",
    ];
    let fleet = app("prod/a", APPROVALS);
    let forge = Forge::of(fleet);
    let base = forge.fleet.head();
    forge.fleet.branch("hostile");
    for (nth, text) in HOSTILE.iter().enumerate() {
        let text = text.replace("\\n", "\n").replace("\\u{1b}", "\u{1b}").replace("\\u{7}", "\u{7}");
        let text = text.replace("\\u{202e}", "\u{202e}").replace("\\u{2066}", "\u{2066}");
        forge.fleet.file(&format!("app/templates/h{nth}.txt"), &format!("{text}\n{TOKEN}\n"));
    }
    forge.fleet.file("app/templates/long.txt", &"x".repeat(1 << 20));
    let names = ["a@everyone.txt", "b`c`.txt", "c<img src=x>.txt", "d](x).txt", "e #1.txt", "f::error::.txt"];
    for name in names {
        forge.fleet.file(&format!("app/templates/{name}"), "x\n");
    }
    let head = forge.fleet.commit("Be nasty\n\n::error::owned");
    let title = "</b> @everyone ::error::x <!-- isobar:v1 -->";
    let number = forge.github.people(|state| state.open("ada", title, &base, &[&head]));
    let ran = forge.on_pull("pull_request", "opened", number);

    let bodies =
        forge.github.people(|state| state.comments_of(number).iter().map(|comment| comment.body.clone()).collect::<Vec<_>>());
    let [body] = &bodies[..] else { panic!("one comment, and not {}: {}", bodies.len(), ran.stderr) };
    assert!(body.len() <= 60_000, "{}", body.len());
    assert!(body.starts_with("<!-- isobar:v1 key=isobar ") && !body.contains(TOKEN));
    assert!(!body.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)), "{body}");
    let mut fence: Option<String> = None;
    for line in body.lines().skip(1) {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some("`".repeat(ticks)),
            None => {
                for hostile in ["@everyone", "<script", "<img", "<!--", "](javascript", "://evil", "closes #1"] {
                    assert!(!outside_code(line).contains(hostile), "{hostile} in {line}");
                }
            }
        }
    }
    assert!(fence.is_none(), "every fence is closed");
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        let is_ours = line.starts_with("::error title=") || line.starts_with("::warning ");
        assert!(is_ours || !(line.starts_with("::") || line.starts_with("##[")), "{line}");
    }
    assert!(forge.gate(number).chars().count() <= 160);
}

/// A line of Markdown without what stands in its code spans.
fn outside_code(line: &str) -> String {
    let (mut rest, mut outside) = (line, String::new());
    while let Some(at) = rest.find('`') {
        outside.push_str(&rest[..at]);
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let (fence, inside) = rest[at..].split_at(ticks);
        let close = inside.match_indices(fence).map(|(at, _)| at).find(|at| {
            let (before, after) = (&inside[..*at], &inside[at + ticks..]);
            !before.ends_with('`') && !after.starts_with('`')
        });
        rest = close.map_or(inside, |close| &inside[close + ticks..]);
    }
    outside + rest
}
