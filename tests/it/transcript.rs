//! The README's five minutes, typed into an unrelated repository: every command and all that was said, as a file that the
//! docs show. `ISOBAR_WRITE=1 cargo test transcript` renews it.

use crate::support::{Ran, Sandbox};
use std::path::Path;

/// What is typed, in order. Lines that do not begin with `isobar` are done by the sandbox as git and an editor would.
const LINES: &[&str] = &[
    "ls",
    "isobar init",
    "git add -A && git commit -m \"First fleet\"",
    "isobar preview",
    "isobar apply",
    "sed -i 's/replicas: 3/replicas: 4/' isobar.yaml",
    "isobar preview",
    "git commit -am \"One more replica in prod\"",
    "isobar apply",
    "isobar drift",
    "isobar status",
];

fn play(shop: &Sandbox, line: &str) -> String {
    let said = |ran: Ran| {
        assert_eq!(ran.code, 0, "{line}\n{}{}", ran.stdout, ran.stderr);
        // On a terminal both streams are one; notes are told while the work goes on, before the result.
        format!("{}{}", ran.stderr, ran.stdout)
    };
    match line.split_once(' ').unwrap_or((line, "")) {
        ("isobar", arguments) => said(shop.isobar(arguments)),
        ("git", _) => {
            let message = line.rsplit('"').nth(1).expect("a message in quotes");
            shop.commit(message);
            String::new()
        }
        ("sed", _) => {
            shop.edit("isobar.yaml", "replicas: 3", "replicas: 4");
            String::new()
        }
        ("ls", _) => "api  web\n".into(),
        (other, _) => panic!("{other}: nobody plays this"),
    }
}

/// Puts names for what differs from one run to the next: commits, digests, times and the directory.
fn normalised(text: &str, shop: &Sandbox) -> String {
    let text = text.replace(&*shop.root().to_string_lossy(), "/home/ada/shop");
    let mut out = String::new();
    let mut rest = text.as_str();
    let mut commits: Vec<String> = Vec::new();
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let whole_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
        let end = from.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(from.len());
        let word = &from[..end.max(1)];
        let is_hash = whole_word
            && [7, 12, 40, 64].contains(&word.len())
            && word.chars().all(|c| c.is_ascii_hexdigit())
            && word.chars().any(|c| c.is_ascii_digit());
        if is_hash {
            let nth = commits.iter().position(|known| known.starts_with(word) || word.starts_with(known.as_str()));
            let nth = nth.unwrap_or_else(|| {
                commits.push(word.into());
                commits.len() - 1
            });
            let name = format!("{:x}", 0x0c0f_fee0 + nth);
            out.push_str(&name);
        } else {
            out.push_str(word);
        }
        rest = &from[word.len()..];
    }
    out + rest
}

fn transcript() -> String {
    let shop = Sandbox::of("api/README.md | # API\nweb/README.md | # Web");
    let mut text = String::new();
    for line in LINES {
        let said = play(&shop, line);
        text.push_str(&format!("$ {line}\n{said}\n"));
    }
    normalised(&text, &shop).trim_end().to_string() + "\n"
}

/// The page of the docs that shows the transcript.
fn page(transcript: &str) -> String {
    format!(
        "# The first five minutes\n\n\
         A repository with two directories and a README in each becomes a fleet. This is what was typed and all that was said; a\n\
         test types it again and compares (`tests/it/transcript.rs`).\n\n```console\n{transcript}```\n"
    )
}

#[track_caller]
fn is_current(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("ISOBAR_WRITE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a file stands in a directory")).expect("directories can be made");
        std::fs::write(&path, text).expect("the file can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(there, text, "{} is not what is said now: ISOBAR_WRITE=1 cargo test transcript", path.display());
}

#[test]
fn the_first_five_minutes_are_what_the_docs_show() {
    let transcript = transcript();
    is_current("fixtures/transcripts/first-fleet.txt", &transcript);
    is_current("docs/first-fleet.md", &page(&transcript));
}

#[test]
fn the_same_minutes_are_said_in_the_same_words() {
    assert_eq!(transcript(), transcript());
}

#[test]
fn what_is_typed_is_what_the_readme_says() {
    let readme = include_str!("../../README.md");
    let five_minutes =
        readme.split("## Five minutes").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("such a chapter");
    let lines = five_minutes.lines().map(|line| line.split("  #").next().unwrap_or_default().trim_end());
    let told: Vec<&str> = lines.filter(|line| line.starts_with("isobar ") || line.starts_with("git ")).collect();
    let typed: Vec<&str> = LINES.iter().copied().filter(|line| line.starts_with("isobar ") || line.starts_with("git ")).collect();
    assert_eq!(told, typed);
}
