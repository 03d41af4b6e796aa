//! What the checks begin with.

use std::{fmt::Debug, sync::Arc, time::Duration};

use sluice_domain::{
    AccountId, ByteRange, Checksums, ContentType, Crc32c, Epoch, File, FileDigest, FileId,
    FileName, Metadata, OnConflict, Part, PartHasher, PartNumber, PartPlan, Quota, Reason, Result,
    Sha256, Timestamp, Upload, UploadId, UploadState,
};
use uuid::Uuid;

use crate::ports::{BlobStore, Freeze, NewUpload, Recorded, UploadStore};

/// Small, but a whole BLAKE3 subtree.
pub(super) const PART_SIZE: u64 = 4096;

/// When the checks take place.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

/// How long their uploads live.
pub(super) const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Some time after the beginning.
pub(super) fn after(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(super) fn new_owner() -> AccountId {
    AccountId::from_uuid(Uuid::now_v7())
}

pub(super) fn new_id() -> UploadId {
    UploadId::from_uuid(Uuid::now_v7())
}

pub(super) fn name(text: &str) -> FileName {
    FileName::parse(text, "name").expect("a name")
}

pub(super) fn number(number: u32) -> PartNumber {
    PartNumber::new(number).expect("a part's number")
}

/// An upload that nobody has created yet.
pub(super) fn new_upload(owner: AccountId, file: &str, size: Option<u64>) -> Upload {
    Upload {
        id: new_id(),
        file_id: FileId::from_uuid(Uuid::now_v7()),
        owner,
        state: UploadState::Active,
        name: name(file),
        content_type: ContentType::parse("text/plain", "content_type").expect("a type"),
        plan: PartPlan { part_size: PART_SIZE, size },
        max_size: Some(100 * PART_SIZE),
        persisted_bytes: 0,
        epoch: Epoch::FIRST,
        declared: Checksums::default(),
        metadata: Metadata::parse([("key".into(), "value".into())].into(), "metadata")
            .expect("metadata"),
        on_conflict: OnConflict::Fail,
        create_time: NOW,
        update_time: NOW,
        expire_time: NOW.plus(TTL),
        reserved: size.unwrap_or(0),
        completion: None,
        error: None,
    }
}

pub(super) async fn create(store: &dyn UploadStore, upload: Upload) -> Upload {
    let new = NewUpload { upload: upload.clone(), request: None, quota: Quota::default() };
    store.create_upload(new).await.expect("the upload is created");
    upload
}

/// A new upload of so many whole parts.
pub(super) async fn created(
    store: &dyn UploadStore,
    owner: AccountId,
    file: &str,
    parts: u32,
) -> Upload {
    create(store, new_upload(owner, file, Some(u64::from(parts) * PART_SIZE))).await
}

/// The record of a whole part that is full of one byte.
pub(super) fn part(of: u32, byte: u8) -> Part {
    let number = number(of);
    let plan = PartPlan { part_size: PART_SIZE, size: None };
    let bytes = vec![byte; usize::try_from(PART_SIZE).expect("small")];
    let mut hasher = PartHasher::new(number, plan.start(number));
    assert!(hasher.fold(&bytes, Crc32c::of(&bytes)));
    hasher.finish()
}

/// The same, as long as nobody has read it.
pub(super) fn unread(of: u32, byte: u8) -> Part {
    Part { detail: None, ..part(of, byte) }
}

pub(super) async fn commit(
    store: &dyn UploadStore,
    upload: &Upload,
    part: Part,
) -> Result<Recorded> {
    store.commit_part(upload.owner, upload.id, upload.epoch, part.into(), NOW, TTL).await
}

/// A new upload with so many parts, all persisted.
pub(super) async fn written(
    store: &dyn UploadStore,
    owner: AccountId,
    file: &str,
    parts: u32,
) -> Upload {
    let upload = created(store, owner, file, parts).await;
    for number in 1..=parts {
        commit(store, &upload, part(number, 7)).await.expect("the part is recorded");
    }
    upload
}

/// What freezes an upload of [`written`] parts.
pub(super) fn freeze_of(parts: u32) -> Freeze {
    let parts: Vec<_> = (1..=parts).map(|number| part(number, 7)).collect();
    Freeze {
        epoch: None,
        digest: FileDigest::of(&parts),
        sha256: None,
        blake3: None,
        name: None,
        on_conflict: None,
    }
}

pub(super) async fn frozen(
    store: &dyn UploadStore,
    owner: AccountId,
    file: &str,
    parts: u32,
) -> Upload {
    let upload = written(store, owner, file, parts).await;
    let freeze = freeze_of(parts);
    store.freeze(owner, upload.id, freeze, NOW).await.expect("the upload is frozen")
}

/// A readable file of two parts.
pub(super) async fn completed(store: &dyn UploadStore, owner: AccountId, file: &str) -> File {
    let upload = frozen(store, owner, file, 2).await;
    store.publish(owner, upload.id, NOW).await.expect("the file is published")
}

/// A file that waits for its SHA-256 to be checked.
pub(super) async fn processing(
    store: &dyn UploadStore,
    owner: AccountId,
    file: &str,
    on_conflict: OnConflict,
) -> File {
    const SHA256: Sha256 = [9; 32];
    let upload = Upload { on_conflict, ..new_upload(owner, file, Some(2 * PART_SIZE)) };
    let upload = create(store, upload).await;
    for number in [1, 2] {
        commit(store, &upload, part(number, 7)).await.expect("the part is recorded");
    }
    let freeze = Freeze { sha256: Some(SHA256), ..freeze_of(2) };
    store.freeze(owner, upload.id, freeze, NOW).await.expect("the upload is frozen");
    store.publish(owner, upload.id, NOW).await.expect("the file is published")
}

/// Asserts that something was refused for this reason.
#[track_caller]
pub(super) fn assert_refused<T: Debug>(outcome: Result<T>, reason: Reason) {
    match outcome {
        Err(error) => assert_eq!(error.reason, reason, "{error}"),
        Ok(answer) => panic!("not refused with {reason:?}, but answered: {answer:?}"),
    }
}

/// Opening bytes that are not there is refused, or reading them is.
pub(super) async fn assert_missing(store: &Arc<dyn BlobStore>, upload: UploadId, range: ByteRange) {
    let read = match store.open(upload).await {
        Ok(reader) => reader.read(range).await,
        Err(error) => Err(error),
    };
    assert_refused(read, Reason::StoredDataCorrupt);
}
