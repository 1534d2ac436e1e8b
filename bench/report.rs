//! Composes the comment of a large pull request — 240 changed targets with 20 documents each — and prints how long it took,
//! its size, and how many of its destructive changes are told in it. Fails when one is missing or the budget is broken.
//!
//! `cargo run --release --example bench-report`

use isobar::change::{Action, Change, Detail, Digest, Intent, Names, Preview, TextDiff, fold};
use isobar::report::{COMMENT_BYTES, Report, Row, RowState, Told, comment};
use isobar::stack::TargetId;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

const STACKS: usize = 24;
const REGIONS: usize = 10;
const DOCUMENTS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let previews = previews()?;
    let names: Names = previews.iter().map(|preview| (preview.target.clone(), names(&preview.target))).collect();

    let begin = Instant::now();
    let report = report(&previews, &names);
    let folded = begin.elapsed();
    let composed = comment(&report, COMMENT_BYTES);
    let took = begin.elapsed();

    let deleted: Vec<&Change> =
        previews.iter().flat_map(|preview| &preview.changes).filter(|change| change.action.is_destructive()).collect();
    let told = deleted.iter().filter(|change| composed.body.contains(&*change.address)).count();
    let milliseconds = |span: std::time::Duration| span.as_secs_f64() * 1_000.0;
    writeln!(
        std::io::stdout(),
        "{} targets × {DOCUMENTS} documents: folded in {:.1} ms, composed in {:.1} ms, {} bytes, {told} of {} destructive changes told",
        previews.len(),
        milliseconds(folded),
        milliseconds(took - folded),
        composed.body.len(),
        deleted.len(),
    )?;
    if told < deleted.len() || composed.body.len() > COMMENT_BYTES {
        return Err("the comment is too long, or hides a destructive change".into());
    }
    Ok(())
}

fn previews() -> Result<Vec<Preview>, Box<dyn Error>> {
    let mut previews = Vec::new();
    for stack in 0..STACKS {
        for region in 0..REGIONS {
            let target: TargetId = format!("apps/s{stack:02}@prod/r{region:02}").parse()?;
            let changes = (0..DOCUMENTS).map(|document| change(&target, stack, document)).collect();
            let outputs = BTreeMap::new();
            let (engine, intent) = ("documents".into(), Intent::Converge);
            previews.push(Preview { target, engine, intent, changes, outputs, strays: vec![], sides: Default::default() });
        }
    }
    Ok(previews)
}

/// One document a stack is deleted, the others are edited in one line of forty.
fn change(target: &TargetId, stack: usize, document: usize) -> Change {
    let before = text(target, "30s");
    let after = if document == stack % DOCUMENTS { String::new() } else { text(target, "45s") };
    let deleted = after.is_empty();
    Change {
        address: format!("s{stack:02}-{document:02}.yaml").into(),
        kind: "document".into(),
        action: if deleted { Action::Delete } else { Action::Update },
        before: Some(Digest::of_bytes(before.as_bytes())),
        after: (!deleted).then(|| Digest::of_bytes(after.as_bytes())),
        detail: Detail::Text(TextDiff::between(&before, &after)),
        sensitive: false,
        bound: true,
        holes: vec![],
    }
}

fn text(target: &TargetId, timeout: &str) -> String {
    let region = target.region.name();
    let lines = (0..40).map(|line| match line {
        20 => format!("timeout: {timeout}\n"),
        _ => format!("key{line}: value of {region}\n"),
    });
    lines.collect()
}

fn names(target: &TargetId) -> Vec<(Arc<str>, Arc<str>)> {
    vec![("{region.name}".into(), target.region.name().into())]
}

fn report(previews: &[Preview], names: &Names) -> Report {
    let row = |preview: &Preview| Row {
        target: preview.target.clone(),
        state: RowState::Changes,
        preview: Some(preview.clone().into()),
        verdict: None,
    };
    let mut report = Report::new(Told::Preview);
    report.head = Some("0123456789abcdef0123456789abcdef01234567".into());
    report.base = Some("76543210fedcba9876543210fedcba9876543210".into());
    report.rows = previews.iter().map(row).collect();
    report.fold = fold(previews, names);
    report
}
