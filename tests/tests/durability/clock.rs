//! A clock that tests move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sluice_domain::Timestamp;
use sluice_server::ports::Clock;

/// Time that passes a little whenever somebody looks, so that no two moments
/// are the same. It goes on over a reboot.
#[derive(Debug, Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Some day in 2026.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_780_000_000_000_000)))
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("not for ever"), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
