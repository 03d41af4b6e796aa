//! Randomness that can be repeated, and how much of it a run wants.

use std::{env, fmt, thread};

use rand::{SeedableRng, rngs::SmallRng};

/// The seed of one randomised test: `SLUICE_SEED` where it is set, so that a
/// failure can be repeated, and a fresh one otherwise. It is printed at once
/// and again when the test fails.
pub struct Seed {
    test: &'static str,
    value: u64,
}

impl Seed {
    /// The seed for the test of this name.
    pub fn of(test: &'static str) -> Self {
        let value = match env::var("SLUICE_SEED") {
            Ok(text) => text.parse().expect("SLUICE_SEED is a number"),
            Err(_) => getrandom::u64().expect("the system gives randomness"),
        };
        println!("{test}: SLUICE_SEED={value}");
        Self { test, value }
    }

    /// The number itself, for content.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// A generator of its own for the `lane`-th task of the test, so that the
    /// order in which tasks run does not change what each of them draws.
    pub fn rng(&self, lane: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.value ^ lane.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SLUICE_SEED={}", self.value)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} failed; repeat it with {self}", self.test);
        }
    }
}

/// How often a randomised test repeats itself: `long` with `SLUICE_SOAK=1`,
/// else `short`.
pub fn scale(short: usize, long: usize) -> usize {
    if env::var("SLUICE_SOAK").is_ok_and(|value| value == "1") { long } else { short }
}
