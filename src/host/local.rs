//! The laptop as a host: reviews come from a file outside the tree, the author from the commit. Refused on GitHub Actions.
//!
//! The file has one decision a line, and grows only. A line that cannot be read is an error: a decision that we cannot read
//! may be the rejection that took an approval back.

use super::{Boxed, Check, Comment, Deployments, Host, HostError, Issues, Of, Opened, Openings, Posted};
use crate::review::{About, Approval, CommitSha, Decided, Decision, PullRequest, Reviewed, User, Voice, latest};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes the file of reviews may have; a hundred thousand decisions.
const BYTES_MAX: u64 = 64 << 20;

/// Reviews in one JSON-lines file.
pub struct Local {
    config: Arc<LocalConfig>,
}

/// What the laptop cannot find out by itself.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The file of reviews; it need not be there yet.
    pub reviews: PathBuf,
    /// The root of the work tree: a change must not bring its own reviews.
    pub worktree: PathBuf,
    /// We run on GitHub Actions, where anyone who can write a workflow could write the file.
    pub on_actions: bool,
    /// What is checked out: author and committers of its commit.
    pub change: PullRequest,
}

impl Local {
    pub fn new(config: LocalConfig) -> Self {
        Self { config: Arc::new(config) }
    }

    /// Runs `work` where waiting for a disk or a lock holds nobody up.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LocalConfig) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let config = self.config.clone();
        match tokio::task::spawn_blocking(move || work(&config)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(refused("we were stopped while we read the reviews", "run the same command again")),
            },
        }
    }
}

impl Host for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn knows_commits(&self) -> bool {
        false
    }

    fn reviewed<'a>(&'a self, _of: Of<'a>) -> Boxed<'a, Result<Vec<Reviewed>, HostError>> {
        Box::pin(self.blocking(|config| {
            let decisions = config.read().map(latest)?.into_iter().map(decided).collect();
            Ok(vec![Reviewed {
                change: config.change.clone(),
                is_authorship_known: true,
                proposed: None,
                landed: None,
                decisions,
            }])
        }))
    }

    fn opened<'a>(&'a self, _of: &'a Openings) -> Boxed<'a, Result<Vec<Opened>, HostError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn may_write<'a>(&'a self, _who: &'a User) -> Boxed<'a, Result<bool, HostError>> {
        Box::pin(async { Ok(false) })
    }

    fn team<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Vec<User>, HostError>> {
        let what = format!("reading who is in {name}: only GitHub knows its teams");
        Box::pin(async { Err(HostError { what, hint: Some("list its people below teams: in isobar.yaml".into()) }) })
    }

    fn record<'a>(&'a self, approval: &'a Approval, change: &'a PullRequest) -> Boxed<'a, Result<(), HostError>> {
        let (approval, change) = (approval.clone(), change.clone());
        Box::pin(self.blocking(move |config| config.append(&approval, &change)))
    }

    fn comment<'a>(&'a self, _change: u64, _comment: &'a Comment) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(async { Ok(Posted::Nowhere) })
    }

    fn check<'a>(&'a self, _commit: &'a CommitSha, _check: &'a Check) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(async { Ok(Posted::Nowhere) })
    }

    fn issues<'a>(&'a self, _issues: &'a Issues) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(async { Ok(Posted::Nowhere) })
    }

    fn deployed<'a>(&'a self, _told: &'a Deployments) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(async { Ok(Posted::Nowhere) })
    }
}

/// A decision of the file, which holds what counts only.
fn decided(approval: Approval) -> Decided {
    let Approval { by, decision, digests, at_ms } = approval;
    Decided { by, voice: Voice::Writer, decision, about: About::Shown(digests), at_ms }
}

impl LocalConfig {
    /// Reads every decision, in the order in which they were given.
    fn read(&self) -> Result<Vec<Approval>, HostError> {
        self.refuse_in_the_tree()?;
        let mut file = match File::open(&self.reviews) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed("reading", &error)),
        };
        self.refuse_on_actions()?;
        file.lock_shared().map_err(|error| self.failed("locking", &error))?;
        let mut text = String::new();
        (&mut file).take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| self.failed("reading", &error))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(refused(
                format!("{} has more than {} MiB", self.reviews.display(), BYTES_MAX >> 20),
                "move it away: reviews of what was applied are in the journal",
            ));
        }
        text.split_inclusive('\n').zip(1..).map(|(line, number)| self.read_line(line, number)).collect()
    }

    fn read_line(&self, line: &str, number: usize) -> Result<Approval, HostError> {
        let broken = |why: &str| {
            refused(
                format!("{}:{number}: {why}", self.reviews.display()),
                format!("see what line {number} was meant to say, remove it, and give that review again"),
            )
        };
        let line = line.strip_suffix('\n').ok_or_else(|| broken("the line has no end"))?;
        let approval: Approval = serde_json::from_str(line).map_err(|error| broken(&format!("not a review: {error}")))?;
        fault(&approval).map_or(Ok(approval), |why| Err(broken(why)))
    }

    /// Appends one decision, durably.
    fn append(&self, approval: &Approval, change: &PullRequest) -> Result<(), HostError> {
        self.refuse_on_actions()?;
        self.refuse_in_the_tree()?;
        if let Some(why) = fault(approval) {
            return Err(refused(why, "name a person, and what was previewed"));
        }
        let made = std::iter::once(&change.author).chain(&change.committers).any(|user| *user == approval.by);
        if made && approval.decision == Decision::Approve {
            return Err(refused(
                format!("{} made this change and cannot approve it", approval.by),
                "ask somebody else for a review",
            ));
        }

        let line = serde_json::to_string(approval).expect("a review holds only strings and numbers");
        self.append_line(&format!("{line}\n"))
    }

    fn append_line(&self, line: &str) -> Result<(), HostError> {
        let dir = self.reviews.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.reviews)?;
            file.lock()?;
            Ok(file)
        };
        let mut file = open().map_err(|error: io::Error| self.failed("opening", &error))?;
        if !ends_with_a_line(&mut file).map_err(|error| self.failed("reading", &error))? {
            let what = format!("the last line of {} has no end", self.reviews.display());
            return Err(refused(what, "see what it was meant to say, remove it, and give that review again"));
        }
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| File::open(dir)?.sync_all());
        written.map_err(|error| self.failed("writing", &error))
    }

    fn refuse_on_actions(&self) -> Result<(), HostError> {
        if !self.on_actions {
            return Ok(());
        }
        let what = format!("reviews in a file do not count on GitHub Actions: {}", self.reviews.display());
        Err(refused(what, "review the pull request on GitHub"))
    }

    /// The place is looked at each time: a checkout may have put a link there since.
    fn refuse_in_the_tree(&self) -> Result<(), HostError> {
        let tree = self.worktree.canonicalize().map_err(|error| self.failed("finding the work tree of", &error))?;
        let reviews = real_place(&self.reviews).map_err(|error| self.failed("finding", &error))?;
        if !reviews.starts_with(&tree) {
            return Ok(());
        }
        let what = format!("the reviews {} are inside the work tree {}", self.reviews.display(), self.worktree.display());
        Err(refused(what, "keep them elsewhere: a change must not bring its own approval"))
    }

    fn failed(&self, doing: &str, error: &io::Error) -> HostError {
        refused(format!("{doing} {}: {error}", self.reviews.display()), "see who owns that path and whether its disk has room")
    }
}

fn fault(approval: &Approval) -> Option<&'static str> {
    if approval.by.0.trim().is_empty() {
        return Some("the review names nobody");
    }
    if approval.by.fault().is_some() {
        return Some("the review is of nobody who could be called so");
    }
    approval.digests.is_empty().then_some("the review names no digest")
}

/// Returns where `path` is or would be, links followed. A link to what is not there could lead anywhere, so it is an error.
fn real_place(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
            Ok(real_place(dir)?.join(name))
        }
        real => real,
    }
}

fn ends_with_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn refused(what: impl Into<String>, hint: impl Into<String>) -> HostError {
    HostError { what: what.into(), hint: Some(hint.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::User;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use tempfile::TempDir;

    fn user(name: &str) -> User {
        User(name.into())
    }

    fn review(by: &str, digests: &[&str]) -> Approval {
        let digests = digests.iter().map(|digest| Arc::from(*digest)).collect();
        Approval { by: user(by), decision: Decision::Approve, digests, at_ms: 5 }
    }

    /// A work tree `tree`, and a host whose reviews are at `reviews` beside or in it.
    fn local(reviews: &str, on_actions: bool) -> (TempDir, Local) {
        let dir = crate::scratch::dir();
        std::fs::create_dir(dir.path().join("tree")).expect("it has room");
        let (reviews, worktree) = (dir.path().join(reviews), dir.path().join("tree"));
        (dir, Local::new(LocalConfig { reviews, worktree, on_actions, change: change() }))
    }

    fn change() -> PullRequest {
        PullRequest { number: None, title: "wider".into(), author: user("ann"), committers: vec![user("cem")] }
    }

    fn said<T: std::fmt::Debug>(result: Result<T, HostError>) -> String {
        let error = result.expect_err("it is refused");
        assert!(error.hint.is_some(), "{error}");
        error.what
    }

    async fn approvals(host: &Local) -> Result<Vec<Approval>, HostError> {
        let reviewed = host.reviewed(Of::Change(1)).await?;
        Ok(reviewed.iter().flat_map(|change| change.bind(&[], &Default::default()).0).collect())
    }

    #[tokio::test]
    async fn reviews_are_refused_inside_the_work_tree_however_they_got_there() {
        for reviews in ["tree/reviews.jsonl", "tree/new/reviews.jsonl", "tree/../tree/r.jsonl", "link/r.jsonl"] {
            let (dir, host) = local(reviews, false);
            symlink(dir.path().join("tree"), dir.path().join("link")).expect("it has room");
            assert!(said(host.record(&review("bob", &["d1"]), &change()).await).contains("inside the work tree"), "{reviews}");
            assert!(said(approvals(&host).await).contains("inside the work tree"), "{reviews}");
        }
        let (dir, host) = local("reviews.jsonl", false);
        symlink(dir.path().join("tree/hidden.jsonl"), dir.path().join("reviews.jsonl")).expect("it has room");
        assert!(host.record(&review("bob", &["d1"]), &change()).await.is_err(), "a link to what is not there yet");
        assert!(!dir.path().join("tree/hidden.jsonl").exists());
    }

    #[tokio::test]
    async fn a_file_of_reviews_never_counts_on_github_actions() {
        let (dir, host) = local("reviews.jsonl", true);
        assert_eq!(approvals(&host).await, Ok(vec![]), "there is none");
        assert!(said(host.record(&review("bob", &["d1"]), &change()).await).contains("GitHub Actions"));
        assert!(!dir.path().join("reviews.jsonl").exists());

        std::fs::write(dir.path().join("reviews.jsonl"), "").expect("it has room");
        assert!(said(approvals(&host).await).contains("GitHub Actions"));
    }

    #[tokio::test]
    async fn who_made_the_change_cannot_approve_it_but_may_reject_it() {
        let (_dir, host) = local("reviews.jsonl", false);
        for maker in ["ANN", "cem"] {
            assert!(said(host.record(&review(maker, &["d1"]), &change()).await).contains("cannot approve"));
        }
        let rejected = Approval { decision: Decision::Reject, ..review("ann", &["d1"]) };
        assert_eq!(host.record(&rejected, &change()).await, Ok(()));
    }

    #[tokio::test]
    async fn the_latest_decision_about_a_digest_counts_and_the_others_stay() {
        let (_dir, host) = local("reviews.jsonl", false);
        let given = |by: &str, decision, digests: &[&str], at_ms| Approval { decision, at_ms, ..review(by, digests) };
        for review in [
            given("bob", Decision::Approve, &["d1", "d2"], 9),
            given("eve", Decision::Approve, &["d1"], 9),
            given("BOB", Decision::Reject, &["d1"], 1),
        ] {
            host.record(&review, &change()).await.expect("it has room");
        }
        let said = |given: &Approval| format!("{} {:?} {}", given.by, given.decision, given.digests.join(" "));
        let found: Vec<String> = approvals(&host).await.expect("readable").iter().map(said).collect();
        assert_eq!(found, ["bob Approve d2", "eve Approve d1", "BOB Reject d1"], "the later one, whatever its clock says");
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_read_is_named_and_never_skipped() {
        let good = serde_json::to_string(&review("bob", &["d1"])).expect("plain data");
        for (second, why) in [
            ("{}\n", "not a review"),
            ("\n", "not a review"),
            (&good, "no end"),
            (&good.replace("bob", " "), "no end"),
            (&format!("{}\n", good.replace("bob", " ")), "names nobody"),
            (&format!("{}\n", good.replace("\"d1\"", "")), "names no digest"),
        ] {
            let (dir, host) = local("reviews.jsonl", false);
            std::fs::write(dir.path().join("reviews.jsonl"), format!("{good}\n{second}")).expect("it has room");
            let said = said(approvals(&host).await);
            assert!(said.contains("reviews.jsonl:2: ") && said.contains(why), "{said}");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_behind_a_torn_line() {
        let (dir, host) = local("reviews.jsonl", false);
        std::fs::write(dir.path().join("reviews.jsonl"), "{\"by\":\"bo").expect("it has room");
        assert!(said(host.record(&review("bob", &["d1"]), &change()).await).contains("no end"));
    }

    #[tokio::test]
    async fn the_file_is_its_owners_alone() {
        let (dir, host) = local("new/reviews.jsonl", false);
        host.record(&review("bob", &["d1"]), &change()).await.expect("it has room");
        let mode = |path: &str| dir.path().join(path).metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode("new/reviews.jsonl"), mode("new")), (0o600, 0o700));
    }
}
