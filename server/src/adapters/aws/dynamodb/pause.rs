//! Pauses between attempts that get in each other's way.

use std::time::Duration;

use sluice_domain::Result;
use tokio::time::{Instant, sleep};

use super::call::unavailable;

/// The first pause is shorter than this, and each next one may be twice as long.
const FIRST: Duration = Duration::from_millis(10);

/// No pause is longer.
const LONGEST: Duration = Duration::from_millis(320);

/// After so long somebody must be told.
const PATIENCE: Duration = Duration::from_secs(15);

/// Random pauses: whoever met once does not meet again.
#[derive(Debug)]
pub(super) struct Pause {
    longest: Duration,
    give_up: Instant,
}

impl Pause {
    /// No pause was made yet.
    pub(super) fn new() -> Self {
        Self { longest: FIRST, give_up: Instant::now() + PATIENCE }
    }

    /// Waits, or refuses when it has taken too long. `why` is for the log.
    pub(super) async fn wait(&mut self, why: &'static str) -> Result<()> {
        if Instant::now() > self.give_up {
            tracing::warn!(why, "DynamoDB keeps us waiting for too long");
            return Err(unavailable());
        }
        sleep(self.longest.mul_f64(fraction())).await;
        self.longest = (self.longest * 2).min(LONGEST);
        Ok(())
    }
}

/// A random number from 0 to 1; in the middle if there is no randomness.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
