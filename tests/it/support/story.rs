//! The words of a story: small fleets, and what a run is expected to say.

use super::{Ran, Sandbox};
use serde_json::Value;
use std::collections::BTreeMap;

/// Returns a repository with stack `app` in `regions` (`prod/a prod/b`), one document with a version; `more` is the rest of
/// `isobar.yaml`.
pub(crate) fn app(regions: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let regions: Vec<String> = regions.split_whitespace().map(|region| format!("  {region}: {{}}\n")).collect();
    let fleet = format!("version: 1\njournal: file:.isobar/journal\nregions:\n{}{more}\n", regions.concat());
    sandbox.file("isobar.yaml", &fleet).file(".gitignore", "/live/\n/.isobar/\n");
    sandbox.stack("app", "").file("app/templates/app.yaml.j2", "region: {{ region.name }}\nversion: 1\n").commit("Begin");
    sandbox
}

/// Approvals by one of bob, carol and dora for everything in prod.
pub(crate) const APPROVALS: &str = "teams: { platform: [bob, carol, dora] }\n\
    policy: [{ rule: approvals, when: { environment: prod }, require: [{ team: platform, count: 1 }] }]";

impl Sandbox {
    /// Writes the definition of a stack that publishes to `live/<region>/<name>`; `more` are further keys.
    pub(crate) fn stack(&self, name: &str, more: &str) -> &Self {
        let destination = format!("file:./live/${{{{ region.id }}}}/{name}");
        let text = format!("where: all\n{more}\ndocuments: {{ source: ./templates, destination: \"{destination}\" }}\n");
        self.file(&format!("{name}/stack.yaml"), &text)
    }

    /// Commits `app` at another version.
    pub(crate) fn version(&self, from: u32, to: u32) -> String {
        self.edit("app/templates/app.yaml.j2", &format!("version: {from}"), &format!("version: {to}"));
        self.commit(&format!("Version {to}"))
    }

    /// Runs a line such as `isobar apply --json`, as a reader would type it.
    pub(crate) fn isobar(&self, arguments: &str) -> Ran {
        self.run(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    /// Shows the change, has it approved, and applies it.
    pub(crate) fn approved_apply(&self, by: &str) -> Ran {
        self.isobar("preview");
        self.isobar(&format!("apply --json --review {by}=approve"))
    }

    /// Returns the version that each region of `app` has: `prod/a 1, prod/b -`.
    pub(crate) fn versions(&self) -> String {
        let fleet = std::fs::read_to_string(self.root().join("isobar.yaml")).expect("there is a fleet");
        let regions = fleet.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": {")).map(|(region, _)| region);
        let version = |region: &str| {
            let text = std::fs::read_to_string(self.root().join(format!("live/{region}/app/app.yaml"))).unwrap_or_default();
            let version = text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or("-").to_string();
            format!("{region} {version}")
        };
        regions.map(version).collect::<Vec<_>>().join(", ")
    }

    /// Lets an apply of `app` in a region fail, though its preview goes well: a directory stands where it writes aside.
    pub(crate) fn block(&self, region: &str) -> &Self {
        self.file(&format!("live/{region}/app/.isobar-tmp-app.yaml/in-the-way"), "a directory where a file must go\n")
    }

    /// Mends what [`Sandbox::block`] broke.
    pub(crate) fn unblock(&self, region: &str) -> &Self {
        self.remove(&format!("live/{region}/app/.isobar-tmp-app.yaml"))
    }

    /// Takes back all that the journal says after the last start of a target: as if the program had died right then.
    pub(crate) fn cut_journal_after(&self, step: &str) {
        let journal = self.root().join(".isobar/journal/entries.jsonl");
        let text = std::fs::read_to_string(&journal).expect("there is a journal");
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().rposition(|line| line.contains(&format!("\"{step}\""))).expect("such a step");
        std::fs::write(&journal, lines[..=last].join("\n") + "\n").expect("the journal can be written");
    }

    /// Returns the events of one kind in the journal: `step`, `applied`, `cleared`.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.journal_lines().into_iter().filter(|entry| entry["event"] == kind).collect()
    }

    /// Returns the targets in the order in which they were applied.
    pub(crate) fn applied(&self) -> Vec<String> {
        self.events("applied").iter().map(|event| event["target"].as_str().expect("a target").to_string()).collect()
    }
}

impl Ran {
    /// Expects this exit code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects this text on either stream.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(text), "does not say {text:?}, but:\n{all}");
        self
    }

    /// Expects that this text stands nowhere.
    #[track_caller]
    pub(crate) fn keeps_quiet_about(self, text: &str) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(!all.contains(text), "says {text:?}:\n{all}");
        self
    }

    /// Reads the one line of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }

    /// Returns how the targets stand, those of one state together: `applied app@prod/a app@prod/b; waiting app@prod/c`.
    #[track_caller]
    pub(crate) fn states(&self) -> String {
        let json = self.json();
        let mut states: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for target in json["targets"].as_array().expect("a report has targets") {
            let text = |key: &str| target[key].as_str().expect("a text").to_string();
            states.entry(text("state")).or_default().push(text("target"));
        }
        let line = |(state, targets): (&String, &Vec<String>)| format!("{state} {}", targets.join(" "));
        states.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    /// Returns why a target stands as it does.
    #[track_caller]
    pub(crate) fn why(&self, target: &str) -> String {
        let json = self.json();
        let found = json["targets"].as_array().expect("a report has targets").iter().find(|row| row["target"] == target);
        let row = found.unwrap_or_else(|| panic!("no {target} in {json}"));
        row["why"].as_str().or(row["verdict"]["sentence"].as_str()).unwrap_or_default().to_string()
    }
}
