//! The journal proven, exported, sealed: what an auditor does with it, and what somebody who would rather that it said otherwise
//! can do.

use crate::support::{APPROVALS, Ran, Sandbox, app};
use isobar::command;
use isobar::exit::{Exit, Failure};
use isobar::journal::{Entry, Event};
use isobar::review::User;
use isobar::stack::TargetId;
use isobar::store::{Anchor, Append, Audit, Boxed, FileStore, Held, Holder, Lease, Reader, Store, StoreError, Stored, Take};
use isobar::world::World;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn journal(fleet: &Sandbox) -> PathBuf {
    fleet.root().join(".isobar/journal/entries.jsonl")
}

fn head(ran: &Ran) -> String {
    let json = ran.json();
    format!("{}:{}", json["journal"]["seq"], json["journal"]["hash"].as_str().expect("a hash"))
}

/// Removes the last entries, by whole groups.
fn truncate(fleet: &Sandbox, entries: usize) {
    let text = fs::read_to_string(journal(fleet)).expect("a journal");
    let lines: Vec<&str> = text.lines().collect();
    let left = lines[..lines.len() - entries].join("\n") + "\n";
    fs::write(journal(fleet), left).expect("it can be forged");
}

#[test]
fn every_report_names_the_head_which_proves_later_that_nothing_is_gone() {
    let fleet = app("prod/a", "");
    let applied = head(&fleet.isobar("apply --json").ends(0));
    let last = fleet.journal_lines().pop().expect("entries");
    assert_eq!(applied, format!("{}:{}", last["seq"], last["hash"].as_str().expect("a hash")));
    for line in ["preview --json", "preview --all --json", "status --json", "recover --json"] {
        assert_eq!(head(&fleet.isobar(line)), applied, "{line} writes nothing and names it all the same");
    }
    fleet.isobar("status").says(&format!("journal head {applied}"));
    let comment = fleet.outside("comment.md");
    fleet.isobar(&format!("preview --all --markdown {comment}")).says(&format!("journal head {applied}"));
    assert!(fs::read_to_string(comment).expect("a comment").contains(&format!("journal head {applied}</sub>")));
    let drift = head(&fleet.isobar("drift --json").ends(0));
    assert_ne!(drift, applied, "a drift check is journalled");
    let paused = fleet.isobar("pause --reason lunch --json").ends(0);
    assert_ne!(head(&paused), drift);

    fleet.isobar(&format!("audit verify --anchor {applied} --anchor {drift}")).ends(0).says("2 anchors were met");
    truncate(&fleet, 3); // the pause, and the drift check
    fleet.isobar("audit verify").ends(0).says("that nothing is missing at the end is not proven");
    let found = fleet.isobar(&format!("audit verify --anchor {applied} --anchor {drift} --json")).ends(2).json();
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1));
    assert!(found["findings"][0]["means"].as_str().expect("a sentence").contains("entries at its end were removed"), "{found}");
    fleet.isobar("audit verify --anchor nonsense").ends(64);
}

#[test]
fn a_changed_line_is_found_by_its_place_and_with_what_to_do() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let text = fs::read_to_string(journal(&fleet)).expect("a journal");
    fs::write(journal(&fleet), text.replacen("\"ada\"", "\"eve\"", 1)).expect("it can be forged");
    fleet
        .isobar("audit verify")
        .ends(2)
        .says("entries.jsonl:1")
        .says("the line was changed after it was written")
        .says("next: restore");
}

#[test]
fn with_a_key_a_journal_written_anew_is_refused() {
    let mut fleet = app("prod/a", "").env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.isobar("apply").ends(0);
    fleet.isobar("audit verify").ends(0).says("ISOBAR_KEY sealed the newest, and so vouches for all");
    assert!(fleet.journal_lines().iter().all(|entry| entry["seal"].is_string()));

    fleet.without_env("ISOBAR_KEY");
    fleet.isobar("status").ends(0).says("applied");
    fleet.isobar("audit verify").ends(0).says("seals were not checked: ISOBAR_KEY is not set");
    fleet.isobar("pause --reason lunch").ends(1).says("the journal is sealed, and ISOBAR_KEY is not set");

    // Somebody who can write puts another journal in its place, made by the very same program without the key.
    fs::remove_dir_all(fleet.root().join(".isobar")).expect("it is there");
    fleet.isobar("apply").ends(0);
    let fleet = fleet.env("ISOBAR_KEY", "a key of thirty-two characters!!");
    for line in ["status", "preview", "apply"] {
        fleet.isobar(line).ends(1).says("no entry of the journal is sealed").says("isobar audit seal");
    }
    fleet.isobar("audit verify").ends(2).says("may have been written anew");
}

#[test]
fn a_key_begins_late_and_is_followed_by_another() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.isobar("audit seal").ends(64).says("ISOBAR_KEY is not set");

    let fleet = fleet.env("ISOBAR_KEY", "the first key, long enough to be one");
    fleet.isobar("status").ends(1);
    fleet.isobar("audit seal").ends(0).says("from entry");
    fleet.isobar("audit seal").ends(0).says("ISOBAR_KEY seals this journal already");
    fleet.isobar("audit verify").ends(0);
    fleet.version(1, 2);
    let last = head(&fleet.isobar("apply --json").ends(0));

    let fleet = fleet.env("ISOBAR_KEY", "the second key, long enough to be one");
    fleet.isobar("status").ends(1).says("sealed by another key than ISOBAR_KEY");
    fleet.isobar("audit seal").ends(1).says("ISOBAR_KEY_BEFORE");
    let mut fleet = fleet.env("ISOBAR_KEY_BEFORE", "not that key, though long enough to be");
    fleet.isobar("audit seal").ends(1).says("ISOBAR_KEY_BEFORE did not seal the journal");
    let lost = fleet.twin();
    fleet = fleet.env("ISOBAR_KEY_BEFORE", "the first key, long enough to be one");
    fleet.isobar("audit seal --json").ends(0);
    fleet.isobar("audit verify").ends(0);
    fleet.isobar("status").ends(0).says("All 1 target applied");

    // Whoever still has the key before is told that it was replaced, and cannot take the journal back.
    let first = fleet.twin().env("ISOBAR_KEY", "the first key, long enough to be one");
    let first = first.env("ISOBAR_KEY_BEFORE", "the second key, long enough to be one");
    for line in ["status", "apply", "audit seal"] {
        first.isobar(line).ends(1).says("another key took over the journal from ISOBAR_KEY").keeps_quiet_about("broken");
    }
    first
        .isobar("audit verify")
        .ends(2)
        .says("begins with another key")
        .says("the key was replaced there, or somebody without it");

    lost.isobar(&format!("audit seal --anchor {last}")).ends(0);
    lost.isobar("audit verify").ends(0);

    // Closing the journal with a key left nothing of it in the tail.
    let segments = fs::read_dir(fleet.root().join(".isobar/journal/segments")).expect("segments").count();
    assert_eq!(segments, 2, "one for each key that began");
    fleet.version(2, 3);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3");
    fleet.isobar("doctor").says("entries about 1 target;").says("are sealed");
}

#[test]
fn old_entries_go_and_what_they_said_stays_proven() {
    let fleet = app("prod/a", "");
    let applied = head(&fleet.isobar("apply --json").ends(0));
    fleet.isobar("audit compact --before 1d").ends(0).says("nothing to compact");
    fleet.isobar("audit compact --before 2099-01-01").ends(64).says("is yet to come");
    fleet.isobar("audit compact --before soon").ends(64);

    let mut fleet = fleet.env("ISOBAR_KEY", "the first key, long enough to be one");
    fleet.isobar("audit seal").ends(0); // a key that begins closes a segment
    fleet = fleet.env("ISOBAR_KEY_BEFORE", "the first key, long enough to be one");
    fleet = fleet.env("ISOBAR_KEY", "the second key, long enough to be one");
    fleet.isobar("audit seal").ends(0);
    fleet.pass_secs(10 * 24 * 3_600);
    fleet.isobar("audit compact --before 1d").ends(0).says("are gone, in 1 segment");
    fleet.isobar("audit compact --before 1d").ends(0).says("nothing to compact");

    let hash = applied.split(':').nth(1).expect("a hash");
    fleet.isobar("audit verify").ends(0).says("were compacted away");
    fleet
        .isobar(&format!("audit verify --anchor {applied}"))
        .ends(2)
        .says("The journal is not verified")
        .says("or somebody only made it look so")
        .says("taken after the compaction");
    fleet.isobar(&format!("audit verify --anchor {hash}")).ends(2).says("give it as NUMBER:HASH").keeps_quiet_about("anew");
    let unproven = fleet.isobar(&format!("audit verify --anchor {applied} --json")).ends(2).json();
    assert_eq!(
        (unproven["findings"].as_array().map(Vec::len), unproven["unproven"].as_array().map(Vec::len)),
        (Some(0), Some(1))
    );
    let refused = fleet.isobar(&format!("audit seal --anchor {applied}")).ends(1);
    refused.says("so no key vouches for the journal").says("taken after the compaction");
    let later = head(&fleet.isobar("status --json").ends(0));
    fleet.isobar(&format!("audit verify --anchor {later}")).ends(0).says("1 anchor was met");
    fleet.isobar("status").ends(0).says("All 1 target applied");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
    assert_eq!(fleet.isobar("audit export").ends(0).stdout.lines().count(), 1, "the first apply is a row no more");
}

#[test]
fn an_auditor_reads_who_approved_what_by_which_policy() {
    let fleet = app("prod/a", APPROVALS);
    let first = fleet.approved_apply("bob").json()["head"].as_str().expect("a commit").to_string();
    let second = fleet.version(1, 2);
    fleet.approved_apply("carol").ends(0);
    fleet.version(2, 3);
    fleet.isobar("preview");
    fleet.block("prod/a").isobar("apply --review bob=approve").ends(1);

    let exported = fleet.isobar("audit export").ends(0).stdout;
    let rows: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = |row: &serde_json::Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        (text("target"), text("outcome"), row["approved_by"][0].as_str().unwrap_or_default().to_string(), text("run_by"))
    };
    let row = |outcome: &str, by: &str| ("app@prod/a".to_string(), outcome.to_string(), by.to_string(), "ada".to_string());
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), [row("applied", "bob"), row("applied", "carol"), row("failed", "bob")]);
    assert_eq!((rows[0]["commit"].as_str(), rows[1]["commit"].as_str()), (Some(&*first), Some(&*second)));
    assert_eq!(rows[1]["policy"].as_str(), Some(&*first), "the policy of the commit before the change");
    let changes = [&rows[0], &rows[1]].map(|row| (row["changes"][0]["action"].clone(), row["changes"][0]["address"].clone()));
    assert_eq!(changes, [("create".into(), "app.yaml".into()), ("update".into(), "app.yaml".into())]);
    assert!(rows[2]["why"].as_str().is_some_and(|why| !why.is_empty()));
    assert!(rows[0]["approved_because"].as_str().is_some_and(|why| why.contains("bob")), "{}", rows[0]);

    assert_eq!(fleet.isobar("audit export --json").ends(0).stdout, exported, "--json is what every verb has");
    fleet.isobar("audit export --json --format csv").ends(64);
    let csv = fleet.isobar("audit export --format csv").ends(0).stdout;
    assert!(csv.starts_with("ended,started,target,outcome,why,intent,changes,"), "{csv}");
    assert!(csv.contains(",app@prod/a,applied,,converge,create app.yaml - -> "), "{csv}");
    assert_eq!(fleet.isobar("audit export --format csv").stdout, csv, "the same journal gives the same bytes");
    assert_eq!(fleet.isobar("audit export --since 2099-01-01").ends(0).stdout, "");
}

#[test]
fn what_was_started_and_never_ended_is_a_row_of_its_own() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started");
    let exported = fleet.isobar("audit export").ends(0).stdout;
    let rows: Vec<&str> = exported.lines().collect();
    assert!(rows.len() == 1 && rows[0].contains("\"outcome\":\"unknown\""), "{rows:?}");
    fleet.isobar("recover").ends(0);
    fleet.isobar("audit export").says("\"outcome\":\"recovered\"").says("(found by run ");
}

#[test]
fn a_killed_apply_that_the_next_one_closed_is_told_as_recovered() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started");
    std::fs::remove_dir_all(fleet.root().join("live")).expect("it was applied"); // there is something to do again
    fleet.pass_secs(60).isobar("apply").ends(0);
    let exported = fleet.isobar("audit export").ends(0).keeps_quiet_about("\"unknown\"").stdout;
    let rows: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.iter().map(|row| row["outcome"].as_str()).collect::<Vec<_>>(), [Some("recovered"), Some("applied")]);
    let why = format!("(found by run {}, 2026-11-22T09:01:", rows[1]["run"].as_str().expect("a run"));
    assert!(rows[0]["why"].as_str().is_some_and(|told| told.contains(&why)), "{}", rows[0]);
    assert_eq!(rows[0]["ended"], rows[1]["ended"]);
}

#[test]
fn every_line_of_a_real_journal_keeps_to_the_published_schema() {
    let fleet = app("prod/a prod/b", APPROVALS).env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.approved_apply("bob");
    fleet.isobar("drift").ends(0);
    fleet.isobar("hold prod/a --reason power --until 2h").ends(0);
    let schema = fleet.isobar("schema journal").ends(0).json();
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    for line in fleet.journal_lines() {
        let errors: Vec<String> = validator.iter_errors(&line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

#[test]
fn a_line_is_checked_with_the_commands_that_the_docs_show() {
    let fleet = app("prod/a", "").env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.isobar("apply").ends(0);
    let hash = r#"sed -n 1p "$0" | tr -d '\n' | sed 's/,"hash":"[0-9a-f]*"}$/}/' | sha256sum"#;
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/journal.md")).expect("the page");
    assert!(docs.contains(&hash.replace("\"$0\"", ".isobar/journal/entries.jsonl")), "the docs show another command");
    let ran = fleet.finish(fleet.command("/bin/sh").args(["-c", hash]).arg(journal(&fleet)));
    let said = ran.stdout.split_whitespace().next().unwrap_or_default().to_string();
    assert_eq!(Some(&*said), fleet.journal_lines()[0]["hash"].as_str());
}

/// A journal to which somebody without the key writes right after each of the first `times` audits, and of which a reading breaks
/// off after `handed_max` entries.
struct Overtaken {
    journal: Arc<dyn Store>,
    other: FileStore,
    times: usize,
    audits: AtomicUsize,
    handed_max: Option<u64>,
}

impl Store for Overtaken {
    fn audit<'a>(&'a self, anchors: &'a [Anchor]) -> Boxed<'a, Result<Audit, StoreError>> {
        Box::pin(async move {
            let audit = self.journal.audit(anchors).await?;
            if self.audits.fetch_add(1, Ordering::SeqCst) < self.times {
                let event = Event::Paused { by: User("eve".into()), reason: "nobody looked at this".into() };
                self.other.append(vec![event], &"other".into(), 7, None).await?;
            }
            Ok(audit)
        })
    }

    fn place(&self) -> String {
        self.journal.place()
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.journal.read()
    }

    fn each<'a>(&'a self, mut take: Take) -> Boxed<'a, Result<(), StoreError>> {
        let Some(max) = self.handed_max else { return self.journal.each(take) };
        Box::pin(async move {
            let entries = self.other.read().await?;
            entries.into_iter().filter(|entry| entry.seq <= max).for_each(&mut take);
            Err(StoreError::Io { what: "the service went away".into(), hint: None })
        })
    }

    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.journal.write(append)
    }

    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        self.journal.acquire(targets, holder)
    }

    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>> {
        self.journal.release(lease)
    }

    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>> {
        self.journal.holders()
    }

    fn free<'a>(
        &'a self,
        of: &'a str,
        event: Event,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Vec<TargetId>, StoreError>> {
        self.journal.free(of, event, run, at_ms)
    }

    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>> {
        self.journal.may_append()
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        self.journal.save(stored)
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        self.journal.saved_as(read)
    }
}

fn overtaken(fleet: &Sandbox, world: &mut World, times: usize, handed_max: Option<u64>) -> Arc<Overtaken> {
    let other = FileStore::open(fleet.root().join(".isobar/journal")).expect("it is there");
    let journal = world.store.clone();
    let overtaken = Arc::new(Overtaken { journal, other, times, audits: AtomicUsize::new(0), handed_max });
    world.store = overtaken.clone();
    overtaken
}

#[test]
fn a_key_follows_another_only_where_every_seal_before_was_checked() {
    const KEYS: [&str; 3] =
        ["the first key, long enough to be one", "the second key, long enough to be one", "the third key, long enough too"];
    let mut fleet = app("prod/a", "").env("ISOBAR_KEY", KEYS[0]);
    fleet.isobar("apply").ends(0);
    let first = u64::try_from(fleet.journal_lines().len()).expect("few");
    fleet = fleet.env("ISOBAR_KEY", KEYS[1]).env("ISOBAR_KEY_BEFORE", KEYS[0]);
    fleet.isobar("audit seal").ends(0);

    // The first key sealed a part; the second, which is not the key before, sealed what the reading does not come to.
    let keys = [("ISOBAR_KEY", KEYS[2]), ("ISOBAR_KEY_BEFORE", KEYS[0])];
    let (runtime, mut world) = fleet.world(&keys);
    let cut = overtaken(&fleet, &mut world, 0, Some(first));
    match runtime.block_on(command::audit::seal(&world, &[], false)) {
        Err(Failure::World(what, _)) => assert!(what.contains("the service went away"), "{what}"),
        other => panic!("{other:?}"),
    }
    let entries = runtime.block_on(cut.other.read()).expect("it is whole");
    assert_eq!(entries.iter().filter(|entry| matches!(entry.event, Event::KeyBegan { .. })).count(), 1);
}

#[test]
fn a_key_vouches_for_no_entry_that_came_after_the_audit() {
    for (times, audits) in [(0, 1), (1, 2), (4, 5), (99, 5)] {
        let fleet = app("prod/a", "");
        fleet.isobar("apply").ends(0);
        let (runtime, mut world) = fleet.world(&[("ISOBAR_KEY", "a key of thirty-two characters!!")]);
        let overtaken = overtaken(&fleet, &mut world, times, None);

        let sealed = runtime.block_on(command::audit::seal(&world, &[], false));
        assert_eq!(overtaken.audits.load(Ordering::SeqCst), audits, "{times}: each is looked at before a key vouches for it");
        let entries = runtime.block_on(overtaken.other.read()).expect("it is whole");
        let began = entries.iter().filter(|entry| matches!(entry.event, Event::KeyBegan { .. })).count();
        match sealed {
            Ok(exit) => assert_eq!((exit, began, times < audits), (Exit::Clean, 1, true)),
            Err(Failure::World(what, Some(_))) => {
                assert_eq!((what.contains("while it was audited"), began, times), (true, 0, 99), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
}
