//! One lane of an upload that is read once: takes parts, sends them on a stream
//! of its own, and keeps each until the server says that it is persisted.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use sluice_domain::{ByteRange, RangeSet, Reason};
use sluice_proto::v1::{WriteUploadRequest, bidi_write_upload_response::Response};
use tokio::{
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    time,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    held::{HeldParts, ReadPart},
    persisted_ranges,
    target::Target,
};
use crate::{
    Connection, Error, Result,
    error::Kind,
    retry::Attempts,
    uploads::no_upload,
    write_stream::{STALL, bidi_write_upload, write_upload},
};

/// A stream without anything to send is closed after this time, so that a
/// source that pauses never tries the server's patience.
const PAUSE: Duration = Duration::from_secs(3);

/// Parts that were read, for whichever lane comes first.
pub(super) struct ReadParts(Mutex<Receiver<ReadPart>>);

impl ReadParts {
    pub(super) fn new(parts: Receiver<ReadPart>) -> Self {
        Self(Mutex::new(parts))
    }

    /// The next part; none once everything was read and taken. Waiting may be
    /// given up without losing a part.
    async fn next(&self) -> Option<ReadPart> {
        self.0.lock().await.recv().await
    }
}

pub(super) struct Lane<'a> {
    target: &'a Target,
    connection: Connection,
    parts: &'a ReadParts,
    held: HeldParts,
    attempts: Attempts,
}

impl<'a> Lane<'a> {
    pub(super) fn new(target: &'a Target, connection: Connection, parts: &'a ReadParts) -> Self {
        let held = HeldParts::new(Arc::clone(&target.tally));
        Self { target, connection, parts, held, attempts: target.client.attempts() }
    }

    /// Takes parts until there are none. A stream is only opened when a whole
    /// part is there to be sent.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            if self.held.is_empty() {
                let Some(part) = self.parts.next().await else { return Ok(()) };
                self.held.add(part);
            }
            let before = self.target.tally.progress().persisted;
            let bidi = self.target.is_bidi();
            let ended = match bidi {
                true => self.converse().await,
                false => self.write().await,
            };
            let error = match ended {
                Ok(()) => Error::new(Kind::Transport, "the server kept nothing"),
                Err(error) if bidi && error.reason() == Some(Reason::NotSupported) => {
                    self.target.do_without_bidi();
                    self.held.interrupted();
                    continue;
                }
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            if self.held.interrupted() {
                self.attempts.progressed();
            }
            // With nothing left to send it does not matter why a stream ended.
            if !self.held.is_empty() {
                self.recover(error).await?;
            }
            // Other lanes may have had the server's attention meanwhile.
            if self.target.tally.progress().persisted > before {
                self.attempts.progressed();
            }
        }
    }

    /// Finds out what is persisted, after a break.
    async fn recover(&mut self, error: Error) -> Result<()> {
        self.target.tally.trouble(error.message());
        self.attempts.wait_after(error).await?;
        let upload = self.target.current().await?;
        if self.held.persisted(&persisted_ranges(&upload)) {
            self.attempts.progressed();
        }
        Ok(())
    }

    /// Sends parts on one stream and listens to what is persisted, for as long
    /// as there is something to send.
    async fn converse(&mut self) -> Result<()> {
        let parts = self.parts;
        let (sender, messages) = mpsc::channel(1);
        let mut sender = Some(sender);
        let taken = Arc::<AtomicU64>::default();
        let messages = ReceiverStream::new(messages);
        let replies = bidi_write_upload(self.connection.clone(), messages, taken.clone());
        let mut replies = pin!(replies);
        let mut opening = Some(self.target.first_message());
        let mut all_taken = false;
        loop {
            let nothing_to_do = self.held.is_empty();
            if nothing_to_do && all_taken {
                sender = None;
            }
            let limit = if nothing_to_do { PAUSE } else { STALL };
            let taken_before = taken.load(Ordering::Relaxed);
            let to_send = opening.is_some() || self.held.has_unsent();
            let quiet = tokio::select! {
                reply = replies.next() => {
                    match reply.transpose()?.map(|reply| reply.response) {
                        Some(Some(reply)) => self.hear(reply)?,
                        Some(None) => {}
                        None => return Ok(()),
                    }
                    false
                }
                Some(permit) = reserve(sender.as_ref()), if to_send => {
                    permit.send(opening.take().or_else(|| self.next_message()).unwrap_or_default());
                    false
                }
                part = parts.next(), if sender.is_some() && !to_send && !all_taken => {
                    match part {
                        Some(part) => self.held.add(part),
                        None => all_taken = true,
                    }
                    false
                }
                () = time::sleep(limit) => true,
            };
            if quiet && taken.load(Ordering::Relaxed) == taken_before {
                // A half-closed stream ends by itself in that time.
                if sender.take().is_none() || !nothing_to_do {
                    return Err(Error::timed_out(limit));
                }
            }
        }
    }

    fn hear(&mut self, reply: Response) -> Result<()> {
        let freed = match reply {
            Response::Upload(upload) => self.held.persisted(&persisted_ranges(&upload)),
            Response::Persisted(range) => {
                let (start, end) = (range.start.cast_unsigned(), range.end.cast_unsigned());
                self.held.persisted(&RangeSet::from_sorted([ByteRange { start, end }]))
            }
            Response::FrameError(error) => {
                self.target.tally.trouble("a frame arrived damaged; its part is sent again");
                self.held.damaged(error.part_offset.cast_unsigned())?;
                false
            }
            // Somebody else has completed the upload; the completion will tell.
            Response::Completed(_) => false,
        };
        if freed {
            self.attempts.progressed();
        }
        Ok(())
    }

    /// The same by `WriteUpload`, which answers at its end: one stream for what
    /// is held.
    async fn write(&mut self) -> Result<()> {
        let (sender, messages) = mpsc::channel(1);
        let mut answer = pin!(write_upload(self.connection.clone(), ReceiverStream::new(messages)));
        let sending = async {
            let mut next = Some(self.target.first_message());
            while let Some(message) = next
                && sender.send(message).await.is_ok()
            {
                next = self.next_message();
            }
            drop(sender);
        };
        // The answer may come before everything was sent.
        let answer = tokio::select! {
            answer = &mut answer => answer,
            () = sending => answer.await,
        };
        let upload = answer?.upload.ok_or_else(no_upload)?;
        // Nothing is under way any more, so that everything counts.
        let further = self.held.interrupted();
        if self.held.persisted(&persisted_ranges(&upload)) || further {
            self.attempts.progressed();
        }
        Ok(())
    }

    fn next_message(&mut self) -> Option<WriteUploadRequest> {
        let (frame, final_size) = self.held.next_frame()?;
        let final_size = final_size.map(u64::cast_signed);
        Some(WriteUploadRequest { final_size, ..frame.into_message() })
    }
}

/// Room for a message, while the stream takes any.
async fn reserve(
    sender: Option<&Sender<WriteUploadRequest>>,
) -> Option<mpsc::Permit<'_, WriteUploadRequest>> {
    sender?.reserve().await.ok()
}
