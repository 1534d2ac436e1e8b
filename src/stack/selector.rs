//! `network@prod/*`: which targets a command is about.

use super::Target;

/// A choice of targets by pattern, region and label; the empty one matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {}

impl Selector {
    /// Reads patterns `stack@region` (`*` within or across parts; `stack` alone means every region), region patterns and `key=value` labels. Patterns are
    /// or, the three kinds are and.
    pub fn parse(_patterns: &[String], _regions: &[String], _labels: &[String]) -> Result<Self, String> {
        todo!()
    }

    pub fn matches(&self, _target: &Target) -> bool {
        todo!()
    }
}
