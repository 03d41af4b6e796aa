//! What a process remembers of an upload saves reads, and decides nothing that is
//! not so any more.

use sluice_domain::{ByteRange, Epoch, Error, Reason, UploadState};
use sluice_server::{
    adapters::aws::dynamodb::Records,
    ports::{Recorded, UploadStore},
};

use crate::{
    engine::TTL,
    record_load::{NOW, PART_SIZE, create, owner, part, upload},
    records::several,
};

async fn record(
    records: &Records,
    upload: &sluice_domain::Upload,
    epoch: Epoch,
    number: u32,
) -> Result<Recorded, Error> {
    let (owner, id) = (upload.owner, upload.id);
    records.commit_part(owner, id, epoch, part(number).into(), NOW, TTL).await
}

/// Parts of an upload that nobody else changes are recorded without reading it.
#[tokio::test]
async fn recording_parts_reads_nothing() {
    let [records] = several(1).await.try_into().unwrap_or_else(|_| unreachable!("it is one"));
    let upload = upload(owner(), "file", 8);
    create(&records, &upload).await;
    let read = records.consumed().0;
    for number in 1..=8 {
        assert_eq!(record(&records, &upload, Epoch::FIRST, number).await, Ok(Recorded::New));
    }
    assert!(
        (records.consumed().0 - read).abs() < 0.1,
        "{} read units",
        records.consumed().0 - read
    );
    let read = records.upload(upload.owner, upload.id).await.expect("it is there");
    assert_eq!(read.persisted_bytes, 8 * PART_SIZE);
}

/// Where another process has let somebody else write, the new writer is believed and
/// the old one is not.
#[tokio::test]
async fn a_writer_of_another_process_is_noticed() {
    let [old, new] = several(2).await.try_into().unwrap_or_else(|_| unreachable!("they are two"));
    let upload = upload(owner(), "file", 4);
    let (owner, id, second) = (upload.owner, upload.id, Epoch(Epoch::FIRST.0 + 1));
    create(&old, &upload).await;
    assert_eq!(record(&old, &upload, Epoch::FIRST, 1).await, Ok(Recorded::New));
    new.advance_epoch(owner, id, NOW, TTL).await.expect("it is resumed");
    assert_eq!(record(&new, &upload, second, 2).await, Ok(Recorded::New));

    let stale = record(&old, &upload, Epoch::FIRST, 3).await;
    assert_eq!(stale.map_err(|error| error.reason), Err(Reason::StaleWriter));
    assert_eq!(record(&old, &upload, second, 3).await, Ok(Recorded::New));
    // The other one remembers what was before that.
    assert_eq!(record(&new, &upload, second, 4).await, Ok(Recorded::New));
    let read = old.upload(owner, id).await.expect("it is there");
    assert_eq!((read.persisted_bytes, read.epoch), (4 * PART_SIZE, second));
}

/// An upload that was cancelled elsewhere takes no part.
#[tokio::test]
async fn an_end_by_another_process_is_noticed() {
    let [one, other] = several(2).await.try_into().unwrap_or_else(|_| unreachable!("they are two"));
    let upload = upload(owner(), "file", 2);
    create(&one, &upload).await;
    assert_eq!(record(&one, &upload, Epoch::FIRST, 1).await, Ok(Recorded::New));
    other.cancel(upload.owner, upload.id, NOW).await.expect("it is cancelled");
    let late = record(&one, &upload, Epoch::FIRST, 2).await;
    assert_eq!(late.map_err(|error| error.reason), Err(Reason::UploadNotActive));
    let read = one.upload(upload.owner, upload.id).await.expect("it is there");
    assert_eq!((read.state, read.persisted_bytes), (UploadState::Cancelled, 0));
}

/// The first call of a new writer comes to a process that remembers the old one.
#[tokio::test]
async fn nobody_is_refused_by_what_is_remembered() {
    let [old, new] = several(2).await.try_into().unwrap_or_else(|_| unreachable!("they are two"));
    let upload = upload(owner(), "file", 2);
    create(&old, &upload).await;
    assert_eq!(record(&old, &upload, Epoch::FIRST, 1).await, Ok(Recorded::New));
    new.advance_epoch(upload.owner, upload.id, NOW, TTL).await.expect("it is resumed");
    let second = Epoch(Epoch::FIRST.0 + 1);
    assert_eq!(record(&old, &upload, second, 2).await, Ok(Recorded::New));
}

/// Where there are gaps, a process tells what is persisted without reading all parts,
/// and yet whatever another one has added.
#[tokio::test]
async fn what_is_persisted_is_told_whoever_wrote_it() {
    let [one, other] = several(2).await.try_into().unwrap_or_else(|_| unreachable!("they are two"));
    let upload = upload(owner(), "file", 8);
    let (owner, id) = (upload.owner, upload.id);
    create(&one, &upload).await;
    let mut written: Vec<u32> = Vec::new();
    for (process, number) in [(&one, 1), (&one, 3), (&other, 8), (&one, 5), (&other, 2)] {
        assert_eq!(record(process, &upload, Epoch::FIRST, number).await, Ok(Recorded::New));
        written.push(number);
        for process in [&one, &other, &one] {
            let (read, persisted) = process.persisted(owner, id).await.expect("it is there");
            assert_eq!(read.persisted_bytes, PART_SIZE * written.len() as u64);
            assert_eq!(persisted.total(), read.persisted_bytes);
            for number in 1..=8 {
                let start = u64::from(number - 1) * PART_SIZE;
                let is_told = persisted.contains(ByteRange { start, end: start + PART_SIZE });
                assert_eq!(is_told, written.contains(&number), "part {number} of {written:?}");
            }
        }
    }
    let units = one.consumed().0;
    one.persisted(owner, id).await.expect("it is there");
    assert!(one.consumed().0 - units < 2.1, "it reads more than the upload");
}
