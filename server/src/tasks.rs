//! The one place where work is spawned, so that shutdown can wait for it.

use std::{future::Future, time::Duration};

use sluice_domain::{Error, Result};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Spawns tasks and blocking work, and knows when all of it has ended.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a future to its end, even if nobody waits for it any more.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(future.in_current_span())
    }

    /// Runs blocking work on a thread of its own kind. It runs to its end, even
    /// if the caller stops waiting.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let span = tracing::Span::current();
        self.tracker.spawn_blocking(move || span.in_scope(work))
    }

    /// Runs blocking work and waits for it.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        joined(self.spawn_blocking(work).await)
    }

    /// Waits until everything has ended, at most for `at_most`. Answers whether
    /// it has.
    pub async fn finish(&self, at_most: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(at_most, self.tracker.wait()).await.is_ok()
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}

/// The result of a task; one that panicked is an error of storage, because the
/// caller cannot know what it did.
pub fn joined<T>(outcome: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|error| {
        tracing::error!(%error, "a task has failed");
        Err(Error::storage_io("the operation was interrupted; try again"))
    })
}
