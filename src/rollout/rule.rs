//! Several words about one environment: into which slices each of them cuts it, and the waves in which all of them are kept.

use super::Gate;
use super::measure::Share;
use super::settings::Pace;
use super::slice::{Slice, cut};
use super::takeover::Kept;
use crate::stack::{RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What one word says of the members of an environment.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    slices: Vec<Slice>,
    /// For each member, its slice.
    at: Vec<usize>,
    /// Slices of which an earlier rollout brought something that it did not prove.
    unproven: BTreeSet<usize>,
    progress_deadline_secs: Option<u64>,
}

/// What holds for one wave by all rules: the strictest of each.
pub(super) struct Strictest {
    pub(super) name: Arc<str>,
    pub(super) max_parallel: usize,
    pub(super) failure_tolerance: usize,
    pub(super) gates: Vec<Gate>,
    pub(super) bake_secs: u64,
    pub(super) progress_deadline_secs: Option<u64>,
    pub(super) unproven: bool,
}

/// Slices by all rules: for each rule the slice that it is of. They come in the order of the oldest rule, and within one of its slices in
/// that of the next.
pub(super) type Key = Vec<usize>;

impl Rule {
    /// As settings say it of these targets, each with the weight of its region: as it would be of a change of every region of their
    /// `fleet`, so that what is left of a change keeps its waves, and as it is of these alone, so that a part has its own canary.
    pub(super) fn of_settings(pace: &Pace, members: &[(&TargetId, u32)], fleet: &[(RegionId, u32)]) -> Vec<Self> {
        let Some((first, _)) = members.first() else { return Vec::new() };
        let environment = fleet.iter().filter(|(region, _)| region.environment() == first.region.environment());
        let whole = Self::cut(pace, members, environment.cloned().collect());
        let part = Self::cut(pace, members, BTreeMap::new());
        if keys(std::slice::from_ref(&whole), members.len()).1 == keys(std::slice::from_ref(&part), members.len()).1 {
            return vec![part];
        }
        vec![whole, part]
    }

    /// Cuts `regions`, and those of the members.
    fn cut(pace: &Pace, members: &[(&TargetId, u32)], mut regions: BTreeMap<RegionId, u32>) -> Self {
        for (target, weight) in members {
            let most = regions.entry(target.region.clone()).or_default();
            *most = (*most).max(*weight);
        }
        let slices = cut(pace, regions.into_iter().collect());
        let of_slice = slices.iter().enumerate().flat_map(|(nth, slice)| slice.regions.iter().map(move |region| (region, nth)));
        let slice_of: HashMap<&RegionId, usize> = of_slice.collect();
        let at = members.iter().map(|(target, _)| slice_of[&target.region]).collect();
        Self { slices, at, unproven: BTreeSet::new(), progress_deadline_secs: pace.progress_deadline_secs }
    }

    /// As an earlier rollout had planned it. What was no part of it goes where its region goes first, and with the last wave where its
    /// region was no part of it; `None` where the rollout had no wave of the environment.
    ///
    /// The last wave may have been planned without its bake, since nobody waited for it then: it bakes `last_bake_secs`.
    pub(super) fn of_rollout(waves: &[Kept<'_>], members: &[(&TargetId, u32)], last_bake_secs: u64) -> Option<Self> {
        let last = waves.len().checked_sub(1)?;
        let mut of_target: HashMap<&TargetId, usize> = HashMap::new();
        let mut of_region: HashMap<&RegionId, usize> = HashMap::new();
        for (nth, kept) in waves.iter().enumerate() {
            for planned in &kept.wave.targets {
                of_target.insert(&planned.target, nth);
                of_region.entry(&planned.target.region).or_insert(nth);
            }
        }
        let place = |target: &TargetId| of_target.get(target).or_else(|| of_region.get(&target.region)).copied().unwrap_or(last);
        let at: Vec<usize> = members.iter().map(|(target, _)| place(target)).collect();
        let slice = |(nth, kept): (usize, &Kept<'_>)| {
            let (wave, len) = (kept.wave, at.iter().filter(|at| **at == nth).count());
            let tolerated = wave.failure_tolerance * len.min(wave.targets.len()) / wave.targets.len().max(1);
            Slice {
                name: wave.name.rsplit_once(": ").map_or("", |(_, own)| own).into(),
                regions: Vec::new(),
                max_parallel: Share::Count(wave.max_parallel),
                failure_tolerance: Share::Count(tolerated),
                bake_secs: if nth == last { wave.bake_secs.max(last_bake_secs) } else { wave.bake_secs },
                gates: wave.gates.clone(),
            }
        };
        let slices = waves.iter().enumerate().map(slice).collect();
        let unproven = waves.iter().enumerate().filter(|(_, kept)| kept.is_unproven).map(|(nth, _)| nth).collect();
        let progress_deadline_secs = waves.iter().find_map(|kept| kept.wave.progress_deadline_secs);
        Some(Self { slices, at, unproven, progress_deadline_secs })
    }

    /// The longest bake that it asks for.
    pub(super) fn longest_bake_secs(&self) -> u64 {
        self.slices.iter().map(|slice| slice.bake_secs).max().unwrap_or_default()
    }
}

/// Returns the slices by all rules, and for each of so many members which of them it is in.
pub(super) fn keys(rules: &[Rule], members: usize) -> (Vec<Key>, Vec<usize>) {
    let key = |member: usize| -> Key { rules.iter().map(|rule| rule.at[member]).collect() };
    let keys: BTreeSet<Key> = (0..members).map(key).collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let at = (0..members).map(|member| keys.binary_search(&key(member)).expect("each key is among them")).collect();
    (keys, at)
}

/// Returns what holds for a wave of `len` targets, of which `later` are the keys of the waves after it in its environment.
///
/// A slice's gates are asked and its bake begins where the last of the slice was brought.
pub(super) fn strictest(rules: &[Rule], key: &Key, later: &[&Key], len: usize) -> Strictest {
    let own: Vec<(&Rule, usize)> = rules.iter().zip(key.iter().copied()).collect();
    let slices = || own.iter().map(|(rule, slice)| &rule.slices[*slice]);
    let ends = |nth: usize, slice: usize| !later.iter().any(|key| key[nth] == slice);
    let ended = || own.iter().enumerate().filter(|(nth, (_, slice))| ends(*nth, *slice)).map(|(_, (rule, at))| &rule.slices[*at]);

    let mut gates: Vec<Gate> = Vec::new();
    for gate in ended().flat_map(|slice| &slice.gates) {
        if !gates.contains(gate) {
            gates.push(gate.clone());
        }
    }
    let named = own.iter().find(|(rule, _)| rule.slices.len() > 1).map(|(rule, slice)| &rule.slices[*slice]);
    Strictest {
        name: named.or_else(|| slices().next()).map_or_else(|| "".into(), |slice| slice.name.clone()),
        max_parallel: slices().map(|slice| slice.max_parallel.of(len)).min().unwrap_or_default().max(1),
        failure_tolerance: slices().map(|slice| slice.failure_tolerance.of(len)).min().unwrap_or_default(),
        gates,
        bake_secs: ended().map(|slice| slice.bake_secs).max().unwrap_or_default(),
        progress_deadline_secs: rules.iter().filter_map(|rule| rule.progress_deadline_secs).min(),
        unproven: own.iter().any(|(rule, slice)| rule.unproven.contains(slice)),
    }
}
