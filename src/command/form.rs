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
    let uses = |line: &str| line.trim_start_matches([' ', '-']).starts_with("uses:") && line.contains("/isobar@");
    let ours: Vec<String> = texts.filter(|text| text.lines().any(uses)).collect();
    let has_line = |is_it: &dyn Fn(&str) -> bool| ours.iter().any(|text| text.lines().any(|line| is_it(line.trim())));
    let has_input = |name: &str| has_line(&|line| line.starts_with(name));
    match (has_input("part:") && has_input("parts:"), has_line(&|line| line == "pull_request:")) {
        (true, _) => Some(Form::TwoJobs),
        (false, true) => Some(Form::OneJob),
        (false, false) => None,
    }
}
