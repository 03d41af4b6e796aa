//! One part that comes as it is, without frames: the body of an HTTP PUT.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sluice_domain::{Error, Reason, Result};
use tokio::time::{Instant, timeout_at};

use super::{
    part::PartInProgress,
    stream::{CHECK_INTERVAL, explain},
};
use crate::service::{Caller, Context, signing::link::PartGrant};

/// Pieces of a body are collected up to this, and larger ones are cut, so that
/// bookkeeping does not outgrow the bytes and a PUT holds little in memory.
const BATCH: usize = 256 * 1024;

/// Takes the bytes of a part and persists them, if they are those that were
/// signed. Of a part that is persisted already they are only compared.
pub async fn put(
    context: &Context,
    grant: PartGrant,
    body: impl Stream<Item = Result<Bytes>> + Unpin + Send,
) -> Result<()> {
    let put = Put { context, caller: Caller::of_link(grant.owner), grant };
    // The state is large; it lives on the heap, not in every caller.
    let outcome = Box::pin(put.run(body)).await;
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(explain(context, put.caller, grant.upload, grant.epoch, error).await),
    }
}

struct Put<'a> {
    context: &'a Context,
    caller: Caller,
    grant: PartGrant,
}

impl Put<'_> {
    async fn run(&self, body: impl Stream<Item = Result<Bytes>> + Unpin + Send) -> Result<()> {
        let PartGrant { upload: id, part: number, epoch, .. } = self.grant;
        let upload = self.check_writer().await?;
        let range = upload.plan.range(number);
        if range.len() != self.grant.size {
            // The size was fixed after the URL was signed.
            return Err(Error::new(
                Reason::SizeMismatch,
                format!("part {number} has {} bytes by now; sign it again", range.len()),
            )
            .with("expected", range.len())
            .with("actual", self.grant.size));
        }
        let mut part =
            PartInProgress::claim(self.context, self.caller, id, epoch, number, range.start)
                .await?;
        match self.receive(&mut part, body).await {
            Ok(()) => part.finish(self.context, self.caller, id, epoch).await.map(drop),
            Err(error) => {
                part.abandon().await;
                Err(error)
            }
        }
    }

    /// Takes the whole body, and refuses it unless it is what was signed.
    async fn receive(
        &self,
        part: &mut PartInProgress,
        mut body: impl Stream<Item = Result<Bytes>> + Unpin + Send,
    ) -> Result<()> {
        let mut next_check = Instant::now() + CHECK_INTERVAL;
        let mut pending = BytesMut::new();
        let mut received = 0;
        loop {
            let piece = timeout_at(next_check, body.next()).await;
            if next_check <= Instant::now() {
                self.check_writer().await?;
                next_check = Instant::now() + CHECK_INTERVAL;
            }
            let Ok(piece) = piece else { continue };
            let Some(piece) = piece else { break };
            let mut piece = piece?;
            received += piece.len() as u64;
            if received > self.grant.size {
                break;
            }
            while !piece.is_empty() {
                let room = BATCH - pending.len();
                let head = piece.split_to(piece.len().min(room));
                if pending.is_empty() && head.len() == BATCH {
                    part.absorb(head).await?;
                } else {
                    pending.extend_from_slice(&head);
                    if pending.len() == BATCH {
                        part.absorb(pending.split().freeze()).await?;
                    }
                }
            }
        }
        if received != self.grant.size {
            return Err(Error::new(
                Reason::MalformedMessage,
                format!("the body does not have the {} bytes that were signed", self.grant.size),
            ));
        }
        if !pending.is_empty() {
            part.absorb(pending.freeze()).await?;
        }
        part.check_whole(self.grant.crc32c)
    }

    /// Refuses once somebody else writes, or nobody does.
    async fn check_writer(&self) -> Result<sluice_domain::Upload> {
        let upload = self.context.uploads.upload(self.caller.owner, self.grant.upload).await?;
        upload.check_active()?;
        upload.check_epoch(self.grant.epoch)?;
        Ok(upload)
    }
}
