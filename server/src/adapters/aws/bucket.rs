//! The calls of S3 that the blob store is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_s3::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    types::{
        ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
        ServerSideEncryption,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use sluice_domain::{ByteRange, Crc32c, Error, PartNumber, Result};

use super::{
    breaker::Breaker,
    calls::{Fault, call},
    part_content::PartContent,
    payload::SignedPayload,
};
use crate::{
    config::{AwsConfig, StorageChecksums},
    tasks::Tasks,
};

/// What completing takes longer for each part.
const TIME_PER_PART: Duration = Duration::from_millis(10);

/// Most parts that storage lists at once.
const PARTS_PER_PAGE: u32 = 1000;

/// One bucket.
pub(super) struct Bucket {
    client: Client,
    name: String,
    config: AwsConfig,
    pub(super) breaker: Breaker,
    tasks: Tasks,
}

/// A part as storage has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedPart {
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) crc32c: Option<Crc32c>,
}

/// An object as storage has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) crc32c: Option<Crc32c>,
}

impl Bucket {
    pub(super) fn new(client: Client, name: String, config: AwsConfig, tasks: Tasks) -> Self {
        Self { client, name, config, breaker: Breaker::new("storage"), tasks }
    }

    /// Whether storage knows the checksums of what it holds.
    pub(super) fn knows_checksums(&self) -> bool {
        self.config.checksums == StorageChecksums::FullObject
    }

    /// How long one attempt of a call may take.
    pub(super) fn patience(&self) -> Duration {
        self.config.attempt_timeout
    }

    /// Whether the bucket can be used.
    pub(super) async fn head(&self) -> Result<(), Fault> {
        let head = self.client.head_bucket().bucket(&self.name);
        call(&self.breaker, "HeadBucket", head.send()).await.map(drop)
    }

    /// Stores an object under a key that nobody has used. Answers its ETag.
    pub(super) async fn put(
        &self,
        key: &str,
        content: &PartContent,
        crc32c: Crc32c,
    ) -> Result<String, Fault> {
        let payload = self.payload(content).await.map_err(Fault::Unavailable)?;
        let (encryption, kms_key) = self.encryption();
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .if_none_match("*")
            .content_length(signed(content.size()))
            .set_checksum_crc32_c(self.checksum(crc32c))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .body(content.body())
            .customize()
            .interceptor(payload)
            .config_override(self.timeouts(content.size()));
        let put = call(&self.breaker, "PutObject", put.send()).await?;
        check_answer("PutObject", put.checksum_crc32_c(), crc32c)?;
        etag(put.e_tag)
    }

    /// Begins a multipart upload; answers its id.
    pub(super) async fn create_multipart(&self, key: &str) -> Result<String, Fault> {
        let (algorithm, kind) = match self.config.checksums {
            StorageChecksums::FullObject => {
                (Some(ChecksumAlgorithm::Crc32C), Some(ChecksumType::FullObject))
            }
            StorageChecksums::Off => (None, None),
        };
        let (encryption, kms_key) = self.encryption();
        let create = self
            .client
            .create_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .set_checksum_algorithm(algorithm)
            .set_checksum_type(kind)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key);
        let created = call(&self.breaker, "CreateMultipartUpload", create.send()).await?;
        created.upload_id.ok_or_else(|| unusable("CreateMultipartUpload"))
    }

    /// Stores a part; answers its ETag.
    pub(super) async fn put_part(
        &self,
        key: &str,
        multipart: &str,
        part: PartNumber,
        content: &PartContent,
        crc32c: Crc32c,
    ) -> Result<String, Fault> {
        let payload = self.payload(content).await.map_err(Fault::Unavailable)?;
        let put = self
            .client
            .upload_part()
            .bucket(&self.name)
            .key(key)
            .upload_id(multipart)
            .part_number(number(part))
            .content_length(signed(content.size()))
            .set_checksum_crc32_c(self.checksum(crc32c))
            .body(content.body())
            .customize()
            .interceptor(payload)
            .config_override(self.timeouts(content.size()));
        let put = call(&self.breaker, "UploadPart", put.send()).await?;
        check_answer("UploadPart", put.checksum_crc32_c(), crc32c)?;
        etag(put.e_tag)
    }

    /// Makes an object of these parts, which have these ETags and checksums.
    pub(super) async fn complete(
        &self,
        key: &str,
        multipart: &str,
        parts: Vec<(PartNumber, String, Crc32c)>,
        size: u64,
        crc32c: Crc32c,
    ) -> Result<(), Fault> {
        let more = TIME_PER_PART * u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let parts = parts.into_iter().map(|(part, etag, crc32c)| {
            CompletedPart::builder()
                .part_number(number(part))
                .e_tag(etag)
                .set_checksum_crc32_c(self.checksum(crc32c))
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let kind = self.knows_checksums().then_some(ChecksumType::FullObject);
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(&self.name)
            .key(key)
            .upload_id(multipart)
            .if_none_match("*")
            .mpu_object_size(signed(size))
            .set_checksum_crc32_c(self.checksum(crc32c))
            .set_checksum_type(kind)
            .multipart_upload(parts)
            .customize()
            .config_override(self.longer(more));
        call(&self.breaker, "CompleteMultipartUpload", complete.send()).await.map(drop)
    }

    /// Those of these parts that storage has of a multipart upload. What lies
    /// between them is skipped, as far as the API lets one.
    pub(super) async fn parts(
        &self,
        key: &str,
        multipart: &str,
        mut wanted: BTreeSet<PartNumber>,
    ) -> Result<BTreeMap<PartNumber, ListedPart>, Fault> {
        let mut listed = BTreeMap::new();
        while let Some((first, last)) = wanted.first().zip(wanted.last()) {
            let before = first.get() - 1;
            let most = (last.get() - before).min(PARTS_PER_PAGE);
            let list = self
                .client
                .list_parts()
                .bucket(&self.name)
                .key(key)
                .upload_id(multipart)
                .set_part_number_marker((before > 0).then(|| before.to_string()))
                .max_parts(i32::try_from(most).unwrap_or(i32::MAX));
            let page = call(&self.breaker, "ListParts", list.send()).await?;
            let mut end = None;
            for part in page.parts() {
                let number = part.part_number().and_then(|number| u32::try_from(number).ok());
                let (Some(number), Some(etag), Some(size)) =
                    (number.and_then(PartNumber::new), part.e_tag(), part.size())
                else {
                    return Err(unusable("ListParts"));
                };
                let crc32c = part.checksum_crc32_c().and_then(decoded);
                let size = unsigned(size);
                if wanted.contains(&number) {
                    listed.insert(number, ListedPart { etag: etag.to_owned(), size, crc32c });
                }
                end = end.max(Some(number));
            }
            match end {
                Some(end) if page.is_truncated == Some(true) => {
                    wanted = wanted.split_off(&end);
                    wanted.remove(&end);
                }
                _ => break,
            }
        }
        Ok(listed)
    }

    /// An object, if there is one.
    pub(super) async fn find(&self, key: &str) -> Result<Option<Found>, Fault> {
        let mode = self.knows_checksums().then_some(ChecksumMode::Enabled);
        let head = self.client.head_object().bucket(&self.name).key(key).set_checksum_mode(mode);
        match call(&self.breaker, "HeadObject", head.send()).await {
            Ok(found) => Ok(Some(Found {
                crc32c: found.checksum_crc32_c().and_then(decoded),
                size: unsigned(found.content_length.unwrap_or_default()),
                etag: etag(found.e_tag)?,
            })),
            Err(fault) if fault.is("NotFound") || fault.is("NoSuchKey") => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The bytes of a range of an object.
    pub(super) async fn get(&self, key: &str, range: ByteRange) -> Result<Bytes, Fault> {
        let get = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            .customize()
            .config_override(self.timeouts(range.len()));
        let got = call(&self.breaker, "GetObject", get.send()).await?;
        if got.content_length.map(unsigned) != Some(range.len()) {
            // Less than there must be, or a store that knows no ranges: what it
            // sends may be larger than memory.
            return Err(Fault::Refused {
                code: "InvalidRange".to_owned(),
                story: format!("{:?} bytes instead of {}", got.content_length, range.len()),
            });
        }
        let limit = self.config.operation_timeout + self.time_for(range.len());
        let body = tokio::time::timeout(limit, got.body.collect()).await;
        match body {
            Ok(Ok(body)) => Ok(body.into_bytes()),
            Ok(Err(error)) => Err(self.cut(&error.to_string())),
            Err(_) => Err(self.cut("it is too slow")),
        }
    }

    fn cut(&self, error: &str) -> Fault {
        tracing::warn!(error, "storage has not sent an object to its end");
        self.breaker.failed();
        Fault::Unavailable(self.breaker.unavailable())
    }

    /// Removes an object, if there is one.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Fault> {
        let delete = self.client.delete_object().bucket(&self.name).key(key);
        call(&self.breaker, "DeleteObject", delete.send()).await.map(drop)
    }

    /// Ends a multipart upload, if there is one.
    pub(super) async fn abort(&self, key: &str, multipart: &str) -> Result<(), Fault> {
        let abort = self.client.abort_multipart_upload();
        let abort = abort.bucket(&self.name).key(key).upload_id(multipart);
        match call(&self.breaker, "AbortMultipartUpload", abort.send()).await {
            Err(fault) if !fault.is("NoSuchUpload") => Err(fault),
            _ => Ok(()),
        }
    }

    /// The keys that begin with a prefix; a page of them.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let page = call(&self.breaker, "ListObjectsV2", list.send()).await?;
        Ok(page.contents.into_iter().flatten().filter_map(|object| object.key).collect())
    }

    /// Multipart uploads whose key begins with a prefix, with their keys; a page of
    /// them.
    pub(super) async fn multiparts(&self, prefix: &str) -> Result<Vec<(String, String)>, Fault> {
        let list = self.client.list_multipart_uploads().bucket(&self.name).prefix(prefix);
        let page = call(&self.breaker, "ListMultipartUploads", list.send()).await?;
        let uploads = page.uploads.into_iter().flatten();
        Ok(uploads.filter_map(|upload| upload.key.zip(upload.upload_id)).collect())
    }

    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        let key = self.config.kms_key.clone();
        (key.as_ref().map(|_| ServerSideEncryption::AwsKms), key)
    }

    fn checksum(&self, crc32c: Crc32c) -> Option<String> {
        self.knows_checksums().then(|| encoded(crc32c))
    }

    async fn payload(&self, content: &PartContent) -> Result<SignedPayload> {
        if !self.config.signs_payloads() {
            return Ok(SignedPayload::unsigned());
        }
        let content = content.clone();
        let digest = self.tasks.blocking(move || {
            content.sha256().map_err(|error| {
                tracing::error!(%error, "a part cannot be read back from the disk");
                Error::storage_io("the server's disk reported an error; try again")
            })
        });
        Ok(SignedPayload::of(digest.await?))
    }

    fn time_for(&self, bytes: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "it is a limit for emergencies")]
        Duration::from_secs_f64(bytes as f64 / self.config.min_rate as f64)
    }

    /// Time-outs of a call that moves so many bytes.
    fn timeouts(&self, bytes: u64) -> Builder {
        self.longer(self.time_for(bytes))
    }

    fn longer(&self, time: Duration) -> Builder {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.config.connect_timeout)
            .operation_attempt_timeout(self.config.attempt_timeout + time)
            .operation_timeout(self.config.operation_timeout + time);
        Builder::new().timeout_config(timeouts.build())
    }
}

/// Storage says what it has received; the SDK's time-outs and retries cannot know.
fn check_answer(operation: &'static str, stored: Option<&str>, sent: Crc32c) -> Result<(), Fault> {
    match stored.and_then(decoded) {
        Some(stored) if stored != sent => {
            tracing::error!(operation, %stored, %sent, "storage holds other bytes than were sent");
            Err(Fault::Unavailable(Error::storage_io("bytes were damaged on their way; try again")))
        }
        _ => Ok(()),
    }
}

fn etag(etag: Option<String>) -> Result<String, Fault> {
    etag.filter(|etag| etag.len() <= 512).ok_or_else(|| unusable("an ETag"))
}

fn unusable(what: &'static str) -> Fault {
    Fault::Refused { code: String::new(), story: format!("the answer lacks what {what} has") }
}

pub(super) fn encoded(crc32c: Crc32c) -> String {
    BASE64_STANDARD.encode(crc32c.0.to_be_bytes())
}

/// A checksum of all bytes. One of a multipart upload's parts has a suffix.
fn decoded(text: &str) -> Option<Crc32c> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    Some(Crc32c(u32::from_be_bytes(bytes.try_into().ok()?)))
}

pub(super) fn number(part: PartNumber) -> i32 {
    i32::try_from(part.get()).unwrap_or(i32::MAX)
}

pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or_default()
}
