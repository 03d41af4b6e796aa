//! A file: what an upload becomes.

use crate::{
    AccountId, Checksums, ContentType, Error, Failure, FileId, FileName, Metadata, Reason, Result,
    Timestamp, UploadId,
};

/// Where a file is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Complete, but still being checked.
    Processing,
    /// Can be read.
    Ready,
    /// Held back because of its content.
    Quarantined,
    /// Not what was declared; its bytes are removed.
    Failed,
}

impl FileState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Processing, Self::Ready, Self::Quarantined, Self::Failed];

    /// The name used in errors and in stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Ready => "READY",
            Self::Quarantined => "QUARANTINED",
            Self::Failed => "FAILED",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its id, fixed when the upload was created.
    pub id: FileId,
    /// Who owns it.
    pub owner: AccountId,
    /// The upload that it came from.
    pub upload_id: UploadId,
    /// Its name, unique among the owner's readable files.
    pub name: FileName,
    /// The type that the caller declared.
    pub content_type: ContentType,
    /// Size in bytes.
    pub size: u64,
    /// How its bytes were cut into parts.
    pub part_size: u64,
    /// CRC32C and BLAKE3 always; SHA-256 where it was declared.
    pub checksums: Checksums,
    /// Where it is in its life.
    pub state: FileState,
    /// The caller's key-value pairs.
    pub metadata: Metadata,
    /// Counts changes of the record; the etag is made of it.
    pub revision: u64,
    /// Which of several completions to one name came last: the highest wins.
    pub sequence: u64,
    /// When the upload completed.
    pub create_time: Timestamp,
    /// When the file became readable.
    pub ready_time: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Failure>,
}

impl File {
    /// The entity tag: changes with every change of the record.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.id.as_uuid().as_simple(), self.revision)
    }

    /// Refuses when the caller saw another revision; an empty etag matches all.
    pub fn check_etag(&self, etag: &str) -> Result<()> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::new(
            Reason::EtagMismatch,
            "the file has changed since it was read; get it again and decide anew",
        )
        .with("etag", self.etag()))
    }

    /// Refuses unless the bytes may be read.
    pub fn check_ready(&self) -> Result<()> {
        let hint = match self.state {
            FileState::Ready => return Ok(()),
            FileState::Processing => "it is still being checked; try again soon",
            FileState::Quarantined => "it is held back because of its content",
            FileState::Failed => "it is not what was declared; upload it again",
        };
        Err(Error::new(Reason::FileNotReady, format!("the file cannot be read: {hint}"))
            .with("state", self.state.as_str()))
    }
}
