//! No known secret leaves: each test looks for a canary in everything that the engine says.

use super::*;
use crate::change::{Detail, Digest};
use crate::stack::{mark_hole, mark_secret};

const CANARY: &str = "c4n4ry-tweet-tweet";
const OLDER: &str = "0ld3r-c4n4ry-song";

/// A document that prints a secret, and one that computes with it.
fn bench(value: &str) -> Bench {
    let mut bench = Bench::new(&[
        ("t/printed", "user: x\npassword: {{ inputs.password }}\nurl: https://u:{{ inputs.token }}@host\nend\n"),
        ("t/computed", "{{ inputs.password|upper }}\n{% if inputs.token %}on{% endif %}\n"),
        ("t/plain", "nothing to hide\n"),
    ]);
    bench.inputs(vec![secret("password", json!(value)), input("token", json!(format!("t-{}", mark_secret("TOKEN"))))]);
    bench.secrets(&[("TOKEN", value)]);
    bench
}

/// Everything that was said about the target, as text.
fn said(bench: &Bench, preview: &Preview) -> String {
    let manifest = bench.live(".isobar-manifest.json").unwrap_or_default();
    format!("{preview:?}\n{}\n{manifest}", serde_json::to_string(preview).expect("a preview is JSON"))
}

fn assert_silent(said: &str) {
    let mut plain = vec![CANARY.to_string(), CANARY.to_uppercase(), OLDER.to_string(), OLDER.to_uppercase()];
    for value in [CANARY, OLDER] {
        let document = format!("user: x\npassword: {value}\nurl: https://u:t-{value}@host\nend\n");
        let computed = format!("{}\non\n", value.to_uppercase());
        plain.extend([document, computed, value.to_string()].map(|text| Digest::of_bytes(text.as_bytes()).to_string()));
    }
    for word in plain {
        assert!(!said.contains(&word), "{word} in {said}");
    }
}

#[test]
fn nothing_that_is_said_holds_a_secret_or_a_digest_that_can_be_guessed() {
    for key in [Some(Key::new(b"key")), None] {
        let mut old = bench(OLDER);
        old.job.key = key.clone();
        let created = old.preview();
        assert_silent(&said(&old, &created));
        assert_eq!(created.is_bound(), key.is_some());
        old.apply();
        assert!(old.live("printed").expect("it is published").contains(OLDER));
        assert!(old.preview().is_empty());

        let mut new = bench(CANARY);
        new.add("network/t/printed", b"user: y\npassword: {{ inputs.password }}\nurl: https://u:{{ inputs.token }}@host\nend\n");
        new.job.root = old.job.root.clone();
        new.job.key = key.clone();
        let changed = new.preview();
        assert_eq!(short(&changed), ["~ computed", "~ printed"]);
        assert_silent(&said(&old, &changed));
        for change in &changed.changes {
            assert!(change.sensitive && change.bound == key.is_some());
            assert_eq!((change.before.is_some(), change.after.is_some()), (change.bound, change.bound));
        }
        new.apply();
        assert_silent(&said(&old, &new.preview()));
    }
}

#[test]
fn lines_beside_a_secret_are_shown_and_its_own_is_not() {
    let mut bench = bench(OLDER);
    bench.apply();
    bench.add("network/t/printed", b"user: y\npassword: {{ inputs.password }}\nurl: https://u:{{ inputs.token }}@host\nend\n");
    let preview = bench.preview();
    let Detail::Text(diff) = &preview.changes[0].detail else { panic!("{preview:?}") };
    let shown: Vec<&str> = diff.hunks[0].lines.iter().map(|line| &*line.text).collect();
    assert_eq!(shown, ["user: x", "user: y", "‹sensitive line›", "‹sensitive line›", "end"]);
}

#[test]
fn a_sensitive_document_that_was_edited_is_hidden_as_a_whole() {
    let bench = bench(CANARY);
    bench.apply();
    bench.edit("printed", &format!("moved\nlines\npassword: {OLDER}\n"));
    let preview = bench.preview();
    assert_eq!(preview.changes[0].detail, Detail::Hidden("holds sensitive values".into()));
    assert_eq!(preview.strays.len(), 1);
    assert_silent(&said(&bench, &preview));
}

#[test]
fn an_edited_secret_is_drift_with_the_key_and_a_change_in_any_case() {
    let mut bench = bench(CANARY);
    bench.job.key = None;
    bench.apply();
    bench.edit("computed", "EDITED\n");
    assert_eq!((short(&bench.preview()), bench.preview().strays.len()), (vec!["~ computed".to_string()], 0));
}

#[test]
fn equal_secrets_of_two_targets_have_different_digests() {
    let (one, mut two) = (bench(CANARY), bench(CANARY));
    two.rename("other", "prod/eu");
    let digest = |bench: &Bench| bench.preview().changes[0].after.clone();
    assert_ne!(digest(&one), digest(&two));
}

#[test]
fn errors_say_no_secret() {
    let mut bench = bench(CANARY);
    bench.add("network/t/plain", b"{{ inputs.password|int }}");
    assert_silent(&bench.refusal());
    bench.add("network/t/plain", format!("{{{{ '{CANARY}'|int }}}}").as_bytes());
    assert_silent(&bench.refusal());
    bench.add("network/t/plain", b"fine");
    bench.edit(CANARY, "a file of that name");
    bench.add(&format!("network/t/{CANARY}"), b"x");
    assert_silent(&bench.refusal());
}

#[test]
fn an_output_that_carries_a_secret_cannot_be_previewed_and_says_which() {
    let mut bench = bench(CANARY);
    bench.add("network/t/net.json", b"{\"id\": \"x\", \"password\": \"{{ inputs.password }}\"}");
    bench.add("network/t/copy.json", format!("{{\"copied\": \"{CANARY}\"}}").as_bytes());
    let read = |document: &str, pointer: &str| OutputFrom::Engine(node(&json!({ "document": document, "pointer": pointer })));
    bench.outputs(&[
        ("id", read("net.json", "/id")),
        ("password", read("net.json", "/password")),
        ("copied", read("copy.json", "/copied")),
        ("given", OutputFrom::Value(node(&json!(mark_secret("TOKEN"))))),
        ("filled", OutputFrom::Value(node(&json!(format!("x{CANARY}"))))),
    ]);
    let refused = bench.see().expect_err("they could never be known");
    let UnseenReason::Definition(told) = &refused.reason else { panic!("{refused:?}") };
    assert_silent(told);
    let begins = [
        "network/stack.yaml:5:3: output \"filled\" carries a sensitive value",
        "network/stack.yaml:5:3: output \"given\" carries a sensitive value",
        "network/stack.yaml:5:3: output \"copied\" carries a sensitive value",
        "network/stack.yaml:5:3: output \"id\" is read from net.json, which holds a sensitive value",
        "network/stack.yaml:5:3: output \"password\" is read from net.json, which holds a sensitive value",
    ];
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("  hint: ")).collect();
    assert_eq!(told, begins);
    assert_eq!(bench.read_outputs(), Outputs::new(), "what was published before stays unsaid too");
}

#[test]
fn an_input_made_of_a_sensitive_one_is_as_sensitive() {
    let mut bench = bench(CANARY);
    bench.drop_source("network/t/computed");
    bench.drop_source("network/t/printed");
    bench.add("network/t/plain", b"{{ inputs.url }}\n{{ inputs.hosts[0] }}\n");
    let url = input("url", json!(format!("https://u:{CANARY}@host")));
    bench.inputs(vec![secret("password", json!(CANARY)), url, input("hosts", json!([format!("h-{CANARY}")]))]);
    let preview = bench.preview();
    assert!(preview.changes[0].sensitive);
    assert_silent(&said(&bench, &preview));
    bench.apply();
    assert_eq!(bench.live("plain"), Some(format!("https://u:{CANARY}@host\nh-{CANARY}\n")));
    let guessed = Digest::of_bytes(format!("https://u:{CANARY}@host\nh-{CANARY}\n").as_bytes()).to_string();
    assert!(!said(&bench, &bench.preview()).contains(&guessed));
}

#[test]
fn a_sensitive_unknown_output_is_a_hole_and_stays_masked() {
    let mut bench = bench(CANARY);
    bench.drop_source("network/t/computed");
    bench.inputs(vec![secret("password", json!(mark_hole("base.outputs.pw"))), input("token", json!("t"))]);
    let preview = bench.preview();
    let change = preview.changes.iter().find(|change| &*change.address == "printed").expect("it is new");
    assert_eq!((change.holes.clone(), change.sensitive), (vec![Arc::from("base.outputs.pw")], true));
}
