//! Flags, environment and event to a request. Clap stays in here.

mod flags;
mod reference;

pub use reference::reference;

use crate::command;
use crate::exit::{Exit, Failure};
use crate::world::{Environment, Stop, Terminal, World};
use clap::{CommandFactory as _, Parser as _};
use flags::{ApplyArgs, Cli, DrawingArg, PreviewArgs, SchemaArg, SchemaArgs, Verb};
use std::ffi::OsString;

/// Runs the binary: parses, acts, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, as_json, &environment),
    };
    trace(&environment);
    let terminal = Terminal::new(&environment, cli.quiet, cli.no_color);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(act(cli, environment, terminal.clone())),
        Err(error) => Err(Failure::World(format!("starting the runtime: {error}"), None)),
    };
    match ended {
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

/// Says why a command line makes no sense; help and the version are no refusals.
fn refuse(error: &clap::Error, as_json: bool, environment: &Environment) -> u8 {
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

/// Writes what happens inside to standard error when `ISOBAR_LOG` asks for it, such as `ISOBAR_LOG=debug`: ids and counts only.
fn trace(environment: &Environment) {
    let Some(wanted) = environment.get("ISOBAR_LOG") else { return };
    let filter = tracing_subscriber::EnvFilter::new(wanted);
    let begun = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
    drop(begun); // a second start in one process keeps the first writer
}

async fn act(cli: Cli, environment: Environment, terminal: Terminal) -> Result<Exit, Failure> {
    let here = match &cli.directory {
        Some(directory) => directory.clone(),
        None => {
            std::env::current_dir().map_err(|error| Failure::World(format!("finding the current directory: {error}"), None))?
        }
    };
    match &cli.verb {
        Verb::Completions { shell } => return Ok(completions(*shell, &terminal)),
        Verb::Man { directory } => return man(directory),
        Verb::Schema(args) => return schema(args, &terminal),
        Verb::Demo(args) => return command::demo::run(&terminal, &environment, args.into.clone(), !args.no_pause).await,
        Verb::Init(args) => return command::init::run(&here, &terminal, args.example),
        _ => {}
    }
    let stop = Stop::default();
    listen(stop.clone());
    let world = command::open(&here, cli.reviews.clone(), environment, terminal, stop)?;
    verb(&world, cli.verb).await
}

async fn verb(world: &World, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Preview(args) => command::preview::run(world, &preview(args)?).await,
        Verb::Judge(args) => {
            let (selector, form, reviews) = args.read()?;
            command::judge::run(world, &command::judge::Request { selector, form, reviews }).await
        }
        Verb::Apply(args) => command::apply::run(world, &apply(args)?).await,
        Verb::Tick(args) => command::apply::tick(world, &apply(args)?).await,
        Verb::Drift(args) => {
            let (selector, form, reviews) = args.decide.read()?;
            let request =
                command::drift::Request { selector, form, reviews, fix: args.fix, parallel: args.parallel.unwrap_or(0) };
            command::drift::run(world, &request).await
        }
        Verb::Status(args) => {
            let (selector, json) = args.select.read()?;
            command::status::run(world, &command::status::Request { selector, json, html: args.html }).await
        }
        Verb::List(args) => {
            let (selector, json) = args.select.read()?;
            let request = command::list::Request { selector, json, changed: args.changed, base: args.base, head: args.head };
            command::list::run(world, &request).await
        }
        Verb::Graph(args) => {
            let drawing = match args.format {
                DrawingArg::Text => command::graph::Drawing::Text,
                DrawingArg::Dot => command::graph::Drawing::Dot,
                DrawingArg::Mermaid => command::graph::Drawing::Mermaid,
            };
            command::graph::run(world, drawing, args.targets, args.json).await
        }
        Verb::Why(args) => command::why::run(world, &args.target, args.base.as_deref(), args.json).await,
        Verb::Recover(args) => {
            let (selector, form) = args.read()?;
            command::recover::run(world, &command::recover::Request { selector, form }).await
        }
        Verb::Pause(args) => command::control::pause(world, &args.reason, args.json).await,
        Verb::Resume(args) => command::control::resume(world, args.json).await,
        Verb::Hold(args) => {
            let (until, reason) = (args.until.as_deref(), args.reason.as_deref());
            command::control::hold(world, &args.region, until, reason, args.release, args.json).await
        }
        Verb::Check(args) => command::check::run(world, args.json).await,
        Verb::Doctor(args) => command::doctor::run(world, args.json).await,
        Verb::Init(_) | Verb::Demo(_) | Verb::Schema(_) | Verb::Completions { .. } | Verb::Man { .. } => Ok(Exit::Clean), // acted before
    }
}

fn preview(args: PreviewArgs) -> Result<command::preview::Request, Failure> {
    let (selector, form, reviews) = args.decide.read()?;
    Ok(command::preview::Request {
        selector,
        form,
        base: args.base,
        head: args.head,
        all: args.all,
        reviews,
        exit_code: args.exit_code,
        parallel: args.parallel.unwrap_or(0),
    })
}

fn apply(args: ApplyArgs) -> Result<command::apply::Request, Failure> {
    let (selector, form, reviews) = args.decide.read()?;
    Ok(command::apply::Request { selector, form, reviews, parallel: args.parallel.unwrap_or(0) })
}

fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let which = match args.which {
        SchemaArg::Isobar => command::schema::Which::Fleet,
        SchemaArg::Stack => command::schema::Which::Stack,
        SchemaArg::Report => command::schema::Which::Report,
    };
    terminal.say(&format!("{:#}\n", command::schema::schema(which)?));
    Ok(Exit::Clean)
}

fn completions(shell: clap_complete::Shell, terminal: &Terminal) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "isobar", &mut text);
    terminal.say_made(&String::from_utf8_lossy(&text));
    Exit::Clean
}

fn man(directory: &std::path::Path) -> Result<Exit, Failure> {
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written
        .map(|()| Exit::Clean)
        .map_err(|error| Failure::World(format!("writing man pages to {}: {error}", directory.display()), None))
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
}
