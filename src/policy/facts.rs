//! All that a judgement goes by, gathered first: plain data.

use crate::change::{ChangeMark, Digest, Extent, Intent, Preview};
use crate::policy::Policy;
use crate::review::{Approval, CommitSha, PullRequest, Team, User};
use crate::stack::{RegionId, StackName, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The facts of one judgement.
pub struct Facts<'a> {
    /// From the commit before the change; `None`: no `policy:` there, on somebody's laptop.
    pub policy: Option<&'a Policy>,
    /// By name in lower case, from the commit before the change.
    pub teams: &'a BTreeMap<Arc<str>, Team>,
    pub pull_request: &'a PullRequest,
    /// Latest decision per reviewer; only those whose digests name a subject count for it.
    pub approvals: &'a [Approval],
    /// Every target of the change, also when only one wave of them is asked about: limits and `targets_min` count them all.
    pub subjects: Vec<Subject<'a>>,
    /// What the whole change was when its rollout was planned: what arrived since still counts.
    pub planned: Extent,
    pub now_ms: u64,
}

/// One target to be judged.
pub struct Subject<'a> {
    pub preview: &'a Preview,
    /// The stack's name, and those it had before the change: a rename leaves no rule behind. An instance goes by the name of its
    /// definition too.
    pub stacks: BTreeSet<StackName>,
    /// Clouds of the region, before and after the change.
    pub clouds: BTreeSet<Arc<str>>,
    /// Labels of region and stack, of both sides: a rule that matches either side matches.
    pub labels: BTreeSet<(Arc<str>, Arc<str>)>,
    /// The teams that stand for whom CODEOWNERS names before the change, one for each definition of this target.
    pub owned_by: Vec<Arc<str>>,
    /// A commit of what is judged that touches this target and that nobody's pull request brought, where that is not enough.
    pub direct: Option<CommitSha>,
    pub past: Past,
}

/// What history says about one target, as plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Changes cleared since the target's last successful apply, with who cleared them.
    pub cleared: Vec<(ChangeMark, Vec<User>)>,
    /// We recorded the start of an apply since then.
    pub started: bool,
    /// A preview of this target with this digest was shown before.
    pub shown: BTreeSet<Digest>,
    /// Those of them that were applied since: a yes to one is used up.
    pub spent: BTreeSet<Digest>,
    /// What a target that was never applied was shown as before anybody could preview it, where the fleet says
    /// `first_apply: covered`: whoever approved that approved its first apply, as long as it only creates.
    pub promise: Option<Digest>,
    /// How much was brought of the changes that left it behind: what is left counts together with that.
    pub left_by: Extent,
}

impl Subject<'_> {
    pub fn target(&self) -> &TargetId {
        &self.preview.target
    }

    pub fn region(&self) -> &RegionId {
        &self.preview.target.region
    }

    pub fn intent(&self) -> Intent {
        self.preview.intent
    }
}
