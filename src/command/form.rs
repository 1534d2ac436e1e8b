//! In which form a pull request is previewed on GitHub, as the workflows say that are checked out.

use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One job looks, and can do no harm; another tells.
    TwoJobs,
    /// One job looks, with a token that may write.
    OneJob,
}

/// `None` where no workflow previews.
pub(crate) fn form(world: &World) -> Option<Form> {
    let files = std::fs::read_dir(world.workspace.root().join(".github/workflows")).ok()?;
    let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let texts: Vec<String> = texts.collect();
    let has = |text: &str, begins: &str| text.lines().any(|line| line.trim().starts_with(begins));
    let uses = |line: &str| line.trim_start_matches([' ', '-']).starts_with("uses:") && line.contains("/isobar@");
    let is_told_apart = |text: &String| has(text, "workflow_run:") && has(text, "parts:"); // whatever the action is called
    let previews = |text: &String| text.lines().any(uses) && has(text, "pull_request:");
    match (texts.iter().any(is_told_apart), texts.iter().any(previews)) {
        (true, _) => Some(Form::TwoJobs),
        (false, true) => Some(Form::OneJob),
        (false, false) => None,
    }
}
