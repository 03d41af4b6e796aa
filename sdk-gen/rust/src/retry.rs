//! When to try again, and when to give up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{self, Instant};

use crate::{Error, Result};

/// The first delay; doubled after each failure. Jitter adds up to as much
/// again.
const SHORTEST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay, unless the server asks for a longer one: 5 s with jitter.
const LONGEST_DELAY: Duration = Duration::from_millis(2500);
/// What a server may ask for at most, whatever it says.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// Clients that were refused together do not come back together: each waits up
/// to so much longer than it was asked to.
const ASKED_JITTER: f64 = 0.25;

/// One run of attempts at the same thing. The time that it fails without
/// progress, not the number of attempts, decides when it gives up. However long
/// an attempt takes, there is another one.
#[derive(Debug)]
pub(crate) struct Attempts {
    delays: ExponentialBackoff,
    give_up_after: Duration,
    failing_since: Option<Instant>,
}

impl Attempts {
    pub(crate) fn new(give_up_after: Duration) -> Self {
        Self { delays: delays(), give_up_after, failing_since: None }
    }

    /// Something got better: delays are short again and the time starts anew.
    pub(crate) fn progressed(&mut self) {
        self.delays = delays();
        self.failing_since = None;
    }

    /// Waits before the next attempt, or gives the error back if there is no
    /// point in one.
    pub(crate) async fn wait_after(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        let own = self.delays.next().unwrap_or(LONGEST_DELAY);
        let delay = error.retry_after().map_or(own, |asked| {
            let jitter = 1.0 + ASKED_JITTER * fastrand::f64();
            asked.min(LONGEST_ASKED).mul_f64(jitter).max(own)
        });
        let waited = self.failing_since.get_or_insert_with(Instant::now).elapsed();
        if waited + delay > self.give_up_after {
            return Err(error.after_giving_up(waited));
        }
        time::sleep(delay).await;
        Ok(())
    }
}

/// Calls until it works, or until an error lasts.
pub(crate) async fn until_done<T, F, Fut>(give_up_after: Duration, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut attempts = Attempts::new(give_up_after);
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(error) => attempts.wait_after(error).await?,
        }
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

    fn broken() -> Error {
        Status::new(Code::Unavailable, "gone").into()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_pass_and_the_call_succeeds() {
        let mut calls = 0;
        let value = until_done(GIVE_UP_AFTER, || {
            calls += 1;
            let result = if calls < 5 { Err(broken()) } else { Ok(calls) };
            async move { result }
        });
        assert_eq!(value.await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_after_the_time_without_progress() {
        let started = Instant::now();
        let error = until_done(GIVE_UP_AFTER, || async { Err::<(), _>(broken()) }).await;
        assert!(error.unwrap_err().message().contains("gave up"));
        let waited = started.elapsed();
        assert!(
            waited <= GIVE_UP_AFTER && waited > GIVE_UP_AFTER - 3 * LONGEST_DELAY,
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn progress_starts_the_time_anew() {
        let started = Instant::now();
        let mut attempts = Attempts::new(GIVE_UP_AFTER);
        while started.elapsed() < 5 * GIVE_UP_AFTER {
            attempts.wait_after(broken()).await.unwrap();
            attempts.progressed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_given_back_at_once() {
        let started = Instant::now();
        let refuse = || async { Err::<(), _>(Status::new(Code::NotFound, "no").into()) };
        assert_eq!(
            until_done(GIVE_UP_AFTER, refuse).await.unwrap_err().code(),
            Some(Code::NotFound)
        );
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    /// How long it waits for a server that asks for so many seconds.
    async fn waits(asked: u64) -> Duration {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(asked)));
        let error = Status::with_error_details(Code::Unavailable, "busy", details).into();
        let started = Instant::now();
        Attempts::new(GIVE_UP_AFTER).wait_after(error).await.unwrap();
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_it_asks_for() {
        let mut waited = Vec::new();
        for _ in 0..20 {
            waited.push(waits(30).await);
        }
        let (least, most) = (waited.iter().min().unwrap(), waited.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(30));
        assert!(*most <= Duration::from_secs(38));
        assert!(*most - *least > Duration::from_secs(1), "all at once: {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_server_holds_a_client_up_for_long() {
        assert!(waits(86_400).await <= LONGEST_ASKED.mul_f64(1.0 + ASKED_JITTER));
    }
}
