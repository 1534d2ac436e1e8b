//! Turns what a command found into a report, and prints it in the form that was asked for.

use super::audience::Audience;
use super::out;
use super::pending::Work;
use super::say::{count, say_secs};
use crate::change::{Fold, Names, Preview, Unseen, UnseenReason, fold};
use crate::diagnosis;
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::{Answer, BUILT_IN, UNDECLARED, Verdict};
use crate::report::{self, Diffs, JournalHead, Note, Report, Row, RowState, VerdictLine, WaveLine};
use crate::rollout::Rollout;
use crate::runner::say_unseen;
use crate::stack::{Mistakes, Region, Target, TargetId};
use crate::world::{Terminal, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How what was shown last is approved.
pub(crate) fn approve(world: &World) -> &'static str {
    match world.host.knows_commits() {
        true => "approve the pull request  (a reviewer who did not make it)",
        false => "isobar judge --review NAME=approve  (a reviewer who is not the author)",
    }
}

/// The form in which a result is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub json: bool,
    /// Also write the pull-request comment to this file; `-` is standard output, and then nothing else is printed there.
    pub markdown: Option<PathBuf>,
    /// Show every line of every diff in a terminal.
    pub full: bool,
    /// Who else hears of it.
    pub audience: Option<Audience>,
}

/// Prints a report, and tells it to whoever else is to hear of it.
pub(crate) async fn report(world: &World, report: &Report, form: &Form) -> Result<(), Failure> {
    let printed = print(world, report, form);
    if let Some(audience) = &form.audience {
        audience.tell(world, report).await;
    }
    printed
}

fn print(world: &World, report: &Report, form: &Form) -> Result<(), Failure> {
    let mut is_said = false;
    if let Some(path) = &form.markdown {
        let comment = report::comment(report, report::COMMENT_BYTES);
        is_said = out::is_stdout(path);
        for (nth, text) in [comment.body].into_iter().chain(comment.more).enumerate() {
            match is_said {
                true => world.terminal.say_made(&text),
                false => out::write(&part(path, nth + 1), &text)?,
            }
        }
    }
    if is_said {
        return Ok(());
    }
    if form.json {
        world.terminal.say_made(&format!("{}\n", report::report_json_text(report)));
    } else {
        let diffs = if form.full { Diffs::Whole } else { Diffs::Bounded };
        world.terminal.say_made(&report::report_text(report, world.terminal.style, diffs));
    }
    Ok(())
}

/// The journal's newest entry that `history` knows.
pub(crate) fn journal_head(history: &History) -> Option<JournalHead> {
    history.head().map(|(seq, hash)| JournalHead { seq, hash: hash.as_str().into() })
}

/// `comment.md`, then `comment.2.md`, `comment.3.md`: a long list of what is destroyed goes on in further comments.
fn part(path: &Path, number: usize) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if number == 1 { path.to_path_buf() } else { path.with_extension(format!("{number}.{extension}").trim_end_matches('.')) }
}

/// Prints JSON, on one line, with the name of its form.
pub(crate) fn json(world: &World, form: &str, mut value: Value) {
    value["schema"] = report::schema_id(form).into();
    world.terminal.say(&format!("{value}\n"));
}

/// Prints which files were written as JSON, on one line.
pub fn say_written(terminal: &Terminal, form: &str, files: &[String]) {
    terminal.say(&format!("{}\n", json!({ "schema": report::schema_id(form), "written": files })));
}

/// Prints a failure as JSON, on one line.
pub fn say_failure(terminal: &Terminal, failure: &Failure) {
    let none = Mistakes::default();
    let (what, hint, mistakes) = match failure {
        Failure::Definitions(mistakes) => (count(mistakes.len(), "mistake", "mistakes") + " in the definitions", None, mistakes),
        Failure::Usage(what, hint) | Failure::World(what, hint) => (what.clone(), hint.as_deref(), &none),
    };
    let json = report::failure_json(failure.code(), &what, hint, mistakes);
    terminal.say(&format!("{json}\n"));
}

pub(crate) fn note(text: impl Into<Arc<str>>) -> Note {
    Note { warning: false, text: text.into() }
}

pub(crate) fn warning(text: impl Into<Arc<str>>) -> Note {
    Note { warning: true, text: text.into() }
}

/// Says that nobody's policy judged, when that was so; where nothing was judged, that the head has none (`is_bare`).
pub(crate) fn undeclared(world: &World, rows: &[Row], is_bare: bool) -> Option<Note> {
    let mut judged = rows.iter().filter_map(|row| row.verdict.as_ref()).peekable();
    let is_hosted = world.environment.on_actions();
    let is_so = match judged.peek() {
        Some(_) if is_hosted => is_bare && judged.any(|verdict| verdict.sentence.contains(BUILT_IN)),
        Some(_) => judged.any(|verdict| *verdict.sentence == *UNDECLARED),
        None => is_bare,
    };
    is_so.then(|| match is_hosted {
        true => note(
            "no policy declared: one person approves a change, and two a delete, a replace, or more than a quarter of the fleet",
        ),
        false => note("no policy declared: on a laptop everything is cleared"),
    })
}

/// What lets waiting targets go on.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unlock {
    pub(crate) steps: Vec<Arc<str>>,
    /// One of them is to approve.
    pub(crate) approves: bool,
    /// None helps now: they are to do the same again, later.
    pub(crate) is_later: bool,
}

/// Says what lets waiting targets go on: `approve`; where no approval can be bound, first a key; and where none is missing, `again`, later.
pub(crate) fn unlock<'a>(
    world: &World,
    waiting: impl IntoIterator<Item = (&'a Preview, &'a Verdict)>,
    approve: &str,
    again: &str,
) -> Unlock {
    let (mut bound, mut unbound, mut later) = (false, false, None);
    for (preview, verdict) in waiting {
        match verdict.answer {
            Answer::Wait { .. } if !preview.is_bound() => unbound = true,
            Answer::Wait { approval: true } => bound = true,
            Answer::Wait { approval: false } => later = later.or(Some(&verdict.sentence)),
            Answer::Clear(_) | Answer::Deny => {}
        }
    }
    let mut steps: Vec<Arc<str>> = Vec::new();
    if unbound {
        match world.key {
            Some(_) => steps.push("isobar preview  (looks again, now with ISOBAR_KEY)".into()),
            None => {
                steps.push("export ISOBAR_KEY=\"$(openssl rand -hex 32)\"  (keep it; isobar doctor says what it is for)".into());
                steps.push("isobar audit seal  (once: the journal was begun without it; then isobar preview)".into());
            }
        }
    }
    if bound {
        steps.push(approve.into());
    }
    let later = later.filter(|_| steps.is_empty());
    steps.extend(later.map(|sentence| format!("{again}  (later; no approval is missing: {sentence})").into()));
    Unlock { steps, approves: bound, is_later: later.is_some() }
}

/// One row for each answer, with its verdict.
pub(crate) fn rows(
    answers: &[Result<Arc<Preview>, Unseen>],
    verdicts: &BTreeMap<TargetId, Verdict>,
    untouched: &[TargetId],
) -> Vec<Row> {
    let seen = answers.iter().map(|answer| match answer {
        Ok(preview) => {
            let verdict = verdicts.get(&preview.target).filter(|_| !preview.is_empty());
            let state = if preview.is_empty() { RowState::Unchanged } else { RowState::Changes };
            Row { target: preview.target.clone(), state, preview: Some(preview.clone()), verdict: verdict.map(verdict_line) }
        }
        Err(unseen) => Row {
            target: unseen.target.clone(),
            state: match &unseen.reason {
                UnseenReason::Needs(_) => RowState::Waiting(say_unseen(&unseen.reason).into()),
                UnseenReason::Conflict(_)
                | UnseenReason::SecretMissing { .. }
                | UnseenReason::Definition(_)
                | UnseenReason::Engine(_)
                | UnseenReason::Cancelled
                | UnseenReason::Lost => RowState::Unseen(say_unseen(&unseen.reason).into()),
            },
            preview: None,
            verdict: None,
        },
    });
    let rest =
        untouched.iter().map(|target| Row { target: target.clone(), state: RowState::Unchanged, preview: None, verdict: None });
    seen.chain(rest).collect()
}

pub(crate) fn verdict_line(verdict: &Verdict) -> VerdictLine {
    let answer = match verdict.answer {
        Answer::Clear(_) => "clear",
        Answer::Wait { .. } => "wait",
        Answer::Deny => "deny",
    };
    VerdictLine { answer, sentence: verdict.sentence.as_str().into(), digest: verdict.digest.as_str().into() }
}

/// Puts rows in the order of the fleet; what the fleet no longer has comes last.
pub(crate) fn in_order(rows: &mut [Row], targets: &[Target]) {
    let order: BTreeMap<&TargetId, usize> = targets.iter().enumerate().map(|(at, target)| (&target.id, at)).collect();
    rows.sort_by(|a, b| {
        let place = |row: &Row| order.get(&row.target).copied().unwrap_or(usize::MAX);
        place(a).cmp(&place(b)).then_with(|| a.target.cmp(&b.target))
    });
}

/// Folds the changed previews of rows, by each region's own values.
pub(crate) fn folded(rows: &[Row], work: &Work) -> Fold {
    let previews: Vec<&Preview> =
        rows.iter().filter_map(|row| row.preview.as_deref()).filter(|preview| !preview.is_empty()).collect();
    let mut of_region: BTreeMap<&str, OwnValues> = BTreeMap::new();
    for pending in &work.pending {
        of_region.entry(pending.target.region.id.as_str()).or_insert_with(|| own_values(&pending.target.region));
    }
    let named = |preview: &Preview| Some((preview.target.clone(), of_region.get(preview.target.region.as_str())?.clone()));
    let names: Names = previews.iter().copied().filter_map(named).collect();
    fold(&previews, &names)
}

/// Names and values.
type OwnValues = Vec<(Arc<str>, Arc<str>)>;

/// The values that belong to a region, by name: its id and parts, its labels and its own vars.
fn own_values(region: &Region) -> OwnValues {
    let mut values: OwnValues = vec![
        ("{region.id}".into(), region.id.as_str().into()),
        ("{region.name}".into(), region.id.name().into()),
        ("{region.environment}".into(), region.id.environment().into()),
    ];
    values.extend(region.cloud.iter().map(|cloud| (Arc::from("{region.cloud}"), cloud.clone())));
    values.extend(region.labels.iter().map(|(key, value)| (format!("{{region.labels.{key}}}").into(), value.clone())));
    if let Some(vars) = &region.vars.0 {
        leaves("region.vars", &vars.to_value(), &mut values);
    }
    values
}

fn leaves(name: &str, value: &Value, values: &mut OwnValues) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(&format!("{name}.{key}"), value, values)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| leaves(&format!("{name}.{at}"), value, values)),
        Value::String(text) if !text.is_empty() => values.push((format!("{{{name}}}").into(), text.as_str().into())),
        Value::Number(number) => values.push((format!("{{{name}}}").into(), number.to_string().into())),
        Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// What a rollout would do, wave by wave.
pub(crate) fn forecast(rollout: &Rollout) -> Vec<WaveLine> {
    let say = |wave: &crate::rollout::Wave| {
        let after: Vec<&str> = wave.after.iter().filter_map(|at| rollout.waves.get(*at)).map(|wave| &*wave.name).collect();
        let start = if after.is_empty() { "first".to_string() } else { format!("after {}", after.join(", ")) };
        if wave.bake_secs == 0 { start } else { format!("{start}, then bakes {}", say_secs(wave.bake_secs)) }
    };
    let line = |wave| WaveLine { state: say(wave).into(), ..wave_line(wave) };
    rollout.waves.iter().map(line).collect()
}

fn wave_line(wave: &crate::rollout::Wave) -> WaveLine {
    WaveLine { name: wave.name.clone(), targets: wave.targets.len(), done: 0, failed: 0, state: "".into() }
}

/// A failure's cause and next step.
pub(crate) fn failed(engine: &str, text: &str) -> RowState {
    let cause = diagnosis::explain(engine, text);
    RowState::Failed(cause.sentence, Some(cause.next_step))
}
