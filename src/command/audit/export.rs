//! `isobar audit export`: one row an apply, as CSV or as JSON lines. The same journal gives the same bytes.

use crate::change::{Action, ChangeMark, Intent};
use crate::command::control::parse_time;
use crate::exit::{Exit, Failure};
use crate::journal::{Became, Entry, Ledger, Row, Verb};
use crate::world::{Terminal, World};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::{Arc, Mutex};

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Csv,
}

/// Bytes that are gathered before they are written.
const PAGE: usize = 64 << 10;

/// The columns, in this order; a new one comes last.
const COLUMNS: [&str; 19] = [
    "ended",
    "started",
    "target",
    "outcome",
    "why",
    "intent",
    "changes",
    "digest",
    "approved_by",
    "approved_because",
    "policy",
    "commit",
    "pull_request",
    "verb",
    "run",
    "run_by",
    "rollout",
    "entry",
    "hash",
];

pub async fn export(world: &World, since: Option<&str>, format: Format) -> Result<Exit, Failure> {
    let since_ms = since.map(|text| parse_time(text, world.clock.now_ms(), false)).transpose()?.unwrap_or(0);
    let sheet = Sheet { format, since_ms, page: String::new(), terminal: world.terminal.clone() };
    let shared = Arc::new(Mutex::new((Ledger::default(), sheet)));
    let taken = shared.clone();
    if format == Format::Csv {
        world.terminal.say_made(&(COLUMNS.join(",") + "\r\n"));
    }

    let take = move |entry: Entry| {
        let mut shared = taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let rows = shared.0.take(&entry);
        rows.iter().for_each(|row| shared.1.write(row));
    };
    world.store.each(Box::new(take)).await?;

    let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let rest = std::mem::take(&mut shared.0).rest();
    rest.iter().for_each(|row| shared.1.write(row));
    shared.1.flush();
    Ok(Exit::Clean)
}

/// Where rows are written.
struct Sheet {
    format: Format,
    since_ms: u64,
    page: String,
    terminal: Terminal,
}

impl Sheet {
    fn write(&mut self, row: &Row) {
        if row.ended_ms.unwrap_or(row.started_ms) < self.since_ms {
            return;
        }
        let line = match self.format {
            Format::Json => format!("{}\n", to_json(row)),
            Format::Csv => to_csv(row),
        };
        self.page.push_str(&line);
        if self.page.len() >= PAGE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.terminal.say_made(&std::mem::take(&mut self.page));
    }
}

fn to_json(row: &Row) -> Value {
    let (outcome, why) = outcome(row);
    let change = |mark: &ChangeMark| {
        json!({
            "action": name(mark.action),
            "address": mark.address,
            "kind": mark.kind,
            "before": mark.before,
            "after": mark.after,
        })
    };
    json!({
        "ended": row.ended_ms.map(time),
        "started": time(row.started_ms),
        "target": row.target.to_string(),
        "outcome": outcome,
        "why": why,
        "intent": row.intent.map(intent),
        "changes": row.changes.iter().map(change).collect::<Vec<_>>(),
        "digest": row.digest,
        "approved_by": row.approved_by,
        "approved_because": row.approved_because,
        "policy": row.authority,
        "commit": row.commit,
        "pull_request": row.pull_request,
        "verb": row.verb.map(verb),
        "run": row.run,
        "run_by": row.run_by,
        "rollout": row.rollout,
        "entry": row.seq,
        "hash": row.hash,
    })
}

fn to_csv(row: &Row) -> String {
    let (outcome, why) = outcome(row);
    let text = |text: Option<&Arc<str>>| text.map(ToString::to_string).unwrap_or_default();
    let people: Vec<&str> = row.approved_by.iter().map(|user| &*user.0).collect();
    let cells = [
        row.ended_ms.map(time).unwrap_or_default(),
        time(row.started_ms),
        row.target.to_string(),
        outcome.into(),
        why.unwrap_or_default().into(),
        row.intent.map(intent).unwrap_or_default().into(),
        row.changes.iter().map(change).collect::<Vec<_>>().join("\n"),
        row.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
        people.join("; "),
        text(row.approved_because.as_ref()),
        text(row.authority.as_ref()),
        text(row.commit.as_ref()),
        row.pull_request.map(|number| number.to_string()).unwrap_or_default(),
        row.verb.map(verb).unwrap_or_default().into(),
        row.run.to_string(),
        row.run_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        row.rollout.to_string(),
        row.seq.to_string(),
        row.hash.to_string(),
    ];
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// `update app.yaml 1f0c… -> 77ab…`.
fn change(mark: &ChangeMark) -> String {
    let side = |digest: Option<&crate::change::Digest>| digest.map_or("-".to_string(), ToString::to_string);
    format!("{} {} {} -> {}", name(mark.action), mark.address, side(mark.before.as_ref()), side(mark.after.as_ref()))
}

/// A cell as RFC 4180 has it. What a spreadsheet would take for a formula is kept from being one.
fn quoted(cell: &str) -> String {
    let made_plain = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_string() };
    let needs = made_plain.contains([',', '"', '\n', '\r']);
    if needs { format!("\"{}\"", made_plain.replace('"', "\"\"")) } else { made_plain }
}

fn outcome(row: &Row) -> (&'static str, Option<Cow<'_, str>>) {
    match &row.outcome {
        Became::Applied => ("applied", None),
        Became::Failed(why) => ("failed", Some(why.as_ref().into())),
        Became::Recovered { how, found_by } => {
            let at = row.ended_ms.map(time).unwrap_or_default();
            ("recovered", Some(format!("{how} (found by run {found_by}, {at})").into()))
        }
        Became::Unknown => ("unknown", None),
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Read => "read",
        Action::Move => "move",
    }
}

fn intent(intent: Intent) -> &'static str {
    match intent {
        Intent::Converge => "converge",
        Intent::Destroy => "destroy",
    }
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Apply => "apply",
        Verb::Tick => "tick",
        Verb::Drift => "drift",
        Verb::Recover => "recover",
        Verb::Pause => "pause",
        Verb::Resume => "resume",
        Verb::Hold => "hold",
        Verb::Audit => "audit",
    }
}

/// `2026-11-22T09:00:00.123Z`.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_two() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"no\"\n"), "\"say \"\"no\"\"\n\"");
        assert_eq!(quoted("=HYPERLINK(1,2)"), "\"'=HYPERLINK(1,2)\"");
    }

    #[test]
    fn a_time_is_the_same_everywhere() {
        assert_eq!(time(1_795_338_000_123), "2026-11-22T09:00:00.123Z");
    }
}
