//! Which two sides are looked at: a branch merged into its base, an explicit pair of commits, or the default branch against
//! what was last applied. On a laptop the dirty tree is looked at too, and said so.

use super::scene::{Scene, Scenes};
use crate::exit::Failure;
use crate::review::CommitSha;
use crate::workspace::{Merged, Snapshot};
use crate::world::World;
use std::sync::Arc;

/// The sides of one look.
pub(crate) struct View {
    /// The commit that is previewed; `None` for an uncommitted tree.
    pub(crate) head: Option<CommitSha>,
    /// The base of a pull request's view; `None`: each target against its own last apply.
    pub(crate) base: Option<CommitSha>,
    pub(crate) before: Option<Arc<Scene>>,
    pub(crate) after: After,
    pub(crate) dirty: Vec<Arc<str>>,
}

/// What would be on the default branch.
pub(crate) enum After {
    Scene(Arc<Scene>),
    /// The head does not merge into its base.
    Conflict(Vec<Arc<str>>),
}

/// Opens the sides. Without `head` and `base`: a branch is merged into the default branch; the default branch, and anything
/// dirty, is looked at as it is. `verb` is who asks.
pub(crate) fn open(
    world: &World,
    scenes: &Scenes<'_>,
    verb: &str,
    base: Option<&str>,
    head: Option<&str>,
) -> Result<View, Failure> {
    let workspace = &world.workspace;
    if let (None, Some(head)) = (base, head) {
        let base = workspace.default_branch().unwrap_or("main".into());
        return Err(Failure::usage("--head needs --base", format!("isobar {verb} --base {base} --head {head}")));
    }
    let dirty = if head.is_none() { uncommitted(world)? } else { Vec::new() };
    let base = match base {
        Some(rev) => Some(workspace.commit(rev)?),
        None => default_base(world)?,
    };

    if !dirty.is_empty() {
        let after = Arc::new(Scene::open(world, workspace.worktree(&published(world))?)?);
        let before = match &base {
            Some(base) => scenes.before(&workspace.merge_base(base, &workspace.head()?)?)?,
            None => None,
        };
        return Ok(View { head: None, base, before, after: After::Scene(after), dirty });
    }
    let head = workspace.commit(head.unwrap_or("HEAD"))?;
    let Some(base) = base else {
        let after = scenes.at(&head)?;
        return Ok(View { head: Some(head), base: None, before: None, after: After::Scene(after), dirty });
    };
    let before = scenes.before(&base)?;
    let after = match workspace.merged(&base, &head)? {
        Merged::Clean(snapshot) => After::Scene(Arc::new(Scene::open(world, *snapshot)?)),
        Merged::Conflict(paths) => After::Conflict(paths),
    };
    Ok(View { head: Some(head), base: Some(base), before, after, dirty })
}

/// The tip of the default branch, when another branch is checked out.
pub(crate) fn default_base(world: &World) -> Result<Option<CommitSha>, Failure> {
    let workspace = &world.workspace;
    let (Some(branch), Some(default)) = (workspace.branch(), workspace.default_branch()) else { return Ok(None) };
    if branch == default {
        return Ok(None);
    }
    let tip = workspace.commit(&default).or_else(|_| workspace.commit(&format!("origin/{default}")));
    let (tip, head) = (tip?, workspace.head()?);
    let has_fleet = workspace.at(&tip.0)?.listing.get(super::scene::FLEET).is_some();
    Ok((has_fleet && tip != head).then_some(tip))
}

/// What is not committed, but for what engines published and the journal.
pub(crate) fn uncommitted(world: &World) -> Result<Vec<Arc<str>>, Failure> {
    let all = world.workspace.dirty(&[".isobar".to_string()])?;
    if all.is_empty() {
        return Ok(all);
    }
    let published = published(world);
    let is_published = |path: &Arc<str>| {
        published.iter().any(|dir| path.strip_prefix(dir.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    Ok(all.into_iter().filter(|path| !is_published(path)).collect())
}

/// The directories of the tree to which the fleet publishes, as far as its definitions can be read; and the journal.
pub(crate) fn published(world: &World) -> Vec<String> {
    let scene =
        world.workspace.worktree(&[".isobar".to_string()]).ok().and_then(|snapshot: Snapshot| Scene::open(world, snapshot).ok());
    let mut places = scene.map(|scene| scene.published(world)).unwrap_or_default();
    places.push(".isobar".into());
    places
}
