//! Many at the same records at the same time, by way of several processes: what
//! each has as a [`Records`] of its own.

use std::{collections::HashSet, time::Duration};

use futures::future::{join_all, try_join_all};
use sluice_domain::{
    AccountId, Checksums, ContentType, Crc32c, Epoch, FileDigest, FileId, FileName, Metadata,
    OnConflict, Part, PartDetail, PartHasher, PartNumber, PartPlan, Quota, Reason, Result,
    Timestamp, Upload, UploadId, UploadState,
};
use sluice_server::{
    adapters::aws::dynamodb::Records,
    ports::{AccountStore, ChangeFeed, Changed, Freeze, NewUpload, UploadStore},
};
use uuid::Uuid;

use crate::records::{records, several};

pub(crate) const PART_SIZE: u64 = 4096;
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn upload(owner: AccountId, name: &str, parts: u32) -> Upload {
    let size = u64::from(parts) * PART_SIZE;
    Upload {
        id: UploadId::from_uuid(Uuid::now_v7()),
        file_id: FileId::from_uuid(Uuid::now_v7()),
        owner,
        state: UploadState::Active,
        name: FileName::parse(name, "name").expect("a name"),
        content_type: ContentType::parse("text/plain", "content_type").expect("a type"),
        plan: PartPlan { part_size: PART_SIZE, size: Some(size) },
        max_size: None,
        persisted_bytes: 0,
        reserved: size,
        epoch: Epoch::FIRST,
        declared: Checksums::default(),
        metadata: Metadata::default(),
        on_conflict: OnConflict::Fail,
        create_time: NOW,
        update_time: NOW,
        expire_time: NOW.plus(TTL),
        completion: None,
        error: None,
    }
}

pub(crate) fn owner() -> AccountId {
    AccountId::from_uuid(Uuid::now_v7())
}

pub(crate) async fn create(records: &Records, upload: &Upload) {
    let new = NewUpload { upload: upload.clone(), request: None, quota: Quota::default() };
    records.create_upload(new).await.expect("the upload is created");
}

/// As the record of 8 MiB would be, whatever was hashed.
pub(crate) fn part(number: u32) -> Part {
    let number = PartNumber::new(number).expect("a part's number");
    let plan = PartPlan { part_size: PART_SIZE, size: None };
    let bytes = vec![7; 4096];
    let mut hasher = PartHasher::new(number, plan.start(number));
    assert!(hasher.fold(&bytes, Crc32c::of(&bytes)));
    let part = hasher.finish();
    let blocks = vec![Crc32c(7); 8];
    let detail = part.detail.map(|detail| PartDetail { blocks, ..detail });
    Part { detail, ..part }
}

pub(crate) async fn record(records: &Records, upload: &Upload, number: u32) -> Result<()> {
    let (owner, id) = (upload.owner, upload.id);
    records.commit_part(owner, id, Epoch::FIRST, part(number).into(), NOW, TTL).await.map(drop)
}

/// Each of so many streams records its share of the parts, one after the other.
/// Answers how many write units a part has cost.
async fn streams(processes: &[Records], upload: &Upload, streams: u32, each: u32) -> f64 {
    let units = || processes.iter().map(|it| it.consumed().1).sum::<f64>();
    let before = units();
    let stream = async |stream: u32| {
        let process = &processes[stream as usize % processes.len()];
        for index in 0..each {
            record(process, upload, index * streams + stream + 1).await?;
        }
        Ok::<_, sluice_domain::Error>(())
    };
    let all = try_join_all((0..streams).map(stream)).await;
    all.expect("no part fails because others are recorded");
    (units() - before) / f64::from(streams * each)
}

/// Sixteen streams on one upload share transactions, so that they do not get in
/// each other's way and a part costs little more than its own item.
#[tokio::test]
async fn many_streams_record_parts_of_one_upload() {
    let records = records().await;
    for (count, most) in [(1, 6.0), (4, 4.0), (16, 3.0)] {
        let upload = upload(owner(), "file", 64);
        create(&records, &upload).await;
        let units = streams(std::slice::from_ref(&records), &upload, count, 64 / count).await;
        println!("{count:2} streams: {units:.2} write units for each part");
        assert!((2.0..=most).contains(&units), "{units} write units for each part");
        let (read, persisted) =
            records.persisted(upload.owner, upload.id).await.expect("it is there");
        assert_eq!((read.persisted_bytes, persisted.total()), (64 * PART_SIZE, 64 * PART_SIZE));
    }
}

/// The same where the streams are spread over two processes.
#[tokio::test]
async fn streams_of_two_processes_record_parts_of_one_upload() {
    let processes = several(2).await;
    let upload = upload(owner(), "file", 96);
    create(&processes[0], &upload).await;
    let units = streams(&processes, &upload, 16, 6).await;
    println!("16 streams of two processes: {units:.2} write units for each part");
    let (read, persisted) =
        processes[1].persisted(upload.owner, upload.id).await.expect("it is there");
    assert_eq!((read.persisted_bytes, persisted.total()), (96 * PART_SIZE, 96 * PART_SIZE));
}

/// Sixty-four uploads of one owner, from the first call to the last, by two
/// processes: all become files, what is held adds up, and every change is told.
#[tokio::test]
async fn many_uploads_of_one_owner_become_files() {
    const UPLOADS: u64 = 64;
    let processes = several(2).await;
    let owner = owner();
    let start = processes[0].end(owner).await.expect("a place");
    let one = async |index: u64| {
        let process = &processes[usize::try_from(index).expect("few") % processes.len()];
        let upload = upload(owner, &format!("file-{index}"), 2);
        create(process, &upload).await;
        try_join_all([1, 2].map(|number| record(process, &upload, number))).await?;
        let digest = FileDigest::of(&[part(1), part(2)]);
        let freeze = Freeze {
            epoch: None,
            digest,
            sha256: None,
            blake3: None,
            name: None,
            on_conflict: None,
        };
        process.freeze(owner, upload.id, freeze, NOW).await?;
        let file = process.publish(owner, upload.id, NOW).await?;
        Ok::<_, sluice_domain::Error>((upload.id, file.id))
    };
    let files = try_join_all((0..UPLOADS).map(one)).await.expect("all become files");

    let mut told = HashSet::new();
    let mut place = start;
    loop {
        let page = processes[1].changes(owner, place, 10, Duration::ZERO).await.expect("a page");
        if page.changes.is_empty() {
            break;
        }
        place = page.end;
        for change in page.changes {
            assert!(told.insert(change.what), "{change:?} is told twice");
        }
    }
    let expected = files.iter().flat_map(|(upload, id)| {
        [Changed::Upload(*upload), Changed::File { id: *id, upload: *upload }]
    });
    assert_eq!(told, expected.collect());
    let units: f64 = processes.iter().map(|process| process.consumed().1).sum();
    println!("an upload of two parts costs {:.1} write units", units / 64.0);
}

/// The last place of a quota is taken once, also where many ask several
/// processes, and is free again for the next one.
#[tokio::test]
async fn the_last_place_is_taken_once_by_several_processes() {
    let processes = several(3).await;
    let owner = owner();
    let quota =
        Quota { max_bytes: Some(10 * PART_SIZE), max_active_uploads: Some(3), ..Quota::default() };
    for round in 0..3 {
        let tried = (0..32_usize).map(|index| {
            let upload = upload(owner, &format!("{round}-{index}"), 1);
            processes[index % 3].create_upload(NewUpload { upload, request: None, quota })
        });
        let tried = join_all(tried).await;
        assert_eq!(tried.iter().filter(|outcome| outcome.is_ok()).count(), 3);
        for outcome in tried.into_iter().filter_map(Result::err) {
            assert_eq!(outcome.reason, Reason::QuotaExceeded, "{outcome}");
        }
        let query = sluice_server::ports::UploadQuery {
            states: vec![UploadState::Active],
            after: None,
            limit: 100,
        };
        let open = processes[0].list_uploads(owner, query).await.expect("a list");
        assert_eq!(open.uploads.len(), 3);
        let cancelled = open.uploads.iter().zip(&processes);
        join_all(cancelled.map(|(upload, process)| process.cancel(owner, upload.id, NOW))).await;
    }
}

/// What a deleted account had is gone, whoever still changes it meanwhile.
#[tokio::test]
async fn nothing_of_a_purged_account_is_left() {
    let processes = several(2).await;
    let account = processes[0].operator(owner(), NOW).await.expect("it is made").id;
    let created = (0..20).map(|index| upload(account, &format!("file-{index}"), 1));
    let created: Vec<_> = created.collect();
    for upload in &created {
        create(&processes[0], upload).await;
    }
    let deleted = sluice_domain::AccountStatus::Deleted;
    processes[1].set_status(account, deleted, NOW).await.expect("it is deleted");
    let write = async |upload: &Upload| {
        let _ = record(&processes[0], upload, 1).await;
    };
    let purge = async || {
        while processes[1].purge(account, 3, NOW).await.expect("it is purged") {}
    };
    futures::join!(join_all(created.iter().map(write)), purge());
    for upload in &created {
        let read = processes[0].upload(account, upload.id).await;
        assert_eq!(read.map_err(|error| error.reason), Err(Reason::UploadNotFound));
    }
}
