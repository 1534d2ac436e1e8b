//! Flags, environment and event to a request. Clap stays in here.

mod event;
mod flags;
mod reference;

pub use reference::reference;

use crate::command::init::What;
use crate::command::{self, STOP_PATIENCE};
use crate::exit::{Exit, Failure};
use crate::world::{Environment, Stop, Terminal, World};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use flags::{
    AloneVerb, ApplyArgs, AuditVerb, Cli, DrawingArg, ExportFormat, FleetVerb, ManArgs, PreviewArgs, SchemaArg, SchemaArgs, Verb,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs the binary: parses, acts, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(belonging(error), as_json, &environment),
    };
    trace(&environment);
    let terminal = Terminal::new(&environment, cli.quiet, cli.no_color);
    let ended = match start(cli, environment, terminal.clone()) {
        Ok(ended) => ended,
        Err(error) => Err(Failure::World(format!("starting the runtime: {error}"), None)),
    };
    match ended.and_then(|exit| was_told(exit, &terminal)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            if as_json {
                command::say_failure(&terminal, &failure);
            }
            terminal.complain(&failure.to_string());
            failure.code()
        }
    }
}

/// A result that nobody could read whole is none, whatever came of the work.
fn was_told(exit: Exit, terminal: &Terminal) -> Result<Exit, Failure> {
    let Some(why) = terminal.unsaid().filter(|_| !matches!(exit, Exit::Interrupted(_))) else { return Ok(exit) };
    let what = format!("writing to standard output: {why}; what was written there is not whole");
    Err(Failure::World(what, Some("free some space there; what was done stands, and isobar status tells it".into())))
}

/// Verbs that a tip names at most: a flag of more is no flag of theirs.
const OWNERS_MAX: usize = 2;

/// Tells of a flag that another verb has whose it is, in the place of a guess.
fn belonging(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = flag.split('=').next().unwrap_or(flag).to_string();
    let has =
        |verb: &&clap::Command| verb.get_arguments().any(|it| it.get_long().is_some_and(|long| flag == format!("--{long}")));
    let cli = Cli::command();
    let owners: Vec<String> = cli.get_subcommands().filter(has).map(|verb| format!("isobar {}", verb.get_name())).collect();
    if error.kind() == ErrorKind::UnknownArgument && (1..=OWNERS_MAX).contains(&owners.len()) {
        error.remove(ContextKind::SuggestedArg);
        let tip = format!("{flag} belongs to {}", owners.join(" and "));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Says why a command line makes no sense; help and the version are no refusals.
fn refuse(error: clap::Error, as_json: bool, environment: &Environment) -> u8 {
    let _closed_pipe = error.print();
    if !error.use_stderr() {
        return 0;
    }
    let text = error.to_string();
    let what: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")).unwrap_or("isobar help shows what makes sense");
    let failure = Failure::usage(what.join(" ").trim_start_matches("error: "), tip);
    if as_json {
        command::say_failure(&Terminal::new(environment, false, true), &failure);
    }
    failure.code()
}

/// A run that was told to stop ends within 7 s, whatever it is doing; the last part of them is for the process to end in.
const STOP_DEADLINE: Duration = Duration::from_millis(6_500);
const _: () = assert!(STOP_PATIENCE.as_millis() < STOP_DEADLINE.as_millis());
/// For the last words of a run that did not end by itself: the pipe it hangs on may be the one they go to.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long a shard waits for others that write nothing.
const SILENCE_MAX: Duration = Duration::from_secs(15 * 60);
/// Bytes of stack, as the first thread of a program has.
const STACK: usize = 8 * 1024 * 1024;

/// Works on a thread of its own, while this one listens for signals: when this one returns, nothing that still hangs on a disk, a
/// pipe or an engine keeps the process alive.
fn start(cli: Cli, environment: Environment, terminal: Terminal) -> std::io::Result<Result<Exit, Failure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ears = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, listens, said) = (Stop::default(), matches!(cli.verb, Verb::Fleet(_)), terminal.clone());
    let (tell, told) = tokio::sync::oneshot::channel();
    let heard = stop.clone();
    let work = std::thread::Builder::new().name("isobar".into()).stack_size(STACK).spawn(move || {
        let nobody_waits = tell.send(runtime.block_on(act(cli, environment, terminal, heard)));
        drop(nobody_waits);
        runtime.shutdown_background();
    })?;

    let ended = ears.block_on(async {
        if listens {
            listen(stop.clone());
        }
        tokio::select! {
            biased;
            ended = told => ended.ok(),
            () = stop.wait_out(STOP_DEADLINE) => {
                std::thread::spawn(move || said.complain("stopped before all was told; isobar status shows what is recorded"));
                tokio::time::sleep(LAST_WORDS).await;
                stop.asked().map(|signal| Ok(Exit::Interrupted(signal)))
            }
        }
    });
    match ended {
        Some(ended) => Ok(ended),
        None => match work.join() {
            Ok(()) => Err(std::io::Error::other("the run ended without a word")),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Writes what happens inside to standard error when `ISOBAR_LOG` asks for it, such as `ISOBAR_LOG=debug`: ids and counts only.
fn trace(environment: &Environment) {
    let Some(wanted) = environment.get("ISOBAR_LOG") else { return };
    let filter = tracing_subscriber::EnvFilter::new(wanted);
    let begun = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
    drop(begun); // a second start in one process keeps the first writer
}

async fn act(cli: Cli, environment: Environment, terminal: Terminal, stop: Stop) -> Result<Exit, Failure> {
    let of_step = environment.get("INPUT_WORKING_DIRECTORY").filter(|_| is_action(&cli.verb)).map(PathBuf::from);
    let here = match cli.directory.clone().or(of_step) {
        Some(directory) => directory,
        None => {
            std::env::current_dir().map_err(|error| Failure::World(format!("finding the current directory: {error}"), None))?
        }
    };
    let verb = match cli.verb {
        Verb::Fleet(verb) => verb,
        Verb::Alone(verb) => return alone(verb, &here, &environment, &terminal).await,
    };
    let given_up = match &*verb {
        FleetVerb::Recover(args) => args.give_up.clone(),
        _ => None,
    };
    let (world, closed) = command::open_anyway(given_up.as_deref(), &here, cli.reviews, environment, terminal, stop).await?;
    let exit = of_fleet(&world, *verb, closed).await?;
    Ok(world.stop.asked().map_or(exit, Exit::Interrupted))
}

fn is_action(verb: &Verb) -> bool {
    matches!(verb, Verb::Fleet(verb) if matches!(**verb, FleetVerb::Action))
}

async fn alone(verb: AloneVerb, here: &Path, environment: &Environment, terminal: &Terminal) -> Result<Exit, Failure> {
    match verb {
        AloneVerb::Init(args) => {
            let what = match (args.github, args.simple, args.example) {
                (true, is_simple, _) => What::Workflows { is_simple, action: args.action },
                (false, _, true) => What::Example,
                (false, _, false) => What::Starter,
            };
            command::init::run(here, terminal, &what, args.json)
        }
        AloneVerb::Demo(args) => {
            let request = command::demo::Request { into: args.into, pause: !args.no_pause, json: args.json };
            command::demo::run(terminal, environment, request).await
        }
        AloneVerb::Schema(args) => schema(&args, terminal),
        AloneVerb::Completions { shell } => Ok(completions(shell, terminal)),
        AloneVerb::Man(args) => man(&args, terminal),
    }
}

/// Only the doctor goes on where the journal is `closed`.
async fn of_fleet(world: &World, verb: FleetVerb, closed: Option<Failure>) -> Result<Exit, Failure> {
    if let (false, Some(closed)) = (matches!(verb, FleetVerb::Doctor(_)), &closed) {
        return Err(closed.clone());
    }
    match verb {
        FleetVerb::Preview(args) => command::preview::run(world, &preview(args)?).await,
        FleetVerb::Judge(args) => {
            let (selector, form, reviews) = args.read()?;
            command::judge::run(world, &command::judge::Request { selector, form, reviews, of: None }).await
        }
        FleetVerb::Apply(args) => command::apply::run(world, &apply(args)?).await,
        FleetVerb::Tick(args) => command::apply::tick(world, &apply(args)?).await,
        FleetVerb::Drift(args) => {
            let (selector, form, reviews) = args.decide.read()?;
            let request = command::drift::Request {
                selector,
                form,
                reviews,
                fix: args.fix,
                parallel: args.parallel.unwrap_or(0),
                only_news: false,
            };
            command::drift::run(world, &request).await
        }
        FleetVerb::Simulate(args) => command::simulate::run(world, &args.read()?).await,
        FleetVerb::Status(args) => command::status::run(world, &args.read()?).await,
        FleetVerb::List(args) => {
            let (selector, json) = args.select.read()?;
            let request = command::list::Request { selector, json, changed: args.changed, base: args.base, head: args.head };
            command::list::run(world, &request).await
        }
        FleetVerb::Matrix(args) => {
            let (selector, json) = args.select.read()?;
            let request = command::matrix::Request { selector, json, base: args.base, head: args.head, shards: args.shards };
            command::matrix::run(world, &request).await
        }
        FleetVerb::Graph(args) => {
            let drawing = match args.format {
                DrawingArg::Text => command::graph::Drawing::Text,
                DrawingArg::Dot => command::graph::Drawing::Dot,
                DrawingArg::Mermaid => command::graph::Drawing::Mermaid,
            };
            let (selector, json) = args.select.read()?;
            command::graph::run(world, &command::graph::Request { selector, json, drawing, targets: args.each }).await
        }
        FleetVerb::Why(args) => command::why::run(world, &args.target, args.base.as_deref(), args.json).await,
        FleetVerb::Recover(args) => {
            let (selector, form) = args.tell.read()?;
            let testimony = match (args.release, args.give_up, args.reason) {
                (Some(run), _, Some(reason)) => Some(command::recover::Testimony::Release { run, reason }),
                (None, Some(place), Some(reason)) => Some(command::recover::Testimony::GiveUp { place, reason }),
                (_, _, _) => None,
            };
            command::recover::run(world, &command::recover::Request { selector, form, testimony }).await
        }
        FleetVerb::Pause(args) => command::control::pause(world, &args.reason, args.json).await,
        FleetVerb::Resume(args) => command::control::resume(world, args.json).await,
        FleetVerb::Hold(args) => {
            let (until, reason) = (args.until.as_deref(), args.reason.as_deref());
            command::control::hold(world, &args.region, until, reason, args.release, args.json).await
        }
        FleetVerb::Audit(AuditVerb::Verify(args)) => command::audit::verify(world, &args.anchor, args.json).await,
        FleetVerb::Audit(AuditVerb::Seal(args)) => command::audit::seal(world, &args.anchor, args.json).await,
        FleetVerb::Audit(AuditVerb::Compact(args)) => command::audit::compact(world, &args.before, args.json).await,
        FleetVerb::Audit(AuditVerb::Export(args)) => {
            let format = match args.format {
                ExportFormat::Json => command::audit::Format::Json,
                ExportFormat::Csv => command::audit::Format::Csv,
            };
            command::audit::export(world, args.since.as_deref(), format).await
        }
        FleetVerb::Action => command::action::run(world, &event::request(&world.environment)?).await,
        FleetVerb::Check(select) => {
            let (selector, json) = select.read()?;
            command::check::run(world, &selector, json).await
        }
        FleetVerb::Doctor(select) => {
            let (selector, json) = select.read()?;
            command::doctor::run(world, &selector, json, closed.as_ref()).await
        }
    }
}

fn preview(args: PreviewArgs) -> Result<command::preview::Request, Failure> {
    let (selector, form, reviews) = args.decide.read()?;
    let part = args.shard.zip(args.part).map(|(shard, path)| command::Parting::Write(shard, path));
    let parting = part.or(args.parts.map(command::Parting::Read));
    Ok(command::preview::Request {
        selector,
        form,
        base: args.base,
        head: args.head,
        all: args.all,
        reviews,
        change: None,
        exit_code: args.exit_code,
        parallel: args.parallel.unwrap_or(0),
        parting,
    })
}

fn apply(args: ApplyArgs) -> Result<command::apply::Request, Failure> {
    let (selector, form, reviews) = args.decide.read()?;
    let patience = args.wait.unwrap_or(SILENCE_MAX);
    let sharing = args.shard.map(|shard| command::Sharing { shard, patience, parallel: args.parallel.unwrap_or(0) });
    Ok(command::apply::Request {
        selector,
        form,
        reviews,
        parallel: args.parallel.unwrap_or(0),
        sharing,
        time_left: args.time_left,
    })
}

fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let which = match args.which {
        SchemaArg::Isobar => command::schema::Which::Fleet,
        SchemaArg::Stack => command::schema::Which::Stack,
        SchemaArg::Report => command::schema::Which::Report,
        SchemaArg::Journal => command::schema::Which::Journal,
    };
    let schema = command::schema::schema(which)?;
    terminal.say(&if args.json { format!("{schema}\n") } else { format!("{schema:#}\n") });
    Ok(Exit::Clean)
}

fn completions(shell: clap_complete::Shell, terminal: &Terminal) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "isobar", &mut text);
    terminal.say_made(&String::from_utf8_lossy(&text));
    Exit::Clean
}

fn man(args: &ManArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let directory = &args.directory;
    let cannot = |error| Failure::World(format!("writing man pages to {}: {error}", directory.display()), None);
    std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory)).map_err(cannot)?;
    if args.json {
        let entries = std::fs::read_dir(directory).map_err(cannot)?.collect::<Result<Vec<_>, _>>().map_err(cannot)?;
        let pages = entries.iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "1"));
        let mut pages: Vec<String> = pages.map(|path| path.display().to_string()).collect();
        pages.sort();
        command::say_written(terminal, "man", &pages);
    }
    Ok(Exit::Clean)
}

/// Turns SIGINT and SIGTERM into a wish to stop.
fn listen(stop: Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    for (kind, number) in [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)] {
        let Ok(mut signals) = signal(kind) else { continue };
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.ask(number);
            }
        });
    }
    // A file that may not grow any more (ulimit -f) is an error with words, and not an end without any.
    let _heard = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}
