//! The records of uploads and of their parts.

use std::time::Duration;

use async_trait::async_trait;
use sluice_domain::{
    AccountId, Epoch, Failure, File, FileDigest, FileId, FileName, OnConflict, Part, PartNumber,
    Quota, RangeSet, RequestId, Result, Sha256, Timestamp, Upload, UploadId, UploadState,
};

use super::{Persisted, StorageTag};

/// What makes a creation idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller's id of the request.
    pub id: RequestId,
    /// SHA-256 of everything else in the request.
    pub fingerprint: [u8; 32],
}

/// An upload to be created.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The record.
    pub upload: Upload,
    /// The request that it answers.
    pub request: Option<RequestKey>,
    /// The limits of an account that has none of its own.
    pub quota: Quota,
}

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one match")]
pub enum Created {
    /// The upload is new.
    New,
    /// The same request was answered before, with this upload.
    Before(Upload),
}

/// A part whose bytes are persisted, or will be with its record.
#[derive(Debug, Clone)]
pub struct PersistedPart {
    /// The record.
    pub record: Part,
    /// Where the bytes are.
    pub bytes: Persisted,
}

impl From<Part> for PersistedPart {
    /// A part whose bytes are in the blob store.
    fn from(record: Part) -> Self {
        Self { record, bytes: Persisted::Stored(None) }
    }
}

/// What became of a part that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It has this record now.
    New,
    /// It had a record before, which is the one that counts.
    Before(Part),
}

/// How an upload is frozen for completion.
#[derive(Debug, Clone)]
pub struct Freeze {
    /// Only if this is still the current writer.
    pub epoch: Option<Epoch>,
    /// Size and checksums of the file.
    pub digest: FileDigest,
    /// A SHA-256 that the file must have, beside what was declared at creation.
    pub sha256: Option<Sha256>,
    /// The same for BLAKE3, as long as the digest has none.
    pub blake3: Option<[u8; 32]>,
    /// Another name than the upload has.
    pub name: Option<FileName>,
    /// Another rule than the upload has.
    pub on_conflict: Option<OnConflict>,
}

/// What a writer must know before its first byte.
#[derive(Debug, Clone)]
pub struct Written {
    /// The upload.
    pub upload: Upload,
    /// The part, if it is persisted already.
    pub part: Option<Part>,
}

/// Which uploads to list, newest first.
#[derive(Debug, Clone)]
pub struct UploadQuery {
    /// Only these states; empty means all.
    pub states: Vec<UploadState>,
    /// Only uploads after this one in the list.
    pub after: Option<(Timestamp, UploadId)>,
    /// Most uploads to answer.
    pub limit: u32,
}

/// One page of uploads.
#[derive(Debug, Clone)]
pub struct UploadPage {
    /// The uploads.
    pub uploads: Vec<Upload>,
    /// Whether there are more.
    pub more: bool,
}

/// Stores uploads and their parts.
///
/// Every change is atomic, survives power loss when the method returns, and is
/// conditional on the state (and, where named, on the writer epoch) that the
/// record has at that moment; a condition that does not hold is answered with
/// the reason of the contract and changes nothing. An upload of another owner
/// is `UPLOAD_NOT_FOUND`. A read sees every change whose method has returned.
#[async_trait]
pub trait UploadStore: Send + Sync + 'static {
    /// Refuses with `STORAGE_IO` or `DEPENDENCY_UNAVAILABLE` unless records can be
    /// read.
    async fn check_health(&self) -> Result<()>;

    /// Creates an upload. A request id that was used before answers the upload
    /// of then, or `REQUEST_ID_REUSED` if the rest of the request differs.
    /// With `OnConflict::Fail` a taken name is `FILE_EXISTS`. A deleted account
    /// is `ACCOUNT_NOT_FOUND`, also after its purge. What the owner's quota does not allow is `QUOTA_EXCEEDED`; what the upload reserves is
    /// given back when it ends, and what its file holds when that goes.
    async fn create_upload(&self, new: NewUpload) -> Result<Created>;

    /// Reads an upload.
    async fn upload(&self, owner: AccountId, id: UploadId) -> Result<Upload>;

    /// Reads several uploads, in any order; leaves out those that are not there.
    async fn uploads(&self, owner: AccountId, ids: Vec<UploadId>) -> Result<Vec<Upload>>;

    /// Reads an upload and one of its parts. Both are as they were at some time
    /// during the call, which need not be the same.
    async fn written(&self, owner: AccountId, id: UploadId, part: PartNumber) -> Result<Written>;

    /// Reads an upload and which of its bytes are persisted: at least all that
    /// were when the call began.
    async fn persisted(&self, owner: AccountId, id: UploadId) -> Result<(Upload, RangeSet)>;

    /// Reads the records of parts after `after`, by number.
    async fn parts(
        &self,
        owner: AccountId,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>>;

    /// Lists uploads.
    async fn list_uploads(&self, owner: AccountId, query: UploadQuery) -> Result<UploadPage>;

    /// Takes the next writer epoch of an active upload.
    async fn advance_epoch(
        &self,
        owner: AccountId,
        id: UploadId,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload>;

    /// Records a part whose bytes are durable, or are to be kept with the record,
    /// if it has no record yet, and slides the expiry. Needs an active upload and
    /// the current epoch. After `STORAGE_IO` or `DEPENDENCY_UNAVAILABLE` nobody
    /// knows whether it is recorded; any other refusal says that it is not.
    async fn commit_part(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Epoch,
        part: PersistedPart,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Recorded>;

    /// Adds to a recorded part what reading its bytes has found, if nobody has read
    /// them before and size and CRC32C are those of the record. Answers whether
    /// they are; a part without a record is none of them. Idempotent, and possible
    /// whatever became of the upload.
    async fn add_detail(&self, owner: AccountId, id: UploadId, part: Part) -> Result<bool>;

    /// Makes an active upload of unknown size hold at least `end` bytes of its
    /// owner's quota, as [`sluice_domain::Usage::lease`] has it.
    async fn reserve(&self, owner: AccountId, id: UploadId, end: u64, default: Quota)
    -> Result<()>;

    /// Fixes the final size of an active upload. The same size again changes
    /// nothing; another one, or persisted bytes beyond it, is `SIZE_MISMATCH`.
    async fn fix_size(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Option<Epoch>,
        size: u64,
        now: Timestamp,
    ) -> Result<()>;

    /// `ACTIVE → COMPLETING`: no part can be recorded any more. Checks that the
    /// parts are whole and, with `OnConflict::Fail`, that neither a file nor
    /// another completing upload has the name.
    async fn freeze(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<Upload>;

    /// Gives recorded parts of a completing upload other tags, because storage
    /// holds equal bytes that were written later; the file will be verified before
    /// it can be read. If it is interrupted, it may have given some of them.
    async fn retag_parts(
        &self,
        owner: AccountId,
        id: UploadId,
        tags: Vec<(PartNumber, StorageTag)>,
    ) -> Result<()>;

    /// `COMPLETING → ACTIVE`: forgets parts whose bytes are lost and gives the name
    /// free. The size stays fixed.
    async fn reopen(
        &self,
        owner: AccountId,
        id: UploadId,
        lost: Vec<PartNumber>,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload>;

    /// `COMPLETING → COMPLETED`: creates the file, gives it its name if it is
    /// readable, and enqueues what must follow, in one transaction. What must be
    /// verified first is not readable yet: a declared SHA-256, parts that nobody has
    /// read, and parts that have other tags than they were recorded with. A
    /// completed upload answers the file that it became.
    async fn publish(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<File>;

    /// [`freeze`](Self::freeze) and [`publish`](Self::publish) in one
    /// transaction, for an upload whose bytes need no sealing.
    async fn freeze_and_publish(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<File>;

    /// `ACTIVE → FAILED`, and its bytes are to be deleted.
    async fn fail_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        failure: Failure,
        now: Timestamp,
    ) -> Result<()>;

    /// `ACTIVE → CANCELLED`, and its bytes are to be deleted. A cancelled
    /// upload stays as it is.
    async fn cancel(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<Upload>;

    /// `ACTIVE → EXPIRED` if the expiry has passed at `now`, and its bytes are
    /// to be deleted. Answers whether it did.
    async fn expire(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<bool>;

    /// Active uploads whose expiry has passed, soonest first.
    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<(AccountId, UploadId)>>;

    /// Uploads that are `COMPLETING` and were last touched before `before`.
    async fn completing(&self, before: Timestamp, limit: u32)
    -> Result<Vec<(AccountId, UploadId)>>;

    /// Forgets uploads that ended before `before`. What became a file keeps its
    /// part records. Answers how many were forgotten.
    async fn forget_ended(&self, before: Timestamp, limit: u32) -> Result<u32>;

    /// Whether any record still needs the bytes of this upload.
    async fn blob_in_use(&self, owner: AccountId, id: UploadId) -> Result<bool>;

    /// Removes what is left of the records of parts whose bytes are deleted.
    /// Idempotent.
    async fn forget_parts(&self, owner: AccountId, id: UploadId) -> Result<()>;

    /// The file that an upload became.
    async fn file_of_upload(&self, owner: AccountId, file_id: FileId) -> Result<File>;
}
