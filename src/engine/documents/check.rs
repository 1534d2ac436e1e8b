//! Mistakes of a section and its templates, and what they read: from sources alone, before any value is known.

use super::certain::Certain;
use super::circle::{self, Includes};
use super::destination;
use super::layout::{self, Layout};
use super::outputs::{self, ReadBack};
use super::render;
use super::section::Section;
use super::syntax::At;
use super::template::{self, BUILT_IN, Include, ROOTS, Trace};
use super::values::Values;
use super::vocabulary::Word;
use crate::engine::Sources;
use crate::stack::{Mistake, Mistakes, OutputFrom, Resolved, Site, Stack, Uses, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What expressions and templates see of a region, and of a stack or an instance.
const REGION: [&str; 6] = ["id", "environment", "name", "cloud", "labels", "vars"];
const NAMED: [&str; 1] = ["name"];

/// Reports every mistake of the section, the sources and the templates; in `strict` those that hurt only what comes by them.
pub(super) fn check(stack: &Stack, sources: &Sources, mistakes: &mut Mistakes, strict: &mut Mistakes) {
    let Some(dir) = Section::source(&stack.section, &stack.dir, mistakes) else { return };
    let at = stack.section.get("source").map_or(&stack.site, |node| &node.site);
    let layout = Layout::of(sources, &dir, at, mistakes);
    let before = mistakes.len();
    let templates = templates(sources, &dir, mistakes);
    let is_whole = mistakes.len() == before;
    check_includes(sources, &dir, &templates, mistakes);
    check_others(&templates, is_whole, mistakes);
    check_names(stack, &dir, &templates, &certain(sources, &dir, &templates), mistakes);
    check_circles(&dir, &templates, strict);
    check_words(&templates, strict);
    check_outputs(stack, &layout, mistakes);
    outputs::refuse_named(stack, strict);
}

/// Returns what the templates read, traced through includes. What can't be read is left out.
pub(super) fn uses(stack: &Stack, sources: &Sources) -> Uses {
    let mut ignored = Mistakes::default();
    let Some(dir) = Section::source(&stack.section, &stack.dir, &mut ignored) else { return Uses::default() };
    let templates = templates(sources, &dir, &mut ignored);
    let files = layout::below(sources, &dir).map(|source| source.path.clone());
    let names = templates.traces.values().flat_map(|trace| trace.names.keys());
    Uses {
        files: files.chain(included(&dir, &templates)).collect(),
        names: names.map(|name| Arc::from(name.as_str())).collect(),
        certain: certain(sources, &dir, &templates),
    }
}

/// Returns what the documents read whatever their values are, and what they include for certain; in each template where it is first.
fn certain(sources: &Sources, dir: &str, templates: &Templates<'_>) -> BTreeMap<Arc<str>, BTreeSet<Site>> {
    let assigned: BTreeSet<&str> = templates.traces.values().flat_map(|trace| &trace.assigned).map(String::as_str).collect();
    let documents = layout::below(sources, dir).filter(|source| !layout::is_partial(&source.path[dir.len() + 1..]));
    let mut next: Vec<String> = documents.map(|source| source.path.to_string()).collect();
    let (mut found, mut seen) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    while let Some(path) = next.pop() {
        let Some(certain) = templates.certain.get(path.as_str()).filter(|_| seen.insert(path.clone())) else { continue };
        next.extend(certain.includes.iter().filter_map(|name| template::included(dir, name)));
        let is_given = |name: &str| ROOTS.contains(&name) && !assigned.contains(name);
        for (name, at) in certain.names.iter().filter(|(name, _)| is_given(name.split('.').next().unwrap_or_default())) {
            found.entry(name.as_str().into()).or_default().insert(Site::new(path.as_str(), at.0, at.1));
        }
    }
    found
}

/// Returns what to read for `stack` before anything is known of its templates. The directory itself is asked for as a file
/// too, so that a symlink in its place is seen.
pub(super) fn reads(stack: &Stack) -> Vec<Arc<str>> {
    match Section::source(&stack.section, &stack.dir, &mut Mistakes::default()) {
        Some(dir) => vec![format!("{dir}/").into(), dir],
        None => vec![],
    }
}

/// Returns the included files that `sources` does not hold yet, sorted.
pub(super) fn reads_more(stack: &Stack, sources: &Sources) -> Vec<Arc<str>> {
    let Some(dir) = Section::source(&stack.section, &stack.dir, &mut Mistakes::default()) else { return Vec::new() };
    let templates = templates(sources, &dir, &mut Mistakes::default());
    included(&dir, &templates).into_iter().filter(|path| !sources.contains_key(path)).collect()
}

/// Returns the paths of all that is included by name.
fn included(dir: &str, templates: &Templates<'_>) -> BTreeSet<Arc<str>> {
    let paths = templates.traces.values().flat_map(|trace| includes(dir, trace)).filter_map(|(path, _)| path);
    paths.map(Arc::from).collect()
}

/// What was found in each template, by repository path: those below `dir` and all that they include.
#[derive(Default)]
struct Templates<'s> {
    traces: BTreeMap<&'s str, Trace>,
    certain: BTreeMap<&'s str, Certain>,
}

fn templates<'s>(sources: &'s Sources, dir: &str, mistakes: &mut Mistakes) -> Templates<'s> {
    let mut found = Templates::default();
    let mut next: Vec<&str> = layout::below(sources, dir).map(|source| &*source.path).collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = next.pop() {
        let Some((path, source)) = sources.get_key_value(path).filter(|_| seen.insert(path.to_string())) else { continue };
        let outside = !path.starts_with(&format!("{dir}/"));
        if outside && !layout::refuse_kind(source, mistakes) {
            continue;
        }
        let Some(text) = layout::text(source) else { continue };
        match template::parse(path, text) {
            Ok(template) => {
                let trace = Trace::of(&template);
                let included = includes(dir, &trace).filter_map(|(path, _)| path);
                next.extend(included.filter_map(|path| sources.get_key_value(path.as_str())).map(|(path, _)| &**path));
                found.traces.insert(path, trace);
                found.certain.insert(path, Certain::of(&template));
            }
            Err(wrong) => {
                let site = Site::new(wrong.path, wrong.line, wrong.column);
                mistakes.push(Mistake::at(&site, wrong.what).hint(wrong.hint));
            }
        }
    }
    found
}

/// Returns the includes of a template whose names are known, with their repository paths.
fn includes<'t>(dir: &'t str, trace: &'t Trace) -> impl Iterator<Item = (Option<String>, &'t Include)> {
    trace.includes.iter().filter_map(move |include| {
        let name = include.name.as_deref()?;
        Some((template::included(dir, name), include))
    })
}

fn check_includes(sources: &Sources, dir: &str, templates: &Templates<'_>, mistakes: &mut Mistakes) {
    for (path, trace) in &templates.traces {
        for (found, include) in includes(dir, trace) {
            let site = Site::new(*path, include.at.0, include.at.1);
            let name = include.name.as_deref().unwrap_or_default();
            match found.as_deref() {
                None => {
                    let hint = format!("an include is below {dir}, or a path from the repository's root that begins with /");
                    mistakes.push(Mistake::at(&site, format!("{name:?} leads out of the templates")).hint(hint));
                }
                Some(found) if sources.get(found).is_some_and(|source| layout::text(source).is_none()) => {
                    mistakes.push(
                        Mistake::at(&site, format!("{found} is not a text and can't be included"))
                            .hint("only files of UTF-8 text can be included"),
                    );
                }
                Some(found) if !include.may_miss && !sources.contains_key(found) => {
                    let below = layout::below(sources, dir).map(|source| &source.path[dir.len() + 1..]);
                    let hint = did_you_mean(name, below).unwrap_or_else(|| format!("it is looked for as {found}"));
                    mistakes.push(Mistake::at(&site, format!("{name:?} does not exist")).hint(hint));
                }
                Some(_) => {}
            }
        }
    }
}

/// Templates that include themselves. One that stops in time could be rendered, so history is not asked.
fn check_circles(dir: &str, templates: &Templates<'_>, mistakes: &mut Mistakes) {
    let of = |trace| includes(dir, trace).filter_map(|(path, include)| Some((path?, include.at))).collect();
    let includes: Includes<'_, At> = templates.traces.iter().map(|(path, trace)| (*path, of(trace))).collect();
    for (around, at) in circle::circles(&includes) {
        let what = match around.as_slice() {
            [one, _] => format!("{one} includes itself"),
            around => format!("templates include each other in a circle: {}", around.join(" -> ")),
        };
        let hint = "take one of these includes away; what repeats itself can be a macro that calls itself";
        mistakes.push(Mistake::at(&Site::new(around[0], at.0, at.1), what).hint(hint));
    }
}

/// Names that no template is given and none assigns. Where not all could be read, one of those may: then a slip is told only.
fn check_others(templates: &Templates<'_>, is_whole: bool, mistakes: &mut Mistakes) {
    let assigned: BTreeSet<&str> = templates.traces.values().flat_map(|trace| &trace.assigned).map(String::as_str).collect();
    for (path, trace) in &templates.traces {
        let others =
            trace.others.iter().filter(|(name, _)| !assigned.contains(name.as_str()) && !BUILT_IN.contains(&name.as_str()));
        for (name, at) in others {
            let near = did_you_mean(name, ROOTS.into_iter().chain(BUILT_IN).chain(assigned.iter().copied()));
            let given = is_whole.then(|| format!("a template is given {}", ROOTS.join(", ")));
            let Some(hint) = near.or(given) else { continue };
            mistakes.push(Mistake::at(&Site::new(*path, at.0, at.1), format!("unknown name {name:?}")).hint(hint));
        }
    }
}

/// Names below what a template is given. A region has the same in every fleet, so that any other is a slip wherever it stands; what the
/// stack declares is asked for only where every rendering reads it.
fn check_names(
    stack: &Stack,
    dir: &str,
    templates: &Templates<'_>,
    certain: &BTreeMap<Arc<str>, BTreeSet<Site>>,
    mistakes: &mut Mistakes,
) {
    let assigned: BTreeSet<&str> = templates.traces.values().flat_map(|trace| &trace.assigned).map(String::as_str).collect();
    let of_region = |name: &&String| name.starts_with("region.") && !assigned.contains("region");
    for (path, trace) in &templates.traces {
        for (name, at) in trace.names.iter().filter(|(name, _)| of_region(name)) {
            check_key(stack, name, &REGION, &Site::new(*path, at.0, at.1), mistakes);
        }
    }
    // A file shared between stacks may ask for an input, or an instance, that only some of them have.
    let is_own = |site: &Site| site.path.starts_with(&format!("{dir}/"));
    let inputs: Vec<&str> = stack.inputs.iter().map(|(name, ..)| &**name).collect();
    for (name, site) in certain.iter().flat_map(|(name, sites)| sites.iter().map(move |site| (name, site))) {
        match name.split('.').next().unwrap_or_default() {
            "stack" => check_key(stack, name, &NAMED, site, mistakes),
            "inputs" if is_own(site) && !stack.unread.inputs => check_key(stack, name, &inputs, site, mistakes),
            "instance" if stack.instance.is_some() => check_key(stack, name, &NAMED, site, mistakes),
            "instance" if is_own(site) && !stack.unread.instances => {
                let mistake = Mistake::at(site, format!("{} has no instances", stack.name));
                mistakes.push(mistake.hint(format!(
                    "declare them under instances in {}, write stack.name, or ask first: instance.name if instance is defined else …",
                    stack.site.path
                )));
            }
            _ => {} // vars and regions differ from target to target
        }
    }
}

/// Reports a name below a root that has only the `known`.
fn check_key(stack: &Stack, name: &str, known: &[&str], site: &Site, mistakes: &mut Mistakes) {
    let mut steps = name.split('.');
    let root = steps.next().unwrap_or_default();
    let Some(key) = steps.next().filter(|key| !known.contains(key)) else { return };
    let hint = did_you_mean(key, known.iter().copied()).unwrap_or_else(|| match known {
        [] => format!("{} declares no {root}", stack.site.path),
        known => format!("{root} has {}", known.join(", ")),
    });
    mistakes.push(Mistake::at(site, format!("unknown name {root}.{key}")).hint(hint));
}

/// Filters, tests and methods that no template knows.
fn check_words(templates: &Templates<'_>, mistakes: &mut Mistakes) {
    let assigned: BTreeSet<&str> = templates.traces.values().flat_map(|trace| &trace.assigned).map(String::as_str).collect();
    for (path, trace) in &templates.traces {
        for ((word, name), at) in &trace.words {
            let root = name.split('.').next().unwrap_or_default();
            let is_own = *word == Word::Method && assigned.contains(root);
            if let Some((what, hint)) = word.fault(name).filter(|_| !is_own) {
                mistakes.push(Mistake::at(&Site::new(*path, at.0, at.1), what).hint(hint));
            }
        }
    }
}

fn check_outputs(stack: &Stack, layout: &Layout<'_>, mistakes: &mut Mistakes) {
    for from in stack.outputs.values() {
        let OutputFrom::Engine(node) = from else { continue };
        let Some(read) = ReadBack::read(node, mistakes) else { continue };
        if !layout.documents.contains_key(&read.document) && !layout.documents.is_empty() {
            let documents = layout.documents.keys().map(|document| &**document);
            let hint = did_you_mean(&read.document, documents).unwrap_or_else(|| "name one of the stack's documents".into());
            let site = node.get("document").map_or(&node.site, |node| &node.site);
            mistakes.push(Mistake::at(site, format!("there is no document {:?}", read.document)).hint(hint));
        }
    }
}

/// Checks what only the values of one target tell: its section, and outputs read from a document that holds a secret.
pub(super) fn check_target(stack: &Stack, sources: &Sources, resolved: &Resolved, mistakes: &mut Mistakes) {
    outputs::refuse_given(stack, resolved, mistakes);
    if !destination::waits_for(&resolved.section).is_empty() {
        return;
    }
    let Some(section) = Section::read(&resolved.section, &stack.dir, mistakes) else { return };
    let read = outputs::read_back(resolved);
    let is_sensitive = resolved.inputs.values().chain(resolved.vars.values()).any(|traced| traced.sensitive);
    if read.is_empty() || !is_sensitive {
        return;
    }
    let mut layout = Layout::of(sources, &section.source, &stack.site, &mut Mistakes::default());
    layout.documents.retain(|document, _| read.iter().any(|(_, _, read)| read.document == *document));
    let values = Values::new(stack, resolved, &BTreeMap::new());
    let sensitive = render::sensitive(sources, &section.source, &layout, &values);
    let told = read.iter().filter(|(_, _, read)| sensitive.contains(&read.document));
    mistakes.extend(told.map(|(name, node, read)| outputs::reads_a_secret(name, node, read)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::documents::tests::{Bench, input, node, secret};
    use crate::stack::mark_secret;
    use serde_json::json;

    fn told(bench: &Bench) -> Vec<String> {
        let (job, mut mistakes, mut strict) = (bench.job(), Mistakes::default(), Mistakes::default());
        check(&job.target.stack, &job.sources, &mut mistakes, &mut strict);
        mistakes.extend(strict);
        check_target(&job.target.stack, &job.sources, &job.resolved, &mut mistakes);
        mistakes.quote(|path| job.sources.get(path).map(|source| &*source.bytes));
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_stack_has_no_mistakes() {
        let text = "{{ region.vars.cidr }} {% for i in range(2) %}{{ loop.index }}{% endfor %}{% include '_p' %}";
        assert_eq!(
            told(&Bench::new(&[("t/a", text), ("t/_p", "{{ inputs.name }}{% include '_none' ignore missing %}")])),
            [""; 0]
        );
    }

    #[test]
    fn every_mistake_of_every_template_is_told_with_its_line() {
        let bench = Bench::new(&[
            ("t/a", "{{ inptus.name }}\n{{ inputs.nam }}\n{% include '_part' %}\n{{ region.nme }}"),
            ("t/b", "ok\n{% if %}"),
            ("t/_parts", "{% include '../stack.yaml' %}"),
        ]);
        let told = told(&bench);
        let begins = [
            "network/t/_parts:1:12: \"../stack.yaml\" leads out of the templates",
            "network/t/a:1:4: unknown name \"inptus\"\n",
            "network/t/a:2:4: unknown name inputs.nam\n",
            "network/t/a:3:12: \"_part\" does not exist\n",
            "network/t/a:4:4: unknown name region.nme\n",
            "network/t/b:2:7: ",
        ];
        assert_eq!(told.len(), begins.len(), "{told:#?}");
        for (told, begin) in told.iter().zip(begins) {
            assert!(told.starts_with(begin), "{told}");
        }
        assert!(told[1].ends_with("did you mean \"inputs\"?") && told[2].ends_with("did you mean \"name\"?"), "{told:#?}");
        assert!(told[3].ends_with("did you mean \"_parts\"?") && told[4].ends_with("did you mean \"name\"?"), "{told:#?}");
    }

    #[test]
    fn a_template_that_includes_itself_is_told_with_its_way_and_line() {
        let mut bench = Bench::new(&[
            ("t/a", "a\n{% if region.cloud %}{% include 'a' %}{% endif %}"),
            ("t/b", "{% include '_p' %}"),
            ("t/_p", "{% from '/shared/q' import m %}"),
            ("t/c", "{% macro m(n) %}{% if n %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}"),
        ]);
        bench.add("shared/q", b"\n{% extends 'b' %}");
        let told = told(&bench);
        let begins = [
            "network/t/a:2:33: network/t/a includes itself",
            "network/t/_p:1:9: templates include each other in a circle: network/t/_p -> shared/q -> network/t/b -> network/t/_p",
        ];
        assert_eq!(told.len(), begins.len(), "{told:#?}");
        assert!(begins.iter().all(|begin| told.iter().any(|told| told.starts_with(begin))), "{told:#?}");
        assert!(told.iter().all(|told| told.contains("hint: take one of these includes away")), "{told:#?}");
    }

    #[test]
    fn a_computed_include_finds_what_a_change_to_it_touches_and_nothing_else() {
        let mut bench = Bench::new(&[("t/a", "{% include region.cloud ~ '.txt' %}"), ("t/aws.txt", "{{ vars.owner }}")]);
        bench.add("shared/aws.txt", b"");
        let (stack, sources) = (bench.job().target.stack.clone(), bench.job().sources);
        assert_eq!(told(&bench), [""; 0]);
        let uses = uses(&stack, &sources);
        assert!(uses.files.contains("network/t/aws.txt") && !uses.files.contains("shared/aws.txt"), "{uses:?}");
        assert!(uses.names.contains("vars.owner"), "{uses:?}");
    }

    #[test]
    fn what_a_template_that_cannot_be_read_may_assign_is_not_unknown() {
        let texts = [("t/a", "{% set owned = 1 %}{% include '_p' %}{% if %}"), ("t/_p", "{{ owned }}{{ reigon.name }}")];
        let told = told(&Bench::new(&texts));
        assert!(told.len() == 2 && told[0].starts_with("network/t/_p:1:15: unknown name \"reigon\""), "{told:#?}");
    }

    #[test]
    fn a_shared_file_may_ask_for_an_instance_that_only_some_stacks_have() {
        let mut bench = Bench::new(&[("t/a", "{% include '/shared/p' %}")]);
        bench.add("shared/p", b"{{ instance.name if instance is defined else stack.name }}");
        assert_eq!(told(&bench), [""; 0]);
        bench.add("network/t/b", b"{{ instance.name }}");
        assert_eq!(told(&bench).len(), 1);
        bench.add("network/t/b", b"{{ instance.name|default('-') }}"); // what is not there can't be looked into
        assert_eq!(told(&bench).len(), 1);
        bench.add("network/t/b", b"{{ instance is defined }}{{ instance.name if instance is defined else '-' }}");
        assert_eq!(told(&bench), [""; 0]);
        bench.add("network/t/b", b"{{ instance is defined }}{{ instance.name }}");
        assert_eq!(told(&bench).len(), 1);
        bench.add("network/t/b", b"{% set instance = vars.owner %}{{ instance.name }}");
        assert_eq!(told(&bench), [""; 0]);
    }

    #[test]
    fn unknown_filters_tests_and_methods_are_told_wherever_they_stand() {
        let bench = Bench::new(&[
            ("t/a", "{% if false %}\n{{ inputs.name|uper }}{% endif %}\n{{ inputs.name is definde }}\n{{ inputs.name.upper() }}"),
            ("t/b", "{% filter indnt(2) %}x{% endfilter %}{% set x = [1] %}{{ x|select('odd')|list }}"),
            ("t/_p", "{% macro m(vars) %}{{ vars.call() }}{% endmacro %}{{ '' is startingwith('x') or 2 is eq(2) }}"),
        ]);
        let told = told(&bench);
        let begins = [
            "network/t/a:2:16: unknown filter \"uper\"",
            "network/t/a:3:19: unknown test \"definde\"",
            "network/t/a:4:10: inputs.name.upper can't be called",
            "network/t/b:1:11: unknown filter \"indnt\"",
        ];
        assert_eq!(told.len(), begins.len(), "{told:#?}");
        for (told, begin) in told.iter().zip(begins) {
            assert!(told.starts_with(begin), "{told}");
        }
        assert!(told[0].ends_with("did you mean \"upper\"?") && told[2].ends_with("inputs.name|upper"), "{told:#?}");
    }

    #[test]
    fn an_output_that_carries_a_secret_is_told_before_a_preview() {
        let mut bench = Bench::new(&[
            ("t/net.json", "{\"id\": \"x\", \"password\": \"{{ inputs.password }}\"}"),
            ("t/set.json", "{\"is\": {{ (inputs.password|length > 3)|tojson }}}"),
            ("t/open.json", "{% from '_p' import secret %}{\"is\": {{ (inputs.password is defined)|tojson }}}"),
            ("t/_p", "{% macro secret() %}{{ inputs.password }}{% endmacro %}"),
        ]);
        let sensitive = secret("password", json!(mark_secret("PASSWORD")));
        bench.inputs(vec![sensitive, input("name", json!("api"))]);
        bench.declare_sensitive("password");
        let read = |document: &str, pointer: &str| OutputFrom::Engine(node(&json!({ "document": document, "pointer": pointer })));
        bench.outputs(&[
            ("named", OutputFrom::Value(node(&json!("x-${{ inputs.password }}")))),
            ("given", OutputFrom::Value(node(&json!(mark_secret("PASSWORD"))))),
            ("id", read("net.json", "/id")),
            ("set", read("set.json", "/is")),
            ("open", read("open.json", "/is")),
            ("plain", OutputFrom::Value(node(&json!("${{ inputs.name }}")))),
        ]);
        let told: Vec<String> = told(&bench).into_iter().map(|told| told.lines().next().unwrap_or_default().into()).collect();
        let expected = [
            "network/stack.yaml:5:3: output \"given\" carries a secret",
            "network/stack.yaml:5:3: output \"id\" is read from net.json, which holds a sensitive value",
            "network/stack.yaml:5:3: output \"set\" is read from set.json, which holds a sensitive value",
            "network/stack.yaml:5:5: output \"named\" carries the sensitive input \"password\"",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn uses_are_traced_through_includes_and_so_is_what_is_still_to_be_read() {
        let mut bench = Bench::new(&[("t/a", "{{ vars.owner }}{% include '/shared/p' %}"), ("t/logo", "")]);
        let stack = bench.job().target.stack.clone();
        assert_eq!(reads(&stack), [Arc::from("network/t/"), Arc::from("network/t")]);
        assert_eq!(reads_more(&stack, &bench.job().sources), [Arc::from("shared/p")]);

        bench.add("shared/p", b"{{ region.vars.cidr }}{% include '/shared/q' %}");
        assert_eq!(reads_more(&stack, &bench.job().sources), [Arc::from("shared/q")]);

        bench.add("shared/q", b"");
        let sources = bench.job().sources;
        assert_eq!(reads_more(&stack, &sources), []);
        let uses = uses(&stack, &sources);
        let list = |set: BTreeSet<Arc<str>>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(list(uses.files), ["network/t/a", "network/t/logo", "shared/p", "shared/q"]);
        assert_eq!(list(uses.names), ["region.vars.cidr", "vars.owner"]);
    }

    #[test]
    fn an_output_names_a_document_that_is_rendered() {
        let mut bench = Bench::new(&[("t/net.json", "{}")]);
        bench.outputs(&[("id", OutputFrom::Engine(node(&json!({ "document": "nte.json", "pointer": "/id" }))))]);
        assert!(told(&bench)[0].contains("there is no document \"nte.json\""), "{:?}", told(&bench));
        assert!(told(&bench)[0].ends_with("did you mean \"net.json\"?"));
    }
}
