//! The blob store in S3, with records in SQLite.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sluice_domain::{
    AccountId, Checksums, ContentType, Crc32c, Epoch, FileDigest, FileId, FileName, Metadata,
    OnConflict, PartHasher, PartNumber, PartPlan, Quota, Result, Timestamp, Upload, UploadId,
    UploadState,
};
use sluice_server::{
    adapters::{
        aws::S3BlobStore,
        embedded::{Database, DatabaseOptions},
    },
    ports::{
        BlobRecords, BlobStore, Freeze, NewUpload, PartWriter, PersistedPart, Recorded, UploadStore,
    },
    tasks::Tasks,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::account::Account;

/// Small, but a whole BLAKE3 subtree.
pub(crate) const PART_SIZE: u64 = 1024;

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

/// How long their uploads live.
pub(crate) const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// A blob store in a bucket of its own.
pub(crate) struct Engine {
    pub(crate) account: Account,
    pub(crate) database: Arc<Database>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    _folder: TempDir,
}

impl Engine {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With more lines in the section `[aws]`.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::of(Account::with(lines).await)
    }

    /// In this account.
    pub(crate) fn of(account: Account) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let options = DatabaseOptions::new(folder.path().join("sluice.db"));
        let database = Database::open(options, Tasks::new()).expect("the database opens");
        let database = Arc::new(database);
        let blobs = blobs(&account, Arc::clone(&database) as _);
        Self { account, database, blobs, _folder: folder }
    }

    pub(crate) async fn create(&self, size: u64) -> Upload {
        let upload = new_upload(size);
        let new = NewUpload { upload: upload.clone(), request: None, quota: Quota::default() };
        self.database.create_upload(new).await.expect("it is created");
        upload
    }

    /// The keys of all objects.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let list = self.account.clients.s3.list_objects_v2().bucket(&self.account.bucket);
        let listed = list.send().await.expect("it is listed");
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }

    /// How many multipart uploads are open.
    pub(crate) async fn multiparts(&self) -> usize {
        let list = self.account.clients.s3.list_multipart_uploads().bucket(&self.account.bucket);
        list.send().await.expect("it is listed").uploads().len()
    }

    /// Records a part.
    pub(crate) async fn record(&self, upload: &Upload, part: PersistedPart) -> Recorded {
        let (owner, id) = (upload.owner, upload.id);
        let recorded = self.database.commit_part(owner, id, Epoch::FIRST, part, NOW, TTL).await;
        recorded.expect("it is recorded")
    }

    /// The store as another process has it.
    pub(crate) fn another(&self) -> Arc<dyn BlobStore> {
        blobs(&self.account, Arc::clone(&self.database) as _)
    }

    /// The store as a process has it whose records are these.
    pub(crate) fn blobs_with(&self, records: Arc<dyn BlobRecords>) -> Arc<dyn BlobStore> {
        blobs(&self.account, records)
    }
}

/// A part's bytes.
pub(crate) fn full_of(byte: u8) -> Bytes {
    Bytes::from(vec![byte; PART_SIZE as usize])
}

/// Writes a part and answers its record with the writer that holds it.
pub(crate) async fn try_persist(
    blobs: &Arc<dyn BlobStore>,
    upload: &Upload,
    part: u32,
    bytes: Bytes,
) -> Result<(PersistedPart, Box<dyn PartWriter>)> {
    let number = number(part);
    let claimed = blobs.claim_part(upload.id, Epoch::FIRST, number).await;
    let mut writer = claimed.expect("the part is free");
    writer.begin(upload.plan).await.expect("there is room");
    writer.write(bytes.clone()).await.expect("it is written");
    let persisted = writer.persist(Crc32c::of(&bytes)).await?;
    let mut hasher = PartHasher::new(number, upload.plan.start(number));
    assert!(hasher.fold(&bytes, Crc32c::of(&bytes)));
    Ok((PersistedPart { record: hasher.finish(), bytes: persisted }, writer))
}

/// The same where nothing fails.
pub(crate) async fn persist(
    blobs: &Arc<dyn BlobStore>,
    upload: &Upload,
    part: u32,
    bytes: Bytes,
) -> (PersistedPart, Box<dyn PartWriter>) {
    try_persist(blobs, upload, part, bytes).await.expect("it is persisted")
}

pub(crate) fn number(number: u32) -> PartNumber {
    PartNumber::new(number).expect("a part's number")
}

/// An upload that nobody has created yet.
pub(crate) fn new_upload(size: u64) -> Upload {
    Upload {
        id: UploadId::from_uuid(Uuid::now_v7()),
        file_id: FileId::from_uuid(Uuid::now_v7()),
        owner: AccountId::from_uuid(Uuid::now_v7()),
        state: UploadState::Active,
        name: FileName::parse("file", "name").expect("a name"),
        content_type: ContentType::parse("text/plain", "content_type").expect("a type"),
        plan: PartPlan { part_size: PART_SIZE, size: Some(size) },
        max_size: None,
        persisted_bytes: 0,
        reserved: size,
        epoch: Epoch::FIRST,
        declared: Checksums::default(),
        metadata: Metadata::parse([].into(), "metadata").expect("metadata"),
        on_conflict: OnConflict::Fail,
        create_time: NOW,
        update_time: NOW,
        expire_time: NOW.plus(TTL),
        completion: None,
        error: None,
    }
}

/// What freezes an upload whose parts are full of these bytes.
pub(crate) fn freeze_of(parts: &[u8]) -> Freeze {
    let part = |(index, byte): (usize, &u8)| {
        let number = number(u32::try_from(index).expect("few") + 1);
        let plan = PartPlan { part_size: PART_SIZE, size: None };
        let bytes = vec![*byte; PART_SIZE as usize];
        let mut hasher = PartHasher::new(number, plan.start(number));
        assert!(hasher.fold(&bytes, Crc32c::of(&bytes)));
        hasher.finish()
    };
    let parts: Vec<_> = parts.iter().enumerate().map(part).collect();
    let digest = FileDigest::of(&parts);
    Freeze { epoch: None, digest, sha256: None, blake3: None, name: None, on_conflict: None }
}

fn blobs(account: &Account, records: Arc<dyn BlobRecords>) -> Arc<dyn BlobStore> {
    let (client, bucket) = (account.clients.s3.clone(), account.bucket.clone());
    Arc::new(S3BlobStore::new(&account.config, client, bucket, records, Tasks::new()))
}
