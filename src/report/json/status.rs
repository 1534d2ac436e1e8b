//! A status' keys.

use super::super::text::status_headline;
use super::super::{GivenUpLine, RolloutLine, Status, StatusRow, WriterLine};
use super::SCHEMA_ID;
use super::report::{JournalJson, WaveJson};
use schemars::JsonSchema;
use serde::Serialize;

/// What runs where.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Status", deny_unknown_fields)]
pub(super) struct StatusJson<'a> {
    /// Identifies this schema.
    schema: &'static str,
    /// What this is of.
    #[schemars(extend("const" = "status"))]
    told: &'static str,
    /// The answer in one line.
    headline: String,
    /// Head of the default branch, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    /// Milliseconds since 1970.
    at_ms: u64,
    /// The journal's newest entry; absent for an empty journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalJson<'a>>,
    /// One a target, in the order of the fleet.
    targets: Vec<StatusTargetJson<'a>>,
    /// Open and stopped rollouts, oldest first.
    rollouts: Vec<RolloutJson<'a>>,
    /// Why everything is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<&'a str>,
    /// Regions that are held.
    holds: Vec<HoldJson<'a>>,
    /// Places of the journal that somebody gave up; absent when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    given_up: Vec<GivenUpJson<'a>>,
    /// Who writes now.
    leases: Vec<LeaseJson<'a>>,
}

/// One target now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatusTarget", deny_unknown_fields)]
struct StatusTargetJson<'a> {
    /// `stack@environment/region`.
    target: String,
    /// "applied", "behind", "ahead" of a head that is older, "failed", "unknown", "never applied", "to be destroyed".
    state: &'static str,
    /// Commit that runs there.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    /// When it was applied last.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at_ms: Option<u64>,
    /// Pull request that brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<u64>,
    /// Who approved it, or else who ran it.
    by: Vec<&'a str>,
    /// `by` are who approved it.
    approved: bool,
    /// Drift in words: "clean", "not checked", or what was found.
    drift: &'a str,
    /// When drift was looked for last.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_checked_at_ms: Option<u64>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<&'a str>,
}

/// One rollout now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Rollout", deny_unknown_fields)]
struct RolloutJson<'a> {
    /// Its id.
    id: &'a str,
    /// Commit that it brings.
    commit: &'a str,
    /// Where it is, in words.
    state: &'a str,
    /// Its waves, in order.
    waves: Vec<WaveJson<'a>>,
    /// When the next `isobar tick` can go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_tick_ms: Option<u64>,
}

/// A region that is held.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Hold", deny_unknown_fields)]
struct HoldJson<'a> {
    /// The region's id.
    region: &'a str,
    /// When the hold ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    /// Why.
    reason: &'a str,
}

/// A place of the journal that is gone for good.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GivenUp", deny_unknown_fields)]
struct GivenUpJson<'a> {
    /// As `journal:` named it.
    place: &'a str,
    /// Who said so.
    by: &'a str,
    /// When.
    at_ms: u64,
    /// Why.
    reason: &'a str,
}

impl<'a> GivenUpJson<'a> {
    fn of(line: &'a GivenUpLine) -> Self {
        Self { place: &line.place, by: &line.by, at_ms: line.at_ms, reason: &line.reason }
    }
}

/// A run that may write.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lease", deny_unknown_fields)]
struct LeaseJson<'a> {
    /// The run.
    run: &'a str,
    /// Since when.
    since_ms: u64,
    /// Number of targets that it may write.
    targets: usize,
    /// The first of them.
    first: Vec<String>,
    /// The machine, as it calls itself.
    host: &'a str,
    /// The number of its process there.
    process: u32,
    /// The job that runs it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    /// Where people find that job.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    /// The command for whoever knows that it is gone for good, and says how.
    release: &'a str,
}

impl<'a> LeaseJson<'a> {
    fn of(line: &'a WriterLine) -> Self {
        Self {
            run: &line.run,
            since_ms: line.since_ms,
            targets: line.targets,
            first: line.first.iter().map(ToString::to_string).collect(),
            host: &line.host,
            process: line.pid,
            job: line.job.as_deref(),
            address: line.address.as_deref(),
            release: &line.release,
        }
    }
}

impl<'a> StatusJson<'a> {
    pub(super) fn of(status: &'a Status) -> Self {
        let target = |row: &'a StatusRow| StatusTargetJson {
            target: row.target.to_string(),
            state: row.state,
            commit: row.commit.as_deref(),
            applied_at_ms: row.applied_at_ms,
            pull_request: row.pull_request,
            by: row.by.iter().map(|who| &**who).collect(),
            approved: row.is_approved,
            drift: &row.drift,
            drift_checked_at_ms: row.drift_checked_at_ms,
            waits: row.waits.as_deref(),
        };
        let rollout = |rollout: &'a RolloutLine| RolloutJson {
            id: &rollout.id,
            commit: &rollout.commit,
            state: &rollout.state,
            waves: rollout.waves.iter().map(WaveJson::of).collect(),
            next_tick_ms: rollout.next_tick_ms,
        };
        Self {
            schema: SCHEMA_ID,
            told: "status",
            headline: status_headline(status),
            head: status.head.as_deref(),
            at_ms: status.at_ms,
            journal: status.journal.as_ref().map(JournalJson::of),
            targets: status.rows.iter().map(target).collect(),
            rollouts: status.rollouts.iter().map(rollout).collect(),
            paused: status.paused.as_deref(),
            holds: status.holds.iter().map(|(region, until, reason)| HoldJson { region, until_ms: *until, reason }).collect(),
            given_up: status.given_up.iter().map(GivenUpJson::of).collect(),
            leases: status.writers.iter().map(LeaseJson::of).collect(),
        }
    }
}
