//! `isobar action`: what a workflow's event asks for, done and told. Knows no payload; events are read where the command line is.

mod commands;
mod handed;
mod set_back;

pub use commands::{Command, Wish};
pub use handed::Handed;

use set_back::Push;

use super::audience::{Audience, Topic};
use super::look::OfChange;
use super::moved::Moved;
use super::parts::Parting;
use super::tell::Form;
use super::{apply, control, drift, judge, preview, recover, status};
use crate::exit::{Exit, Failure};
use crate::host::{Of, Turn};
use crate::report::Told;
use crate::review::CommitSha;
use crate::stack::Selector;
use crate::world::World;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The name of the check that a branch may require.
pub const CHECK: &str = "isobar";
/// The name of the check that tells of an apply: the commit that is applied may be one that was previewed.
pub const APPLY_CHECK: &str = "isobar apply";

/// What to do for whom.
#[derive(Clone, Debug)]
pub struct Request {
    pub act: Act,
    pub selector: Selector,
    pub parallel: usize,
    /// The only branch that is applied.
    pub default_branch: Option<Arc<str>>,
    /// Where another run has left what it saw of a change.
    pub parts: Option<PathBuf>,
    /// How much is left of the job.
    pub time_left: Option<Duration>,
    /// Who hears of it, but for what the act itself knows.
    pub audience: Audience,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing, and why.
    Nothing(String),
    /// A change was opened, or has new commits.
    Preview(Proposal),
    /// The same, in a job that may do no harm: what it saw goes to this file, and another tells it.
    HandOver(Proposal, PathBuf),
    /// Such a job ended, or somebody reviewed a change where the job for that may only read.
    Report(Handed),
    /// Somebody reviewed it.
    Judge(Proposal),
    /// Several changes wait to be merged together: as they would be, before that. Each was approved before it came here, and what they
    /// make together is judged again when it is applied.
    Queue {
        head: CommitSha,
        base: CommitSha,
    },
    /// Commits came to the branch that is applied, after `before` if that is known.
    Apply {
        before: Option<CommitSha>,
    },
    Drift,
    /// What moved without us is put back, and looked at once more.
    Fix,
    Tick,
    /// Time has passed.
    DriftAndTick,
    /// Somebody wrote a command under a change.
    Command(Command),
    /// What the default branch would change now: nobody but the log and the step's summary hears of it.
    Look,
    Status,
    Recover,
    Pause,
    Resume,
}

/// A change that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub number: u64,
    pub head: CommitSha,
    /// The branch that it goes into.
    pub branch: String,
}

/// Does it, and leaves how it ended to later steps.
pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let done = act(world, request).await;
    let exit = done.as_ref().map_or_else(Failure::code, |exit| world.stop.asked().map_or(*exit, Exit::Interrupted).code());
    let result = match (&done, world.stop.asked()) {
        (_, Some(_)) => "stopped",
        (Err(_) | Ok(Exit::Unfinished | Exit::Interrupted(_)), None) => "failed",
        (Ok(Exit::Clean), None) => "clean",
        (Ok(Exit::Negative), None) => "found",
        (Ok(Exit::NotCleared), None) => "waiting",
    };
    request.audience.leave(world, &[("result", result.to_string()), ("exit-code", exit.to_string())]);
    done
}

async fn act(world: &World, request: &Request) -> Result<Exit, Failure> {
    match &request.act {
        Act::Nothing(why) => {
            world.terminal.say(&format!("nothing to do: {why}\n"));
            Ok(Exit::Clean)
        }
        Act::Preview(proposal) => request.preview(world, proposal).await,
        Act::HandOver(proposal, path) => {
            let parting = Some(Parting::HandOver(path.clone()));
            let (base, head) = (Some(base_of(world, proposal)?), Some(proposal.head.0.to_string()));
            let (selector, parallel) = (request.selector.clone(), request.parallel);
            preview::run(world, &preview::Request { selector, base, head, parallel, parting, ..preview::Request::default() })
                .await
        }
        Act::Report(handed) => request.report(world, handed).await,
        Act::Judge(proposal) => request.judge(world, proposal).await,
        Act::Queue { head, base } => {
            let check = Some((head.clone(), request.audience.check_name(CHECK)));
            let audience = Audience { check, is_past_waiting: true, ..request.audience.clone() };
            request.look(world, &audience, head, &base.0, None, None).await
        }
        Act::Apply { before } => request.apply(world, before.as_ref(), None).await,
        Act::Drift => request.drift(world, false).await,
        Act::Fix => {
            let (fix, drift) = (request.drift(world, true).await, request.drift(world, false).await);
            Ok(worse(fix?, drift?))
        }
        Act::Tick => request.tick(world).await,
        Act::DriftAndTick => {
            let (drift, tick) = (request.drift(world, false).await, request.tick(world).await);
            Ok(worse(drift?, tick?))
        }
        Act::Command(command) => request.obey(world, command).await,
        Act::Look => {
            let (selector, form) = (request.selector.clone(), heard_by(&request.audience));
            let look = preview::Request { selector, form, parallel: request.parallel, ..preview::Request::default() };
            told(world, &request.audience, Told::Preview, preview::run(world, &look).await).await
        }
        Act::Status => status::run(world, &status::Request { selector: request.selector.clone(), json: false, html: None }).await,
        Act::Recover => request.recover(world).await,
        Act::Pause => control::pause(world, "asked for by a workflow", false).await,
        Act::Resume => control::resume(world, false).await,
    }
}

impl Request {
    async fn preview(&self, world: &World, proposal: &Proposal) -> Result<Exit, Failure> {
        let audience = self.audience_of(proposal);
        audience.tell_begun(world).await;
        match base_of(world, proposal) {
            Ok(base) => self.look(world, &audience, &proposal.head, &base, Some(proposal.number), None).await,
            unknown @ Err(_) => told(world, &audience, Told::Preview, unknown.map(|_| Exit::Clean)).await,
        }
    }

    async fn look(
        &self,
        world: &World,
        audience: &Audience,
        head: &CommitSha,
        base: &str,
        change: Option<u64>,
        parting: Option<Parting>,
    ) -> Result<Exit, Failure> {
        let request = preview::Request {
            selector: self.selector.clone(),
            form: heard_by(audience),
            base: Some(base.into()),
            head: Some(head.0.to_string()),
            parallel: self.parallel,
            change: change.map(|number| OfChange { run: audience.turn.seen_by, ..self.of_change(number) }),
            parting,
            ..preview::Request::default()
        };
        let done = preview::run(world, &request).await;
        told(world, audience, Told::Preview, done).await
    }

    /// What was shown of the change is judged again. Where nothing of it waits for a decision, there is nothing to judge, and what
    /// was told stays.
    async fn judge(&self, world: &World, proposal: &Proposal) -> Result<Exit, Failure> {
        let of = (proposal.head.clone(), self.of_change(proposal.number));
        let Some((seen_by, base)) = judge::shown_by(world, &of).await? else {
            world.terminal.say(&format!("nothing to do: nothing of {} waits for a decision\n", proposal.head.short()));
            return Ok(Exit::Clean);
        };
        let turn = Turn { seen_by, ..self.audience.turn };
        let moved = Some(moved_since(world, proposal, &base));
        let (audience, of) = (Audience { turn, moved, ..self.audience_of(proposal) }, Some(of));
        let (selector, form) = (self.selector.clone(), heard_by(&audience));
        let done = judge::run(world, &judge::Request { selector, form, reviews: Vec::new(), of }).await;
        // Whoever reviewed is told by the check what is still missing: the run itself went well.
        match told(world, &audience, Told::Judge, done).await? {
            Exit::NotCleared => Ok(Exit::Clean),
            other => Ok(other),
        }
    }

    /// Those that came with the push are told, and `asker`.
    async fn apply(&self, world: &World, before: Option<&CommitSha>, asker: Option<u64>) -> Result<Exit, Failure> {
        let head = world.workspace.head()?;
        let mut changes = brought(world, before, &head).await;
        let came = changes.clone();
        changes.extend(asker.filter(|asker| !changes.contains(asker)));
        let audience = Audience {
            changes,
            check: Some((head.clone(), self.audience.check_name(APPLY_CHECK))),
            topic: Some(Topic::Failure),
            ..self.audience.clone()
        };
        let request = self.apply_request(&audience);
        let push = before.zip(self.default_branch.as_deref());
        let push = push.map(|(before, branch)| Push { branch, before, head: &head, brought: &came });
        // Nobody merges by a green of before while waves go on.
        let (done, ()) = futures::join!(apply::run(world, &request), self.set_back(world, push));
        // What an old commit cannot do any more calls nobody: the newer one does it.
        let topic = audience.topic.filter(|_| self.is_newest(world, &head));
        told(world, &Audience { topic, ..audience }, Told::Apply, done).await
    }

    /// Nothing newer is known of the branch that is applied.
    fn is_newest(&self, world: &World, head: &CommitSha) -> bool {
        let tip = self.default_branch.as_deref().and_then(|branch| tip(world, branch));
        tip.is_none_or(|tip| tip == *head)
    }

    async fn tick(&self, world: &World) -> Result<Exit, Failure> {
        let (changes, about) = going_on(world).await?;
        let check = Some((about, self.audience.check_name(APPLY_CHECK)));
        let audience = Audience { changes, check, topic: Some(Topic::Failure), ..self.audience.clone() };
        let done = apply::tick(world, &self.apply_request(&audience)).await;
        told(world, &audience, Told::Tick, done).await
    }

    fn apply_request(&self, audience: &Audience) -> apply::Request {
        let (selector, form) = (self.selector.clone(), heard_by(audience));
        apply::Request { selector, form, parallel: self.parallel, time_left: self.time_left, ..apply::Request::default() }
    }

    async fn recover(&self, world: &World) -> Result<Exit, Failure> {
        let (selector, form) = (self.selector.clone(), heard_by(&self.audience));
        let done = recover::run(world, &recover::Request { selector, form, testimony: None }).await;
        told(world, &self.audience, Told::Recover, done).await
    }

    async fn drift(&self, world: &World, fix: bool) -> Result<Exit, Failure> {
        let audience = Audience { topic: Some(Topic::Drift), ..self.audience.clone() };
        let (selector, form, parallel) = (self.selector.clone(), heard_by(&audience), self.parallel);
        let request = drift::Request { selector, form, parallel, fix, only_news: true, ..drift::Request::default() };
        let done = drift::run(world, &request).await;
        told(world, &audience, Told::Drift, done).await
    }

    fn of_change(&self, number: u64) -> OfChange {
        OfChange { number, part: self.audience.part.clone(), run: self.audience.turn.run }
    }

    fn audience_of(&self, proposal: &Proposal) -> Audience {
        Audience {
            changes: vec![proposal.number],
            check: Some((proposal.head.clone(), self.audience.check_name(CHECK))),
            branch: Some(proposal.branch.as_str().into()),
            ..self.audience.clone()
        }
    }
}

fn heard_by(audience: &Audience) -> Form {
    Form { audience: Some(audience.clone()), ..Form::default() }
}

/// Tells of a failure too.
async fn told(world: &World, audience: &Audience, told: Told, done: Result<Exit, Failure>) -> Result<Exit, Failure> {
    if let Err(failure) = &done {
        audience.tell_failure(world, told, failure).await;
    }
    done
}

/// Where a branch is on the server, as far as this clone knows; one without remotes has it under its own name.
fn tip(world: &World, branch: &str) -> Option<CommitSha> {
    let names = [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")];
    names.iter().find_map(|name| world.workspace.commit(name).ok())
}

/// The branch that the change goes into.
fn base_of(world: &World, proposal: &Proposal) -> Result<String, Failure> {
    let found = tip(world, &proposal.branch);
    let what = || format!("{} is not in this clone, and #{} goes into it", proposal.branch, proposal.number);
    let found = found.ok_or_else(|| Failure::usage(what(), "fetch-depth: 0 in actions/checkout brings every branch"));
    found.map(|commit| commit.0.to_string())
}

/// What came to the branch of a change since somebody looked at it beside this commit. What cannot be found out is told, and sets nothing
/// back: what is applied is no question of it.
fn moved_since(world: &World, proposal: &Proposal, base: &CommitSha) -> Moved {
    let tip = base_of(world, proposal).map(|tip| CommitSha(tip.into()));
    tip.and_then(|tip| Moved::between(world, &proposal.branch, base, &tip)).unwrap_or_else(|failure| {
        let (branch, base) = (&proposal.branch, base.short());
        world.terminal.note(&format!("note: what came to {branch} since {base} is not known: {failure}"));
        Moved::default()
    })
}

/// The changes that came with the push, as far as that can be found out: whom to tell is no question of what is applied.
async fn brought(world: &World, before: Option<&CommitSha>, head: &CommitSha) -> Vec<u64> {
    let before = before.filter(|before| world.workspace.is_ancestor(before, head).unwrap_or(false));
    let line = match before {
        Some(before) => world.workspace.first_parents(Some(before), head).unwrap_or_default(),
        None => vec![head.clone()],
    };
    match world.host.reviewed(Of::Line { commits: &line, shown: &BTreeSet::new() }).await {
        Ok(changes) => changes.iter().filter_map(|change| change.change.number).collect(),
        Err(error) => {
            world.terminal.complain(&format!("warning: who is to be told is not known: {}", error.what));
            Vec::new()
        }
    }
}

/// What a tick goes on with: the changes that brought the commits of rollouts that are open, and the one commit that is told of. What
/// was merged since has its own.
async fn going_on(world: &World) -> Result<(Vec<u64>, CommitSha), Failure> {
    let history = world.store.history().await?;
    let open = history.rollouts().filter(|progress| progress.ending().is_none());
    let commits: BTreeSet<CommitSha> = open.map(|progress| CommitSha(progress.rollout().commit.clone())).collect();
    let mut changes = Vec::new();
    for commit in &commits {
        let came = brought(world, None, commit).await;
        changes.extend(came);
    }
    changes.sort_unstable();
    changes.dedup();
    let mut commits = commits.into_iter();
    match (commits.next(), commits.next()) {
        (Some(only), None) => Ok((changes, only)),
        (_, _) => Ok((changes, world.workspace.head()?)),
    }
}

/// What somebody must look at goes before what went well.
fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Clean { other } else { one }
}
