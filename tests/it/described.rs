//! What we ask of GitHub, and what our GitHub on loopback answers, held against GitHub's own description: Prism stands between the two, and
//! lets nothing through that is not as described there.

use crate::support::cloud::emulator::Emulator;
use crate::support::github::{GitHub, Role, TOKEN};
use crate::support::{APPROVALS, Forge, app};
use serde_json::json;

/// Puts Prism before a server. `None` where it is not installed.
fn before(server: &GitHub) -> Option<Emulator> {
    let description = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/github/openapi-slim.json");
    let arguments = ["proxy", "-h", "127.0.0.1", "-p", "0", "--errors", description, &server.api()];
    let prism = Emulator::start("prism", "prism", &arguments, &[])?;
    server.behind(&prism.url());
    Some(prism)
}

#[test]
fn whatever_is_asked_and_answered_is_as_github_describes_it() {
    let forge = Forge::of(app("prod/a staging/a", APPROVALS));
    let Some(prism) = before(&forge.github) else { return };
    forge.with("GITHUB_API_URL", &prism.url());
    let forge = &forge;
    let calm = |ran: crate::support::Ran| ran.keeps_quiet_about("warning:").keeps_quiet_about("was not told");

    let start = forge.fleet.head();
    let number = forge.propose(1, 2);
    calm(forge.on_pull("pull_request", "opened", number)).ends(0);
    // A second page of statuses and of open pull requests.
    let head = forge.fleet.head();
    forge.github.people(|state| {
        (0..120).for_each(|nth| state.set_status(&head, &format!("another {nth}")));
        (0..120).for_each(|nth| _ = state.open("cem", &format!("Another {nth}"), &start, &[&format!("{nth:040x}")]));
    });
    forge.review(number, "bob", "APPROVED");
    calm(forge.on_pull("pull_request_review", "submitted", number)).ends(0);
    assert!(forge.gate(number).starts_with("success"), "{}", forge.gate(number));
    calm(forge.says("bob", number, "/isobar help")).ends(0);
    calm(forge.says("eve", number, "/isobar pause")).ends(0);
    forge.merge(number, "version-2");
    forge.with("INPUT_DEPLOYMENTS", "true");
    calm(forge.on_push(&start)).ends(0);
    calm(forge.on_push(&start)).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2, staging/a 2");
    // An issue that comes and goes, and a comment that has a part more and then less.
    forge.fleet.file("live/staging/a/app/app.yaml", "region: a\nversion: 7\n");
    calm(forge.on("schedule", &json!({}))).ends(2);
    assert_eq!(forge.issues(), ["Drift"]);
    forge.fleet.isobar("drift --fix").ends(0);
    calm(forge.on("schedule", &json!({}))).ends(0);
    assert_eq!(forge.issues(), [""; 0]);

    let asked = forge.github.recorded();
    let rest: Vec<_> = asked.iter().filter(|one| one.request.path != ["graphql"]).collect();
    let bad: Vec<_> = rest.iter().filter(|one| one.status.is_none_or(|status| status >= 300)).collect();
    assert!(rest.len() > 25 && bad.is_empty(), "{} asked, {bad:#?}", rest.len());
}

#[test]
fn what_our_loopback_can_be_asked_for_is_as_github_describes_it() {
    let server = GitHub::start();
    let head = "4be1d70aa0c8e1f2d3b4a5968778695a4b3c2d1e";
    let number = server.people(|state| {
        let number = state.open("ann", "wider", "c01fa22", &[head]);
        state.people.insert("bob".into(), Role::Write);
        state.review(number, "bob", "APPROVED");
        state.comment(number, "bob", "and?");
        state.set_status(head, "isobar");
        number
    });
    let Some(prism) = before(&server) else { return };
    let authorization = format!("Bearer {TOKEN}");
    let send = |line: &str| {
        prism.send(&format!("{line} HTTP/1.1"), &[("authorization", &authorization), ("accept", "application/json")])
    };
    for path in [
        String::new(),
        format!("/pulls/{number}"),
        "/pulls?state=all".into(),
        format!("/pulls/{number}/commits"),
        format!("/pulls/{number}/reviews"),
        format!("/commits/{head}/pulls"),
        format!("/commits/{head}/statuses"),
        format!("/commits/{head}/check-runs"),
        "/collaborators/bob/permission".into(),
        format!("/issues/{number}/comments"),
        "/issues?state=all".into(),
        "/deployments".into(),
        "/rules/branches/main".into(),
    ] {
        assert_eq!(send(&format!("GET /repos/acme/fleet{path}")), 200, "{path}");
    }
    // It would say so: what we ask wrongly does not come through, and an answer that lacks something is none.
    let asked = server.recorded().len();
    assert_eq!(send(&format!("POST /repos/acme/fleet/statuses/{head}")), 422);
    assert_eq!(send("GET /repos/acme/fleet/nothing"), 404);
    assert_eq!(server.recorded().len(), asked);
    server.lack("title");
    assert_eq!(send(&format!("GET /repos/acme/fleet/pulls/{number}")), 500);
}
