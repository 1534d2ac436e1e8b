//! Lines, titles and tables, with colour where it is wanted.

use super::super::tell::Standing;
use super::Style;
use crate::change::Action;
use anstyle::{AnsiColor, Style as Ansi};

/// What a line is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Faint,
    Good,
    Warn,
    Bad,
    Added,
    Removed,
    Hunk,
}

impl Ink {
    pub(super) fn of_standing(standing: Standing) -> Self {
        match standing {
            Standing::Failed | Standing::Denied => Ink::Bad,
            Standing::Unknown | Standing::Unseen | Standing::Waiting => Ink::Warn,
            Standing::Skipped | Standing::NotStarted => Ink::Plain,
        }
    }

    pub(super) fn of_action(action: Action) -> Self {
        match action {
            Action::Create => Ink::Added,
            Action::Delete | Action::Replace => Ink::Removed,
            Action::Update | Action::Move => Ink::Warn,
            Action::Read => Ink::Plain,
        }
    }

    /// By the sign in column 0 of a diff.
    pub(super) fn of_line(line: &str) -> Self {
        match line.as_bytes().first() {
            Some(b'+') => Ink::Added,
            Some(b'-') => Ink::Removed,
            Some(b'@') => Ink::Hunk,
            Some(_) | None => Ink::Plain,
        }
    }

    fn ansi(self) -> Ansi {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Ink::Plain => Ansi::new(),
            Ink::Bold => Ansi::new().bold(),
            Ink::Faint => Ansi::new().dimmed(),
            Ink::Good | Ink::Added => colour(AnsiColor::Green),
            Ink::Warn => colour(AnsiColor::Yellow),
            Ink::Bad => colour(AnsiColor::Red).bold(),
            Ink::Removed => colour(AnsiColor::Red),
            Ink::Hunk => colour(AnsiColor::Cyan),
        }
    }
}

/// The text so far.
pub(super) struct Paper {
    text: String,
    style: Style,
}

impl Paper {
    pub(super) fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    /// Adds one line; `text` is inert and has no line end.
    pub(super) fn line(&mut self, ink: Ink, text: &str) {
        match self.style {
            Style::Colour if ink != Ink::Plain => {
                let ansi = ink.ansi();
                self.text.push_str(&format!("{}{text}{}", ansi.render(), ansi.render_reset()));
            }
            Style::Plain | Style::Colour => self.text.push_str(text.trim_end()),
        }
        self.text.push('\n');
    }

    pub(super) fn lines(&mut self, indent: &str, lines: &[String]) {
        lines.iter().for_each(|line| self.line(Ink::Plain, &format!("{indent}{line}")));
    }

    /// Adds a blank line and a title.
    pub(super) fn title(&mut self, title: &str) {
        self.text.push('\n');
        self.line(Ink::Bold, title);
    }

    /// Adds a table with columns as wide as their widest cell, indented by two; columns without any cell are left out.
    pub(super) fn table<const N: usize>(&mut self, heads: &[&str; N], rows: &[[String; N]]) {
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            if cells == 0 { 0 } else { cells.max(heads[column].chars().count()) }
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |cells: &[&str]| {
            let cells = cells.iter().zip(&widths).filter(|(_, width)| **width > 0);
            cells.map(|(cell, width)| format!("  {cell:<width$}")).collect::<String>()
        };
        self.line(Ink::Faint, &line(heads));
        for row in rows {
            self.line(Ink::Plain, &line(&row.each_ref().map(String::as_str)));
        }
    }

    pub(super) fn text(self) -> String {
        self.text
    }
}
