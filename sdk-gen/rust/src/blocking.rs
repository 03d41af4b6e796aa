//! Work that blocks, away from the async threads.

use std::panic;

use tokio::task::spawn_blocking;

/// Runs the work on a thread of its own. If the caller stops waiting, the work
/// goes on to its end.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no shutdown that would have to wait for reading a file"
)]
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
