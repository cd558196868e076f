//! Chance from a seed alone: the same case and the same posterior give the same choice, on every machine and after every
//! upgrade, so that a stored decision can be derived again.

use core::f64::consts::TAU;

/// A row of numbers that a seed determines (splitmix64, public domain).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The row of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The row that a text determines (FNV-1a, public domain).
    pub fn of(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let once = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        twice ^ (twice >> 31)
    }

    /// A share from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        let high = u32::try_from(self.number() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// A normal number of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.share(), self.share());
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(TAU * angle)
    }
}
