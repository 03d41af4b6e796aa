//! Whether a connection is of use.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How many requests of a connection are under way, and since when none is.
#[derive(Clone)]
pub(super) struct Busy(Arc<Mutex<State>>);

struct State {
    under_way: usize,
    was_asked: bool,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
}

/// One request under way.
pub(super) struct BusyMark(Busy);

impl Default for Busy {
    fn default() -> Self {
        let state = State { under_way: 0, was_asked: false, idle_since: Instant::now() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Busy {
    pub(super) fn begin(&self) -> BusyMark {
        let mut state = self.lock();
        state.under_way += 1;
        state.was_asked = true;
        BusyMark(self.clone())
    }

    /// Whether there was a request.
    pub(super) fn was_asked(&self) -> bool {
        self.lock().was_asked
    }

    /// Returns when no request was under way for this long.
    pub(super) async fn idle_for(&self, span: Duration) {
        loop {
            let until = self.idle_until(span);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// The earliest moment at which it can have been idle for this long.
    fn idle_until(&self, span: Duration) -> Instant {
        let state = self.lock();
        match state.under_way {
            0 => state.idle_since + span,
            _ => Instant::now() + span,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BusyMark {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way -= 1;
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_has_no_request_for_the_whole_span() {
        let (busy, began) = (Busy::default(), Instant::now());
        busy.idle_for(SPAN).await;
        assert_eq!(began.elapsed(), SPAN);
        assert!(!busy.was_asked());

        // Not while a request is under way, however long that takes.
        let mark = busy.begin();
        let long = tokio::time::timeout(10 * SPAN, busy.idle_for(SPAN)).await;
        assert!(long.is_err());
        drop(mark);
        let ended = Instant::now();
        busy.idle_for(SPAN).await;
        assert_eq!(ended.elapsed(), SPAN);
        assert!(busy.was_asked());
    }
}
