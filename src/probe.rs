//! Asks one question of the world: does this gate hold? Decides nothing; an answer that cannot be had is *no*.

use crate::process::{Command, run};
use crate::rollout::Gate;
use std::path::Path;
use std::time::Duration;

/// Characters of a gate's own words that we repeat.
const WORDS_MAX: usize = 300;

/// Returns `Ok` when the gate holds, else why not.
pub async fn ask(gate: &Gate, root: &Path, environment: &[(String, String)]) -> Result<(), String> {
    match gate {
        Gate::Http { url, timeout_secs } => get(url, Duration::from_secs(*timeout_secs)).await,
        Gate::Command { argv, timeout_secs } => call(argv, Duration::from_secs(*timeout_secs), root, environment).await,
    }
}

async fn get(url: &str, timeout: Duration) -> Result<(), String> {
    let client = reqwest::Client::builder().timeout(timeout).user_agent(concat!("isobar/", env!("CARGO_PKG_VERSION"))).build();
    let answer = client.map_err(|error| error.to_string())?.get(url).send().await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("GET {url} answered {}", answer.status())),
        Err(error) if error.is_timeout() => Err(format!("GET {url} did not answer within {} s", timeout.as_secs())),
        Err(error) => Err(format!("GET {url} failed: {}", error.without_url())),
    }
}
