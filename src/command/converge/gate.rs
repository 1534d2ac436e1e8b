//! Gates that are programs of the repository: the file is that of the commit whose rules it guards, whatever is checked out.

use crate::exit::Failure;
use crate::probe::{self, Stand};
use crate::rollout::Gate;
use crate::workspace::WorkspaceError;
use crate::world::World;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Refuses a rollout one of whose gates could only say no: its program is not in the commit that speaks.
pub(super) fn refuse_missing<'g>(world: &World, gates: impl Iterator<Item = &'g Gate>) -> Result<(), Failure> {
    let programs: BTreeSet<_> = gates.filter_map(|gate| Some((commit_of(gate)?, gate.file()?))).collect();
    for (commit, path) in programs {
        world.workspace.program(&world.workspace.at(commit)?, &path).map_err(|error| {
            let what = format!("{}, whose `rollout:` speaks, so nothing was begun", error.what);
            Failure::World(what, error.hint)
        })?;
    }
    Ok(())
}

/// Asks a gate. It sees what a shell would need to find programs, and nothing secret.
pub(super) async fn ask(world: &World, gate: Gate) -> Result<(), String> {
    let seen = ["PATH", "HOME", "LANG", "TMPDIR"].iter();
    let environment = seen.filter_map(|name| Some((name.into(), world.environment.get(name)?.into()))).collect();
    let why = |WorkspaceError { what, hint }| hint.map_or(what.clone(), |hint| format!("{what}; {hint}"));
    let laid_out = match gate.file() {
        Some(path) => Some(lay_out(world, &gate, &path).map_err(why)?),
        None => None,
    };
    let program = laid_out.as_ref().map(|(_, program)| program.as_path());
    probe::ask(&gate, Stand { root: world.workspace.root(), environment: &environment, program }).await
}

/// Lays the program out in a directory that goes with what is returned.
fn lay_out(world: &World, gate: &Gate, path: &str) -> Result<(tempfile::TempDir, PathBuf), WorkspaceError> {
    let Some(commit) = commit_of(gate) else {
        let what = format!("the rollout does not say of which commit {path} is: an older version of isobar planned it");
        return Err(WorkspaceError { what, hint: None });
    };
    let snapshot = world.workspace.at(commit)?;
    let files = world.workspace.program(&snapshot, path)?;
    let temporary = world.environment.get("TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = world.workspace.lay_out(&snapshot, &files, &temporary)?;
    let program = dir.path().join(path);
    Ok((dir, program))
}

fn commit_of(gate: &Gate) -> Option<&str> {
    match gate {
        Gate::Http { .. } => None,
        Gate::Command { commit, .. } => commit.as_deref(),
    }
}
