//! Told to stop: nothing more starts, what is over is recorded, what is not is unknown, and the run ends within 7 seconds.
//! Tests begin in the order of their names: these wait for seconds, and begin early.

use crate::support::{Forge, Sandbox, app};
use isobar::change::{Applied, Outputs, Preview, Unseen};
use isobar::command::{self, Form};
use isobar::engine::{Boxed, Engine, Engines, Failure, Job, Sources};
use isobar::exit::Exit;
use isobar::runner::Sharing;
use isobar::stack::{Mistakes, Resolved, Stack, Uses};
use isobar::world::{Environment, Stop, Terminal, World};
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The promise is 7 s; what a busy machine takes to run us at all comes on top.
const SOON: Duration = Duration::from_secs(7 + 8);

#[test]
fn a_gate_that_is_asked_holds_nobody_up_and_the_next_run_asks_it_again() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let gate = "gates: [{ command: [sh, -c, \"[ -e asked ] || { touch asked; exec sleep 60; }\"] }]";
        let waves = format!(
            "rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}"
        );
        let fleet = app("prod/a prod/b", &waves);
        fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
        let mut child = fleet.start(&["apply"]);
        fleet.await_file("asked", &mut child);

        let (ran, took) = fleet.signal(child, signal);
        ran.ends(code).says("1 of 2 applied, 1 not started · stopped by a signal, 1 target is left");
        assert!(took < SOON, "{took:?}");
        assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
        fleet.pass_secs(1).isobar("apply").ends(0);
        assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    }
}

/// As a runner ends a job: it interrupts, and ends what is still there some seconds later.
#[test]
fn a_job_that_is_cancelled_tells_what_became_of_it_and_the_next_goes_on() {
    let gate = "gates: [{ command: [sh, -c, \"[ -e asked ] || { touch asked; exec sleep 60; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let fleet = app("prod/a prod/b", &format!("policy: [{{ rule: limit, targets_max: 10 }}]\n{waves}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/asked").commit("Ignore");
    let forge = Forge::of(fleet);
    forge.fleet.remove("asked");
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    let merged = forge.merge(number, "version-2");
    let mut child = forge.start_on_push(&before);
    forge.fleet.await_file("asked", &mut child);

    let (ran, took) = forge.fleet.signals(child, &["INT", "TERM"]);
    ran.ends(130).says("1 of 2 applied, 1 not started · stopped by a signal");
    assert!(took < SOON, "{took:?}");
    assert!(forge.comment(number).contains("1 of 2 applied, 1 not started"), "{}", forge.comment(number));
    assert!(forge.status(&merged, "isobar apply").contains("1 of 2 applied"), "{}", forge.status(&merged, "isobar apply"));
    let outputs = std::fs::read_to_string(forge.fleet.outside("outputs")).expect("it was written");
    assert!(outputs.contains("result=stopped\n"), "{outputs}");
    forge.fleet.pass_secs(1);
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2, prod/b 2");
    assert!(forge.comment(number).starts_with("### 2 of 2 applied"), "{}", forge.comment(number));
}

/// The documents engine, but that an apply in `prod/a` never comes back, and its thread neither.
struct Stuck {
    documents: Arc<dyn Engine>,
    begun: Arc<Notify>,
    /// Told to stop by the first look.
    stops: Option<Stop>,
    /// Told to stop by an apply that comes back.
    ends: Option<Stop>,
    /// Somebody says this while the first look is taken.
    says: Mutex<Option<Command>>,
}

impl Stuck {
    fn new(documents: Arc<dyn Engine>, begun: Arc<Notify>) -> Self {
        Self { documents, begun, stops: None, ends: None, says: Mutex::new(None) }
    }
}

impl Engine for Stuck {
    fn name(&self) -> &'static str {
        self.documents.name()
    }

    fn about(&self) -> &'static str {
        self.documents.about()
    }

    fn schema(&self) -> serde_json::Value {
        self.documents.schema()
    }

    fn check(&self, stack: &Stack, sources: &Sources, mistakes: &mut Mistakes, strict: &mut Mistakes) {
        self.documents.check(stack, sources, mistakes, strict);
    }

    fn reads(&self, stack: &Stack) -> Vec<Arc<str>> {
        self.documents.reads(stack)
    }

    fn uses(&self, stack: &Stack, sources: &Sources) -> Uses {
        self.documents.uses(stack, sources)
    }

    fn identity(&self, resolved: &Resolved) -> Option<String> {
        self.documents.identity(resolved)
    }

    fn preview<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>> {
        if let Some(stop) = &self.stops {
            stop.ask(15);
        }
        if let Some(mut command) = self.says.lock().expect("nobody panics").take() {
            assert!(command.status().expect("the program starts").success());
        }
        self.documents.preview(job)
    }

    fn apply<'a>(&'a self, job: &'a Job, preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>> {
        if job.target.region.id.as_str() != "prod/a" {
            if let Some(stop) = &self.ends {
                stop.ask(2);
            }
            return self.documents.apply(job, preview);
        }
        Box::pin(async {
            self.begun.notify_one();
            let parked = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(3600)));
            panic!("it came back: {:?}", parked.await)
        })
    }

    fn outputs<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Outputs, Failure>> {
        self.documents.outputs(job)
    }
}

/// The world of a sandbox, in this process, with the engine that never comes back; it says nothing.
fn stuck(fleet: &Sandbox, begun: &Arc<Notify>) -> World {
    let environment =
        Environment { variables: [("ISOBAR_NOW_MS".to_string(), fleet.now_ms().to_string())].into(), ..Environment::default() };
    let terminal = Terminal::new(&environment, true, true).hushed();
    let reviews = fleet.outside("home/.local/state/reviews.jsonl").into();
    let root = fleet.root();
    let opened = command::open(None, &root, Some(reviews), environment, terminal, Stop::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut world = runtime.block_on(opened).expect("a world");
    let documents = world.engines.get("documents").expect("it is embedded").clone();
    world.engines = Engines::new(vec![Arc::new(Stuck::new(documents, begun.clone()))]);
    world
}

#[test]
fn an_engine_that_never_comes_back_is_given_up_and_its_target_is_unknown() {
    let fleet = app("prod/a prod/b", "");
    let begun = Arc::new(Notify::new());
    let world = stuck(&fleet, &begun);
    let markdown = fleet.outside("report.md");
    let form = Form { markdown: Some(markdown.clone().into()), ..Form::default() };
    let request = command::apply::Request { form, ..command::apply::Request::default() };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let asked = runtime.block_on(async {
        let interrupt = async {
            begun.notified().await;
            world.stop.ask(15);
            Instant::now()
        };
        let (ran, asked) = tokio::join!(command::apply::run(&world, &request), interrupt);
        assert_eq!(ran, Ok(Exit::Unfinished));
        asked
    });
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    runtime.shutdown_background();

    let report = std::fs::read_to_string(markdown).expect("a report");
    assert!(report.contains("still running when the run had to end: isobar recover"), "{report}");
    fleet.pass_secs(1).isobar("status").ends(0).says("1 unknown").says("Writing now");
    assert_eq!(fleet.applied(), ["app@prod/b"], "what came back is recorded");
    fleet.isobar("recover").ends(1).says("isobar status"); // as long as the process lives, its thread may still write
}

#[test]
fn a_shard_that_gave_a_target_up_goes_on_with_nothing_else_and_keeps_its_lease() {
    let fleet = app("dev/x prod/a", "rollout: { dev: { bake: 1h }, prod: { after: dev } }");
    fleet.stack("web", "").file("web/templates/web.txt", "web 1\n").commit("More");
    fleet.isobar("apply app").ends(0);
    fleet.isobar("apply web").ends(0);
    fleet.pass_secs(7_200);
    let begun = Arc::new(Notify::new());
    let world = stuck(&fleet, &begun);
    let sharing = Sharing { shard: "1/1".parse().expect("a shard"), patience: Duration::ZERO, parallel: 0 };
    let request = command::apply::Request { sharing: Some(sharing), ..command::apply::Request::default() };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ran = runtime.block_on(async {
        let interrupt = async {
            begun.notified().await;
            world.stop.ask(15);
        };
        tokio::join!(command::apply::tick(&world, &request), interrupt).0
    });
    assert_eq!(ran, Ok(Exit::Unfinished));
    runtime.shutdown_background();

    fleet.pass_secs(1).isobar("status").ends(0).says("1 unknown").says("Writing now");
    assert_eq!(fleet.applied(), ["app@dev/x", "web@dev/x"], "the second rollout waits for another run");
    fleet.isobar("recover").ends(1).says("isobar status"); // the thread of the first may still write
}

#[test]
fn a_pause_that_somebody_asks_for_before_the_plan_is_a_wait_like_any_other() {
    let fleet = app("prod/b prod/c", "policy: [{ rule: limit, targets_max: 5 }]");
    let mut world = stuck(&fleet, &Arc::new(Notify::new()));
    let mut pause = fleet.program();
    pause.args(["pause", "--reason", "lunch"]).stdout(Stdio::null()).stderr(Stdio::null());
    let documents = world.engines.get("documents").expect("the wrapped one").clone();
    let says = Mutex::new(Some(pause));
    world.engines = Engines::new(vec![Arc::new(Stuck { says, ..Stuck::new(documents, Arc::new(Notify::new())) })]);
    let markdown = fleet.outside("report.md");
    let form = Form { markdown: Some(markdown.clone().into()), ..Form::default() };
    let sharing = Sharing { shard: "1/1".parse().expect("a shard"), patience: Duration::ZERO, parallel: 0 };
    let request = command::apply::Request { form, sharing: Some(sharing), ..command::apply::Request::default() };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    assert_eq!(runtime.block_on(command::apply::run(&world, &request)), Ok(Exit::Clean));
    let report = std::fs::read_to_string(markdown).expect("a report");
    assert!(report.contains("lunch") && report.contains("isobar resume"), "{report}");
    assert!(fleet.events("planned").is_empty());
}

#[test]
fn a_run_that_is_stopped_while_it_counts_the_change_plans_nothing() {
    let waves =
        "rollout: { prod: { waves: [{ name: one, regions: a }, { name: two, regions: b }, { name: three, regions: c }] } }";
    let fleet = app("prod/a prod/b prod/c", &format!("policy: [{{ rule: limit, targets_max: 2 }}]\n{waves}"));
    let begun = Arc::new(Notify::new());
    let mut world = stuck(&fleet, &begun);
    let documents = world.engines.get("documents").expect("the wrapped one").clone();
    world.engines = Engines::new(vec![Arc::new(Stuck { stops: Some(world.stop.clone()), ..Stuck::new(documents, begun) })]);

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ran = runtime.block_on(command::apply::run(&world, &command::apply::Request::default()));
    assert_eq!(ran, Ok(Exit::Unfinished));
    assert!(fleet.events("planned").is_empty(), "what was counted was but a part");
    drop(world);
    fleet.pass_secs(1).isobar("apply").ends(3).says("would touch 3 targets, and the limit is 2");
    assert_eq!(fleet.versions(), "prod/a -, prod/b -, prod/c -");
}

#[test]
fn a_run_that_is_stopped_when_all_is_done_does_not_say_that_something_goes_on() {
    let told = |regions: &str, more: &str| {
        let fleet = app(regions, more);
        let begun = Arc::new(Notify::new());
        let mut world = stuck(&fleet, &begun);
        let documents = world.engines.get("documents").expect("the wrapped one").clone();
        world.engines = Engines::new(vec![Arc::new(Stuck { ends: Some(world.stop.clone()), ..Stuck::new(documents, begun) })]);
        let markdown = fleet.outside("report.md");
        let form = Form { markdown: Some(markdown.clone().into()), ..Form::default() };
        let request = command::apply::Request { form, ..command::apply::Request::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(command::apply::run(&world, &request)).expect("an account");
        std::fs::read_to_string(markdown).expect("a report")
    };
    let report = told("prod/b", "");
    assert!(report.contains("1 of 1 applied") && report.contains("stopped by a signal, nothing is left"), "{report}");
    assert!(!report.contains("goes on where this stopped"), "{report}");
    let report = told("prod/b prod/c", "rollout: { prod: { waves: [{ name: one, regions: b }, { name: two, regions: c }] } }");
    assert!(report.contains("stopped by a signal, 1 target is left"), "{report}");
    assert!(report.contains("goes on where this stopped"), "{report}");
}

/// A fleet whose preview takes minutes: a hundred templates, each with as many steps as one may take.
fn slow() -> Sandbox {
    let fleet = app("prod/a", "").env("ISOBAR_LOG", "isobar=debug");
    for at in 0..100 {
        let text = "{% for a in range(1000) %}{% for b in range(250) %}{% endfor %}{% endfor %}";
        fleet.file(&format!("app/templates/slow-{at:02}.txt.j2"), &format!("{text}\n"));
    }
    fleet.commit("Slow");
    fleet
}

/// Starts a verb and returns when it looks at its target.
fn looking(fleet: &Sandbox, verb: &str) -> Child {
    let mut child = fleet.start(&[verb]);
    let log = fleet.outside("stderr");
    fleet
        .await_that("a look", &mut child, || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("previewing a level")));
    child
}

#[test]
fn a_preview_in_flight_is_left_at_once_whatever_the_verb() {
    let fleet = slow();
    for verb in ["preview", "apply", "drift"] {
        let (ran, took) = fleet.signal(looking(&fleet, verb), "INT");
        ran.ends(130);
        assert!(took < SOON, "{verb}: {took:?}");
    }
    assert!(fleet.events("applied").is_empty());
    assert_eq!(fleet.events("settled").len(), 1);
}

#[test]
fn a_pipe_that_nobody_reads_keeps_no_run_alive() {
    let regions: Vec<String> = (0..1_500).map(|at| format!("prod/{}-{at:04}", "r".repeat(45))).collect();
    let fleet = app(&regions.join(" "), "");
    let mut program = fleet.program();
    let mut child = program.arg("list").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut pipe = child.stdout.take().expect("it was asked for");
    pipe.read_exact(&mut [0]).expect("it begins to write, more than a pipe holds");

    let (ran, took) = fleet.signal(child, "TERM");
    ran.ends(143);
    assert!(took < SOON, "{took:?}");
}
