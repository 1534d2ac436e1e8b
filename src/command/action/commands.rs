//! Commands in comments on a change: who may give them, and what becomes of them.

use super::{Proposal, Request};
use crate::command::form::{Form, form};
use crate::command::{control, status, why};
use crate::exit::{Exit, Failure};
use crate::host::Of;
use crate::report::quoted;
use crate::review::User;
use crate::world::World;

/// A command in a comment on a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Of the change.
    pub number: u64,
    /// Of the comment: each is answered by one of its own.
    pub comment: u64,
    /// Who wrote it: what they may do is asked of the host.
    pub by: User,
    pub wish: Wish,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What it names counts as approved when its author may approve it: whatever waits for that is judged again.
    Approve,
    Preview,
    /// If this is the beginning of the commit that would be applied.
    Apply(String),
    /// Why this target is touched or not.
    Why(String),
    Status,
    Recover,
    Pause,
    Resume,
    Help,
}

/// What there is to say to `/isobar help`, and to what is no command.
const HELP: &str = "\
`/isobar approve DIGEST`: approves what a report shows by this digest  
`/isobar preview`: previews this pull request again  
`/isobar apply SHA`: applies the default branch now, if this is its newest commit  
`/isobar status`: tells what runs where  
`/isobar why TARGET`: tells why a target is touched, and where its values come from  
`/isobar recover`: looks at what is unknown, and goes on with it  
`/isobar pause`, `/isobar resume`: begins nothing new anywhere, and goes on

A command is the first line of a comment that nobody edited. All but `help` are for who may write to this repository.
";

/// What is said where this job does not preview.
const APART: &str =
    "A pull request is previewed here in a job of its own, which can do no harm: run its workflow again, or push.";

impl Request {
    pub(super) async fn obey(&self, world: &World, command: &Command) -> Result<Exit, Failure> {
        let Command { number, by, wish, .. } = command;
        if *wish != Wish::Help && !world.host.may_write(by).await? {
            return self
                .answer(world, command, &format!("{by} may not write to this repository, and so not ask for that."))
                .await;
        }
        let changes = world.host.reviewed(Of::Change(*number)).await?;
        let proposed = changes.iter().find_map(|change| change.proposed.as_ref());
        if let (Some(proposed), Some(default)) = (proposed, &self.default_branch)
            && proposed.branch != *default
        {
            // Its own policy would judge it, and its check is that of the commit, whatever else that is proposed for.
            let only = "This pull request does not go into the default branch, and only that is applied.";
            return self.answer(world, command, only).await;
        }
        let proposal = proposed.map(|proposed| Proposal {
            number: *number,
            head: proposed.head.clone(),
            branch: proposed.branch.to_string(),
        });
        match (wish, proposal) {
            (Wish::Approve, Some(proposal)) => self.judge(world, &proposal).await,
            (Wish::Approve, None) => self.apply(world, None, Some(*number)).await,
            // Here is the key: nothing that a pull request brings runs in this job.
            (Wish::Preview, Some(_)) if form(world) == Some(Form::TwoJobs) => self.answer(world, command, APART).await,
            (Wish::Preview, Some(proposal)) => self.preview(world, &proposal).await,
            (Wish::Preview, None) => {
                self.answer(world, command, "This pull request is not open: there is nothing to preview.").await
            }
            (Wish::Apply(sha), _) => {
                let head = world.workspace.head()?;
                match head.0.starts_with(sha.as_str()) {
                    true => self.apply(world, None, Some(*number)).await,
                    false => {
                        let newest = head.short();
                        self.answer(
                            world,
                            command,
                            &format!("The newest commit is {newest}, and not that one: `/isobar apply {newest}`"),
                        )
                        .await
                    }
                }
            }
            (Wish::Why(target), _) => self.quote(world, command, why::text(world, target).await).await,
            (Wish::Status, _) => self.quote(world, command, status::text(world, &self.selector).await).await,
            (Wish::Recover, _) => self.recover(world).await,
            (Wish::Pause, _) => {
                control::pause(world, &format!("{by} asked for it under #{number}"), false).await?;
                self.answer(world, command, "Paused: nothing new begins anywhere until `/isobar resume`.").await
            }
            (Wish::Resume, _) => {
                control::resume(world, false).await?;
                self.answer(world, command, "Resumed: the next apply or tick goes on.").await
            }
            (Wish::Help, _) => self.answer(world, command, HELP).await,
        }
    }

    /// Says something of ours to who gave a command.
    async fn answer(&self, world: &World, command: &Command, text: &str) -> Result<Exit, Failure> {
        self.audience.answer(world, (command.number, command.comment), world.workspace.head()?, text).await;
        world.terminal.say(&format!("{text}\n"));
        Ok(Exit::Clean)
    }

    /// Answers with what a verb has found, or with why it found nothing.
    async fn quote(&self, world: &World, command: &Command, found: Result<String, Failure>) -> Result<Exit, Failure> {
        let text = quoted(&found.unwrap_or_else(|failure| failure.to_string()));
        self.answer(world, command, &world.terminal.masked(&text)).await
    }
}
