//! Chance that repeats: the same seed gives the same numbers on every machine, for ever.

/// SplitMix64: small, fast, and no library that may change its mind.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A stream of numbers of its own for each (seed, name).
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = blake3::hash(format!("{seed} {name}").as_bytes());
        let mut start = [0; 8];
        start.copy_from_slice(&hash.as_bytes()[..8]);
        Self(u64::from_le_bytes(start))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of 128 bits has 64")
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// `digits` hexadecimal digits, at most 16.
    pub fn hex(&mut self, digits: usize) -> String {
        format!("{:016x}", self.next())[..digits].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_stays_in_bounds_and_differs_by_name() {
        let draw = |mut rng: Rng| (0..1_000).map(|_| rng.between(5, 9)).collect::<Vec<_>>();
        let numbers = draw(Rng::new(1, "a"));
        assert_eq!(numbers, draw(Rng::new(1, "a")));
        assert_ne!(numbers, draw(Rng::new(1, "b")));
        assert_ne!(numbers, draw(Rng::new(2, "a")));
        assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&5), Some(&9)));
        let mut rng = Rng::new(7, "hex");
        assert_eq!(rng.hex(12).len(), 12);
        assert_eq!(rng.below(0), 0);
    }
}
