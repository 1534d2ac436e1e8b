//! The docs say what is true: generated pages are current, links lead somewhere, and examples are read as they stand.

mod definitions;
mod pages;

use isobar::command::VERBS;
use isobar::exit::CODES;
use isobar::stack::{Mistakes, Node};
use pages::{Block, Page, named, pages};
use std::collections::BTreeSet;
use std::fs;

/// Pages that are made from the program, and how.
const GENERATED: [Generated; 2] = [("docs/commands.md", isobar::cli::reference), ("docs/definitions.md", definitions::page)];

/// A page and what writes it.
type Generated = (&'static str, fn() -> String);

#[test]
fn generated_pages_are_current() {
    for (name, made) in GENERATED {
        let (path, made) = (pages::root().join(name), made());
        if std::env::var_os("ISOBAR_WRITE").is_some() {
            fs::write(&path, &made).expect("the page can be written");
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == made, "{name} is out of date: ISOBAR_WRITE=1 cargo test docs");
    }
}

#[test]
fn every_verb_and_every_exit_code_has_its_place_in_the_commands() {
    let page = named("docs/commands.md");
    for (verb, about) in VERBS {
        assert!(page.headings.contains(&format!("isobar {verb}")), "no section for {verb}");
        assert!(!about.is_empty());
    }
    let told = page.headings.iter().filter(|heading| heading.starts_with("isobar ")).count();
    assert_eq!(told, VERBS.len(), "the page tells of a verb that VERBS does not list, or the other way around");
    for (code, about) in CODES {
        assert!(page.text.contains(&format!("| {code} | {about} |")), "exit code {code}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<String> = pages().iter().flat_map(Page::broken_links).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_docs_can_be_reached_from_the_index() {
    let all = pages();
    let mut reached = BTreeSet::from(["README.md".to_string(), "docs/README.md".to_string()]);
    loop {
        let linked = all.iter().filter(|page| reached.contains(&page.name)).flat_map(|page| page.links.iter());
        let more: Vec<String> = linked.map(|link| link.file.clone()).filter(|file| !reached.contains(file)).collect();
        if more.is_empty() {
            break;
        }
        reached.extend(more);
    }
    let lost: Vec<&str> = all.iter().map(|page| page.name.as_str()).filter(|name| !reached.contains(*name)).collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
}

#[test]
fn every_definition_in_the_docs_is_read_as_it_stands() {
    let mut read = 0;
    for (page, block) in pages().iter().flat_map(|page| page.blocks.iter().map(move |block| (page, block))) {
        if block.language != "yaml" {
            continue;
        }
        let mut mistakes = Mistakes::default();
        let node = Node::parse(&page.name, block.text.as_bytes(), &mut mistakes);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(node.is_some() && told.is_empty(), "{}:{}: {told:?}", page.name, block.line);
        fits(page, block, &node.expect("it was read"));
        read += 1;
    }
    assert!(read >= 10, "only {read} blocks were found");
}

/// A block that names its file must have that file's form; one that shows some keys of the fleet, theirs.
fn fits(page: &Page, block: &Block, node: &Node) {
    use isobar::command::schema::{Which, schema};
    let first = block.text.lines().next().unwrap_or_default();
    let which = match first {
        _ if first.starts_with("# isobar.yaml") || node.get("policy").is_some() || node.get("rollout").is_some() => Which::Fleet,
        _ if first.starts_with('#') && first.contains("stack.yaml") => Which::Stack,
        _ => return,
    };
    let mut schema = schema(which).expect("both are published");
    if first.contains("part of") || !first.starts_with('#') {
        schema["required"] = serde_json::json!([]);
        schema.as_object_mut().expect("a schema is a map").remove("oneOf");
    }
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let wrong: Vec<String> = validator.iter_errors(&node.to_value()).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{}:{}: {wrong:?}", page.name, block.line);
}

#[test]
fn every_example_of_the_schemas_fits_its_own_key() {
    use isobar::command::schema::{Which, schema};
    fn walk(at: &str, schema: &serde_json::Value, seen: &mut usize) {
        for example in schema["examples"].as_array().into_iter().flatten().chain(schema.get("default")) {
            let validator = jsonschema::validator_for(schema).expect("a valid schema");
            assert!(validator.is_valid(example), "{at}: {example}");
            *seen += 1;
        }
        match schema {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| walk(&format!("{at}/{key}"), inner, seen)),
            serde_json::Value::Array(all) => {
                all.iter().enumerate().for_each(|(nth, inner)| walk(&format!("{at}/{nth}"), inner, seen))
            }
            _ => {}
        }
    }
    for which in [Which::Fleet, Which::Stack] {
        let mut seen = 0;
        walk("", &schema(which).expect("both are published"), &mut seen);
        assert!(seen > 10, "only {seen} examples");
    }
}

#[test]
fn every_command_in_the_docs_is_one_that_the_program_knows() {
    let known = isobar::cli::reference();
    let mut checked = 0;
    for page in pages() {
        for line in page.commands() {
            let mut words = line.split_whitespace().skip(1).peekable();
            let Some(verb) = words.next().filter(|word| !word.starts_with('-') && *word != "help") else { continue };
            let section = known.split("\n## ").find(|section| section.lines().next() == Some(&format!("isobar {verb}")));
            let section = section.unwrap_or_else(|| panic!("{}: no such verb: {line}", page.name));
            let general = known.split("\n## ").find(|section| section.starts_with("Everywhere")).unwrap_or_default();
            for flag in words.filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap_or(flag).trim_end_matches([',', '.', ';', ')']);
                let has = |text: &str| text.contains(&format!("`{flag}`")) || text.contains(&format!("`{flag} "));
                assert!(has(section) || has(general), "{}: {verb} has no {flag}: {line}", page.name);
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
}

#[test]
fn the_readme_has_the_two_commands_and_the_changelog_what_is_not_released() {
    let readme = named("README.md");
    for command in ["cargo run -- demo", "cargo test"] {
        assert!(readme.text.contains(command), "{command}");
    }
    assert!(named("CHANGELOG.md").headings.iter().any(|heading| heading == "[Unreleased]"));
}

/// The action and the program know each other's names: an input that nobody reads, or an output that nobody leaves, would be silence.
#[test]
fn every_input_is_read_and_every_output_is_left() {
    let read = |path: &str| fs::read_to_string(pages::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let action = read("action.yml");
    let readers = ["src/cli.rs", "src/cli/event.rs", "action/run.sh"].map(read).concat();
    let names = |text: &str, beginning: &str| -> BTreeSet<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let rest = text.split(beginning).skip(1);
        rest.map(|rest| rest.chars().take_while(|c| is_name(*c)).collect()).filter(|name: &String| !name.is_empty()).collect()
    };
    let inputs = names(&action, "INPUT_");
    assert!(inputs.len() > 5);
    for input in &inputs {
        assert!(readers.contains(&format!("INPUT_{input}")), "nobody reads INPUT_{input}");
    }
    let asked = names(&read("src/cli/event.rs"), "\"INPUT_");
    assert!(asked.is_subset(&inputs), "{asked:?}");
    let writers = ["src/command/audience.rs", "src/command/action/mod.rs"].map(read).concat();
    for output in names(&action, "steps.isobar.outputs.") {
        let is_left = writers.contains(&format!("\"{output}\"")) || writers.contains(&format!("\"{output}={{}}"));
        assert!(is_left, "nobody leaves {output}");
    }
}
