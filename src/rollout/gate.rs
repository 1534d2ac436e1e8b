//! What must hold before a wave counts as verified.

use super::measure::read_secs;
use crate::stack::{Fields, Kind, Mistake, Mistakes, Node, Site};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One gate; the runner asks it, the rollout only knows the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Gate {
    /// A GET that must answer with a status of 200 to 299.
    Http { url: Arc<str>, timeout_secs: u64 },
    /// A program that must exit with 0; an argument vector, no shell. Runs in the repository's root.
    Command {
        argv: Vec<Arc<str>>,
        timeout_secs: u64,
        /// Whose file the program is, where it is one of the repository: the commit that the gate was read from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<Arc<str>>,
    },
}

/// Seconds that an `http` gate waits unless it says otherwise.
const HTTP_SECS: u64 = 10;
/// Seconds that a `command` gate waits unless it says otherwise: a smoke test may take minutes.
const COMMAND_SECS: u64 = 300;
/// A gate runs while the rollout holds its targets; what takes longer is a bake.
const SECS_MAX: u64 = 3_600;

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Http { url, .. } => write!(f, "GET {url}"),
            Gate::Command { argv, .. } => f.write_str(&argv.join(" ")),
        }
    }
}

impl Gate {
    /// Returns the path of the program where it is a file of the repository: one that is named with a slash, and not from the root of
    /// the machine.
    pub fn file(&self) -> Option<String> {
        match self {
            Gate::Http { .. } => None,
            Gate::Command { argv, .. } => argv.first().and_then(|program| Place::of(program).file()),
        }
    }

    /// Returns the commit that its program is of, where it is a file of the repository.
    pub fn commit(&self) -> Option<&Arc<str>> {
        match self {
            Gate::Http { .. } => None,
            Gate::Command { commit, .. } => commit.as_ref(),
        }
    }

    /// Returns the same gate with the commit that its program is of.
    pub(super) fn read_at(self, commit: impl Fn(&str) -> Arc<str>) -> Self {
        let path = self.file();
        match (self, path) {
            (Gate::Command { argv, timeout_secs, .. }, Some(path)) => {
                Gate::Command { argv, timeout_secs, commit: Some(commit(&path)) }
            }
            (gate, _) => gate,
        }
    }
}

/// Where a program lies.
enum Place {
    /// Named by its path from the root of the machine, or found by its name.
    Machine,
    /// A file at this path.
    Repository(String),
    /// The path leads out of the repository.
    Outside,
}

impl Place {
    fn of(program: &str) -> Self {
        if program.starts_with('/') || !program.contains('/') {
            return Self::Machine;
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in program.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_none() => return Self::Outside,
                ".." => {}
                part => parts.push(part),
            }
        }
        Self::Repository(parts.join("/"))
    }

    fn file(self) -> Option<String> {
        match self {
            Self::Repository(path) => Some(path),
            Self::Machine | Self::Outside => None,
        }
    }
}

/// Returns the programs of the repository that gates of a fleet's `rollout` section name, each where it is named.
pub fn programs(section: &Node) -> Vec<(String, &Site)> {
    let Kind::Map(paces) = &section.kind else { return Vec::new() };
    let limits = paces.iter().flat_map(|(_, _, pace)| [pace].into_iter().chain(list(pace, "waves")));
    let programs = limits.flat_map(|limits| list(limits, "gates")).filter_map(|gate| list(gate, "command").first());
    programs.filter_map(|program| Some((Place::of(program.as_str()?).file()?, &program.site))).collect()
}

/// The list below `key`; nothing when there is none.
fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    match node.get(key).map(|node| &node.kind) {
        Some(Kind::List(items)) => items,
        _ => &[],
    }
}

/// Reads one gate.
pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Gate> {
    let mut own = Mistakes::default(); // what is read below lives as long as the list that it reports to
    let mut fields = Fields::of(node, "a gate", &mut own);
    let url = fields.text("http");
    let argv = fields.list("command");
    let timeout = fields.get("timeout");
    let timeout_secs = timeout.and_then(|node| read_secs(node, "timeout", fields.mistakes()));
    fields.finish();

    let before = mistakes.len();
    if let (Some(node), Some(secs)) = (timeout, timeout_secs)
        && !(1..=SECS_MAX).contains(&secs)
    {
        mistakes.push(Mistake::at(&node.site, "a gate's timeout must be 1s to 1h").hint("what takes longer is a `bake`"));
    }
    let gate = match (url, argv) {
        (Some(url), None) => http(url, timeout_secs, node, mistakes),
        (None, Some(argv)) => command(argv, timeout_secs, node, mistakes),
        (Some(_), Some(_)) | (None, None) => {
            let hint = "write `http: https://…/health` or `command: [./smoke-test, prod]`";
            mistakes.push(Mistake::at(&node.site, "a gate needs exactly one of \"http\" and \"command\"").hint(hint));
            None
        }
    };
    mistakes.extend(own);
    gate.filter(|_| mistakes.len() == before)
}

fn http(url: &str, timeout_secs: Option<u64>, node: &Node, mistakes: &mut Mistakes) -> Option<Gate> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) || url.contains(char::is_whitespace) {
        let site = node.get("http").map_or(&node.site, |node| &node.site);
        mistakes.push(Mistake::at(site, format!("{url:?} is no http or https address")).hint("write https://…"));
        return None;
    }
    Some(Gate::Http { url: url.into(), timeout_secs: timeout_secs.unwrap_or(HTTP_SECS) })
}

fn command(argv: &[Node], timeout_secs: Option<u64>, node: &Node, mistakes: &mut Mistakes) -> Option<Gate> {
    if argv.is_empty() {
        mistakes.push(Mistake::at(&node.site, "a gate's command needs a program").hint("such as command: [./smoke.sh, prod]"));
        return None;
    }
    let mut words = Vec::new();
    for node in argv {
        match &node.kind {
            Kind::Text(text) => words.push(text.clone()),
            _ => {
                let what = format!("each word of a gate's command must be a text, and this is {}", node.kind_name());
                mistakes.push(Mistake::at(&node.site, what).hint("put it in quotes"));
            }
        }
    }
    if words.first().is_some_and(|program| matches!(Place::of(program), Place::Outside)) {
        let what = format!("the program of a gate, {:?}, leads out of the repository", words[0]);
        mistakes
            .push(Mistake::at(&argv[0].site, what).hint("name a program elsewhere by its whole path, or by its name in PATH"));
    }
    Some(Gate::Command { argv: words, timeout_secs: timeout_secs.unwrap_or(COMMAND_SECS), commit: None })
}
