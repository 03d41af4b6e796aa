//! How slow the other side may be.

use std::time::Duration;

use sluice_domain::{Error, Reason};

/// How slow the other side of a stream may be. Only the time counts in which it
/// is waited for: a stream is not slow because the server is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest silence, and the span over which the rate is measured.
    pub idle: Duration,
    /// Least bytes in a second.
    pub min_rate: u64,
}

/// Follows one direction of one stream.
#[derive(Debug)]
pub(super) struct RateWatch {
    pace: Pace,
    /// Waited since the measuring began.
    waited: Duration,
    /// Moved since then.
    bytes: u64,
    /// Waited since a byte moved last.
    silent: Duration,
}

impl RateWatch {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, waited: Duration::ZERO, bytes: 0, silent: Duration::ZERO }
    }

    /// The other side was waited for.
    pub(super) fn waited(&mut self, span: Duration) -> Result<(), Error> {
        self.waited += span;
        self.silent += span;
        if self.silent >= self.pace.idle {
            return Err(Error::new(
                Reason::StreamIdle,
                format!(
                    "nothing came or was taken for {}; open a new stream to go on",
                    humantime::format_duration(self.pace.idle)
                ),
            ));
        }
        if self.waited < self.pace.idle {
            return Ok(());
        }
        // The bytes that end this wait count for the next span, so this one is
        // not asked for more than its own length.
        if self.bytes < self.pace.min_rate.saturating_mul(self.pace.idle.as_secs()) {
            return Err(too_slow(self.pace));
        }
        self.waited = Duration::ZERO;
        self.bytes = 0;
        Ok(())
    }

    /// Bytes moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.silent = Duration::ZERO;
    }

    /// After how much more waiting the answer may change.
    pub(super) fn patience(&self) -> Duration {
        self.pace.idle - self.silent.max(self.waited)
    }
}

pub(super) fn too_slow(pace: Pace) -> Error {
    Error::new(
        Reason::StreamTooSlow,
        format!(
            "less than {} bytes a second over {}; open a new stream to go on, with smaller parts \
             if the network is that slow",
            pace.min_rate,
            humantime::format_duration(pace.idle)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { idle: Duration::from_secs(30), min_rate: 1024 };

    fn reason(result: Result<(), Error>) -> Option<Reason> {
        result.err().map(|error| error.reason)
    }

    /// Sends `bytes` after each `span` until it is refused or an hour is over.
    fn run(span: Duration, bytes: usize) -> Option<Reason> {
        let mut watch = RateWatch::new(PACE);
        let mut total = Duration::ZERO;
        while total < Duration::from_secs(3600) {
            assert!(watch.patience() <= PACE.idle);
            if let Some(reason) = reason(watch.waited(span)) {
                return Some(reason);
            }
            watch.moved(bytes);
            total += span;
        }
        None
    }

    #[test]
    fn silence_is_idle() {
        let mut watch = RateWatch::new(PACE);
        watch.moved(1 << 30);
        assert_eq!(reason(watch.waited(Duration::from_secs(29))), None);
        assert_eq!(reason(watch.waited(Duration::from_secs(1))), Some(Reason::StreamIdle));
    }

    #[test]
    fn a_trickle_is_too_slow_and_more_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(run(second, 1), Some(Reason::StreamTooSlow));
        assert_eq!(run(second, 900), Some(Reason::StreamTooSlow));
        assert_eq!(run(second, 1100), None);
        assert_eq!(run(Duration::from_secs(20), 31_000), None);
    }

    #[test]
    fn a_burst_does_not_pay_for_an_hour() {
        let mut watch = RateWatch::new(PACE);
        watch.moved(1 << 30);
        let mut refused = None;
        for _ in 0..120 {
            refused = refused.or(reason(watch.waited(Duration::from_secs(1))));
            watch.moved(1);
        }
        assert_eq!(refused, Some(Reason::StreamTooSlow));
    }
}
