//! One definition that stands for several stacks: each is a stack like any other, and what one says of its own is no other's.

use crate::support::{APPROVALS, Sandbox};

fn applied() -> Sandbox {
    let fleet = Sandbox::fleet("instances");
    fleet.isobar("apply").ends(0);
    fleet
}

/// Returns the states of a preview, without the targets that nothing touches.
fn touched(fleet: &Sandbox) -> String {
    let states = fleet.isobar("preview --json").ends(0).states();
    states.split("; ").filter(|state| !state.starts_with("unchanged")).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_instance_is_listed_drawn_selected_and_applied_as_a_stack() {
    let fleet = applied();
    let all = "router@staging/a\nrouter@prod/a\nrouter@prod/b\ntenants/acme@staging/a\ntenants/acme@prod/a\ntenants/acme@prod/b\n\
               tenants/globex@prod/a\ntenants/globex@prod/b\n";
    assert_eq!(fleet.isobar("list").ends(0).stdout, all);
    assert_eq!(fleet.isobar("list tenants/*@prod/a").ends(0).stdout, "tenants/acme@prod/a\ntenants/globex@prod/a\n");
    assert_eq!(fleet.isobar("list tenants@prod/a").ends(0).stdout, "tenants/acme@prod/a\ntenants/globex@prod/a\n");
    assert_eq!(fleet.isobar("list tenants/globex").ends(0).stdout, "tenants/globex@prod/a\ntenants/globex@prod/b\n");
    let drawn = "tenants/acme\ntenants/globex\nrouter\n  waits for tenants/acme\n  waits for tenants/globex\n";
    assert_eq!(fleet.isobar("graph").ends(0).stdout, drawn);

    let live = fleet.live("live/prod/a");
    assert_eq!(live["tenants/acme/tenant.yaml"], "tenant: acme\nsize: large\ncpu: 8\nmemory: 1\n");
    assert_eq!(live["tenants/globex/tenant.yaml"], "tenant: globex\nsize: small\ncpu: 1\nmemory: 1\n");
    assert_eq!(live["router/router.yaml"], "default: acme.a.example\n");
    let order = fleet.applied();
    let at = |target: &str| order.iter().position(|applied| applied == target);
    assert!(at("tenants/globex@prod/b") < at("router@prod/b") && at("tenants/globex@prod/b").is_some(), "{order:?}");
}

#[test]
fn why_shows_that_the_instance_won_and_on_which_line() {
    let fleet = applied();
    let ran = fleet.isobar("why tenants/acme@prod/a").ends(0).says("is not touched");
    let size = "size = \"large\"\n    tenants/stack.yaml:4 of instance tenants/acme\n    over isobar.yaml:7 of fleet\n";
    assert!(ran.stdout.contains(size), "{}", ran.stdout);
    let limits = "tenants/stack.yaml:4 of instance tenants/acme\n    over tenants/stack.yaml:2 of stack tenants\n";
    assert!(ran.stdout.contains(limits), "{}", ran.stdout);
    fleet.isobar("why tenants/acne@prod/a").ends(64).says("did you mean \"tenants/acme@prod/a\"?");
}

#[test]
fn an_instance_is_touched_by_its_own_part_only() {
    let fleet = applied();
    fleet.edit("tenants/stack.yaml", "  globex:", "  initech: {}\n  globex:");
    let new = "tenants/initech@staging/a tenants/initech@prod/a tenants/initech@prod/b";
    assert!(touched(&fleet).ends_with(new), "{}", touched(&fleet));
    assert!(!touched(&fleet).contains("acme") && !touched(&fleet).contains("globex"), "{}", touched(&fleet));
    fleet.commit("Initech");
    fleet.isobar("apply").ends(0);

    fleet.edit("tenants/stack.yaml", "size: large", "size: huge");
    let listed = fleet.isobar("list --changed").ends(0).stdout;
    assert!(listed.contains("tenants/acme@prod/a  # vars.size changed (tenants/stack.yaml:4)"), "{listed}");
    assert!(!listed.contains("globex") && !listed.contains("initech"), "{listed}");
}

#[test]
fn a_removed_instance_is_destroyed_as_it_was_defined() {
    let fleet = applied();
    fleet.edit("tenants/stack.yaml", "  globex: { where: { environment: prod } }\n", "").commit("Globex left");
    fleet.isobar("preview").ends(0).says("2 to delete");
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("live").keys().any(|path| path.contains("globex")), "{:?}", fleet.live("live"));
    assert!(fleet.live("live").contains_key("prod/a/tenants/acme/tenant.yaml"));
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn a_renamed_instance_takes_over_what_it_was() {
    let fleet = applied();
    let destination = "${{ region.id }}/${{ stack.name }}";
    fleet.edit("tenants/stack.yaml", destination, "${{ region.id }}/tenants/${{ vars.dir }}");
    fleet.edit("tenants/stack.yaml", "globex: {", "globex: { vars: { dir: globex },");
    fleet.edit("tenants/stack.yaml", "size: large,", "size: large, dir: acme,").commit("Fixed directories");
    fleet.isobar("apply").ends(0);
    fleet.edit("tenants/stack.yaml", "globex: {", "hooli: {").commit("Rename");
    fleet.isobar("preview").ends(65).says("was: [tenants/globex] in its entry of instances");

    fleet.edit("tenants/stack.yaml", "hooli: {", "hooli: { was: tenants/globex,").commit("Declare it");
    fleet.isobar("preview").ends(0).keeps_quiet_about("to delete");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/tenants/globex")["tenant.yaml"].starts_with("tenant: hooli\n"));
}

#[test]
fn two_instances_with_one_destination_are_a_mistake() {
    let fleet = Sandbox::fleet("instances");
    fleet.edit("tenants/stack.yaml", "${{ stack.name }}", "tenants");
    let same = "tenants/acme@prod/a and tenants/globex@prod/a are the same thing: file:live/prod/a/tenants";
    fleet.isobar("check").ends(65).says(same).says("tenants/stack.yaml:8").says("for example with ${{ stack.name }} in it");
}

#[test]
fn a_template_without_instances_can_name_none() {
    let fleet = Sandbox::fleet("instances");
    fleet.file("router/templates/router.yaml.j2", "ok: 1\nfor: {{ instance.name }}\n");
    fleet.isobar("check").ends(65).says("router/templates/router.yaml.j2:2:9: router has no instances").says("router/stack.yaml");
    fleet.file("router/templates/router.yaml.j2", "ok: 1\n").file("tenants/templates/tenant.yaml.j2", "{{ instance.nmae }}\n");
    let ran = fleet.isobar("check").ends(65).says("tenants/templates/tenant.yaml.j2:1:4: unknown name instance.nmae");
    assert_eq!(ran.stderr.matches("unknown name").count(), 1, "once, however many instances:\n{}", ran.stderr);
}

/// Writes that the change of what `stack` names needs an approval.
fn guard(fleet: &Sandbox, stack: &str) {
    let guard = APPROVALS.replace("environment: prod", &format!("stack: {stack}")).replace("\n    ", "\n");
    fleet.edit("isobar.yaml", "\nregions:", &format!("\n{guard}\nregions:")).commit("Policy");
    fleet.isobar("apply").ends(0);
}

#[test]
fn a_rule_may_name_an_instance_a_pattern_or_all_of_them() {
    for (stack, waiting) in [
        ("tenants/acme", "applied tenants/globex@prod/a; waiting tenants/acme@prod/a"),
        ("tenants/*", "waiting tenants/acme@prod/a tenants/globex@prod/a"),
        ("tenants", "waiting tenants/acme@prod/a tenants/globex@prod/a"),
    ] {
        let fleet = Sandbox::fleet("instances");
        guard(&fleet, stack);
        fleet.edit("tenants/templates/tenant.yaml.j2", "size:", "scale:").commit("Another word");
        assert_eq!(fleet.isobar("apply tenants@prod/a --json").ends(3).states(), waiting, "{stack}");
    }
}

#[test]
fn a_rule_about_a_stack_holds_when_it_is_split_into_instances() {
    let fleet = Sandbox::fleet("layers");
    guard(&fleet, "app");
    fleet.edit(
        "app/stack.yaml",
        "where: all",
        "where: all\ninstances: { one: { was: app, vars: { place: app } }, two: { vars: { place: app-two } } }",
    );
    fleet.edit("app/stack.yaml", "/app\"", "/${{ vars.place }}\"").commit("Split");
    let waiting = "waiting app/one@staging/a app/one@prod/a app/one@prod/b app/two@staging/a app/two@prod/a app/two@prod/b";
    assert_eq!(fleet.isobar("apply --json").ends(3).states(), waiting);
}
