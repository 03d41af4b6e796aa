//! Finishes what a crash left half done, and ends what nobody wants any more.

use std::time::Duration;

use sluice_domain::{Epoch, Result};

use crate::{
    metrics::{self, Swept},
    service::{Context, completion},
};

/// Records that are looked at in one go.
const BATCH: u32 = 100;

/// A completion that is younger is most likely still under way.
const COMPLETION_AGE: Duration = Duration::from_secs(10);

/// How long ended uploads are remembered, so that a repeated request is
/// recognised, and files that are gone, so that who watches can continue.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sweeps for ever. The first round takes completions of any age: no process
/// can have been at them.
pub async fn sweep(context: Context, interval: Duration) {
    let mut age = Duration::ZERO;
    loop {
        let swept = sweep_once(&context, age).await;
        metrics::sweep(swept.is_ok());
        if let Err(error) = swept {
            tracing::warn!(%error, "sweeping was interrupted");
        }
        age = COMPLETION_AGE;
        tokio::time::sleep(interval).await;
    }
}

/// One round.
pub async fn sweep_once(context: &Context, completion_age: Duration) -> Result<()> {
    finish_completions(context, completion_age).await?;
    expire_overdue(context).await?;
    let before = context.clock.now().minus(MEMORY);
    loop {
        let forgotten = context.uploads.forget_ended(before, BATCH).await?;
        metrics::swept(Swept::UploadForgotten, forgotten.into());
        if forgotten < BATCH {
            break;
        }
    }
    let now = context.clock.now();
    while context.identity.credentials.forget_sessions(now, BATCH).await? == BATCH {}
    context.identity.throttle.forget();
    context.rates.forget();
    while context.changes.forget_gone(before, BATCH).await? == BATCH {}
    Ok(())
}

async fn finish_completions(context: &Context, age: Duration) -> Result<()> {
    let before = context.clock.now().minus(age);
    for (owner, id) in context.uploads.completing(before, BATCH).await? {
        match completion::finish(context, owner, id).await {
            Ok(file) => {
                metrics::swept(Swept::CompletionFinished, 1);
                tracing::info!(upload = %id, file = %file.id, "finished a completion");
            }
            Err(error) => tracing::warn!(upload = %id, %error, "a completion cannot be finished"),
        }
    }
    Ok(())
}

async fn expire_overdue(context: &Context) -> Result<()> {
    loop {
        let now = context.clock.now();
        let overdue = context.uploads.overdue(now, BATCH).await?;
        for (owner, id) in &overdue {
            if context.uploads.expire(*owner, *id, now).await? {
                context.blobs.fence(*id, Epoch::LAST).await;
                metrics::swept(Swept::UploadExpired, 1);
                tracing::info!(upload = %id, "an upload has expired");
            }
        }
        if overdue.len() < BATCH as usize {
            return Ok(());
        }
    }
}
