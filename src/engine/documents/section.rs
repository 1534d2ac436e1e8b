//! The `documents:` section of a stack: where its templates are and where the documents go. Knows paths, not files.

use super::destination::{self, Destination};
use super::path;
use crate::stack::{Fields, Mistake, Mistakes, Node};
use serde_json::json;
use std::sync::Arc;

/// The section, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// Directory of the templates, from the repository's root.
    pub(super) source: Arc<str>,
    pub(super) destination: Destination,
    /// Tell of files in the destination that are not ours.
    pub(super) tell_unmanaged: bool,
}

const WHAT: &str = "the documents section";

impl Section {
    /// Reads a section whose expressions are filled in, of a stack in `dir`.
    pub(super) fn read(node: &Node, dir: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let written = Written::read(node, dir, mistakes);
        let destination = Destination::read(written.destination?, written.source.as_deref(), mistakes);
        Some(Self { source: written.source?, destination: destination?, tell_unmanaged: written.tell_unmanaged })
    }

    /// Reads a section as it was written, where the destination may hold expressions; returns the directory of the templates.
    pub(super) fn source(node: &Node, dir: &str, mistakes: &mut Mistakes) -> Option<Arc<str>> {
        let written = Written::read(node, dir, mistakes);
        match written.destination.map(|node| (node, node.as_str())) {
            Some((node, Some(text))) if text.contains("${{") => destination::check_beginning(text, node, mistakes),
            Some((node, _)) => drop(Destination::read(node, written.source.as_deref(), mistakes)),
            None => {}
        };
        written.source
    }
}

/// The section with the destination not looked at yet.
struct Written<'a> {
    source: Option<Arc<str>>,
    destination: Option<&'a Node>,
    tell_unmanaged: bool,
}

impl<'a> Written<'a> {
    fn read(node: &'a Node, dir: &str, mistakes: &mut Mistakes) -> Self {
        let mut fields = Fields::of(node, WHAT, mistakes);
        fields.need("source", "source: ./templates");
        fields.text("source");
        fields.need("destination", "destination: file:./live/${{ region.id }}");
        fields.get("unmanaged");
        fields.finish();

        let tell_unmanaged = match node.get("unmanaged").map(|node| (node, node.as_str())) {
            None | Some((_, Some("report"))) => true,
            Some((_, Some("ignore"))) => false,
            Some((node, _)) => {
                mistakes.push(Mistake::at(&node.site, "\"unmanaged\" must be report or ignore").hint("report is the default"));
                true
            }
        };
        let written = node.get("source").and_then(|node| Some((node, node.as_str()?)));
        let source = written.and_then(|(node, text)| source(text, node, dir, mistakes));
        Self { source, destination: node.get("destination"), tell_unmanaged }
    }
}

fn source(text: &str, node: &Node, dir: &str, mistakes: &mut Mistakes) -> Option<Arc<str>> {
    let mut refuse = |what: String, hint: &str| {
        mistakes.push(Mistake::at(&node.site, what).hint(hint));
        None
    };
    if text.contains("${{") {
        return refuse("\"source\" can't hold an expression".into(), "every region renders the same templates");
    }
    if text.starts_with('/') {
        return refuse(format!("source {text:?} is absolute"), "write it relative to the stack's directory: ./templates");
    }
    let Some(source) = path::normalise(dir, text) else {
        return refuse(format!("source {text:?} leads out of the repository"), "templates are kept in the repository");
    };
    if path::is_within(dir, &source) {
        return refuse(
            format!("source {text:?} holds the stack's own directory"),
            "put the templates in a directory below it: ./templates",
        );
    }
    match path::fault(&source) {
        Some(why) => refuse(format!("source {text:?}: {why}"), "choose another directory"),
        None => Some(source.into()),
    }
}

pub(super) fn schema() -> serde_json::Value {
    json!({
        "type": "object",
        "description": "Renders the templates below `source` for each region and publishes the documents to `destination`.",
        "additionalProperties": false,
        "required": ["source", "destination"],
        "properties": {
            "source": {
                "type": "string",
                "description": "Directory of the templates, relative to the stack's directory. A file ending in .j2 loses that suffix; names beginning with _ are partials and not published.",
                "examples": ["./templates"]
            },
            "destination": {
                "type": "string",
                "pattern": "^(file:|s3://|gs://|az://)",
                "description": "Where the documents go: a directory relative to the repository's root, or a prefix in a bucket; may hold expressions.",
                "examples": [
                    "file:./live/${{ region.id }}/network",
                    "s3://documents-${{ region.name }}/network",
                    "gs://documents/${{ region.id }}/network",
                    "az://account/container/${{ region.id }}/network"
                ]
            },
            "unmanaged": {
                "enum": ["report", "ignore"],
                "default": "report",
                "description": "Whether files in the destination that are not ours are told as drift."
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{Kind, Site};

    fn node(source: &str, destination: &str) -> Node {
        let site = |line| Site::new("network/stack.yaml", line, 3);
        let text =
            |key: &str, line, text: &str| (key.into(), site(line), Node { site: site(line), kind: Kind::Text(text.into()) });
        Node { site: site(1), kind: Kind::Map(vec![text("source", 2, source), text("destination", 3, destination)]) }
    }

    fn told(source: &str, destination: &str) -> Vec<String> {
        let mut mistakes = Mistakes::default();
        let read = Section::read(&node(source, destination), "network", &mut mistakes);
        assert_eq!(read.is_none(), !mistakes.is_empty());
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_are_read_from_the_stack_and_from_the_root() {
        let mut mistakes = Mistakes::default();
        let read = Section::read(&node("./templates", "file:./live//prod/../prod/eu/network/"), "network", &mut mistakes);
        let section = Section {
            source: "network/templates".into(),
            destination: Destination::Folder("live/prod/eu/network".into()),
            tell_unmanaged: true,
        };
        assert_eq!(read, Some(section));
        assert!(mistakes.is_empty());
    }

    #[test]
    fn a_path_that_escapes_is_a_mistake_in_its_line() {
        for (source, destination, why) in [
            ("../../etc", "file:./live", "stack.yaml:2:3: source \"../../etc\" leads out of the repository"),
            ("/etc", "file:./live", "stack.yaml:2:3: source \"/etc\" is absolute"),
            (".", "file:./live", "stack.yaml:2:3: source \".\" holds the stack's own directory"),
            ("./templates", "file:../live", "stack.yaml:3:3: destination \"file:../live\" leads out of the repository"),
            ("./templates", "file:/live", "is absolute"),
            ("./templates", "file:live/../.", "is the repository itself"),
            ("./templates", "file:.git/hooks", "belongs to git"),
            ("./templates", "file:.isobar/x", "belongs to the journal"),
            ("./templates", "file:network", "hold each other"),
            ("./templates", "s3://bucket/../x", "leads out of the bucket"),
            ("./templates", "s3:bucket/x", "has no scheme we know"),
            (
                "./templates",
                "gs://Bucket/x",
                "stack.yaml:3:3: destination \"gs://Bucket/x\": \"Bucket\" can't be the name of a bucket",
            ),
            ("./templates", "az://account", "destination \"az://account\": it names no container"),
            ("./templates", "s3://bucket/a/.isobar-manifest.json", "is a name that isobar keeps for itself"),
            ("./templates", "./live", "has no scheme we know"),
            ("./templates/${{ region.name }}", "file:live", "can't hold an expression"),
        ] {
            let told = told(source, destination);
            assert!(told.len() == 1 && told[0].contains(why), "{source} {destination}: {told:?}");
        }
    }

    #[test]
    fn a_bucket_may_be_a_destination_whole_and_hold_no_source() {
        for (written, plain) in [
            ("s3://documents-eu", "s3://documents-eu"),
            ("s3://documents-eu/./live//x/../prod/", "s3://documents-eu/live/prod"),
            ("gs://documents/network/templates", "gs://documents/network/templates"),
            ("az://account/container/live", "az://account/container/live"),
        ] {
            let mut mistakes = Mistakes::default();
            let read = Section::read(&node("./templates", written), "network", &mut mistakes);
            assert_eq!(read.map(|section| section.destination.to_string()), Some(plain.into()), "{mistakes:?}");
        }
    }

    #[test]
    fn a_destination_with_expressions_is_checked_when_they_are_filled_in() {
        let mut mistakes = Mistakes::default();
        let source = Section::source(&node("./templates", "file:live/${{ region.id }}"), "network", &mut mistakes);
        assert_eq!((source, mistakes.len()), (Some("network/templates".into()), 0));
    }

    #[test]
    fn a_destination_that_is_wrong_whatever_its_expressions_are_is_told_before_they_are_filled_in() {
        let told = |destination: &str| {
            let mut mistakes = Mistakes::default();
            Section::source(&node("./templates", destination), "network", &mut mistakes);
            mistakes.iter().map(|mistake| mistake.what.clone()).collect::<Vec<_>>()
        };
        for (destination, why) in [
            ("file:../../live/${{ region.id }}", "leads out of the repository"),
            ("file:live/../../${{ region.id }}", "leads out of the repository"),
            ("file:/live/${{ region.id }}", "is absolute"),
            ("file:/${{ region.id }}", "is absolute"),
            ("file:.git/${{ region.id }}", "belongs to git"),
            ("s3://bucket/../${{ region.id }}", "leads out of the bucket"),
            ("live/${{ region.id }}", "has no scheme we know"),
        ] {
            let told = told(destination);
            assert!(told.len() == 1 && told[0].contains(why), "{destination}: {told:?}");
        }
        for fine in [
            "file:${{ region.id }}/live",
            "file:./${{ region.id }}",
            "file:live/${{ region.name }}/../x",
            "file:live/a${{ region.name }}",
            "az://account/${{ region.name }}/live",
            "s3://Docs-${{ region.name }}/live",
            "s3://docs/${{ region.name }}",
        ] {
            assert!(told(fine).is_empty(), "{fine}: {:?}", told(fine));
        }
    }

    #[test]
    fn a_destination_that_waits_for_an_output_says_for_which() {
        let text = format!("file:live/{}", crate::stack::mark_hole("base.outputs.id"));
        assert_eq!(destination::waits_for(&node("./templates", &text)), [Arc::from("base.outputs.id")]);
        assert!(told("./templates", &text)[0].contains("‹base.outputs.id›"));
    }
}
