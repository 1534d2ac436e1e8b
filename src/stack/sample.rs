//! Small fleets for tests: files as path and text, read like a real repository.

use super::{BlobId, Fleet, Leaf, Listing, Mistakes, Mode, Resolved, Selection, Side, Source, StackName, Target, Uses};
use std::collections::BTreeMap;

/// A repository at one commit.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) fleet: Fleet,
    pub(super) listing: Listing,
    /// By definition.
    pub(super) uses: BTreeMap<StackName, Uses>,
}

/// Three regions in two environments and two clouds, with vars in every layer.
pub(super) const FLEET: &str = "
version: 1
regions:
  staging/us: { cloud: aws, vars: { cidr: 10.0.0.0/16 } }
  prod/us: { cloud: aws, labels: { tier: one }, vars: { cidr: 10.1.0.0/16 } }
  prod/eu: { cloud: gcp, labels: { tier: two }, vars: { cidr: 10.2.0.0/16, owner: eu-team } }
vars: { owner: platform, size: 1 }
";

/// A stack that runs everywhere and uses nothing.
pub(super) const PLAIN: &str =
    "where: all\ndocuments: { source: ., destination: 'file:./live/${{ region.id }}/${{ stack.name }}' }\n";

impl Sample {
    /// Reads `files`; the fleet file is [`FLEET`] unless they hold one.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        match Self::read(files) {
            Ok(sample) => sample,
            Err(mistakes) => panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        }
    }

    /// Like [`Sample::of`], for files that may hold mistakes.
    pub(super) fn read(files: &[(&str, &str)]) -> Result<Self, Mistakes> {
        let all: BTreeMap<_, _> = [("isobar.yaml", FLEET)].into_iter().chain(files.iter().copied()).collect();
        let leaf = |(path, text): (&&str, &&str)| Leaf { path: (*path).into(), mode: Mode::File, id: BlobId((*text).into()) };
        let listing = Listing::new(all.iter().map(leaf).collect());
        let is_definition = |path: &str| path == "isobar.yaml" || path.ends_with("stack.yaml");
        let source =
            |(path, text): (&&str, &&str)| Source { path: (*path).into(), mode: Mode::File, bytes: text.as_bytes().into() };
        let definitions: Vec<_> = all.iter().filter(|(path, _)| is_definition(path)).map(source).collect();
        let fleet = Fleet::read(&definitions, &listing)?;
        Ok(Self { fleet, listing, uses: BTreeMap::new() })
    }

    /// Says what an engine traced of `stack`.
    pub(super) fn uses(mut self, stack: &str, files: &[&str], names: &[&str]) -> Self {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
        self.uses.insert(stack.parse().expect("a name"), Uses { files: all(files), names: all(names), ..Uses::default() });
        self
    }

    pub(super) fn side(&self) -> Side<'_> {
        Side { fleet: &self.fleet, listing: &self.listing, uses: &self.uses }
    }

    pub(super) fn target(&self, id: &str) -> &Target {
        self.fleet.target(&id.parse().expect("a target's id")).expect("a target of the sample")
    }

    pub(super) fn resolved(&self, id: &str) -> Resolved {
        self.fleet.resolve(self.target(id), &super::Known::default()).expect("a sample without mistakes")
    }
}

/// Returns each touched target with its reasons, one line a target.
pub(super) fn touched(before: &Sample, after: &Sample) -> Vec<String> {
    let selection = Selection::between(Some(&before.side()), &after.side());
    let line = |why: &super::Why| {
        let reasons: Vec<_> = why.reasons.iter().map(told).collect();
        format!("{}: {}", why.target, reasons.join(", "))
    };
    selection.touched.iter().map(line).collect()
}

fn told(reason: &super::Reason) -> String {
    use super::Reason;
    match reason {
        Reason::New => "new".into(),
        Reason::Removed => "removed".into(),
        Reason::Renamed { from } => format!("was {from}"),
        Reason::File { path } => format!("file {path}"),
        Reason::Watch { path, glob } => format!("{path} is like {glob}"),
        Reason::Value { name, site } => format!("{name}{}", site.as_ref().map(|site| format!(" ({site})")).unwrap_or_default()),
        Reason::Definition { what, site } => format!("definition of {what} ({site})"),
        Reason::Dependency { target } => format!("outputs of {target}"),
    }
}
