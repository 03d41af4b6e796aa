//! Writers, readers and the worker in each other's way, at the worst moment.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use sluice_domain::{
    ByteRange, Crc32c, Epoch, OnConflict, Part, PartDetail, PartNumber, PartPlan, Reason, Result,
    UploadId, UploadState,
};
use sluice_server::{
    ports::{
        AnswerHeaders, BlobReader, BlobStore, Event, ForeignPart, PartWriter, Sealed,
        SignedRequest, StoredPart,
    },
    service::{
        ingest::{self, Replies, Target, WriteMessage, Wrote},
        uploads,
    },
};
use sluice_tests::Content;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use crate::{
    clock::ManualClock,
    ledger::{Declared, Entry},
    server::{CALLER, Server},
    simulation::{Held, SimulatedDisk},
};

const PART: u64 = 4096;

/// Long enough for everything that does not have to wait.
const MOMENT: Duration = Duration::from_millis(300);

fn boot() -> Server {
    Server::boot(&SimulatedDisk::new(), &ManualClock::new()).expect("a new disk boots")
}

/// A new upload.
async fn create(server: &Server, size: u64, part_size: u64) -> UploadId {
    let content = Content::new(0, size);
    let entry = Entry::new(0, "file", OnConflict::Fail, content, part_size, Declared::Nothing);
    let created = uploads::create(&server.context, CALLER, entry.request).await;
    created.expect("it is created").upload.id
}

/// A stream of the first writer that sends the only part in four frames. After
/// the first one it waits, if it shall.
async fn send(server: &Server, id: UploadId, content: Content, wait: Duration) -> Result<Wrote> {
    let frame = content.size() / 4;
    let mut messages = (0..4).map(|index| {
        let data = content.bytes(index * frame..(index + 1) * frame);
        let crc32c = Some(Crc32c::of(&data));
        WriteMessage { offset: index * frame, data, crc32c, ..WriteMessage::default() }
    });
    let first = messages.next().expect("four messages");
    let rest: Vec<_> = messages.map(Ok).collect();
    let rest = stream::once(tokio::time::sleep(wait)).flat_map(|()| stream::iter(rest.clone()));
    let target = Target::Existing { id, epoch: Epoch::FIRST };
    let rest = Box::pin(rest);
    let context = &server.context;
    let written = ingest::write(context, CALLER, target, first, rest, Replies::none()).await;
    written.map_err(|refused| refused.error)
}

/// The part's bytes as they are stored, if it is recorded; they must be those of
/// the record.
async fn stored(server: &Server, id: UploadId, part_size: u64) -> Option<Vec<u8>> {
    let written = server.context.uploads.written(CALLER.owner, id, PartNumber::FIRST).await;
    let part = written.expect("the upload is there").part?;
    let range = ByteRange { start: 0, end: part_size };
    let reader = server.context.blobs.open(id).await.expect("a recorded part is there");
    let bytes = reader.read(range).await.expect("a recorded part is there");
    assert_eq!(Crc32c::of(&bytes), part.crc32c, "the record is of other bytes");
    Some(bytes.to_vec())
}

#[tokio::test]
async fn bytes_of_two_writers_never_mix() {
    const LARGE: u64 = 4 * 1024 * 1024;
    for round in 0..5 {
        let server = boot();
        let id = create(&server, LARGE, LARGE).await;
        let contents: Vec<_> = (0..16).map(|seed| Content::new(round * 16 + seed, LARGE)).collect();
        let sent = contents.iter().map(|content| send(&server, id, *content, Duration::ZERO));
        let outcomes = join_all(sent).await;
        let bytes = stored(&server, id, LARGE).await.expect("one of them has written it");
        for (content, outcome) in contents.iter().zip(outcomes) {
            match outcome {
                Ok(_) => assert!(content.matches(0, &bytes), "accepted, and not stored"),
                Err(error) => assert!(
                    matches!(error.reason, Reason::ContentConflict | Reason::PartBusy),
                    "{error}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_claim_lasts_until_the_record_is_committed() {
    let server = boot();
    let id = create(&server, PART, PART).await;
    let (honest, rival) = (Content::new(1, PART), Content::new(2, PART));
    server.disk.hold(Held::Log);
    let first = async {
        // Its caller goes away while the record is being committed.
        let sent = send(&server, id, honest, Duration::ZERO);
        let sent = timeout(Duration::from_millis(300), sent).await;
        assert!(sent.is_err(), "it was acknowledged before it was committed");
    };
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send(&server, id, rival, Duration::ZERO).await
    };
    let release = async {
        // Long after the first writer has fallen silent.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        server.disk.release();
    };
    let ((), second, ()) = tokio::join!(first, second, release);
    let bytes = stored(&server, id, PART).await.expect("the first one was committed");
    assert!(honest.matches(0, &bytes), "the part was given away before it was committed");
    assert_reason(second, Reason::ContentConflict);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_holds_its_part() {
    const LARGE: PartPlan = PartPlan { part_size: 4 * 1024 * 1024, size: None };
    let server = boot();
    let blobs = &server.context.blobs;
    let id = UploadId::from_uuid(Uuid::from_u128(1));
    let claim = || blobs.claim_part(id, Epoch::FIRST, PartNumber::FIRST);
    let mut writer = claim().await.expect("it is free");
    writer.begin(LARGE).await.expect("there is room");
    server.disk.hold(Held::Parts);
    writer.write(Bytes::from(vec![1; 1024 * 1024])).await.expect("it is on its way");
    drop(writer);
    assert!(timeout(MOMENT, claim()).await.is_err(), "two writers could write at once");
    server.disk.release();
    claim().await.expect("it is free");
}

#[tokio::test]
async fn a_file_is_not_created_after_its_upload_was_removed() {
    let server = boot();
    let blobs = &server.context.blobs;
    let id = UploadId::from_uuid(Uuid::from_u128(1));
    let claimed = blobs.claim_part(id, Epoch::FIRST, PartNumber::FIRST).await;
    let mut writer = claimed.expect("it is free");
    server.disk.hold(Held::Parts);
    let plan = PartPlan { part_size: PART, size: None };
    assert!(timeout(MOMENT, writer.begin(plan)).await.is_err(), "it is held");
    drop(writer);
    let remove = async {
        blobs.fence(id, Epoch::LAST).await;
        blobs.delete(id).await
    };
    let release = async {
        tokio::time::sleep(MOMENT).await;
        server.disk.release();
    };
    let (removed, ()) = tokio::join!(remove, release);
    removed.expect("it is removed");
    server.context.tasks.finish(Duration::from_secs(10)).await;
    assert!(server.disk.blob_names().is_empty(), "a file came after its upload was removed");
}

#[tokio::test]
async fn a_writer_that_waited_sees_that_the_upload_was_cancelled() {
    let mut server = boot();
    let claims = Arc::new(Semaphore::new(0));
    let inner = Arc::clone(&server.context.blobs);
    server.context.blobs = Arc::new(LateClaims { inner, claims: Arc::clone(&claims) });
    let id = create(&server, PART, PART).await;
    let write = send(&server, id, Content::new(1, PART), Duration::ZERO);
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        uploads::cancel(&server.context, CALLER, id).await.expect("it is cancelled");
        server.settle().await.expect("its bytes are deleted");
        claims.add_permits(1);
    };
    let (written, ()) = tokio::join!(write, cancel);
    assert_reason(written, Reason::UploadNotActive);
    assert!(server.disk.blob_names().is_empty(), "a writer of a cancelled upload has left bytes");
}

#[tokio::test]
async fn a_writer_that_waited_sees_that_another_has_resumed() {
    let server = boot();
    let id = create(&server, PART, PART).await;
    // Two streams want one part; while the second one waits for the first, a
    // newer writer comes.
    let wait = Duration::from_millis(600);
    let first = send(&server, id, Content::new(1, PART), wait);
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send(&server, id, Content::new(1, PART), wait).await
    };
    let resume = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        uploads::resume(&server.context, CALLER, id).await.expect("it is resumed");
    };
    let (first, second, ()) = tokio::join!(first, second, resume);
    assert_reason(first, Reason::StaleWriter);
    assert_reason(second, Reason::StaleWriter);
    assert_eq!(stored(&server, id, PART).await, None);
}

#[tokio::test]
async fn bytes_that_are_in_use_are_not_deleted() {
    let server = boot();
    let id = create(&server, PART, PART).await;
    let content = Content::new(1, PART);
    send(&server, id, content, Duration::ZERO).await.expect("it is written");
    server.deliver(Event::DeleteBlob { owner: CALLER.owner, upload_id: id });
    server.settle().await.expect("there is nothing to do");
    let bytes = stored(&server, id, PART).await.expect("it is recorded");
    assert!(content.matches(0, &bytes));
    let status = uploads::get(&server.context, CALLER, id).await.expect("it is there");
    assert_eq!(status.upload.state, UploadState::Active);
}

#[tokio::test]
async fn callers_who_go_away_leave_a_working_server() {
    const PARTS: u32 = 3000;
    let server = boot();
    let id = create(&server, PART * u64::from(PARTS), PART).await;
    let store = &server.context.uploads;
    let recorded = (1..=PARTS).map(|number| {
        let part = Part {
            number: PartNumber::new(number).expect("from 1 on"),
            size: PART,
            crc32c: Crc32c::EMPTY,
            detail: Some(PartDetail {
                blocks: vec![Crc32c::EMPTY],
                chaining_value: [0; 32],
                root: None,
            }),
        };
        let (now, ttl) = (server.context.clock.now(), Duration::from_secs(60));
        store.commit_part(CALLER.owner, id, Epoch::FIRST, part.into(), now, ttl)
    });
    join_all(recorded).await.into_iter().collect::<Result<Vec<_>>>().expect("they are recorded");

    // Look-ups that take a while, of which the first ones are not waited for.
    let look_up = || store.parts(CALLER.owner, id, None, u32::MAX);
    for round in 0..50 {
        let abandoned = join_all((0..8).map(|_| look_up()));
        let _ = timeout(Duration::from_micros(round * 10), abandoned).await;
        for parts in join_all((0..8).map(|_| look_up())).await {
            assert_eq!(parts.expect("it is answered").len(), PARTS as usize);
        }
    }
}

#[track_caller]
fn assert_reason<T>(outcome: Result<T>, reason: Reason) {
    assert_eq!(outcome.err().map(|error| error.reason), Some(reason));
}

/// A blob store that gives claims out when the test says so.
struct LateClaims {
    inner: Arc<dyn BlobStore>,
    claims: Arc<Semaphore>,
}

#[async_trait]
impl BlobStore for LateClaims {
    async fn claim_part(
        &self,
        upload: UploadId,
        epoch: Epoch,
        part: PartNumber,
    ) -> Result<Box<dyn PartWriter>> {
        self.claims.acquire().await.expect("it is never closed").forget();
        self.inner.claim_part(upload, epoch, part).await
    }

    async fn fence(&self, upload: UploadId, epoch: Epoch) {
        self.inner.fence(upload, epoch).await;
    }

    async fn sign_parts(
        &self,
        upload: UploadId,
        parts: Vec<ForeignPart>,
        lifetime: Duration,
    ) -> Result<Option<Vec<SignedRequest>>> {
        self.inner.sign_parts(upload, parts, lifetime).await
    }

    async fn find_parts(
        &self,
        upload: UploadId,
        parts: BTreeSet<PartNumber>,
    ) -> Result<Vec<StoredPart>> {
        self.inner.find_parts(upload, parts).await
    }

    async fn sign_read(
        &self,
        upload: UploadId,
        lifetime: Duration,
        headers: AnswerHeaders,
    ) -> Result<Option<String>> {
        self.inner.sign_read(upload, lifetime, headers).await
    }

    async fn is_sealed(&self, upload: UploadId, size: u64) -> Result<bool> {
        self.inner.is_sealed(upload, size).await
    }

    async fn seal(&self, upload: UploadId, size: u64) -> Result<Sealed> {
        self.inner.seal(upload, size).await
    }

    async fn open(&self, upload: UploadId) -> Result<Arc<dyn BlobReader>> {
        self.inner.open(upload).await
    }

    async fn delete(&self, upload: UploadId) -> Result<()> {
        self.inner.delete(upload).await
    }

    async fn check_health(&self) -> Result<()> {
        self.inner.check_health().await
    }
}
