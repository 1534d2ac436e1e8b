//! Instances: one definition that stands for several stacks, such as one a tenant. Knows what an instance may say of its own,
//! not which other definitions there are.

use super::draft::{self, Draft};
use super::fleet_file::vars;
use super::place::Where;
use super::unread::is_no_map;
use super::{Fields, Instance, Kind, Mistake, Mistakes, Node, Site, Stack, StackName, Vars};
use std::sync::Arc;

/// Instances of one definition at most; with ten regions that is as many targets as a whole fleet is meant to have.
const INSTANCES_MAX: usize = 1_000;

/// Values of all instances of one definition at most: what they share is kept for each of them.
const VALUES_MAX: usize = 1_000_000;

/// One entry of `instances`, read.
struct Entry {
    /// A name of one part, or what was written for one.
    name: StackName,
    site: Site,
    vars: Vars,
    narrowed: Option<Where>,
    was: Vec<(StackName, Site)>,
    /// Its name could not be read.
    is_nameless: bool,
    /// A mistake leaves open which regions it narrows its stack to.
    is_open: bool,
    /// A mistake leaves open which vars it sets.
    lacks_vars: bool,
}

/// Makes the stacks of one definition: one an instance, or itself where it declares none or none that can be read.
pub(super) fn stacks_of(mut draft: Draft, mistakes: &mut Mistakes) -> Vec<Draft> {
    let Some(node) = draft.instances.take() else { return vec![draft] };
    let entries = entries(&node, draft.shared, mistakes);
    if entries.is_empty() {
        draft.stack.unread.instances = true;
        return vec![draft];
    }
    entries.iter().map(|entry| stack_of(&draft, read(entry, &draft.stack.name, mistakes))).collect()
}

/// Returns what `instances` holds; nothing after a mistake. Each shares `shared` values with the others.
fn entries<'a>(node: &'a Node, shared: usize, mistakes: &mut Mistakes) -> &'a [(Arc<str>, Site, Node)] {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries.as_slice(),
        Kind::Null | Kind::Map(_) => {
            let mistake = Mistake::at(&node.site, "the stack has no instance");
            mistakes.push(mistake.hint("such as acme: {vars: {size: large}}; without the key, the stack itself is the only one"));
            return &[];
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => {
            let mistake = Mistake::at(&node.site, format!("\"instances\" must be a map, and this is {}", node.kind_name()));
            mistakes.push(mistake.hint("such as {acme: {vars: {size: large}}, globex: {}}"));
            return &[];
        }
    };
    let values = entries.len() * shared;
    if entries.len() > INSTANCES_MAX || values > VALUES_MAX {
        let what = format!("{} instances with {values} values together", entries.len());
        let hint = format!("at most {INSTANCES_MAX} and {VALUES_MAX}; make a second stack of some, in a directory of its own");
        mistakes.push(Mistake::at(&node.site, what).hint(hint));
        return &[];
    }
    entries
}

fn read((name, site, node): &(Arc<str>, Site, Node), of: &StackName, mistakes: &mut Mistakes) -> Entry {
    let mut fields = Fields::of(node, "an instance", mistakes);
    let vars = vars(fields.get("vars"), fields.mistakes());
    let before = fields.mistakes().len();
    let narrowed = fields.get("where").and_then(|node| Where::read(node, fields.mistakes()));
    let is_open = fields.mistakes().len() > before;
    let was = draft::was(&mut fields);
    let meant = fields.finish();
    let is_open = is_open || meant.contains(&"where") || is_no_map(Some(node));
    let lacks_vars = meant.contains(&"vars") || is_no_map(Some(node));
    let parsed: Result<StackName, String> = match name.contains('/') {
        true => Err(format!("{name:?} has more than one part")),
        false => name.parse(),
    };
    let is_nameless = parsed.is_err();
    let name = parsed.unwrap_or_else(|why| {
        let mistake = Mistake::at(site, format!("bad instance name: {why}"));
        mistakes.push(mistake.hint(format!("such as acme, which makes the stack {of}/acme")));
        StackName::unread(&format!("{name:?}"))
    });
    Entry { name, site: site.clone(), vars, narrowed, was, is_nameless, is_open, lacks_vars }
}

fn stack_of(draft: &Draft, entry: Entry) -> Draft {
    let Entry { name, site, vars, narrowed, was, .. } = entry;
    let of = draft.stack.name.clone();
    let inherited = draft.stack.was.iter().map(|former| former.join(&name)).zip(draft.was_sites.iter().cloned());
    let (was, was_sites) = was.into_iter().chain(inherited).unzip();
    let wanted = draft.wanted.iter().cloned().chain(narrowed).collect();
    let mut unread = draft.stack.unread;
    unread.name |= entry.is_nameless;
    unread.vars |= entry.lacks_vars;
    let instance = Instance { name: name.as_str().into(), of, vars };
    let stack = Stack { name: draft.stack.name.join(&name), site, was, instance: Some(instance), unread, ..draft.stack.clone() };
    Draft { stack, wanted, is_open: draft.is_open || entry.is_open, was_sites, ..draft.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{PLAIN, Sample, touched};
    use super::super::{Graph, Mistakes};
    use super::*;
    use serde_json::json;

    const TENANTS: &str = "where: { environment: prod }\nvars: { size: small, tags: { kind: tenant } }\n\
        inputs: { who: '${{ instance.name }} of ${{ stack.name }}' }\ninstances:\n  \
        acme: { vars: { size: large, tags: { plan: gold } } }\n  globex: { where: { region: prod/eu } }\n\
        documents: { source: ., destination: 'file:./live/${{ region.id }}/${{ stack.name }}' }\n";

    fn tenants(text: &str) -> Sample {
        Sample::of(&[("tenants/stack.yaml", text)])
    }

    fn ids(sample: &Sample) -> Vec<String> {
        sample.fleet.targets().iter().map(|target| target.id.to_string()).collect()
    }

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let mistakes = Sample::read(files).map_or_else(|mistakes| mistakes, |_| Mistakes::default());
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_instance_is_a_stack_and_may_run_in_fewer_regions() {
        let sample = tenants(TENANTS);
        assert_eq!(ids(&sample), ["tenants/acme@prod/us", "tenants/acme@prod/eu", "tenants/globex@prod/eu"]);
        let acme = &sample.target("tenants/acme@prod/eu").stack;
        assert_eq!((&*acme.dir, acme.definition().as_str()), ("tenants", "tenants"));
        assert_eq!(sample.resolved("tenants/acme@prod/eu").inputs["who"].value, json!("acme of tenants/acme"));
    }

    #[test]
    fn an_instance_wins_over_its_stack() {
        let sample = tenants(TENANTS);
        let [acme, globex] = ["tenants/acme@prod/eu", "tenants/globex@prod/eu"].map(|id| sample.resolved(id).vars);
        assert_eq!(acme["tags"].value, json!({ "kind": "tenant", "plan": "gold" }));
        assert_eq!([&acme["size"].value, &globex["size"].value], [&json!("large"), &json!("small")]);
        let over: Vec<_> = acme["size"].over.iter().map(|(layer, site)| format!("{layer} ({site})")).collect();
        assert_eq!(acme["size"].layer.as_ref().map(ToString::to_string).as_deref(), Some("instance tenants/acme"));
        assert_eq!(acme["size"].site.line, 5);
        assert_eq!(over, ["stack tenants (tenants/stack.yaml:2)", "fleet (isobar.yaml:7)"]);
    }

    #[test]
    fn what_one_instance_says_touches_no_other() {
        let edited = |from: &str, to: &str| {
            let uses = |text: &str| tenants(text).uses("tenants", &[], &["vars.size", "instance.name"]);
            touched(&uses(TENANTS), &uses(&TENANTS.replace(from, to)))
        };
        assert_eq!(edited("  globex:", "  initech: { where: { region: prod/us } }\n  globex:"), ["tenants/initech@prod/us: new"]);
        assert_eq!(edited("{ region: prod/eu }", "{ region: [prod/eu, prod/us] }"), ["tenants/globex@prod/us: new"]);
        assert_eq!(edited("  globex: { where: { region: prod/eu } }\n", ""), ["tenants/globex@prod/eu: removed"]);
        let expected = ["us", "eu"].map(|region| format!("tenants/acme@prod/{region}: vars.size (tenants/stack.yaml:5)"));
        assert_eq!(edited("size: large", "size: huge"), expected);
        assert_eq!(edited("size: small", "size: tiny"), ["tenants/globex@prod/eu: vars.size (tenants/stack.yaml:2)"]);
    }

    #[test]
    fn a_renamed_stack_renames_its_instances_and_an_instance_may_rename_itself() {
        let before = tenants(TENANTS);
        let clients = TENANTS.replacen("where", "was: tenants\nwhere", 1);
        let lines = touched(&before, &Sample::of(&[("clients/stack.yaml", clients.as_str())]));
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("clients/globex@prod/eu: was tenants/globex@prod/eu"), "{}", lines[2]);

        let merged = TENANTS.replace("globex: {", "hooli: { was: tenants/globex,");
        let lines = touched(&before, &tenants(&merged));
        assert!(lines.len() == 1 && lines[0].starts_with("tenants/hooli@prod/eu: was tenants/globex@prod/eu"), "{lines:?}");

        let plain = PLAIN.replace("all", "{ region: prod/us }");
        let split = TENANTS.replace("acme: {", "acme: { was: tenants,");
        let lines = touched(&tenants(&plain), &tenants(&split));
        assert!(lines[0].starts_with("tenants/acme@prod/us: was tenants@prod/us"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.ends_with("removed")), "{lines:?}");
    }

    #[test]
    fn a_dependency_on_the_definition_waits_for_every_instance_that_runs_there() {
        let router = PLAIN.replace("all", "{ environment: prod }") + "depends_on: [tenants]\n";
        let files = |tenants: &str| Sample::of(&[("tenants/stack.yaml", tenants), ("router/stack.yaml", &router)]);
        let needs = |region: &str| {
            let graph = Graph::of(&files(TENANTS).fleet);
            let id = format!("router@{region}").parse().expect("an id");
            graph.dependencies(&id).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(needs("prod/us"), ["tenants/acme@prod/us"]);
        assert_eq!(needs("prod/eu"), ["tenants/acme@prod/eu", "tenants/globex@prod/eu"]);
        let more = TENANTS.replace("  globex:", "  initech:\n  globex:");
        assert!(touched(&files(TENANTS), &files(&more)).iter().all(|line| line.starts_with("tenants/initech@")));
    }

    #[test]
    fn what_every_instance_has_wrong_is_told_once() {
        let text = TENANTS.replacen("${{ stack.name }}", "${{ vars.sice }}", 1);
        let told = told(&[("tenants/stack.yaml", &text)]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("no layer of tenants/acme has it"), "{}", told[0]);
        assert!(told[0].ends_with("did you mean \"size\"?; the same is wrong in tenants/globex"), "{}", told[0]);
    }

    #[test]
    fn a_name_belongs_to_one_definition() {
        let nested = [("tenants/stack.yaml", TENANTS), ("tenants/acme/stack.yaml", PLAIN)];
        let named = format!("{PLAIN}name: tenants\n");
        for files in [nested, [("tenants/stack.yaml", TENANTS), ("other/stack.yaml", &named)]] {
            let told = told(&files);
            assert!(told.iter().all(|line| line.contains("two stacks are named \"tenants")), "{told:?}");
            assert!(!told.is_empty());
        }
    }

    #[test]
    fn a_bomb_of_instances_is_refused() {
        let names = |count: usize| (0..count).map(|n| format!("  t{n}:\n")).collect::<String>();
        let many = format!("{PLAIN}instances:\n{}", names(INSTANCES_MAX + 1));
        assert!(told(&[("a/stack.yaml", &many)])[0].contains("1001 instances with"));
        let heavy = format!("{PLAIN}vars: {{ list: [{}] }}\ninstances:\n{}", "1,".repeat(2_000), names(500));
        assert!(told(&[("a/stack.yaml", &heavy)])[0].contains("a second stack of some"));
        assert_eq!(ids(&tenants(&format!("{PLAIN}instances:\n{}", names(INSTANCES_MAX)))).len(), 3_000);
    }
}
