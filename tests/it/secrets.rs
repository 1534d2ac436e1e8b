//! Values that are never shown: not in any output, the journal, a stored preview, or a comment.

use crate::support::{Sandbox, tree};

/// Would be found wherever it leaked, whole or in part.
const CANARY: &str = "canary-7f3a-not-to-be-seen";
const PEPPER: &str = "paprika-of-prod-a";

fn fleet() -> Sandbox {
    let fleet = Sandbox::fleet("secrets").env("LOGIN_TOKEN", CANARY);
    fleet.edit("isobar.yaml", "pepper: white", &format!("pepper: {PEPPER}")).commit("A pepper");
    fleet
}

/// Everything that the program wrote outside the destination, and what it said.
fn told(fleet: &Sandbox, ran: &crate::support::Ran) -> String {
    let mut all = format!("{}\n{}", ran.stdout, ran.stderr);
    for dir in [fleet.root().join(".isobar"), fleet.outside("home").into(), fleet.outside("tmp").into()] {
        tree(&dir).into_iter().for_each(|(path, text)| all.push_str(&format!("{path}\n{text}\n")));
    }
    all.push_str(&std::fs::read_to_string(fleet.outside("comment.md")).unwrap_or_default());
    all
}

#[test]
fn a_secret_is_published_and_shown_nowhere() {
    for key in [None, Some("a key of thirty-two characters!!")] {
        let fleet = key.into_iter().fold(fleet(), |fleet, key| fleet.env("ISOBAR_KEY", key));
        let comment = fleet.outside("comment.md");
        let page = fleet.outside("home/page.html");
        let lines: [&[&str]; 9] = [
            &["preview", "--markdown", &comment],
            &["preview", "--json"],
            &["apply", "--markdown", &comment],
            &["apply", "--json"],
            &["why", "login@prod/a"],
            &["why", "login@prod/a", "--json"],
            &["drift", "--json"],
            &["drift"],
            &["status", "--html", &page],
        ];
        for line in lines {
            let ran = fleet.run(line);
            let all = told(&fleet, &ran);
            let shown = [CANARY, PEPPER].into_iter().find(|secret| all.contains(secret));
            assert_eq!(shown, None, "{line:?} with key {key:?} shows it:\n{all}");
            assert!(key.is_none_or(|key| !all.contains(key)), "{line:?} shows the key");
        }
        assert_eq!(fleet.live("live/prod/a/login").contains_key("login.yaml"), key.is_some(), "with a key it is applied");
    }
}

#[test]
fn a_secret_that_fails_to_render_is_not_shown_either() {
    let fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.file("login/templates/bad.yaml.j2", "{{ inputs.token + 1 }}\n{{ inputs.token.x.y }}\n").commit("Bad");
    for line in [["preview", "--json"], ["apply", "--json"], ["check", "--json"]] {
        let ran = fleet.run(&line);
        assert!(!told(&fleet, &ran).contains(CANARY), "{line:?}");
    }
}

#[test]
fn a_key_is_not_asked_for_where_it_would_not_help() {
    let fleet = fleet();
    fleet.edit("isobar.yaml", "journal:", "policy: [{ rule: deny, message: never, when: { environment: prod } }]\njournal:");
    fleet.commit("Never");
    fleet.edit("isobar.yaml", "pepper: paprika", "pepper: red").commit("The rule holds from the commit after it on");
    for line in ["preview", "judge", "apply"] {
        let ran = fleet.isobar(line).says("never");
        assert!(!ran.stdout.contains("export ISOBAR_KEY"), "{}", ran.stdout);
    }
}

#[test]
fn without_a_key_a_target_that_changes_a_secret_waits_and_the_rest_goes_on() {
    let fleet = fleet();
    fleet.stack("plain", "").file("plain/templates/plain.txt", "plain\n").commit("Plain");
    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(ran.states(), "applied plain@prod/a plain@prod/b; waiting login@prod/a login@prod/b");
    assert!(ran.why("login@prod/a").contains("without ISOBAR_KEY no approval can be bound to it"), "{}", ran.stdout);
    for line in ["preview", "judge", "apply"] {
        let ran = fleet.isobar(line).says("\n  export ISOBAR_KEY=").says("\n  isobar audit seal").says("isobar doctor");
        assert!(!ran.stdout.contains("--review"), "an approval does not help: {}", ran.stdout);
    }
    fleet.isobar("doctor").says("ISOBAR_KEY").says("could forge who approved what");
    let fleet = fleet.env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.isobar("judge").ends(1).says("isobar audit seal");
    fleet.isobar("audit seal").ends(0).says("previews that were shown before must be shown again");
    fleet.isobar("judge").ends(64).says("isobar preview");
    fleet.isobar("preview").ends(0).says("2 of 4 targets will change");
}

#[test]
fn with_a_key_it_is_applied_and_a_new_value_is_a_change() {
    let mut fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/login")["login.yaml"].contains(CANARY));
    fleet.isobar("drift").ends(0);

    fleet = fleet.env("LOGIN_TOKEN", "canary-8888-also-not-to-be-seen");
    let ran = fleet.isobar("preview --all").ends(0).says("login.yaml");
    assert!(!told(&fleet, &ran).contains("canary-8888"));
}

#[test]
fn a_secret_that_is_not_set_is_said_by_name() {
    let mut fleet = fleet();
    fleet.without_env("LOGIN_TOKEN");
    let told = "login/stack.yaml:3:18: the secret LOGIN_TOKEN is not set";
    fleet.isobar("preview").ends(1).says(told);
    fleet.isobar("drift").ends(1).says(told);
    fleet.isobar("apply").ends(1).says("login/stack.yaml:3: the secret LOGIN_TOKEN is not set");
}

#[test]
fn an_output_from_a_document_with_a_secret_is_told_with_its_line_before_anything_is_rendered() {
    let mut fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.file("login/templates/ids.json", "{ \"id\": \"login\", \"token\": \"{{ inputs.token }}\" }\n");
    fleet.edit("login/stack.yaml", "sensitive:", "outputs:\n  id: { document: ids.json, pointer: /id }\nsensitive:");
    fleet.commit("An output beside a secret");
    let told = "login/stack.yaml:6:7: output \"id\" is read from ids.json, which holds a sensitive value";
    for line in ["check", "preview", "apply"] {
        fleet.isobar(line).ends(65).says(told).says("a .json of its own").keeps_quiet_about(CANARY);
    }
    fleet.without_env("LOGIN_TOKEN");
    fleet.isobar("check").ends(65).says(told);

    fleet.file("login/templates/open.json", "{ \"id\": \"login\" }\n");
    fleet.edit("login/stack.yaml", "document: ids.json", "document: open.json");
    fleet.isobar("check").ends(0);
}

#[test]
fn an_output_that_is_seen_to_be_secret_only_when_rendered_is_told_then() {
    let fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.file("login/templates/ids.json", &format!("{{ \"id\": \"{CANARY}\" }}\n"));
    fleet.edit("login/stack.yaml", "sensitive:", "outputs:\n  id: { document: ids.json, pointer: /id }\nsensitive:");
    fleet.commit("A copy of a secret");
    fleet.isobar("check").ends(0);
    let told = "login/stack.yaml:6:7: output \"id\" carries a sensitive value";
    fleet.isobar("preview").ends(1).says(told).keeps_quiet_about(CANARY);
    fleet.isobar("apply").ends(1).says(told).keeps_quiet_about(CANARY);
}

#[test]
fn what_could_not_be_seen_is_neither_judged_to_be_good_nor_put_back() {
    let mut fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.stack("plain", "").file("plain/templates/plain.txt", "plain\n").commit("Plain");
    fleet.isobar("apply").ends(0);
    fleet.without_env("LOGIN_TOKEN");

    let states = "unchanged plain@prod/a plain@prod/b; unseen login@prod/a login@prod/b";
    assert_eq!(fleet.isobar("drift --fix --json").ends(1).states(), states);
    fleet.edit("plain/templates/plain.txt", "plain", "plainer").commit("Plainer");
    let states = states.replace("unchanged", "changes");
    assert_eq!(fleet.isobar("preview --all --json").ends(1).states(), states);
    assert_eq!(fleet.isobar("judge --json").ends(1).states(), states);
}

#[test]
fn a_secret_that_was_rotated_is_found_by_drift_and_brought_by_apply() {
    let mut fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.isobar("apply").ends(0);
    fleet = fleet.env("LOGIN_TOKEN", "canary-9999-the-next-one");

    let ran = fleet.isobar("drift").ends(2).says("with a new value that was not applied");
    ran.says("a secret or an output that it uses changed: isobar apply").keeps_quiet_about("ommit");
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied login@prod/a login@prod/b");
    assert!(fleet.live("live/prod/a/login")["login.yaml"].contains("canary-9999"));
    fleet.isobar("drift").ends(0);
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn our_own_key_is_not_said_even_by_who_types_it() {
    let fleet = fleet().env("ISOBAR_KEY", "a-key-of-thirty-two-characters!!");
    let ran = fleet.isobar("pause --reason a-key-of-thirty-two-characters!!").ends(0);
    ran.says("secret ISOBAR_KEY").keeps_quiet_about("a-key-of-thirty-two");
}

#[test]
fn a_sensitive_value_that_stands_elsewhere_too_is_told_in_no_mistake() {
    let fleet = fleet().env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.edit("isobar.yaml", "version: 1", &format!("version: 1\nvars: {{ dir: {PEPPER}, zone: {PEPPER} }}"));
    let stack = |destination: &str| {
        format!(
            "where: all\ninputs: {{ pepper: {PEPPER}, token: !secret LOGIN_TOKEN }}\nsensitive: pepper\ndocuments: {{ source: ./templates, destination: \"{destination}\" }}\n"
        )
    };
    fleet.file("hot/stack.yaml", &stack("file:live/${{ vars.dir }}")).file("hot/templates/a", "a\n");
    let unseen = |ran: &crate::support::Ran, what: &str| {
        let all = told(&fleet, ran);
        assert!(!all.contains(PEPPER) && !all.contains(CANARY), "{what}: {all}");
    };
    let ran = fleet.isobar("check").ends(65).says("are the same thing: file:live/‹secret inputs.pepper›");
    unseen(&ran, "two of one place");
    unseen(&fleet.isobar("check --json").ends(65), "in JSON");

    fleet.file("hot/stack.yaml", &stack("file:live/${{ region.id }}/${{ vars.dir }}").replace("sensitive:", "zz: 1\nsensitive:"));
    fleet.edit("hot/stack.yaml", "token:", "tok en:").edit("hot/stack.yaml", "where: all", "where: { environment: prd }");
    let ran = fleet.isobar("check").ends(65).says("hot/stack.yaml:2:").says("hot/stack.yaml:3:1: unknown key \"zz\"");
    unseen(&ran, "in the line of a mistake");

    fleet.file("hot/stack.yaml", &stack("file:live/${{ region.id }}/${{ vars.dir }}")).commit("Hot");
    fleet.isobar("apply").ends(0);
    fleet.file("hot/stack.yaml", &stack("file:live/${{ region.id }}/new-${{ vars.dir }}")).commit("Elsewhere");
    let ran = fleet.isobar("preview").ends(65).says("‹secret inputs.pepper› is another place");
    unseen(&ran, "another place");
}

/// Each told the value, or a half of it, in the line of a mistake or beside it.
#[test]
fn a_sensitive_value_is_in_no_line_however_it_is_written_or_declared() {
    let fleet = fleet();
    let hot = |inputs: &str, more: &str| {
        fleet.file("hot/templates/a", "a\n");
        fleet.file("hot/stack.yaml", &format!("where: all\ninputs: {inputs}\n{more}\ndocuments: {{ source: ./templates }}\n"));
        let ran = fleet.isobar("check").ends(65);
        for half in ["quote-hunter", "paprika", "of-prod"] {
            assert!(!told(&fleet, &ran).contains(half), "{inputs} {more}:\n{}", ran.stderr);
        }
        ran
    };
    hot("{ pepper: 'paprika''quote-hunter', tok en: 1, a: '${{ vras.x }}' }", "sensitive: pepper");
    hot("{ pepper: \"paprika\n  of-prod ${{ vras.x }}\" }", "sensitive: pepper");
    hot("{ pepper: paprika-of-prod ]", "sensitive: pepper").says("hot/stack.yaml:").says("not readable as YAML");
    hot("{ pepper: paprika-of-prod, a: '${{ vras.x }}' }", "sensitve: pepper").says("did you mean \"sensitive\"?");
    hot("{ pepper: paprika-of-prod, a: '${{ vras.x }}' }", "sensitive: peper").says("did you mean \"pepper\"?");
    let destination = "sensitive: peper\nlabels: { a: paprika-of-prod, b: 1 }";
    hot("{ pepper: paprika-of-prod }", destination).says("labels: { a: ‹secret inputs.pepper›, b: 1 }");

    fleet.edit("isobar.yaml", "version: 1", "version: 1\nvars: { pw: paprika-of-prod, 7: { }, '': 1 }");
    let stack =
        "where: { environment: prdo }\ninputs: { pw: '${{ vars.pw }}' }\nsensitive: pw\nlabels: { a: paprika-of-prod, b: 1 }\n";
    fleet.file("hot/stack.yaml", &format!("{stack}documents: {{ source: ./templates }}\n"));
    let ran = fleet
        .isobar("check")
        .ends(65)
        .says("isobar.yaml:3:38: a key is empty\n  hint")
        .says("labels: { a: ‹secret inputs.pw›, b: 1 }");
    assert!(!told(&fleet, &ran).contains("paprika-of"), "{}", ran.stderr);
}
