//! Where words go: results to standard output, everything else to standard error. Live progress on a terminal, plain lines
//! in CI.

use super::{Environment, write_all};
use crate::change::{Redactor, inert};
use crate::report::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How much is said while we work.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Style of standard output.
    pub style: Style,
    live: bool,
    quiet: bool,
    /// Results are not written either.
    mute: bool,
    bar: Arc<Mutex<Option<ProgressBar>>>,
    masks: Arc<Mutex<Masks>>,
}

/// Shorter values are part of our own words and numbers; engines and reports mask those where they come from.
const MASKED_MIN: usize = 8;

/// Values that are never written, by name.
#[derive(Default)]
struct Masks {
    secrets: BTreeMap<Arc<str>, Arc<str>>,
    redactor: Redactor,
}

/// Never shows the secrets.
impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(…)")
    }
}

/// Live progress of one thing; hidden where nobody looks.
pub struct Bar {
    bar: ProgressBar,
    place: Arc<Mutex<Option<ProgressBar>>>,
}

impl Terminal {
    pub fn new(environment: &Environment, quiet: bool, no_colour: bool) -> Self {
        let colour = environment.stdout_is_terminal
            && !no_colour
            && environment.get("NO_COLOR").is_none()
            && environment.get("TERM") != Some("dumb");
        let live = environment.stderr_is_terminal && !environment.in_ci() && !quiet;
        Self {
            style: if colour { Style::Colour } else { Style::Plain },
            live,
            quiet,
            mute: false,
            bar: Arc::default(),
            masks: Arc::default(),
        }
    }

    /// Writes a result to standard output, inert: what stands in it can command neither the runner nor the terminal.
    pub fn say(&self, text: &str) {
        self.say_made(&inert(text));
    }

    /// Writes a result whose parts are inert already, and which may be styled or a format that must stay as it is.
    pub fn say_made(&self, text: &str) {
        if !self.mute {
            self.above_the_bar(|| write_all(std::io::stdout(), &self.masked(text)));
        }
    }

    /// Writes a line about the work to standard error; nothing when quiet.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            self.above_the_bar(|| write_all(std::io::stderr(), &self.masked(&inert(&format!("{line}\n")))));
        }
    }

    /// Writes a failure to standard error, quiet or not.
    pub fn complain(&self, text: &str) {
        self.above_the_bar(|| write_all(std::io::stderr(), &self.masked(&inert(&format!("{text}\n")))));
    }

    /// Never writes this value: the last mask, behind those of each engine and report.
    pub(super) fn mask(&self, name: &Arc<str>, value: &Arc<str>) {
        if value.chars().count() < MASKED_MIN {
            return;
        }
        let mut masks = self.masks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if masks.secrets.insert(name.clone(), value.clone()).as_ref() != Some(value) {
            let secrets = masks.secrets.iter().map(|(name, value)| (name.clone(), value.clone()));
            masks.redactor = Redactor::new(secrets.collect());
        }
    }

    fn masked(&self, text: &str) -> String {
        self.masks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).redactor.redact(text)
    }

    /// The same, saying nothing but complaints.
    pub fn hushed(&self) -> Self {
        Self { quiet: true, mute: true, live: false, ..self.clone() }
    }

    /// Someone looks on, live.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Begins live progress over `total` targets.
    pub fn bar(&self, doing: &str, total: usize) -> Bar {
        let target = if self.live && total > 1 { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let style =
            ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}").expect("the template is a constant that parses");
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_message(doing.to_string());
        *self.slot() = Some(bar.clone());
        Bar { bar, place: self.bar.clone() }
    }

    fn above_the_bar(&self, write: impl FnOnce()) {
        let bar = self.slot().clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Bar {
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        *self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}
