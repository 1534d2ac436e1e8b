//! What another run has left of a change: told here, and believed as far as it can be made anew.

use super::{Proposal, Request, base_of, moved_since, told};
use crate::command::audience::Audience;
use crate::command::parts::{self, Parting};
use crate::command::scene::FLEET;
use crate::exit::{Exit, Failure};
use crate::host::{Branch, Opened, Openings, RunNumber, Turn};
use crate::report::Told;
use crate::review::{CommitSha, Proposed};
use crate::stack::Source;
use crate::world::World;
use std::path::Path;

/// What another run was about, as the host says and not that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    pub head: CommitSha,
    pub branch: Branch,
    /// That run.
    pub seen_by: RunNumber,
    /// It ran for a review, and saw nothing.
    pub is_review: bool,
    /// Drafts are told of too.
    pub drafts: bool,
    /// The changes of programs are told of too.
    pub programs: bool,
}

impl Request {
    /// Tells what another run saw, and believes nothing of it; or judges again.
    pub(super) async fn report(&self, world: &World, handed: &Handed) -> Result<Exit, Failure> {
        let nothing = |why: &str| {
            world.terminal.say(&format!("nothing to do: {why}\n"));
            Ok(Exit::Clean)
        };
        let opened = world.host.opened(&Openings::From(handed.branch.clone())).await?;
        let is_it = |one: &&Opened| one.proposed.head == handed.head && self.goes_into_default(&one.proposed.branch);
        let Some(opened) = opened.iter().find(is_it) else {
            return nothing("no pull request into the default branch is open with that commit");
        };
        if opened.is_draft && !handed.drafts || opened.is_programs && !handed.programs {
            return nothing(&format!("#{} is a draft or a program's: the inputs drafts and bots", opened.number));
        }
        let Proposed { head, branch } = opened.proposed.clone();
        let proposal = Proposal { number: opened.number, head, branch: branch.to_string() };
        if handed.is_review {
            return self.judge(world, &proposal).await;
        }
        let turn = Turn { seen_by: handed.seen_by, ..self.audience.turn };
        let audience = Audience { turn, ..self.audience_of(&proposal) };
        let Some(dir) = &self.parts else {
            let why = Failure::usage("the input parts is missing", "the directory with what the other run saw: parts: …");
            return told(world, &audience, Told::Preview, Err(why)).await;
        };
        match agreed(world, &proposal, dir) {
            Ok(base) => {
                let parting = Some(Parting::Take(dir.clone()));
                let moved = Some(moved_since(world, &proposal, &base));
                let audience = Audience { moved, ..audience };
                self.look(world, &audience, &proposal.head, &base.0, Some(proposal.number), parting).await
            }
            Err(failure) => told(world, &audience, Told::Preview, Err(failure)).await,
        }
    }

    fn goes_into_default(&self, branch: &str) -> bool {
        self.default_branch.as_ref().is_none_or(|default| **default == *branch)
    }
}

/// The commit that another run has looked at as the base: of the branch, and with the policy that judges now. The branch may have moved on since.
fn agreed(world: &World, proposal: &Proposal, dir: &Path) -> Result<CommitSha, Failure> {
    let tip = CommitSha(base_of(world, proposal)?.into());
    let head = &proposal.head;
    if world.workspace.commit(&head.0).is_err() {
        let what = format!("{} is not in this clone, and #{} is about it", head.short(), proposal.number);
        return Err(Failure::usage(what, format!("git fetch origin {head} in a step before this one")));
    }
    let Some(told) = parts::base_of(dir)? else { return Ok(tip) };
    let base = world.workspace.commit(&told).ok().filter(|base| *base.0 == *told);
    let is_of_branch = |base: &CommitSha| world.workspace.is_ancestor(base, &tip).unwrap_or(false);
    let Some(base) = base.filter(is_of_branch) else {
        let what = format!("what was handed over compares with another commit than one of {}", proposal.branch);
        return Err(Failure::usage(what, "run the preview again"));
    };
    match fleet_at(world, &base)? == fleet_at(world, &tip)? {
        true => Ok(base),
        false => Err(Failure::usage(
            format!("{FLEET} of {} has changed since the preview began, and with it maybe who must approve", proposal.branch),
            "run the preview again",
        )),
    }
}

fn fleet_at(world: &World, commit: &CommitSha) -> Result<Option<Source>, Failure> {
    Ok(world.workspace.read(&world.workspace.at(&commit.0)?, FLEET)?)
}
