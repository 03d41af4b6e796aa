//! A limit on the bytes a second of all transfers that share it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{self, Instant};

/// What may be caught up on after a pause, so that timers that fire late do not
/// make it slower than asked for.
const CATCH_UP: Duration = Duration::from_millis(100);

/// A limit on how many bytes of content go over the network each second, in
/// both directions together. Clones share it, so one limit can hold for several
/// clients too.
///
/// Who comes first is served first. Content counts, not what stands around it.
#[derive(Clone)]
pub struct RateLimit(Arc<Shared>);

struct Shared {
    bytes_per_second: u64,
    /// When everything that was let through so far is paid for.
    paid_until: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// At least one byte a second. A server ends streams that move less than
    /// its `stream_min_rate`, 1 KiB a second unless configured, or nothing for
    /// 30 seconds: keep well above that for each stream.
    pub fn bytes_per_second(rate: u64) -> Self {
        Self(Arc::new(Shared { bytes_per_second: rate.max(1), paid_until: Mutex::default() }))
    }

    /// Lets so many bytes through; answers from when on they may go.
    pub(crate) fn reserve(&self, bytes: u64) -> Instant {
        let now = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "a time that is slept, not counted")]
        let cost = Duration::from_secs_f64(bytes as f64 / self.0.bytes_per_second as f64);
        let mut paid_until = self.0.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let from = paid_until.unwrap_or(now).max(earliest);
        *paid_until = Some(from + cost);
        from
    }

    /// Waits until so many bytes may go.
    pub(crate) async fn pass(&self, bytes: u64) {
        time::sleep_until(self.reserve(bytes)).await;
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("bytes_per_second", &self.0.bytes_per_second).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_together_keep_to_the_rate() {
        let limit = RateLimit::bytes_per_second(1_000_000);
        let started = Instant::now();
        let transfers = (0..10).map(|_| {
            let limit = limit.clone();
            async move {
                for _ in 0..50 {
                    limit.pass(20_000).await;
                }
            }
        });
        join_all(transfers).await;
        // The last of the ten million bytes need not be paid for.
        let took = started.elapsed();
        assert!(took > Duration::from_millis(9_800) && took < Duration::from_secs(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_hardly_caught_up_on() {
        let limit = RateLimit::bytes_per_second(1000);
        limit.pass(10).await;
        time::sleep(Duration::from_secs(3600)).await;
        let started = Instant::now();
        for _ in 0..100 {
            limit.pass(100).await;
        }
        assert!(started.elapsed() > Duration::from_millis(9_700), "{:?}", started.elapsed());
    }
}
