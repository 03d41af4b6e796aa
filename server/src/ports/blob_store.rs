//! Where the bytes of uploads and files live.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use sluice_domain::{ByteRange, Crc32c, Epoch, PartNumber, PartPlan, Result, UploadId};

use super::StoredPart;

/// Stores the bytes of each upload as one object that is written in parts and,
/// once sealed, read as a file. Before that it may not be readable.
///
/// Many parts of many uploads are written at once, by this process and, where the
/// engine lets several processes share one namespace, by others.
///
/// **Claims.** A part in progress belongs to one writer: its claim. Nobody
/// writes a byte without one, and the services read the upload's record
/// *after* they got the claim and before the first byte. Whoever ends writers
/// (resume, cancel, expire, delete) first commits the new record and then
/// fences; so a writer either sees the new record or is fenced.
///
/// Claims and fences hold within this process. A writer of another process may
/// still change stored bytes of parts that are recorded; then [`seal`](Self::seal)
/// finds that out by the tags and checksums in the records, and nothing that
/// differs from them becomes a file. The same holds for parts that callers send
/// straight to storage: nobody claims those.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Claims a part. Where another writer of the same epoch holds it, waits
    /// for it to end, takes over when it has been silent for long, and else
    /// answers `PART_BUSY`. A writer of an older epoch is ended at once.
    /// Nothing is written or reserved yet.
    async fn claim_part(
        &self,
        upload: UploadId,
        epoch: Epoch,
        part: PartNumber,
    ) -> Result<Box<dyn PartWriter>>;

    /// Ends every claim of an epoch below `epoch`. When it returns, no such
    /// writer of this process can change a byte of the upload any more.
    async fn fence(&self, upload: UploadId, epoch: Epoch);

    /// For each part a request with which anybody can send exactly those bytes
    /// straight to storage, for so long and as long as the upload is not sealed or
    /// deleted. Nothing if storage cannot be reached so: the server takes parts
    /// then. The caller has seen that the upload is active, and looks once more
    /// afterwards: what this begins on storage must end with the upload.
    async fn sign_parts(
        &self,
        upload: UploadId,
        parts: Vec<ForeignPart>,
        lifetime: Duration,
    ) -> Result<Option<Vec<SignedRequest>>>;

    /// Those of these parts that storage has received straight from callers and
    /// knows the checksums of, by number, recorded or not. Each survives power
    /// loss, as long as nobody sends it again.
    async fn find_parts(
        &self,
        upload: UploadId,
        numbers: BTreeSet<PartNumber>,
    ) -> Result<Vec<StoredPart>>;

    /// A URL with which anybody can read a sealed upload straight from storage, for
    /// so long. Nothing if storage cannot be reached so.
    async fn sign_read(
        &self,
        upload: UploadId,
        lifetime: Duration,
        headers: AnswerHeaders,
    ) -> Result<Option<String>>;

    /// Whether nothing is left for [`seal`](Self::seal) to do once all parts of
    /// an upload of `size` bytes are recorded.
    async fn is_sealed(&self, upload: UploadId, size: u64) -> Result<bool>;

    /// Makes the upload's object the file of `size` bytes, all of which are
    /// recorded as persisted. Idempotent; a file that is [`Sealed::Whole`] survives
    /// power loss and never changes any more. Records that do not make up `size`
    /// bytes, and bytes that nobody can send again, are `STORED_DATA_CORRUPT`.
    async fn seal(&self, upload: UploadId, size: u64) -> Result<Sealed>;

    /// Opens a sealed upload's bytes for reading. Bytes that are not there are
    /// `STORED_DATA_CORRUPT`, now or when they are read.
    async fn open(&self, upload: UploadId) -> Result<Arc<dyn BlobReader>>;

    /// Removes everything stored for the upload. Idempotent: what is gone is
    /// gone. The caller has fenced all writers.
    async fn delete(&self, upload: UploadId) -> Result<()>;

    /// Refuses with `STORAGE_IO` or `STORAGE_FULL` unless bytes can be stored.
    async fn check_health(&self) -> Result<()>;
}

/// Reads one upload's bytes. When they are deleted meanwhile, it reads on or
/// misses them.
#[async_trait]
pub trait BlobReader: Send + Sync {
    /// Reads exactly the bytes of `range`, which is small enough for memory.
    /// Bytes that are not there are `STORED_DATA_CORRUPT`; whether they are the
    /// right ones is for the caller to check.
    async fn read(&self, range: ByteRange) -> Result<Bytes>;
}

/// What a blob store needs to find bytes again, or to tell them from others: its
/// own text, at most 1 KiB, which means nothing to anybody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StorageTag(pub String);

/// A part that somebody else sends to storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignPart {
    /// Its number.
    pub number: PartNumber,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum of its bytes.
    pub crc32c: Crc32c,
}

/// A request that somebody else may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// Where to send it, by PUT. It is a secret.
    pub url: String,
    /// Headers that it must have, by their names in small letters.
    pub headers: Vec<(String, String)>,
}

/// What an answer of storage says of the bytes that it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHeaders {
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Disposition`.
    pub disposition: String,
}

/// What sealing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// The upload's object is the file.
    Whole,
    /// Not sealed: these parts were written again by somebody who was late, with
    /// bytes of the recorded size and CRC32C. Once they are recorded with these
    /// tags, sealing can go on.
    Changed(Vec<(PartNumber, StorageTag)>),
    /// Not sealed: of these parts storage does not hold the recorded bytes any
    /// more. They must be sent again.
    Lost(Vec<PartNumber>),
}

/// Where the bytes of a part are once they were persisted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persisted {
    /// In the store: they survive power loss. The tag, if there is one, is kept
    /// with the part's record.
    Stored(Option<StorageTag>),
    /// Here: they are kept with the part's record, by the transaction that makes
    /// it, and read through the store.
    WithRecord(Bytes),
}

/// The claim on one part, and the way to write it. Dropping it before it was
/// persisted gives the part up: what was written is not kept, and the claim ends
/// as soon as no write is under way.
#[async_trait]
pub trait PartWriter: Send + Sync {
    /// Takes room for the whole part before its first byte, so that a part
    /// that was begun can end. Waits for room that others will give back; answers
    /// `STORAGE_FULL` when there is not enough.
    async fn begin(&mut self, plan: PartPlan) -> Result<()>;

    /// Appends bytes. They may be in memory when it returns, but never more
    /// than a few frames, or than the store has a budget for.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Makes all bytes survive power loss, or leaves that to the part's record.
    /// The caller has checked all of them and says their checksum: a store that
    /// sends them on has it compared with what arrives there. On an error none of
    /// them count, and the writer can only be dropped. The claim stays until then,
    /// so that the caller can commit the part's record under it.
    async fn persist(&mut self, crc32c: Crc32c) -> Result<Persisted>;

    /// Gives the part up and returns when the claim has ended. What was persisted
    /// may be removed: it must have no record, and never get one.
    async fn abandon(self: Box<Self>);
}
