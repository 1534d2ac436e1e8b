//! Chance that is none: numbers from a seed and a name, so that taking one thing out of a case moves no other.

/// Numbers drawn one after another.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, name: u64) -> Self {
        Self(mix(seed ^ mix(name)))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Returns the number below `bound` that belongs to these names.
pub(crate) fn roll(seed: u64, names: &[u64], bound: u64) -> u64 {
    names.iter().fold(mix(seed), |so_far, name| mix(so_far ^ name.wrapping_mul(0x9e37_79b9_7f4a_7c15))) % bound.max(1)
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
