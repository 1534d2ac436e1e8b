//! Reports and statuses of every situation, for tests of every form.

use super::{
    Frame, JournalHead, Note, Report, RolloutLine, Row, RowState, Status, StatusRow, Told, VerdictLine, WaveLine, WriterLine,
};
use crate::change::{Action, Change, Detail, Digest, Hunk, Intent, Line, Names, Preview, Sign, TextDiff, fold};
use crate::drift::{Class, Drift, Finding};
use crate::stack::TargetId;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const HEAD: &str = "4be1d70aa0c8e1f2d3b4a5968778695a4b3c2d1e";
pub(super) const BASE: &str = "c01fa2299887766554433221100ffeeddccbbaa0";
pub(super) const AT_MS: u64 = 1_793_628_120_000; // 2026-11-02 14:02 UTC

/// Everything that engines and repositories could try, in one text.
pub(super) const HOSTILE: &str = "```\n````\n</details></summary><img src=x onerror=alert(1)>\n<!-- isobar:v1 key=x -->\n@everyone #1 o/r#2 GH-3 https://evil.example www.evil.example\n::error::owned\n##[group]owned\n\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}desrever\u{200b}\r\n| a | b |\n\\| `x` \\`<b>| **bold** [l](javascript:x) ![i](https://evil.example/i.png) $x$ &#64;everyone";

pub(super) fn id(target: &str) -> TargetId {
    target.parse().expect("a good name")
}

pub(super) fn journal() -> JournalHead {
    JournalHead { seq: 1_234, hash: Digest::of_bytes(b"head").as_str().into() }
}

/// A change of a document: lines with their sign in front.
pub(super) fn change(action: Action, address: &str, lines: &[&str]) -> Change {
    let sign = |text: &str| match text.as_bytes().first() {
        Some(b'-') => Sign::Removed,
        Some(b'+') => Sign::Added,
        Some(_) | None => Sign::Same,
    };
    let old = lines.iter().filter(|line| sign(line) != Sign::Added).count();
    let new = lines.iter().filter(|line| sign(line) != Sign::Removed).count();
    let hunk = Hunk {
        old_start: usize::from(old > 0),
        old_len: old,
        new_start: usize::from(new > 0),
        new_len: new,
        lines: lines.iter().map(|line| Line { sign: sign(line), text: line.get(1..).unwrap_or_default().into() }).collect(),
    };
    let digest = |side: &str, there: bool| there.then(|| Digest::of(side, &[address, &lines.concat()]));
    Change {
        address: address.into(),
        kind: "document".into(),
        action,
        before: digest("before", action != Action::Create),
        after: digest("after", action != Action::Delete),
        detail: Detail::Text(TextDiff { hunks: vec![hunk] }),
        sensitive: false,
        bound: true,
        holes: Vec::new(),
    }
}

pub(super) fn preview(target: &TargetId, changes: Vec<Change>) -> Preview {
    Preview {
        target: target.clone(),
        engine: "documents".into(),
        intent: Intent::Converge,
        changes,
        outputs: BTreeMap::new(),
        strays: Vec::new(),
        sides: Default::default(),
    }
}

/// A row whose preview has `changes`.
pub(super) fn row(target: &str, state: RowState, changes: Vec<Change>) -> Row {
    let target = id(target);
    let preview = preview(&target, changes);
    Row { target, state, preview: Some(preview.into()), verdict: None }
}

/// A row that could not be seen.
pub(super) fn unseen(target: &str, state: RowState) -> Row {
    Row { target: id(target), state, preview: None, verdict: None }
}

pub(super) fn judged(mut row: Row, answer: &'static str, sentence: &str) -> Row {
    let digest = row.preview.as_ref().map_or_else(|| "".into(), |preview| preview.digest().as_str().into());
    row.verdict = Some(VerdictLine { answer, sentence: sentence.into(), digest });
    row
}

/// A report of `rows`, folded by the names of their regions.
pub(super) fn report(told: Told, rows: Vec<Row>) -> Report {
    let names: Names = rows
        .iter()
        .map(|row| {
            let region = &row.target.region;
            (
                row.target.clone(),
                vec![
                    ("{region.id}".into(), region.as_str().into()),
                    ("{region.name}".into(), region.name().into()),
                    ("{region.vars.cidr}".into(), cidr(region.name())),
                ],
            )
        })
        .collect();
    let previews: Vec<Preview> = rows.iter().filter_map(|row| row.preview.as_deref().cloned()).collect();
    Report {
        head: Some(HEAD.into()),
        base: Some(BASE.into()),
        at_ms: Some(AT_MS),
        journal: Some(journal()),
        fold: fold(&previews, &names),
        rows,
        frame: Frame { branch: Some("main".into()), ..Frame::default() },
        ..Report::new(told)
    }
}

/// A network of the region's own.
pub(super) fn cidr(region: &str) -> Arc<str> {
    let sum: u32 = region.bytes().enumerate().map(|(at, byte)| (at as u32 + 1) * u32::from(byte)).sum();
    format!("10.{}.{}.0/24", sum / 200 % 200, sum % 200).into()
}

fn vpc(region: &str) -> Change {
    change(
        Action::Update,
        "vpc.yaml",
        &[" name: vpc", &format!("-cidr: {}", cidr("old")), &format!("+cidr: {}", cidr(region)), &format!("+zone: {region}a")],
    )
}

/// Two regions alike, one that is not, one unchanged.
pub(super) fn groups() -> Report {
    let open = change(
        Action::Update,
        "vpc.yaml",
        &[" name: vpc", &format!("-cidr: {}", cidr("old")), "+cidr: 0.0.0.0/0", "+zone: eu-south-2a"],
    );
    let rows = vec![
        row("network@staging/us-east-1", RowState::Unchanged, vec![]),
        judged(
            row("network@prod/us-east-1", RowState::Changes, vec![vpc("us-east-1")]),
            "clear",
            "2 of 2 approvals: alice (platform), bob (sre)",
        ),
        judged(
            row("network@prod/eu-west-1", RowState::Changes, vec![vpc("eu-west-1")]),
            "clear",
            "2 of 2 approvals: alice (platform), bob (sre)",
        ),
        judged(
            row("network@prod/eu-south-2", RowState::Changes, vec![open]),
            "wait",
            "1 of 2 approvals: alice (platform); one owner of `network` is missing",
        ),
    ];
    Report { next: vec!["isobar apply --review NAME=approve".into()], ..report(Told::Preview, rows) }
}

fn wave(name: &str, targets: usize, done: usize, failed: usize, state: &str) -> WaveLine {
    WaveLine { name: name.into(), targets, done, failed, state: state.into() }
}

fn applied(failed: RowState, rest: RowState) -> Report {
    let add = |region: &str| vec![change(Action::Create, "dns.yaml", &[&format!("+zone: {region}")])];
    let rows = vec![
        row("dns@prod/a-1", RowState::Applied, add("a-1")),
        row("dns@prod/b-1", failed, add("b-1")),
        row("dns@prod/c-1", rest, add("c-1")),
        row("dns@prod/d-1", RowState::Unchanged, vec![]),
    ];
    report(Told::Apply, rows)
}

fn drift(findings: Vec<Finding>, checked: usize) -> Report {
    let rows = ["prod/a-1", "prod/b-1", "prod/c-1"].map(|region| unseen(&format!("dns@{region}"), RowState::Unchanged));
    Report { drift: Some(Drift { findings, checked }), ..report(Told::Drift, rows.to_vec()) }
}

fn finding(class: Class, addresses: &[&str], regions: &[&str], why: Option<&str>) -> Finding {
    Finding {
        class,
        stack: "dns".into(),
        addresses: addresses.iter().map(|address| (*address).into()).collect(),
        targets: regions.iter().map(|region| id(&format!("dns@prod/{region}"))).collect(),
        why: why.map(Into::into),
    }
}

fn hostile() -> Report {
    let text = |state: fn(Arc<str>) -> RowState, target: &str| unseen(target, state(HOSTILE.into()));
    let mut bad = change(Action::Delete, HOSTILE, &[]);
    bad.kind = HOSTILE.into();
    bad.detail = Detail::Text(TextDiff {
        hunks: vec![Hunk {
            old_start: 1,
            old_len: 1,
            new_start: 1,
            new_len: 1,
            lines: vec![Line { sign: Sign::Added, text: HOSTILE.into() }],
        }],
    });
    let mut hidden = bad.clone();
    hidden.address = format!("{HOSTILE}2").into();
    hidden.detail = Detail::Hidden(HOSTILE.into());
    let mut fields = bad.clone();
    fields.address = format!("{HOSTILE}3").into();
    fields.detail =
        Detail::Fields(vec![crate::change::FieldChange { path: HOSTILE.into(), before: Some(HOSTILE.into()), after: None }]);
    let rows = vec![
        unseen("net@prod/a-1", RowState::Failed(HOSTILE.into(), Some(HOSTILE.into()))),
        text(RowState::Unknown, "net@prod/b-1"),
        text(RowState::Waiting, "net@prod/c-1"),
        text(RowState::Denied, "net@prod/d-1"),
        text(RowState::Skipped, "net@prod/e-1"),
        text(RowState::NotStarted, "net@prod/f-1"),
        judged(row("dns@prod/a-1", RowState::Changes, vec![bad, hidden, fields]), "clear", HOSTILE),
    ];
    let mut report = report(Told::Preview, rows);
    report.fold.groups[0].values.push((HOSTILE.into(), vec![HOSTILE.into()]));
    report.fold.groups[0].differs.clear();
    report.waves.push(WaveLine { name: HOSTILE.into(), targets: 1, done: 0, failed: 0, state: HOSTILE.into() });
    report.notes.push(Note { warning: true, text: HOSTILE.into() });
    report.next.push(HOSTILE.into());
    let mut found = finding(Class::OutOfBand, &[HOSTILE], &["a-1"], Some(HOSTILE));
    found.stack = HOSTILE.into();
    report.drift = Some(Drift { findings: vec![found], checked: 1 });
    report.frame = Frame {
        has_summary: true,
        branch: Some(HOSTILE.into()),
        links: vec![(HOSTILE.into(), "https://host.example/run/1".into()), ("bad".into(), "javascript:alert(1)".into())],
    };
    report
}

/// One report for every situation that there is.
pub(super) fn situations() -> Vec<(&'static str, Report)> {
    let gone = |region: &str| {
        row(
            &format!("old@prod/{region}"),
            RowState::Changes,
            vec![change(Action::Delete, "a.yaml", &["-x"]), change(Action::Replace, "b.yaml", &["-y", "+z"])],
        )
    };
    let fail = |cause: &str| RowState::Failed(cause.into(), Some("run `isobar apply` again".into()));
    let base = |told| Report { head: Some(HEAD.into()), base: Some(BASE.into()), at_ms: Some(AT_MS), ..Report::new(told) };
    vec![
        ("groups", groups()),
        ("nothing", Report { nothing: Some("the changed files belong to no stack".into()), ..base(Told::Preview) }),
        (
            "unchanged",
            report(
                Told::Preview,
                vec![row("dns@prod/a-1", RowState::Unchanged, vec![]), row("dns@prod/b-1", RowState::Unchanged, vec![])],
            ),
        ),
        (
            "failures",
            report(
                Told::Preview,
                vec![
                    unseen("dns@prod/a-1", fail("credentials of prod/a-1 are expired")),
                    unseen("dns@prod/b-1", fail("credentials of prod/b-1 are expired")),
                    unseen("net@prod/a-1", fail("disk full\nwrote 0 of 12 bytes")),
                ],
            ),
        ),
        (
            "unknown",
            applied(
                RowState::Unknown("started, no outcome: the runner was lost".into()),
                RowState::NotStarted("wave 2 was not reached".into()),
            ),
        ),
        (
            "denied",
            report(
                Told::Preview,
                vec![judged(
                    row("dns@prod/a-1", RowState::Changes, vec![change(Action::Delete, "zone.yaml", &["-x"])]),
                    "deny",
                    "`zone.yaml` is protected",
                )],
            ),
        ),
        (
            "waiting",
            applied(RowState::Waiting("the window opens at 14:00 UTC".into()), RowState::Skipped("prod/c-1 is held".into())),
        ),
        ("destroy", report(Told::Preview, vec![gone("a-1"), gone("b-1")])),
        (
            "half done",
            Report {
                waves: vec![wave("canary", 1, 1, 0, "done"), wave("rest", 2, 0, 0, "bakes until 14:17 UTC")],
                next: vec!["isobar tick".into()],
                ..applied(RowState::NotStarted("its wave waits".into()), RowState::NotStarted("its wave waits".into()))
            },
        ),
        (
            "stopped",
            Report {
                waves: vec![wave("canary", 2, 1, 1, "stopped: 1 of 2 failed"), wave("rest", 1, 0, 0, "waits for canary")],
                notes: vec![Note { warning: true, text: "the rollout is stopped and holds 2 targets".into() }],
                next: vec!["isobar resume".into()],
                ..applied(fail("disk full"), RowState::NotStarted("the rollout stopped".into()))
            },
        ),
        (
            "drift",
            drift(
                vec![
                    finding(Class::OutOfBand, &["zone.yaml"], &["a-1", "b-1"], None),
                    finding(Class::NotChecked, &[], &["c-1"], Some("credentials are expired")),
                ],
                2,
            ),
        ),
        ("no drift", drift(vec![], 3)),
        (
            "dirty",
            Report {
                dirty: true,
                head: None,
                ..report(
                    Told::Preview,
                    vec![row("dns@prod/a-1", RowState::Changes, vec![change(Action::Create, "zone.yaml", &["+x"])])],
                )
            },
        ),
        ("hostile", hostile()),
    ]
}

/// 40 regions × 6 stacks, of which nothing is quiet: what a busy pull request looks like.
pub(super) fn busy() -> Report {
    let regions: Vec<String> = (1..=40)
        .map(|n| format!("prod/{}-{}", ["us-east", "us-west", "eu-west", "eu-south", "ap-east"][n % 5], n.div_ceil(5)))
        .collect();
    let mut rows = Vec::new();
    for stack in ["cluster", "dns", "docs", "edge", "mail", "network"] {
        for (n, region) in regions.iter().enumerate() {
            let target = format!("{stack}@{region}");
            let name = region.strip_prefix("prod/").unwrap_or_default();
            let changes = match stack {
                "cluster" => vec![change(
                    Action::Replace,
                    "node_pool.yaml",
                    &[" pool: default", "-size: 3", "+size: 5", &format!("+zone: {name}b")],
                )],
                "edge" => {
                    let mut changes = vec![
                        change(
                            Action::Create,
                            "cdn/rule.yaml",
                            &["+rule: cache", &format!("+origin: origin.{name}.example.com"), &format!("+cidr: {}", cidr(name))],
                        ),
                        change(Action::Update, "cdn/ttl.yaml", &[" rule: ttl", "-seconds: 60", "+seconds: 300"]),
                    ];
                    if n == 7 {
                        changes.push(change(Action::Delete, "cdn/legacy_a.yaml", &["-rule: a"]));
                        changes.push(change(Action::Delete, "cdn/legacy_b.yaml", &["-rule: b"]));
                        changes.sort_by(|a, b| a.address.cmp(&b.address));
                    }
                    changes
                }
                _ => vec![],
            };
            let state = if changes.is_empty() { RowState::Unchanged } else { RowState::Changes };
            let expired = RowState::Failed("credentials expired".into(), Some("run the failed targets again".into()));
            rows.push(match (n, stack) {
                (12, "network" | "cluster" | "edge") => unseen(&target, expired),
                (20, "cluster") => {
                    unseen(&target, RowState::Unknown("started, no outcome: the runner was lost; preview again".into()))
                }
                (_, "edge") => {
                    judged(row(&target, state, changes), "wait", "1 of 2 approvals: alice (platform); one of sre is missing")
                }
                (_, "cluster") => judged(row(&target, state, changes), "clear", "2 of 2 approvals: alice (platform), bob (sre)"),
                _ => row(&target, state, changes),
            });
        }
    }
    Report {
        next: vec!["isobar preview --failed".into(), "/isobar approve 7c2f9a11be03".into()],
        notes: vec![Note { warning: false, text: "base moved to 91ac3f0: none of these targets is touched".into() }],
        waves: vec![
            wave("canary: us-east", 8, 0, 0, "waits for approval"),
            wave("the rest", 70, 0, 0, "waits for canary, bakes 15 minutes"),
        ],
        frame: Frame {
            has_summary: true,
            branch: Some("main".into()),
            links: vec![
                ("run".into(), "https://github.com/o/r/actions/runs/1234567".into()),
                ("full output".into(), "https://github.com/o/r/actions/runs/1234567#summary-1".into()),
            ],
        },
        ..report(Told::Preview, rows)
    }
}

/// A fleet with something of everything.
pub(super) fn status() -> Status {
    let regions: Vec<String> =
        ["staging/us-east-1", "prod/us-east-1", "prod/us-west-2", "prod/eu-west-1", "prod/eu-south-2", "prod/ap-east-2"]
            .map(String::from)
            .to_vec();
    let mut rows = Vec::new();
    for stack in ["apps/api", "apps/web", "base", "dns", "edge", "mail", "network"] {
        for (n, region) in regions.iter().enumerate() {
            let (state, commit, drift, waits): (_, _, &str, Option<&str>) = match (stack, n) {
                ("network", 4) => {
                    ("failed", BASE, "not checked", Some("a change or `isobar resume`, since 2026-11-02 13:40 UTC"))
                }
                ("edge", 5) => ("unknown", BASE, "not checked", Some("a fresh preview: started, no outcome")),
                ("edge", 2 | 3) => ("applied", HEAD, "out-of-band: cdn/rule.yaml", None),
                ("network", 3 | 5) => ("behind", BASE, "clean", Some("the rollout of 4be1d70, which is stopped")),
                ("mail", 5) => ("never applied", "", "not checked", Some("one approval of platform")),
                ("dns", 0) => ("to be destroyed", BASE, "clean", None),
                _ => ("applied", if n < 3 { HEAD } else { BASE }, "clean", None),
            };
            rows.push(StatusRow {
                target: id(&format!("{stack}@{region}")),
                state,
                commit: (!commit.is_empty()).then(|| commit.into()),
                applied_at_ms: (!commit.is_empty()).then_some(AT_MS - 3_600_000 * (n as u64 + 1)),
                pull_request: (!commit.is_empty()).then_some(if commit == HEAD { 42 } else { 41 }),
                by: if commit.is_empty() { vec![] } else { vec!["alice".into()] },
                is_approved: !commit.is_empty(),
                drift: drift.into(),
                drift_checked_at_ms: (drift != "not checked").then_some(AT_MS - 600_000),
                waits: waits.map(Into::into),
            });
        }
    }
    Status {
        head: Some(HEAD.into()),
        at_ms: AT_MS,
        journal: Some(journal()),
        rows,
        rollouts: vec![
            RolloutLine {
                id: "r-42".into(),
                commit: HEAD.into(),
                state: "stopped: network failed in prod/eu-south-2".into(),
                is_stopped: true,
                waves: vec![
                    wave("staging", 7, 7, 0, "done"),
                    wave("canary", 14, 14, 0, "done"),
                    wave("prod", 21, 18, 1, "stopped"),
                    wave("last", 0, 0, 0, "waits for prod"),
                ],
                next_tick_ms: None,
            },
            RolloutLine {
                id: "r-43".into(),
                commit: BASE.into(),
                state: "running".into(),
                is_stopped: false,
                waves: vec![wave("staging", 4, 4, 0, "bakes until 14:17 UTC"), wave("prod", 20, 0, 0, "waits for staging")],
                next_tick_ms: Some(AT_MS + 900_000),
            },
        ],
        paused: None,
        holds: vec![("prod/ap-east-2".into(), Some(AT_MS + 86_400_000), "a storm <b>and</b> no power".into())],
        given_up: Vec::new(),
        writers: vec![WriterLine {
            run: "1234567.1".into(),
            host: "runner-7".into(),
            pid: 4711,
            job: Some("job deploy of acme/fleet, run 1234567, attempt 1".into()),
            address: Some("https://github.com/acme/fleet/actions/runs/1234567/attempts/1".into()),
            since_ms: AT_MS - 60_000,
            targets: 20,
            first: vec!["network@prod/ap-east-2".parse().expect("a target")],
            release: "isobar recover --release 1234567.1 --reason \"…\"".into(),
        }],
    }
}
