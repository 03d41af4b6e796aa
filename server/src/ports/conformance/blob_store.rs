//! Promises of [`BlobStore`], its writers and its readers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sluice_domain::{ByteRange, Crc32c, Epoch, PartHasher, PartPlan, Reason, Upload, UploadId};

use crate::ports::{
    BlobStore, PartWriter, PersistedPart, Recorded, Sealed, UploadStore,
    conformance::fixtures::{
        NOW, PART_SIZE, TTL, assert_missing, assert_refused, create, new_id, new_owner, new_upload,
        number,
    },
};

const PLAN: PartPlan = PartPlan { part_size: PART_SIZE, size: Some(3 * PART_SIZE) };

/// Longer than a claim may be silent, and shorter than anybody waits.
const SILENCE: Duration = Duration::from_millis(1500);

/// Longer than anybody waits for a claim.
const PATIENCE: Duration = Duration::from_secs(15);

fn full_of(byte: u8) -> Bytes {
    Bytes::from(vec![byte; usize::try_from(PART_SIZE).expect("small")])
}

fn range_of(part: u32) -> ByteRange {
    PLAN.range(number(part))
}

async fn claim(store: &Arc<dyn BlobStore>, upload: UploadId, part: u32) -> Box<dyn PartWriter> {
    let claimed = store.claim_part(upload, Epoch::FIRST, number(part)).await;
    claimed.expect("the part is free")
}

/// A new upload of unknown size.
async fn open(uploads: &dyn UploadStore) -> Upload {
    create(uploads, new_upload(new_owner(), "file", None)).await
}

/// Persists and records a part that was written, of these bytes; answers the
/// writer that still holds it.
async fn persist(
    uploads: &dyn UploadStore,
    upload: &Upload,
    part: u32,
    mut writer: Box<dyn PartWriter>,
    bytes: &[u8],
) -> Box<dyn PartWriter> {
    let persisted = writer.persist(Crc32c::of(bytes)).await.expect("it is persisted");
    let number = number(part);
    let mut hasher = PartHasher::new(number, upload.plan.start(number));
    assert!(hasher.fold(bytes, Crc32c::of(bytes)));
    let part = PersistedPart { record: hasher.finish(), bytes: persisted };
    let (owner, id, epoch) = (upload.owner, upload.id, upload.epoch);
    let recorded = uploads.commit_part(owner, id, epoch, part, NOW, TTL).await;
    assert_eq!(recorded, Ok(Recorded::New));
    writer
}

/// Writes a whole part, and answers the writer that still holds it.
async fn write(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
    upload: &Upload,
    part: u32,
    byte: u8,
) -> Box<dyn PartWriter> {
    let mut writer = claim(store, upload.id, part).await;
    writer.begin(PLAN).await.expect("there is room");
    writer.write(full_of(byte)).await.expect("it is written");
    persist(uploads, upload, part, writer, &full_of(byte)).await
}

/// Makes a file of so many bytes.
async fn seal(store: &Arc<dyn BlobStore>, upload: UploadId, size: u64) {
    assert_eq!(store.seal(upload, size).await, Ok(Sealed::Whole));
}

async fn read(store: &Arc<dyn BlobStore>, upload: UploadId, range: ByteRange) -> Bytes {
    let reader = store.open(upload).await.expect("something is stored");
    reader.read(range).await.expect("the bytes are there")
}

/// What was persisted is read back, part by part and in whatever order it came.
pub async fn persisted_bytes_read_back(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    for part in [3, 1, 2] {
        let byte = u8::try_from(part).expect("small");
        drop(write(store, uploads, &upload, part, byte).await);
    }
    seal(store, upload.id, 3 * PART_SIZE).await;
    let whole = read(store, upload.id, ByteRange { start: 0, end: 3 * PART_SIZE }).await;
    assert_eq!(whole, [full_of(1), full_of(2), full_of(3)].concat());
    let range = ByteRange { start: PART_SIZE - 1, end: PART_SIZE + 1 };
    assert_eq!(read(store, upload.id, range).await, [1, 2].as_slice());
    let nothing = read(store, upload.id, ByteRange { start: 5, end: 5 }).await;
    assert!(nothing.is_empty());
}

/// Frames of any size make up a part, in their order.
pub async fn frames_of_any_size_make_a_part(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    const LARGE: PartPlan = PartPlan { part_size: 4 * 1024 * 1024, size: None };
    let sizes: [usize; 8] = [1, 70_000, 3, 1 << 20, 65_535, 65_536, 1 << 21, 17];
    let size = sizes.iter().map(|size| *size as u64).sum();
    let plan = PartPlan { size: Some(size), ..LARGE };
    let mut upload = new_upload(new_owner(), "file", Some(size));
    upload.plan = plan;
    let upload = create(uploads, upload).await;
    let mut writer = claim(store, upload.id, 1).await;
    writer.begin(LARGE).await.expect("there is room");
    let mut expected = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        let frame: Vec<u8> = (0..*size).map(|at| (at * 31 + index) as u8).collect();
        expected.extend_from_slice(&frame);
        writer.write(Bytes::from(frame)).await.expect("it is written");
    }
    drop(persist(uploads, &upload, 1, writer, &expected).await);
    seal(store, upload.id, size).await;
    let stored = read(store, upload.id, ByteRange { start: 0, end: size }).await;
    assert!(stored == expected, "the frames are not in their order");
}

/// What storage says it has received is what it has, and only what was asked for.
pub async fn found_parts_are_what_was_asked_for(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = open(uploads).await;
    let find = |numbers: &[u32]| {
        store.find_parts(upload.id, numbers.iter().map(|of| number(*of)).collect())
    };
    assert_eq!(find(&[1, 2, 3]).await, Ok(Vec::new()));
    for part in [1, 2, 4] {
        drop(write(store, uploads, &upload, part, u8::try_from(part).expect("small")).await);
    }
    assert_eq!(find(&[]).await, Ok(Vec::new()));
    for found in find(&[2, 3, 4]).await.expect("an answer") {
        let of = found.number.get();
        assert!([2, 4].contains(&of), "part {of}");
        let bytes = full_of(u8::try_from(of).expect("small"));
        assert_eq!((found.size, found.crc32c), (PART_SIZE, Crc32c::of(&bytes)));
    }
}

/// Bytes that are not there are missed, not made up.
pub async fn missing_bytes_are_corrupt(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    assert_missing(store, upload.id, range_of(1)).await;
    assert_refused(store.seal(upload.id, 1).await, Reason::StoredDataCorrupt);
    drop(write(store, uploads, &upload, 1, 7).await);
    assert_refused(store.seal(upload.id, 2 * PART_SIZE).await, Reason::StoredDataCorrupt);
    seal(store, upload.id, PART_SIZE).await;
    let beyond = ByteRange { start: PART_SIZE - 1, end: PART_SIZE + 1 };
    assert_missing(store, upload.id, beyond).await;
}

/// Sealing can be repeated, cuts what was begun beyond the end, and needs no
/// bytes for an empty file.
pub async fn sealing_is_idempotent(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    drop(write(store, uploads, &upload, 1, 7).await);
    let mut writer = claim(store, upload.id, 2).await;
    writer.begin(PLAN).await.expect("there is room");
    writer.write(full_of(8)).await.expect("it is written");
    writer.persist(Crc32c::of(&full_of(8))).await.expect("it is persisted");
    drop(writer);
    for _ in 0..2 {
        seal(store, upload.id, PART_SIZE).await;
        assert_eq!(read(store, upload.id, range_of(1)).await, full_of(7));
    }
    seal(store, open(uploads).await.id, 0).await;
}

/// A part that was given up leaves the others alone, and can be written anew.
pub async fn an_abandoned_part_can_be_written_anew(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = open(uploads).await;
    drop(write(store, uploads, &upload, 1, 1).await);
    for (how, persisted) in
        [("abandoned", false), ("dropped", false), ("abandoned", true), ("dropped", true)]
    {
        let mut writer = claim(store, upload.id, 2).await;
        writer.begin(PLAN).await.expect("there is room");
        writer.write(full_of(9)).await.expect("it is written");
        if persisted {
            writer.persist(Crc32c::of(&full_of(9))).await.expect("it is persisted");
        }
        match how {
            "abandoned" => writer.abandon().await,
            _ => drop(writer),
        }
    }
    drop(write(store, uploads, &upload, 2, 2).await);
    seal(store, upload.id, 2 * PART_SIZE).await;
    assert_eq!(read(store, upload.id, range_of(1)).await, full_of(1));
    assert_eq!(read(store, upload.id, range_of(2)).await, full_of(2));
}

/// Deleted bytes are gone, and deleting is idempotent; a reader from before
/// reads on.
pub async fn deleted_bytes_are_gone(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    drop(write(store, uploads, &upload, 1, 7).await);
    drop(write(store, uploads, &upload, 2, 8).await);
    seal(store, upload.id, 2 * PART_SIZE).await;
    let reader = store.open(upload.id).await.expect("something is stored");
    for _ in 0..2 {
        store.delete(upload.id).await.expect("it is deleted");
    }
    assert_missing(store, upload.id, range_of(1)).await;
    match reader.read(range_of(1)).await {
        Ok(bytes) => assert_eq!(bytes, full_of(7)),
        missed => assert_refused(missed, Reason::StoredDataCorrupt),
    }
    store.delete(new_id()).await.expect("what was never there is gone");

    let unsealed = open(uploads).await;
    drop(write(store, uploads, &unsealed, 1, 7).await);
    store.delete(unsealed.id).await.expect("it is deleted");
    assert_missing(store, unsealed.id, range_of(1)).await;
}

/// A store that can take bytes says so.
pub async fn a_sound_store_is_healthy(store: &Arc<dyn BlobStore>, _: &dyn UploadStore) {
    assert_eq!(store.check_health().await, Ok(()));
}

/// Parts are claimed one by one: others are free.
pub async fn other_parts_are_free(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let (upload, start) = (new_id(), Instant::now());
    let _one = claim(store, upload, 1).await;
    let _two = claim(store, upload, 2).await;
    let _other = claim(store, open(uploads).await.id, 1).await;
    assert!(start.elapsed() < Duration::from_secs(1), "they wait for each other");
}

/// A second writer waits until the first one has ended.
pub async fn a_second_writer_waits_for_the_first(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = open(uploads).await.id;
    let first = claim(store, upload, 1).await;
    let (start, pause) = (Instant::now(), Duration::from_millis(300));
    let end = async {
        tokio::time::sleep(pause).await;
        first.abandon().await;
    };
    let (_second, ()) = futures::join!(claim(store, upload, 1), end);
    assert!(start.elapsed() >= pause, "the part was not free yet");
    assert!(start.elapsed() < SILENCE, "the part was free");
}

/// A writer that shows signs of life keeps its part.
pub async fn a_busy_part_is_refused(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await.id;
    let mut first = claim(store, upload, 1).await;
    first.begin(PLAN).await.expect("there is room");
    let second = store.claim_part(upload, Epoch::FIRST, number(1));
    let mut second = std::pin::pin!(second);
    let mut written = Vec::new();
    let refused = loop {
        tokio::select! {
            claimed = &mut second => break claimed,
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                first.write(Bytes::from_static(b"x")).await.expect("it keeps its part");
                written.push(b'x');
            }
        }
    };
    assert_refused(refused.map(drop), Reason::PartBusy);
    first.persist(Crc32c::of(&written)).await.expect("it has kept its part");
}

/// A writer that is silent for long loses its part, and writes no byte any more.
pub async fn a_silent_writer_is_taken_over(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    let mut silent = claim(store, upload.id, 1).await;
    silent.begin(PLAN).await.expect("there is room");
    silent.write(full_of(1)).await.expect("it is written");
    let start = Instant::now();
    let second = write(store, uploads, &upload, 1, 2).await;
    assert!(start.elapsed() < PATIENCE, "nobody takes over");
    let late = match silent.write(full_of(1)).await {
        Ok(()) => silent.persist(Crc32c::of(&full_of(1).repeat(2))).await.map(drop),
        refused => refused,
    };
    assert_refused(late, Reason::PartBusy);
    drop((silent, second));
    seal(store, upload.id, PART_SIZE).await;
    assert_eq!(read(store, upload.id, range_of(1)).await, full_of(2));
}

/// From its sync until it is dropped a writer cannot be taken over, however
/// silent it is: its record is being committed.
pub async fn a_persisted_part_is_not_taken_over(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = open(uploads).await;
    let first = write(store, uploads, &upload, 1, 1).await;
    let second = async {
        let claimed = store.claim_part(upload.id, Epoch::FIRST, number(1)).await;
        (claimed.map(drop), Instant::now())
    };
    let commit = async {
        tokio::time::sleep(SILENCE).await;
        drop(first);
        Instant::now()
    };
    let ((claimed, taken), ended) = futures::join!(second, commit);
    claimed.expect("the part is free in the end");
    assert!(ended <= taken, "the part was taken while its record was committed");
    seal(store, upload.id, PART_SIZE).await;
    assert_eq!(read(store, upload.id, range_of(1)).await, full_of(1));
}

/// A writer of an older epoch is ended at once, also if it shows signs of life.
pub async fn a_newer_epoch_takes_over_at_once(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    let upload = open(uploads).await.id;
    let mut old = claim(store, upload, 1).await;
    old.begin(PLAN).await.expect("there is room");
    let start = Instant::now();
    let claimed = store.claim_part(upload, Epoch(2), number(1)).await;
    let _new = claimed.expect("the part is free for a newer writer");
    assert!(start.elapsed() < Duration::from_millis(500), "it waits for an older writer");
    let late = match old.write(full_of(1)).await {
        Ok(()) => old.persist(Crc32c::of(&full_of(1))).await.map(drop),
        refused => refused,
    };
    assert_refused(late, Reason::StaleWriter);
    drop(old);
    let older = store.claim_part(upload, Epoch::FIRST, number(1)).await;
    assert_refused(older.map(drop), Reason::StaleWriter);
}

/// After a fence no older writer changes a byte; the current one goes on.
pub async fn a_fence_ends_older_writers(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await.id;
    let mut old = claim(store, upload, 1).await;
    old.begin(PLAN).await.expect("there is room");
    old.write(full_of(1)).await.expect("it is written");
    let claimed = store.claim_part(upload, Epoch(2), number(2)).await;
    let mut current = claimed.expect("the part is free");
    current.begin(PLAN).await.expect("there is room");
    let mut other = claim(store, open(uploads).await.id, 1).await;

    store.fence(upload, Epoch(2)).await;
    let late = match old.write(full_of(1)).await {
        Ok(()) => old.persist(Crc32c::of(&full_of(1))).await.map(drop),
        refused => refused,
    };
    assert_refused(late, Reason::StaleWriter);
    current.write(full_of(2)).await.expect("it is the current writer");
    current.persist(Crc32c::of(&full_of(2))).await.expect("it is the current writer");
    other.begin(PLAN).await.expect("it is another upload");
}

/// A fence waits for a part whose record is being committed.
pub async fn a_fence_waits_for_a_commit(store: &Arc<dyn BlobStore>, uploads: &dyn UploadStore) {
    let upload = open(uploads).await;
    let first = write(store, uploads, &upload, 1, 1).await;
    let fence = async {
        store.fence(upload.id, Epoch::LAST).await;
        Instant::now()
    };
    let commit = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(first);
        Instant::now()
    };
    let (fenced, ended) = futures::join!(fence, commit);
    assert!(ended <= fenced, "the fence has not waited");
}

/// A writer whose caller is gone holds its part until its write is over: nobody
/// else's bytes are overwritten by it.
pub async fn a_dropped_writer_holds_its_part_until_its_write_is_over(
    store: &Arc<dyn BlobStore>,
    uploads: &dyn UploadStore,
) {
    const LARGE: PartPlan = PartPlan { part_size: 4 * 1024 * 1024, size: None };
    let whole = ByteRange { start: 0, end: LARGE.part_size };
    let content = vec![2; 4 << 20];
    for round in 0..20 {
        let mut upload = new_upload(new_owner(), "file", None);
        upload.plan = LARGE;
        upload.max_size = None;
        let upload = create(uploads, upload).await;
        let id = upload.id;
        let first = {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let mut writer = claim(&store, id, 1).await;
                writer.begin(LARGE).await.expect("there is room");
                let bytes = Bytes::from(vec![1; 4 << 20]);
                for at in (0..bytes.len()).step_by(1 << 20) {
                    writer.write(bytes.slice(at..at + (1 << 20))).await.expect("it is written");
                }
                writer.persist(Crc32c::of(&bytes)).await.map(drop)
            })
        };
        tokio::time::sleep(Duration::from_micros(200 * round)).await;
        first.abort();
        let mut second = claim(store, id, 1).await;
        second.begin(LARGE).await.expect("there is room");
        for _ in 0..4 {
            second.write(Bytes::from(vec![2; 1 << 20])).await.expect("it is written");
        }
        drop(persist(uploads, &upload, 1, second, &content).await);
        seal(store, id, LARGE.part_size).await;
        let stored = read(store, id, whole).await;
        assert!(stored.iter().all(|byte| *byte == 2), "round {round}: bytes of two writers");
        store.delete(id).await.expect("it is deleted");
    }
}
