//! The walls of the house. Reads `src/` as text and holds it against the table in ARCHITECTURE.md: who may use whom, which
//! rooms are pure, and that nothing stands unregistered. Draws what it found into `target/house.mmd`.

mod paths;
mod plan;

use paths::{Mention, mentions};
use plan::{Plan, Storey, circle};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a word may not touch: the world, the clock, chance, tasks. A word's tests are bound too.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::os",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::SystemTime",
    "std::time::Instant",
    "anstream",
    "clap",
    "git2",
    "indicatif",
    "kube",
    "object_store",
    "octocrab",
    "rand",
    "reqwest",
    "rustix",
    "tempfile",
    "tokio",
    "tracing_subscriber",
];

/// Lines that `main.rs` may have.
const MAIN_LINES_MAX: usize = 40;

/// One file below the root, as it is read by all checks.
struct File {
    /// From `src/`: `stack/name.rs`.
    path: PathBuf,
    text: String,
}

impl File {
    fn room(&self) -> String {
        let first = self.path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        first.unwrap_or_default().trim_end_matches(".rs").to_string()
    }

    /// Returns the paths from this room into others, by room.
    fn arrows(&self) -> Vec<(Mention, String)> {
        let room = self.room();
        let inside = mentions(&self.path, &self.text).into_iter().filter(|mention| mention.inside);
        let named = inside.filter_map(|mention| Some((mention.path.first()?.clone(), mention)));
        let is_room = |to: &str| !["fuzz", "github_on_loopback", "scratch"].contains(&to); // there is none of them but in tests
        named.filter(|(to, _)| *to != room && room != "lib" && is_room(to)).map(|(to, mention)| (mention, to)).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"))
}

fn plan() -> Plan {
    Plan::read(&read("ARCHITECTURE.md"))
}

/// Returns every Rust file below `dir`, sorted by path.
fn rust_files(dir: &str) -> Vec<File> {
    let (mut files, mut dirs) = (Vec::new(), vec![root().join(dir)]);
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("our own sources are UTF-8");
                let path = path.strip_prefix(root().join(dir)).expect("it was found below").to_path_buf();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Returns a line for each arrow that the plan does not give leave for.
fn trespasses(plan: &Plan, file: &File) -> Vec<String> {
    let is_test = is_test_file(&file.path);
    let objection = |(mention, to): (Mention, String)| {
        if is_test && plan.is_word(&to) && !plan.is_word(&file.room()) {
            return None; // a hand's tests make their examples of any word
        }
        let why = plan.objection(&file.room(), &to)?;
        Some(format!("src/{}:{}: {why}", file.path.display(), mention.line))
    };
    let lines: BTreeSet<String> = file.arrows().into_iter().filter_map(objection).collect(); // one import may name a room twice
    lines.into_iter().collect()
}

/// A file that its room declares as `#[cfg(test)] mod`.
fn is_test_file(path: &Path) -> bool {
    let (Some(name), Some(dir)) = (path.file_stem().and_then(|name| name.to_str()), path.parent()) else { return false };
    let window = |file: std::path::PathBuf| fs::read_to_string(root().join("src").join(file)).unwrap_or_default();
    let parent = [dir.join("mod.rs"), dir.with_extension("rs")].map(window).concat();
    parent.contains(&format!("#[cfg(test)]\nmod {name};"))
}

/// Returns a line for each thing of the world that a file names.
fn impurities(file: &File) -> Vec<String> {
    let outside = mentions(&file.path, &file.text).into_iter().filter(|mention| !mention.inside);
    let impure = outside.filter_map(|mention| {
        let path = mention.path.join("::");
        let below = |whole: &str, part: &str| whole == part || whole.starts_with(&format!("{part}::"));
        let named = IMPURE.iter().any(|banned| below(&path, banned));
        let vague = mention.path.last().is_some_and(|last| last == "*") // a star may hold any of them
            && IMPURE.iter().any(|banned| below(banned, path.trim_end_matches("::*")));
        let module = matches!(path.as_str(), "std::time" | "std::io"); // hides what is taken from it
        let clock = mention.path.last().is_some_and(|last| last == "now") && mention.path.len() > 1;
        (named || vague || module || clock).then(|| format!("src/{}:{}: a word names {path}", file.path.display(), mention.line))
    });
    impure.collect()
}

fn nothing_found(faults: &[String], what: &str) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn no_room_uses_another_without_leave() {
    let plan = plan();
    let faults: Vec<String> = rust_files("src").iter().flat_map(|file| trespasses(&plan, file)).collect();
    nothing_found(&faults, "imports that ARCHITECTURE.md does not allow");
}

#[test]
fn words_touch_nothing() {
    let plan = plan();
    let is_word = |file: &&File| plan.0.get(&file.room()).is_some_and(|room| room.storey == Storey::Words);
    let faults: Vec<String> = rust_files("src").iter().filter(is_word).flat_map(impurities).collect();
    nothing_found(&faults, "words that are not pure");
}

#[test]
fn the_plan_leads_down_and_never_in_a_circle() {
    let plan = plan();
    nothing_found(&plan.faults(), "ARCHITECTURE.md gives leave for");
    let arrows = plan.0.iter().flat_map(|(from, room)| room.may_use.iter().map(|to| (from.clone(), to.clone()))).collect();
    assert_eq!(circle(&arrows), None);
}

#[test]
fn every_room_is_on_the_plan_and_has_a_sentence() {
    let lib = read("src/lib.rs");
    let (mut built, mut faults, mut sentence) = (BTreeSet::new(), Vec::new(), "");
    for line in lib.lines() {
        if let Some(room) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            if !sentence.ends_with('.') {
                faults.push(format!("src/lib.rs: {room} has no doc sentence"));
            }
            built.insert(room.to_string());
        }
        sentence = line.strip_prefix("/// ").unwrap_or("");
    }
    let built_on_plan =
        plan().0.into_iter().filter(|(name, room)| !room.planned && name != "main").map(|(name, _)| name).collect();

    nothing_found(&faults, "rooms without a sentence");
    assert_eq!(built, built_on_plan, "the rooms of src/lib.rs (left) and of ARCHITECTURE.md without the planned ones (right)");
}

#[test]
fn every_file_says_first_what_it_knows() {
    let said = |file: &File| file.text.starts_with("//! ");
    let silent: Vec<String> = ["src", "tests", "bench"]
        .iter()
        .flat_map(|dir| {
            rust_files(dir).into_iter().filter(|file| !said(file)).map(move |file| format!("{dir}/{}", file.path.display()))
        })
        .collect();
    nothing_found(&silent, "files that do not begin with a //! line");
}

#[test]
fn main_fits_a_screen() {
    let lines = read("src/main.rs").lines().count();
    assert!(lines <= MAIN_LINES_MAX, "src/main.rs has {lines} lines, at most {MAIN_LINES_MAX} are meant to be there");
}

#[test]
fn every_engine_has_a_file_a_sentence_and_a_page() {
    let engines = isobar::engine::all(&isobar::bucket::Buckets::default());
    let mut faults = Vec::new();
    for engine in engines.iter() {
        let name = engine.name();
        let page = format!("docs/engines/{name}.md");
        if ![format!("src/engine/{name}.rs"), format!("src/engine/{name}/mod.rs")].iter().any(|file| root().join(file).is_file())
        {
            faults.push(format!("engine {name} does not stand in src/engine/{name}.rs"));
        }
        if engine.about().is_empty() {
            faults.push(format!("engine {name} does not say what it is about"));
        }
        if !root().join(&page).is_file() {
            faults.push(format!("engine {name} has no page {page}"));
        }
    }
    nothing_found(&faults, "engines that are not complete");
}

#[test]
fn every_kind_of_rule_has_one_file_and_one_line() {
    let files: BTreeSet<String> = rust_files("src/policy/rules")
        .iter()
        .map(|file| file.path.with_extension("").display().to_string())
        .filter(|name| name != "mod")
        .collect();
    let registered: BTreeSet<String> = isobar::policy::RULES.iter().map(|rule| rule.name.to_string()).collect();
    assert_eq!(files, registered, "files in src/policy/rules (left) and policy::RULES (right)");
    assert!(isobar::policy::RULES.iter().all(|rule| !rule.about.is_empty()), "a rule does not say what it is about");
}

#[test]
fn the_house_is_drawn_without_a_circle() {
    let plan = plan();
    let arrows: BTreeSet<(String, String)> = rust_files("src")
        .iter()
        .flat_map(|file| file.arrows().into_iter().map(|(_, to)| (file.room(), to)).collect::<Vec<_>>())
        .collect();

    fs::create_dir_all(root().join("target")).expect("target can be made");
    fs::write(root().join("target/house.mmd"), drawing(&plan, &arrows)).expect("target can be written");
    assert_eq!(circle(&arrows), None);
}

/// Returns a Mermaid flowchart: three storeys and the imports that really are there.
fn drawing(plan: &Plan, arrows: &BTreeSet<(String, String)>) -> String {
    let mut text = String::from("flowchart TD\n");
    for (storey, name) in [(Storey::Story, "story"), (Storey::Hands, "hands"), (Storey::Words, "words")] {
        text += &format!("  subgraph {name}\n");
        for (room, _) in plan.0.iter().filter(|(_, room)| room.storey == storey && !room.planned) {
            text += &format!("    {room}\n");
        }
        text += "  end\n";
    }
    for (from, to) in arrows {
        text += &format!("  {from} --> {to}\n");
    }
    text
}

// ── the checks themselves, on texts made for them ──────────────────────────────────────────────────────────────────

const SMALL_PLAN: &str = "
| room | storey | may use | must not know |
|---|---|---|---|
| `stack` | words | nothing | engines |
| `rollout` | words | stack | tasks |
| `store` | hands | stack | meanings |
| `host` (planned) | hands | nothing | stacks |
| `command` | story | words, hands | clap |
";

fn trespasses_of(path: &str, text: &str) -> Vec<String> {
    trespasses(&Plan::read(SMALL_PLAN), &File { path: path.into(), text: text.into() })
}

#[test]
fn a_word_that_imports_a_hand_is_caught_wherever_it_hides() {
    let said = "src/rollout/plan.rs:1: rollout may not use store; it may use stack";
    for text in [
        "use crate::store::Lease;",
        "use crate::{stack::TargetId, store::{Lease, Store}};",
        "pub(crate) use crate::store as keeper;",
        "use super::super::store::Lease;",
        "fn f(lease: &crate::store::Lease) {}",
        "mod tests { use super::super::super::store::Lease; }",
        "fn f() { let x = Vec::<crate::store::Lease>::new(); }",
        "fn f() -> &'static str { '\\''; '\"'; \"a\\\"\"; crate::store::NAME }",
    ] {
        assert_eq!(trespasses_of("rollout/plan.rs", text), [said], "{text}");
    }
}

#[test]
fn talk_about_a_room_is_no_import() {
    for text in [
        "// use crate::store::Lease;",
        "/* outer /* use crate::store::Lease; */ still */",
        "/// See [`crate::store::Lease`].\nstruct A;",
        "const A: &str = \"crate::store::Lease\";",
        "const A: &str = r#\"say \"crate::store::Lease\" \"#;",
        "use super::store::Lease; // rollout::store, a file of its own",
        "use crate::{stack::TargetId, rollout::Wave};",
    ] {
        assert_eq!(trespasses_of("rollout/plan.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn a_room_that_nobody_planned_is_caught() {
    assert_eq!(trespasses_of("attic.rs", "use crate::stack::Fleet;"), ["src/attic.rs:1: attic is no room of ARCHITECTURE.md"]);
    assert_eq!(trespasses_of("command/apply.rs", "use crate::store::Lease;\nuse crate::rollout::Wave;"), [""; 0]);
    assert_eq!(trespasses_of("command/apply.rs", "\nuse crate::attic::Box;").len(), 1);
}

#[test]
fn a_word_that_reads_the_clock_or_the_disk_is_caught_and_a_duration_is_not() {
    for (text, faults) in [
        ("use std::{fmt, fs};", 1),
        ("use std::time::{Duration, Instant};", 1),
        ("use std::time::Duration;", 0),
        ("use std::io::*;", 1),
        ("fn f() { let at = jiff::Timestamp::now(); }", 1),
        ("#[cfg(test)] mod tests { fn f() { std::env::var(\"HOME\"); } }", 1),
        ("fn f() { std::fmt::format(format_args!(\"std::fs\")); }", 0),
        ("async fn f() { tokio::spawn(async {}); }", 1),
    ] {
        let file = File { path: "rollout/plan.rs".into(), text: text.into() };
        assert_eq!(impurities(&file).len(), faults, "{text}");
    }
}

#[test]
fn a_circle_is_named() {
    let arrows = |pairs: &[(&str, &str)]| pairs.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
    let said = circle(&arrows(&[("command", "drift"), ("drift", "journal"), ("journal", "drift"), ("journal", "stack")]));
    assert_eq!(said, Some(vec!["drift".into(), "journal".into(), "drift".into()]));
    assert_eq!(circle(&arrows(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
}

#[test]
fn leave_to_go_up_is_a_fault_of_the_plan() {
    let plan = Plan::read("| `stack` | words | store | - |\n| `store` | hands | cellar | - |");
    assert_eq!(plan.faults(), ["stack may use store, which is above it", "store may use cellar, which is no room"]);
}
