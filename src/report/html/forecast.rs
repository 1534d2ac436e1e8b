//! How a rollout would go, as one page: a waterfall of waves and regions, and the timeline.

use super::super::forecast::{clock, span};
use super::super::words::{counted, joined, one_line, thousands};
use super::super::{Forecast, ForecastState, ForecastTarget, ForecastWave, Mood};
use super::{STYLE, document, escaped};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Regions that have a line of their own, in a wave and on the page.
const REGIONS_MAX: usize = 24;
const LINES_MAX: usize = 240;
/// Moments on the page.
const MOMENTS_MAX: usize = 500;
/// Width of the waterfall in its own units.
const WIDTH: u64 = 1_000;
/// Narrower bars could not be seen.
const BAR_MIN: u64 = 2;

/// Returns the page of a forecast.
pub fn forecast_page(forecast: &Forecast) -> String {
    let dirty = if forecast.dirty { "with edits that are not committed" } else { "" };
    let state = joined(["a rehearsal: nothing was touched".into(), dirty.into()], " · ");
    let sections = [cards(forecast), end(forecast), waterfall(forecast), moments(forecast), assumed(forecast)].concat();
    document(&forecast.headline(), &escaped(&state), &[STYLE, include_str!("forecast.css")].concat(), &sections)
}

fn cards(forecast: &Forecast) -> String {
    let count = |state: ForecastState| forecast.targets.iter().filter(|target| target.state == state).count();
    let cards = [
        ("f", "✗", "failed", count(ForecastState::Failed)),
        ("u", "?", "unknown", count(ForecastState::Unknown)),
        ("n", "o", "skipped", count(ForecastState::Skipped)),
        ("n", "·", "not begun", count(ForecastState::NotBegun)),
        ("a", "✓", "applied", count(ForecastState::Applied)),
    ];
    let shown = cards.iter().filter(|(.., number)| *number > 0);
    let card = |(class, sign, word, number): &(&str, &str, &str, usize)| {
        let number = thousands(*number);
        format!("<li class=\"card {class}\"><b>{number}</b> <span aria-hidden=\"true\">{sign}</span> {word}</li>\n")
    };
    let took = format!("<li class=\"card w\"><b>{}</b> until then</li>\n", span(forecast.end_secs));
    format!(
        "<section aria-label=\"Counts\">\n<ul class=\"cards\">\n{}{took}</ul>\n</section>\n",
        shown.map(card).collect::<String>()
    )
}

fn end(forecast: &Forecast) -> String {
    let Some(why) = forecast.why() else { return String::new() };
    format!(
        "<section aria-label=\"Why it ends there\">\n<ul class=\"stops\">\n<li>{}</li>\n</ul>\n</section>\n",
        escaped(&one_line(why))
    )
}

fn waterfall(forecast: &Forecast) -> String {
    let last = forecast.waves.iter().filter_map(|wave| wave.baked_secs).chain([forecast.end_secs]).max().unwrap_or(0).max(1);
    let mut rows = String::new();
    let mut lines = 0;
    for (at, wave) in forecast.waves.iter().enumerate() {
        rows.push_str(&lead(wave, forecast.end_secs, last));
        let mut regions: BTreeMap<&str, Vec<&ForecastTarget>> = BTreeMap::new();
        for target in forecast.targets.iter().filter(|target| target.wave == at) {
            regions.entry(target.target.region.as_str()).or_default().push(target);
        }
        let room = LINES_MAX.saturating_sub(lines).min(REGIONS_MAX);
        regions.iter().take(room).for_each(|(region, targets)| rows.push_str(&lane(region, targets, last)));
        lines += regions.len().min(room);
        if regions.len() > room {
            let more = counted(regions.len() - room, "more region");
            let _ = writeln!(rows, "<tr><th scope=\"row\"><small>{more}</small></th><td></td></tr>"); // writing to a string does not fail
        }
    }
    let marks: String = (0..=4).map(|quarter| format!("<span>{}</span>", clock(last * quarter / 4))).collect();
    format!(
        "<section>\n<h2>Waterfall</h2>\n<table class=\"fall\">\n<tbody>\n{rows}</tbody>\n<tfoot><tr><th></th><td><div class=\"axis\">{marks}</div></td></tr></tfoot>\n</table>\n\
         <p class=\"legend\"><span><i class=\"a\">✓</i> applied</span> <span><i class=\"f\">✗</i> failed</span> <span><i class=\"u\">?</i> no end was recorded</span> \
         <span><i class=\"b\">…</i> bake</span></p>\n</section>\n"
    )
}

/// A wave's own line: its work, and its bake.
fn lead(wave: &ForecastWave, end_secs: u64, last: u64) -> String {
    let mut bars = String::new();
    if let Some(begins) = wave.begins_secs {
        let (class, word) = if wave.failed > 0 { ("bad", "with failures") } else { ("work", "applying") };
        bars.push_str(&bar(class, begins, wave.verified_secs.unwrap_or(end_secs), last, word));
    }
    if let (Some(verified), Some(baked)) = (wave.verified_secs, wave.baked_secs)
        && baked > verified
    {
        bars.push_str(&bar("bake", verified, baked, last, &format!("bakes {}", span(baked - verified))));
    }
    format!(
        "<tr class=\"lead\"><th scope=\"row\">{}<br><small>{}, {}</small></th><td>{}</td></tr>\n",
        escaped(&one_line(&wave.name)),
        counted(wave.reach.targets, "target"),
        escaped(&one_line(&wave.state)),
        chart(&bars)
    )
}

fn lane(region: &str, targets: &[&ForecastTarget], last: u64) -> String {
    let mut bars = String::new();
    for target in targets {
        for (nth, (from, to)) in target.applies.iter().enumerate() {
            let is_last = nth + 1 == target.applies.len();
            let (class, word) = match (to, target.state) {
                (None, _) => ("open", "no end was recorded"),
                (Some(_), ForecastState::Failed) if is_last => ("bad", "failed"),
                (Some(_), ForecastState::Applied) if is_last => ("good", "applied"),
                (Some(_), _) => ("bad", "failed, and tried again"),
            };
            bars.push_str(&bar(class, *from, to.unwrap_or(*from), last, &format!("{}: {word}", target.target.stack)));
        }
    }
    let idle = targets.iter().all(|target| target.applies.is_empty());
    let why = targets.iter().find_map(|target| target.why.as_deref()).filter(|_| idle);
    let note = match (why, idle) {
        (Some(why), _) => format!(" <small>{}</small>", escaped(&one_line(why))),
        (None, true) => " <small>not begun</small>".into(),
        (None, false) => String::new(),
    };
    format!("<tr><th scope=\"row\">{}{note}</th><td>{}</td></tr>\n", escaped(region), chart(&bars))
}

fn chart(bars: &str) -> String {
    let grid: String = (1..4)
        .map(|quarter| format!("<line class=\"grid\" x1=\"{0}\" x2=\"{0}\" y1=\"0\" y2=\"10\"/>", WIDTH * quarter / 4))
        .collect();
    format!("<svg viewBox=\"0 0 {WIDTH} 10\" preserveAspectRatio=\"none\" role=\"img\">{grid}{bars}</svg>")
}

fn bar(class: &str, from: u64, to: u64, last: u64, words: &str) -> String {
    let place = |secs: u64| (secs.min(last) * WIDTH) / last;
    let x = place(from).min(WIDTH - BAR_MIN);
    let width = place(to).saturating_sub(x).max(BAR_MIN);
    let title = format!("{words}, {} to {}", clock(from), clock(to));
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"1\" width=\"{width}\" height=\"8\"><title>{}</title></rect>", escaped(&title))
}

fn moments(forecast: &Forecast) -> String {
    let item = |moment: &super::super::ForecastMoment| {
        let class = match moment.mood {
            Mood::Plain => "n",
            Mood::Good => "a",
            Mood::Bad => "f",
            Mood::Waits => "b",
        };
        format!(
            "<li class=\"{class}\"><time>{}</time><span>{}</span></li>\n",
            clock(moment.at_secs),
            escaped(&one_line(&moment.text))
        )
    };
    let items: String = forecast.moments.iter().take(MOMENTS_MAX).map(item).collect();
    let left = forecast.moments.len().saturating_sub(MOMENTS_MAX);
    let more = if left == 0 {
        String::new()
    } else {
        format!("<p>{} more: <code>isobar simulate --json</code></p>\n", counted(left, "moment"))
    };
    format!("<section>\n<h2>Timeline</h2>\n<ol class=\"moments\">\n{items}</ol>\n{more}</section>\n")
}

fn assumed(forecast: &Forecast) -> String {
    let items: String = forecast.assumed.iter().map(|text| format!("<li>{}</li>\n", escaped(&one_line(text)))).collect();
    format!("<section>\n<h2>Assumed</h2>\n<ul>\n{items}</ul>\n</section>\n")
}
