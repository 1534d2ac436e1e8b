//! A report's keys.

use super::super::{JournalHead, Report, Row, RowState, Told, WaveLine, tell};
use super::SCHEMA_ID;
use crate::change::{Action, Change, Detail, Digest, Group, TextDiff, diff_lines, text_lines};
use crate::drift::{Class, Drift, Finding};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a command has to say.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Report", deny_unknown_fields)]
pub(super) struct ReportJson<'a> {
    /// Identifies this schema.
    schema: &'static str,
    /// What the report is of.
    #[schemars(extend("enum" = ["preview", "judge", "apply", "tick", "drift", "recover"]))]
    told: &'static str,
    /// The answer in one line, as every form tells it.
    headline: String,
    /// Commit previewed or applied, in full; absent for an uncommitted tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    /// Commit that it was compared with, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a str>,
    /// Uncommitted changes were shown too.
    dirty: bool,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    /// The journal's newest entry that this is told of; absent for an empty journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalJson<'a>>,
    /// How many targets by state and changes by action; only what is not zero.
    counts: BTreeMap<&'static str, usize>,
    /// Why nothing was selected, when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    nothing: Option<&'a str>,
    /// One a selected target, in the order of the fleet.
    targets: Vec<TargetJson<'a>>,
    /// Targets whose changes are alike, with their differences to be read.
    groups: Vec<GroupJson<'a>>,
    /// The waves of the rollout, or of its forecast.
    waves: Vec<WaveJson<'a>>,
    /// What drift was found; absent when nobody looked for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftJson<'a>>,
    /// Things to know.
    notes: Vec<NoteJson<'a>>,
    /// What to type next, most useful first.
    next: Vec<&'a str>,
}

/// The newest entry of a journal: an anchor for `isobar audit verify`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Journal", deny_unknown_fields)]
pub(super) struct JournalJson<'a> {
    /// Its number.
    seq: u64,
    /// Its hash, in full.
    hash: &'a str,
}

/// One target.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Target", deny_unknown_fields)]
struct TargetJson<'a> {
    /// `stack@environment/region`.
    target: String,
    /// How it stands at the end of the command.
    #[schemars(extend("enum" = ["changes", "unchanged", "applied", "failed", "unknown", "unseen", "waiting", "denied", "skipped", "not_started"]))]
    state: &'static str,
    /// Why it stands so.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    /// What policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictJson<'a>>,
    /// Digest of the preview, to which approvals are bound; absent when it could not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What would change or was to change, sorted by address.
    changes: Vec<ChangeJson<'a>>,
}

/// What policy says of a target.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verdict", deny_unknown_fields)]
struct VerdictJson<'a> {
    /// May it be applied: `clear`, `wait` or `deny`.
    answer: &'static str,
    /// Seen, wanted and missing.
    sentence: &'a str,
    /// Digest of the preview that was judged.
    digest: &'a str,
}

/// One change of one resource.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Change", deny_unknown_fields)]
struct ChangeJson<'a> {
    /// The resource within its target.
    address: &'a str,
    /// The resource's type.
    kind: &'a str,
    /// What happens to it.
    #[schemars(extend("enum" = ["create", "update", "replace", "delete", "read", "move"]))]
    action: &'static str,
    /// Digest of the content before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    /// Digest of the content after.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    /// The content holds a sensitive value; nothing of it is shown.
    #[serde(skip_serializing_if = "is_false")]
    sensitive: bool,
    /// Names of the outputs that are not known yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holes: Vec<&'a str>,
}

/// Targets of one stack with equal changes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Group", deny_unknown_fields)]
struct GroupJson<'a> {
    /// The stack.
    stack: &'a str,
    /// A for the largest group of the stack, then B, C and so on.
    letter: &'a str,
    /// Its targets, in the order of the fleet.
    targets: Vec<String>,
    /// Address to lines of a unified diff, the regions' own values replaced by names.
    diffs: BTreeMap<&'a str, Vec<String>>,
    /// Name to each target's value, in the order of `targets`.
    values: BTreeMap<&'a str, Vec<&'a str>>,
    /// Address to the difference between the lines of group A and its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    differs: BTreeMap<&'a str, Vec<String>>,
}

/// One wave of a rollout.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Wave", deny_unknown_fields)]
pub(super) struct WaveJson<'a> {
    /// Its name.
    name: &'a str,
    /// Number of targets.
    targets: usize,
    /// Number of targets that are done.
    done: usize,
    /// Number of targets that failed.
    failed: usize,
    /// Where it is, in words.
    state: &'a str,
}

/// What drift was found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Drift", deny_unknown_fields)]
struct DriftJson<'a> {
    /// Targets looked at.
    checked: usize,
    /// The same drift in however many targets is one finding.
    findings: Vec<FindingJson<'a>>,
}

/// The same drift, in however many targets.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding", deny_unknown_fields)]
struct FindingJson<'a> {
    /// What moved.
    #[schemars(extend("enum" = ["out_of_band", "missing", "unmanaged", "unapplied_commit", "not_checked"]))]
    #[schemars(with = "String")]
    class: Class,
    /// The stack.
    stack: &'a str,
    /// Addresses in it, sorted.
    addresses: Vec<&'a str>,
    /// Its targets, in the order of the fleet.
    targets: Vec<String>,
    /// Why it could not be looked at, or why it would change though no commit is behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Something to know.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Note", deny_unknown_fields)]
struct NoteJson<'a> {
    /// It needs attention.
    warning: bool,
    /// What it says.
    text: &'a str,
}

impl<'a> ReportJson<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let counts = report.counts();
        Self {
            schema: SCHEMA_ID,
            told: told(report.told),
            headline: tell::headline(report, &counts),
            head: report.head.as_deref(),
            base: report.base.as_deref(),
            dirty: report.dirty,
            at_ms: report.at_ms,
            journal: report.journal.as_ref().map(JournalJson::of),
            counts: tell::numbers(&counts).into_iter().filter(|(_, number)| *number > 0).collect(),
            nothing: report.nothing.as_deref(),
            targets: report.rows.iter().map(TargetJson::of).collect(),
            groups: report.fold.groups.iter().map(GroupJson::of).collect(),
            waves: report.waves.iter().map(WaveJson::of).collect(),
            drift: report.drift.as_ref().map(DriftJson::of),
            notes: report.notes.iter().map(|note| NoteJson { warning: note.warning, text: &note.text }).collect(),
            next: report.next.iter().map(|step| &**step).collect(),
        }
    }
}

impl<'a> JournalJson<'a> {
    pub(super) fn of(head: &'a JournalHead) -> Self {
        Self { seq: head.seq, hash: &head.hash }
    }
}

impl<'a> TargetJson<'a> {
    fn of(row: &'a Row) -> Self {
        let (state, why, next) = match &row.state {
            RowState::Changes => ("changes", None, None),
            RowState::Unchanged => ("unchanged", None, None),
            RowState::Applied => ("applied", None, None),
            RowState::Failed(cause, next) => ("failed", Some(&**cause), next.as_deref()),
            RowState::Unknown(why) => ("unknown", Some(&**why), None),
            RowState::Unseen(why) => ("unseen", Some(&**why), None),
            RowState::Waiting(why) => ("waiting", Some(&**why), None),
            RowState::Denied(why) => ("denied", Some(&**why), None),
            RowState::Skipped(why) => ("skipped", Some(&**why), None),
            RowState::NotStarted(why) => ("not_started", Some(&**why), None),
        };
        let verdict = row.verdict.as_ref();
        Self {
            target: row.target.to_string(),
            state,
            why,
            next,
            verdict: verdict.map(|verdict| VerdictJson {
                answer: verdict.answer,
                sentence: &verdict.sentence,
                digest: &verdict.digest,
            }),
            digest: row.preview.as_ref().map(|preview| preview.digest().to_string()),
            changes: row.preview.iter().flat_map(|preview| &preview.changes).map(ChangeJson::of).collect(),
        }
    }
}

impl<'a> ChangeJson<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            address: &change.address,
            kind: &change.kind,
            action: match change.action {
                Action::Create => "create",
                Action::Update => "update",
                Action::Replace => "replace",
                Action::Delete => "delete",
                Action::Read => "read",
                Action::Move => "move",
            },
            before: change.before.as_ref().map(Digest::as_str),
            after: change.after.as_ref().map(Digest::as_str),
            sensitive: change.sensitive,
            holes: change.holes.iter().map(|hole| &**hole).collect(),
        }
    }
}

impl<'a> GroupJson<'a> {
    fn of(group: &'a Group) -> Self {
        let lines_of = |detail: &Detail| {
            let mut lines = Vec::new();
            diff_lines(detail, |sign, line| lines.push(format!("{sign}{line}")));
            lines
        };
        let text_of = |diff: &TextDiff| {
            let mut lines = Vec::new();
            text_lines(diff, |sign, line| lines.push(format!("{sign}{line}")));
            lines
        };
        Self {
            stack: group.stack.as_str(),
            letter: &group.letter,
            targets: group.targets.iter().map(ToString::to_string).collect(),
            diffs: group.preview.changes.iter().map(|change| (&*change.address, lines_of(&change.detail))).collect(),
            values: group.values.iter().map(|(name, values)| (&**name, values.iter().map(|value| &**value).collect())).collect(),
            differs: group.differs.iter().map(|(address, diff)| (&**address, text_of(diff))).collect(),
        }
    }
}

impl<'a> WaveJson<'a> {
    pub(super) fn of(wave: &'a WaveLine) -> Self {
        Self { name: &wave.name, targets: wave.targets, done: wave.done, failed: wave.failed, state: &wave.state }
    }
}

impl<'a> DriftJson<'a> {
    fn of(drift: &'a Drift) -> Self {
        let finding = |finding: &'a Finding| FindingJson {
            class: finding.class,
            stack: &finding.stack,
            addresses: finding.addresses.iter().map(|address| &**address).collect(),
            targets: finding.targets.iter().map(ToString::to_string).collect(),
            why: finding.why.as_deref(),
        };
        Self { checked: drift.checked, findings: drift.findings.iter().map(finding).collect() }
    }
}

fn told(told: Told) -> &'static str {
    match told {
        Told::Preview => "preview",
        Told::Judge => "judge",
        Told::Apply => "apply",
        Told::Tick => "tick",
        Told::Drift => "drift",
        Told::Recover => "recover",
    }
}

fn is_false(it: &bool) -> bool {
    !it
}
