//! The whole command line as Markdown, made of the parser itself.

use super::flags::Cli;
use crate::exit::CODES;
use clap::CommandFactory as _;

/// Returns `docs/commands.md`.
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
    text.push_str(JSON);
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

const JSON: &str = "
## JSON

`--json` prints one line of JSON to standard output, whatever happens; what is said on the way goes to standard error. The key `schema` names
its form. Within a version of a form keys are only ever added. `audit export` alone prints one line a row, whose keys are [the columns](journal.md#for-an-auditor).

| `schema` | printed by |
| --- | --- |
| `urn:isobar:schema:report:v1` | preview, judge, apply, tick, drift, recover, status, simulate; `told` says which. `isobar schema report` prints its JSON Schema |
| `urn:isobar:schema:list:v1` | list |
| `urn:isobar:schema:matrix:v1` | matrix; without `--json` it prints what stands under `matrix` alone |
| `urn:isobar:schema:part:v1` | preview with `--shard`; the files of parts as well |
| `urn:isobar:schema:graph:v1` | graph |
| `urn:isobar:schema:why:v1` | why |
| `urn:isobar:schema:check:v1` | check, when there is no mistake |
| `urn:isobar:schema:doctor:v1` | doctor |
| `urn:isobar:schema:control:v1` | pause, resume, hold |
| `urn:isobar:schema:audit:v1` | audit verify, seal, compact |
| `urn:isobar:schema:init:v1` | init: the files it wrote |
| `urn:isobar:schema:man:v1` | man: the pages it wrote |
| `urn:isobar:schema:demo:v1` | demo: what was played, and where the repository is |

`isobar schema` prints JSON in any case, with `--json` on one line; `isobar completions` prints what a shell reads. A selector goes with every verb that
is about targets: `init`, `demo`, `schema`, `completions` and `man` are about none, `pause` and `resume` about all, `hold` about one region, and `why`
about the one it names.

A verb that could not do its work prints a failure, in the form of the report: `told` is `failure`, `code` is the exit code, `what` and `hint` say
what is wrong and what to do, and `mistakes` lists every mistake in the definitions with `file`, `line`, `column`, `what` and `hint`.

```json
{\"schema\":\"urn:isobar:schema:report:v1\",\"told\":\"failure\",\"code\":65,\"what\":\"1 mistake in the definitions\",\"mistakes\":[{\"file\":\"isobar.yaml\",\"line\":7,\"column\":1,\"what\":\"unknown key \\\"polcy\\\" in the fleet\",\"hint\":\"did you mean \\\"policy\\\"?\"}]}
```
";

const ENVIRONMENT: &str = "
## Environment

| variable | meaning |
| --- | --- |
| `ISOBAR_KEY` | Keys the digests of sensitive values, so that an approval can be bound to them, and [seals the journal](journal.md#seals); any text that is hard to guess |
| `ISOBAR_KEY_BEFORE` | The key that sealed the journal before `ISOBAR_KEY`, for `isobar audit seal` |
| `ISOBAR_REVIEWS` | The file of local reviews, instead of one below `XDG_STATE_HOME` |
| `ISOBAR_TIME_LEFT` | How much is left of the job, such as `50m`, for [apply and tick](shards.md#the-end-of-a-job) |
| `ISOBAR_LOG` | What happens inside, to standard error: `info`, `debug`, or a filter by room |
| `ISOBAR_NOW_MS` | The time, in milliseconds since 1970, for tests |
| `GITHUB_TOKEN` | Reaches a journal in git on `GITHUB_SERVER_URL` (https://github.com), where the checkout keeps no credentials; and on GitHub Actions reviews, and [whom we tell](github.md) |
| `ISOBAR_ORG_TOKEN` | Reads who is in the teams of a GitHub organisation that a policy asks for: the action's `org-token` |
| `GITHUB_API_URL`, `GITHUB_GRAPHQL_URL`, `GITHUB_REPOSITORY`, `GITHUB_EVENT_NAME`, `GITHUB_EVENT_PATH` and others | As GitHub sets them in a step of a workflow, for `isobar action` |
| `INPUT_COMMAND`, `INPUT_TARGETS`, `INPUT_PARALLEL`, `INPUT_DRAFTS`, `INPUT_BOTS`, `INPUT_DEPLOYMENTS`, `INPUT_WORKING_DIRECTORY` | The inputs of the [action](../action.yml), for `isobar action` |
| `HOSTNAME` | The name of this machine, for those who wait for its lease |
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
