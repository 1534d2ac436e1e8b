//! A rollout that is still open when the next change is merged.

use crate::support::Sandbox;

const FLEET: &str = "
    .gitignore | /live/\\n/.isobar/
    isobar.yaml | version: 1\\nregions: { staging/a: , prod/a: }\\nrollout: { staging: { bake: 15m }, prod: { after: staging } }
    app/stack.yaml | where: all\\ndocuments: { source: ./templates, destination: 'file:./live/${{ region.id }}' }
    app/templates/a.yaml | one
";

/// The content that was published for a region.
fn live(sandbox: &Sandbox, region: &str) -> String {
    sandbox.live(&format!("live/{region}")).get("a.yaml").cloned().unwrap_or_default()
}

#[test]
fn what_an_open_rollout_brings_late_is_not_taken_for_the_newer_head() {
    let sandbox = Sandbox::of(FLEET);
    assert_eq!(sandbox.run(&["apply"]).code, 0);
    sandbox.file("app/templates/a.yaml", "two\n").commit("Two");

    let ticked = sandbox.pass_secs(16 * 60).run(&["tick"]);
    assert_eq!((ticked.code, live(&sandbox, "prod/a").as_str()), (0, "one\n"), "{}", ticked.stdout);

    let changed = sandbox.run(&["list", "--changed"]).stdout;
    assert_eq!(changed.lines().count(), 2, "both regions are behind the head: {changed}");
    sandbox.run(&["apply"]);
    sandbox.pass_secs(16 * 60).run(&["tick"]);
    assert_eq!(live(&sandbox, "prod/a"), "two\n");
}
