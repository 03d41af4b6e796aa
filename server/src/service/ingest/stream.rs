//! One write stream, from its first message to its last.

use std::{collections::HashSet, time::Duration};

use futures::{Stream, StreamExt};
use sluice_domain::{Epoch, Error, PartNumber, Placement, Reason, Result, UploadId, WriteCursor};
use tokio::time::{Instant, timeout_at};

use super::{Replies, Reply, WriteMessage, Wrote, part::PartInProgress};
use crate::{
    metrics,
    service::{
        Caller, Context,
        completion::{self, CompleteUpload},
        shutting_down, uploads,
    },
};

/// How often a stream finds out whether it may still write. Claims and commits
/// refuse stale writers at once; this ends the streams that reach neither,
/// because they are silent or slow.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// What a stream does with its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Persists them.
    Writing,
    /// Only compares them: the upload is complete, and this stream repeats one
    /// whose reply was lost.
    Checking,
}

/// A write stream.
pub(super) struct WriteStream<'a> {
    pub(super) context: &'a Context,
    pub(super) caller: Caller,
    pub(super) id: UploadId,
    pub(super) epoch: Epoch,
    pub(super) mode: Mode,
    pub(super) cursor: WriteCursor,
    pub(super) current: Option<PartInProgress>,
    pub(super) replies: Replies,
    /// Parts of which a frame arrived damaged. Frames for them that were under
    /// way are ignored until one comes that begins the part again.
    pub(super) damaged: HashSet<PartNumber>,
}

impl WriteStream<'_> {
    /// Takes all messages; an error leaves no claim behind.
    pub(super) async fn run(
        mut self,
        first: WriteMessage,
        messages: impl Stream<Item = Result<WriteMessage>> + Unpin + Send,
    ) -> Result<Wrote> {
        let outcome = match self.say_state().await {
            Ok(()) => self.take_all(first, messages).await,
            Err(error) => Err(error),
        };
        if let Some(part) = self.current.take() {
            part.abandon().await;
        }
        match outcome {
            Ok(completion) => self.answer(completion).await,
            Err(error) => Err(explain(self.context, self.caller, self.id, self.epoch, error).await),
        }
    }

    /// Takes messages until the caller half-closes. Answers what the last one
    /// said about completion.
    async fn take_all(
        &mut self,
        first: WriteMessage,
        mut messages: impl Stream<Item = Result<WriteMessage>> + Unpin + Send,
    ) -> Result<Option<CompleteUpload>> {
        let mut next_check = Instant::now() + CHECK_INTERVAL;
        let mut next = Some(first);
        while let Some(message) = next {
            let complete = message.complete;
            let expected = message.expected;
            self.take(message).await?;
            // Who listens need not half-close to get the answer.
            if !(complete && self.replies.are_wanted()) {
                next = self.next(&mut messages, &mut next_check).await?;
            } else {
                next = None;
            }
            if complete {
                if next.is_some() {
                    return Err(Error::invalid_field("complete", "no message may follow it"));
                }
                let epoch = (self.mode == Mode::Writing).then_some(self.epoch);
                return Ok(Some(CompleteUpload { epoch, expected, ..CompleteUpload::default() }));
            }
        }
        // Another call may have fixed the size since this stream began, which
        // makes a short last part whole.
        if self.cursor.part().is_some() && self.cursor.plan().size.is_none() {
            let upload = self.context.uploads.upload(self.caller.owner, self.id).await?;
            if let Some(size) = upload.plan.size
                && self.cursor.fix_size(size)?
            {
                self.finish_part().await?;
            }
        }
        Ok(None)
    }

    /// Waits for the next message, but not longer than this stream may write.
    async fn next(
        &self,
        messages: &mut (impl Stream<Item = Result<WriteMessage>> + Unpin + Send),
        next_check: &mut Instant,
    ) -> Result<Option<WriteMessage>> {
        let stopping = &self.context.stopping;
        loop {
            let message = tokio::select! {
                biased;
                // Between two parts nothing is lost.
                () = stopping.cancelled(), if self.current.is_none() => {
                    return Err(shutting_down());
                }
                message = timeout_at(*next_check, messages.next()) => message,
            };
            if *next_check <= Instant::now() {
                self.check_writer().await?;
                *next_check = Instant::now() + CHECK_INTERVAL;
            }
            if let Ok(message) = message {
                return message.transpose();
            }
        }
    }

    /// Refuses once somebody else writes, or nobody does.
    async fn check_writer(&self) -> Result<()> {
        if self.mode == Mode::Checking {
            return Ok(());
        }
        let upload = self.context.uploads.upload(self.caller.owner, self.id).await?;
        upload.check_active()?;
        upload.check_epoch(self.epoch)
    }

    async fn take(&mut self, mut message: WriteMessage) -> Result<()> {
        if !message.data.is_empty() && self.is_of_damaged_part(message.offset) {
            message.data.clear();
        }
        let mut cursor = self.cursor.clone();
        let mut ends_part = false;
        if let Some(size) = message.final_size {
            ends_part = cursor.fix_size(size)?;
            if ends_part && !message.data.is_empty() {
                // The part so far is whole, and the frame begins another one.
                self.fix_size(size).await?;
                self.cursor = cursor.clone();
                self.finish_part().await?;
                ends_part = false;
            }
        }
        let length = message.data.len() as u64;
        if length > 0 {
            let placement = cursor.place(message.offset, length)?;
            match self.check_frame(placement, &message).await {
                Ok(()) => {
                    cursor.advance(placement);
                    ends_part |= placement.ends_part;
                }
                Err(error) => {
                    self.recover(placement, error).await?;
                    cursor.abandon_part();
                    message.data.clear();
                }
            }
        }
        let implied = message.complete && cursor.plan().size.is_none();
        let size = message.final_size.or(implied.then(|| cursor.highest()));
        if let Some(size) = size {
            self.fix_size(size).await?;
            ends_part |= cursor.fix_size(size)?;
        }
        self.cursor = cursor;
        if !message.data.is_empty()
            && let Some(part) = &mut self.current
        {
            part.write(message.data).await?;
        }
        if ends_part {
            self.finish_part().await?;
        }
        if message.state_lookup { self.say_state().await } else { Ok(()) }
    }

    /// Whether a frame was under way for a part that was dropped. The frame that
    /// begins the part again ends that.
    fn is_of_damaged_part(&mut self, offset: u64) -> bool {
        let plan = self.cursor.plan();
        let Some(part) = plan.part_at(offset).filter(|part| self.damaged.contains(part)) else {
            return false;
        };
        if offset == plan.start(part) {
            self.damaged.remove(&part);
            return false;
        }
        true
    }

    /// Where somebody listens, a damaged frame costs its part and not the
    /// stream.
    async fn recover(&mut self, placement: Placement, error: Error) -> Result<()> {
        if error.reason != Reason::ChecksumMismatch || !self.replies.are_wanted() {
            return Err(error);
        }
        self.damaged.insert(placement.part);
        let Some(part) = self.current.take() else { return Err(error) };
        let part_offset = part.start();
        part.abandon().await;
        self.replies.send(Reply::Damaged { offset: placement.offset, part_offset }).await
    }

    async fn say_state(&self) -> Result<()> {
        if !self.replies.are_wanted() {
            return Ok(());
        }
        let status = uploads::get(self.context, self.caller, self.id).await?;
        self.replies.send(Reply::State(Box::new(status))).await
    }

    /// Judges a frame's bytes, after claiming its part if it is the first one.
    async fn check_frame(&mut self, placement: Placement, message: &WriteMessage) -> Result<()> {
        let Some(crc32c) = message.crc32c else {
            return Err(Error::new(
                Reason::ChecksumMissing,
                format!(
                    "the frame at offset {} has no crc32c; every frame needs one",
                    message.offset
                ),
            )
            .with("offset", message.offset));
        };
        if placement.starts_part {
            self.current = Some(self.begin_part(placement.part).await?);
        }
        match &mut self.current {
            Some(part) => {
                part.fold(message.offset, &message.data, crc32c)?;
                metrics::content_received(message.data.len() as u64);
                Ok(())
            }
            None => Err(Error::storage_io("a frame without a part")),
        }
    }

    async fn begin_part(&self, part: PartNumber) -> Result<PartInProgress> {
        if self.mode == Mode::Writing {
            let start = self.cursor.plan().start(part);
            return PartInProgress::claim(
                self.context,
                self.caller,
                self.id,
                self.epoch,
                part,
                start,
            )
            .await;
        }
        let written = self.context.uploads.written(self.caller.owner, self.id, part).await?;
        let plan = written.upload.plan;
        match written.part {
            Some(recorded) => Ok(PartInProgress::compare(plan, recorded)),
            // The file was deleted since: nothing to compare with.
            None => Err(written.upload.state.not_active()),
        }
    }

    async fn finish_part(&mut self) -> Result<()> {
        let Some(part) = self.current.take() else { return Ok(()) };
        let range = part.finish(self.context, self.caller, self.id, self.epoch).await?;
        self.replies.send(Reply::Persisted(range)).await
    }

    async fn fix_size(&self, size: u64) -> Result<()> {
        let uploads = &self.context.uploads;
        match self.mode {
            Mode::Writing => {
                let now = self.context.clock.now();
                let epoch = Some(self.epoch);
                uploads.fix_size(self.caller.owner, self.id, epoch, size, now).await
            }
            Mode::Checking => {
                let upload = uploads.upload(self.caller.owner, self.id).await?;
                upload.check_final_size(size, 0)
            }
        }
    }

    async fn answer(&self, completion: Option<CompleteUpload>) -> Result<Wrote> {
        let (context, caller) = (self.context, self.caller);
        let completion = match (completion, self.mode) {
            (None, Mode::Checking) => Some(CompleteUpload::default()),
            (completion, _) => completion,
        };
        let file = match completion {
            Some(request) => Some(completion::complete(context, caller, self.id, request).await?),
            None => None,
        };
        Ok(Wrote { status: uploads::get(context, caller, self.id).await?, file })
    }
}

/// A writer that was fenced off only knows that much, and one that was cut off
/// for its pace not what is left of its work; the record knows.
pub(super) async fn explain(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    error: Error,
) -> Error {
    let cut_off = matches!(error.reason, Reason::StreamIdle | Reason::StreamTooSlow);
    if error.reason != Reason::StaleWriter && !cut_off {
        return error;
    }
    match context.uploads.upload(caller.owner, id).await {
        Ok(upload) if cut_off => error.with("persisted_bytes", upload.persisted_bytes),
        Ok(upload) => {
            upload.check_active().and_then(|()| upload.check_epoch(epoch)).err().unwrap_or(error)
        }
        Err(error) => error,
    }
}
