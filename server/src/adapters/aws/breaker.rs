//! Leaves a dependency alone that is down.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sluice_domain::{Error, Reason, Result};
use tokio::time::Instant;

/// So many calls in a row must have failed, each with all its attempts.
const FAILURES: u32 = 8;

/// While the dependency is down, one call in this time is let through to find out
/// whether it is back.
const PAUSE: Duration = Duration::from_secs(1);

/// Lets calls through as long as some of them succeed. Only failures of the
/// dependency itself count: a refusal is a success, so that nobody's mistakes can
/// keep others away from it.
#[derive(Debug)]
pub(super) struct Breaker {
    /// What the contract calls the dependency.
    dependency: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures: u32,
    /// When the next call may find out, while it is down.
    next_try: Instant,
    last_success: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(dependency: &'static str) -> Self {
        let state = State { failures: 0, next_try: Instant::now(), last_success: None };
        Self { dependency, state: Mutex::new(state) }
    }

    /// Refuses while the dependency is down.
    pub(super) fn check(&self) -> Result<()> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<()> {
        let mut state = self.state();
        if state.failures < FAILURES {
            return Ok(());
        }
        if now < state.next_try {
            return Err(self.unavailable());
        }
        state.next_try = now + PAUSE;
        Ok(())
    }

    /// The dependency has answered.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        if state.failures >= FAILURES {
            tracing::info!(dependency = self.dependency, "it answers again");
        }
        state.failures = 0;
        state.last_success = Some(Instant::now());
    }

    /// The dependency could not be reached, or could not do its work.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures == FAILURES {
            tracing::warn!(dependency = self.dependency, "it is down; calls are held back");
            state.next_try = Instant::now() + PAUSE;
        }
    }

    /// Whether it has answered so shortly ago, and not failed since.
    pub(super) fn succeeded_within(&self, time: Duration) -> bool {
        let state = self.state();
        state.failures == 0 && state.last_success.is_some_and(|last| last.elapsed() < time)
    }

    pub(super) fn unavailable(&self) -> Error {
        let message = format!("the server's {} cannot be reached; try again", self.dependency);
        Error::new(Reason::DependencyUnavailable, message)
            .with("dependency", self.dependency)
            .retry_after(PAUSE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_is_down_is_tried_once_in_a_while() {
        let breaker = Breaker::new("storage");
        for _ in 0..FAILURES {
            breaker.check().unwrap();
            breaker.failed();
        }
        assert_eq!(breaker.check().unwrap_err().reason, Reason::DependencyUnavailable);
        let mut now = Instant::now();
        for _ in 0..3 {
            now += PAUSE;
            breaker.check_at(now).unwrap();
            breaker.failed();
            assert!(breaker.check_at(now).is_err());
        }
        breaker.check_at(now + PAUSE).unwrap();
        breaker.succeeded();
        for _ in 0..100 {
            breaker.check_at(now).unwrap();
        }
    }

    #[test]
    fn some_failures_among_successes_hold_nobody_back() {
        let breaker = Breaker::new("storage");
        for round in 0..100 {
            breaker.check().unwrap();
            if round % FAILURES == 0 { breaker.succeeded() } else { breaker.failed() }
        }
        assert!(!breaker.succeeded_within(Duration::from_secs(3600)));
        breaker.succeeded();
        assert!(breaker.succeeded_within(Duration::from_secs(3600)));
        assert!(!breaker.succeeded_within(Duration::ZERO));
    }
}
