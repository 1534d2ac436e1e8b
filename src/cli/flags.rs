//! The command line as types: verbs, their flags, and what the help says of them.

use crate::command::simulate::{self, ApplyTime, Fail, Slow, Span};
use crate::command::{Anchor, Form, Review, SHARDS_MAX, Selector, Shard, is_stdout, status};
use crate::exit::{CODES, Failure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keeps every region of a fleet equal to what the repository says.
#[derive(Parser, Debug)]
#[command(name = "isobar", version, about, after_help = after_help(), max_term_width = 110)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Work in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    /// Say only results and failures
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// No colour, even on a terminal
    #[arg(long, global = true)]
    pub(super) no_color: bool,
    /// File of local reviews, outside the working tree
    #[arg(long, global = true, env = "ISOBAR_REVIEWS", value_name = "FILE")]
    pub(super) reviews: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    #[command(flatten)]
    Fleet(Box<FleetVerb>),
    #[command(flatten)]
    Alone(AloneVerb),
}

/// What works on the fleet of a repository, and may have something to record: a signal is a wish to stop.
#[derive(Subcommand, Debug)]
pub(super) enum FleetVerb {
    /// What would change, in every region, and what policy says of it
    Preview(PreviewArgs),
    /// Policy again on the previews that were shown; starts no engine
    Judge(Decide),
    /// Brings every target to the head of the code, in waves
    Apply(ApplyArgs),
    /// What moved without us; --fix puts it back
    Drift(DriftArgs),
    /// Goes on with rollouts that wait for a bake or a gate
    Tick(ApplyArgs),
    /// How a rollout would go: waves, bakes, failures, on a clock of its own; touches nothing
    Simulate(SimulateArgs),
    /// What runs where: revision, when, by whom, drift, and what waits for what
    Status(StatusArgs),
    /// The targets, or with --changed those that a change touches
    List(ListArgs),
    /// The shards for what is to be done, as the matrix of a GitHub workflow
    Matrix(MatrixArgs),
    /// Which stack waits for which, as text, DOT or Mermaid
    Graph(GraphArgs),
    /// Why a target is touched or not, where its values come from, what it waits for
    Why(WhyArgs),
    /// Explains every unknown outcome, closes it by a fresh preview where an open rollout has the target, and goes on with what was left in the middle
    Recover(RecoverArgs),
    /// Starts nothing new anywhere until resume
    Pause(PauseArgs),
    /// Ends a pause, and lets stopped rollouts go on
    Resume(JsonArgs),
    /// Skips one region until a time, or until released
    Hold(HoldArgs),
    /// Proves the journal, exports it for an auditor, seals it with a key, compacts it
    #[command(subcommand)]
    Audit(AuditVerb),
    /// In a step of a workflow: does what the event asks for, and tells it on GitHub
    Action,
    /// Reads the definitions only: every mistake with its line
    Check(Select),
    /// What is missing on this machine or in this repository, with the command that mends it
    Doctor(Select),
}

/// What needs no fleet and records nothing: a signal ends it as it ends any program.
#[derive(Subcommand, Debug)]
pub(super) enum AloneVerb {
    /// Writes a commented starter fleet, or workflows for GitHub, into this repository
    Init(InitArgs),
    /// Plays a pull request's life in a scratch repository
    Demo(DemoArgs),
    /// The JSON Schemas of the definitions, of --json and of the journal
    Schema(SchemaArgs),
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Man pages, into a directory
    Man(ManArgs),
}

#[derive(Args, Debug, Default)]
pub(super) struct Select {
    /// Targets: network@prod/eu-west-1, network, network@prod/*, @staging/*
    #[arg(value_name = "TARGET")]
    pub(super) targets: Vec<String>,
    /// Only regions that match, such as prod/*
    #[arg(long, value_name = "REGION")]
    pub(super) region: Vec<String>,
    /// Only regions or stacks with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<String>,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

/// What every report goes by: of which targets, and in which form.
#[derive(Args, Debug)]
pub(super) struct Tell {
    #[command(flatten)]
    pub(super) select: Select,
    /// Write the report as Markdown for a pull request to this file; a very long list of deletes goes on beside it. - prints it
    /// instead
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Show every line of every diff
    #[arg(long)]
    pub(super) full: bool,
}

/// What goes with every verb that judges.
#[derive(Args, Debug)]
pub(super) struct Decide {
    #[command(flatten)]
    pub(super) tell: Tell,
    /// A decision on what was shown: NAME=approve or NAME=reject, with @DIGEST for one preview
    #[arg(long, value_name = "NAME=DECISION")]
    pub(super) review: Vec<Review>,
}

#[derive(Args, Debug)]
pub(super) struct PreviewArgs {
    #[command(flatten)]
    pub(super) decide: Decide,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,
    /// Preview this revision, merged into --base
    #[arg(long, value_name = "REV")]
    pub(super) head: Option<String>,
    /// Every selected target, touched or not
    #[arg(long)]
    pub(super) all: bool,
    /// Exit with 2 when something would change
    #[arg(long)]
    pub(super) exit_code: bool,
    /// Previews at once
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) parallel: Option<usize>,
    /// Preview one part of the change, such as the second of four
    #[arg(long, value_name = "K/N", requires = "part")]
    pub(super) shard: Option<Shard>,
    /// The file that a shard's part is written to, such as part.json; nothing is judged
    #[arg(long, value_name = "FILE", requires = "shard", conflicts_with = "review", value_parser = part_file)]
    pub(super) part: Option<PathBuf>,
    /// Judge the parts in this directory as one: what none tells of is unseen
    #[arg(long, value_name = "DIR", conflicts_with_all = ["shard", "part"])]
    pub(super) parts: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    pub(super) decide: Decide,
    /// Targets in flight at most, below what the rollout allows
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) parallel: Option<usize>,
    /// One of several processes that bring the same together, such as 2/4
    #[arg(long, value_name = "K/N")]
    pub(super) shard: Option<Shard>,
    /// How long a shard waits for others that write nothing; 15m unless said otherwise
    #[arg(long, value_name = "TIME", requires = "shard", value_parser = none_or_more)]
    pub(super) wait: Option<Duration>,
    /// How much is left of the job: nothing begins that usually takes longer
    #[arg(long, value_name = "TIME", env = "ISOBAR_TIME_LEFT", value_parser = time_left)]
    pub(super) time_left: Option<Duration>,
}

#[derive(Args, Debug)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    pub(super) decide: Decide,
    /// Put back what was changed or removed by hand, as a rollout under the same policy
    #[arg(long)]
    pub(super) fix: bool,
    /// Looks at once
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) parallel: Option<usize>,
}

#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    #[command(flatten)]
    pub(super) select: Select,
    /// Write one self-contained HTML page to this file; - prints it instead
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// How long an apply takes, everywhere or in one environment: 90s, prod=3m
    #[arg(long, value_name = "[ENV=]TIME")]
    pub(super) apply: Vec<ApplyTime>,
    /// How long an apply takes in a region: prod/eu-west-1=10m
    #[arg(long, value_name = "REGION=TIME")]
    pub(super) slow: Vec<Slow>,
    /// What fails: prod/eu-west-1, network@prod/*, 5%; with @wave3, only in that wave
    #[arg(long, value_name = "WHAT[@waveN]")]
    pub(super) fail: Vec<Fail>,
    /// A region that is held
    #[arg(long, value_name = "REGION")]
    pub(super) hold: Vec<String>,
    /// Kill the run that is at work at this time: 20m after the beginning
    #[arg(long, value_name = "TIME")]
    pub(super) kill_at: Option<Span>,
    /// Pause at this time
    #[arg(long, value_name = "TIME")]
    pub(super) pause_at: Option<Span>,
    /// Resume at this time, and apply again
    #[arg(long, value_name = "TIME")]
    pub(super) resume_at: Option<Span>,
    /// How often `isobar tick` runs; every 10 minutes unless said otherwise
    #[arg(long, value_name = "TIME")]
    pub(super) tick_every: Option<Span>,
    /// Which targets a share such as 5% means
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) select: Select,
    /// Write one self-contained HTML page to this file; - prints it instead
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) select: Select,
    /// Only what a change touches
    #[arg(long)]
    pub(super) changed: bool,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,
    /// List this revision, merged into --base
    #[arg(long, value_name = "REV")]
    pub(super) head: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct MatrixArgs {
    #[command(flatten)]
    pub(super) select: Select,
    /// At most so many shards; one for 200 targets unless said otherwise
    #[arg(long, value_name = "N", value_parser = shards)]
    pub(super) shards: Option<usize>,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,
    /// Shards for this revision, merged into --base
    #[arg(long, value_name = "REV")]
    pub(super) head: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum DrawingArg {
    #[default]
    Text,
    Dot,
    Mermaid,
}

#[derive(Args, Debug)]
pub(super) struct GraphArgs {
    /// The drawing's language
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: DrawingArg,
    /// Draw targets, not stacks
    #[arg(long = "targets")]
    pub(super) each: bool,
    /// What is drawn, with all that it waits for
    #[command(flatten)]
    pub(super) select: Select,
}

#[derive(Args, Debug)]
pub(super) struct WhyArgs {
    /// The target, such as network@prod/eu-west-1
    pub(super) target: String,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct JsonArgs {
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    pub(super) tell: Tell,
    /// First take from this run what it holds: only when you know that it has ended, which cannot be proven from here
    #[arg(long, value_name = "RUN", requires = "reason", group = "word")]
    pub(super) release: Option<String>,
    /// First give up this place of the journal, as `journal:` once named it: only when it is gone for good, with what it held
    #[arg(long, value_name = "PLACE", requires = "reason", group = "word")]
    pub(super) give_up: Option<String>,
    /// How you know that it has ended, or is gone; the journal keeps it
    #[arg(long, value_name = "TEXT", requires = "word", value_parser = reason)]
    pub(super) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct PauseArgs {
    /// Why, for those who meet the pause
    #[arg(long, value_parser = reason)]
    pub(super) reason: String,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct HoldArgs {
    /// The region, such as prod/eu-west-1
    pub(super) region: String,
    /// A time (2026-12-01T08:00:00Z), a date, or a duration from now (4h)
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Why, for those who meet the hold
    #[arg(long, value_parser = reason)]
    pub(super) reason: Option<String>,
    /// End the hold
    #[arg(long, conflicts_with_all = ["until", "reason"])]
    pub(super) release: bool,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Subcommand, Debug)]
pub(super) enum AuditVerb {
    /// Looks at every entry, checkpoint and stored preview, and says what is not what was written
    Verify(AnchorArgs),
    /// One row an apply: when, what, approved by whom and by which policy, run by whom, and how it ended
    Export(ExportArgs),
    /// Begins to seal the journal with ISOBAR_KEY: the first key, or the next (with ISOBAR_KEY_BEFORE)
    Seal(AnchorArgs),
    /// Lets old entries go; what they folded into is kept and proven
    Compact(CompactArgs),
}

#[derive(Args, Debug)]
pub(super) struct AnchorArgs {
    /// The journal's head as a report named it, such as 1234:6767a4959fffd68d; it must be there
    #[arg(long, value_name = "HEAD")]
    pub(super) anchor: Vec<Anchor>,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ExportFormat {
    /// One object a line
    #[default]
    Json,
    Csv,
}

#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Only what ended since: a time, a date, or a duration until now (90d)
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ExportFormat,
    /// Print JSON, one object a line: the same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct CompactArgs {
    /// A time, a date, or a duration until now (365d); newer entries stay
    #[arg(long, value_name = "TIME")]
    pub(super) before: String,
    /// Print JSON, on one line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// Three stacks in six regions with policy and waves, instead of one stack in two
    #[arg(long)]
    pub(super) example: bool,
    /// Write the workflows for GitHub instead
    #[arg(long, conflicts_with = "example")]
    pub(super) github: bool,
    /// One job that previews and tells, instead of two of which one can do no harm; says what that gives up
    #[arg(long, requires = "github")]
    pub(super) simple: bool,
    /// The action that they use, such as OWNER/isobar@DIGEST with the whole digest of a release
    #[arg(long, requires = "github", value_name = "OWNER/NAME@DIGEST", value_parser = pinned_action)]
    pub(super) action: Option<String>,
    /// Print JSON, on one line: what was written
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Make the scratch repository here instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    pub(super) into: Option<PathBuf>,
    /// Never wait for a reader
    #[arg(long)]
    pub(super) no_pause: bool,
    /// Print JSON, on one line: what was played, and where the repository is
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// The directory, made if it is not there
    pub(super) directory: PathBuf,
    /// Print JSON, on one line: what was written
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SchemaArg {
    Isobar,
    Stack,
    Report,
    Journal,
}

#[derive(Args, Debug)]
pub(super) struct SchemaArgs {
    /// isobar.yaml, stack.yaml, what --json prints, or a line of the journal
    #[arg(value_enum)]
    pub(super) which: SchemaArg,
    /// Print it on one line
    #[arg(long)]
    pub(super) json: bool,
}

impl Select {
    pub(super) fn read(self) -> Result<(Selector, bool), Failure> {
        let selector = Selector::parse(&self.targets, &self.region, &self.label);
        let selector = selector.map_err(|why| Failure::usage(why, "isobar list shows every target"))?;
        Ok((selector, self.json))
    }
}

impl StatusArgs {
    pub(super) fn read(self) -> Result<status::Request, Failure> {
        let (selector, json) = self.select.read()?;
        one_output("--html", self.html.as_deref(), json, "status.html")?;
        Ok(status::Request { selector, json, html: self.html })
    }
}

impl SimulateArgs {
    pub(super) fn read(self) -> Result<simulate::Request, Failure> {
        let (selector, json) = self.select.read()?;
        one_output("--html", self.html.as_deref(), json, "forecast.html")?;
        Ok(simulate::Request {
            selector,
            json,
            html: self.html,
            apply: self.apply,
            slow: self.slow,
            fail: self.fail,
            hold: self.hold,
            kill_at: self.kill_at,
            pause_at: self.pause_at,
            resume_at: self.resume_at,
            tick_every: self.tick_every,
            seed: self.seed,
        })
    }
}

/// Refuses two things on standard output before anything is done for either.
fn one_output(flag: &str, path: Option<&Path>, json: bool, file: &str) -> Result<(), Failure> {
    match json && path.is_some_and(is_stdout) {
        false => Ok(()),
        true => Err(Failure::usage(
            format!("{flag} - and --json both print to standard output"),
            format!("name a file: {flag} {file}"),
        )),
    }
}

impl Tell {
    pub(super) fn read(self) -> Result<(Selector, Form), Failure> {
        let (selector, json) = self.select.read()?;
        one_output("--markdown", self.markdown.as_deref(), json, "comment.md")?;
        Ok((selector, Form { json, markdown: self.markdown, full: self.full, audience: None }))
    }
}

impl Decide {
    pub(super) fn read(self) -> Result<(Selector, Form, Vec<Review>), Failure> {
        let (selector, form) = self.tell.read()?;
        Ok((selector, form, self.review))
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one at once, or nothing would ever begin; leave the flag out for the default".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number, at least 1".into()),
    }
}

fn shards(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=SHARDS_MAX).contains(number));
    number.ok_or_else(|| format!("a whole number from 1 to {SHARDS_MAX}, the jobs that a matrix may have"))
}

/// A workflow sets a variable that it has no value for to nothing: then there is all the time.
pub(super) fn time_left(text: &str) -> Result<Duration, String> {
    if text.is_empty() { Ok(Duration::MAX) } else { none_or_more(text) }
}

/// A duration that may also be none at all.
fn none_or_more(text: &str) -> Result<Duration, String> {
    match text {
        "0s" => Ok(Duration::ZERO),
        _ => text.parse().map(|Span(secs)| Duration::from_secs(secs)),
    }
}

/// An action that stays what it is.
fn pinned_action(text: &str) -> Result<String, String> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let (name, digest) = text.split_once('@').unwrap_or((text, ""));
    let is_action = name.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name));
    match is_action && digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text.into()),
        false => Err("an action is OWNER/NAME@DIGEST, with all 40 characters of a commit's digest: a tag can be moved".into()),
    }
}

/// `--parts` reads files of this ending only.
fn part_file(text: &str) -> Result<PathBuf, String> {
    match text.ends_with(".json") {
        true => Ok(text.into()),
        false => Err("a part is a file whose name ends in .json, such as --part parts/1.json".into()),
    }
}

/// A reason is read by people who did not give it.
fn reason(text: &str) -> Result<String, String> {
    let said = text.trim();
    match said.chars().all(|c| matches!(c, '.' | '…') || c.is_whitespace()) {
        true => {
            Err("a reason is read by those who meet it; say why in the place of the dots, such as \"its job was cancelled\""
                .into())
        }
        false => Ok(said.into()),
    }
}

fn after_help() -> String {
    let codes: Vec<String> = CODES.iter().map(|(code, about)| format!("  {code:>3}  {about}")).collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_dots_that_stand_for_a_reason_are_none() {
        for dots in ["", " ", "…", "...", " . . ", "… …"] {
            assert!(reason(dots).is_err(), "{dots:?}");
        }
        assert_eq!(reason(" its job… was cancelled "), Ok("its job… was cancelled".into()));
    }

    #[test]
    fn flags_name_only_flags_that_there_are() {
        Cli::command().debug_assert();
    }
}
