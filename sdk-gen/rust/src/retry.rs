//! When to try again, and when to give up.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use sluice_domain::Reason;
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

/// Retries that one client may make at once, whatever it has under way.
const BURST: f64 = 64.0;
/// Retries that it may make each second from then on, if nothing goes well.
const RETRIES_PER_SECOND: f64 = 10.0;

/// What all retries of a client and its clones are paid from, so that a server
/// that is in trouble is not kept there by thousands of transfers that all try
/// again. Whatever goes well gives a retry back. When there is nothing left,
/// retries wait for their turn; patience ends as it does without.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    purse: Mutex<Purse>,
    slowdowns: AtomicU64,
}

#[derive(Debug)]
struct Purse {
    retries: f64,
    /// Up to when it was filled. Absent before the first retry.
    filled: Option<Instant>,
}

impl RetryBudget {
    /// How often a server has asked to wait.
    pub(crate) fn slowdowns(&self) -> u64 {
        self.slowdowns.load(Ordering::Relaxed)
    }

    /// Takes one retry, if there is any.
    fn take(&self) -> bool {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = now - purse.filled.replace(now).unwrap_or(now);
        let filled = since.as_secs_f64().mul_add(RETRIES_PER_SECOND, purse.retries);
        purse.retries = filled.min(BURST);
        let enough = purse.retries >= 1.0;
        if enough {
            purse.retries -= 1.0;
        }
        enough
    }

    fn give_back(&self) {
        let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
        purse.retries = (purse.retries + 1.0).min(BURST);
    }

    fn heard(&self, error: &Error) {
        let asked = error.retry_after().is_some()
            || matches!(error.reason(), Some(Reason::Overloaded | Reason::RateLimited));
        if asked {
            self.slowdowns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        let purse = Purse { retries: BURST, filled: None };
        Self { purse: Mutex::new(purse), slowdowns: AtomicU64::new(0) }
    }
}

/// How much failing in a row is put up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long it may fail without progress.
    pub(crate) give_up_after: Duration,
    /// How often it is tried again without progress.
    pub(crate) retries: u32,
}

impl From<Duration> for Patience {
    fn from(give_up_after: Duration) -> Self {
        Self { give_up_after, retries: u32::MAX }
    }
}

/// One run of attempts at the same thing. The time that it fails without
/// progress decides when it gives up, and the number of attempts only where the
/// caller has set one. However long an attempt takes, there is another one.
#[derive(Debug)]
pub(crate) struct Attempts {
    delays: ExponentialBackoff,
    patience: Patience,
    failing_since: Option<Instant>,
    failures: u32,
    budget: Arc<RetryBudget>,
}

impl Attempts {
    pub(crate) fn new(patience: impl Into<Patience>, budget: &Arc<RetryBudget>) -> Self {
        let (patience, budget) = (patience.into(), Arc::clone(budget));
        Self { delays: delays(), patience, failing_since: None, failures: 0, budget }
    }

    /// Something got better: delays are short again and the time starts anew.
    pub(crate) fn progressed(&mut self) {
        self.delays = delays();
        self.failures = 0;
        if self.failing_since.take().is_some() {
            self.budget.give_back();
        }
    }

    /// Waits before the next attempt, or gives the error back if there is no
    /// point in one.
    pub(crate) async fn wait_after(&mut self, error: Error) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        // Nothing has failed, and the next call brings another token or an error
        // that is not of this kind.
        if error.is_renewable() {
            return Ok(());
        }
        self.budget.heard(&error);
        let own = self.delays.next().unwrap_or(LONGEST_DELAY);
        let delay = error.retry_after().map_or(own, |asked| {
            let jitter = 1.0 + ASKED_JITTER * fastrand::f64();
            asked.min(LONGEST_ASKED).mul_f64(jitter).max(own)
        });
        let failing_since = *self.failing_since.get_or_insert_with(Instant::now);
        if self.failures >= self.patience.retries {
            return Err(error.after_giving_up(failing_since.elapsed()));
        }
        self.failures += 1;
        let retry = self.failures;
        let mut delay = delay;
        loop {
            let waited = failing_since.elapsed();
            if waited + delay > self.patience.give_up_after {
                return Err(error.after_giving_up(waited));
            }
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(retry, delay_ms, error = error.message(), "trying again");
            time::sleep(delay).await;
            if self.budget.take() {
                return Ok(());
            }
            delay = own.mul_f64(0.5 + fastrand::f64());
        }
    }
}

/// Calls until it works, or until an error lasts.
pub(crate) async fn until_done<T, F, Fut>(mut attempts: Attempts, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    loop {
        match call().await {
            Ok(value) => {
                attempts.progressed();
                return Ok(value);
            }
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

    fn attempts() -> Attempts {
        Attempts::new(GIVE_UP_AFTER, &Arc::default())
    }

    fn broken() -> Error {
        Status::new(Code::Unavailable, "gone").into()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_pass_and_the_call_succeeds() {
        let mut calls = 0;
        let value = until_done(attempts(), || {
            calls += 1;
            let result = if calls < 5 { Err(broken()) } else { Ok(calls) };
            async move { result }
        });
        assert_eq!(value.await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_after_the_time_without_progress() {
        let started = Instant::now();
        let error = until_done(attempts(), || async { Err::<(), _>(broken()) }).await;
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
        let mut attempts = attempts();
        while started.elapsed() < 5 * GIVE_UP_AFTER {
            attempts.wait_after(broken()).await.unwrap();
            attempts.progressed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_retries_without_progress_are_enough() {
        let with = |retries| {
            let patience = Patience { give_up_after: GIVE_UP_AFTER, retries };
            Attempts::new(patience, &Arc::default())
        };
        let mut attempts = with(2);
        for _ in 0..3 {
            attempts.wait_after(broken()).await.unwrap();
            attempts.wait_after(broken()).await.unwrap();
            attempts.progressed();
        }
        attempts.wait_after(broken()).await.unwrap();
        attempts.wait_after(broken()).await.unwrap();
        attempts.wait_after(broken()).await.unwrap_err();
        with(0).wait_after(broken()).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_given_back_at_once() {
        let started = Instant::now();
        let refuse = || async { Err::<(), _>(Status::new(Code::NotFound, "no").into()) };
        assert_eq!(until_done(attempts(), refuse).await.unwrap_err().code(), Some(Code::NotFound));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    /// How long it waits for a server that asks for so many seconds.
    async fn waits(asked: u64) -> Duration {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(asked)));
        let error = Status::with_error_details(Code::Unavailable, "busy", details).into();
        let started = Instant::now();
        attempts().wait_after(error).await.unwrap();
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

    #[tokio::test(start_paused = true)]
    async fn a_sick_server_is_not_hammered_however_much_is_under_way() {
        const MANY: u64 = 1000;
        let budget = Arc::<RetryBudget>::default();
        let calls = AtomicU64::new(0);
        let attempts = (0..MANY).map(|_| {
            until_done(Attempts::new(GIVE_UP_AFTER, &budget), || {
                calls.fetch_add(1, Ordering::Relaxed);
                async { Err::<(), _>(broken()) }
            })
        });
        let ended = futures::future::join_all(attempts).await;
        assert!(ended.into_iter().all(|ended| ended.is_err()), "patience ends all the same");
        let retries = calls.into_inner() - MANY;
        let most = BURST + RETRIES_PER_SECOND * GIVE_UP_AFTER.as_secs_f64();
        assert!(retries as f64 <= most, "{retries} retries, at most {most} are right");
        assert!(retries as f64 > most / 2.0, "{retries} retries: it hardly tries");
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_well_gives_a_retry_back() {
        let budget = Arc::<RetryBudget>::default();
        let started = Instant::now();
        for _ in 0..1000 {
            let mut attempts = Attempts::new(GIVE_UP_AFTER, &budget);
            attempts.wait_after(broken()).await.unwrap();
            attempts.progressed();
        }
        // Each waited for its own delay and for nothing else.
        assert!(started.elapsed() < 1000 * 2 * SHORTEST_DELAY + SHORTEST_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn being_asked_to_wait_is_counted() {
        let budget = Arc::<RetryBudget>::default();
        let mut attempts = Attempts::new(GIVE_UP_AFTER, &budget);
        attempts.wait_after(broken()).await.unwrap();
        assert_eq!(budget.slowdowns(), 0);
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        let error = Status::with_error_details(Code::Unavailable, "busy", details).into();
        attempts.wait_after(error).await.unwrap();
        assert_eq!(budget.slowdowns(), 1);
    }
}
