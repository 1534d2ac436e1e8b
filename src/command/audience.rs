//! Whoever hears of a report beyond the terminal: a change, a commit's check, an issue, and the later steps of a workflow. That one of them
//! cannot be told fails nothing: it is a warning, and the text stands in the summary and in the log.

use super::moved::Moved;
use super::out;
use super::say::count;
use crate::change::{Digest, inert};
use crate::exit::Failure;
use crate::host::{Check, CheckState, Comment, Deployed, DeployedState, Deployments, HostError, Issue, Issues, Posted, Turn};
use crate::report::{
    COMMENT_BYTES, CheckVerdict, Counts, Frame, Note, Report, Row, Told, check, comment, failure_annotations, failure_comment,
    report_json_text,
};
use crate::review::CommitSha;
use crate::stack::RegionId;
use crate::world::World;
use futures::future::{Either, select};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Characters of a check's name that say which targets it is about; what is longer is named by its digest.
const PART_CHARS: usize = 100;
/// Bytes of a comment that the host's own first line takes.
const MARKER_BYTES: usize = 400;
/// Characters of an owner's name in a title.
const TITLE_CHARS: usize = 80;
/// Regions that one run tells as deployments: each takes two of the 500 things that GitHub lets a token make in an hour.
const PLACES_MAX: usize = 100;
/// A step's summary above 1 MiB is dropped whole.
const SUMMARY_BYTES: u64 = 1 << 20;

/// Who hears of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// When it is told: where something newer was, it is not told.
    pub turn: Turn,
    /// The page of that run.
    pub address: Option<String>,
    /// The targets that all of it is about, as they were asked for; all when there are none. Who tells of some only writes beside who
    /// tells of others.
    pub part: Option<Arc<str>>,
    /// The changes that are told, by number.
    pub changes: Vec<u64>,
    /// The commit that is told of, and the name of its check.
    pub check: Option<(CommitSha, String)>,
    /// What came to the branch since somebody looked: where it touches what was shown, that is old.
    pub moved: Option<Moved>,
    /// What only waits does not hold the commit up: it was asked about before.
    pub is_past_waiting: bool,
    /// An issue that lasts until it is mended.
    pub topic: Option<Topic>,
    /// The branch that a change goes into.
    pub branch: Option<Arc<str>>,
    /// Each region that a commit is brought to is told as a deployment to an environment of its name.
    pub deployments: bool,
    /// Where a workflow's step tells people (`GITHUB_STEP_SUMMARY`).
    pub summary: Option<PathBuf>,
    /// Where it tells later steps (`GITHUB_OUTPUT`).
    pub outputs: Option<PathBuf>,
    /// Where the report is written as JSON.
    pub report: Option<PathBuf>,
}

/// What moved without us and belongs to somebody.
#[derive(Debug)]
pub(crate) struct Owned {
    /// `None` when nobody is named.
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) report: Report,
}

/// What an issue is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Something moved without us.
    Drift,
    /// An apply failed.
    Failure,
}

impl Audience {
    /// Which texts are replaced by this: those of the same key.
    fn key(&self) -> String {
        self.part.as_ref().map_or_else(|| "isobar".into(), |part| format!("isobar-{}", Digest::of("targets", &[part]).short()))
    }

    /// The name of a check: one of each `base`, for each part of the fleet that is told of apart.
    pub(crate) fn check_name(&self, base: &str) -> String {
        match &self.part {
            None => base.to_string(),
            Some(part) if part.chars().count() <= PART_CHARS => format!("{base}: {part}"),
            Some(part) => format!("{base}: {}", Digest::of("targets", &[part]).short()),
        }
    }

    /// Tells a report to everybody.
    pub(crate) async fn tell(&self, world: &World, report: &Report) {
        let mut framed = self.framed(report);
        let old = self.moved.as_ref().and_then(|moved| moved.say(&report.rows));
        framed.notes.splice(0..0, old.iter().map(|old| Note { warning: true, text: old.as_str().into() }));
        let made = comment(&framed, COMMENT_BYTES - MARKER_BYTES);
        let whole = made.whole.unwrap_or_else(|| made.body.clone());
        let parts = [made.body].into_iter().chain(made.more).collect();
        let (verdict, sentence) = check(report);
        let (verdict, sentence) = match (verdict, old) {
            (CheckVerdict::Good | CheckVerdict::Waits, Some(old)) => (CheckVerdict::Waits, old),
            (verdict, _) => (verdict, sentence),
        };
        let state = match verdict {
            CheckVerdict::Good => CheckState::Success,
            CheckVerdict::Waits if self.is_past_waiting => CheckState::Success,
            CheckVerdict::Waits => CheckState::Pending,
            CheckVerdict::Bad => CheckState::Failure,
        };

        self.write(world, &whole, report);
        if report.told == Told::Tick && report.rows.is_empty() {
            return self.raise(world, None).await; // nothing was open: what was told before is still so
        }
        self.tell_changes(world, parts).await;
        self.tell_check(world, state, sentence).await;
        self.raise(world, Some(&framed)).await;
        self.tell_deployed(world, report).await;
    }

    /// Tells where a commit was brought; whoever is asked to stop has no time for that.
    async fn tell_deployed(&self, world: &World, report: &Report) {
        let Some((commit, _)) = self.check.as_ref().filter(|_| self.deployments && is_apply(report.told)) else { return };
        let mut places = deployed(report);
        let more = places.len().saturating_sub(PLACES_MAX);
        places.truncate(PLACES_MAX);
        if places.is_empty() || world.stop.is_asked() {
            return;
        }
        if more > 0 {
            let more = count(more, "more region is", "more regions are");
            world.terminal.note(&format!("note: {PLACES_MAX} regions are told as deployments, which GitHub limits; {more} not"));
        }
        let deployments = Deployments { commit: commit.clone(), places, address: self.address.clone() };
        let telling = std::pin::pin!(world.host.deployed(&deployments));
        if let Either::Left((told, _)) = select(telling, std::pin::pin!(world.stop.wait())).await {
            heard(world, "what was deployed", told);
        }
    }

    /// Tells what moved without us, to each owner apart.
    pub(crate) async fn tell_drift(&self, world: &World, owned: &[Owned]) {
        let lasting = owned.iter().map(|Owned { owner, report }| Issue {
            part: owner.as_ref().map(|owner| Digest::of("owner", &[owner]).short().to_string()),
            title: owner.as_ref().map_or_else(|| "Drift".into(), |owner| format!("Drift: {}", titled(owner))),
            text: quiet(report),
        });
        self.tell_lasting(world, self.kind(Topic::Drift), lasting.collect()).await;
    }

    /// Tells of what goes on, to the changes, and at first in the check; returns whether all of it was heard. What was not is no warning:
    /// the end is told again.
    pub(crate) async fn tell_on(&self, world: &World, report: &Report, is_first: bool) -> bool {
        let framed = self.framed(report);
        let mut is_heard = true;
        if is_first && let Some((commit, check)) = self.checked(world, CheckState::Pending, &self::check(report).1) {
            is_heard &= world.host.check(commit, &check).await == Ok(Posted::Done);
        }
        let made = comment(&framed, COMMENT_BYTES - MARKER_BYTES);
        let parts = [made.body].into_iter().chain(made.more).collect();
        if let Some(comment) = self.commented(world, parts) {
            for number in &self.changes {
                is_heard &= world.host.comment(*number, &comment).await == Ok(Posted::Done);
            }
        }
        is_heard
    }

    fn framed(&self, report: &Report) -> Report {
        let links = self.address.iter().map(|address| ("run".into(), address.as_str().into())).collect();
        let frame = Frame { has_summary: self.summary.is_some(), branch: self.branch.clone(), links };
        Report { frame, ..report.clone() }
    }

    /// Tells that the command failed before there was a report.
    pub(crate) async fn tell_failure(&self, world: &World, told: Told, failure: &Failure) {
        let head = self.check.as_ref().map(|(commit, _)| commit.0.to_string()).unwrap_or_default();
        let text = failure_comment(told, &head, &failure.to_string());
        let sentence = inert(failure.to_string().lines().next().unwrap_or_default());

        if let Err(error) = self.summarize(&world.terminal.masked(&text)) {
            warn(world, &format!("the step's summary cannot be written: {error}"), None);
        }
        self.tell_changes(world, vec![text.clone()]).await;
        self.tell_check(world, CheckState::Error, sentence).await;
        let title = match self.topic {
            Some(_) if matches!(failure, Failure::Usage(..)) => return, // whoever asked for it is told in the log
            Some(Topic::Drift) => "Isobar cannot look for drift",
            Some(Topic::Failure) => "Isobar cannot apply",
            None => return,
        };
        self.tell_run(world, Some(Issue { part: None, title: title.into(), text })).await;
    }

    /// Says that a look has begun: whatever was said of this commit before is old.
    pub(crate) async fn tell_begun(&self, world: &World) {
        self.tell_check(world, CheckState::Pending, "previewing".into()).await;
    }

    /// Answers a command, which is a comment under a change, beside what is told of that.
    pub(crate) async fn answer(&self, world: &World, (number, asked): (u64, u64), head: CommitSha, text: &str) {
        let comment =
            Comment { key: format!("{}-answer-{asked}", self.key()), head, turn: self.turn, parts: vec![text.to_string()] };
        heard(world, &format!("#{number}"), world.host.comment(number, &comment).await);
    }

    async fn tell_changes(&self, world: &World, parts: Vec<String>) {
        let Some(comment) = self.commented(world, parts) else { return };
        for number in &self.changes {
            heard(world, &format!("#{number}"), world.host.comment(*number, &comment).await);
        }
    }

    fn commented(&self, world: &World, parts: Vec<String>) -> Option<Comment> {
        let (head, _) = self.check.as_ref()?;
        let parts: Vec<String> = parts.iter().map(|part| world.terminal.masked(part)).collect();
        Some(Comment { key: self.key(), head: head.clone(), turn: self.turn, parts })
    }

    async fn tell_check(&self, world: &World, state: CheckState, sentence: String) {
        let Some((commit, check)) = self.checked(world, state, &sentence) else { return };
        heard(world, &format!("the check of {}", commit.short()), world.host.check(commit, &check).await);
    }

    fn checked(&self, world: &World, state: CheckState, sentence: &str) -> Option<(&CommitSha, Check)> {
        let (commit, name) = self.check.as_ref()?;
        let sentence = world.terminal.masked(sentence);
        Some((commit, Check { name: name.clone(), state, sentence, turn: self.turn, address: self.address.clone() }))
    }

    /// Tells whether an apply failed, or that it ran at all, when this says nothing of that.
    async fn raise(&self, world: &World, report: Option<&Report>) {
        if self.topic != Some(Topic::Failure) {
            return;
        }
        let lasts = report.and_then(|report| {
            let counts = report.counts();
            let is_bad = counts.failed + counts.unknown > 0;
            let is_good = report.rows.len() == counts.applied + counts.unchanged;
            if is_bad { Some(Some(report)) } else { is_good.then_some(None) }
        });
        let Some(bad) = lasts else { return self.tell_run(world, None).await };
        let issue = |report| Issue { part: None, title: "An apply failed".into(), text: quiet(report) };
        self.tell_lasting(world, self.kind(Topic::Failure), bad.map(issue).into_iter().collect()).await;
    }

    /// Tells that there was no report at all, or that this is over.
    async fn tell_run(&self, world: &World, issue: Option<Issue>) {
        let Some(topic) = self.topic else { return };
        self.tell_lasting(world, format!("{}-run", self.kind(topic)), issue.into_iter().collect()).await;
    }

    fn kind(&self, topic: Topic) -> String {
        match topic {
            Topic::Drift => format!("{}-drift", self.key()),
            Topic::Failure => format!("{}-failure", self.key()),
        }
    }

    async fn tell_lasting(&self, world: &World, kind: String, mut lasting: Vec<Issue>) {
        for issue in &mut lasting {
            issue.title = world.terminal.masked(&issue.title);
            issue.text = world.terminal.masked(&issue.text);
        }
        let issues = Issues { kind, turn: self.turn, lasting };
        let titles: Vec<&str> = issues.lasting.iter().map(|issue| &*issue.title).collect();
        let who = if titles.is_empty() { "an issue that is over".into() } else { format!("the issue {}", titles.join(", ")) };
        heard(world, &who, world.host.issues(&issues).await);
    }

    /// What a workflow's step leaves: annotations in the log, its summary, and its outputs.
    fn write(&self, world: &World, text: &str, report: &Report) {
        failure_annotations(report).iter().for_each(|line| world.terminal.say_made(&format!("{line}\n")));
        let json = world.terminal.masked(&report_json_text(report));
        let written = self.report.as_deref().map_or(Ok(()), |path| out::write(path, &json));
        let told = self.summarize(&world.terminal.masked(text)).and_then(|()| self.put_out(report));
        let faults = [written.err().map(|failure| failure.to_string()), told.err().map(|error| error.to_string())];
        for fault in faults.into_iter().flatten() {
            warn(world, &format!("what later steps read could not be written: {fault}"), None);
        }
    }

    fn summarize(&self, text: &str) -> io::Result<()> {
        let Some(path) = &self.summary else { return Ok(()) };
        let there = path.metadata().map_or(0, |file| file.len());
        if there + text.len() as u64 > SUMMARY_BYTES {
            return Err(io::Error::other("it has no room for more"));
        }
        append(path, text)
    }

    fn put_out(&self, report: &Report) -> io::Result<()> {
        let Some(path) = &self.outputs else { return Ok(()) };
        let counts = report.counts();
        let numbers = [
            ("targets", counts.targets),
            ("changed", counts.change),
            ("applied", counts.applied),
            ("failed", counts.failed + counts.unknown + counts.unseen),
            ("waiting", counts.waiting + counts.not_started + counts.skipped + counts.denied),
            ("drifted", report.drift.as_ref().map_or(0, |drift| drift.findings.len())),
        ];
        let mut text: String = numbers.iter().map(|(name, number)| format!("{name}={number}\n")).collect();
        if let Some(report) = &self.report {
            text.push_str(&format!("report={}\n", report.display()));
        }
        append(path, &text)
    }

    /// Leaves values of ours to later steps: each of one line, with nothing of anybody else's in it.
    pub(crate) fn leave(&self, world: &World, values: &[(&str, String)]) {
        let Some(path) = &self.outputs else { return };
        let text: String = values.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        if let Err(error) = append(path, &text) {
            warn(world, &format!("what later steps read could not be written: {error}"), None);
        }
    }
}

/// The same again reads the same, so that nobody is called for nothing.
fn quiet(report: &Report) -> String {
    let quiet = Report { at_ms: None, journal: None, frame: Frame::default(), ..report.clone() };
    comment(&quiet, COMMENT_BYTES - MARKER_BYTES).body
}

fn is_apply(told: Told) -> bool {
    match told {
        Told::Apply | Told::Tick => true,
        Told::Preview | Told::Judge | Told::Drift | Told::Recover => false,
    }
}

/// How it went in each region that anything was brought to, those where something failed first.
fn deployed(report: &Report) -> Vec<Deployed> {
    let mut regions: BTreeMap<&RegionId, Vec<Row>> = BTreeMap::new();
    for row in &report.rows {
        regions.entry(&row.target.region).or_default().push(row.clone());
    }
    let place = |(region, rows): (&RegionId, Vec<Row>)| {
        let own = Report { rows, ..Report::new(report.told) };
        let counts = own.counts();
        let state = match counts {
            Counts { failed: 1.., .. } | Counts { unknown: 1.., .. } => DeployedState::Failure,
            Counts { applied: 0, .. } => return None,
            _ if counts.applied + counts.unchanged == counts.targets => DeployedState::Success,
            _ => DeployedState::GoesOn,
        };
        Some(Deployed { environment: region.to_string(), state, sentence: check(&own).1 })
    };
    let mut places: Vec<Deployed> = regions.into_iter().filter_map(place).collect();
    places.sort_by_key(|place| place.state != DeployedState::Failure); // stable: then by name
    places
}

/// As much of a name as a title has room for, on one line.
fn titled(name: &str) -> String {
    inert(name).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE_CHARS).collect()
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

fn heard(world: &World, who: &str, told: Result<Posted, HostError>) {
    match told {
        Ok(Posted::Done | Posted::Nowhere) => {}
        Ok(Posted::Overtaken) => world.terminal.note(&format!("note: {who} was told something newer, so this was left out")),
        Err(error) => warn(world, &format!("{who} was not told: {}", error.what), error.hint.as_deref()),
    }
}

/// A warning, on the page of the run as well.
fn warn(world: &World, what: &str, hint: Option<&str>) {
    let hint = hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
    world.terminal.complain(&format!("warning: {what}{hint}"));
}
