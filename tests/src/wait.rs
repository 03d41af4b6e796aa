//! Waiting for what must become true, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// Returns once `condition` holds; panics when that takes longer than `limit`.
pub async fn eventually(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(PERIOD).await;
    }
}
