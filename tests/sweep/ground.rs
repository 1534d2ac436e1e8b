//! Where cases begin: a small fleet in a repository of its own, brought to the moment before each verb, once. Cases play in copies.

use super::actor::{Actor, Place, Ran, Typed};
use super::check::Standing;
use super::harm::{Fault, Harm, Point, Seam};
use super::play::play_whole;
use super::room::Room;
use super::wire::Wire;
use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use isobar::journal::Event;
use isobar::review::User;
use isobar::store::{FileStore, Store as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2026-11-22 09:00 UTC.
pub(super) const BEGIN_MS: u64 = 1_795_338_000_000;
/// What a tail has when it is closed; the file store's own bound.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Of one entry that only takes room.
const FILLER_BYTES: u64 = 1 << 20;

/// The moment before a verb, how it ends when nothing befalls it, and the calls that it makes on the way.
pub(crate) struct Scene {
    /// `apply/file`, and so on.
    pub(crate) name: String,
    /// What is typed.
    pub(crate) verb: &'static str,
    pub(crate) place: Place,
    pub(crate) now_ms: u64,
    pub(crate) key: Option<&'static str>,
    /// The last entry of its journal.
    pub(crate) begun: u64,
    pub(crate) points: Vec<Point>,
    pub(crate) micros: u64,
    pub(crate) whole: Standing,
}

/// All scenes, and what plays in them.
pub(crate) struct Ground {
    pub(crate) actor: Actor,
    pub(crate) scenes: Vec<Scene>,
    dir: PathBuf,
}

impl Ground {
    /// Prepares the scenes with these names below `dir`: the verb (or `close`, an apply in which a segment is closed), `-4` for as many
    /// targets at once, and where the journal lies, as `apply-4/git`. Those in a `bucket` need no seam on disk.
    pub(crate) fn prepare(isobar: &Path, seam: Option<Seam>, dir: &Path, names: &[&str]) -> Result<Self, String> {
        let actor = Actor { isobar: isobar.into(), seam, wire: Wire::start(dir) };
        let mut ground = Self { actor, scenes: Vec::new(), dir: dir.into() };
        for name in names {
            let scene = ground.scene(name).map_err(|error| format!("{name}: {error}"))?;
            ground.scenes.push(scene);
        }
        Ok(ground)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Scene> {
        self.scenes.iter().find(|scene| scene.name == name)
    }

    fn scene(&self, name: &str) -> Result<Scene, String> {
        let (what, journal) = name.split_once('/').ok_or("a scene is such as apply/file")?;
        let (what, parallel) = what.strip_suffix("-4").map_or((what, 1), |what| (what, 4));
        let (room, journal) = match journal {
            "bucket" => (Some(Room::new()), "gs://isobar-tests/journal"),
            "git" => (None, "git"),
            _ => (None, "file:.isobar/journal"),
        };
        let verb = match what {
            "tick" => "tick",
            "recover" => "recover",
            "drift" => "drift --fix",
            _ => "apply",
        };
        let place = Place { dir: self.dir.join(name.replace('/', "-")), room };
        let fleet = Fleet { actor: &self.actor, place, key: (what == "tick").then_some("sweep") };
        let waits = if what == "tick" { ", bake: 15m" } else { "" };
        let policy = if what == "drift" { "" } else { POLICY };
        fleet.begin(&format!(
            "version: 1\njournal: {journal}\nregions: {{ staging/a: {{}}, prod/b: {{}}, prod/c: {{}} }}\nrollout:\n  staging: {{ max_parallel: \
             {parallel} }}\n  prod: {{ after: staging, max_parallel: {parallel}, waves: [{{ name: first, regions: b{waits} }}, {{ name: rest, \
             regions: \"*\" }}] }}\n{policy}"
        ))?;
        fleet.is_good("preview", 0)?;
        fleet.is_good("apply --review bob=approve", 1)?;
        if what == "tick" {
            fleet.is_good("tick", 16 * 60)?;
        }
        let now = 2 * 60 * 60;
        match what {
            "drift" => fleet.stray()?,
            _ => {
                fleet.second_version()?;
                fleet.is_good("preview", now)?;
                fleet.is_good("judge --review bob=approve", now + 1)?;
            }
        }
        match what {
            "tick" => fleet.is_good("apply", now + 2)?,
            "recover" => fleet.is_killed_in_the_middle(now + 2)?,
            "close" => fleet.fill()?,
            _ => {}
        }

        let begun = fleet.head()?;
        let mut scene = Scene {
            name: name.into(),
            verb,
            now_ms: BEGIN_MS + (now + 60 * 60) * 1000,
            key: fleet.key,
            place: fleet.place,
            begun,
            points: Vec::new(),
            micros: 0,
            whole: Standing::default(),
        };
        let played = play_whole(&self.actor, &scene, &self.dir.join("whole"))?;
        (scene.points, scene.micros, scene.whole) = (played.points, played.micros, played.standing);
        Ok(scene)
    }
}

const POLICY: &str =
    "teams: { platform: [bob, carol] }\npolicy: [{ rule: approvals, require: [{ team: platform, count: 1 }] }]\n";

/// A fleet on its way to a scene.
struct Fleet<'a> {
    actor: &'a Actor,
    place: Place,
    key: Option<&'static str>,
}

impl Fleet<'_> {
    fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let path = self.place.repo().join(path);
        fs::create_dir_all(path.parent().ok_or("a file has a directory")?).map_err(told)?;
        fs::write(path, text).map_err(told)
    }

    /// The first version: two stacks that depend on each other in three regions, and one that will go.
    fn begin(&self, isobar_yaml: &str) -> Result<(), String> {
        for name in ["repo", "home", "tmp"] {
            fs::create_dir_all(self.place.dir.join(name)).map_err(told)?;
        }
        let mut options = RepositoryInitOptions::new();
        let repo =
            Repository::init_opts(self.place.repo(), options.initial_head("main").external_template(false)).map_err(told)?;
        let mut config = repo.config().map_err(told)?;
        for (name, value) in [("user.name", "ada"), ("user.email", "ada@isobar.example"), ("core.autocrlf", "false")] {
            config.set_str(name, value).map_err(told)?;
        }
        self.write("isobar.yaml", isobar_yaml)?;
        self.write(".gitignore", "/live/\n/.isobar/\n")?;
        self.stack("app", "all", "")?;
        self.write("app/templates/app.yaml.j2", "region: {{ region.name }}\nversion: 1\n")?;
        self.write("app/templates/keep.txt", "kept\n")?;
        self.write("app/templates/gone/old.txt", "to be deleted with its directory\n")?;
        self.stack("web", "all", "depends_on: [app]\n")?;
        self.write("web/templates/web.txt", "web 1\n")?;
        self.write("web/templates/more.txt", "more 1\n")?;
        self.stack("old", "{ region: prod/c }", "")?;
        self.write("old/templates/old.txt", "to be destroyed\n")?;
        self.write("old/templates/deep/down.txt", "to be destroyed too\n")?;
        self.commit("Begin")
    }

    /// The second version: documents are changed, made and deleted, a stack is destroyed and another is new.
    fn second_version(&self) -> Result<(), String> {
        self.write("app/templates/app.yaml.j2", "region: {{ region.name }}\nversion: 2\n")?;
        self.write("app/templates/fresh/new.txt", "new\n")?;
        self.write("web/templates/web.txt", "web 2\n")?;
        self.write("web/templates/more.txt", "more 2\n")?;
        for gone in ["app/templates/gone", "old"] {
            fs::remove_dir_all(self.place.repo().join(gone)).map_err(told)?;
        }
        self.stack("new", "{ region: prod/c }", "depends_on: [app]\n")?;
        self.write("new/templates/one.txt", "one\n")?;
        self.write("new/templates/two.txt", "two\n")?;
        self.commit("Second version")
    }

    /// Changes and removes by hand what was published.
    fn stray(&self) -> Result<(), String> {
        if let Some(room) = &self.place.room {
            room.meddle("live/prod/b/app/app.yaml", Some("by hand\n"));
            room.meddle("live/prod/b/app/keep.txt", Some("by hand too\n"));
            let gone = room.below("live/staging/a/app/").into_keys().map(|name| format!("live/staging/a/app/{name}"));
            gone.chain(["live/prod/c/web/web.txt".into()]).for_each(|name| room.meddle(&name, None));
            return Ok(());
        }
        self.write("live/prod/b/app/app.yaml", "by hand\n")?;
        self.write("live/prod/b/app/keep.txt", "by hand too\n")?;
        fs::remove_file(self.place.repo().join("live/prod/c/web/web.txt")).map_err(told)?;
        fs::remove_dir_all(self.place.repo().join("live/staging/a/app")).map_err(told)
    }

    fn stack(&self, name: &str, place: &str, more: &str) -> Result<(), String> {
        let root = if self.place.room.is_some() { "gs://isobar-tests" } else { "file:." };
        let destination = format!("{root}/live/${{{{ region.id }}}}/{name}");
        let text = format!("where: {place}\n{more}documents: {{ source: ./templates, destination: \"{destination}\" }}\n");
        self.write(&format!("{name}/stack.yaml"), &text)
    }

    fn commit(&self, message: &str) -> Result<(), String> {
        let repo = Repository::open(self.place.repo()).map_err(told)?;
        let mut index = repo.index().map_err(told)?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None).map_err(told)?;
        index.update_all(["*"], None).map_err(told)?;
        index.write().map_err(told)?;
        let tree = repo.find_tree(index.write_tree().map_err(told)?).map_err(told)?;
        let at = Time::new(i64::try_from(BEGIN_MS / 1000).map_err(told)?, 0);
        let who = Signature::new("ada", "ada@isobar.example", &at).map_err(told)?;
        let parent = repo.head().ok().and_then(|head| head.peel_to_commit().ok());
        repo.commit(Some("HEAD"), &who, &who, message, &tree, &parent.iter().collect::<Vec<_>>()).map(drop).map_err(told)
    }

    fn run(&self, line: &str, after_secs: u64, harm: Option<Harm>) -> Result<Ran, String> {
        let log = self.place.dir.join("preparing.log");
        let now_ms = BEGIN_MS + after_secs * 1000;
        // Where there is nothing to be harmed and nothing to be found, no log is needed.
        let log = (harm.is_some() || line == "apply").then_some(log);
        let ran =
            self.actor.run(&self.place, Typed { line, now_ms, key: self.key, harm, log: log.as_deref(), only_counts: false })?;
        log.map(|log| fs::remove_file(log).ok());
        Ok(ran)
    }

    fn is_good(&self, typed: &str, after_secs: u64) -> Result<(), String> {
        let ran = self.run(typed, after_secs, None)?;
        if ran.code == 0 { Ok(()) } else { Err(format!("isobar {typed} ended with {}\n{}{}", ran.code, ran.stdout, ran.stderr)) }
    }

    fn twin(&self) -> Result<Self, String> {
        let place = self.place.twin(&self.place.dir.with_extension("twin")).map_err(told)?;
        Ok(Self { place, ..*self })
    }

    /// An apply that dies when it has published the first of a target's documents.
    fn is_killed_in_the_middle(&self, after_secs: u64) -> Result<(), String> {
        let twin = self.twin()?;
        let ran = twin.run("apply", after_secs, None)?;
        fs::remove_dir_all(&twin.place.dir).map_err(told)?;
        let is_published = |point: &Point| match point.call.as_str() {
            "rename" => point.detail.ends_with("live/prod/b/app/app.yaml"),
            call => call == "PUT" && point.path == "live/prod/b/app/app.yaml",
        };
        let is_first = |point: &&Point| is_published(point);
        let at = ran.points.iter().find(is_first).ok_or("no document was published")?.number;
        let ran = self.run("apply", after_secs, Some(Harm { fault: Fault::After, at }))?;
        if ran.code == 137 { Ok(()) } else { Err(format!("it was not killed, but ended with {}", ran.code)) }
    }

    /// Fills the journal so far that it is closed in the middle of the next run.
    fn fill(&self) -> Result<(), String> {
        let journal = self.place.repo().join(".isobar/journal");
        let tail = journal.join("entries.jsonl");
        let length = || tail.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        let twin = self.twin()?;
        twin.is_good("apply", 3 * 60 * 60)?;
        let grown = twin.place.repo().join(".isobar/journal/entries.jsonl").metadata().map_err(told)?.len() - length();
        fs::remove_dir_all(&twin.place.dir).map_err(told)?;

        let store = FileStore::open(journal).map_err(told)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(told)?;
        let (by, run): (User, Arc<str>) = (User("ada".into()), "filler".into());
        while length() + grown / 2 < SEGMENT_BYTES {
            let room = SEGMENT_BYTES - grown / 2 - length();
            let reason = "x".repeat(usize::try_from(room.min(FILLER_BYTES)).map_err(told)?);
            let events =
                vec![Event::Paused { by: by.clone(), reason: reason.as_str().into() }, Event::Resumed { by: by.clone() }];
            runtime.block_on(store.append(events, &run, BEGIN_MS, None)).map_err(told)?;
        }
        Ok(())
    }

    /// The last entry of the journal.
    fn head(&self) -> Result<u64, String> {
        let ran = self.run("status --json", 3 * 60 * 60, None)?;
        let status: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}: {}", ran.stderr))?;
        status["journal"]["seq"].as_u64().ok_or_else(|| format!("no journal in {status}"))
    }
}

pub(super) fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
