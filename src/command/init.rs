//! `isobar init`: writes a commented starter fleet into any repository. Overwrites nothing.

use super::say_written;
use super::schema::{Which, schema};
use crate::exit::{Exit, Failure};
use crate::workspace::Workspace;
use crate::world::Terminal;
use std::collections::BTreeSet;
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

/// Workflows that are examples too, compiled in: path and text.
macro_rules! workflows {
    ($($file:literal),+ $(,)?) => {
        &[$((concat!(".github/workflows/isobar-", $file), include_str!(concat!("../../.github/workflows/examples/", $file)))),+]
    };
}

/// Two jobs for a pull request: one that looks, and one that tells.
const TWO_JOBS: &[(&str, &str)] = workflows!("preview.yml", "report.yml", "apply.yml", "drift.yml", "commands.yml");
/// One job for both.
const ONE_JOB: &[(&str, &str)] = workflows!("pull-request.yml", "apply.yml", "drift.yml", "commands.yml");

/// What stands in the examples in the place of the action.
const NO_ACTION: &str = "OWNER/isobar@0000000000000000000000000000000000000000";

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The smallest fleet.
    Starter,
    /// A fuller one.
    Example,
    /// Workflows for GitHub, with this action if it is known.
    Workflows { is_simple: bool, action: Option<String> },
}

/// Writes it at the root of the repository that holds `here`.
pub fn run(here: &Path, terminal: &Terminal, what: &What, as_json: bool) -> Result<Exit, Failure> {
    let workspace = Workspace::open(here)?;
    let root = workspace.root();
    match what {
        What::Starter => fleet(root, terminal, STARTER, as_json),
        What::Example => fleet(root, terminal, EXAMPLE, as_json),
        What::Workflows { is_simple, action } => workflows(root, terminal, *is_simple, action.as_deref(), as_json),
    }
}

/// Refuses where one of these is there already.
fn refuse_there(root: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let there: Vec<&str> =
        files.iter().map(|(path, _)| *path).filter(|path| *path != ".gitignore" && root.join(path).exists()).collect();
    if let Some(path) = there.iter().find(|path| root.join(path).is_dir()) {
        let hint = "move the directory away, then isobar init writes the file";
        return Err(Failure::usage(format!("{path} is a directory, and must be a file"), hint));
    }
    if !there.is_empty() {
        return Err(Failure::usage(
            format!("already there: {}", there.join(", ")),
            "init overwrites nothing; move what is there away, or go on with it: isobar check",
        ));
    }
    Ok(())
}

fn workflows(root: &Path, terminal: &Terminal, is_simple: bool, action: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let files = if is_simple { ONE_JOB } else { TWO_JOBS };
    refuse_there(root, files)?;
    for (path, text) in files {
        put(&root.join(path), &as_written(text, action))?;
    }
    if as_json {
        let written: Vec<String> = files.iter().map(|(path, _)| path.to_string()).collect();
        say_written(terminal, "init", &written);
        return Ok(Exit::Clean);
    }
    files.iter().for_each(|(path, _)| terminal.say(&format!("wrote {path}\n")));
    if is_simple {
        terminal.say(GIVEN_UP);
    }
    terminal.say("\nnext:\n");
    if action.is_none() {
        terminal.say("  put the action's owner and the digest of a release in the place of OWNER and the zeros\n");
    }
    let key = match is_simple {
        true => "  gh secret set ISOBAR_KEY --body \"$(openssl rand -hex 32)\"\n",
        false => {
            "  make an environment `isobar` that only the default branch may use, and then\n  gh secret set ISOBAR_KEY --env isobar --body \"$(openssl rand -hex 32)\"\n"
        }
    };
    terminal.say(key);
    terminal.say("  git add .github/workflows && git commit -m \"Isobar on GitHub\"\n  make the commit status `isobar` a required check of the default branch\n");
    Ok(Exit::Clean)
}

/// An example as it is written: it names the others as they are called there.
fn as_written(text: &str, action: Option<&str>) -> String {
    let text = text.replace(NO_ACTION, action.unwrap_or(NO_ACTION));
    let all = TWO_JOBS.iter().chain(ONE_JOB).filter_map(|(path, _)| path.rsplit_once("/isobar-"));
    let names: BTreeSet<&str> = all.map(|(_, name)| name).collect();
    names.into_iter().fold(text, |text, name| text.replace(name, &format!("isobar-{name}")))
}

/// What the form with one job gives up.
const GIVEN_UP: &str = "
One job previews and tells, so it runs what a pull request brings with a token that can write and with the key. Whoever can push a branch here can
  set the status `isobar` to green, and write whatever the comment says
  write history and previews that were never seen to refs/isobar/*, and seal them
  push any branch that no rule protects
Approvals cannot be forged with it. Pull requests of forks are passed over. Without --simple there are two jobs: what a pull request brings runs
where it can write nothing and read no key, so nothing can be sealed with it. docs/github.md says what a workflow of somebody's own can still do.
";

fn fleet(root: &Path, terminal: &Terminal, files: &[(&str, &str)], as_json: bool) -> Result<Exit, Failure> {
    refuse_there(root, files)?;
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
