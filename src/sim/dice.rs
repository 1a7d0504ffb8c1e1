//! The only randomness of the simulated world.
//! Invariant: equal seeds throw equal numbers, on every machine.

/// SplitMix64.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; zero for zero.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.throw()) * bound as u128) >> 64) as usize
    }

    /// From `least` to `most`, both possible.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    pub fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// An index of `weights`, as often as its weight says; None when all are zero.
    pub fn weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let total: u32 = weights.iter().sum();
        let mut at = self.below(total as usize) as u32;
        weights.iter().position(|&weight| {
            let here = at < weight;
            at = at.wrapping_sub(weight);
            here
        })
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_throw_equal_numbers() {
        let throw = |seed| {
            let mut dice = Dice::new(seed);
            std::array::from_fn::<usize, 16, _>(|_| dice.below(1000))
        };
        assert_eq!(throw(7), throw(7));
        assert_ne!(throw(7), throw(8));
    }

    #[test]
    fn a_weight_of_zero_is_never_chosen() {
        let mut dice = Dice::new(1);
        let mut seen = [0_u32; 4];
        for _ in 0..1000 {
            seen[dice.weighted(&[0, 3, 0, 1]).unwrap()] += 1;
        }
        assert_eq!((seen[0], seen[2]), (0, 0));
        assert!(seen[1] > seen[3] && seen[3] > 0);
        assert_eq!(dice.weighted(&[0, 0]), None);
    }
}
