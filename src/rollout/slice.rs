//! How the regions of one environment are cut into waves: by the profile, or as the waves were written.

use super::Gate;
use super::measure::Share;
use super::settings::{Limits, Pace, Profile, Settings, WaveSettings};
use crate::stack::{Region, RegionId};
use std::collections::HashMap;
use std::sync::Arc;

/// The regions of one wave, and what holds for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    /// `canary`; empty for the only wave of an environment.
    pub(super) name: Arc<str>,
    pub(super) regions: Vec<RegionId>,
    pub(super) max_parallel: Share,
    pub(super) failure_tolerance: Share,
    pub(super) bake_secs: u64,
    pub(super) gates: Vec<Gate>,
}

/// Targets at once where nobody says otherwise: engines mostly wait.
const INSTANT_PARALLEL: usize = 64;
/// Targets at once in a profile whose point is to see trouble while it is small.
const STANDARD_PARALLEL: usize = 10;
/// Of the weight, in percent: what may be changed and not yet baked.
const EXPOSURE_MAX: u64 = 34;
/// Regions of the early wave at most.
const EARLY_MAX: usize = 3;

const CANARY_SECS: u64 = 15 * 60;
const PILOT_SECS: u64 = 3_600;
const LATER_SECS: u64 = 30 * 60;

impl Settings {
    /// Returns for each of `regions` that is in `environment` the number of its wave, when a change comes to all of them.
    pub fn turns(&self, regions: &[Arc<Region>], environment: &str) -> HashMap<RegionId, usize> {
        let pace = self.pace(environment).cloned().unwrap_or_default();
        let own = regions.iter().filter(|region| region.id.environment() == environment);
        let slices = cut(&pace, own.map(|region| (region.id.clone(), region.weight)).collect());
        let turns = slices.into_iter().enumerate();
        turns.flat_map(|(nth, slice)| slice.regions.into_iter().map(move |region| (region, nth))).collect()
    }
}

/// Cuts `regions`, each with its weight, as `pace` says; none of the slices is empty.
pub(super) fn cut(pace: &Pace, mut regions: Vec<(RegionId, u32)>) -> Vec<Slice> {
    regions.sort_by(|(a, a_weight), (b, b_weight)| (a_weight, a).cmp(&(b_weight, b)));
    let mut slices = match (&pace.waves, pace.profile) {
        (Some(waves), profile) => as_written(waves, profile, regions),
        (None, Profile::Instant) => vec![slice("", names(&regions), Profile::Instant, 0)],
        (None, Profile::Standard) => standard(&regions),
    };
    slices.retain(|(slice, _)| !slice.regions.is_empty());
    slices.into_iter().map(|(slice, own)| limited(slice, &own, &pace.limits)).collect()
}

/// A slice with the limits of its own, which win over those of the environment.
type Limited = (Slice, Limits);

/// Light first: one to see whether it works, one to see whether it bears load, a few, then as much as may be lost at once.
fn standard(regions: &[(RegionId, u32)]) -> Vec<Limited> {
    let (Some((canary, rest)), Some((pilot, between))) = (regions.split_first(), regions.split_last()) else {
        return Vec::new();
    };
    let strict = |(slice, own): Limited| (slice, Limits { failure_tolerance: Some(Share::Count(0)), ..own });
    match regions.len() {
        1 => return vec![slice("", names(regions), Profile::Standard, CANARY_SECS)],
        2 | 3 => {
            let canary = slice("canary", vec![canary.0.clone()], Profile::Standard, CANARY_SECS);
            return vec![strict(canary), slice("rest", names(rest), Profile::Standard, LATER_SECS)];
        }
        _ => {}
    }
    let early_len = (regions.len() / 4).clamp(1, EARLY_MAX);
    let (early, later) = between[1..].split_at(early_len); // at least four regions: a canary, a pilot and two between them

    let mut slices = vec![
        strict(slice("canary", vec![canary.0.clone()], Profile::Standard, CANARY_SECS)),
        strict(slice("pilot", vec![pilot.0.clone()], Profile::Standard, PILOT_SECS)),
        slice("early", names(early), Profile::Standard, LATER_SECS),
    ];
    let all = regions.iter().map(|(_, weight)| u64::from(*weight)).sum();
    slices.extend(by_exposure(later, all).into_iter().map(|part| slice("later", names(part), Profile::Standard, LATER_SECS)));
    slices
}

/// Cuts `regions` so that no part weighs more than [`EXPOSURE_MAX`] of `all`; one region is always allowed.
fn by_exposure(regions: &[(RegionId, u32)], all: u64) -> Vec<&[(RegionId, u32)]> {
    let (mut parts, mut from, mut weight) = (Vec::new(), 0, 0);
    for (at, (_, own)) in regions.iter().enumerate() {
        let own = u64::from(*own);
        if at > from && (weight + own) * 100 > EXPOSURE_MAX * all {
            parts.push(&regions[from..at]);
            (from, weight) = (at, 0);
        }
        weight += own;
    }
    if from < regions.len() {
        parts.push(&regions[from..]);
    }
    parts
}

/// A region goes to the first wave that matches it; one that none matches exists no more, and is left by the last.
fn as_written(waves: &[WaveSettings], profile: Profile, regions: Vec<(RegionId, u32)>) -> Vec<Limited> {
    let bake_secs = match profile {
        Profile::Instant => 0,
        Profile::Standard => LATER_SECS,
    };
    let empty = |wave: &WaveSettings| (slice(&wave.name, Vec::new(), profile, bake_secs).0, wave.limits.clone());
    let mut slices: Vec<Limited> = waves.iter().map(empty).collect();
    if slices.is_empty() {
        slices.push(slice("", Vec::new(), profile, bake_secs));
    }
    for (region, _) in regions {
        let at = waves.iter().position(|wave| wave.matches(&region)).unwrap_or(slices.len() - 1);
        slices[at].0.regions.push(region);
    }
    slices
}

fn slice(name: &str, regions: Vec<RegionId>, profile: Profile, bake_secs: u64) -> Limited {
    let max_parallel = match profile {
        Profile::Instant => INSTANT_PARALLEL,
        Profile::Standard => STANDARD_PARALLEL,
    };
    let slice = Slice {
        name: name.into(),
        regions,
        max_parallel: Share::Count(max_parallel),
        failure_tolerance: Share::Count(0),
        bake_secs,
        gates: Vec::new(),
    };
    (slice, Limits::default())
}

/// Sets what was written: for the wave, else for the environment.
fn limited(mut slice: Slice, own: &Limits, shared: &Limits) -> Slice {
    slice.max_parallel = own.max_parallel.or(shared.max_parallel).unwrap_or(slice.max_parallel);
    slice.failure_tolerance = own.failure_tolerance.or(shared.failure_tolerance).unwrap_or(slice.failure_tolerance);
    slice.bake_secs = own.bake_secs.or(shared.bake_secs).unwrap_or(slice.bake_secs);
    slice.gates = own.gates.as_ref().or(shared.gates.as_ref()).cloned().unwrap_or_default();
    slice
}

fn names(regions: &[(RegionId, u32)]) -> Vec<RegionId> {
    regions.iter().map(|(region, _)| region.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions `prod/r0`, `prod/r1`, … with these weights.
    fn told(pace: &Pace, weights: &[u32]) -> Vec<String> {
        let id = |at: usize| format!("prod/r{at}").parse().expect("a region's id");
        let regions = weights.iter().enumerate().map(|(at, weight)| (id(at), *weight)).collect();
        let name =
            |slice: &Slice| format!("{} {}", slice.name, slice.regions.iter().map(RegionId::name).collect::<Vec<_>>().join(","));
        cut(pace, regions).iter().map(name).collect()
    }

    #[test]
    fn standard_goes_to_the_lightest_then_the_heaviest_then_a_few_then_slices() {
        let pace = Pace { profile: Profile::Standard, ..Pace::default() };
        let expected = ["canary r3", "pilot r0", "early r1,r2", "later r4,r5,r6", "later r7"];
        assert_eq!(told(&pace, &[10, 2, 2, 1, 3, 3, 3, 3]), expected); // 9 of 27 may be lost at once, 12 may not
    }

    #[test]
    fn a_small_fleet_has_a_canary_and_the_rest_and_one_region_has_one_wave() {
        let pace = Pace { profile: Profile::Standard, ..Pace::default() };
        assert_eq!(told(&pace, &[5, 3, 1]), ["canary r2", "rest r1,r0"]);
        assert_eq!(told(&pace, &[5]), [" r0"]);
        assert_eq!(told(&pace, &[1, 1, 1, 1]), ["canary r0", "pilot r3", "early r1", "later r2"]);
    }

    #[test]
    fn fifty_equal_regions_never_have_more_than_a_third_changed_and_not_baked() {
        let pace = Pace { profile: Profile::Standard, ..Pace::default() };
        let regions = (10..60).map(|at| (format!("prod/r{at}").parse().expect("a region's id"), 1)).collect();
        let lens: Vec<_> = cut(&pace, regions).iter().map(|slice| slice.regions.len()).collect();
        assert_eq!(lens, [1, 1, 3, 17, 17, 11]);
    }

    #[test]
    fn each_region_of_one_environment_has_the_turn_of_its_wave() {
        let regions = super::super::trial::regions(&["prod/us", "prod/eu", "staging/us"]);
        let settings = super::super::trial::settings(
            "prod: { waves: [{ name: canary, regions: eu }, { name: rest, regions: \"*\" }] }",
            &["prod/us", "prod/eu", "staging/us"],
        );
        let turns = settings.turns(&regions, "prod");
        let of = |region: &str| turns.get(&region.parse().expect("a region's id")).copied();
        assert_eq!([of("prod/eu"), of("prod/us"), of("staging/us")], [Some(0), Some(1), None]);
    }

    #[test]
    fn canary_and_pilot_tolerate_nothing_whatever_was_written() {
        let limits = Limits { failure_tolerance: Some(Share::Count(3)), ..Limits::default() };
        let pace = Pace { profile: Profile::Standard, limits, ..Pace::default() };
        let regions = (0..5).map(|at| (format!("prod/r{at}").parse().expect("a region's id"), 1)).collect();
        let tolerances: Vec<_> = cut(&pace, regions).iter().map(|slice| slice.failure_tolerance).collect();
        assert_eq!(tolerances, [0, 0, 3, 3, 3].map(Share::Count));
    }
}
