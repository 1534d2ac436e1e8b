//! The pages of the project: their headings, links, code blocks and commands, as a reader on the forge sees them.

use super::definitions::slug;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// One Markdown file.
pub(super) struct Page {
    /// From the root of the repository.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) headings: Vec<String>,
    pub(super) links: Vec<Link>,
    pub(super) blocks: Vec<Block>,
}

/// A link to another file, or to a heading.
pub(super) struct Link {
    pub(super) line: usize,
    /// From the root of the repository.
    pub(super) file: String,
    heading: Option<String>,
}

/// A fenced block.
pub(super) struct Block {
    pub(super) line: usize,
    pub(super) language: String,
    pub(super) text: String,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every page at the root and below `docs/`, sorted.
pub(super) fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join("docs")];
    let top = fs::read_dir(root()).expect("the root can be listed").flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = top.filter(|path| path.is_file()).collect();
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).expect("docs can be listed").flatten().map(|entry| entry.path()) {
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let name = path.strip_prefix(root()).expect("it was found below").to_string_lossy().into_owned();
        found.push(Page::read(&name));
    }
    found
}

/// Returns one page.
pub(super) fn named(name: &str) -> Page {
    Page::read(name)
}

impl Page {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut page = Self { name: name.into(), text, headings: Vec::new(), links: Vec::new(), blocks: Vec::new() };
        let mut open: Option<Block> = None;
        for (line, number) in page.text.clone().lines().zip(1..) {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Block { line: number, language: language.trim().into(), text: String::new() });
                }
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(block), None) => block.text.push_str(&format!("{line}\n")),
                (None, None) => page.take(line, number),
            }
        }
        assert!(open.is_none(), "{name}: a block is not closed");
        page
    }

    fn take(&mut self, line: &str, number: usize) {
        if line.starts_with('#') {
            self.headings.push(line.trim_start_matches('#').trim().replace('`', ""));
        }
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            self.link(target, number);
        }
        for target in line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            self.link(target, number);
        }
    }

    fn link(&mut self, target: &str, line: usize) {
        if target.contains("://") || target.starts_with("mailto:") {
            return;
        }
        let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading.to_string())));
        let file = if file.is_empty() { self.name.clone() } else { beside(&self.name, file) };
        self.links.push(Link { line, file, heading });
    }

    /// Links to files that are not there, or to headings that their page has not.
    pub(super) fn broken_links(&self) -> Vec<String> {
        let is_broken = |link: &&Link| {
            let there = root().join(&link.file).exists();
            let has = |heading: &String| Self::read(&link.file).headings.iter().any(|told| slug(told) == *heading);
            !there || link.heading.as_ref().is_some_and(|heading| !has(heading))
        };
        let told = |link: &Link| {
            let heading = link.heading.as_ref().map(|heading| format!("#{heading}")).unwrap_or_default();
            format!("{}:{}: {}{heading}", self.name, link.line, link.file)
        };
        self.links.iter().filter(is_broken).map(told).collect()
    }

    /// Lines of shell blocks, and code in the text, that begin with `isobar`.
    pub(super) fn commands(&self) -> Vec<String> {
        let is_shell = |block: &&Block| matches!(block.language.as_str(), "sh" | "console");
        let shell = self.blocks.iter().filter(is_shell).flat_map(|block| block.text.lines());
        let prose = self.text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n'));
        let line = |text: &str| text.trim_start_matches("$ ").split(" #").next().unwrap_or_default().trim().to_string();
        shell.chain(prose).map(line).filter(|line| line.starts_with("isobar ")).collect()
    }
}

/// Returns the path of `target` as seen from the page `name`, from the root.
fn beside(name: &str, target: &str) -> String {
    let mut path = PathBuf::from(name);
    path.pop();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_string_lossy().into_owned()
}
