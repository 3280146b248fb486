//! Chance from a seed: SplitMix64, because what a seed means must never change with the version of a crate.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Stream number `stream` of `seed`; streams do not influence each other.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed);
        let start = chance.next();
        Self(start ^ stream.wrapping_mul(GOLDEN))
    }

    /// Uniform over 0 to 1, without 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in a share of `share` of the calls.
    pub(super) fn happens(&mut self, share: f64) -> bool {
        self.uniform() < share
    }

    /// Normal with a mean of 0 and a variance of 1, from -6 to 6: twelve uniform numbers, which round alike everywhere.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The first numbers of seed 1234567, as its author's C gives them.
        let mut chance = Chance(1_234_567);
        assert_eq!([chance.next(), chance.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn moments_are_those_of_the_names() {
        let mut chance = Chance::new(1, 0);
        let (mut mean, mut square, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..100_000 {
            let value = chance.normal();
            mean += value / 1e5;
            square += value * value / 1e5;
            uniform += chance.uniform() / 1e5;
        }
        assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.02 && (uniform - 0.5).abs() < 0.005);
    }
}
