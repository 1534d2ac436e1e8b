//! Which files each stack uses, and which of them differ between two commits. Knows paths and blob ids, never bytes.

use super::fleet_file::PATH as FLEET;
use super::{Leaf, Reason, Side, Stack};
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// One stack on both sides.
#[derive(Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) before: &'a Stack,
    pub(super) after: &'a Stack,
}

/// Returns, for each of `stacks`, the reasons that files give. A stack whose directory nobody changed costs nothing.
pub(super) fn file_reasons(before: &Side<'_>, after: &Side<'_>, stacks: &[Both<'_>]) -> Vec<Vec<Reason>> {
    let changed = before.listing.changed(after.listing);
    let (old, new) = (Files::of(before), Files::of(after));
    let mut reasons = watch_reasons(&changed, stacks);
    for at in suspects(&changed, &old, &new, stacks) {
        let Both { before, after } = stacks[at];
        reasons[at].extend(differing(&old.used_by(before), &new.used_by(after)).map(|path| Reason::File { path: path.clone() }));
    }
    reasons
}

/// Counts the files that `stack` uses or watches.
pub(super) fn count_files(side: &Side<'_>, stack: &Stack) -> usize {
    let used = Files::of(side).used_by(stack);
    let mut paths: BTreeSet<&str> = used.values().map(|leaf| &*leaf.path).collect();
    let globs = globs_of(stack.watch.iter().map(|(glob, _)| &**glob));
    paths.extend(side.listing.leaves().iter().map(|leaf| &*leaf.path).filter(|path| globs.is_match(path)));
    paths.len()
}

/// The files of one side, and whose directories stand where.
struct Files<'a> {
    side: &'a Side<'a>,
    stack_dirs: BTreeSet<&'a str>,
}

/// Where a file stands as its stack sees it: a file of its own directory keeps its place when the directory moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Own(&'a str),
    Outside(&'a str),
}

impl<'a> Files<'a> {
    fn of(side: &'a Side<'a>) -> Self {
        Self { side, stack_dirs: side.fleet.stacks.iter().map(|stack| &*stack.dir).collect() }
    }

    /// Returns every file that `stack` uses: those of its directory without nested stacks, and those that its engine traced.
    fn used_by(&self, stack: &Stack) -> BTreeMap<Place<'a>, &'a Leaf> {
        let definitions = [&*stack.site.path, FLEET]; // compared by what they say, never by their bytes
        let own = self.side.listing.under(&stack.dir).iter().filter(|leaf| !self.is_nested(&leaf.path, &stack.dir));
        let traced = self.traced_by(stack);
        let trees = traced.iter().filter_map(|path| path.strip_suffix('/')).flat_map(|dir| self.side.listing.under(dir));
        let files = traced.iter().filter_map(|path| self.side.listing.get(path));
        let leaves = own.chain(trees).filter(|leaf| !definitions.contains(&&*leaf.path)).chain(files);
        leaves.map(|leaf| (place(&leaf.path, &stack.dir), leaf)).collect()
    }

    fn traced_by(&self, stack: &Stack) -> &'a BTreeSet<Arc<str>> {
        const NONE: &BTreeSet<Arc<str>> = &BTreeSet::new();
        self.side.uses.get(stack.definition()).map_or(NONE, |uses| &uses.files)
    }

    /// Returns true when `path` belongs to another stack below `dir`.
    fn is_nested(&self, path: &str, dir: &str) -> bool {
        parents(path).take_while(|parent| *parent != dir).any(|parent| self.stack_dirs.contains(parent))
    }
}

fn place<'a>(path: &'a str, dir: &str) -> Place<'a> {
    let below = if dir.is_empty() { Some(path) } else { path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')) };
    below.map_or(Place::Outside(path), Place::Own)
}

/// Returns the directories that hold `path`, from the nearest to the root, which is the empty string.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let up = |path: &str| path.rfind('/').unwrap_or(0);
    let mut next = (!path.is_empty()).then(|| &path[..up(path)]);
    std::iter::from_fn(move || {
        let dir = next?;
        next = (!dir.is_empty()).then(|| &dir[..up(dir)]);
        Some(dir)
    })
}

/// Returns the places of `stacks` that may use other files than before: one lookup a changed path and directory above it.
fn suspects(changed: &[&str], old: &Files<'_>, new: &Files<'_>, stacks: &[Both<'_>]) -> BTreeSet<usize> {
    let mut users: HashMap<&str, Vec<usize>> = HashMap::new(); // for lookup only
    let mut found = BTreeSet::new();
    for (at, both) in stacks.iter().enumerate() {
        for (files, stack) in [(old, both.before), (new, both.after)] {
            users.entry(&stack.dir).or_default().push(at);
            files.traced_by(stack).iter().for_each(|path| users.entry(path.trim_end_matches('/')).or_default().push(at));
        }
        if both.before.dir != both.after.dir || old.traced_by(both.before) != new.traced_by(both.after) {
            found.insert(at);
        }
    }
    let places = changed.iter().flat_map(|path| parents(path).chain([*path]));
    found.extend(places.filter_map(|place| users.get(place)).flatten());
    found
}

fn differing<'a>(old: &BTreeMap<Place<'a>, &'a Leaf>, new: &BTreeMap<Place<'a>, &'a Leaf>) -> impl Iterator<Item = &'a Arc<str>> {
    let is_same = |one: &Leaf, other: &Leaf| one.mode == other.mode && one.id == other.id;
    let edited = new.iter().filter(move |(place, leaf)| old.get(place).is_none_or(|was| !is_same(was, leaf)));
    let removed = old.iter().filter(|(place, _)| !new.contains_key(place));
    edited.chain(removed).map(|(_, leaf)| &leaf.path).collect::<Vec<_>>().into_iter()
}

fn watch_reasons(changed: &[&str], stacks: &[Both<'_>]) -> Vec<Vec<Reason>> {
    let mut reasons = vec![Vec::new(); stacks.len()];
    if changed.is_empty() {
        return reasons;
    }
    let mut watchers: BTreeMap<&Arc<str>, BTreeSet<usize>> = BTreeMap::new();
    for (at, both) in stacks.iter().enumerate() {
        for (glob, _) in both.before.watch.iter().chain(&both.after.watch) {
            watchers.entry(glob).or_default().insert(at);
        }
    }
    watchers.retain(|glob, _| watch_glob(glob).is_ok());
    let globs = globs_of(watchers.keys().map(|glob| &***glob));
    let watchers: Vec<_> = watchers.into_iter().collect();
    for path in changed {
        for (glob, watching) in globs.matches(path).into_iter().map(|nth| &watchers[nth]) {
            let reason = Reason::Watch { path: (*path).into(), glob: (*glob).clone() };
            watching.iter().for_each(|at| reasons[*at].push(reason.clone()));
        }
    }
    reasons
}

/// Reads a `watch` glob: `*` stays within a directory, `**` crosses them.
pub(super) fn watch_glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// Returns the set of all globs that can be read; the others were reported when the fleet was read.
fn globs_of<'a>(texts: impl Iterator<Item = &'a str>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    texts.filter_map(|text| watch_glob(text).ok()).for_each(|glob| {
        builder.add(glob);
    });
    builder.build().unwrap_or_else(|_| GlobSet::empty())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{PLAIN, Sample, touched};
    use super::*;

    /// One stack, `apps`, in one region, and `files`.
    fn apps(files: &[(&str, &str)]) -> Sample {
        let stack = PLAIN.replace("all", "{ region: prod/us }");
        Sample::of(&[&[("apps/stack.yaml", stack.as_str())], files].concat())
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_file_of_its_own_directory_counts_whatever_its_name() {
        for path in ["apps/a.txt", "apps/deep/b  c.txt", "apps/ d.txt", "apps/ünïcödé\t.txt", "apps/new\nline", "apps/README.md"]
        {
            let expected = [format!("apps@prod/us: file {path}")];
            assert_eq!(touched(&apps(&[]), &apps(&[(path, "1")])), expected, "added");
            assert_eq!(touched(&apps(&[(path, "1")]), &apps(&[(path, "2")])), expected, "edited");
            assert_eq!(touched(&apps(&[(path, "1")]), &apps(&[])), expected, "removed");
        }
    }

    #[test]
    fn a_file_of_a_directory_with_a_longer_name_does_not_count() {
        assert_eq!(touched(&apps(&[]), &apps(&[("apps-old/a.txt", "1"), ("apps.txt", "1"), ("a.txt", "1")])), NOTHING);
    }

    #[test]
    fn a_nested_stack_is_no_part_of_the_one_around_it() {
        let nested = PLAIN.replace("all", "{ region: prod/us }");
        let with = |text| apps(&[("apps/api/stack.yaml", &nested), ("apps/api/deep/a.txt", text)]);
        assert_eq!(touched(&with("1"), &with("2")), ["apps/api@prod/us: file apps/api/deep/a.txt"]);
    }

    #[test]
    fn files_that_become_a_nested_stack_leave_the_one_around_it() {
        let nested = PLAIN.replace("all", "{ region: prod/us }");
        let before = apps(&[("apps/api/a.txt", "1")]);
        let after = apps(&[("apps/api/stack.yaml", &nested), ("apps/api/a.txt", "1")]);
        assert_eq!(touched(&before, &after), ["apps@prod/us: file apps/api/a.txt", "apps/api@prod/us: new"]);
        let back = touched(&after, &before);
        assert_eq!(back, ["apps@prod/us: file apps/api/a.txt", "apps/api@prod/us: removed"]);
    }

    #[test]
    fn a_file_included_from_outside_counts() {
        let with = |text| apps(&[("lib/common.txt", text), ("lib/other.txt", text)]).uses("apps", &["lib/common.txt"], &[]);
        assert_eq!(touched(&with("1"), &with("2")), ["apps@prod/us: file lib/common.txt"]);
    }

    #[test]
    fn a_directory_that_the_engine_reads_counts_with_all_below_it() {
        let with = |path| apps(&[(path, "1")]).uses("apps", &["lib/"], &[]);
        let expected =
            ["apps@prod/us: file lib/a/b.txt", "apps@prod/us: file lib/c.txt"].map(|line| line.split_at(14).1.to_string());
        assert_eq!(touched(&with("lib/a/b.txt"), &with("lib/c.txt")), [format!("apps@prod/us: {}", expected.join(", "))]);
    }

    #[test]
    fn watch_globs_count_added_removed_and_edited_files() {
        let stack = PLAIN.replace("all", "{ region: prod/us }") + "watch: ['modules/**/*.tf', 'top/*.txt']\n";
        let with = |path, text| Sample::of(&[("apps/stack.yaml", stack.as_str()), (path, text)]);
        let none = with("other", "1");
        let expected = ["apps@prod/us: modules/a/b/main.tf is like modules/**/*.tf"];
        assert_eq!(touched(&none, &with("modules/a/b/main.tf", "1")), expected);
        assert_eq!(touched(&with("modules/a/b/main.tf", "1"), &none), expected);
        assert_eq!(touched(&with("modules/a/b/main.tf", "1"), &with("modules/a/b/main.tf", "2")), expected);
        assert_eq!(touched(&none, &with("top/deep/a.txt", "1")), NOTHING);
    }

    #[test]
    fn directories_are_walked_up_to_the_root() {
        assert_eq!(parents("a/b/c.txt").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(parents("c.txt").collect::<Vec<_>>(), [""]);
    }
}
