//! What gives way, in a fixed order, until all fits: bodies of groups, then what outliers differ in, then the matrix, then the groups
//! to their titles. The largest goes first within a step; of two equal ones the later.

use super::super::words::Extent;
use super::group::{self, Form};
use super::lists::more;
use crate::change::Group;
use std::fmt;

/// Rendered bodies that are kept meanwhile; others are measured only, and rendered again if they stay.
const KEPT_BYTES: usize = 4_000_000;
/// Bytes kept for the line that says how many groups were left out.
const CUT_BYTES: usize = 160;

/// What may shrink.
pub(super) struct Shrinking<'a> {
    extent: &'a Extent<'a>,
    rest: &'a str,
    matrix: Vec<String>,
    groups: Vec<Item<'a>>,
    kept: usize,
}

struct Item<'a> {
    group: &'a Group,
    form: Form,
    bytes: usize,
    /// The text in `form`, while there is room to keep it.
    text: Option<String>,
}

/// What came of it.
pub(super) struct Shrunk {
    pub(super) matrix: String,
    pub(super) groups: String,
    pub(super) cut: bool,
}

/// Counts what would be written.
struct Count(usize);

impl fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

impl<'a> Shrinking<'a> {
    pub(super) fn new(matrix: Vec<String>, groups: &'a [Group], extent: &'a Extent<'a>, rest: &'a str) -> Self {
        let mut shrinking = Self { extent, rest, matrix, groups: Vec::with_capacity(groups.len()), kept: 0 };
        for group in groups {
            let item = shrinking.item(group, Form::Whole);
            shrinking.groups.push(item);
        }
        shrinking
    }

    /// Shrinks until all fits into `room`.
    pub(super) fn into(mut self, room: usize) -> Shrunk {
        let whole = self.bytes() <= room;
        for (outliers, form) in
            [(false, Form::Addresses), (false, Form::SomeAddresses), (true, Form::Addresses), (true, Form::SomeAddresses)]
        {
            self.shrink(room, form, |item| item.group.differs.is_empty() != outliers);
        }
        if self.bytes() > room && self.matrix.len() > 1 && self.matrix[1].len() < self.matrix[0].len() {
            self.matrix.remove(0);
        }
        self.shrink(room, Form::Title, |_| true);
        self.write(room, whole)
    }

    fn bytes(&self) -> usize {
        self.matrix.first().map_or(0, String::len) + self.groups.iter().map(|item| item.bytes).sum::<usize>()
    }

    fn item(&mut self, group: &'a Group, form: Form) -> Item<'a> {
        if self.kept < KEPT_BYTES {
            let mut text = String::new();
            group::write(&mut text, group, self.extent, form, self.rest).expect("a string takes any text");
            self.kept += text.len();
            return Item { group, form, bytes: text.len(), text: Some(text) };
        }
        let mut count = Count(0);
        group::write(&mut count, group, self.extent, form, self.rest).expect("counting never fails");
        Item { group, form, bytes: count.0, text: None }
    }

    /// Brings the groups that are `meant` to `form`, the largest first, until all fits.
    fn shrink(&mut self, room: usize, form: Form, meant: impl Fn(&Item<'_>) -> bool) {
        let mut total = self.bytes();
        let mut order: Vec<usize> =
            (0..self.groups.len()).filter(|at| self.groups[*at].form < form && meant(&self.groups[*at])).collect();
        order.sort_by_key(|at| (self.groups[*at].bytes, *at));
        while total > room {
            let Some(at) = order.pop() else { return };
            let smaller = self.item(self.groups[at].group, form);
            if smaller.bytes < self.groups[at].bytes {
                total -= self.groups[at].bytes - smaller.bytes;
                self.kept -= self.groups[at].text.as_ref().map_or(0, String::len);
                self.groups[at] = smaller;
            } else {
                self.kept -= smaller.text.map_or(0, |text| text.len());
            }
        }
    }

    fn write(self, room: usize, whole: bool) -> Shrunk {
        let fits = self.bytes() <= room;
        let mut matrix = self.matrix.into_iter().next().unwrap_or_default();
        if !fits && matrix.len() + CUT_BYTES > room / 2 {
            matrix = cut_lines(&matrix, room / 2, self.rest);
        }
        let mut groups = String::new();
        let mut missing = 0;
        for item in &self.groups {
            if missing > 0 || (!fits && matrix.len() + groups.len() + item.bytes + CUT_BYTES > room) {
                missing += 1;
                continue;
            }
            match &item.text {
                Some(text) => groups.push_str(text),
                None => {
                    group::write(&mut groups, item.group, self.extent, item.form, self.rest).expect("a string takes any text");
                }
            }
        }
        if missing > 0 {
            groups.push_str(&more(missing, "group", self.rest));
        }
        Shrunk { matrix, groups, cut: !whole }
    }
}

/// Keeps whole lines that fit, and says how many do not.
fn cut_lines(text: &str, room: usize, rest: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n');
    let mut missing = 0;
    for line in lines.by_ref() {
        if kept.len() + line.len() + CUT_BYTES > room {
            missing = 1;
            break;
        }
        kept.push_str(line);
    }
    missing += lines.count();
    if missing > 0 {
        kept.push_str(&more(missing, "line", rest));
    }
    kept
}
