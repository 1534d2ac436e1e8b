//! The plan: which wave holds which targets.

use super::Paces;
use super::order::{Order, Place, contradiction};
use super::slice::{Slice, cut};
use super::wave::{PlanError, Planned, Rollout, Wave};
use crate::change::Intent;
use crate::stack::{Graph, RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

impl Rollout {
    /// Puts `targets`, each with the weight of its region, in waves. `graph` orders converging targets; `graph_before`, of the
    /// last applied definitions, orders destroys: dependents first.
    ///
    /// All targets of a region that go alike go in one wave, except that a dependency comes along with its earliest dependent, and a destroyed
    /// target goes with the last that used it.
    pub fn plan(
        id: Arc<str>,
        commit: Arc<str>,
        paces: &Paces,
        targets: Vec<(TargetId, Intent, u32)>,
        graph: &Graph,
        graph_before: Option<&Graph>,
    ) -> Result<Self, PlanError> {
        let needs = |target: &TargetId| graph.dependencies(target);
        let users = |target: &TargetId| graph_before.map_or(&[] as &[_], |before| before.dependents(target));
        let waves = waves(paces, &targets, &Order::of(&targets, needs, users)?)?;
        Ok(Self { id, commit, waves, whole: None, beside: None })
    }

    /// Takes up what an earlier rollout brought and did not prove: its waves are gone through again to their end.
    pub fn prove(&mut self, again: &BTreeSet<TargetId>) {
        for wave in &mut self.waves {
            wave.unproven = wave.targets.iter().any(|planned| again.contains(&planned.target));
        }
    }
}

/// The slices of an environment that has targets in the rollout, or of those of them that go alike and come in the same turn.
pub(super) struct Lane {
    environment: Arc<str>,
    /// The environment, with the commit that says so where several speak.
    name: String,
    slices: Vec<Slice>,
    members: Vec<usize>,
    progress_deadline_secs: Option<u64>,
    /// Lanes that must be verified first.
    after: Vec<usize>,
}

/// Makes the waves of `targets`, whose order is known. Lanes of one environment that would wait for one another are parted in turns:
/// a dependency that went along with a dependent of another lane would go round its canary.
pub(super) fn waves(paces: &Paces, targets: &[(TargetId, Intent, u32)], order: &Order) -> Result<Vec<Wave>, PlanError> {
    let whole = lanes(paces, targets, &vec![0; targets.len()]);
    cast(&whole, targets, order).or_else(|_| {
        let turns = order.turns(targets, &places(&whole, targets));
        cast(&lanes(paces, targets, &turns), targets, order)
    })
}

/// Puts each target in the wave of its place, after dependencies were pulled.
fn cast(lanes: &[Lane], targets: &[(TargetId, Intent, u32)], order: &Order) -> Result<Vec<Wave>, PlanError> {
    let mut places = places(lanes, targets);
    order.pull(targets, &mut places);

    let mut members: Vec<Vec<Vec<usize>>> = lanes.iter().map(|lane| vec![Vec::new(); lane.slices.len()]).collect();
    for (at, place) in places.iter().enumerate() {
        members[place.lane][place.slice].push(at);
    }
    let mut waves = Vec::new();
    let mut ends: Vec<Vec<usize>> = Vec::new(); // of each lane, the waves after which it is verified
    let mut wave_of = vec![0; targets.len()];
    for (lane, members) in lanes.iter().zip(members) {
        let several = members.iter().filter(|members| !members.is_empty()).count() > 1;
        let mut after: Vec<usize> = lane.after.iter().flat_map(|lane| ends[*lane].clone()).collect();
        after.sort_unstable();
        after.dedup();
        let filled = lane.slices.iter().zip(members).filter(|(_, members)| !members.is_empty());
        for (nth, (slice, members)) in filled.enumerate() {
            members.iter().for_each(|at| wave_of[*at] = waves.len());
            let planned = members.iter().map(|at| order.planned(*at, targets)).collect();
            let name = if several { format!("{} {}: {}", lane.name, nth + 1, slice.name) } else { lane.name.clone() };
            let after = std::mem::replace(&mut after, vec![waves.len()]);
            waves.push(wave(name, lane, slice, after, planned));
        }
        ends.push(after); // its last wave; none where all of its targets went along with others
    }
    match contradiction(targets, order, &wave_of, &waves) {
        Some(why) => Err(PlanError(why)),
        None => Ok(without_last_bakes(waves)),
    }
}

fn wave(name: String, lane: &Lane, slice: &Slice, after: Vec<usize>, targets: Vec<Planned>) -> Wave {
    Wave {
        name: name.into(),
        environment: lane.environment.clone(),
        after,
        max_parallel: slice.max_parallel.of(targets.len()).max(1),
        failure_tolerance: slice.failure_tolerance.of(targets.len()),
        targets,
        gates: slice.gates.clone(),
        bake_secs: slice.bake_secs,
        progress_deadline_secs: lane.progress_deadline_secs,
        unproven: false,
    }
}

fn without_last_bakes(mut waves: Vec<Wave>) -> Vec<Wave> {
    let mut awaited = vec![false; waves.len()];
    waves.iter().flat_map(|wave| &wave.after).for_each(|before| awaited[*before] = true);
    for (wave, _) in waves.iter_mut().zip(awaited).filter(|(_, awaited)| !awaited) {
        wave.bake_secs = 0;
    }
    waves
}

/// Returns the environments of the targets in rollout order, cut into slices; those in which not all go alike by `turns`.
fn lanes(paces: &Paces, targets: &[(TargetId, Intent, u32)], turns: &[usize]) -> Vec<Lane> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (target, ..)) in targets.iter().enumerate() {
        members.entry(target.region.environment()).or_default().push(at);
    }
    let known: Vec<&str> = paces.order().iter().map(|name| &**name).collect();
    let gone = members.keys().filter(|name| !known.contains(name)); // environments whose last region was removed
    let order: Vec<&str> = known.iter().chain(gone).copied().collect();

    let mut lanes: Vec<Lane> = Vec::new();
    for environment in order {
        let Some(members) = members.remove(environment) else { continue };
        let after = before(paces, environment, &lanes);
        let goes_first = |members: &[usize]| members.iter().any(|at| paces.first.contains(&targets[*at].0));
        let mut firsts: Vec<usize> = Vec::new();
        let mut parts = paces.part(environment, members.into_iter().map(|at| (at, &targets[at].0, targets[at].2)));
        parts.sort_by_key(|alike| !goes_first(&alike.members));
        for alike in parts {
            let name = alike.by.as_ref().map_or(environment.into(), |by| format!("{environment} by {by}"));
            let slices = cut(&alike.pace, alike.regions.into_iter().collect());
            let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for at in alike.members {
                parts.entry(alike.by.as_ref().map_or(0, |_| turns[at])).or_default().push(at);
            }
            for (nth, members) in parts.into_values().enumerate() {
                let mut after = after.clone();
                if goes_first(&members) {
                    firsts.push(lanes.len());
                } else {
                    after.extend(&firsts);
                }
                lanes.push(Lane {
                    environment: environment.into(),
                    name: if nth > 0 { format!("{name} (part {})", nth + 1) } else { name.clone() },
                    after,
                    slices: slices.clone(),
                    members,
                    progress_deadline_secs: alike.pace.progress_deadline_secs,
                });
            }
        }
    }
    lanes
}

/// Returns the lanes that `environment` comes after; it looks through environments that have no targets in the rollout.
fn before(paces: &Paces, environment: &str, lanes: &[Lane]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut seen = Vec::new();
    let mut ahead: Vec<&str> = paces.after(environment).iter().map(|name| &**name).collect();
    while let Some(name) = ahead.pop() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let before = found.len();
        found.extend((0..lanes.len()).filter(|lane| *lanes[*lane].environment == *name));
        if found.len() == before {
            ahead.extend(paces.after(name).iter().map(|name| &**name));
        }
    }
    found.sort_unstable();
    found
}

fn places(lanes: &[Lane], targets: &[(TargetId, Intent, u32)]) -> Vec<Place> {
    let mut places = vec![Place { lane: 0, slice: 0 }; targets.len()];
    for (lane, slices) in lanes.iter().enumerate() {
        let regions =
            slices.slices.iter().enumerate().flat_map(|(slice, part)| part.regions.iter().map(move |region| (region, slice)));
        let slice_of: HashMap<&RegionId, usize> = regions.collect();
        slices.members.iter().for_each(|at| places[*at] = Place { lane, slice: slice_of[&targets[*at].0.region] });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::super::trial::{Needs, plan, plan_by, settings};
    use super::*;

    const FLEET: [&str; 4] = ["staging/us", "prod/global", "prod/us", "prod/eu"];
    const STANDARD: &str = "prod: { profile: standard, after: staging }";

    /// `name: targets < waves before`.
    fn line(wave: &Wave) -> String {
        let targets: Vec<_> = wave.targets.iter().map(|planned| planned.target.to_string()).collect();
        format!("{}: {} < {:?}", wave.name, targets.join(" "), wave.after)
    }

    /// The waves, line by line.
    fn told(text: &str, targets: &[&str], needs: Needs<'_>) -> Vec<String> {
        match plan(&settings(text, &FLEET), targets, needs) {
            Ok(rollout) => rollout.waves.iter().map(line).collect(),
            Err(why) => vec![why.to_string()],
        }
    }

    #[test]
    fn production_follows_staging_and_its_canary_goes_first() {
        let targets = ["a@prod/us", "a@prod/eu", "b@prod/eu", "a@staging/us"];
        assert_eq!(
            told(STANDARD, &targets, &[]),
            ["staging: a@staging/us < []", "prod 1: canary: a@prod/eu b@prod/eu < [0]", "prod 2: rest: a@prod/us < [1]"]
        );
    }

    #[test]
    fn environments_that_do_not_name_each_other_are_independent() {
        assert_eq!(
            told("prod: instant", &["a@prod/us", "a@staging/us"], &[]),
            ["staging: a@staging/us < []", "prod: a@prod/us < []"]
        );
    }

    /// What one commit says, and which targets are at it.
    fn part(name: &str, text: &str, targets: &[&str]) -> Part {
        let targets = targets.iter().map(|id| id.parse().expect("an id")).collect();
        Part { name: name.into(), settings: settings(text, &FLEET), targets }
    }

    #[test]
    fn a_dependent_by_an_older_commit_takes_nothing_round_its_canary() {
        let old = part("c1", "prod: instant", &["app@prod/eu", "lone@prod/us"]);
        let paces =
            Paces::of(vec![old, part("c2", STANDARD, &["dns@prod/us", "web@prod/eu", "web@prod/us"]), part("c3", "{}", &[])]);
        let targets = ["app@prod/eu", "dns@prod/us", "lone@prod/us", "web@prod/eu", "web@prod/us"];
        let rollout =
            plan_by(&paces, &targets, &[("app@prod/eu", "dns@prod/us"), ("web@prod/us", "lone@prod/us")]).expect("a plan");
        let told: Vec<String> = rollout.waves.iter().map(line).collect();
        assert_eq!(
            told,
            [
                "prod by c1: app@prod/eu lone@prod/us < []",
                "prod by c2 1: canary: web@prod/eu < []",
                "prod by c2 2: rest: dns@prod/us web@prod/us < [1]"
            ]
        );
    }

    #[test]
    fn lanes_that_would_wait_for_each_other_are_parted_and_nobody_goes_round_a_canary() {
        let old = part("c1", STANDARD, &["w@prod/eu", "w@prod/us", "x@prod/eu", "x@prod/us"]);
        let new = "prod: { profile: standard, after: staging, failure_tolerance: 1 }";
        let new = part("c2", new, &["y@prod/eu", "y@prod/us", "z@prod/eu", "z@prod/us"]);
        let paces = Paces::of(vec![old, new, part("c3", "{}", &[])]);
        let targets = ["w", "x", "y", "z"].map(|stack| ["eu", "us"].map(|region| format!("{stack}@prod/{region}"))).concat();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let rollout = plan_by(&paces, &targets, &[("x@prod/eu", "y@prod/us"), ("z@prod/eu", "w@prod/us")]).expect("a plan");
        assert_eq!(
            rollout.waves.iter().map(line).collect::<Vec<_>>(),
            [
                "prod by c1 1: canary: w@prod/eu < []",
                "prod by c1 2: rest: w@prod/us < [0]",
                "prod by c1 (part 2) 1: canary: x@prod/eu < []",
                "prod by c1 (part 2) 2: rest: x@prod/us < [2]",
                "prod by c2 1: canary: y@prod/eu < []",
                "prod by c2 2: rest: y@prod/us < [4]",
                "prod by c2 (part 2) 1: canary: z@prod/eu < []",
                "prod by c2 (part 2) 2: rest: z@prod/us < [6]",
            ]
        );
        assert!(rollout.waves.iter().step_by(2).all(|canary| canary.bake_secs > 0));
    }

    #[test]
    fn a_stack_that_comes_before_and_after_another_in_two_regions_of_a_lane_has_a_plan_too() {
        let old = part("c1", STANDARD, &["a@prod/eu", "a@prod/us"]);
        let paces = Paces::of(vec![old, part("c2", "prod: instant", &["b@prod/eu"]), part("c3", "{}", &[])]);
        let needs = [("a@prod/eu", "b@prod/eu"), ("b@prod/eu", "a@prod/us")];
        let rollout = plan_by(&paces, &["a@prod/eu", "a@prod/us", "b@prod/eu"], &needs).expect("a plan");
        let told: Vec<String> = rollout.waves.iter().map(line).collect();
        assert_eq!(told, ["prod by c1: a@prod/us < []", "prod by c1 (part 2): a@prod/eu < []", "prod by c2: b@prod/eu < []"]);
    }

    #[test]
    fn an_environment_without_targets_is_looked_through() {
        let fleet = ["dev/x", "staging/x", "prod/x"];
        let settings = settings("staging: { after: dev }\nprod: { after: staging }", &fleet);
        let rollout = plan(&settings, &["a@prod/x", "a@dev/x"], &[]).expect("a plan");
        assert_eq!(rollout.waves.iter().map(|wave| wave.after.clone()).collect::<Vec<_>>(), [vec![], vec![0]]);
    }

    #[test]
    fn a_dependency_comes_along_with_its_earliest_dependent() {
        let targets = ["app@prod/eu", "app@prod/us", "dns@prod/us"];
        let needs = [("app@prod/eu", "dns@prod/us")];
        assert_eq!(
            told(STANDARD, &targets, &needs),
            ["prod 1: canary: app@prod/eu dns@prod/us < []", "prod 2: rest: app@prod/us < [0]"]
        );
    }

    #[test]
    fn a_dependency_is_met_through_targets_that_are_not_in_the_rollout() {
        let rollout = plan(
            &settings(STANDARD, &FLEET),
            &["app@prod/us", "base@prod/us"],
            &[("app@prod/us", "net@prod/us"), ("net@prod/us", "base@prod/us")],
        );
        let waves = rollout.expect("a plan").waves;
        assert_eq!(waves[0].targets[0].after, ["base@prod/us".parse().expect("an id")]);
    }

    #[test]
    fn a_destroyed_target_goes_after_all_that_used_it() {
        let targets = ["-base@prod/eu", "-app@prod/eu", "web@prod/us"];
        let needs = [("app@prod/eu", "base@prod/eu"), ("web@prod/us", "base@prod/eu")];
        assert_eq!(
            told(STANDARD, &targets, &needs),
            ["prod 1: canary: app@prod/eu < []", "prod 2: rest: base@prod/eu web@prod/us < [0]"]
        );
        let rollout = plan(&settings(STANDARD, &FLEET), &targets, &needs).expect("a plan");
        let after: Vec<_> = rollout.waves[1].targets[0].after.iter().map(ToString::to_string).collect();
        assert_eq!(after, ["app@prod/eu", "web@prod/us"]);
    }

    #[test]
    fn staging_that_needs_production_is_refused_with_a_way_out() {
        let why = told(STANDARD, &["app@staging/us", "dns@prod/global"], &[("app@staging/us", "dns@prod/global")]);
        assert!(why[0].starts_with("app@staging/us needs dns@prod/global, and prod rolls out after staging: change"), "{why:?}");
        let why = told(STANDARD, &["-dns@staging/us", "app@prod/us"], &[("app@prod/us", "dns@staging/us")]);
        assert!(why[0].starts_with("dns@staging/us can be destroyed only after app@prod/us has let go of it"), "{why:?}");
    }

    #[test]
    fn independent_environments_whose_waves_wait_for_one_another_are_refused() {
        let waves = "{ waves: [{ name: one, regions: x }, { name: two, regions: y }] }";
        let settings = settings(&format!("a: {waves}\nb: {waves}"), &["a/x", "a/y", "b/x", "b/y"]);
        let targets = ["s@a/x", "s@a/y", "s@b/x", "s@b/y"];
        assert!(plan(&settings, &targets, &[("s@a/x", "s@b/y")]).is_ok());
        let why = plan(&settings, &targets, &[("s@a/x", "s@b/y"), ("s@b/x", "s@a/y")]).expect_err("no order");
        let each = "s@a/x needs s@b/y and s@b/x needs s@a/y";
        assert!(why.0.starts_with(&format!("{each}, so that waves of a and b would wait for one another: merge")), "{why}");
    }

    #[test]
    fn why_there_is_no_order_is_told_by_what_makes_the_circle_and_not_by_another_need() {
        let (text, mut fleet) = ("prod: { after: staging }", FLEET.to_vec());
        fleet.push("edge/us");
        let settings = settings(text, &fleet);
        let targets = ["a@prod/us", "app@staging/us", "dns@prod/us", "net@edge/us"];
        let needs = [("a@prod/us", "net@edge/us"), ("app@staging/us", "net@edge/us"), ("net@edge/us", "dns@prod/us")];
        let why = plan(&settings, &targets, &needs).expect_err("no order");
        assert_eq!(
            why.0,
            "net@edge/us needs dns@prod/us and app@staging/us needs net@edge/us, so that waves of edge and prod and staging would \
             wait for one another: merge and apply one of these changes first, or change `after` in the fleet's rollout section"
        );
    }

    #[test]
    fn a_circle_inside_one_environment_is_told_as_what_it_is() {
        let waves = plan(&settings(STANDARD, &FLEET), &["x@prod/eu", "y@prod/us"], &[]).expect("a plan").waves;
        let [x, y]: [TargetId; 2] = ["x@prod/eu", "y@prod/us"].map(|id| id.parse().expect("an id"));
        let needs = |target: &TargetId| if *target == x { std::slice::from_ref(&y) } else { &[] };
        let targets = [(x.clone(), Intent::Converge, 1), (y.clone(), Intent::Converge, 1)];
        let order = Order::of(&targets, needs, |_| &[]).unwrap_or_else(|why| panic!("{why}"));
        let why = contradiction(&targets, &order, &[0, 1], &waves).expect("the canary needs what comes after it");
        assert!(why.starts_with("x@prod/eu needs y@prod/us, so that waves of prod would wait for one another"), "{why}");
    }

    #[test]
    fn nobody_waits_for_the_bake_of_the_last_wave() {
        let text = "staging: { bake: 10m }\nprod: { profile: standard, after: staging }";
        let rollout = plan(&settings(text, &FLEET), &["a@staging/us", "a@prod/us", "a@prod/eu"], &[]).expect("a plan");
        assert_eq!(rollout.waves.iter().map(|wave| wave.bake_secs).collect::<Vec<_>>(), [600, 900, 0]);
    }

    #[test]
    fn shares_are_of_the_targets_of_a_wave() {
        let text = "prod: { max_parallel: 50%, failure_tolerance: 34% }";
        let rollout = plan(&settings(text, &FLEET), &["a@prod/us", "b@prod/us", "c@prod/us"], &[]).expect("a plan");
        assert_eq!((rollout.waves[0].max_parallel, rollout.waves[0].failure_tolerance), (1, 1));
    }

    #[test]
    fn a_removed_region_is_left_with_the_last_wave() {
        let text = "prod: { waves: [{ name: one, regions: eu }, { name: two, regions: [us, global] }] }";
        assert_eq!(
            told(text, &["a@prod/eu", "-a@prod/gone", "-a@old/gone"], &[]),
            ["prod 1: one: a@prod/eu < []", "prod 2: two: a@prod/gone < [0]", "old: a@old/gone < []"]
        );
    }
}
