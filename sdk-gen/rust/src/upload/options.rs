//! What a caller may choose about an upload.

use std::{collections::BTreeMap, fmt, sync::Arc};

use sluice_domain::{Checksums, Crc32c};
use sluice_proto::v1::{CreateUploadRequest, ObjectChecksums, OnConflict};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Error, Progress, Result,
    progress::{OnProgress, Reporter},
};

/// Streams that send parts in parallel at first, unless the caller says otherwise.
const FIRST_STREAMS: usize = 4;
/// Most of them, where more streams move more. Far links need about so many
/// (bandwidth times delay is more than a stream's window).
const MOST_STREAMS: usize = 16;

/// Choices about one upload; everything has a default but the name of a source
/// that has none itself.
#[derive(Clone)]
#[must_use]
pub struct UploadOptions {
    name: Option<String>,
    content_type: String,
    metadata: BTreeMap<String, String>,
    on_conflict: Option<OnConflict>,
    part_size: Option<u64>,
    streams: Option<usize>,
    parts_in_memory: Option<usize>,
    request_id: Option<String>,
    expected: Checksums,
    on_progress: Option<OnProgress>,
    cancel: CancellationToken,
    compare_first: bool,
}

impl UploadOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            name: None,
            content_type: String::new(),
            metadata: BTreeMap::new(),
            on_conflict: None,
            part_size: None,
            streams: None,
            parts_in_memory: None,
            request_id: None,
            expected: Checksums::default(),
            on_progress: None,
            cancel: CancellationToken::new(),
            compare_first: false,
        }
    }

    /// Name of the file: a relative path, separated by `/`. The last segment of
    /// the path unless set; bytes and streams need one.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Content type, such as `image/png`; arbitrary bytes unless set.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// The caller's own labels for the file.
    pub fn metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// What to do when a file has the name already. Unless set, refuse; an upload that
    /// is resumed keeps the choice that it was opened with.
    pub fn on_conflict(mut self, choice: OnConflict) -> Self {
        self.on_conflict = Some(choice);
        self
    }

    /// Preferred size of parts, a power of two; the server chooses unless set.
    /// Small parts lose less on slow links, because a part that is cut off has
    /// to be sent again.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.part_size = Some(bytes);
        self
    }

    /// Streams that send parts in parallel. Unless set, 4 at first and up to 16
    /// as long as more streams move more bytes; for a source that is read once, 4.
    pub fn streams(mut self, count: usize) -> Self {
        self.streams = Some(count.max(1));
        self
    }

    /// For a source that is read once: the most parts that are in memory at a
    /// time, the one that is being read included; one more than there are
    /// streams unless set. Reading waits while so many are not known to be
    /// persisted. The content in memory never exceeds this many parts and two
    /// frames of 1 MiB; a part has 16 MiB unless [`part_size`](Self::part_size)
    /// says otherwise.
    pub fn parts_in_memory(mut self, count: usize) -> Self {
        self.parts_in_memory = Some(count.max(1));
        self
    }

    /// Names this upload for good: a later call with the same id and the same
    /// options, even in another process, goes on with the same upload instead
    /// of opening another. A random one unless set.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Checksums that the file must have. They are declared when it is
    /// complete, so that nothing is published if they are wrong.
    pub fn expect(mut self, checksums: Checksums) -> Self {
        self.expected = checksums;
        self
    }

    /// Called about ten times a second while the upload is under way. Must not
    /// block.
    pub fn on_progress(mut self, call: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(call));
        self
    }

    /// Stops the upload when the token is cancelled. What is persisted is kept
    /// and can be resumed; to give it up, cancel the upload itself.
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }

    /// Before anything is sent, compares what an earlier call or process has
    /// sent with the source, instead of meanwhile. Takes longer, and leaves the
    /// upload as it is if the source turns out to be another one.
    pub fn compare_first(mut self) -> Self {
        self.compare_first = true;
        self
    }

    pub(super) fn compares_first(&self) -> bool {
        self.compare_first
    }

    pub(super) fn name_or(mut self, default: Option<String>) -> Self {
        self.name = self.name.or(default);
        self
    }

    pub(super) fn explicit_name(&self) -> Option<String> {
        self.name.clone()
    }

    /// Parallel streams at first.
    pub(super) fn first_streams(&self) -> usize {
        self.streams.unwrap_or(FIRST_STREAMS)
    }

    /// Most parallel streams.
    pub(super) fn most_streams(&self) -> usize {
        self.streams.unwrap_or(MOST_STREAMS)
    }

    pub(super) fn most_parts_in_memory(&self) -> usize {
        self.parts_in_memory.unwrap_or(self.first_streams() + 1)
    }

    pub(super) fn preferred_part_size(&self) -> Option<u64> {
        self.part_size
    }

    /// The choice for the completion, if it is another than the upload was opened with.
    pub(super) fn conflict_choice(&self) -> Option<OnConflict> {
        self.on_conflict
    }

    pub(super) fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(super) fn reporter(&self) -> Reporter {
        Reporter::new(self.on_progress.clone())
    }

    /// The request that opens the upload. Made once for each call, so that
    /// repeats are equal.
    pub(super) fn create_request(&self, size: Option<u64>) -> Result<CreateUploadRequest> {
        let request_id = self.request_id.clone();
        let name = self.name.clone().ok_or_else(|| {
            Error::usage("bytes and streams have no name of their own: set UploadOptions::name")
        })?;
        Ok(CreateUploadRequest {
            request_id: request_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
            name,
            content_type: self.content_type.clone(),
            size: size.map(u64::cast_signed),
            max_size: None,
            preferred_part_size: self.part_size.map(u64::cast_signed),
            expected_checksums: None,
            metadata: self.metadata.clone(),
            on_conflict: self.on_conflict.unwrap_or(OnConflict::Fail).into(),
        })
    }

    /// What the completed file must have: what the caller declared, and the
    /// checksum of what was read.
    pub(super) fn expected_checksums(&self, read: Crc32c) -> ObjectChecksums {
        let bytes = |digest: Option<[u8; 32]>| {
            digest.map_or_else(Default::default, |digest| digest.to_vec().into())
        };
        ObjectChecksums {
            crc32c: Some(self.expected.crc32c.unwrap_or(read).0),
            sha256: bytes(self.expected.sha256),
            blake3: bytes(self.expected.blake3),
        }
    }
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for UploadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadOptions")
            .field("name", &self.name)
            .field("content_type", &self.content_type)
            .field("part_size", &self.part_size)
            .field("streams", &self.streams)
            .field("parts_in_memory", &self.parts_in_memory)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
