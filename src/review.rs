//! Who said what: commits, pull requests and approvals, as plain facts that a host gathered.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What clocks of machines that are kept may differ by.
const CLOCKS_DIFFER_MS: u64 = 60_000;

const MAKERS_UNKNOWN: &str = "not everybody who made the change is known";

/// A full git commit id in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommitSha(pub Arc<str>);

/// A person's login, or on a laptop the name given to `--review`. Compared without case, as GitHub does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User(pub Arc<str>);

/// A team that a policy asks for: those of it who are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    pub members: Vec<User>,
    /// Why more of them may be in it whom nobody could ask for; they count for nothing.
    pub unread: Option<Arc<str>>,
}

/// The change under review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// `None` on a laptop.
    pub number: Option<u64>,
    pub title: String,
    pub author: User,
    /// Authors and committers of its commits; none of them may approve it.
    pub committers: Vec<User>,
}

/// A change, and what people decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    pub change: PullRequest,
    /// Everybody who made it is known. Where not, its author could be among its reviewers.
    pub is_authorship_known: bool,
    /// `None` once it is merged or closed, and where the host has no such thing.
    pub proposed: Option<Proposed>,
    /// `None` while it is open, and where the host has no such thing.
    pub landed: Option<Landed>,
    pub decisions: Vec<Decided>,
}

/// What a change that is open would bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    pub head: CommitSha,
    /// The branch that it goes into.
    pub branch: Arc<str>,
}

/// How a change came to the branch that is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The commit of that branch which completes it: of a merge, a squash or a rebase.
    pub commit: CommitSha,
    /// The first commit of that branch which came with it: of a rebase it may be another.
    pub first: CommitSha,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// A decision as a host knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub by: User,
    pub voice: Voice,
    pub decision: Decision,
    pub about: About,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Previews with these digests, in full.
    Shown(Vec<Arc<str>>),
    /// Whatever was shown of this commit when it was given; `None` once the commit is gone.
    Commit(Option<CommitSha>),
    /// What has this digest, or one that begins so: one preview, or all that were shown together.
    Named(Vec<Arc<str>>),
}

/// Whose decision it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Of a person who may write.
    Writer,
    /// Of a person who may read only.
    Reader,
    Bot,
}

/// A preview that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Number of the change that it was shown of, if any.
    pub change: Option<u64>,
    /// The commit that was looked at: the newest of the change then.
    pub commit: CommitSha,
    /// Digest of all that were shown together, in full.
    pub set: Arc<str>,
    /// In full.
    pub digest: Arc<str>,
    /// When it was shown first, in milliseconds since 1970.
    pub first_ms: u64,
}

/// What a reviewer decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Reject,
}

/// One reviewer's latest decision about a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: User,
    pub decision: Decision,
    /// Digests of the previews it was given for, in full.
    pub digests: Vec<Arc<str>>,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl User {
    /// Returns what people are told apart by: hosts do not tell case apart.
    pub fn login(&self) -> String {
        self.0.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    }

    /// Says why this can be nobody's name, or nothing. Signs that one does not see would make two names of one person.
    pub fn fault(&self) -> Option<&'static str> {
        // Letters by their class that have no picture.
        const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
        let is_letter = |c: char| c.is_alphanumeric() && !FILLERS.contains(&c);
        let is_allowed = |c: char| is_letter(c) || " -_.+@[]'".contains(c);
        let name = self.0.trim();
        let has_ends = name.starts_with(is_letter) && name.ends_with(|c: char| is_letter(c) || c == ']' || c == '.');
        (!has_ends || !name.chars().all(is_allowed)).then_some(
            "is no name: it must begin and end with a letter or digit, and have only those, spaces and - _ . + @ ' between",
        )
    }
}

impl Approval {
    /// Was given at a time that is still to come, by more than clocks differ that are kept. Nobody knows on which side of an apply that
    /// was: as a yes it counts from its time on.
    pub fn is_to_come(&self, now_ms: u64) -> bool {
        self.at_ms > now_ms.saturating_add(CLOCKS_DIFFER_MS)
    }
}

/// A decision that counts for nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Void {
    pub by: User,
    pub why: &'static str,
}

impl Reviewed {
    /// Binds every decision to what was `seen`: a yes to what its reviewer could have seen of that commit of the change, a no to
    /// all that was ever shown of it. What names a digest may be about any of the changes: none of those is approved so whose makers are
    /// `unknown`, by its number. Returns the approvals that count for nothing as well.
    pub fn bind(&self, seen: &[Seen], unknown: &BTreeSet<u64>) -> (Vec<Approval>, Vec<Void>) {
        let (mut bound, mut void) = (Vec::new(), Vec::new());
        let is_unknown = |one: &&Seen| one.change.map_or(!unknown.is_empty(), |change| unknown.contains(&change));
        let of_unknown: BTreeSet<&Arc<str>> = seen.iter().filter(is_unknown).map(|one| &one.digest).collect();
        for decided in &self.decisions {
            if let Some(why) = self.fault(decided) {
                void.push(Void { by: decided.by.clone(), why });
                continue;
            }
            let Decided { by, decision, about, at_ms, .. } = decided;
            let digests: BTreeSet<&Arc<str>> = match (about, decision) {
                (About::Shown(digests), _) => digests.iter().collect(),
                (About::Commit(_) | About::Named(_), Decision::Reject) => {
                    seen.iter().filter(|one| self.is_of(one)).map(|one| &one.digest).collect()
                }
                (About::Commit(commit), Decision::Approve) => {
                    let could_see = |one: &&Seen| Some(&one.commit) == commit.as_ref() && one.first_ms <= *at_ms;
                    seen.iter().filter(|one| self.is_of(one)).filter(could_see).map(|one| &one.digest).collect()
                }
                (About::Named(beginnings), Decision::Approve) => {
                    beginnings.iter().flat_map(|beginning| named(beginning, seen, *at_ms)).collect()
                }
            };
            let is_named = matches!((about, decision), (About::Named(_), Decision::Approve));
            if is_named && digests.iter().any(|digest| of_unknown.contains(digest)) {
                void.push(Void { by: by.clone(), why: MAKERS_UNKNOWN });
                continue;
            }
            match (digests.is_empty(), decision) {
                (true, Decision::Approve) => {
                    void.push(Void { by: by.clone(), why: "nothing that it could be about was shown before it was given" })
                }
                (true, Decision::Reject) => {}
                (false, _) => {
                    let digests = digests.into_iter().cloned().collect();
                    bound.push(Approval { by: by.clone(), decision: *decision, digests, at_ms: *at_ms });
                }
            }
        }
        (bound, void)
    }

    /// Those who do not want it as it is, whose word counts.
    pub fn refusals(&self) -> impl Iterator<Item = &Decided> {
        let stands = |decided: &&Decided| decided.decision == Decision::Reject && self.fault(decided).is_none();
        self.decisions.iter().filter(stands)
    }

    fn is_of(&self, seen: &Seen) -> bool {
        seen.change.is_some() && seen.change == self.change.number
    }

    /// Says why a decision counts for nothing. A no needs less than a yes. What names what it is about was refused when it was given,
    /// if it had to be.
    fn fault(&self, decided: &Decided) -> Option<&'static str> {
        if matches!(decided.about, About::Shown(_)) {
            return None;
        }
        let is_maker = || std::iter::once(&self.change.author).chain(&self.change.committers).any(|user| *user == decided.by);
        match (decided.decision, decided.voice) {
            (_, Voice::Reader) => Some("who gave it may not write to this repository"),
            (Decision::Approve, Voice::Bot) => Some("a program gave it"),
            (Decision::Reject, Voice::Bot | Voice::Writer) => None,
            (Decision::Approve, Voice::Writer) if is_maker() => Some("who gave it made the change"),
            (Decision::Approve, Voice::Writer) if !self.is_authorship_known => Some(MAKERS_UNKNOWN),
            (Decision::Approve, Voice::Writer) => {
                let is_review = matches!(decided.about, About::Commit(_));
                let is_late = is_review && self.landed.as_ref().is_some_and(|landed| decided.at_ms > landed.at_ms);
                is_late.then_some("it was given after the merge")
            }
        }
    }
}

/// What somebody could see that has a digest which begins so; nothing where that may mean one thing or another.
fn named<'s>(beginning: &str, seen: &'s [Seen], at_ms: u64) -> Vec<&'s Arc<str>> {
    let could_see = || seen.iter().filter(|one| one.first_ms <= at_ms);
    let digests: BTreeSet<&Arc<str>> =
        could_see().map(|one| &one.digest).filter(|digest| digest.starts_with(beginning)).collect();
    let sets: BTreeSet<&Arc<str>> = could_see().map(|one| &one.set).filter(|set| set.starts_with(beginning)).collect();
    match (digests.len(), sets.first()) {
        (1, None) => digests.into_iter().collect(),
        (0, Some(set)) if sets.len() == 1 => could_see().filter(|one| one.set == **set).map(|one| &one.digest).collect(),
        (_, _) => Vec::new(),
    }
}

/// Returns the latest decision of each person about each digest, as far as one still is; `given` stand in the order in which they
/// were given, and no clock says otherwise.
pub fn latest(given: Vec<Approval>) -> Vec<Approval> {
    let mut decided = BTreeSet::new();
    let mut kept: Vec<Approval> = Vec::new();
    for mut approval in given.into_iter().rev() {
        let by = approval.by.login();
        approval.digests.retain(|digest| decided.insert((by.clone(), digest.clone())));
        if !approval.digests.is_empty() {
            kept.push(approval);
        }
    }
    kept.reverse();
    kept
}

impl CommitSha {
    /// Returns the first seven characters.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialOrd for User {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for User {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.to_ascii_lowercase().cmp(&other.0.to_ascii_lowercase())
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for User {}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(change: u64, commit: &str, digest: &str, first_ms: u64) -> Seen {
        let (commit, set) = (CommitSha(commit.into()), format!("set of {change}").into());
        Seen { change: Some(change), commit, set, digest: digest.into(), first_ms }
    }

    /// What Bob's decision about #7 by Ann is bound to; or why it counts for nothing.
    fn bound(voice: Voice, decision: Decision, about: About, at_ms: u64) -> String {
        let change = PullRequest {
            number: Some(7),
            title: String::new(),
            author: User("ann".into()),
            committers: vec![User("cem".into())],
        };
        let landed = Some(Landed { commit: CommitSha("m".into()), first: CommitSha("m".into()), at_ms: 50 });
        let decided = Decided { by: User("bob".into()), voice, decision, about, at_ms };
        let reviewed = Reviewed { change, is_authorship_known: true, proposed: None, landed, decisions: vec![decided] };
        let all = [seen(7, "h1", "aa11", 10), seen(7, "h1", "ab22", 20), seen(7, "h2", "cc33", 10), seen(8, "h1", "dd44", 10)];
        match reviewed.bind(&all, &BTreeSet::new()) {
            (bound, void) if void.is_empty() => bound.iter().map(|one| one.digests.join(" ")).collect(),
            (_, void) => void.iter().map(|one| one.why).collect(),
        }
    }

    fn commit(name: &str) -> About {
        About::Commit(Some(CommitSha(name.into())))
    }

    #[test]
    fn a_yes_is_to_what_could_be_seen_of_its_commit_and_a_no_to_all_of_the_change() {
        use Decision::{Approve, Reject};
        let writer = |decision, about, at_ms| bound(Voice::Writer, decision, about, at_ms);
        assert_eq!(writer(Approve, commit("h1"), 15), "aa11");
        assert_eq!(writer(Approve, commit("h1"), 20), "aa11 ab22");
        assert_eq!(writer(Approve, commit("h2"), 15), "cc33");
        for nothing in [(commit("h1"), 9), (commit("h3"), 15), (About::Commit(None), 15)] {
            assert!(writer(Approve, nothing.0, nothing.1).starts_with("nothing that it could be about"));
        }
        assert_eq!(writer(Reject, About::Commit(None), 1), "aa11 ab22 cc33");
        assert_eq!(writer(Approve, commit("h1"), 51), "it was given after the merge");
        assert_eq!(bound(Voice::Reader, Reject, commit("h1"), 15), "who gave it may not write to this repository");
        assert_eq!(bound(Voice::Bot, Approve, commit("h1"), 15), "a program gave it");
    }

    #[test]
    fn a_digest_names_one_preview_or_all_that_were_shown_together() {
        let named = |beginning: &str| bound(Voice::Writer, Decision::Approve, About::Named(vec![beginning.into()]), 60);
        assert_eq!(named("aa"), "aa11");
        assert_eq!(named("set of 7"), "aa11 ab22 cc33");
        for neither in ["a", "set", "ee"] {
            assert!(named(neither).starts_with("nothing that it could be about"), "{neither}");
        }
    }

    #[test]
    fn a_login_is_the_same_in_any_case() {
        assert_eq!(User("Alice".into()), User("alice".into()));
        assert_ne!(User("alice".into()), User("alicia".into()));
    }

    #[test]
    fn a_commit_is_named_by_its_first_seven_characters() {
        assert_eq!(CommitSha("0123456789abcdef".into()).short(), "0123456");
        assert_eq!(CommitSha("012".into()).short(), "012");
    }

    #[test]
    fn a_decision_reads_as_one_word() {
        let said: Result<Decision, _> = serde_json::from_str("\"approve\"");
        assert_eq!(said.ok(), Some(Decision::Approve));
        assert!(serde_json::from_str::<Decision>("\"approved\"").is_err());
    }
}
