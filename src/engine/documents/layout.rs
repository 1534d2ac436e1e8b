//! Which source becomes which document: names only, nothing is rendered.

use super::path;
use crate::engine::Sources;
use crate::stack::{Mistake, Mistakes, Mode, Site, Source, is_mark_character};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Documents of one target at most; a slip in a path must not render a whole repository.
const DOCUMENTS_MAX: usize = 10_000;

/// The sources of a stack and the documents they become.
#[derive(Debug, Default)]
pub(super) struct Layout<'s> {
    /// Path in the destination, and the source that is rendered to it.
    pub(super) documents: BTreeMap<Arc<str>, &'s Source>,
}

impl<'s> Layout<'s> {
    /// Returns the documents of the sources below `dir`; `at` is where the section names it.
    pub(super) fn of(sources: &'s Sources, dir: &str, at: &Site, mistakes: &mut Mistakes) -> Self {
        let mut layout = Self::default();
        if let Some(source) = sources.get(dir) {
            refuse_kind(source, mistakes);
            return layout;
        }
        for source in below(sources, dir) {
            layout.add(source, &source.path[dir.len() + 1..], mistakes);
        }
        if below(sources, dir).next().is_none() {
            let hint = "documents are rendered from the files in this directory";
            mistakes.push(Mistake::at(at, format!("the directory {dir} does not exist or is empty")).hint(hint));
        } else if layout.documents.is_empty() && mistakes.is_empty() {
            let hint = "a name that begins with _ is a partial and not published";
            mistakes.push(Mistake::at(at, format!("{dir} holds no documents")).hint(hint));
        }
        if layout.documents.len() > DOCUMENTS_MAX {
            let found = layout.documents.len();
            let what = format!("{dir} holds {found} documents, at most {DOCUMENTS_MAX} are allowed");
            mistakes.push(Mistake::at(at, what).hint("make a second stack of some, or name a directory further down"));
        }
        layout.refuse_nested(mistakes);
        layout
    }

    fn add(&mut self, source: &'s Source, below: &str, mistakes: &mut Mistakes) {
        if !refuse_kind(source, mistakes) || is_partial(below) {
            return;
        }
        let document = below.strip_suffix(".j2").unwrap_or(below);
        let site = Site::new(source.path.clone(), 1, 1);
        if let Some(why) = path::fault(document) {
            mistakes.push(Mistake::at(&site, format!("{document:?} can't be a document: {why}")).hint("rename the source"));
            return;
        }
        if let Some(other) = self.documents.insert(document.into(), source) {
            let what = format!("{} and {} are both rendered to {document:?}", other.path, source.path);
            mistakes.push(Mistake::at(&site, what).hint("rename one of the two"));
        }
    }

    /// A document can't be a directory of another one.
    fn refuse_nested(&self, mistakes: &mut Mistakes) {
        for (document, source) in &self.documents {
            if let Some(parent) = path::parents(document).find(|parent| self.documents.contains_key(*parent)) {
                let what = format!("{parent:?} is a document, so {document:?} can't be below it");
                mistakes.push(Mistake::at(&Site::new(source.path.clone(), 1, 1), what).hint("rename one of the two"));
            }
        }
    }
}

/// Says whether the source at `path` in its directory is read by others only.
pub(super) fn is_partial(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('_'))
}

/// Returns the sources below directory `dir`, sorted by path.
pub(super) fn below<'s>(sources: &'s Sources, dir: &str) -> impl Iterator<Item = &'s Source> {
    let prefix = format!("{dir}/");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let found = sources.range::<str, _>(from);
    found.take_while(move |(path, _)| path.starts_with(&prefix)).map(|(_, source)| source)
}

/// Returns the text of `source`, or `None` when it is binary and copied as it is.
pub(super) fn text(source: &Source) -> Option<&str> {
    std::str::from_utf8(&source.bytes).ok()
}

/// Reports a source that is not a plain file, or holds what stands for a mark; true when it is fine.
pub(super) fn refuse_kind(source: &Source, mistakes: &mut Mistakes) -> bool {
    let site = Site::new(source.path.clone(), 1, 1);
    match source.mode {
        Mode::File | Mode::Executable => {}
        Mode::Symlink => {
            let target = String::from_utf8_lossy(&source.bytes).trim_end().to_string();
            let leaves = target.starts_with('/') || path::normalise(path::split(&source.path).0, &target).is_none();
            let where_to = if leaves { " out of the repository" } else { "" };
            let what = format!("{} is a symlink{where_to} (to {target:?})", source.path);
            mistakes.push(Mistake::at(&site, what).hint("templates are plain files; copy it, or include it by its path"));
            return false;
        }
        Mode::Submodule => {
            let what = format!("{} is a submodule", source.path);
            mistakes.push(Mistake::at(&site, what).hint("templates are plain files of this repository"));
            return false;
        }
    }
    let Some(text) = text(source) else { return true };
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(c) = line.chars().find(|c| is_mark_character(*c)) {
            let what = format!("the character U+{:04X} is not allowed in a template", u32::from(c));
            mistakes.push(Mistake::at(&Site::new(source.path.clone(), number, 1), what).hint("remove it; it stands for no text"));
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, Mode, &str)]) -> Sources {
        let source = |(path, mode, text): &(&str, Mode, &str)| {
            let path: Arc<str> = (*path).into();
            (path.clone(), Source { path, mode: *mode, bytes: text.as_bytes().into() })
        };
        files.iter().map(source).collect()
    }

    fn laid(files: &[(&str, Mode, &str)]) -> (Vec<String>, Vec<String>) {
        let (sources, mut mistakes) = (sources(files), Mistakes::default());
        let layout = Layout::of(&sources, "t", &Site::new("stack.yaml", 4, 11), &mut mistakes);
        let documents = layout.documents.keys().map(ToString::to_string).collect();
        (documents, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_suffix_is_dropped_and_partials_are_not_published() {
        let files = ["t/a.yaml.j2", "t/b/c.json", "t/_partial.j2", "t/_lib/x", "tt/other"].map(|path| (path, Mode::File, ""));
        assert_eq!(laid(&files), (vec!["a.yaml".into(), "b/c.json".into()], vec![]));
    }

    #[test]
    fn links_are_refused_and_those_that_leave_say_so() {
        let (_, told) =
            laid(&[("t/a", Mode::Symlink, "../../etc/passwd"), ("t/b", Mode::Symlink, "c"), ("t/m", Mode::Submodule, "")]);
        assert!(told[0].starts_with("t/a:1:1: t/a is a symlink out of the repository (to \"../../etc/passwd\")"), "{told:?}");
        assert!(told[1].starts_with("t/b:1:1: t/b is a symlink (to \"c\")"), "{told:?}");
        assert!(told[2].starts_with("t/m:1:1: t/m is a submodule"), "{told:?}");
        let (_, told) = laid(&[("t", Mode::Symlink, "/srv/templates")]);
        assert!(told[0].contains("out of the repository"), "{told:?}");
    }

    #[test]
    fn two_sources_for_one_document_are_a_mistake() {
        let (_, told) = laid(&[("t/a", Mode::File, ""), ("t/a.j2", Mode::File, "")]);
        assert!(told[0].contains("t/a and t/a.j2 are both rendered to \"a\""), "{told:?}");
        let (_, told) = laid(&[("t/a.j2", Mode::File, ""), ("t/a/b", Mode::File, "")]);
        assert!(told[0].contains("\"a\" is a document"), "{told:?}");
    }

    #[test]
    fn no_documents_are_a_mistake_where_the_source_is_named() {
        assert!(laid(&[]).1[0].starts_with("stack.yaml:4:11: the directory t does not exist"));
        assert!(laid(&[("t/_a", Mode::File, "")]).1[0].starts_with("stack.yaml:4:11: t holds no documents"));
    }

    #[test]
    fn a_template_may_not_hold_what_stands_for_a_mark() {
        let (_, told) = laid(&[("t/a", Mode::File, "x\n\u{FDD2}KEY\u{FDD3}")]);
        assert!(told[0].starts_with("t/a:2:1: the character U+FDD2"), "{told:?}");
    }
}
