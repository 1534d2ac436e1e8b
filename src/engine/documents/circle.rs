//! Templates that include themselves, directly or round about. Knows names and places; not what is in a template.

use std::collections::{BTreeMap, BTreeSet};

/// What each template includes, by path, in the order of the template; and where.
pub(super) type Includes<'t, P> = BTreeMap<&'t str, Vec<(String, P)>>;

/// Circles told at once; further ones mostly share their includes.
const TOLD_MAX: usize = 20;

/// Returns ways from templates back to themselves, at least one wherever there is any; each from its first by name: the paths in
/// order, the first one again at the end, and where the first includes the second. Walks in depth, without recursion.
pub(super) fn circles<'t, P: Copy>(includes: &Includes<'t, P>) -> Vec<(Vec<&'t str>, P)> {
    let (mut done, mut found, mut told) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for start in includes.keys().copied() {
        let (mut path, mut on_path) = (vec![(start, 0)], BTreeMap::from([(start, 0)]));
        while let Some((at, next)) = path.last_mut().filter(|(at, _)| !done.contains(at)) {
            let Some((to, _)) = includes[*at].get(*next) else {
                done.insert(*at);
                on_path.remove(*at);
                path.pop();
                continue;
            };
            *next += 1;
            let Some((to, _)) = includes.get_key_value(to.as_str()) else { continue };
            match on_path.get(to).copied() {
                Some(from) => {
                    let circle: Vec<&str> = path[from..].iter().map(|(on, _)| *on).collect();
                    let (around, place) = from_its_first(includes, &circle);
                    if found.len() < TOLD_MAX && told.insert(around.clone()) {
                        found.push((around, place));
                    }
                }
                None if done.contains(to) => {}
                None => {
                    on_path.insert(to, path.len());
                    path.push((to, 0));
                }
            }
        }
    }
    found
}

fn from_its_first<'t, P: Copy>(includes: &Includes<'t, P>, circle: &[&'t str]) -> (Vec<&'t str>, P) {
    let first = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
    let mut around: Vec<&str> = circle[first..].iter().chain(&circle[..first]).copied().collect();
    around.push(around[0]);
    let place = includes[around[0]].iter().find(|(to, _)| to == around[1]).map(|(_, place)| *place);
    (around, place.expect("a circle is made of includes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes templates as `name: included included`; the place of an include is its position.
    fn told(templates: &[&'static str]) -> Vec<String> {
        let template = |text: &&'static str| {
            let (name, included) = text.split_once(':').expect("a template");
            (name, included.split_whitespace().map(str::to_string).zip(1..).collect())
        };
        let includes: Includes<'_, usize> = templates.iter().map(template).collect();
        circles(&includes).into_iter().map(|(around, place)| format!("{} at {place}", around.join(" "))).collect()
    }

    #[test]
    fn a_template_may_include_itself_directly_or_round_about() {
        assert_eq!(told(&["a: b a"]), ["a a at 2"]);
        assert_eq!(told(&["c: a", "b: x a", "a: b c"]), ["a b a at 1", "a c a at 2"]);
    }

    #[test]
    fn one_that_many_include_is_no_circle() {
        assert_eq!(told(&["a: b c d", "b: d", "c: d b", "d:", "e: gone"]), [""; 0]);
    }

    #[test]
    fn a_circle_is_told_once_wherever_the_way_to_it_begins() {
        assert_eq!(told(&["a: y", "b: z", "x: y", "y: z", "z: y"]), ["y z y at 1"]);
    }

    #[test]
    fn a_long_chain_and_many_circles_are_walked_once() {
        let names: Vec<String> = (0..10_000).map(|n| format!("{n:05}")).collect();
        let next = |n: usize| vec![(names[(n + 1) % names.len()].clone(), ()), (names[n].clone(), ())];
        let includes: Includes<'_, ()> = names.iter().enumerate().map(|(n, name)| (name.as_str(), next(n))).collect();
        assert_eq!(circles(&includes).len(), TOLD_MAX);
    }
}
