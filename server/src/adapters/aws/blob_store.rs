//! Bytes in S3.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use moka::sync::Cache;
use sluice_domain::{ByteRange, Crc32c, Epoch, Error, PartNumber, Reason, Result, UploadId};
use tokio::{sync::OnceCell, time::Instant};
use uuid::Uuid;

use super::{
    bucket::{Bucket, Found, ListedPart},
    calls::Fault,
    layout::Layout,
    part_content::PartContent,
    part_writer::S3PartWriter,
    presigned::Presigner,
    room::Room,
    storage_tag::StoredAs,
};
use crate::{
    adapters::claims::Claims,
    config::AwsConfig,
    ports::{
        AnswerHeaders, BlobReader, BlobRecords, BlobStore, ForeignPart, PartWriter, Sealed,
        SignedRequest, StorageTag, StoredPart,
    },
    tasks::Tasks,
};

/// How long storage counts as sound after it has answered.
const FRESH: Duration = Duration::from_secs(10);

/// Uploads whose multipart upload is remembered; others are looked up again.
const PLACES: u64 = 10_000;

/// How often a call is made again that storage refuses because of another one of
/// the same kind.
pub(super) const MOST_CONFLICTS: u32 = 3;

/// The pause before that, growing.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_millis(200);

/// Stores an upload of one part as one object, and others by a multipart upload,
/// which becomes an object when the upload is sealed.
///
/// Keys are never used again, so what late requests of dead processes store is
/// never read. What exists is known from the records; a bucket is listed only below
/// the prefix of one upload, to remove what nobody needs.
pub struct S3BlobStore {
    pub(super) shared: Arc<Shared>,
    claims: Arc<Claims>,
}

/// What the store and its writers share.
pub(super) struct Shared {
    pub(super) bucket: Bucket,
    pub(super) records: Arc<dyn BlobRecords>,
    pub(super) layout: Layout,
    pub(super) room: Arc<Room>,
    pub(super) tasks: Tasks,
    presigner: Presigner,
    /// Ids of multipart uploads. One is created once, however many parts of an
    /// upload are sent at the same time.
    places: Cache<UploadId, Arc<OnceCell<String>>>,
}

impl S3BlobStore {
    /// A store in this bucket. Nothing is called yet.
    pub fn new(
        config: &AwsConfig,
        client: aws_sdk_s3::Client,
        bucket: String,
        records: Arc<dyn BlobRecords>,
        tasks: Tasks,
    ) -> Self {
        let folder: PathBuf = config.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
        Self {
            shared: Arc::new(Shared {
                presigner: Presigner::new(config, &client, bucket.clone()),
                bucket: Bucket::new(client, bucket, config.clone(), tasks.clone()),
                records,
                layout: Layout::new(config.key_prefix.clone()),
                room: Room::new(config.part_memory, config.spill_size, folder),
                tasks,
                places: Cache::new(PLACES),
            }),
            claims: Arc::default(),
        }
    }
}

impl Shared {
    /// Stores a whole file.
    pub(super) async fn put_whole(
        &self,
        upload: UploadId,
        content: &PartContent,
        crc32c: Crc32c,
    ) -> Result<StoredAs> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            tracing::error!(%error, "the system gives no random numbers");
            Error::storage_io("the server has a problem of its own; try again")
        })?;
        let attempt = uuid::Builder::from_random_bytes(random).into_uuid();
        let key = self.layout.whole(upload, attempt);
        for conflicts in 1..=MOST_CONFLICTS {
            match self.bucket.put(&key, content, crc32c).await {
                Ok(etag) => return Ok(StoredAs::Object { attempt, etag }),
                // Nobody else knows this key: an earlier attempt of the same call was
                // answered too late, or is still under way.
                Err(fault) if is_conflict(&fault) => {
                    let found = self.bucket.find(&key).await;
                    match found.map_err(|fault| fault.unexpected("HeadObject"))? {
                        Some(found) if self.is(&found, content.size(), crc32c) => {
                            return Ok(StoredAs::Object { attempt, etag: found.etag });
                        }
                        _ => tokio::time::sleep(CONFLICT_PAUSE * conflicts).await,
                    }
                }
                Err(fault) => return Err(fault.unexpected("PutObject")),
            }
        }
        Err(Error::storage_io("the server's storage is busy; try again"))
    }

    /// Removes what [`put_whole`](Self::put_whole) has stored. What stays because
    /// this fails is removed with the upload.
    pub(super) async fn remove_whole(&self, upload: UploadId, attempt: Uuid) {
        if let Err(fault) = self.bucket.delete(&self.layout.whole(upload, attempt)).await {
            let error = fault.unexpected("DeleteObject");
            tracing::warn!(%upload, %error, "bytes without a record stay for now");
        }
    }

    /// Stores one of several parts.
    pub(super) async fn put_part(
        &self,
        upload: UploadId,
        part: PartNumber,
        content: &PartContent,
        crc32c: Crc32c,
    ) -> Result<StoredAs> {
        let key = self.layout.parts(upload);
        let place = self.place(upload).await?;
        let put = self.bucket.put_part(&key, &place, part, content, crc32c).await;
        let put = match put {
            // Another process has found that all parts are lost, and begun anew.
            Err(fault) if fault.is("NoSuchUpload") => {
                self.forget(upload);
                let place = self.place(upload).await?;
                self.bucket.put_part(&key, &place, part, content, crc32c).await
            }
            put => put,
        };
        let etag = put.map_err(|fault| fault.unexpected("UploadPart"))?;
        Ok(StoredAs::Part { etag })
    }

    /// The upload's multipart upload, made now if there is none.
    async fn place(&self, upload: UploadId) -> Result<String> {
        let (cell, began) = (self.places.get_with(upload, Arc::default), Instant::now());
        let place = cell.get_or_try_init(|| async {
            // Whoever has waited in vain for another part's call does not make one of
            // its own: many parts would add up their time-outs.
            if began.elapsed() > self.bucket.patience() {
                return Err(self.bucket.breaker.unavailable());
            }
            if let Some(place) = self.records.place(upload).await? {
                return Ok(place.0);
            }
            let key = self.layout.parts(upload);
            let created = self.bucket.create_multipart(&key).await;
            let created = created.map_err(|fault| fault.unexpected("CreateMultipartUpload"))?;
            let kept = self.records.keep_place(upload, StorageTag(created.clone())).await?;
            if kept.0 != created
                && let Err(fault) = self.bucket.abort(&key, &created).await
            {
                let error = fault.unexpected("AbortMultipartUpload");
                tracing::warn!(%upload, %error, "a multipart upload too many stays for now");
            }
            Ok(kept.0)
        });
        place.await.cloned()
    }

    /// Forgets what is remembered of an upload's multipart upload.
    pub(super) fn forget(&self, upload: UploadId) {
        self.places.invalidate(&upload);
    }

    /// The key of a sealed upload's object, unless it is empty.
    async fn object(&self, upload: UploadId) -> Result<Option<String>> {
        let first = self.records.stored_parts(upload, None, 1).await?;
        let Some(part) = first.first() else { return Ok(None) };
        Ok(Some(match StoredAs::parse(part.tag.as_ref(), part.number)? {
            StoredAs::Object { attempt, .. } => self.layout.whole(upload, attempt),
            StoredAs::Part { .. } => self.layout.parts(upload),
        }))
    }

    /// Whether an object is what it must be.
    pub(super) fn is(&self, found: &Found, size: u64, crc32c: Crc32c) -> bool {
        let checked = !self.bucket.knows_checksums() || found.crc32c == Some(crc32c);
        found.size == size && checked
    }

    /// Ends all multipart uploads of an upload.
    pub(super) async fn abort_all(&self, upload: UploadId) -> Result<(), Fault> {
        let folder = self.layout.folder(upload);
        // A part that is on its way can outlive one of these.
        for _ in 0..MOST_CONFLICTS {
            let multiparts = self.bucket.multiparts(&folder).await?;
            if multiparts.is_empty() {
                break;
            }
            for (key, id) in multiparts {
                self.bucket.abort(&key, &id).await?;
            }
        }
        Ok(())
    }
}

/// Whether another call about the same key was in the way.
pub(super) fn is_conflict(fault: &Fault) -> bool {
    fault.is("PreconditionFailed") || fault.is("ConditionalRequestConflict")
}

#[async_trait]
impl BlobStore for S3BlobStore {
    async fn claim_part(
        &self,
        upload: UploadId,
        epoch: Epoch,
        part: PartNumber,
    ) -> Result<Box<dyn PartWriter>> {
        let hold = self.claims.claim(upload, part, epoch).await?;
        Ok(Box::new(S3PartWriter::new(Arc::clone(&self.shared), hold, upload, part)))
    }

    async fn fence(&self, upload: UploadId, epoch: Epoch) {
        self.claims.fence(upload, epoch).await;
    }

    async fn sign_parts(
        &self,
        upload: UploadId,
        parts: Vec<ForeignPart>,
        lifetime: Duration,
    ) -> Result<Option<Vec<SignedRequest>>> {
        let shared = &self.shared;
        if !shared.presigner.signs_parts() {
            return Ok(None);
        }
        // Others cannot find out that the place has changed, so what is remembered
        // does not suffice.
        let place = match shared.records.place(upload).await? {
            Some(place) => place.0,
            None => {
                shared.forget(upload);
                shared.place(upload).await?
            }
        };
        let key = shared.layout.parts(upload);
        let mut signed = Vec::with_capacity(parts.len());
        for part in parts {
            signed.push(shared.presigner.part(&key, &place, part, lifetime).await?);
        }
        Ok(Some(signed))
    }

    async fn find_parts(
        &self,
        upload: UploadId,
        numbers: BTreeSet<PartNumber>,
    ) -> Result<Vec<StoredPart>> {
        let shared = &self.shared;
        if !shared.presigner.signs_parts() {
            return Ok(Vec::new());
        }
        let Some(place) = shared.records.place(upload).await? else { return Ok(Vec::new()) };
        let listed =
            match shared.bucket.parts(&shared.layout.parts(upload), &place.0, numbers).await {
                Ok(listed) => listed,
                Err(fault) if fault.is("NoSuchUpload") => return Ok(Vec::new()),
                Err(fault) => return Err(fault.unexpected("ListParts")),
            };
        let found = listed.into_iter().filter_map(|(number, ListedPart { etag, size, crc32c })| {
            let tag = Some(StoredAs::Part { etag }.tag());
            Some(StoredPart { number, size, crc32c: crc32c?, tag })
        });
        Ok(found.collect())
    }

    async fn sign_read(
        &self,
        upload: UploadId,
        lifetime: Duration,
        headers: AnswerHeaders,
    ) -> Result<Option<String>> {
        let shared = &self.shared;
        if !shared.presigner.signs_reads() {
            return Ok(None);
        }
        // An empty file is no object.
        let Some(key) = shared.object(upload).await? else { return Ok(None) };
        Ok(Some(shared.presigner.read(&key, lifetime, headers).await?))
    }

    async fn is_sealed(&self, upload: UploadId, size: u64) -> Result<bool> {
        let parts = self.shared.records.stored_parts(upload, None, 2).await?;
        let is_whole = match &parts[..] {
            [] => size == 0,
            [part] => {
                let stored = StoredAs::parse(part.tag.as_ref(), part.number)?;
                matches!(stored, StoredAs::Object { .. }) && part.size == size
            }
            _ => false,
        };
        // A multipart upload that turned out not to be needed must be ended.
        Ok(is_whole && self.shared.records.place(upload).await?.is_none())
    }

    async fn seal(&self, upload: UploadId, size: u64) -> Result<Sealed> {
        self.shared.seal(upload, size).await
    }

    async fn open(&self, upload: UploadId) -> Result<Arc<dyn BlobReader>> {
        let Some(key) = self.shared.object(upload).await? else { return Err(corrupt(0)) };
        Ok(Arc::new(S3BlobReader { shared: Arc::clone(&self.shared), key }))
    }

    async fn delete(&self, upload: UploadId) -> Result<()> {
        let shared = &self.shared;
        shared.forget(upload);
        let aborted = shared.abort_all(upload).await;
        aborted.map_err(|fault| fault.unexpected("AbortMultipartUpload"))?;
        let folder = shared.layout.folder(upload);
        loop {
            let keys = shared.bucket.keys(&folder).await;
            let keys = keys.map_err(|fault| fault.unexpected("ListObjectsV2"))?;
            if keys.is_empty() {
                return Ok(());
            }
            for key in keys {
                let deleted = shared.bucket.delete(&key).await;
                deleted.map_err(|fault| fault.unexpected("DeleteObject"))?;
            }
        }
    }

    async fn check_health(&self) -> Result<()> {
        let bucket = &self.shared.bucket;
        if bucket.breaker.succeeded_within(FRESH) {
            return Ok(());
        }
        bucket.head().await.map_err(|fault| fault.unexpected("HeadBucket"))
    }
}

struct S3BlobReader {
    shared: Arc<Shared>,
    key: String,
}

#[async_trait]
impl BlobReader for S3BlobReader {
    async fn read(&self, range: ByteRange) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self.shared.bucket.get(&self.key, range).await {
            Ok(bytes) => Ok(bytes),
            Err(fault) if fault.is("NoSuchKey") || fault.is("InvalidRange") => {
                Err(corrupt(range.start))
            }
            Err(fault) => Err(fault.unexpected("GetObject")),
        }
    }
}

pub(super) fn corrupt(offset: u64) -> Error {
    tracing::error!(offset, "stored bytes are missing");
    Error::new(Reason::StoredDataCorrupt, "stored bytes are missing; restore them from a backup")
        .with("offset", offset)
}
