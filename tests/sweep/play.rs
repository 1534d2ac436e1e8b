//! Plays a case: a copy of a scene, the verb with what befalls it, the same verb again until it is done, and a look at the end.

use super::actor::{Actor, Ran, Typed};
use super::check::{Broken, Standing};
use super::ground::{Scene, told};
use super::harm::{Fault, Harm, Point};
use super::room::Room;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// How often somebody types the same again before we say that it does not come to its end.
const AGAIN_MAX: usize = 4;

/// What came of a case.
pub(crate) struct Played {
    pub(crate) broken: Vec<Broken>,
    /// A line for each thing that was typed, with what was said.
    pub(crate) told: Vec<String>,
    /// The calls of the last run.
    pub(crate) points: Vec<Point>,
    pub(crate) micros: u64,
    pub(crate) standing: Standing,
}

/// Plays the verb of a scene with nothing that befalls it; it must end well.
pub(crate) fn play_whole(actor: &Actor, scene: &Scene, dir: &Path) -> Result<Played, String> {
    let played = play(actor, scene, &[], dir)?;
    match !played.standing.is_seen() || played.broken.iter().any(|(kind, _)| *kind == "broken") {
        false => Ok(played),
        true => Err(format!("{}\n{:?}", played.told.join("\n"), played.broken)),
    }
}

/// What was typed so far, and what is wrong about it.
#[derive(Default)]
struct Story {
    all: Vec<Ran>,
    told: Vec<String>,
    broken: Vec<Broken>,
}

impl Story {
    fn tell(&mut self, typed: Typed<'_>, ran: Ran) {
        let (line, harm) = (typed.line, typed.harm);
        let hit = harm
            .filter(|harm| harm.fault != Fault::Instant)
            .and_then(|harm| ran.points.iter().find(|point| point.number == harm.at));
        let hit = hit.map(|point| format!(" at {} {} {}", point.call, point.path, point.detail)).unwrap_or_default();
        let told = harm.map(|harm| format!(" ({harm}{hit})")).unwrap_or_default();
        self.told.push(format!("$ isobar {line}{told}: {}\n{}{}", ran.code, ran.stdout, ran.stderr));
        let is_known = matches!(ran.code, 0 | 1 | 2 | 3 | 64 | 65 | 130 | 143) || ran.code == 137 && harm.is_some();
        if !is_known || ran.stderr.contains("panicked") {
            self.broken.push(("broken", format!("isobar {line} ended with {}: {}", ran.code, ran.stderr)));
        }
        self.all.push(ran);
    }
}

/// Plays a case in `dir`, which is made anew.
pub(crate) fn play(actor: &Actor, scene: &Scene, harms: &[Harm], dir: &Path) -> Result<Played, String> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(told)?;
    }
    let place = scene.place.twin(&dir.join("at")).map_err(told)?;
    let logs: Vec<_> = (0..2 * (harms.len() + AGAIN_MAX)).map(|nth| dir.join(format!("log-{nth}"))).collect();
    let mut logs = logs.iter().map(|log| log.as_path());
    let mut typed =
        Typed { line: scene.verb, now_ms: scene.now_ms, key: scene.key, harm: None, log: None, only_counts: !harms.is_empty() };
    let mut story = Story::default();

    let begin = Instant::now();
    for harm in harms {
        typed = Typed { harm: Some(*harm), log: logs.next(), ..typed };
        match (harm.fault, logs.next()) {
            (Fault::Stop, Some(log)) => {
                let [first, other] = actor.stopped(&place, typed, log)?;
                story.tell(typed, first);
                story.tell(Typed { harm: None, ..typed }, other);
            }
            _ => story.tell(typed, actor.run(&place, typed)?),
        }
        typed.now_ms += 1000;
    }
    let says_resume = |ran: &Ran| format!("{}{}", ran.stdout, ran.stderr).contains("isobar resume");
    let (mut is_done, mut is_stopped) = (false, story.all.iter().any(says_resume));
    for _ in 0..AGAIN_MAX {
        if is_stopped {
            typed = Typed { line: "resume", harm: None, log: logs.next(), ..typed };
            story.tell(typed, actor.run(&place, typed)?);
        }
        typed = Typed { line: scene.verb, harm: None, log: logs.next(), ..typed };
        let ran = actor.run(&place, typed)?;
        typed.now_ms += 1000;
        (is_done, is_stopped) = (ran.code == 0, says_resume(&ran));
        story.tell(typed, ran);
        if is_done {
            break;
        }
    }
    let micros = u64::try_from(begin.elapsed().as_micros()).map_err(told)?;
    let points = story.all.last().map(|ran| ran.points.clone()).unwrap_or_default();
    let mut all: Vec<Point> = story.all.iter().flat_map(|ran| ran.points.clone()).collect();
    all.extend(place.room.iter().flat_map(Room::arrived));
    all.iter_mut().for_each(|point| {
        for path in [&mut point.path, &mut point.detail] {
            *path = path.replace("/repo/./", "/repo/");
        }
    });

    let mut ask = |line| -> Result<(i32, String), String> {
        let typed = Typed { line, log: None, ..typed };
        let ran = actor.run(&place, typed)?;
        let said = (ran.code, ran.stdout.clone());
        story.tell(typed, ran);
        Ok(said)
    };
    let (_, status) = ask("status --json")?;
    let (audited, audit) = ask("audit verify")?;
    let Story { mut broken, told, .. } = story;
    if !is_done {
        broken.push(("broken", format!("isobar {} does not come to its end", scene.verb)));
    }
    if audited != 0 {
        broken.push(("broken", format!("isobar audit verify: {audit}")));
    }
    let said = serde_json::from_str(&status).unwrap_or_default();
    let standing = Standing::look(&place, scene.begun, &said, &all);
    if !scene.whole.targets.is_empty() {
        broken.extend(standing.against(&scene.whole));
    }
    Ok(Played { broken, told, points, micros, standing })
}
