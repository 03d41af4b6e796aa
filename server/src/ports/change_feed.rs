//! What has changed, for those who watch.

use std::time::Duration;

use async_trait::async_trait;
use sluice_domain::{AccountId, FileId, Result, Timestamp, UploadId};

/// A place in the feed of one account, as its feed writes it: opaque to
/// everybody else. Later places are greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPosition(Vec<u8>);

impl FeedPosition {
    /// Longest form, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The place that has this form; whether there is such a place is for the
    /// feed to say.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Its form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a change was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Changed {
    /// An upload is new or different.
    Upload(UploadId),
    /// A file is new or different.
    File {
        /// The file.
        id: FileId,
        /// The upload that it was.
        upload: UploadId,
    },
    /// A file was deleted or replaced.
    FileGone {
        /// The file.
        id: FileId,
        /// The upload that it was.
        upload: UploadId,
    },
}

/// One entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub what: Changed,
    /// Its place.
    pub position: FeedPosition,
}

/// Entries that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// The entries, oldest first.
    pub changes: Vec<Change>,
    /// The place up to which nothing is left to read.
    pub end: FeedPosition,
}

/// The changes of each account's uploads and files, in order.
///
/// A change enters the feed through the stores, in the same transaction as the
/// record: who can read the one can read the other, also after power loss, and
/// what was refused is in neither. An entry says which record has changed, not
/// how: whoever reads the record afterwards sees this change or a later one. A
/// record that changes again moves to the end, so that a feed is no longer
/// than there are records, and who is slow misses states but never the newest.
/// Records that different processes change at the same time may come in either
/// order.
///
/// Changes may be made by any process.
#[async_trait]
pub trait ChangeFeed: Send + Sync + 'static {
    /// The end of an account's feed: after every change whose method has
    /// returned.
    async fn end(&self, owner: AccountId) -> Result<FeedPosition>;

    /// Reads up to `limit` entries after a place. If there are none, waits for
    /// one, at most for `at_most`; an empty page may also come earlier.
    ///
    /// A place that this feed has not given, or one before a change that is
    /// forgotten, is `RESUME_TOKEN_INVALID`.
    async fn changes(
        &self,
        owner: AccountId,
        after: FeedPosition,
        limit: u32,
        at_most: Duration,
    ) -> Result<ChangePage>;

    /// Forgets files that were gone before `before`. Answers how many.
    async fn forget_gone(&self, before: Timestamp, limit: u32) -> Result<u32>;
}
