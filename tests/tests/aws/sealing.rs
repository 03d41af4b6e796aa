//! Several processes write one upload, some of them late, and whatever happens to
//! what storage holds, nothing becomes a file that differs from its records.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use sluice_domain::{ByteRange, FileState, Upload};
use sluice_server::ports::{
    BlobRecords, FileStore, Persisted, Recorded, Sealed, StorageTag, UploadStore,
};

use crate::engine::{Engine, NOW, PART_SIZE, TTL, freeze_of, full_of, number, persist};

async fn write(engine: &Engine, upload: &Upload, part: u32, byte: u8) {
    let (record_of, _writer) = persist(&engine.blobs, upload, part, full_of(byte)).await;
    assert_eq!(engine.record(upload, record_of).await, Recorded::New);
}

async fn read(engine: &Engine, upload: &Upload) -> Bytes {
    let reader = engine.blobs.open(upload.id).await.expect("it is there");
    let size = upload.plan.size.expect("a known size");
    reader.read(ByteRange { start: 0, end: size }).await.expect("the bytes are there")
}

/// Two processes write parts of one upload at the same time: they share one
/// multipart upload, and none is left over.
#[tokio::test]
async fn processes_share_one_multipart_upload() {
    let engine = Engine::new().await;
    let upload = engine.create(8 * PART_SIZE).await;
    let stores: Vec<_> = (0..4).map(|_| engine.another()).collect();
    let writes = (1..=8_u32).map(|part| {
        let (engine, upload) = (&engine, &upload);
        let blobs = &stores[part as usize % stores.len()];
        async move {
            let bytes = full_of(u8::try_from(part).expect("small"));
            let (part, _writer) = persist(blobs, upload, part, bytes).await;
            assert_eq!(engine.record(upload, part).await, Recorded::New);
        }
    });
    futures::future::join_all(writes).await;
    for blobs in &stores {
        assert_eq!(blobs.seal(upload.id, 8 * PART_SIZE).await, Ok(Sealed::Whole));
    }
    let expected: Vec<_> = (1..=8).map(full_of).collect();
    assert!(read(&engine, &upload).await == expected.concat());
    assert_eq!(engine.multiparts().await, 0);
    assert_eq!(engine.keys().await.len(), 1);
}

/// Of two processes that store a small file the first one is recorded, and of the
/// other one nothing stays.
#[tokio::test]
async fn a_small_file_is_stored_once() {
    let engine = Engine::new().await;
    let upload = engine.create(PART_SIZE).await;
    let other = engine.another();
    let (first, _first) = persist(&engine.blobs, &upload, 1, full_of(1)).await;
    let (second, late) = persist(&other, &upload, 1, full_of(2)).await;
    let kept = first.record.clone();
    assert_eq!(engine.record(&upload, first).await, Recorded::New);
    assert_eq!(engine.record(&upload, second).await, Recorded::Before(kept));
    assert_eq!(engine.keys().await.len(), 2);
    late.abandon().await;
    assert_eq!(engine.blobs.is_sealed(upload.id, PART_SIZE).await, Ok(true));
    assert!(read(&engine, &upload).await == full_of(1));
    assert_eq!(engine.keys().await.len(), 1);
}

/// A part that a stale writer overwrote with equal bytes does no harm: it gets its
/// new tag, and the file is verified before it can be read.
#[tokio::test]
async fn a_late_part_of_equal_bytes_is_kept() {
    let engine = Engine::new().await;
    let upload = engine.create(2 * PART_SIZE).await;
    write(&engine, &upload, 1, 1).await;
    let (mut part, writer) = persist(&engine.blobs, &upload, 2, full_of(2)).await;
    drop(writer);
    let Persisted::Stored(Some(tag)) = part.bytes else {
        panic!("it has no tag");
    };
    // Storage that encrypts with keys of its own gives every write another ETag.
    let stale = StorageTag(tag.0.replace('"', "\"0"));
    part.bytes = Persisted::Stored(Some(stale));
    engine.record(&upload, part).await;
    let frozen = engine.database.freeze(upload.owner, upload.id, freeze_of(&[1, 2]), NOW).await;
    frozen.expect("it is frozen");

    let changed = vec![(number(2), tag)];
    let sealed = engine.blobs.seal(upload.id, 2 * PART_SIZE).await;
    assert_eq!(sealed, Ok(Sealed::Changed(changed.clone())));
    let retagged = engine.database.retag_parts(upload.owner, upload.id, changed).await;
    retagged.expect("they are kept");
    assert_eq!(engine.blobs.seal(upload.id, 2 * PART_SIZE).await, Ok(Sealed::Whole));
    assert!(read(&engine, &upload).await == [full_of(1), full_of(2)].concat());
    let file = engine.database.publish(upload.owner, upload.id, NOW).await;
    assert_eq!(file.expect("it is published").state, FileState::Processing);
    let (owner, file_id) = (upload.owner, upload.file_id);
    let file = engine.database.file(owner, file_id).await.expect("it is there");
    assert_eq!(file.state, FileState::Processing);
}

/// A part that a stale writer overwrote with other bytes is lost, and no other one
/// is: it is sent again, and the file is right.
#[tokio::test]
async fn a_late_part_of_other_bytes_is_lost() {
    let engine = Engine::new().await;
    let upload = engine.create(3 * PART_SIZE).await;
    for part in [1, 2, 3] {
        write(&engine, &upload, part, u8::try_from(part).expect("small")).await;
    }
    engine.overwrite(&upload, 2, full_of(9)).await;
    let (owner, id) = (upload.owner, upload.id);
    let freeze = || engine.database.freeze(owner, id, freeze_of(&[1, 2, 3]), NOW);
    freeze().await.expect("it is frozen");
    for _ in 0..2 {
        let sealed = engine.blobs.seal(id, 3 * PART_SIZE).await;
        assert_eq!(sealed, Ok(Sealed::Lost(vec![number(2)])));
    }
    engine.database.reopen(owner, id, vec![number(2)], NOW, TTL).await.expect("it is reopened");
    write(&engine, &upload, 2, 2).await;
    freeze().await.expect("it is frozen");
    assert_eq!(engine.blobs.seal(id, 3 * PART_SIZE).await, Ok(Sealed::Whole));
    assert!(read(&engine, &upload).await == [full_of(1), full_of(2), full_of(3)].concat());
}

/// Where the multipart upload is gone, all parts are lost, and a new one is begun.
#[tokio::test]
async fn a_lost_multipart_upload_is_begun_anew() {
    let engine = Engine::new().await;
    let upload = engine.create(2 * PART_SIZE).await;
    let (owner, id) = (upload.owner, upload.id);
    for part in [1, 2] {
        write(&engine, &upload, part, 1).await;
    }
    engine.abort(&upload).await;
    engine.database.freeze(owner, id, freeze_of(&[1, 1]), NOW).await.expect("it is frozen");
    let lost = vec![number(1), number(2)];
    let sealed = engine.blobs.seal(id, 2 * PART_SIZE).await;
    assert_eq!(sealed, Ok(Sealed::Lost(lost.clone())));
    engine.database.reopen(owner, id, lost, NOW, TTL).await.expect("it is reopened");
    // Also a process that believes in the old one finds the new one.
    for part in [1, 2] {
        write(&engine, &upload, part, 2).await;
    }
    assert_eq!(engine.blobs.seal(id, 2 * PART_SIZE).await, Ok(Sealed::Whole));
    assert!(read(&engine, &upload).await == [full_of(2), full_of(2)].concat());
    assert_eq!(engine.multiparts().await, 0);
}

/// More parts than come in one page: they complete, and a lost one is found.
#[tokio::test]
async fn many_parts_are_paged() {
    const PARTS: u32 = 1100;
    let engine = Engine::new().await;
    let upload = engine.create(u64::from(PARTS) * PART_SIZE).await;
    let numbers: Vec<_> = (1..=PARTS).collect();
    for several in numbers.chunks(16) {
        let writes = several.iter().map(|part| write(&engine, &upload, *part, (part % 251) as u8));
        futures::future::join_all(writes).await;
    }
    engine.overwrite(&upload, PARTS - 1, full_of(255)).await;
    let sealed = engine.blobs.seal(upload.id, u64::from(PARTS) * PART_SIZE).await;
    assert_eq!(sealed, Ok(Sealed::Lost(vec![number(PARTS - 1)])));
    engine.overwrite(&upload, PARTS - 1, full_of(((PARTS - 1) % 251) as u8)).await;
    let sealed = engine.blobs.seal(upload.id, u64::from(PARTS) * PART_SIZE).await;
    assert_eq!(sealed, Ok(Sealed::Whole));
    let reader = engine.blobs.open(upload.id).await.expect("it is there");
    let last = upload.plan.range(number(PARTS));
    let bytes = reader.read(last).await.expect("the bytes are there");
    assert!(bytes == full_of((PARTS % 251) as u8));
}

/// Deleting leaves nothing in the bucket, however far an upload has come.
#[tokio::test]
async fn deleting_leaves_nothing() {
    let engine = Engine::new().await;
    let sealed = engine.create(2 * PART_SIZE).await;
    let open = engine.create(2 * PART_SIZE).await;
    let small = engine.create(PART_SIZE).await;
    for part in [1, 2] {
        write(&engine, &sealed, part, 1).await;
        write(&engine, &open, part, 1).await;
    }
    write(&engine, &small, 1, 1).await;
    assert_eq!(engine.blobs.seal(sealed.id, 2 * PART_SIZE).await, Ok(Sealed::Whole));
    // What was persisted and never recorded goes as well.
    drop(persist(&engine.another(), &small, 1, full_of(2)).await);
    assert_eq!((engine.keys().await.len(), engine.multiparts().await), (3, 1));
    for upload in [sealed, open, small] {
        engine.blobs.delete(upload.id).await.expect("it is deleted");
    }
    assert_eq!((engine.keys().await.len(), engine.multiparts().await), (0, 0));
}

impl Engine {
    /// The multipart upload of an upload: its key and id.
    async fn multipart(&self, upload: &Upload) -> (String, String) {
        let id = self.database.place(upload.id).await.expect("it is known").expect("there is one");
        let uuid = upload.id.as_uuid();
        (format!("{:02x}/{}/parts", uuid.as_bytes()[15], uuid.simple()), id.0)
    }

    /// Does what a stale writer does who is late.
    async fn overwrite(&self, upload: &Upload, part: u32, bytes: Bytes) {
        let (key, id) = self.multipart(upload).await;
        let put = self.account.clients.s3.upload_part().bucket(&self.account.bucket).key(key);
        let part = i32::try_from(part).expect("small");
        let put = put
            .upload_id(id)
            .part_number(part)
            .checksum_algorithm(aws_sdk_s3::types::ChecksumAlgorithm::Crc32C)
            .body(ByteStream::from(bytes));
        put.send().await.expect("it is stored");
    }

    async fn abort(&self, upload: &Upload) {
        let (key, id) = self.multipart(upload).await;
        let abort = self.account.clients.s3.abort_multipart_upload();
        let abort = abort.bucket(&self.account.bucket).key(key).upload_id(id);
        abort.send().await.expect("it is aborted");
    }
}
