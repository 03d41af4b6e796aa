//! The hot path: frames in, persisted parts out.
//!
//! A frame is checked, folded into its part's checksums and handed to the part
//! writer. When the part is full the writer makes it durable, and only then is
//! its record committed. The stream reads on only after that: so what a cut
//! connection costs is at most the part in progress.

mod direct;
mod part;
mod replies;
mod stream;

use std::collections::HashSet;

use bytes::Bytes;
use futures::Stream;
use sluice_domain::{
    Checksums, Crc32c, Epoch, Error, File, Result, Scope, UploadId, UploadState, WriteCursor,
};

use super::{
    Caller, Context,
    completion::failure_of,
    uploads::{self, CreateUpload, UploadStatus},
};
pub use direct::put;
pub use replies::{Replies, Reply};
use stream::{Mode, WriteStream};

/// What a stream writes to.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one per stream, moved once")]
pub enum Target {
    /// An upload that exists.
    Existing {
        /// Its id.
        id: UploadId,
        /// The writer's epoch.
        epoch: Epoch,
    },
    /// An upload that the stream opens, or joins if it was opened before.
    Create(CreateUpload),
}

impl Target {
    /// The epoch that the stream writes at.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Existing { epoch, .. } => *epoch,
            Self::Create(_) => Epoch::FIRST,
        }
    }
}

/// One message of a write stream.
#[derive(Debug, Clone, Default)]
pub struct WriteMessage {
    /// Offset of the frame in the file.
    pub offset: u64,
    /// The frame's bytes; none if empty.
    pub data: Bytes,
    /// The frame's checksum.
    pub crc32c: Option<Crc32c>,
    /// Fixes the file's size.
    pub final_size: Option<u64>,
    /// Completes the upload.
    pub complete: bool,
    /// What the whole file must have; only with `complete`.
    pub expected: Checksums,
    /// Asks for the upload's state; only on a stream with replies.
    pub state_lookup: bool,
}

/// How a stream ended.
#[derive(Debug, Clone)]
pub struct Wrote {
    /// The upload after it.
    pub status: UploadStatus,
    /// The file, if the upload is complete.
    pub file: Option<File>,
}

/// Why a stream was refused, and which upload it was about: the opener of an
/// upload may not know yet.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The upload, if there is one.
    pub upload: Option<UploadId>,
    /// The upload's part size, if it is known.
    pub part_size: Option<u64>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, upload: None, part_size: None }
    }
}

/// Takes a stream of messages to its end. What is to be said before that goes
/// to `replies`.
pub async fn write(
    context: &Context,
    caller: Caller,
    target: Target,
    first: WriteMessage,
    messages: impl Stream<Item = Result<WriteMessage>> + Unpin + Send,
    replies: Replies,
) -> Result<Wrote, Refused> {
    let (upload, epoch, mode) = match target {
        Target::Existing { id, epoch } => {
            caller.check_upload(id)?;
            caller.writer(Some(epoch))?;
            let upload = context.uploads.upload(caller.owner, id).await?;
            upload.check_active()?;
            upload.check_epoch(epoch)?;
            (upload, epoch, Mode::Writing)
        }
        Target::Create(request) => {
            caller.check_scope(Scope::UploadsWrite)?;
            let created = uploads::create(context, caller, request).await;
            let upload = created.map_err(|error| error.within("create_upload"))?.upload;
            let (id, part_size) = (upload.id, Some(upload.plan.part_size));
            let (upload, mode) =
                join(upload).map_err(|error| Refused { error, upload: Some(id), part_size })?;
            (upload, Epoch::FIRST, mode)
        }
    };
    let (id, part_size) = (upload.id, Some(upload.plan.part_size));
    let stream = WriteStream {
        context,
        caller,
        id,
        epoch,
        mode,
        cursor: WriteCursor::new(upload.plan, upload.max_size),
        current: None,
        replies,
        damaged: HashSet::new(),
    };
    // The stream's state is large; it lives on the heap, not in every caller.
    let outcome = Box::pin(stream.run(first, messages)).await;
    outcome.map_err(|error| Refused { error, upload: Some(id), part_size })
}

/// Joins the upload that a create-and-write stream named: an active one as its
/// first writer, a complete one by checking that the bytes are the same.
fn join(upload: sluice_domain::Upload) -> Result<(sluice_domain::Upload, Mode)> {
    match upload.state {
        UploadState::Active => {
            upload.check_epoch(Epoch::FIRST)?;
            Ok((upload, Mode::Writing))
        }
        UploadState::Completing | UploadState::Completed => Ok((upload, Mode::Checking)),
        UploadState::Failed => Err(failure_of(upload)),
        UploadState::Cancelled | UploadState::Expired => Err(upload.state.not_active()),
    }
}
