//! Handles events: verifies files and deletes bytes.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use sluice_domain::{
    AccountId, ByteRange, Epoch, Error, FileId, FileState, Reason, Result, UploadId,
};

use crate::{
    metrics,
    ports::{Delivery, Event, Receipt},
    service::{Context, completion::mismatch, reading},
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

/// Reads a file once and compares its checksums with those that it must have.
async fn verify_file(context: &Context, owner: AccountId, id: FileId) -> Result<()> {
    let file = match context.files.file(owner, id).await {
        Ok(file) if file.state == FileState::Processing => file,
        Ok(_) => return Ok(()),
        Err(error) if error.reason == Reason::FileNotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let declared = file.checksums;
    let whole = ByteRange { start: 0, end: file.size };
    let hashers = (declared.sha256.map(|_| Sha256::new()), blake3::Hasher::new());
    let hashed = reading::chunks(context.clone(), file, whole)
        .try_fold(hashers, |(mut sha256, mut blake3), chunk| {
            context.tasks.blocking(move || {
                if let Some(sha256) = &mut sha256 {
                    sha256.update(&chunk.data);
                }
                blake3.update(&chunk.data);
                Ok((sha256, blake3))
            })
        })
        .await;
    let failure = match hashed {
        Ok((sha256, blake3)) => {
            let sha256: Option<[u8; 32]> = sha256.map(|hasher| hasher.finalize().into());
            let blake3 = Some(*blake3.finalize().as_bytes());
            let pairs = [("sha256", declared.sha256, sha256), ("blake3", declared.blake3, blake3)];
            let wrong = pairs.into_iter().find_map(|(algorithm, declared, actual)| {
                let (declared, actual) = (declared?, actual?);
                (declared != actual).then(|| mismatch(algorithm, &declared, &actual))
            });
            match wrong {
                None => return context.files.mark_ready(owner, id, context.clock.now()).await,
                Some(failure) => failure,
            }
        }
        Err(error) if is_final(&error) => error,
        Err(error) => return Err(error),
    };
    tracing::warn!(file = %id, error = %failure, "a file is not what was declared");
    context.files.mark_failed(owner, id, failure.into()).await
}

fn is_final(error: &Error) -> bool {
    error.reason == Reason::StoredDataCorrupt
}
