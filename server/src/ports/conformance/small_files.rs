//! Promises about small files, however a [`BlobStore`] keeps them: in itself, or
//! with the record of their one part.

use std::sync::Arc;

use bytes::Bytes;
use sluice_domain::{ByteRange, Crc32c, Epoch, PartHasher, PartPlan, Reason, Upload};

use super::fixtures::{
    NOW, PART_SIZE, TTL, assert_missing, assert_refused, create, new_owner, new_upload, number,
};
use crate::ports::{BlobStore, PartWriter, PersistedPart, Sealed, UploadStore};

fn content(byte: u8, size: u64) -> Bytes {
    Bytes::from(vec![byte; usize::try_from(size).expect("small")])
}

/// Writes the one part of an upload, in small pieces.
async fn write(
    blobs: &Arc<dyn BlobStore>,
    upload: &Upload,
    plan: PartPlan,
    byte: u8,
) -> Box<dyn PartWriter> {
    let claimed = blobs.claim_part(upload.id, Epoch::FIRST, number(1)).await;
    let mut writer = claimed.expect("the part is free");
    writer.begin(plan).await.expect("there is room");
    for piece in content(byte, plan.range(number(1)).len()).chunks(33) {
        writer.write(Bytes::copy_from_slice(piece)).await.expect("it is taken");
    }
    writer
}

/// Persists what was written, and records it.
async fn record(
    uploads: &dyn UploadStore,
    upload: &Upload,
    mut writer: Box<dyn PartWriter>,
    bytes: &[u8],
) {
    let mut hasher = PartHasher::new(number(1), 0);
    assert!(hasher.fold(bytes, Crc32c::of(bytes)));
    let persisted = writer.persist(Crc32c::of(bytes)).await.expect("it is persisted");
    let part = PersistedPart { record: hasher.finish(), bytes: persisted };
    let (owner, id) = (upload.owner, upload.id);
    let recorded = uploads.commit_part(owner, id, Epoch::FIRST, part, NOW, TTL).await;
    recorded.expect("it is recorded");
}

async fn read(blobs: &Arc<dyn BlobStore>, upload: &Upload, size: u64) -> Bytes {
    let reader = blobs.open(upload.id).await.expect("it is stored");
    reader.read(ByteRange { start: 0, end: size }).await.expect("the bytes are there")
}

/// A file that is known to be small goes through the same life as any other,
/// however it is kept.
pub async fn a_small_file_is_like_any_other(blobs: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    for size in [1, 100, PART_SIZE] {
        let upload = create(uploads, new_upload(new_owner(), "file", Some(size))).await;
        let id = upload.id;
        assert_missing(blobs, id, ByteRange { start: 0, end: size }).await;
        drop(write(blobs, &upload, upload.plan, 1).await);
        write(blobs, &upload, upload.plan, 2).await.abandon().await;
        let writer = write(blobs, &upload, upload.plan, 3).await;
        record(uploads, &upload, writer, &content(3, size)).await;
        assert_eq!(read(blobs, &upload, size).await, content(3, size));
        // What is recorded is never written again.
        let writer = write(blobs, &upload, upload.plan, 4).await;
        record(uploads, &upload, writer, &content(4, size)).await;
        for _ in 0..2 {
            assert_eq!(blobs.seal(id, size).await, Ok(Sealed::Whole));
        }
        assert_refused(blobs.seal(id, size + 1).await, Reason::StoredDataCorrupt);
        assert_eq!(read(blobs, &upload, size).await, content(3, size));
        let reader = blobs.open(id).await.expect("it is stored");
        for start in [0, size + 1] {
            let beyond = ByteRange { start, end: size + 2 };
            assert_refused(reader.read(beyond).await, Reason::StoredDataCorrupt);
        }
        blobs.delete(id).await.expect("it is deleted");
        assert_missing(blobs, id, ByteRange { start: 0, end: size }).await;
    }
}

/// A file that turned out to be small after a part of it was persisted, which
/// nobody has recorded, is read as it is and deleted whole.
pub async fn a_file_may_turn_out_to_be_small(
    blobs: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = create(uploads, new_upload(new_owner(), "file", Some(100))).await;
    let unknown = PartPlan { part_size: PART_SIZE, size: None };
    let mut writer = write(blobs, &upload, unknown, 1).await;
    let crc32c = Crc32c::of(&content(1, unknown.range(number(1)).len()));
    writer.persist(crc32c).await.expect("it is persisted");
    drop(writer);
    let writer = write(blobs, &upload, upload.plan, 2).await;
    record(uploads, &upload, writer, &content(2, 100)).await;
    assert_eq!(blobs.seal(upload.id, 100).await, Ok(Sealed::Whole));
    assert_eq!(read(blobs, &upload, 100).await, content(2, 100));
    blobs.delete(upload.id).await.expect("it is deleted");
    assert_missing(blobs, upload.id, ByteRange { start: 0, end: 100 }).await;
}

/// Where a store says that nothing is left to seal, the bytes are the file; it
/// never says so before they are recorded.
pub async fn what_needs_no_sealing_is_whole(blobs: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = create(uploads, new_upload(new_owner(), "file", Some(100))).await;
    assert_eq!(blobs.is_sealed(upload.id, 100).await, Ok(false));
    let writer = write(blobs, &upload, upload.plan, 1).await;
    assert_eq!(blobs.is_sealed(upload.id, 100).await, Ok(false));
    record(uploads, &upload, writer, &content(1, 100)).await;
    assert_eq!(blobs.is_sealed(upload.id, 99).await, Ok(false));
    if blobs.is_sealed(upload.id, 100).await.expect("it is answered") {
        assert_eq!(read(blobs, &upload, 100).await, content(1, 100));
    }
}
