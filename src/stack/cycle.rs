//! Finds circles among targets that wait for each other.

use super::{Mistake, Mistakes, RegionId, Site, StackName};
use std::collections::BTreeSet;

/// Circles told at once; further ones mostly share their edges.
const TOLD_MAX: usize = 20;

/// One target, and the targets it waits for, by index, each with the place that says so.
pub(super) struct Node<'a> {
    pub(super) stack: &'a StackName,
    pub(super) region: &'a RegionId,
    pub(super) edges: Vec<(usize, &'a Site)>,
}

/// Reports each circle once, however many regions it is in.
pub(super) fn check(nodes: &[Node<'_>], mistakes: &mut Mistakes) {
    let mut told = BTreeSet::new();
    for circle in circles(nodes) {
        let (shown, site) = show(nodes, &circle);
        if told.insert(shown.clone()) {
            let mistake = Mistake::at(site, format!("a dependency cycle: {shown}"));
            mistakes.push(mistake.hint("remove one of these dependencies; an input that uses an output is one too"));
        }
    }
}

/// Walks in depth, without recursion; an edge back to the path being walked closes a circle.
fn circles(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        OnPath,
        Done,
    }
    let mut states = vec![State::New; nodes.len()];
    let mut circles = Vec::new();
    for start in 0..nodes.len() {
        if states[start] != State::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        states[start] = State::OnPath;
        while let Some((at, next)) = path.last_mut() {
            let Some(&(to, _)) = nodes[*at].edges.get(*next) else {
                states[*at] = State::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match states[to] {
                State::New => {
                    states[to] = State::OnPath;
                    path.push((to, 0));
                }
                State::OnPath if circles.len() < TOLD_MAX => {
                    let from = path.iter().position(|(at, _)| *at == to).unwrap_or(0);
                    circles.push(path[from..].iter().map(|(at, _)| *at).collect());
                }
                State::OnPath | State::Done => {}
            }
        }
    }
    circles
}

/// Names a circle from its first stack by name, and returns the place of the edge that leaves it.
fn show<'a>(nodes: &[Node<'a>], circle: &[usize]) -> (String, &'a Site) {
    let first = (0..circle.len()).min_by_key(|at| (nodes[circle[*at]].stack, nodes[circle[*at]].region)).unwrap_or(0);
    let mut around: Vec<usize> = circle[first..].iter().chain(&circle[..first]).copied().collect();
    around.push(around[0]);
    let in_one_region = around.iter().all(|at| nodes[*at].region == nodes[around[0]].region);
    let name = |at: &usize| match in_one_region {
        true => nodes[*at].stack.to_string(),
        false => format!("{}@{}", nodes[*at].stack, nodes[*at].region),
    };
    let edges = &nodes[around[0]].edges;
    let site = edges.iter().find(|(to, _)| *to == around[1]).map(|(_, site)| *site);
    (around.iter().map(name).collect::<Vec<_>>().join(" -> "), site.expect("a circle is made of edges"))
}
