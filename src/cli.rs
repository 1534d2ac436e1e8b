//! Flags, environment and event to a request. Clap stays in here.

use crate::command::{self, Anchor, Form, Review, Selector};
use crate::exit::{CODES, Exit, Failure};
use crate::world::{Environment, Stop, Terminal, World};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps every region of a fleet equal to what the repository says.
#[derive(Parser, Debug)]
#[command(name = "isobar", version, about, after_help = after_help(), max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Work in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Say only results and failures
    #[arg(short, long, global = true)]
    quiet: bool,
    /// No colour, even on a terminal
    #[arg(long, global = true)]
    no_color: bool,
    /// File of local reviews, outside the working tree
    #[arg(long, global = true, env = "ISOBAR_REVIEWS", value_name = "FILE")]
    reviews: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// What would change, in every region, and what policy says of it
    Preview(PreviewArgs),
    /// Policy again on the previews that were shown; starts no engine
    Judge(JudgeArgs),
    /// Brings every target to the head of the code, in waves
    Apply(ApplyArgs),
    /// What moved without us; --fix puts it back
    Drift(DriftArgs),
    /// Goes on with rollouts that wait for a bake or a gate
    Tick(ApplyArgs),
    /// What runs where: revision, when, by whom, drift, and what waits for what
    Status(StatusArgs),
    /// The targets, or with --changed those that a change touches
    List(ListArgs),
    /// Which stack waits for which, as text, DOT or Mermaid
    Graph(GraphArgs),
    /// Why a target is touched or not, where its values come from, what it waits for
    Why(WhyArgs),
    /// Explains every unknown outcome and closes it by a fresh preview
    Recover(RecoverArgs),
    /// Starts nothing new anywhere until resume
    Pause(PauseArgs),
    /// Ends a pause, and lets stopped rollouts go on
    Resume(JsonArgs),
    /// Skips one region until a time, or until released
    Hold(HoldArgs),
    /// Proves the journal, exports it for an auditor, seals it with a key, compacts it
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Reads the definitions only: every mistake with its line
    Check(JsonArgs),
    /// Writes a commented starter fleet into this repository
    Init(InitArgs),
    /// Plays a pull request's life in a scratch repository
    Demo(DemoArgs),
    /// What is missing on this machine or in this repository, with the command that mends it
    Doctor(JsonArgs),
    /// The JSON Schemas of the definitions, of --json and of the journal
    Schema(SchemaArgs),
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Man pages, into a directory
    Man {
        /// The directory, made if it is not there
        directory: PathBuf,
    },
}

#[derive(Args, Debug, Default)]
struct Select {
    /// Targets: network@prod/eu-west-1, network, network@prod/*, @staging/*
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Only regions that match, such as prod/*
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Only regions or stacks with this label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PreviewArgs {
    #[command(flatten)]
    select: Select,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Preview this revision, merged into --base
    #[arg(long, value_name = "REV")]
    head: Option<String>,
    /// Every selected target, touched or not
    #[arg(long)]
    all: bool,
    /// A decision on what is shown: NAME=approve or NAME=reject
    #[arg(long, value_name = "NAME=DECISION")]
    review: Vec<Review>,
    /// Write the pull-request comment to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Exit with 2 when something would change
    #[arg(long)]
    exit_code: bool,
    /// Previews at once
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    parallel: Option<usize>,
}

#[derive(Args, Debug)]
struct JudgeArgs {
    #[command(flatten)]
    select: Select,
    /// A decision on what was shown: NAME=approve or NAME=reject, with @DIGEST for one preview
    #[arg(long, value_name = "NAME=DECISION")]
    review: Vec<Review>,
    /// Write the pull-request comment to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ApplyArgs {
    #[command(flatten)]
    select: Select,
    /// A decision on what was shown before: NAME=approve or NAME=reject, with @DIGEST for one preview
    #[arg(long, value_name = "NAME=DECISION")]
    review: Vec<Review>,
    /// Write the pull-request comment to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Targets in flight at most, below what the rollout allows
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    parallel: Option<usize>,
}

#[derive(Args, Debug)]
struct DriftArgs {
    #[command(flatten)]
    select: Select,
    /// Put back what was changed or removed by hand, as a rollout under the same policy
    #[arg(long)]
    fix: bool,
    /// A decision on what was shown before, for --fix
    #[arg(long, value_name = "NAME=DECISION")]
    review: Vec<Review>,
    /// Write the report as Markdown to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Looks at once
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    parallel: Option<usize>,
}

#[derive(Args, Debug)]
struct StatusArgs {
    #[command(flatten)]
    select: Select,
    /// Write one self-contained HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    select: Select,
    /// Only what a change touches
    #[arg(long)]
    changed: bool,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// List this revision, merged into --base
    #[arg(long, value_name = "REV")]
    head: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DrawingArg {
    #[default]
    Text,
    Dot,
    Mermaid,
}

#[derive(Args, Debug)]
struct GraphArgs {
    /// The drawing's language
    #[arg(long, value_enum, default_value_t)]
    format: DrawingArg,
    /// Draw targets, not stacks
    #[arg(long)]
    targets: bool,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct WhyArgs {
    /// The target, such as network@prod/eu-west-1
    target: String,
    /// Compare with this revision instead of what was applied
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct RecoverArgs {
    #[command(flatten)]
    select: Select,
}

#[derive(Args, Debug)]
struct JsonArgs {
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PauseArgs {
    /// Why, for those who meet the pause
    #[arg(long, value_parser = reason)]
    reason: String,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct HoldArgs {
    /// The region, such as prod/eu-west-1
    region: String,
    /// A time (2026-12-01T08:00:00Z), a date, or a duration from now (4h)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why, for those who meet the hold
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    /// End the hold
    #[arg(long, conflicts_with_all = ["until", "reason"])]
    release: bool,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum AuditVerb {
    /// Looks at every entry, checkpoint and stored preview, and says what is not what was written
    Verify(AnchorArgs),
    /// One row an apply: when, what, approved by whom and by which policy, run by whom, and how it ended
    Export(ExportArgs),
    /// Begins to seal the journal with ISOBAR_KEY: the first key, or the next (with ISOBAR_KEY_BEFORE)
    Seal(AnchorArgs),
    /// Lets old entries go; what they folded into is kept and proven
    Compact(CompactArgs),
}

#[derive(Args, Debug)]
struct AnchorArgs {
    /// The journal's head as a report named it, such as 1234:6767a4959fffd68d; it must be there
    #[arg(long, value_name = "HEAD")]
    anchor: Vec<Anchor>,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ExportFormat {
    /// One object a line
    #[default]
    Json,
    Csv,
}

#[derive(Args, Debug)]
struct ExportArgs {
    /// Only what ended since: a time, a date, or a duration until now (90d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
}

#[derive(Args, Debug)]
struct CompactArgs {
    /// A time, a date, or a duration until now (365d); newer entries stay
    #[arg(long, value_name = "TIME")]
    before: String,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct InitArgs {
    /// Three stacks in six regions with policy and waves, instead of one stack in two
    #[arg(long)]
    example: bool,
}

#[derive(Args, Debug)]
struct DemoArgs {
    /// Make the scratch repository here instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Never wait for a reader
    #[arg(long)]
    no_pause: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaArg {
    Isobar,
    Stack,
    Report,
    Journal,
}

#[derive(Args, Debug)]
struct SchemaArgs {
    /// isobar.yaml, stack.yaml, what --json prints, or a line of the journal
    #[arg(value_enum)]
    which: SchemaArg,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one at once, or nothing would ever begin; leave the flag out for the default".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number, at least 1".into()),
    }
}

/// A reason is read by people who did not give it.
fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a reason is read by those who meet it; say why".into()),
        said => Ok(said.into()),
    }
}

fn after_help() -> String {
    let codes: Vec<String> = CODES.iter().map(|(code, about)| format!("  {code:>3}  {about}")).collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

/// Runs the binary: parses, acts, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>, environment: Environment) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _closed_pipe = error.print();
            return if error.use_stderr() { 64 } else { 0 };
        }
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
            terminal.complain(&failure.to_string());
            failure.code()
        }
    }
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
            let (selector, json) = args.select.read()?;
            let form = Form { json, markdown: args.markdown };
            command::judge::run(world, &command::judge::Request { selector, form, reviews: args.review }).await
        }
        Verb::Apply(args) => command::apply::run(world, &apply(args)?).await,
        Verb::Tick(args) => command::apply::tick(world, &apply(args)?).await,
        Verb::Drift(args) => {
            let (selector, json) = args.select.read()?;
            let form = Form { json, markdown: args.markdown };
            let request = command::drift::Request {
                selector,
                form,
                reviews: args.review,
                fix: args.fix,
                parallel: args.parallel.unwrap_or(0),
            };
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
            let (selector, json) = args.select.read()?;
            let form = Form { json, markdown: None };
            command::recover::run(world, &command::recover::Request { selector, form }).await
        }
        Verb::Pause(args) => command::control::pause(world, &args.reason, args.json).await,
        Verb::Resume(args) => command::control::resume(world, args.json).await,
        Verb::Hold(args) => {
            let (until, reason) = (args.until.as_deref(), args.reason.as_deref());
            command::control::hold(world, &args.region, until, reason, args.release, args.json).await
        }
        Verb::Audit(AuditVerb::Verify(args)) => command::audit::verify(world, &args.anchor, args.json).await,
        Verb::Audit(AuditVerb::Seal(args)) => command::audit::seal(world, &args.anchor, args.json).await,
        Verb::Audit(AuditVerb::Compact(args)) => command::audit::compact(world, &args.before, args.json).await,
        Verb::Audit(AuditVerb::Export(args)) => {
            let format = match args.format {
                ExportFormat::Json => command::audit::Format::Json,
                ExportFormat::Csv => command::audit::Format::Csv,
            };
            command::audit::export(world, args.since.as_deref(), format).await
        }
        Verb::Check(args) => command::check::run(world, args.json).await,
        Verb::Doctor(args) => command::doctor::run(world, args.json).await,
        Verb::Init(_) | Verb::Demo(_) | Verb::Schema(_) | Verb::Completions { .. } | Verb::Man { .. } => Ok(Exit::Clean), // acted before
    }
}

impl Select {
    fn read(self) -> Result<(Selector, bool), Failure> {
        let selector = Selector::parse(&self.targets, &self.region, &self.label);
        let selector = selector.map_err(|why| Failure::usage(why, "isobar list shows every target"))?;
        Ok((selector, self.json))
    }
}

fn preview(args: PreviewArgs) -> Result<command::preview::Request, Failure> {
    let (selector, json) = args.select.read()?;
    Ok(command::preview::Request {
        selector,
        form: Form { json, markdown: args.markdown },
        base: args.base,
        head: args.head,
        all: args.all,
        reviews: args.review,
        exit_code: args.exit_code,
        parallel: args.parallel.unwrap_or(0),
    })
}

fn apply(args: ApplyArgs) -> Result<command::apply::Request, Failure> {
    let (selector, json) = args.select.read()?;
    Ok(command::apply::Request {
        selector,
        form: Form { json, markdown: args.markdown },
        reviews: args.review,
        parallel: args.parallel.unwrap_or(0),
    })
}

fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let which = match args.which {
        SchemaArg::Isobar => command::schema::Which::Fleet,
        SchemaArg::Stack => command::schema::Which::Stack,
        SchemaArg::Report => command::schema::Which::Report,
        SchemaArg::Journal => command::schema::Which::Journal,
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

/// The whole command line as Markdown, for `docs/commands.md`.
pub fn reference() -> String {
    let mut text = String::from(REFERENCE);
    let mut root = Cli::command();
    root.build();
    text.push_str("\n## Everywhere\n\nThese go with every verb.\n\n");
    text.push_str(&arguments(root.get_arguments()));
    for verb in root.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
        let usage = verb.render_usage().to_string();
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("\n## isobar {}\n\n{about}.\n\n", verb.get_name()));
        text.push_str(&format!("```text\n{}\n```\n\n", usage.trim_start_matches("Usage: ")));
        text.push_str(&arguments(verb.get_arguments().filter(|argument| !argument.is_global_set())));
        for part in verb.get_subcommands().filter(|part| part.get_name() != "help") {
            let about = part.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("\n**isobar {} {}**: {about}.\n\n", verb.get_name(), part.get_name()));
            text.push_str(&arguments(part.get_arguments().filter(|argument| !argument.is_global_set())));
        }
    }
    text.push_str(ENVIRONMENT);
    text.push_str("\n## Exit codes\n\nThe same for every verb; scripts may rely on them.\n\n| code | meaning |\n| --- | --- |\n");
    CODES.iter().for_each(|(code, about)| text.push_str(&format!("| {code} | {about} |\n")));
    text
}

const REFERENCE: &str = "# Commands

<!-- Generated from the command line by a test; run `ISOBAR_WRITE=1 cargo test docs` to renew it. -->

Every verb, its arguments, and the [exit codes](#exit-codes). `isobar help VERB` tells the same, `isobar man DIR` writes man pages
and `isobar completions SHELL` completes them.

A **TARGET** is a stack in a region. `network@prod/eu-west-1` is one target, `network` that stack in every region, `network@prod/*` in
those of an environment, and `@staging/*` everything there. `*` stands for any characters. Several targets are *or*, and with
`--region` and `--label` *and*. A pattern that matches nothing is a failure, never a green.
";

const ENVIRONMENT: &str = "
## Environment

| variable | meaning |
| --- | --- |
| `ISOBAR_KEY` | Keys the digests of sensitive values, so that an approval can be bound to them, and [seals the journal](journal.md#seals); any text that is hard to guess |
| `ISOBAR_KEY_BEFORE` | The key that sealed the journal before `ISOBAR_KEY`, for `isobar audit seal` |
| `ISOBAR_REVIEWS` | The file of local reviews, instead of one below `XDG_STATE_HOME` |
| `ISOBAR_LOG` | What happens inside, to standard error: `info`, `debug`, or a filter by room |
| `ISOBAR_NOW_MS` | The time, in milliseconds since 1970, for tests |
| `NO_COLOR` | No colour |
| what a definition names as `!secret NAME` | The value of that secret |
";

fn arguments<'a>(arguments: impl Iterator<Item = &'a clap::Arg>) -> String {
    let mut text = String::new();
    for argument in arguments.filter(|argument| !["help", "version"].contains(&argument.get_id().as_str())) {
        let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
        let takes = argument.get_action().takes_values() && !value.is_empty();
        let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let name = match argument.get_long() {
            Some(long) if takes => format!("{short}`--{long} {value}`"),
            Some(long) => format!("{short}`--{long}`"),
            None => format!("`{value}`"),
        };
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|choice| format!("`{}`", choice.get_name())).collect();
        if takes && !choices.is_empty() {
            help.push_str(&format!(" ({})", choices.join(", ")));
        }
        if let Some(variable) = argument.get_env() {
            help.push_str(&format!(" (or `{}`)", variable.to_string_lossy()));
        }
        text.push_str(&format!("| {name} | {} |\n", help.trim().replace('|', "\\|").replace('*', "\\*")));
    }
    if text.is_empty() { text } else { format!("| argument | meaning |\n| --- | --- |\n{text}") }
}
