//! `isobar init`: writes a commented starter fleet into any repository. Overwrites nothing.

use super::say_written;
use super::schema::{Which, schema};
use crate::exit::{Exit, Failure};
use crate::workspace::Workspace;
use crate::world::Terminal;
use std::path::{Path, PathBuf};

/// Files of a fixture, compiled in: path and text.
macro_rules! fleet {
    ($name:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../fixtures/fleets/", $name, "/", $path)))),+]
    };
}

/// The smallest fleet: one stack in two regions.
const STARTER: &[(&str, &str)] =
    fleet!("hello": ".gitignore", "isobar.yaml", "hello/stack.yaml", "hello/templates/hello.yaml.j2");

/// Three stacks in six regions with policy and waves: what `isobar demo` plays with.
pub(crate) const EXAMPLE: &[(&str, &str)] = fleet!("demo":
    ".gitignore", "isobar.yaml", "shared/headers.yaml",
    "base/stack.yaml", "base/templates/account.yaml.j2", "base/templates/ids.json.j2",
    "network/stack.yaml", "network/templates/network.yaml.j2", "network/templates/peering.yaml.j2", "network/templates/firewall.yaml.j2",
    "edge/stack.yaml", "edge/templates/addons.yaml.j2", "edge/templates/certificates.yaml.j2", "edge/templates/routes.yaml.j2",
);

/// Writes the starter, or the fuller example, at the root of the repository that holds `here`.
pub fn run(here: &Path, terminal: &Terminal, example: bool, as_json: bool) -> Result<Exit, Failure> {
    let workspace = Workspace::open(here)?;
    let root = workspace.root();
    let files = if example { EXAMPLE } else { STARTER };
    let there: Vec<&str> =
        files.iter().map(|(path, _)| *path).filter(|path| *path != ".gitignore" && root.join(path).exists()).collect();
    if let Some(path) = there.iter().find(|path| root.join(path).is_dir()) {
        let hint = "move the directory away, then isobar init writes the file";
        return Err(Failure::usage(format!("{path} is a directory, and must be a file"), hint));
    }
    if !there.is_empty() {
        return Err(Failure::usage(
            format!("already there: {}", there.join(", ")),
            "init overwrites nothing; isobar check reads what is there",
        ));
    }
    let written = write(root, files)?;
    if as_json {
        say_written(terminal, "init", &written);
        return Ok(Exit::Clean);
    }
    written.iter().for_each(|path| terminal.say(&format!("wrote {path}\n")));
    terminal.say("\nnext:\n  git add -A && git commit -m \"First fleet\"\n  isobar preview\n  isobar apply\n");
    Ok(Exit::Clean)
}

/// Writes files and the schemas their first lines name; returns the paths.
pub(crate) fn write(root: &Path, files: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    for (path, text) in files {
        let text = if *path == ".gitignore" { merged_ignores(root, text)? } else { Some((*text).to_string()) };
        if let Some(text) = text {
            put(&root.join(path), &text)?;
            written.push((*path).to_string());
        }
    }
    for (which, path) in [(Which::Fleet, ".isobar/schema/isobar.json"), (Which::Stack, ".isobar/schema/stack.json")] {
        let text = serde_json::to_string_pretty(&schema(which)?).map_err(|error| Failure::World(error.to_string(), None))?;
        put(&root.join(path), &(text + "\n"))?;
        written.push(path.to_string());
    }
    Ok(written)
}

/// Adds the lines that an existing `.gitignore` lacks.
fn merged_ignores(root: &Path, ours: &str) -> Result<Option<String>, Failure> {
    let path = root.join(".gitignore");
    let theirs = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(ours.to_string())),
        Err(error) => return Err(cannot(&path, "reading", &error)),
    };
    let lacks: Vec<&str> = ours.lines().filter(|line| !theirs.lines().any(|there| there.trim() == line.trim())).collect();
    let newline = if theirs.ends_with('\n') || theirs.is_empty() { "" } else { "\n" };
    Ok((!lacks.is_empty()).then(|| format!("{theirs}{newline}{}\n", lacks.join("\n"))))
}

fn put(path: &PathBuf, text: &str) -> Result<(), Failure> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| cannot(path, "making the directory of", &error))?;
    }
    std::fs::write(path, text).map_err(|error| cannot(path, "writing", &error))
}

fn cannot(path: &Path, doing: &str, error: &std::io::Error) -> Failure {
    Failure::World(format!("{doing} {}: {error}", path.display()), None)
}
