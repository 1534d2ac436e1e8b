//! `isobar doctor`: what is missing on this machine or in this repository, with the command that mends it.

use super::form::{Form, form};
use super::say::count;
use super::scene::{FLEET, Scene};
use super::{must_match, tell};
use crate::exit::{Exit, Failure};
use crate::host::{HostError, Of};
use crate::review::Reviewed;
use crate::stack::Selector;
use crate::store::StoreError;
use crate::world::World;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One thing that was looked at.
struct Finding {
    mark: Mark,
    what: String,
    /// The command or the line that mends it; or what is lost without it.
    mend: Option<String>,
}

/// What to think of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    /// Nothing is wrong, and it is good to know.
    Note,
    Bad,
}

/// `closed` says why the journal cannot be opened.
pub async fn run(world: &World, selector: &Selector, as_json: bool, closed: Option<&Failure>) -> Result<Exit, Failure> {
    let findings = examine(world, selector, closed).await?;
    let bad = findings.iter().any(|finding| finding.mark == Mark::Bad);
    if as_json {
        let list = findings.iter().map(|finding| json!({ "good": finding.mark != Mark::Bad, "mark": finding.mark.name(), "what": finding.what, "mend": finding.mend }));
        tell::json(world, "doctor", json!({ "findings": list.collect::<Vec<_>>() }));
    } else {
        let mut text = String::new();
        for finding in &findings {
            let _ = writeln!(text, "{} {}", finding.mark.sign(), finding.what);
            finding.mend.iter().for_each(|mend| text.push_str(&format!("    {mend}\n")));
        }
        text.push_str(if bad { "\nmend what is marked with !, then isobar check\n" } else { "\nnothing is missing\n" });
        world.terminal.say(&text);
    }
    Ok(if bad { Exit::Negative } else { Exit::Clean })
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Mark::Good => "good",
            Mark::Note => "note",
            Mark::Bad => "bad",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Mark::Good => "✓",
            Mark::Note => "·",
            Mark::Bad => "!",
        }
    }
}

/// The reviews that this token can read: those of the change that brought what is checked out, or all on a laptop.
async fn reviewed(world: &World) -> Result<Vec<Reviewed>, HostError> {
    let commits: Vec<_> = world.workspace.head().into_iter().collect();
    world.host.reviewed(Of::Line { commits: &commits, shown: &BTreeSet::new() }).await
}

async fn examine(world: &World, selector: &Selector, closed: Option<&Failure>) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![good(format!("a git repository at {}", world.workspace.root().display()))];
    findings.push(match world.workspace.head() {
        Ok(head) => good(format!("HEAD is {}", head.short())),
        Err(error) => bad(error.what, error.hint),
    });
    findings.push(match world.workspace.default_branch() {
        Some(branch) => good(format!("the default branch is {branch}")),
        None => bad("no default branch: neither origin/HEAD nor main nor master", Some("git branch -m main".into())),
    });
    findings.extend(fleet(world, selector)?);
    findings.extend(match closed {
        Some(closed) => vec![told(closed)],
        None => journal(world).await,
    });
    findings.push(match reviewed(world).await {
        Ok(changes) => {
            let given = changes.iter().map(|change| change.decisions.len()).sum::<usize>();
            good(format!("reviews from the {} host can be read: {given} so far", world.host.name()))
        }
        Err(error) => bad(error.to_string(), error.hint),
    });
    findings.extend(workflows(world));
    findings.push(Finding {
        mark: Mark::Note,
        what: "who can write to the journal and to the reviews could forge who approved what, and what was applied".into(),
        mend: Some(match world.key {
            Some(_) => "ISOBAR_KEY seals the journal, so only who has the key can write it anew; reviews on this machine are not sealed: let only the runner write to them",
            None => "the journal's chain shows a changed line, not a chain that was written anew: set ISOBAR_KEY, or keep the head that reports name; let only the runner write to both",
        }.into()),
    });
    findings.push(match world.key {
        Some(_) => good("ISOBAR_KEY is set: digests of sensitive values are keyed, journal and stored previews are sealed"),
        None => Finding {
            mark: Mark::Note,
            what: "ISOBAR_KEY is not set".into(),
            mend: Some("without it nobody can tell a journal that was written anew, and no approval can be bound to a sensitive value, so a target that changes one waits; export ISOBAR_KEY=\"$(openssl rand -hex 32)\" and keep it".into()),
        },
    });
    Ok(findings)
}

/// In which form a pull request is previewed on GitHub; nothing where none is.
fn workflows(world: &World) -> Option<Finding> {
    Some(match form(world)? {
        Form::TwoJobs => good("on GitHub two jobs preview a pull request: the one that runs what it brings can do no harm"),
        Form::OneJob => Finding {
            mark: Mark::Note,
            what: "on GitHub one job previews a pull request and tells it: it runs what that brings, and may write".into(),
            mend: Some("isobar init --github writes two jobs, and docs/github.md says what one gives up".into()),
        },
    })
}

/// Whether it can be read, and written to.
async fn journal(world: &World) -> Vec<Finding> {
    let read = match world.store.history().await {
        Ok(history) => {
            let entries = usize::try_from(history.head().map_or(0, |(seq, _)| seq)).unwrap_or(usize::MAX);
            let (entries, targets) = (count(entries, "entry", "entries"), count(history.targets().count(), "target", "targets"));
            let place = world.store.place();
            good(format!("the journal at {place} has {entries} about {targets}; isobar audit verify proves all of it"))
        }
        Err(StoreError::Io { what, hint: Some(hint) }) => bad(what, Some(hint)),
        Err(error) => {
            let failure = Failure::from(error);
            bad(
                failure.to_string().trim_start_matches("error: "),
                Some("isobar writes nothing on a journal that it cannot read".into()),
            )
        }
    };
    let written = match world.store.may_append().await {
        Ok(()) => good("the journal can be written to"),
        Err(StoreError::Io { what, hint }) => bad(what, hint),
        Err(error) => bad(error.to_string(), None),
    };
    // What keeps it from being read is told once.
    if read.what == written.what { vec![read] } else { vec![read, written] }
}

fn told(failure: &Failure) -> Finding {
    match failure {
        Failure::Usage(what, hint) | Failure::World(what, hint) => bad(what, hint.clone()),
        Failure::Definitions(_) => bad(failure.to_string(), Some("isobar check".into())),
    }
}

fn fleet(world: &World, selector: &Selector) -> Result<Vec<Finding>, Failure> {
    let snapshot = match world.workspace.worktree(&[".isobar".to_string()]) {
        Ok(snapshot) => snapshot,
        Err(error) => return Ok(vec![bad(error.what, error.hint)]),
    };
    if world.workspace.root().join(FLEET).is_dir() {
        let mend = "move the directory away, then isobar init writes the file".into();
        return Ok(vec![bad(format!("{FLEET} is a directory, and must be a file"), Some(mend))]);
    }
    if snapshot.listing.get(FLEET).is_none() {
        return Ok(vec![bad(format!("no {FLEET} at the root of the repository"), Some("isobar init".into()))]);
    }
    let read = Scene::open(world, snapshot).and_then(|scene| {
        must_match(selector, &scene.fleet)?;
        scene.check_selected(world, selector).map(|()| scene)
    });
    let scene = match read {
        Ok(scene) => scene,
        Err(slip @ Failure::Usage(..)) => return Err(slip),
        Err(Failure::Definitions(mistakes)) => {
            let what = format!("{} in the definitions", count(mistakes.len(), "mistake", "mistakes"));
            return Ok(vec![bad(what, Some("isobar check".into()))]);
        }
        Err(failure) => return Ok(vec![bad(failure.to_string(), None)]),
    };
    let fleet = &scene.fleet;
    let mut findings = vec![good(format!(
        "{} in {} make {}",
        count(fleet.stacks.len(), "stack", "stacks"),
        count(fleet.regions.len(), "region", "regions"),
        count(fleet.targets().len(), "target", "targets")
    ))];
    findings.push(match scene.policy {
        Some(_) => good("a policy is declared"),
        None => Finding {
            mark: Mark::Note,
            what: "no policy is declared".into(),
            mend: Some("on a laptop everything is cleared, and in a workflow the built-in policy judges; add policy: to isobar.yaml to say who approves".into()),
        },
    });
    findings.extend(scene.warnings.iter().map(|warning| Finding {
        mark: Mark::Note,
        what: match &warning.site {
            Some(site) => format!("{site}: {}", warning.what),
            None => warning.what.clone(),
        },
        mend: warning.hint.clone(),
    }));
    let tracked = scene.published(world).into_iter().find(|place| !scene.snapshot.listing.under(place).is_empty());
    if let Some(place) = tracked {
        let what = format!("{place} is a destination and its files are committed: each apply would make the tree dirty");
        findings.push(bad(what, Some(format!("echo '/{place}/' >> .gitignore && git rm -r --cached {place}"))));
    }
    Ok(findings)
}

fn good(what: impl Into<String>) -> Finding {
    Finding { mark: Mark::Good, what: what.into(), mend: None }
}

fn bad(what: impl Into<String>, mend: Option<String>) -> Finding {
    Finding { mark: Mark::Bad, what: what.into(), mend }
}
