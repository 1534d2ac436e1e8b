//! Small words of every form: numbers with their nouns, times, short commits, places.

use crate::change::inert;
use crate::stack::TargetId;
use std::collections::BTreeMap;

/// Regions that are always named one by one.
const NAMED_MAX: usize = 6;
/// Missing regions that are named instead of the present ones.
const MISSING_MAX: usize = 3;

/// "1 target", "2 targets".
pub(super) fn counted(number: usize, noun: &str) -> String {
    let many = match (number, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    };
    format!("{} {many}", thousands(number))
}

/// "12,345", as in running text.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first seven characters of a commit.
pub(super) fn short(commit: &str) -> String {
    one_line(&commit.chars().take(7).collect::<String>())
}

/// "2026-11-02 14:02 UTC".
pub(super) fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| "a time out of range".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// The oldest and the newest of these times, as "2026-11-02 14:02 … 16:40 UTC"; one where they read the same, and nothing of none.
pub(super) fn times(at_ms: impl Iterator<Item = u64> + Clone) -> String {
    let (Some(oldest), Some(newest)) = (at_ms.clone().min().map(time), at_ms.max().map(time)) else { return String::new() };
    match (newest.split_once(' '), oldest.strip_suffix(" UTC")) {
        _ if oldest == newest => newest,
        (Some((day, hour)), Some(oldest)) if oldest.starts_with(day) => format!("{oldest} … {hour}"),
        (_, oldest) => format!("{} … {newest}", oldest.unwrap_or("?")),
    }
}

/// The same of a time from which on, or until which, something is so: rounded up, as it is true only after the last second.
pub(super) fn until(at_ms: u64) -> String {
    time(at_ms.div_ceil(60_000).saturating_mul(60_000))
}

/// Returns `text` inert and on one line.
pub(super) fn one_line(text: &str) -> String {
    let text = inert(text);
    if text.contains(['\n', '\t']) { text.split(['\n', '\t']).map(str::trim).collect::<Vec<_>>().join(" ") } else { text }
}

/// Joins "a", "b" and "c" with `separator`, leaving out what is empty.
pub(super) fn joined(parts: impl IntoIterator<Item = String>, separator: &str) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
}

/// Which regions every stack of a report has, so that "all 40 regions" can be said.
pub(super) struct Extent<'a> {
    regions: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Extent<'a> {
    pub(super) fn of(targets: impl Iterator<Item = &'a TargetId>) -> Self {
        let mut regions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in targets {
            regions.entry(target.stack.as_str()).or_default().push(target.region.as_str());
        }
        Self { regions }
    }

    /// Says where `targets` are, every region named or counted against all: "network, dns in prod/a, prod/b; edge in all 40 regions".
    pub(super) fn places<'t>(&self, targets: impl IntoIterator<Item = &'t TargetId>) -> String {
        let mut order: Vec<&str> = Vec::new();
        let mut stacks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in targets {
            let stack = target.stack.as_str();
            let regions = stacks.entry(stack).or_insert_with(|| {
                order.push(stack);
                Vec::new()
            });
            regions.push(target.region.as_str());
        }
        let mut told: Vec<(Vec<&str>, String)> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for stack in order {
            let regions = self.regions(stack, &stacks[stack]);
            match known.get(&regions) {
                Some(at) => told[*at].0.push(stack),
                None => {
                    known.insert(regions.clone(), told.len());
                    told.push((vec![stack], regions));
                }
            }
        }
        joined(told.into_iter().map(|(stacks, regions)| format!("{} in {regions}", stacks.join(", "))), "; ")
    }

    /// Says in which regions the targets of one stack are.
    pub(super) fn regions_of(&self, targets: &[TargetId]) -> String {
        let regions: Vec<_> = targets.iter().map(|target| target.region.as_str()).collect();
        targets.first().map_or_else(String::new, |target| self.regions(target.stack.as_str(), &regions))
    }

    fn regions(&self, stack: &str, regions: &[&str]) -> String {
        let all = self.regions.get(stack).map_or(&[][..], Vec::as_slice);
        if regions.len() <= NAMED_MAX {
            return regions.join(", ");
        }
        if regions.len() == all.len() {
            return format!("all {} regions", all.len());
        }
        let here: std::collections::BTreeSet<_> = regions.iter().collect();
        let missing: Vec<_> = all.iter().filter(|region| !here.contains(region)).copied().collect();
        if (1..=MISSING_MAX).contains(&missing.len()) {
            return format!("{} of {} regions, not {}", regions.len(), all.len(), missing.join(", "));
        }
        format!("{} regions: {}", regions.len(), regions.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(["target", "entry"].map(|noun| counted(1, noun)), ["1 target", "1 entry"]);
        assert_eq!(["target", "entry"].map(|noun| counted(12_345, noun)), ["12,345 targets", "12,345 entries"]);
    }

    #[test]
    fn times_are_absolute() {
        assert_eq!(time(1_793_628_120_000), "2026-11-02 14:02 UTC");
        assert_eq!(time(u64::MAX), "a time out of range");
        let (at, minute, day) = (1_793_628_120_000, 60_000, 86_400_000);
        let told = [[at, at + 1], [at + minute, at], [at, at + day]].map(|of| times(of.into_iter()));
        let apart = "2026-11-02 14:02 … 2026-11-03 14:02 UTC";
        assert_eq!(told, ["2026-11-02 14:02 UTC", "2026-11-02 14:02 … 14:03 UTC", apart]);
        assert_eq!(times(std::iter::empty()), "");
        assert_eq!([1_793_628_120_000, 1_793_628_120_001].map(until), ["2026-11-02 14:02 UTC", "2026-11-02 14:03 UTC"]);
    }

    #[test]
    fn places_are_named_while_they_are_few_and_counted_against_all_when_they_are_many() {
        let id = |stack: &str, n: usize| format!("{stack}@prod/r{n}").parse::<TargetId>().expect("a good name");
        let all: Vec<_> = ["net", "dns"].iter().flat_map(|stack| (0..10).map(move |n| id(stack, n))).collect();
        let extent = Extent::of(all.iter());
        assert_eq!(extent.places(&[id("net", 1), id("dns", 1), id("net", 2)]), "net in prod/r1, prod/r2; dns in prod/r1");
        assert_eq!(extent.places(&all), "net, dns in all 10 regions");
        assert_eq!(extent.places(&all[..8]), "net in 8 of 10 regions, not prod/r8, prod/r9");
    }
}
