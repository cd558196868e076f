//! Chance by name: a number belongs to a place and an hour, and not to a stream, so that all ways of retrying that are compared
//! meet the same luck.

use std::f64::consts::TAU;

/// Mixes two numbers into one that looks like chance (splitmix64, public domain).
pub fn mixed(seed: u64, number: u64) -> u64 {
    let step = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sum = seed.wrapping_add(step);
    let once = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

/// A share from 0 to below 1.
pub fn share(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

/// Nearly a normal number of mean 0 and deviation 1: the sum of four even ones, quick because it is drawn for every hour.
pub fn bell(number: u64) -> f64 {
    let part = |shift: u32| f64::from(u16::try_from((number >> shift) & 0xffff).unwrap_or(u16::MAX)) / 65_536.0;
    (part(0) + part(16) + part(32) + part(48) - 2.0) * 3_f64.sqrt()
}

/// A row of numbers for what is drawn once.
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    /// The row of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A share from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        self.drawn += 1;
        share(mixed(self.seed, self.drawn))
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.drawn += 1;
        mixed(self.seed, self.drawn) % end
    }

    /// A normal number of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.share(), self.share());
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }

    /// A waiting time of that mean.
    pub fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.share()).ln()
    }

    /// One of several by their weights.
    pub fn pick(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.share() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (number, weight) in weights.enumerate() {
            if left < weight {
                return number;
            }
            left -= weight;
            last = number;
        }
        last
    }
}
