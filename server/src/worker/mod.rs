//! Loops around idempotent steps: events and sweeping.

pub mod events;
pub mod sweeper;
mod verifier;

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::service::Context;

/// Starts the worker's loops; they end when `shutdown` is cancelled.
pub fn start(context: &Context, sweep_interval: Duration, shutdown: &CancellationToken) {
    run(context, shutdown, events::consume(context.clone()));
    run(context, shutdown, sweeper::sweep(context.clone(), sweep_interval));
}

fn run(
    context: &Context,
    shutdown: &CancellationToken,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let shutdown = shutdown.clone();
    context.tasks.spawn(async move {
        // Every step may be cut off: whatever is half done is done again.
        shutdown.run_until_cancelled(work).await;
    });
}
