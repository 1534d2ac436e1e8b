//! argv and environment in, exit code out.

use isobar::world::Environment;
use std::io::IsTerminal as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = Environment {
        variables: variables.collect(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
    };
    ExitCode::from(isobar::cli::main(std::env::args_os(), environment))
}
