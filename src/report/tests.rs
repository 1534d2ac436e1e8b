//! Every situation in every form.

use super::sample;
use super::{
    COMMENT_BYTES, Diffs, Frame, Report, RowState, Status, Style, Told, comment, page, report_json_text, report_text, status_text,
};
use crate::change::{Action, Change};

fn situation(name: &str) -> Report {
    let found = sample::situations().into_iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("there is no situation {name:?}")).1
}

fn body(report: &Report) -> String {
    comment(report, COMMENT_BYTES).body.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn nothing_selected_says_why() {
    assert_eq!(
        report_text(&situation("nothing"), Style::Plain, Diffs::Whole),
        "Nothing to preview\nthe changed files belong to no stack\nPreviewed 4be1d70 on c01fa22 · 2026-11-02 14:02 UTC\n"
    );
    assert_eq!(
        body(&situation("nothing")),
        "### Nothing to preview\n\n\
         0 targets: the changed files belong to no stack  \nPreviewed 4be1d70 on c01fa22 · 2026-11-02 14:02 UTC\n\n<sub>isobar VERSION</sub>\n"
    );
}

#[test]
fn every_situation_is_answered_in_the_first_line() {
    let headlines: Vec<_> = sample::situations()
        .into_iter()
        .map(|(name, report)| {
            let first = report_text(&report, Style::Plain, Diffs::Whole).lines().next().unwrap_or_default().to_owned();
            let heading = body(&report).lines().next().unwrap_or_default().to_owned();
            assert_eq!(heading, format!("### {first}"), "{name}");
            format!("{name}: {first}")
        })
        .collect();
    assert_eq!(
        headlines,
        [
            "groups: 3 of 4 regions will change · 1 waiting",
            "nothing: Nothing to preview",
            "unchanged: Nothing would change in 2 regions",
            "failures: 3 failed",
            "unknown: 1 of 3 applied, 1 unknown, 1 not started",
            "denied: 1 to delete · 1 of 1 target will change · 1 denied",
            "waiting: 1 of 3 applied, 1 waiting, 1 skipped",
            "destroy: 2 to delete, 2 to replace · 2 of 2 regions will change",
            "half done: 1 of 3 applied, 2 not started",
            "stopped: 1 of 3 applied, 1 failed, 1 not started",
            "drift: Drift in 2 of 3 targets · 1 not checked",
            "no drift: No drift in 3 targets",
            "dirty: 1 of 1 target will change",
            "hostile: 3 to delete · 1 failed, 1 unknown · 1 of 7 targets will change · 1 denied, 1 waiting",
        ]
    );
}

#[test]
fn a_preview_in_a_terminal() {
    let expected = "\
3 of 4 regions will change · 1 waiting
4 targets (1 stack, 4 regions): 3 change, 1 unchanged · 3 to update
Previewed 4be1d70 on main c01fa22 · 2026-11-02 14:02 UTC · 4 of 4 targets
journal head 1234:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d
Gate closed: 1 waiting
  cleared, 2 targets: 2 of 2 approvals: alice (platform), bob (sre)

Waiting
  … 1 of 2 approvals: alice (platform); one owner of `network` is missing
    network in prod/eu-south-2

network · A · prod/us-east-1, prod/eu-west-1 · ~1
  ~ vpc.yaml (document)
    @@ -1,2 +1,3 @@
     name: vpc
    -cidr: 10.3.27.0/24
    +cidr: {region.vars.cidr}
    +zone: {region.name}a
  {region.vars.cidr} = 10.18.74.0/24, 10.18.154.0/24

network · B · prod/eu-south-2 · ~1 · differs from A by 2 lines
  vpc.yaml: first sign - only in A, + only here; second sign the change itself
     -cidr: 10.3.27.0/24
    -+cidr: {region.vars.cidr}
    ++cidr: 0.0.0.0/0
     +zone: {region.name}a

Next
  isobar apply --review NAME=approve
";
    assert_eq!(report_text(&sample::groups(), Style::Plain, Diffs::Whole), expected);
}

#[test]
fn a_long_diff_is_bounded_in_a_terminal_and_what_it_deletes_is_told() {
    let lines: Vec<String> = (0..40).map(|line| format!("+line {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let changes = |last: Action| {
        vec![
            sample::change(Action::Create, "a.yaml", &lines),
            sample::change(Action::Create, "b.yaml", &lines),
            sample::change(last, "z.yaml", &["-gone"]),
        ]
    };
    let report = sample::report(Told::Preview, vec![sample::row("net@prod/a-1", RowState::Changes, changes(Action::Delete))]);
    let bounded = report_text(&report, Style::Plain, Diffs::Bounded);
    let body = bounded.split_once("+2 -1\n").expect("the group's title").1;
    assert_eq!(body.lines().count(), 61, "{body}");
    assert!(body.ends_with("    +line 15\n  … 27 more lines: --full shows them all\n"), "{body}");
    assert!(bounded.contains("\nTo delete or replace\n  net in prod/a-1\n    - z.yaml\n"), "{bounded}");
    let whole = report_text(&report, Style::Plain, Diffs::Whole);
    assert!(whole.ends_with("  - z.yaml (document)\n    @@ -1 +0,0 @@\n    -gone\n"), "{whole}");
    assert!(!whole.contains("--full"), "{whole}");
}

#[test]
fn colour_only_helps() {
    for (name, report) in sample::situations() {
        let colour = report_text(&report, Style::Colour, Diffs::Whole);
        let mut plain = String::new();
        let mut rest = colour.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&plain), trimmed(&report_text(&report, Style::Plain, Diffs::Whole)), "{name}");
        assert_ne!(plain, colour, "{name}");
    }
}

#[test]
fn a_stopped_apply_as_a_comment() {
    let expected = "\
### 1 of 3 applied, 1 failed, 1 not started

4 targets (1 stack, 4 regions): 1 unchanged, 1 applied, 1 failed, 1 not started · planned: 3 to create  
Applied 4be1d70 on main c01fa22 · 2026-11-02 14:02 UTC · 4 of 4 targets

- ✗ **failed** dns in prod/b-1: disk full  
  Next: run `isobar apply` again
- o **not started** dns in prod/c-1: the rollout stopped

| wave | done | failed | state |
| --- | --- | --- | --- |
| canary | 1 of 2 | 1 | stopped: 1 of 2 failed |
| rest | 0 of 1 | 0 | waits for canary |

| region | dns |
| --- | --- |
| prod/a-1 | ✓ \\+1 |
| prod/b-1 | ✗ \\+1 |
| prod/c-1 | o \\+1 |
| prod/d-1 | · |

<sub>\\+ create &nbsp; · unchanged &nbsp; ✓ applied &nbsp; ✗ failed &nbsp; o not started</sub>

<details><summary><b>dns A</b> · prod/a-1, prod/b-1, prod/c-1 · +1</summary>

**\\+** `dns.yaml` (document)

```diff
@@ -0,0 +1 @@
+zone: {region.name}
```

</details>

**Notes**

- **warning**: the rollout is stopped and holds 2 targets

1 target unchanged, in 1 stack.

**Next**

- `isobar resume`

<sub>isobar VERSION · journal head 1234:9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d</sub>
";
    assert_eq!(body(&situation("stopped")), expected);
}

#[test]
fn the_same_cause_in_two_regions_is_one_entry() {
    let text = report_text(&situation("failures"), Style::Plain, Diffs::Whole);
    assert!(
        text.contains(
            "\n  ✗ credentials of {region.id} are expired\n    dns in prod/a-1, prod/b-1\n    next: run `isobar apply` again\n"
        ),
        "{text}"
    );
    assert!(text.contains("\n  ✗ disk full\n    wrote 0 of 12 bytes\n    net in prod/a-1\n"), "{text}");
}

#[test]
fn what_waits_for_another_stack_of_its_own_region_says_so_in_words() {
    let waits = |target: &str, on: &str| sample::unseen(target, RowState::Waiting(format!("waits for {on}").into()));
    let rows = vec![waits("dns@prod/a-1", "net@prod/a-1"), waits("dns@prod/b-1", "net@prod/b-1")];
    let text = report_text(&sample::report(Told::Preview, rows), Style::Plain, Diffs::Whole);
    assert!(text.contains("waits for net in the same region\n"), "{text}");
}

#[test]
fn a_reason_that_names_another_target_is_told_once_for_all_that_wait_for_it() {
    let skipped = |target: &str| sample::unseen(target, RowState::Skipped("dependency net@prod/a-1 was not cleared".into()));
    let rows = ["dns@prod/a-1", "dns@prod/b-1", "web@prod/a-1", "web@prod/b-1"].map(skipped);
    let report = sample::report(Told::Apply, rows.to_vec());
    let text = report_text(&report, Style::Plain, Diffs::Whole);
    assert!(
        text.contains("\nSkipped\n  » dependency net@prod/a-1 was not cleared\n    dns, web in prod/a-1, prod/b-1\n"),
        "{text}"
    );
    let said = "\n- » **skipped** dns, web in prod/a-1, prod/b-1: dependency net@prod/a-1 was not cleared\n";
    assert!(body(&report).contains(said), "{}", body(&report));
}

#[test]
fn destructive_changes_stand_open_above_the_groups() {
    let body = body(&situation("destroy"));
    let list =
        body.find("- \\- **delete** old in prod/a-1, prod/b-1: `a.yaml`\n- ± **replace** old in prod/a-1, prod/b-1: `b.yaml`\n");
    assert!(list.is_some_and(|at| body.find("<details>").is_some_and(|details| at < details)), "{body}");
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    for (name, report) in sample::situations() {
        let again = situation(name);
        assert_eq!(comment(&report, COMMENT_BYTES), comment(&again, COMMENT_BYTES), "{name}");
        assert_eq!(report_json_text(&report), report_json_text(&again), "{name}");
        assert_eq!(report_text(&report, Style::Colour, Diffs::Whole), report_text(&again, Style::Colour, Diffs::Whole), "{name}");
    }
}

// ── hostile text ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// The lines of Markdown outside fences and code spans, as a reader's program would see them.
fn markup(markdown: &str) -> Vec<String> {
    let mut outside = Vec::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let body = line.trim_start();
        let ticks: String = body.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if ticks.len() >= open.len() && body.trim_end() == ticks => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && !body[ticks.len()..].contains('`') => fence = Some(ticks),
            None => outside.push(without_spans(line)),
        }
    }
    assert_eq!(fence, None, "every fence is closed");
    outside
}

fn without_spans(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let run = rest[at..].chars().take_while(|c| *c == '`').count();
        let after = &rest[at + run..];
        let escaped = rest[..at].ends_with('\\');
        let closing = after
            .match_indices(&"`".repeat(run))
            .map(|(to, _)| to)
            .find(|to| !after[..*to].ends_with('`') && !after[to + run..].starts_with('`'));
        match closing {
            Some(to) if !escaped => {
                text.push_str(&rest[..at]);
                rest = &after[to + run..];
            }
            Some(_) | None => {
                text.push_str(&rest[..at + run]);
                rest = after;
            }
        }
    }
    text + rest
}

#[test]
fn hostile_text_stays_text_in_a_comment() {
    let comment = comment(&situation("hostile"), 250_000).body;
    for line in markup(&comment) {
        for html in line.split('<').skip(1) {
            let ours = ["details>", "summary>", "/summary>", "/details>", "b>", "/b>", "sub>", "/sub>"];
            assert!(ours.iter().any(|tag| html.starts_with(tag)), "<{html}");
        }
        for hostile in ["@everyone", "#1", "#2", "GH-3", "://evil", "www.evil", "&#64;", "](javascript"] {
            assert!(
                !line.contains(hostile) || (hostile == "](javascript" && line.contains("\\](javascript")),
                "{hostile} in {line}"
            );
        }
        assert!(!line.replace("\\*", "").contains("**bold"), "{line}");
    }
    assert_eq!(comment.matches("<details>").count(), markup(&comment).iter().filter(|line| line.contains("</details>")).count());
    assert!(!comment.contains("\n<!--") && !comment.starts_with("<!--"), "no marker but the host's");
}

#[test]
fn hostile_text_commands_neither_terminal_nor_runner() {
    let report = situation("hostile");
    for text in [
        report_text(&report, Style::Plain, Diffs::Whole),
        comment(&report, 250_000).body,
        page(&hostile_status()),
        status_text(&hostile_status(), Style::Plain),
    ] {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{2066}']), "bidirectional");
        assert!(text.lines().all(|line| !line.trim_start().starts_with("::") && !line.contains("##[")), "{text}");
    }
}

fn hostile_status() -> Status {
    let mut status = sample::status();
    let hostile = || std::sync::Arc::from(sample::HOSTILE);
    status.paused = Some(hostile());
    status.holds.push((hostile(), None, hostile()));
    status.given_up.push(super::GivenUpLine { place: hostile(), by: hostile(), at_ms: 0, reason: hostile() });
    status.writers.push(super::WriterLine {
        run: hostile(),
        host: hostile(),
        job: Some(hostile()),
        address: Some(hostile()),
        release: hostile(),
        ..status.writers[0].clone()
    });
    status.rollouts[0].id = hostile();
    status.rollouts[0].state = hostile();
    status.rollouts[0].waves[0].name = hostile();
    status.rollouts[0].waves[0].state = hostile();
    status.rows[0].by = vec![hostile()];
    status.rows[0].drift = hostile();
    status.rows[0].waits = Some(hostile());
    status.rows[0].commit = Some(hostile());
    status
}

#[test]
fn hostile_text_stays_text_on_the_page() {
    let page = page(&hostile_status());
    for hostile in ["<img", "<b>|", "</details></summary>", "<!-- isobar"] {
        assert!(!page.contains(hostile), "{hostile}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
}

// ── size ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// 40 regions × 6 stacks × 20 documents, none of which folds; each target deletes two and replaces one.
fn large(everything: bool) -> Report {
    let mut rows = Vec::new();
    for stack in ["cluster", "dns", "docs", "edge", "mail", "network"] {
        for region in 0..40 {
            let document = |n: usize| -> Change {
                let address = if everything { format!("doc-{region}-{n}.yaml") } else { format!("doc-{n}.yaml") };
                let lines: Vec<String> = (0..8)
                    .map(|line| format!("{}key-{line}: value {} of {region}", ["-", "+", " "][line % 3], line * region + n))
                    .collect();
                let action = match n {
                    _ if everything => Action::Delete,
                    3 | 7 => Action::Delete,
                    11 => Action::Replace,
                    _ => Action::Update,
                };
                sample::change(action, &address, &lines.iter().map(String::as_str).collect::<Vec<_>>())
            };
            rows.push(sample::row(&format!("{stack}@prod/region-{region}"), RowState::Changes, (0..20).map(document).collect()));
        }
    }
    sample::report(Told::Preview, rows)
}

/// The report as a workflow's run publishes it.
fn of_a_run(report: Report) -> Report {
    Report { frame: Frame { has_summary: true, ..report.frame.clone() }, ..report }
}

#[test]
fn on_a_laptop_what_was_cut_is_where_it_can_be_found() {
    let comment = comment(&large(true), 16_384);
    let all = [comment.body].into_iter().chain(comment.more).collect::<String>();
    assert!(all.contains("in the JSON report (`--json`)") && !all.contains("step summary"), "{all}");
}

#[test]
fn a_large_change_fits_with_every_destructive_change_in_it() {
    let comment = comment(&of_a_run(large(false)), COMMENT_BYTES);
    assert!(comment.body.len() <= COMMENT_BYTES && comment.more.is_empty(), "{}", comment.body.len());
    assert!(comment.body.contains("**delete** network in all 40 regions: `doc-3.yaml`, `doc-7.yaml`\n"));
    assert!(comment.body.contains("**replace** network in all 40 regions: `doc-11.yaml`\n"));
    assert!(comment.body.contains("the step summary of this run"));
    let whole = comment.whole.expect("it was shortened");
    assert!(whole.len() <= 1_000_000 && whole.len() > comment.body.len());
}

#[test]
fn what_is_cut_is_named_and_all_of_it_is_in_the_parts() {
    let report = large(true);
    let comment = comment(&report, COMMENT_BYTES);
    assert!(comment.body.contains(&format!("*The list goes on in parts 2 to {} of this comment.*", comment.more.len() + 1)));
    let all = [comment.body.as_str()].into_iter().chain(comment.more.iter().map(String::as_str));
    let all: Vec<_> = all.inspect(|part| assert!(part.len() <= COMMENT_BYTES, "{}", part.len())).collect();
    assert!(all.iter().enumerate().skip(1).all(|(nth, part)| {
        part.lines().next().is_some_and(|line| line.contains(&format!("(part {} of {})", nth + 1, all.len())))
    }));
    let all = all.concat();
    let missing = (0..40)
        .flat_map(|region| (0..20).map(move |n| format!("`doc-{region}-{n}.yaml`")))
        .filter(|address| all.matches(address).count() < 6);
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn when_not_even_the_parts_hold_all_the_verdict_says_how_many_are_missing() {
    let comment = comment(&of_a_run(large(true)), 16_384);
    let said = comment.body.lines().find(|line| line.contains("are not listed here")).expect("the verdict says it");
    let number: usize =
        said.trim_matches('*').split(' ').next().and_then(|number| number.replace(',', "").parse().ok()).expect("a number first");
    let listed: usize = [&comment.body].into_iter().chain(&comment.more).map(|part| part.matches("`doc-").count()).sum();
    assert_eq!(number + listed, 4_800);
    assert!(
        said.ends_with("of 4,800 deletions and replacements are not listed here: they are in the step summary of this run.**"),
        "{said}"
    );
}

#[test]
fn every_budget_is_kept_and_every_cut_leaves_whole_markup() {
    for (name, report) in sample::situations().into_iter().chain([("busy", sample::busy()), ("large", large(false))]) {
        let more = if crate::fuzz::factor() > 1 { vec![16_384, 30_000] } else { Vec::new() };
        for budget in [0, 20_000, 250_000].into_iter().chain(more) {
            let body = comment(&report, budget).body;
            assert!(body.len() <= budget.max(16_384), "{name} at {budget}: {}", body.len());
            let lines = markup(&body);
            let count = |tag: &str| lines.iter().map(|line| line.matches(tag).count()).sum::<usize>();
            assert_eq!(count("<details>"), count("</details>"), "{name} at {budget}");
        }
    }
}

/// A fleet in which no two targets read the same.
fn fleet(stacks: usize, regions: usize) -> Status {
    let mut status = Status { head: Some(sample::HEAD.into()), at_ms: sample::AT_MS, ..Status::default() };
    let rows = sample::status().rows;
    for stack in 0..stacks {
        for region in 0..regions {
            let mut row = rows[(stack * 7 + region * stack) % 42].clone();
            row.target = sample::id(&format!("team-{}/stack-{stack}@prod/region-{region}", stack % 9));
            row.by = vec![format!("person-{}", stack * regions + region).into()];
            status.rows.push(row);
        }
    }
    status
}

#[test]
fn a_page_of_many_targets_stays_below_two_megabytes_and_says_what_it_leaves_out() {
    let page = page(&fleet(1_000, 10));
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("more: <code>isobar status --json</code>"));
}

#[test]
fn a_page_asks_for_nothing() {
    let page = page(&sample::status());
    assert!(
        page.contains("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">")
    );
    for asks in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(asks), "{asks}");
    }
    for shown in [
        "✗",
        "failed",
        "prod/ap-east-2 is held",
        "18 of 21 done, 1 failed",
        "≠ out-of-band: cdn/rule.yaml",
        "3 targets not checked",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn a_status_answers_first_and_folds_what_is_alike() {
    let text = status_text(&sample::status(), Style::Plain);
    assert!(
        text.starts_with(
            "36 of 42 targets applied, 1 failed, 1 unknown, 2 behind, 1 to be destroyed, 1 never applied · 2 drifted · 1 rollout stopped\n"
        ),
        "{text}"
    );
    assert!(text.contains("\n  apps/web in staging/us-east-1, prod/us-east-1, prod/us-west-2  applied          4be1d70 #42 approved by alice  2026-11-02 11:02 … 13:02 UTC"), "{text}");
}
