//! Where words go: results to standard output, everything else to standard error. Live progress on a terminal, plain lines
//! in CI.

use super::{Environment, write_all};
use crate::change::{Redactor, inert};
use crate::report::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// How much is said while we work.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Style of standard output.
    pub style: Style,
    live: bool,
    quiet: bool,
    /// Results are not written either.
    mute: bool,
    bars: MultiProgress,
    masks: Arc<Mutex<Masks>>,
    /// Why a result could not be written whole.
    unsaid: Arc<OnceLock<Arc<str>>>,
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
    /// Those drawn beside it.
    bars: MultiProgress,
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
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            masks: Arc::default(),
            unsaid: Arc::default(),
        }
    }

    /// Writes a result to standard output, inert: what stands in it can command neither the runner nor the terminal.
    pub fn say(&self, text: &str) {
        self.say_made(&inert(text));
    }

    /// Writes a result whose parts are inert already, and which may be styled or a format that must stay as it is.
    pub fn say_made(&self, text: &str) {
        if !self.mute {
            let written = self.above_the_bars(|| write_all(std::io::stdout(), &self.masked(text)));
            let _first = written.map_err(|error| self.unsaid.set(error.to_string().into()));
        }
    }

    /// Why a result could not be written whole, such as a disk that is full behind standard output.
    pub fn unsaid(&self) -> Option<Arc<str>> {
        self.unsaid.get().cloned()
    }

    /// Writes a line about the work to standard error; nothing when quiet.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            let _nobody_to_tell =
                self.above_the_bars(|| write_all(std::io::stderr(), &self.masked(&inert(&format!("{line}\n")))));
        }
    }

    /// Writes a failure to standard error, quiet or not.
    pub fn complain(&self, text: &str) {
        let _nobody_to_tell = self.above_the_bars(|| write_all(std::io::stderr(), &self.masked(&inert(&format!("{text}\n")))));
    }

    /// Never writes these values: the last mask, behind those of each engine and report.
    pub(super) fn mask(&self, secrets: &BTreeMap<Arc<str>, Arc<str>>) {
        let mut masks = self.masks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = |(name, value): &(&Arc<str>, &Arc<str>)| {
            value.chars().count() >= MASKED_MIN && masks.secrets.get(*name) != Some(value)
        };
        let new: Vec<_> = secrets.iter().filter(is_new).map(|(name, value)| (name.clone(), value.clone())).collect();
        if !new.is_empty() {
            masks.secrets.extend(new);
            let secrets = masks.secrets.iter().map(|(name, value)| (name.clone(), value.clone()));
            masks.redactor = Redactor::new(secrets.collect());
        }
    }

    /// Takes out every value that is never written: whatever is told elsewhere goes through here first.
    pub fn masked(&self, text: &str) -> String {
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
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let bar = if self.live && total > 1 { self.bars.add(bar) } else { bar };
        let style =
            ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}").expect("the template is a constant that parses");
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_message(doing.to_string());
        Bar { bar, bars: self.bars.clone() }
    }

    /// Without a bar nothing is locked: one pipe that is not read must not hold up the other.
    fn above_the_bars<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.live { self.bars.suspend(write) } else { write() }
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
        self.bars.remove(&self.bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io::Result;

    /// A terminal that remembers whether a bar is on it.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<bool>>);

    impl Screen {
        fn set(&self, drawn: bool) -> Result<()> {
            *self.0.lock().expect("nobody panics with it") = drawn;
            Ok(())
        }

        fn is_drawn(&self) -> bool {
            *self.0.lock().expect("nobody panics with it")
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> Result<()> {
            if text.trim().is_empty() { Ok(()) } else { self.set(true) }
        }

        fn clear_line(&self) -> Result<()> {
            self.set(false)
        }

        fn flush(&self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_where_no_bar_is_also_when_another_bar_has_gone() {
        let screen = Screen::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let terminal = Terminal { live: true, bars, ..Terminal::new(&Environment::default(), false, true) };
        let (first, second) = (terminal.bar("looks", 2), terminal.bar("applies", 2));
        first.step();
        drop(first);
        second.step();
        assert!(screen.is_drawn(), "the second bar is there");
        terminal.above_the_bars(|| assert!(!screen.is_drawn(), "the line would stand in the bar"));
        drop(second);
        assert!(!screen.is_drawn(), "nothing is left of it");
    }
}
