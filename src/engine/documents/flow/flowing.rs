//! What an expression may be, as far as marks are in it.

use super::super::values::{Mark, marks_in};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) type Marks = BTreeSet<Mark>;

/// What an expression may be: parts of the values given, text with marks in it, or a list or map made here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flowing<'v> {
    /// Parts of the values, each with a mark in it.
    pub(super) parts: Vec<&'v Value>,
    pub(super) text: Marks,
    /// What a list or map made in the template holds.
    pub(super) inner: Option<Box<Flowing<'v>>>,
}

impl<'v> Flowing<'v> {
    pub(super) fn part(value: &'v Value) -> Self {
        let parts = if marks_in(value).is_empty() { vec![] } else { vec![value] };
        Self { parts, ..Self::default() }
    }

    pub(super) fn text(text: Marks) -> Self {
        Self { text, ..Self::default() }
    }

    pub(super) fn join(&mut self, other: Self) {
        for part in other.parts {
            if !self.parts.iter().any(|known| std::ptr::eq(*known, part)) {
                self.parts.push(part);
            }
        }
        self.text.extend(other.text);
        match (&mut self.inner, other.inner) {
            (Some(inner), Some(other)) => inner.join(*other),
            (inner @ None, other) => *inner = other,
            (Some(_), None) => {}
        }
    }

    pub(super) fn marks(&self) -> Marks {
        let mut marks: Marks = self.parts.iter().flat_map(|part| marks_in(part)).collect();
        marks.extend(self.text.iter().cloned());
        marks.extend(self.inner.iter().flat_map(|inner| inner.marks()));
        marks
    }

    pub(super) fn depth(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| 1 + inner.depth())
    }
}
