//! The plan: which wave holds which targets.

use super::Paces;
use super::order::{Order, Place, contradiction};
use super::rule::{Key, Rule, Strictest, keys, strictest};
use super::wave::{PlanError, Planned, Rollout, Wave};
use crate::change::Intent;
use crate::stack::{Graph, TargetId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Rollout {
    /// Puts `targets`, each with the weight of its region, in waves. `graph` orders converging targets; `graph_before`, of the
    /// last applied definitions, orders destroys: dependents first.
    ///
    /// All targets of a region go in one wave, except that a dependency comes along with its earliest dependent, and a destroyed
    /// target goes with the last that used it. Where an environment's targets are at commits that say different things, or an earlier
    /// rollout had waves for it, its waves are those in which all of that is kept.
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
}

/// An environment that has targets in the rollout.
struct Lane {
    environment: Arc<str>,
    rules: Vec<Rule>,
    slices: Vec<Key>,
    members: Vec<usize>,
    /// For each member, its slice.
    at: Vec<usize>,
    /// Lanes that must be verified first.
    after: Vec<usize>,
}

/// Makes the waves of `targets`, whose order is known.
pub(super) fn waves(paces: &Paces, targets: &[(TargetId, Intent, u32)], order: &Order) -> Result<Vec<Wave>, PlanError> {
    let lanes = lanes(paces, targets);
    let mut places = places(&lanes, targets.len());
    order.pull(targets, &mut places);

    let mut members: Vec<Vec<Vec<usize>>> = lanes.iter().map(|lane| vec![Vec::new(); lane.slices.len()]).collect();
    for (at, place) in places.iter().enumerate() {
        members[place.lane][place.slice].push(at);
    }
    let mut waves = Vec::new();
    let mut ends: Vec<Vec<usize>> = Vec::new(); // of each lane, the waves after which it is verified
    let mut wave_of = vec![0; targets.len()];
    for (lane, members) in lanes.iter().zip(members) {
        let filled: Vec<(&Key, Vec<usize>)> =
            lane.slices.iter().zip(members).filter(|(_, members)| !members.is_empty()).collect();
        let keys: Vec<&Key> = filled.iter().map(|(key, _)| *key).collect();
        let mut after: Vec<usize> = lane.after.iter().flat_map(|lane| ends[*lane].clone()).collect();
        after.sort_unstable();
        after.dedup();
        for (nth, (key, members)) in filled.into_iter().enumerate() {
            members.iter().for_each(|at| wave_of[*at] = waves.len());
            let mut limits = strictest(&lane.rules, key, &keys[nth + 1..], members.len());
            limits.unproven |= members.iter().any(|at| paces.is_unproven(&targets[*at].0));
            let planned = members.iter().map(|at| order.planned(*at, targets)).collect();
            let after = std::mem::replace(&mut after, vec![waves.len()]);
            waves.push(wave(lane, (keys.len() > 1).then_some(nth + 1), limits, after, planned));
        }
        ends.push(after); // its last wave
    }
    match contradiction(targets, order, &wave_of, &waves) {
        Some(why) => Err(PlanError(why)),
        None => Ok(with_last_bakes(waves, paces)),
    }
}

/// Makes one wave, which has a number where its environment has several.
fn wave(lane: &Lane, nth: Option<usize>, limits: Strictest, after: Vec<usize>, targets: Vec<Planned>) -> Wave {
    let name = nth.map_or_else(|| lane.environment.clone(), |nth| format!("{} {nth}: {}", lane.environment, limits.name).into());
    Wave {
        name,
        environment: lane.environment.clone(),
        after,
        max_parallel: limits.max_parallel,
        failure_tolerance: limits.failure_tolerance,
        targets,
        gates: limits.gates,
        bake_secs: limits.bake_secs,
        progress_deadline_secs: limits.progress_deadline_secs,
        unproven: limits.unproven,
    }
}

/// A bake that nobody waits for would delay nothing but the end, and is left out. Where another environment comes after that of the
/// wave, though none of it is in this rollout, a wave without targets waits for the bake: until then the rollout is not over, and
/// whatever comes there next comes after it.
fn with_last_bakes(mut waves: Vec<Wave>, paces: &Paces) -> Vec<Wave> {
    let mut awaited = vec![false; waves.len()];
    waves.iter().flat_map(|wave| &wave.after).for_each(|before| awaited[*before] = true);
    let mut ends = Vec::new();
    for (at, wave) in waves.iter_mut().enumerate().filter(|(at, _)| !awaited[*at]) {
        if wave.bake_secs > 0 && paces.leads(&wave.environment) {
            let name = format!("{}, baked", wave.name).into();
            let (targets, gates) = (Vec::new(), Vec::new());
            ends.push(Wave { name, after: vec![at], targets, gates, bake_secs: 0, unproven: false, ..wave.clone() });
        } else {
            wave.bake_secs = 0;
        }
    }
    waves.extend(ends);
    waves
}

/// Returns the environments of the targets in rollout order, cut into slices.
fn lanes(paces: &Paces, targets: &[(TargetId, Intent, u32)]) -> Vec<Lane> {
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
        let weighed: Vec<(&TargetId, u32)> = members.iter().map(|at| (&targets[*at].0, targets[*at].2)).collect();
        let rules = paces.rules(environment, &weighed);
        let (slices, at) = keys(&rules, members.len());
        lanes.push(Lane {
            environment: environment.into(),
            rules,
            slices,
            members,
            at,
            after: before(paces, environment, &lanes),
        });
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

fn places(lanes: &[Lane], targets: usize) -> Vec<Place> {
    let mut places = vec![Place { lane: 0, slice: 0 }; targets];
    for (nth, lane) in lanes.iter().enumerate() {
        lane.members.iter().zip(&lane.at).for_each(|(at, slice)| places[*at] = Place { lane: nth, slice: *slice });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Needs, plan, plan_by, settings};
    use super::super::{Outcome, Part, Progress, StepEvent, Takeover};
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
    fn part(text: &str, targets: &[&str]) -> Part {
        let targets = targets.iter().map(|id| id.parse().expect("an id")).collect();
        Part { settings: settings(text, &FLEET), targets }
    }

    /// `name: targets, gates, bake`.
    fn strict(rollout: &Rollout) -> Vec<String> {
        let told = |wave: &Wave| {
            let targets: Vec<_> = wave.targets.iter().map(|planned| planned.target.to_string()).collect();
            let gates: Vec<_> = wave.gates.iter().map(ToString::to_string).collect();
            format!("{}: {}, [{}], {}", wave.name, targets.join(" "), gates.join(" "), wave.bake_secs)
        };
        rollout.waves.iter().map(told).collect()
    }

    const TARGETS: [&str; 3] = ["a@prod/eu", "a@prod/global", "a@prod/us"];

    #[test]
    fn where_targets_are_at_several_commits_the_canary_of_each_is_kept() {
        let canary = |region: &str, gate: &str| {
            let first = format!("{{ name: first, regions: {region}, bake: 1h, gates: [{{ command: [{gate}] }}] }}");
            format!("prod: {{ waves: [{first}, {{ name: rest, regions: \"*\" }}] }}")
        };
        let old = part(&canary("us", "old"), &TARGETS[..1]);
        let paces = Paces::of(vec![old, part(&canary("eu", "new"), &TARGETS[1..]), part("{}", &[])]);
        let rollout = plan_by(&paces, &TARGETS, &[]).expect("a plan");
        assert_eq!(
            strict(&rollout),
            [
                "prod 1: first: a@prod/us, [old], 3600",
                "prod 2: rest: a@prod/eu, [new], 3600",
                "prod 3: rest: a@prod/global, [], 0"
            ]
        );
        let paces =
            Paces::of(vec![part(&canary("us", "old"), &TARGETS[..1]), part("prod: instant", &TARGETS[1..]), part("{}", &[])]);
        let rollout = plan_by(&paces, &TARGETS, &[]).expect("a plan");
        let told = ["prod 1: first: a@prod/us, [old], 3600", "prod 2: rest: a@prod/eu a@prod/global, [], 0"];
        assert_eq!(strict(&rollout), told);
    }

    #[test]
    fn of_all_that_is_said_the_strictest_holds() {
        let old = part("prod: { max_parallel: 9, failure_tolerance: 1 }", &TARGETS[..1]);
        let new = part("prod: { max_parallel: 2, failure_tolerance: 3, progress_deadline: 5m }", &TARGETS[1..]);
        let rollout = plan_by(&Paces::of(vec![old, new, part("{}", &[])]), &TARGETS, &[]).expect("a plan");
        let wave = &rollout.waves[0];
        assert_eq!((wave.max_parallel, wave.failure_tolerance, wave.progress_deadline_secs), (2, 1, Some(300)));
    }

    /// A rollout by `text` of which `brought` arrived, and whose gates nobody asked, resumed after a stop.
    fn resumed(text: &str, targets: &[&str], brought: &[&str]) -> Takeover {
        let mut progress = Progress::new(plan(&settings(text, &FLEET), targets, &[]).expect("a plan"));
        for target in brought {
            let outcome = Outcome::Applied;
            progress.record(&StepEvent::Finished { target: target.parse().expect("an id"), outcome }, 1);
        }
        progress.record(&StepEvent::Stopped { why: "a test".into() }, 2);
        progress.record(&StepEvent::Resumed, 3);
        let mut takeover = Takeover::default();
        assert!(takeover.add(&progress, 4, |id| vec![id.clone()]));
        takeover
    }

    const GATED: &str = "prod: { waves: [{ name: one, regions: us, gates: [{ command: [ask] }] }, { name: two, regions: eu, bake: 1h }, { name: rest, regions: \"*\" }] }";

    #[test]
    fn in_the_place_of_another_rollout_its_waves_are_kept_whatever_is_said_since() {
        let takeover = resumed(GATED, &TARGETS, &["a@prod/us"]);
        let weaker = vec![part("prod: instant", &TARGETS), part("prod: instant", &[])];
        let rollout = plan_by(&Paces::taking_over(weaker, takeover.clone()), &TARGETS, &[]).expect("a plan");
        let told = ["prod 1: one: a@prod/us, [ask], 0", "prod 2: two: a@prod/eu, [], 3600", "prod 3: rest: a@prod/global, [], 0"];
        assert_eq!(strict(&rollout), told);
        assert_eq!(rollout.waves.iter().map(|wave| wave.unproven).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(takeover.unproven().len(), 1);
    }

    #[test]
    fn what_was_no_part_of_the_other_rollout_goes_where_its_region_goes_and_else_last() {
        let takeover = resumed(GATED, &["a@prod/us", "a@prod/eu"], &["a@prod/us"]);
        let paces = Paces::taking_over(vec![part("prod: instant", &["a@prod/global", "b@prod/us"]), part("{}", &[])], takeover);
        let rollout = plan_by(&paces, &["a@prod/eu", "a@prod/global", "a@prod/us", "b@prod/us"], &[]).expect("a plan");
        let told = ["prod 1: one: a@prod/us b@prod/us, [ask], 0", "prod 2: two: a@prod/eu a@prod/global, [], 0"];
        assert_eq!(strict(&rollout), told);
    }

    #[test]
    fn a_last_wave_that_had_no_bake_to_wait_for_bakes_when_another_environment_comes_after_it() {
        let staging = "staging: { bake: 1h }";
        let takeover = resumed(staging, &["a@staging/us"], &[]);
        let both = "staging: { bake: 1h }\nprod: { after: staging }";
        let parts = vec![part(both, &["a@staging/us", "a@prod/us"]), part(both, &[])];
        let rollout = plan_by(&Paces::taking_over(parts, takeover), &["a@staging/us", "a@prod/us"], &[]).expect("a plan");
        assert_eq!(strict(&rollout), ["staging: a@staging/us, [], 3600", "prod: a@prod/us, [], 0"]);
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
        assert!(
            why[0].starts_with("app@staging/us needs dns@prod/global, and prod rolls out after staging: take this need out"),
            "{why:?}"
        );
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
             wait for one another: merge and apply one of these changes first, or take a need out, merge and apply the change of \
             `after` by itself, and then bring the need"
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
