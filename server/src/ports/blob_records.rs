//! What a blob store keeps with the records of uploads.

use async_trait::async_trait;
use sluice_domain::{Crc32c, PartNumber, Result, UploadId};

use super::StorageTag;

/// A part, as far as storage has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Its number.
    pub number: PartNumber,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum of its bytes.
    pub crc32c: Crc32c,
    /// What the blob store says of it, or said when it was persisted.
    pub tag: Option<StorageTag>,
}

/// Keeps what a blob store of several processes must agree about. Every change is
/// atomic and survives power loss when the method returns, and a read sees every
/// change whose method has returned. Nobody is asked for an owner: a blob store
/// knows none.
#[async_trait]
pub trait BlobRecords: Send + Sync + 'static {
    /// Keeps where storage puts an upload's parts, if that is not known yet; answers
    /// what is kept then. It is forgotten with the upload's record, or when its
    /// last part is found to be lost.
    async fn keep_place(&self, upload: UploadId, place: StorageTag) -> Result<StorageTag>;

    /// Where storage puts an upload's parts, if that is known.
    async fn place(&self, upload: UploadId) -> Result<Option<StorageTag>>;

    /// Reads recorded parts after `after`, by number.
    async fn stored_parts(
        &self,
        upload: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<StoredPart>>;
}
