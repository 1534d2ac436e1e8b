//! `isobar pause`, `resume` and `hold`: what people say to a rollout.

use super::say::{say_time, say_until};
use super::scene::Scenes;
use super::tell;
use crate::exit::{Exit, Failure};
use crate::journal::{Event, Verb};
use crate::report::JournalHead;
use crate::review::User;
use crate::stack::{RegionId, did_you_mean};
use crate::world::World;
use serde_json::json;
use std::sync::Arc;

/// Starts nothing new anywhere until `resume`.
pub async fn pause(world: &World, reason: &str, as_json: bool) -> Result<Exit, Failure> {
    let by = operator(world);
    let head = append(world, Verb::Pause, vec![Event::Paused { by: by.clone(), reason: reason.into() }]).await?;
    say(world, as_json, "paused", &format!("paused by {by}: {reason}; nothing new starts until isobar resume"), head.as_ref());
    Ok(Exit::Clean)
}

/// Ends a pause, and lets stopped rollouts go on.
pub async fn resume(world: &World, as_json: bool) -> Result<Exit, Failure> {
    let history = world.store.history().await?;
    let by = operator(world);
    let (events, stopped) = history.resume(by.clone(), world.clock.now_ms());
    let head = append(world, Verb::Resume, events).await?;

    let text = match (history.paused().is_some(), stopped) {
        (false, 0) => "nothing was paused or stopped; failed targets may be tried again with isobar apply".to_string(),
        (true, 0) => "the pause is over; isobar apply goes on".to_string(),
        (_, many) => format!("{} may go on: isobar apply", super::say::count(many, "stopped rollout", "stopped rollouts")),
    };
    say(world, as_json, "resumed", &text, head.as_ref());
    Ok(Exit::Clean)
}

/// Skips one region until a time, or until released.
pub async fn hold(
    world: &World,
    region: &str,
    until: Option<&str>,
    reason: Option<&str>,
    release: bool,
    as_json: bool,
) -> Result<Exit, Failure> {
    let id: RegionId = region.parse().map_err(|why: String| Failure::usage(why, "isobar hold prod/eu-west-1 --reason \"…\""))?;
    if release {
        return end_hold(world, &id, as_json).await;
    }
    let scene = Scenes::new(world).at(&world.workspace.head()?)?;
    if scene.fleet.region(&id).is_none() {
        let known = did_you_mean(region, scene.fleet.regions.iter().map(|region| region.id.as_str()));
        return Err(Failure::usage(
            format!("no region {region:?} in isobar.yaml"),
            known.unwrap_or_else(|| "isobar list shows the regions".into()),
        ));
    }
    let Some(reason) = reason else {
        return Err(Failure::usage("a hold needs a reason", "isobar hold REGION --reason \"…\" [--until 2026-12-01T08:00:00Z]"));
    };
    let now_ms = world.clock.now_ms();
    let until_ms = until.map(|text| parse_time(text, now_ms, true)).transpose()?;
    if let Some(until) = until_ms.filter(|until| *until <= now_ms) {
        return Err(Failure::usage(
            format!("{} is over already", say_time(until)),
            "hold until a later time, or without --until",
        ));
    }
    let by = operator(world);
    let head = append(world, Verb::Hold, vec![Event::Held { region: id.clone(), until_ms, reason: reason.into(), by }]).await?;
    let end = until_ms.map_or_else(|| "until isobar hold --release".to_string(), |until| format!("until {}", say_until(until)));
    say(world, as_json, "held", &format!("{id} is skipped {end}: {reason}"), head.as_ref());
    Ok(Exit::Clean)
}

/// Releases a region that is held, also one that left the fleet meanwhile.
async fn end_hold(world: &World, id: &RegionId, as_json: bool) -> Result<Exit, Failure> {
    let history = world.store.history().await?;
    let held: Vec<&str> = history.holds(world.clock.now_ms()).iter().map(|hold| hold.region.as_str()).collect();
    if !held.contains(&id.as_str()) {
        let hint = match held.as_slice() {
            [] => "no region is held".into(),
            held => format!("held are {}", held.join(", ")),
        };
        return Err(Failure::usage(format!("{id} is not held"), hint));
    }
    let head = append(world, Verb::Hold, vec![Event::Released { region: id.clone(), by: operator(world) }]).await?;
    say(world, as_json, "released", &format!("{id} is released; isobar apply lets it catch up"), head.as_ref());
    Ok(Exit::Clean)
}

/// Reads an RFC 3339 time, a date, or a duration such as `4h`: from now on, or until now.
pub(super) fn parse_time(text: &str, now_ms: u64, is_ahead: bool) -> Result<u64, Failure> {
    let wrong =
        || Failure::usage(format!("{text:?} is no time"), "use 2026-12-01T08:00:00Z, 2026-12-01 or a duration such as 4h");
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return u64::try_from(time.as_millisecond()).map_err(|_| wrong());
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        let midnight = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| wrong())?;
        return u64::try_from(midnight.as_millisecond()).map_err(|_| wrong());
    }
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let span_ms = number.saturating_mul(secs * 1_000);
    if !is_ahead {
        return Ok(now_ms.saturating_sub(span_ms));
    }
    let until_ms = now_ms.checked_add(span_ms).ok_or_else(wrong)?;
    let is_in_a_calendar = i64::try_from(until_ms).is_ok_and(|ms| jiff::Timestamp::from_millisecond(ms).is_ok());
    if is_in_a_calendar { Ok(until_ms) } else { Err(wrong()) }
}

/// Returns the journal's head after it.
async fn append(world: &World, verb: Verb, mut events: Vec<Event>) -> Result<Option<JournalHead>, Failure> {
    let commit = world.workspace.head().map_or_else(|_| Arc::from(""), |head| head.0);
    events.insert(0, Event::RunStarted { verb, commit, by: operator(world), pull_request: None });
    let sealed = world.store.append(events, &world.run, world.clock.now_ms(), None).await?;
    Ok(sealed.last().map(|entry| JournalHead { seq: entry.seq, hash: entry.hash.as_str().into() }))
}

pub(super) fn operator(world: &World) -> User {
    world.workspace.operator().unwrap_or(User("unknown".into()))
}

fn say(world: &World, as_json: bool, what: &str, text: &str, head: Option<&JournalHead>) {
    if as_json {
        let journal = head.map(|head| json!({ "seq": head.seq, "hash": head.hash }));
        tell::json(world, "control", json!({ "done": what, "text": text, "journal": journal }));
    } else {
        let head = head.map_or_else(String::new, |head| format!("{head}\n"));
        world.terminal.say(&format!("{text}\n{head}"));
    }
}
