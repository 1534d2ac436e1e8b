//! Places that must lie apart: what targets publish to, what stacks read, and the journal. What lies inside another's place would be
//! changed under that one's name, past its policy. Lexical: neither a disk nor a service is asked.

use crate::stack::{Mistake, Mistakes, Site, StackName, TargetId};
use std::collections::BTreeSet;

/// A directory (or an included file) from the root of the repository, or a URL in a bucket; and whose it is.
pub(super) struct Place<'a> {
    pub(super) path: String,
    pub(super) of: Owner<'a>,
}

/// Whose a place is, in the order in which those of one place stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner<'a> {
    /// Read by a stack as its sources.
    Sources(&'a StackName),
    /// Where the fleet says so.
    Journal(&'a Site),
    /// Published to by a target: its name, that of its definition, and where the definition says so.
    Published(&'a TargetId, &'a StackName, &'a Site),
}

/// Stands for the fleet in a pair; no stack has such a name.
const OF_JOURNAL: &str = ".";

const HINT: &str = "give each a place of its own, none inside another";

/// Reports what holds one another, once for each pair of definitions.
pub(super) fn check(mut places: Vec<Place<'_>>, mistakes: &mut Mistakes) {
    // Part by part, so that what a directory holds follows it at once.
    places.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')).then_with(|| a.of.cmp(&b.of)));
    places.dedup_by(|later, first| {
        later.path == first.path && matches!((&later.of, &first.of), (Owner::Sources(_), Owner::Sources(_)))
    });
    let mut told = BTreeSet::new();
    let mut above: Vec<&Place<'_>> = Vec::new();
    for place in &places {
        while above.last().is_some_and(|outer| !is_within(&place.path, &outer.path)) {
            above.pop();
        }
        for outer in &above {
            if let Some((pair, mistake)) = fault(outer, place)
                && told.insert(pair)
            {
                mistakes.push(mistake.hint(HINT));
            }
        }
        above.push(place);
    }
}

/// Says what is wrong with `inner` lying at or in `outer`, and of which two it is told.
fn fault<'a>(outer: &Place<'a>, inner: &Place<'a>) -> Option<([&'a str; 2], Mistake)> {
    let at = |site: &Site, what: String| Mistake::at(site, what);
    let (a, b) = (&outer.path, &inner.path);
    let (pair, mistake) = match (outer.of, inner.of) {
        (Owner::Published(one, of, _), Owner::Published(other, by, site)) if a != b => {
            let what = format!("the destination of {other}, {b}, lies inside {a}, the destination of {one}");
            ([of.as_str(), by.as_str()], at(site, what))
        }
        (Owner::Sources(of), Owner::Published(other, by, site)) => {
            let what = format!("the destination of {other}, {b}, lies in {a}, which holds the sources of {of}");
            ([of.as_str(), by.as_str()], at(site, what))
        }
        (Owner::Published(one, by, site), Owner::Sources(of)) => {
            let what = format!("the destination of {one}, {a}, holds {b}, which is among the sources of {of}");
            ([of.as_str(), by.as_str()], at(site, what))
        }
        (Owner::Journal(_), Owner::Published(other, by, site)) => {
            ([by.as_str(), ""], at(site, format!("the destination of {other}, {b}, lies in the journal, {a}")))
        }
        (Owner::Published(one, by, site), Owner::Journal(_)) => {
            ([by.as_str(), ""], at(site, format!("the destination of {one}, {a}, holds the journal, {b}")))
        }
        (Owner::Journal(site), Owner::Sources(of)) => {
            ([of.as_str(), OF_JOURNAL], at(site, format!("the journal, {a}, holds {b}, which is among the sources of {of}")))
        }
        (Owner::Sources(of), Owner::Journal(site)) => {
            ([of.as_str(), OF_JOURNAL], at(site, format!("the journal, {b}, lies in {a}, which holds the sources of {of}")))
        }
        (Owner::Published(..), Owner::Published(..)) // equal ones are told elsewhere
        | (Owner::Sources(_), Owner::Sources(_))
        | (Owner::Journal(_), Owner::Journal(_)) => return None,
    };
    let mut pair = pair;
    pair.sort_unstable();
    Some((pair, mistake))
}

fn is_within(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(read: &[(&str, &str)], published: &[(&str, &str)]) -> Vec<String> {
        let stacks: Vec<StackName> = read.iter().map(|(of, _)| of.parse().expect("a name")).collect();
        let targets: Vec<(TargetId, StackName)> = published
            .iter()
            .map(|(target, _)| {
                let target: TargetId = target.parse().expect("a target");
                let stack = target.stack.clone();
                (target, stack)
            })
            .collect();
        let site = Site::new("app/stack.yaml", 3, 5);
        let sources = read.iter().zip(&stacks).map(|((_, path), of)| Place { path: (*path).into(), of: Owner::Sources(of) });
        let live = published.iter().zip(&targets);
        let live = live.map(|((_, path), (id, of))| Place { path: (*path).into(), of: Owner::Published(id, of, &site) });
        let mut mistakes = Mistakes::default();
        let journal = Place { path: "kept/journal".into(), of: Owner::Journal(&site) };
        check(sources.chain(live).chain([journal]).collect(), &mut mistakes);
        mistakes.iter().map(|mistake| mistake.what.clone()).collect()
    }

    #[test]
    fn a_destination_inside_another_is_told_once_for_two_stacks() {
        let places = [("a@p/x", "live/x/a"), ("b@p/x", "live/x/a/conf/d"), ("a@p/y", "live/y/a"), ("b@p/y", "live/y/a/conf")];
        assert_eq!(
            told(&[], &places),
            ["the destination of b@p/x, live/x/a/conf/d, lies inside live/x/a, the destination of a@p/x"]
        );
        assert!(told(&[], &[("a@p/x", "live/x/a"), ("b@p/x", "live/x/a-b"), ("c@p/x", "live/x/a.c/d")]).is_empty());
    }

    #[test]
    fn sources_and_the_journal_lie_apart_from_every_destination() {
        let told = |path| told(&[("sec", "sec/templates")], &[("a@p/x", path)]);
        for path in ["sec", "sec/templates", "sec/templates/sub", "kept", "kept/journal", "kept/journal/x"] {
            assert_eq!(told(path).len(), 1, "{path}");
        }
        assert!(told("sec/live").is_empty() && told("kept/live").is_empty());
    }

    #[test]
    fn the_journal_lies_apart_from_what_a_stack_reads() {
        for path in ["kept", "kept/journal", "kept/journal/templates"] {
            assert_eq!(told(&[("sec", path)], &[]).len(), 1, "{path}");
        }
        assert!(told(&[("sec", "kept/templates")], &[]).is_empty());
    }

    #[test]
    fn a_bucket_is_held_against_others_part_by_part_and_against_no_directory() {
        let places = [("a@p/x", "s3://docs"), ("b@p/x", "s3://docs/live/b"), ("c@p/x", "s3://docs-b"), ("d@p/x", "gs://docs/a")];
        assert_eq!(
            told(&[], &places),
            ["the destination of b@p/x, s3://docs/live/b, lies inside s3://docs, the destination of a@p/x"]
        );
        assert!(told(&[], &[("a@p/x", "s3://docs/a"), ("b@p/x", "s3://docs/ab"), ("c@p/x", "docs/a")]).is_empty());
    }
}
