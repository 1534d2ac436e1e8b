//! The dependency graph written down: as text, as DOT and as Mermaid, by stack or by target. Arrows point from what goes
//! first to what waits for it.

use super::{Graph, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How near to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One line a stack, whatever its regions.
    Stacks,
    Targets,
}

/// What is drawn: names in an order in which dependencies come first, each with what it waits for.
struct Drawing {
    nodes: Vec<(String, Vec<Need>)>,
}

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    name: String,
    /// The region, where stacks are drawn and the dependency is met in another region.
    elsewhere: Option<String>,
}

impl Graph {
    /// Returns one line a node, dependencies first, and below it what it waits for.
    pub fn text(&self, level: Level) -> String {
        let mut text = String::new();
        for (name, needs) in self.draw(level).nodes {
            let _ = writeln!(text, "{name}");
            for need in needs {
                let elsewhere = need.elsewhere.map(|region| format!(" in {region}")).unwrap_or_default();
                let _ = writeln!(text, "  waits for {}{elsewhere}", need.name);
            }
        }
        text
    }

    /// Returns the graph in the language of Graphviz.
    pub fn dot(&self, level: Level) -> String {
        let mut text = String::from("digraph isobar {\n  rankdir=LR;\n");
        let drawing = self.draw(level);
        for (name, _) in &drawing.nodes {
            let _ = writeln!(text, "  \"{name}\";");
        }
        for (name, need) in drawing.arrows() {
            let label = need.elsewhere.as_ref().map(|region| format!(" [label=\"{region}\"]")).unwrap_or_default();
            let _ = writeln!(text, "  \"{}\" -> \"{name}\"{label};", need.name);
        }
        text.push_str("}\n");
        text
    }

    /// Returns the graph as a Mermaid flowchart, which GitHub draws.
    pub fn mermaid(&self, level: Level) -> String {
        let mut text = String::from("flowchart LR\n");
        let drawing = self.draw(level);
        let numbers: BTreeMap<_, _> = drawing.nodes.iter().map(|(name, _)| name.as_str()).zip(0..).collect();
        for (number, (name, _)) in drawing.nodes.iter().enumerate() {
            let _ = writeln!(text, "  n{number}[\"{name}\"]");
        }
        for (name, need) in drawing.arrows() {
            let label = need.elsewhere.as_ref().map(|region| format!("|\"{region}\"|")).unwrap_or_default();
            let _ = writeln!(text, "  n{} -->{label} n{}", numbers[need.name.as_str()], numbers[name]);
        }
        text
    }

    fn draw(&self, level: Level) -> Drawing {
        let name = |target: &TargetId| match level {
            Level::Stacks => target.stack.to_string(),
            Level::Targets => target.to_string(),
        };
        let mut needs: BTreeMap<String, BTreeSet<Need>> = BTreeMap::new();
        let order = self.order();
        for target in &order {
            needs.entry(name(target)).or_default().extend(self.dependencies(target).iter().map(|need| Need {
                name: name(need),
                elsewhere: (level == Level::Stacks && need.region != target.region).then(|| need.region.to_string()),
            }));
        }
        // A stack may wait for another in some of its regions only, so the order of targets is not yet one of stacks.
        let mut open: Vec<String> = order.iter().rev().map(|target| name(target)).collect();
        let (mut begun, mut nodes) = (BTreeSet::new(), Vec::new());
        while let Some(last) = open.last() {
            if begun.insert(last.clone()) {
                let first = needs.get(last).into_iter().flatten().rev().map(|need| need.name.clone());
                open.extend(first.filter(|name| !begun.contains(name)).collect::<Vec<_>>());
            } else {
                let done = open.pop().and_then(|name| needs.remove_entry(&name));
                nodes.extend(done.map(|(name, needs)| (name, needs.into_iter().collect())));
            }
        }
        Drawing { nodes }
    }
}

impl Drawing {
    fn arrows(&self) -> impl Iterator<Item = (&str, &Need)> {
        self.nodes.iter().flat_map(|(name, needs)| needs.iter().map(move |need| (name.as_str(), need)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{PLAIN, Sample};
    use super::*;

    fn graph() -> Graph {
        let dns = PLAIN.replace("all", "{ region: [prod/eu] }");
        let network =
            format!("{PLAIN}depends_on: [base, {{ stack: dns, region: prod/eu }}]\n").replace("all", "{ region: [prod/us] }");
        let base = PLAIN.replace("all", "{ region: [prod/us] }");
        Graph::of(&Sample::of(&[("base/stack.yaml", &base), ("dns/stack.yaml", &dns), ("network/stack.yaml", &network)]).fleet)
    }

    #[test]
    fn stacks_are_listed_with_what_they_wait_for() {
        assert_eq!(graph().text(Level::Stacks), "base\ndns\nnetwork\n  waits for base\n  waits for dns in prod/eu\n");
        let targets = "base@prod/us\ndns@prod/eu\nnetwork@prod/us\n  waits for base@prod/us\n  waits for dns@prod/eu\n";
        assert_eq!(graph().text(Level::Targets), targets);
    }

    #[test]
    fn a_stack_that_another_needs_in_one_region_only_is_drawn_before_it() {
        let some = PLAIN.to_string() + "instances: { b: , c: { where: { region: prod/eu } } }\n";
        let all = PLAIN.to_string() + "depends_on: [z]\n";
        let graph = Graph::of(&Sample::of(&[("a/stack.yaml", &all), ("z/stack.yaml", &some)]).fleet);
        assert_eq!(graph.text(Level::Stacks), "z/b\nz/c\na\n  waits for z/b\n  waits for z/c\n");
    }

    #[test]
    fn arrows_of_dot_point_at_what_waits() {
        let dot = graph().dot(Level::Stacks);
        assert!(dot.contains("  \"base\" -> \"network\";\n  \"dns\" -> \"network\" [label=\"prod/eu\"];\n}\n"), "{dot}");
    }

    #[test]
    fn mermaid_numbers_its_nodes() {
        let expected = "flowchart LR
  n0[\"base\"]
  n1[\"dns\"]
  n2[\"network\"]
  n0 --> n2
  n1 -->|\"prod/eu\"| n2
";
        assert_eq!(graph().mermaid(Level::Stacks), expected);
    }
}
