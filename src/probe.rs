//! Asks one question of the world: does this gate hold? Decides nothing; an answer that cannot be had is *no*.

use crate::process::{Command, run};
use crate::rollout::Gate;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Characters of a gate's own words that we repeat.
const WORDS_MAX: usize = 300;

/// Where a program runs, and with what.
pub struct Stand<'a> {
    pub root: &'a Path,
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// Where the program lies, when that is not where the gate says.
    pub program: Option<&'a Path>,
}

/// Returns `Ok` when the gate holds, else why not.
pub async fn ask(gate: &Gate, stand: Stand<'_>) -> Result<(), String> {
    match gate {
        Gate::Http { url, timeout_secs } => get(url, Duration::from_secs(*timeout_secs)).await,
        Gate::Command { argv, timeout_secs, .. } => call(argv, Duration::from_secs(*timeout_secs), stand).await,
    }
}

async fn get(url: &str, timeout: Duration) -> Result<(), String> {
    let builder = || reqwest::Client::builder().timeout(timeout).user_agent(concat!("isobar/", env!("CARGO_PKG_VERSION")));
    let client = match builder().build() {
        // A machine without certificates can still ask over plain http.
        Err(_) if url.starts_with("http://") => builder().tls_certs_only([]).build(),
        client => client,
    };
    let answer = client.map_err(|error| format!("GET {url} cannot be asked: {}", root_cause(&error)))?.get(url).send().await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("GET {url} answered {}", answer.status())),
        Err(error) if error.is_timeout() => Err(format!("GET {url} did not answer within {} s", timeout.as_secs())),
        Err(error) => Err(format!("GET {url} failed: {}", root_cause(&error.without_url()))),
    }
}

/// The last of an error's sources says what happened; those before only where.
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

async fn call(argv: &[Arc<str>], deadline: Duration, stand: Stand<'_>) -> Result<(), String> {
    let said = argv.join(" ");
    let mut argv: Vec<OsString> = argv.iter().map(|part| OsString::from(&**part)).collect();
    if let (Some(elsewhere), Some(program)) = (stand.program, argv.first_mut()) {
        *program = elsewhere.into();
    }
    let command =
        Command { argv: &argv, env: stand.environment, dir: stand.root, deadline, input: None, mask: &|text| text.to_string() };
    match run(command, std::future::pending()).await {
        Ok(exit) if exit.is_success() => Ok(()),
        Ok(exit) if exit.timed_out => Err(format!("{said} did not end within {} s", deadline.as_secs())),
        Ok(exit) => Err(format!("{said} {}: {}", ended(&exit), last_words(&exit.stderr, &exit.stdout))),
        Err(error) => Err(format!("starting {said}: {}", error.source)),
    }
}

fn ended(exit: &crate::process::Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended without a word".into(),
    }
}

fn last_words(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.chars().take(WORDS_MAX).collect()
}
