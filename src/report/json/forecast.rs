//! A forecast's keys.

use super::super::{Forecast, ForecastEnd, ForecastTarget, ForecastWave, Reach};
use super::SCHEMA_ID;
use schemars::JsonSchema;
use serde::Serialize;

/// How a rollout would go. Times are seconds since it begins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Forecast", deny_unknown_fields)]
pub(super) struct ForecastJson<'a> {
    /// Identifies this schema.
    schema: &'static str,
    /// What this is of.
    #[schemars(extend("const" = "simulate"))]
    told: &'static str,
    /// The answer in one line.
    headline: String,
    /// "done", "stopped", "paused" or "waits".
    end: &'static str,
    /// Why it goes no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// When it came to that.
    end_secs: u64,
    /// Edits that are not committed were played too.
    dirty: bool,
    /// All that was to be brought.
    whole: ReachJson,
    /// What of it was begun by then.
    begun: ReachJson,
    /// In the order of the plan.
    waves: Vec<ForecastWaveJson<'a>>,
    /// In the order of the waves.
    targets: Vec<ForecastTargetJson<'a>>,
    /// What happens, in order.
    moments: Vec<MomentJson<'a>>,
    /// What was taken for given.
    assumed: Vec<&'a str>,
}

/// How much of the fleet is meant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reach", deny_unknown_fields)]
struct ReachJson {
    /// Number of targets.
    targets: usize,
    /// Number of regions that have one of them.
    regions: usize,
    /// Sum of the weights of those regions.
    weight: u64,
}

/// One wave.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ForecastWave", deny_unknown_fields)]
struct ForecastWaveJson<'a> {
    /// Its name.
    name: &'a str,
    /// Waves that come before it.
    after: Vec<&'a str>,
    /// What is in it.
    reach: ReachJson,
    /// Targets in flight at most.
    max_parallel: usize,
    /// Failures that may happen before it is breached.
    failure_tolerance: usize,
    /// First start.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_secs: Option<u64>,
    /// When all targets had outcomes and all gates passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_secs: Option<u64>,
    /// When its bake is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    baked_secs: Option<u64>,
    /// Targets applied.
    applied: usize,
    /// Targets failed.
    failed: usize,
    /// Targets skipped.
    skipped: usize,
    /// Where it is at the end, in words.
    state: &'a str,
}

/// One target.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ForecastTarget", deny_unknown_fields)]
struct ForecastTargetJson<'a> {
    /// `stack@environment/region`.
    target: String,
    /// Its wave.
    wave: &'a str,
    /// "applied", "failed", "skipped", "unknown" or "not begun".
    state: &'static str,
    /// Why it was skipped or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// Every apply of it.
    applies: Vec<ApplyJson>,
}

/// One apply.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ForecastApply", deny_unknown_fields)]
struct ApplyJson {
    /// When it began.
    from_secs: u64,
    /// When its end was recorded; absent when it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_secs: Option<u64>,
}

/// Something that happens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ForecastMoment", deny_unknown_fields)]
struct MomentJson<'a> {
    /// When.
    at_secs: u64,
    /// What, in words.
    text: &'a str,
}

impl ReachJson {
    fn of(reach: Reach) -> Self {
        Self { targets: reach.targets, regions: reach.regions, weight: reach.weight }
    }
}

impl<'a> ForecastJson<'a> {
    pub(super) fn of(forecast: &'a Forecast) -> Self {
        let wave = |wave: &'a ForecastWave| ForecastWaveJson {
            name: &wave.name,
            after: wave.after.iter().map(|name| &**name).collect(),
            reach: ReachJson::of(wave.reach),
            max_parallel: wave.max_parallel,
            failure_tolerance: wave.failure_tolerance,
            begins_secs: wave.begins_secs,
            verified_secs: wave.verified_secs,
            baked_secs: wave.baked_secs,
            applied: wave.applied,
            failed: wave.failed,
            skipped: wave.skipped,
            state: &wave.state,
        };
        let target = |target: &'a ForecastTarget| ForecastTargetJson {
            target: target.target.to_string(),
            wave: forecast.waves.get(target.wave).map_or("", |wave| &wave.name),
            state: target.state.word(),
            why: target.why.as_deref(),
            applies: target
                .applies
                .iter()
                .map(|(from_secs, to_secs)| ApplyJson { from_secs: *from_secs, to_secs: *to_secs })
                .collect(),
        };
        Self {
            schema: SCHEMA_ID,
            told: "simulate",
            headline: forecast.headline(),
            end: match &forecast.end {
                ForecastEnd::Done => "done",
                ForecastEnd::Stopped(_) => "stopped",
                ForecastEnd::Paused(_) => "paused",
                ForecastEnd::Waits(_) => "waits",
            },
            why: forecast.why(),
            end_secs: forecast.end_secs,
            dirty: forecast.dirty,
            whole: ReachJson::of(forecast.whole),
            begun: ReachJson::of(forecast.begun),
            waves: forecast.waves.iter().map(wave).collect(),
            targets: forecast.targets.iter().map(target).collect(),
            moments: forecast.moments.iter().map(|moment| MomentJson { at_secs: moment.at_secs, text: &moment.text }).collect(),
            assumed: forecast.assumed.iter().map(|text| &**text).collect(),
        }
    }
}
