//! `isobar demo`: plays a pull request's life in a scratch repository: change, folded preview, policy, approval, waves, an edit
//! by hand found and put back, and an apply that is really killed half-way and goes on.

use super::court::Review;
use super::{apply, drift, graph, history_place, init, judge, preview, status};
use crate::exit::{Exit, Failure};
use crate::process;
use crate::report::schema_id;
use crate::review::{Decision, User};
use crate::workspace::Workspace;
use crate::world::{Environment, Stop, Terminal, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who changes things in the demo, who approves, and who merges.
const AUTHOR: &str = "linus";
const PLATFORM: &str = "ada";
const SRE: &str = "margaret";
/// Milliseconds a reader gets for a line, on a terminal.
const READ_MS_PER_LINE: u64 = 90;
/// Finished targets after which the apply is killed.
const KILL_AFTER: usize = 5;

/// The scratch repository and how we speak of it.
struct Stage<'a> {
    terminal: &'a Terminal,
    environment: Environment,
    root: PathBuf,
    pause: bool,
    /// What was played so far: title, and the command lines of each scene.
    played: Mutex<Vec<(String, Vec<String>)>>,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The scratch repository is made here, or in a temporary directory that is left to play with.
    pub into: Option<PathBuf>,
    /// Give a reader at a terminal time.
    pub pause: bool,
    /// Say only what was played, and where the repository is.
    pub json: bool,
}

/// Plays it.
pub async fn run(terminal: &Terminal, environment: &Environment, request: Request) -> Result<Exit, Failure> {
    let root = place(request.into)?;
    let mut environment = environment.clone();
    environment.variables.insert("ISOBAR_REVIEWS".into(), root.with_file_name("reviews.jsonl").to_string_lossy().into_owned());
    environment.variables.remove("GITHUB_ACTIONS"); // nothing here is anybody's production
    environment.variables.remove("ISOBAR_NOW_MS"); // each step is a run of its own, and later than the one before
    let pause = request.pause && !request.json && environment.stdout_is_terminal;
    let hushed = terminal.hushed();
    let heard = if request.json { &hushed } else { terminal };
    let stage = Stage { terminal: heard, environment, root, pause, played: Mutex::default() };

    stage.first_fleet().await?;
    stage.pull_request().await?;
    stage.approval().await?;
    stage.waves().await?;
    stage.drift().await?;
    stage.killed().await?;
    stage.farewell();
    if request.json {
        terminal.say(&format!("{}\n", stage.json()));
    }
    Ok(Exit::Clean)
}

fn place(into: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let cannot = |error: std::io::Error| Failure::World(format!("making the scratch repository: {error}"), None);
    let parent = match into {
        Some(dir) if dir.exists() => {
            return Err(Failure::usage(format!("{} is there already", dir.display()), "the demo wants a new directory"));
        }
        Some(dir) => dir,
        None => tempfile::Builder::new().prefix("isobar-demo-").tempdir().map_err(cannot)?.keep(),
    };
    let root = parent.join("fleet");
    std::fs::create_dir_all(&root).map_err(cannot)?;
    root.canonicalize().map_err(cannot)
}

impl Stage<'_> {
    async fn first_fleet(&self) -> Result<(), Failure> {
        self.scene(
            "1",
            "A monorepo: 3 stacks in 6 regions of two clouds",
            "base → network → edge, in staging and prod: 18 targets. It was applied once, so that there is something to change.",
        );
        let git = Workspace::init(&self.root, AUTHOR)?;
        init::write(&self.root, init::EXAMPLE)?;
        git.commit_all("Describe the fleet", AUTHOR)?;
        self.command("isobar graph");
        let world = self.world().await?;
        graph::run(&world, &graph::Request::default()).await?;
        let quiet = World { terminal: self.terminal.hushed(), ..world };
        let by = vec![yes(PLATFORM), yes(SRE)];
        preview::run(&quiet, &preview::Request::default()).await?;
        apply::run(&quiet, &apply::Request { reviews: by, ..apply::Request::default() }).await?;
        self.command("isobar status");
        status::run(&self.world().await?, &status::Request::default()).await?;
        self.read(24);
        Ok(())
    }

    async fn pull_request(&self) -> Result<(), Failure> {
        self.scene("2", "A pull request", "The gateway gets a new route everywhere, and Ireland alone a stricter rate limit. One preview, 6 regions, each distinct diff once.");
        let git = Workspace::open(&self.root)?;
        git.new_branch("faster-checkout")?;
        self.edit("edge/templates/routes.yaml.j2", |text| {
            text + "  - match: /checkout/v2\n    to: checkout-v2\n    timeout: 2s\n"
        })?;
        let narrower = "prod/eu-west-1:       { cloud: aws, weight: 3, labels: { tier: one }, vars: { rate_limit: 250,";
        self.edit("isobar.yaml", |text| {
            text.replace("prod/eu-west-1:       { cloud: aws, weight: 3, labels: { tier: one }, vars: {", narrower)
        })?;
        git.commit_all("Route the new checkout", AUTHOR)?;
        self.command("isobar preview          # on the branch, as it would be after the merge");
        preview::run(&self.world().await?, &preview::Request::default()).await?;
        self.read(60);
        Ok(())
    }

    async fn approval(&self) -> Result<(), Failure> {
        self.scene("3", "Approval", "The author cannot approve, and policy says what is missing. Then somebody of the team does, bound to exactly these changes.");
        self.command(&format!("isobar judge --review {AUTHOR}=approve"));
        self.judge(AUTHOR).await?;
        self.command(&format!("isobar judge --review {PLATFORM}=approve"));
        self.judge(PLATFORM).await?;
        self.read(30);
        Ok(())
    }

    async fn judge(&self, who: &str) -> Result<(), Failure> {
        let world = self.world().await?;
        let request = judge::Request { reviews: vec![yes(who)], ..judge::Request::default() };
        match judge::run(&world, &request).await {
            Err(refused @ (Failure::World(..) | Failure::Usage(..))) => self.terminal.say(&format!("{refused}\n")),
            ended => drop(ended?),
        }
        Ok(())
    }

    async fn waves(&self) -> Result<(), Failure> {
        self.scene(
            "4",
            "Merge and apply",
            "Staging first, then prod: a canary, Europe, the rest. Every wave is previewed and judged again before it starts.",
        );
        let git = Workspace::open(&self.root)?;
        git.switch("main")?;
        git.merge_branch("faster-checkout", AUTHOR)?;
        self.command("git switch main && git merge faster-checkout && isobar apply");
        apply::run(&self.world().await?, &apply::Request::default()).await?;
        self.read(40);
        Ok(())
    }

    async fn drift(&self) -> Result<(), Failure> {
        self.scene(
            "5",
            "Somebody edits a live file by hand",
            "Drift finds it, and puts it back: under the same policy as any change.",
        );
        let live = "live/staging/us-east-1/edge/routes.yaml";
        self.edit(live, |text| text.replacen("timeout:", "timeout: 30s #", 1))?;
        self.command("isobar drift");
        drift::run(&self.world().await?, &drift::Request::default()).await?;
        self.command("isobar drift --fix");
        drift::run(&self.world().await?, &drift::Request { fix: true, ..drift::Request::default() }).await?;
        self.read(40);
        Ok(())
    }

    async fn killed(&self) -> Result<(), Failure> {
        self.scene("6", "A runner dies in the middle", "An apply, as a process of its own, is killed without a warning. Nothing is guessed: the next run looks, and goes on.");
        let git = Workspace::open(&self.root)?;
        self.edit("isobar.yaml", |text| text.replace("owner: platform", "owner: platform-core"))?;
        git.commit_all("Rename the owning team", SRE)?;
        let quiet = World { terminal: self.terminal.hushed(), ..self.world().await? };
        preview::run(&quiet, &preview::Request { reviews: vec![yes(PLATFORM)], ..preview::Request::default() }).await?;

        self.command("isobar apply            # and kill -9 half-way");
        let finished = self.kill_half_way().await?;
        self.terminal.say(&format!("killed: {finished} targets had an outcome by then\n"));
        self.command("isobar status");
        status::run(&self.world().await?, &status::Request::default()).await?;
        self.read(30);
        self.command("isobar apply");
        apply::run(&self.world().await?, &apply::Request::default()).await?;
        self.command("isobar drift");
        drift::run(&self.world().await?, &drift::Request::default()).await?;
        self.read(40);
        Ok(())
    }

    /// Starts `isobar apply` as a child and ends its process group with SIGKILL once some targets have an outcome.
    async fn kill_half_way(&self) -> Result<usize, Failure> {
        let cannot = |what: &str, error: &dyn std::fmt::Display| Failure::World(format!("{what}: {error}"), None);
        let binary = std::env::current_exe().map_err(|error| cannot("finding this binary", &error))?;
        let argv: Vec<OsString> =
            [binary.as_os_str(), "apply".as_ref(), "--parallel".as_ref(), "1".as_ref()].map(OsString::from).to_vec();
        let env: BTreeMap<OsString, OsString> =
            self.environment.variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let command = process::Command {
            argv: &argv,
            env: &env,
            dir: &self.root,
            deadline: Duration::from_secs(60),
            input: None,
            mask: &|text| text.to_string(),
        };
        let journal = self.root.join(history_place::DIRECTORY).join("entries.jsonl");
        let before = outcomes(&journal);
        let enough = async {
            while outcomes(&journal) < before + KILL_AFTER {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            ended = process::run(command, std::future::pending()) => drop(ended.map_err(|error| cannot("starting the apply", &error))?),
            () = enough => {} // dropping the run ends its process group at once
        }
        Ok(outcomes(&journal) - before)
    }

    fn farewell(&self) {
        let root = self.root.display();
        self.scene("7", "Yours", "The scratch repository stays. Things to try:");
        self.terminal.say(&format!(
            "  cd {root}\n  isobar status --html .isobar/status.html  # what runs where, as a page\n  isobar why edge@prod/eu-west-1            # where each value comes from\n  $EDITOR network/stack.yaml && isobar preview\n  isobar hold prod/us-east-1 --until 4h --reason \"big sale\"\n\nin a repository of your own:\n  isobar init\n"
        ));
    }

    async fn world(&self) -> Result<World, Failure> {
        super::open(None, &self.root, Some(self.reviews()), self.environment.clone(), self.terminal.clone(), Stop::default())
            .await
    }

    fn reviews(&self) -> PathBuf {
        self.root.with_file_name("reviews.jsonl")
    }

    fn edit(&self, path: &str, change: impl Fn(String) -> String) -> Result<(), Failure> {
        let path = self.root.join(path);
        let cannot = |error: std::io::Error| Failure::World(format!("editing {}: {error}", path.display()), None);
        let before = std::fs::read_to_string(&path).map_err(cannot)?;
        let after = change(before.clone());
        if after == before {
            return Err(Failure::World(format!("the demo's edit of {} changes nothing", path.display()), None));
        }
        std::fs::write(&path, after).map_err(cannot)
    }

    fn scene(&self, number: &str, title: &str, about: &str) {
        self.played().push((title.into(), Vec::new()));
        self.terminal.say(&format!("\n━━ {number}. {title} ━━\n{about}\n"));
        self.read(4);
    }

    fn command(&self, line: &str) {
        if let Some((_, lines)) = self.played().last_mut() {
            lines.push(line.into());
        }
        self.terminal.say(&format!("\n$ {line}\n"));
    }

    fn played(&self) -> MutexGuard<'_, Vec<(String, Vec<String>)>> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn json(&self) -> Value {
        let scenes: Vec<Value> =
            self.played().iter().map(|(title, lines)| json!({ "title": title, "commands": lines })).collect();
        json!({ "schema": schema_id("demo"), "repository": self.root, "scenes": scenes })
    }

    /// Gives a reader at a terminal time for so many lines.
    fn read(&self, lines: u64) {
        if self.pause {
            std::thread::sleep(Duration::from_millis(READ_MS_PER_LINE * lines));
        }
    }
}

fn yes(who: &str) -> Review {
    Review { by: User(who.into()), decision: Decision::Approve, digest: None }
}

/// Counts the outcomes that a journal holds so far.
fn outcomes(journal: &Path) -> usize {
    let text = std::fs::read_to_string(journal).unwrap_or_default(); // not there yet: none
    text.lines().filter(|line| line.contains("\"finished\"")).count()
}
