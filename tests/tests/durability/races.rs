//! Writers, readers and the worker in each other's way, at the worst moment.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use sluice_domain::{
    ByteRange, Crc32c, Epoch, Error, OnConflict, PartNumber, PartPlan, Reason, Result, UploadId,
    UploadState,
};
use sluice_server::{
    ports::Event,
    service::{
        ingest::{self, Replies, Target, WriteMessage, Wrote},
        uploads,
    },
};
use sluice_tests::Content;

use crate::{
    clock::ManualClock,
    ledger::{Declared, Entry},
    server::{CALLER, Server},
    simulation::SimulatedDisk,
};

const PART: u64 = 4096;

fn boot() -> Server {
    Server::boot(&SimulatedDisk::new(), &ManualClock::new()).expect("a new disk boots")
}

/// A new upload of one part.
async fn create(server: &Server, part_size: u64) -> UploadId {
    let content = Content::new(0, part_size);
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
        let id = create(&server, LARGE).await;
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
    let id = create(&server, PART).await;
    let (honest, rival) = (Content::new(1, PART), Content::new(2, PART));
    server.disk.hold_log(true);
    let first = async {
        // Its caller goes away while the record is being committed.
        let sent = send(&server, id, honest, Duration::ZERO);
        let sent = tokio::time::timeout(Duration::from_millis(300), sent).await;
        assert!(sent.is_err(), "it was acknowledged before it was committed");
    };
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send(&server, id, rival, Duration::ZERO).await
    };
    let release = async {
        // Long after the first writer has fallen silent.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        server.disk.hold_log(false);
    };
    let ((), second, ()) = tokio::join!(first, second, release);
    let bytes = stored(&server, id, PART).await.expect("the first one was committed");
    assert!(honest.matches(0, &bytes), "the part was given away before it was committed");
    assert_reason(second, Reason::ContentConflict);
}

#[tokio::test]
async fn a_writer_that_waited_sees_that_the_upload_was_cancelled() {
    let server = boot();
    let id = create(&server, PART).await;
    let (first, second) = while_one_waits(&server, id, async {
        uploads::cancel(&server.context, CALLER, id).await.expect("it is cancelled");
        server.settle().await.expect("its bytes are deleted");
    })
    .await;
    assert_reason(first, Reason::UploadNotActive);
    assert_reason(second, Reason::UploadNotActive);
    server.settle().await.expect("there is nothing to do");
    assert!(server.disk.blob_names().is_empty(), "a writer of a cancelled upload has left bytes");
}

#[tokio::test]
async fn a_writer_that_waited_sees_that_another_has_resumed() {
    let server = boot();
    let id = create(&server, PART).await;
    let (first, second) = while_one_waits(&server, id, async {
        uploads::resume(&server.context, CALLER, id).await.expect("it is resumed");
    })
    .await;
    assert_reason(first, Reason::StaleWriter);
    assert_reason(second, Reason::StaleWriter);
    assert_eq!(stored(&server, id, PART).await, None);
}

/// Two streams want one part; while the second one waits for the first,
/// something is decided.
async fn while_one_waits(
    server: &Server,
    id: UploadId,
    decision: impl Future<Output = ()>,
) -> (Result<Wrote>, Result<Wrote>) {
    let content = Content::new(1, PART);
    let first = send(server, id, content, Duration::from_millis(600));
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        send(server, id, content, Duration::from_millis(600)).await
    };
    let decision = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        decision.await;
    };
    let (first, second, ()) = tokio::join!(first, second, decision);
    (first, second)
}

#[tokio::test]
async fn bytes_that_are_in_use_are_not_deleted() {
    let server = boot();
    let id = create(&server, PART).await;
    let content = Content::new(1, PART);
    send(&server, id, content, Duration::ZERO).await.expect("it is written");
    server.deliver(Event::DeleteBlob { upload_id: id });
    server.settle().await.expect("there is nothing to do");
    let bytes = stored(&server, id, PART).await.expect("it is recorded");
    assert!(content.matches(0, &bytes));
    let status = uploads::get(&server.context, CALLER, id).await.expect("it is there");
    assert_eq!(status.upload.state, UploadState::Active);
}

#[tokio::test]
async fn callers_who_go_away_leave_a_working_server() {
    let server = boot();
    let id = create(&server, PART).await;
    for micros in 0..500 {
        let looks = (0..8).map(|_| uploads::get(&server.context, CALLER, id));
        let _ = tokio::time::timeout(Duration::from_micros(micros % 50), join_all(looks)).await;
    }
    let looks = (0..64).map(|_| uploads::get(&server.context, CALLER, id));
    let plan = PartPlan { part_size: PART, size: Some(PART) };
    for status in join_all(looks).await {
        assert_eq!(status.expect("it is answered").upload.plan, plan);
    }
}

#[track_caller]
fn assert_reason<T>(outcome: Result<T, Error>, reason: Reason) {
    let reasons: HashSet<_> = outcome.err().map(|error| error.reason).into_iter().collect();
    assert_eq!(reasons, HashSet::from([reason]));
}
