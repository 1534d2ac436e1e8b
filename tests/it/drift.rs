//! What moved without us: found, named, and put back only as far as policy lets us.

use crate::support::{APPROVALS, Sandbox, app};

#[test]
fn nothing_drifted_after_an_apply() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("drift").ends(0).says("No drift in 2 targets");
}

#[test]
fn what_was_changed_what_is_missing_and_what_is_not_ours_are_told_apart() {
    let fleet = app("prod/a prod/b prod/c", "");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").remove("live/prod/b/app/app.yaml");
    fleet.file("live/prod/c/app/stranger.yaml", "stranger\n");
    let json = fleet.isobar("drift --json").ends(2).json();
    let mut found: Vec<String> = json["drift"]["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| format!("{} {} {}", finding["class"], finding["targets"], finding["addresses"]))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            r#""missing" ["app@prod/b"] ["app.yaml"]"#,
            r#""out_of_band" ["app@prod/a"] ["app.yaml"]"#,
            r#""unmanaged" ["app@prod/c"] ["stranger.yaml"]"#
        ]
    );
    fleet.isobar("status").ends(0).says("3 drifted");
}

#[test]
fn the_same_drift_in_many_targets_is_one_finding() {
    let fleet = app("prod/a prod/b prod/c", "");
    fleet.isobar("apply").ends(0);
    for region in ["a", "b", "c"] {
        fleet.file(&format!("live/prod/{region}/app/app.yaml"), &format!("by hand in {region}\n"));
    }
    let ran = fleet.isobar("drift --json").ends(2);
    assert_eq!(ran.json()["drift"]["findings"].as_array().map(Vec::len), Some(1), "{}", ran.stdout);
    fleet.isobar("drift").ends(2).says("Drift in 3 of 3 targets").says("isobar drift --fix");
}

#[test]
fn a_commit_that_was_not_applied_is_a_class_of_its_own() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    let ran = fleet.isobar("drift").ends(2).says("with a commit that was not applied").says("isobar apply");
    assert!(ran.stdout.starts_with("Nothing was changed by hand in 1 target"), "{}", ran.stdout);
    let status = fleet.isobar("status").ends(0).says("1 behind");
    assert!(!status.stdout.contains("drifted"), "{}", status.stdout);
}

#[test]
fn a_fix_puts_back_what_is_ours_and_leaves_what_is_not() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").file("live/prod/a/app/stranger.yaml", "stranger\n");
    fleet.isobar("drift --fix").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("drift").ends(2).says("stranger.yaml");
    fleet.remove("live/prod/a/app/stranger.yaml").isobar("drift").ends(0);
}

#[test]
fn after_a_fix_who_uses_an_output_of_what_was_put_back_is_looked_at_again() {
    let fleet = app("prod/a", "");
    fleet
        .stack("base", "outputs: { id: { document: ids.json, pointer: /id } }")
        .file("base/templates/ids.json", "{\"id\": \"b\"}\n");
    fleet
        .stack("net", "inputs: { id: '${{ stacks[\"base\"].outputs.id }}' }")
        .file("net/templates/net.txt.j2", "{{ inputs.id }}\n");
    fleet.commit("An output");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/base/ids.json", "{\"id\": \"b\"}\nh\n");
    fleet.isobar("drift").ends(2).says("base in prod/a");
    fleet.isobar("why net@prod/a").says("because drift found a new value").keeps_quiet_about("its last apply failed");

    fleet.isobar("drift --fix").ends(0);

    fleet.isobar("status").says("All 3 targets applied");
    fleet.isobar("why net@prod/a").says("net@prod/a is not touched");
}

#[test]
fn an_unapproved_fix_changes_nothing() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n");
    fleet.isobar("drift").ends(2);
    let ran = fleet
        .isobar("drift --fix")
        .ends(3)
        .says("missing 1 of platform")
        .says("\nNext\n  isobar drift --fix --review NAME=approve@");
    assert!(!ran.stdout.contains("isobar apply"), "an apply would not put it back: {}", ran.stdout);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "by hand\n");

    let typed =
        ran.stdout.lines().find_map(|line| line.trim().strip_prefix("isobar drift --fix --review NAME")).expect("it is told");
    fleet.isobar(&format!("drift --fix --review carol{typed}")).ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.isobar("drift").ends(0);
}

#[test]
fn a_fix_of_nothing_is_good() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("drift --fix").ends(0);
    fleet.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_fix_does_not_bring_what_was_merged_meanwhile_elsewhere() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.remove("live/prod/a/app/app.yaml").version(1, 2);
    fleet.isobar("drift --fix");
    assert_eq!(fleet.versions().rsplit_once(", ").map(|(_, b)| b.to_string()), Some("prod/b 1".into()));
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn only_what_was_selected_is_looked_at() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n");
    fleet.isobar("drift app@prod/b").ends(0).says("No drift in 1 target");
    fleet.isobar("drift --fix app@prod/b").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "by hand\n");
}

#[test]
fn a_fix_puts_back_what_was_applied_and_not_what_was_merged_since() {
    let fleet = app("staging/a prod/a", "rollout: { prod: { after: staging } }");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n");
    fleet.version(1, 2);

    fleet.isobar("drift --fix");
    assert_eq!(fleet.versions(), "staging/a 1, prod/a 1", "the merge comes by an apply, staging first");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "staging/a 2, prod/a 2");
}

#[test]
fn a_destination_removed_whole_is_missing_and_put_back() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    std::fs::remove_dir_all(fleet.root().join("live/prod/a")).expect("it was published");
    fleet.isobar("drift").ends(2).says("isobar drift --fix");
    fleet.isobar("drift --fix").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("drift").ends(0);
}

#[test]
fn a_destination_removed_whole_is_missing_also_where_a_newer_commit_waits_and_is_put_back_as_it_was() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    std::fs::remove_dir_all(fleet.root().join("live/prod/a")).expect("it was published");
    fleet.version(1, 2);
    let ran = fleet.isobar("drift").ends(2).says("Drift in 1 of 2 targets").says("Missing").says("isobar drift --fix");
    assert!(ran.stdout.contains("with a commit that was not applied"), "prod/b is behind: {}", ran.stdout);
    fleet.isobar("status").says("1 drifted");

    fleet.isobar("drift --fix").ends(0);

    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1", "the merge comes by an apply");
    let ran = fleet.isobar("drift").ends(2);
    assert!(ran.stdout.starts_with("Nothing was changed by hand in 2 targets"), "{}", ran.stdout);
    assert!(!fleet.isobar("status").stdout.contains("drifted"));
}

/// What drift showed of a target that is behind may be what the newer commit makes: a yes to a fix is none to that.
#[test]
fn who_approves_a_fix_approves_nothing_that_was_merged_since() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    std::fs::remove_dir_all(fleet.root().join("live/prod/a")).expect("it was published");
    fleet.version(1, 2);
    fleet.isobar("drift").ends(2).says("Missing");
    fleet.isobar("drift --fix --review bob=approve").ends(64).says("nothing was shown yet that bob could approve");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a -");
    let waits = fleet.isobar("drift --fix").ends(3).says("isobar drift --fix --review NAME=approve@");
    let digest = waits.stdout.split("NAME=approve@").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a digest");
    fleet.isobar(&format!("drift --fix --review carol=approve@{digest}")).ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn what_is_gone_with_its_name_in_the_code_is_missing_and_what_was_only_added_is_not() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    std::fs::remove_dir_all(fleet.root().join("live/prod/a")).expect("it was published");
    fleet.file("app/templates/more.yaml", "more: 1\n").commit("One more");
    let json = fleet.isobar("drift --json").ends(2).json();
    let findings = json["drift"]["findings"].as_array().expect("findings");
    let told = |finding: &serde_json::Value| format!("{} {} {}", finding["class"], finding["targets"], finding["addresses"]);
    assert_eq!(
        findings.iter().map(told).collect::<Vec<_>>(),
        [r#""unapplied_commit" ["app@prod/a","app@prod/b"] ["more.yaml"]"#, r#""missing" ["app@prod/a"] ["app.yaml"]"#]
    );
}

/// Two regions that strayed, of which a fix put one back and was killed.
fn half_fixed() -> Sandbox {
    let gate = "gates: [{ command: [sh, -c, \"[ ! -e armed ] || { rm armed; kill -9 $PPID; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let fleet = app("prod/a prod/b", &waves);
    fleet.edit(".gitignore", "/live/", "/live/\n/armed").commit("Ignore");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").file("live/prod/b/app/app.yaml", "by hand\n").file("armed", "");
    fleet.isobar("drift --fix").ends(137);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    fleet
}

#[test]
fn a_fix_that_was_killed_goes_on_when_it_is_typed_again() {
    let fleet = half_fixed();
    fleet.isobar("drift --fix").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    assert_eq!(fleet.events("planned").len(), 2, "the apply, and the one fix that both runs brought");
    fleet.isobar("drift").ends(0);
}

#[test]
fn a_fix_that_was_killed_is_gone_on_with_by_an_apply_of_a_commit_that_changes_nothing_of_it() {
    let fleet = half_fixed();
    fleet.file("README.md", "A fleet.\n").commit("Say what it is");
    fleet.isobar("apply").ends(0).keeps_quiet_about("takes back");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("drift").ends(0);
}

#[test]
fn what_was_found_is_not_forgotten_by_a_look_from_where_it_is_not_defined() {
    let fleet = app("prod/a", "");
    fleet.branch("before").checkout("main");
    fleet.stack("net", "").file("net/templates/net.yaml", "a: 1\n").commit("A stack that the other branch does not know");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/net/net.yaml", "by hand\n");
    fleet.isobar("drift").ends(2);
    fleet.isobar("status").says("1 drifted");
    fleet.checkout("before").isobar("drift");
    fleet.checkout("main").isobar("status").says("1 drifted");
}

#[test]
fn while_it_is_paused_what_leads_on_is_resume() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.isobar("pause --reason lunch").ends(0);
    fleet.isobar("drift").ends(2).says("isobar resume  (then isobar apply)");
}
