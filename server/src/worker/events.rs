//! Handles events: verifies files and deletes bytes.

use std::time::Duration;

use futures::{StreamExt, stream};
use sluice_domain::{AccountId, Epoch, Result, UploadId};

use super::verifier::verify_file;
use crate::{
    metrics,
    ports::{Delivery, Event, Receipt},
    service::Context,
};

/// How long an event is hidden from others, and how often that is renewed. What
/// a process that died had begun is done within a minute, this time included.
const LEASE: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Events that are handled at the same time.
const PARALLEL: usize = 4;

/// After so many deliveries without success an event is put aside.
const MAX_ATTEMPTS: u32 = 20;

/// Records of a deleted account that go in one transaction.
const PURGE_BATCH: u32 = 100;

/// Longest pause between two deliveries of an event.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// How long to wait for a sign of new events before looking anyway.
const POLL: Duration = Duration::from_secs(1);

/// Handles events for ever.
pub async fn consume(context: Context) {
    loop {
        let now = context.clock.now();
        let limit = 4 * PARALLEL as u32;
        match context.events.receive(limit, now, LEASE, MAX_ATTEMPTS).await {
            Ok(deliveries) if deliveries.is_empty() => context.events.wait(POLL).await,
            Ok(deliveries) => {
                let handled = stream::iter(deliveries)
                    .for_each_concurrent(PARALLEL, |delivery| deliver(&context, delivery));
                handled.await;
            }
            Err(error) => {
                tracing::warn!(%error, "events cannot be received");
                context.events.wait(POLL).await;
            }
        }
    }
}

async fn deliver(context: &Context, delivery: Delivery) {
    let Delivery { event, receipt } = delivery;
    let outcome = tokio::select! {
        outcome = handle(context, &event) => outcome,
        () = keep(context, receipt) => return,
    };
    metrics::event_handled(&event, outcome.is_ok());
    let answered = match outcome {
        Ok(()) => context.events.acknowledge(receipt).await,
        Err(error) => {
            let pause = MAX_PAUSE.min(Duration::from_secs(1 << receipt.attempt.min(9)));
            tracing::warn!(?event, %error, attempt = receipt.attempt, "an event could not be handled");
            context.events.retry(receipt, context.clock.now().plus(pause)).await
        }
    };
    if let Err(error) = answered {
        // It will be delivered again when its lease is over.
        tracing::warn!(?event, %error, "an event could not be answered");
    }
}

/// Renews the lease; returns when somebody else has got the event.
async fn keep(context: &Context, receipt: Receipt) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let until = context.clock.now().plus(LEASE);
        if let Ok(false) = context.events.extend(receipt, until).await {
            return;
        }
    }
}

async fn handle(context: &Context, event: &Event) -> Result<()> {
    match event {
        Event::VerifyFile { owner, file_id } => verify_file(context, *owner, *file_id).await,
        Event::DeleteBlob { owner, upload_id } => delete_blob(context, *owner, *upload_id).await,
        Event::DeleteAccount { account } => delete_account(context, *account).await,
    }
}

/// Deletes bytes that no record needs. The record was changed before the event
/// existed, so after the fence nobody can write there again.
async fn delete_blob(context: &Context, owner: AccountId, id: UploadId) -> Result<()> {
    if context.uploads.blob_in_use(owner, id).await? {
        return Ok(());
    }
    context.blobs.fence(id, Epoch::LAST).await;
    context.blobs.delete(id).await?;
    context.uploads.forget_parts(owner, id).await
}

/// Removes what a deleted account owned, a batch at a time: whatever is done
/// stays done. Bytes go by events of their own.
async fn delete_account(context: &Context, account: AccountId) -> Result<()> {
    while context.identity.accounts.purge(account, PURGE_BATCH, context.clock.now()).await? {}
    tracing::info!(%account, "what a deleted account owned is removed");
    Ok(())
}
