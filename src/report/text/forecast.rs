//! How a rollout would go, as a table of waves and a timeline.

use super::super::forecast::{clock, span};
use super::super::words::{counted, one_line};
use super::super::{Forecast, ForecastWave, Mood};
use super::Style;
use super::ink::{Ink, Paper};

/// Lines of the timeline at most.
const MOMENTS_MAX: usize = 200;

/// Renders how a rollout would go.
pub fn forecast_text(forecast: &Forecast, style: Style) -> String {
    let mut paper = Paper::new(style);
    paper.line(Ink::Bold, &forecast.headline());
    if let Some(why) = forecast.why() {
        paper.line(Ink::Bad, &one_line(why));
    }
    if forecast.dirty {
        paper.line(Ink::Faint, "with edits that are not committed");
    }

    paper.title("Waves");
    let rows: Vec<[String; 6]> = forecast.waves.iter().map(row).collect();
    paper.table(&["wave", "targets", "begins", "verified", "baked", "state"], &rows);

    paper.title("Timeline");
    for moment in forecast.moments.iter().take(MOMENTS_MAX) {
        let ink = match moment.mood {
            Mood::Plain => Ink::Plain,
            Mood::Good => Ink::Good,
            Mood::Bad => Ink::Bad,
            Mood::Waits => Ink::Warn,
        };
        paper.line(ink, &format!("  {:>9}  {}", clock(moment.at_secs), one_line(&moment.text)));
    }
    if forecast.moments.len() > MOMENTS_MAX {
        let left = forecast.moments.len() - MOMENTS_MAX;
        paper.line(Ink::Faint, &format!("  {} more: isobar simulate --json", counted(left, "moment")));
    }

    paper.title("Assumed");
    forecast.assumed.iter().for_each(|text| paper.line(Ink::Faint, &format!("  {}", one_line(text))));
    paper.text()
}

fn row(wave: &ForecastWave) -> [String; 6] {
    let at = |secs: Option<u64>| secs.map_or_else(|| "–".into(), clock);
    let baked = match (wave.verified_secs, wave.baked_secs) {
        (Some(verified), Some(baked)) if baked > verified => format!("{} ({})", clock(baked), span(baked - verified)),
        _ => "–".into(),
    };
    [
        one_line(&wave.name),
        wave.reach.targets.to_string(),
        at(wave.begins_secs),
        at(wave.verified_secs),
        baked,
        one_line(&wave.state),
    ]
}
