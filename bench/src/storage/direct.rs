//! The Rust SDK for S3, without anything in between.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation},
    operation::upload_part::UploadPartOutput,
    primitives::{ByteStream, Length},
    types::{CompletedMultipartUpload, CompletedPart},
};
use tokio::task::{JoinSet, block_in_place};

use super::Storage;

/// Where everything goes.
const BUCKET: &str = "direct";
const KEY: &str = "large";

/// How the SDK is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As Sluice does on such a store: parts in memory, no checksums, and the
    /// bytes are not signed.
    Lean,
    /// As the SDK does by itself, with parts of a file.
    Defaults,
}

/// A file on its way.
struct Upload {
    client: Client,
    manner: Manner,
    id: String,
    file: PathBuf,
    size: u64,
    part_size: u64,
    /// Index of the next part that nobody sends yet.
    next: AtomicU64,
}

/// Uploads a file in parts, so many at a time. Answers how long it took, from
/// the call that begins the upload to the end of the one that completes it.
pub(crate) async fn upload(
    storage: &Storage,
    manner: Manner,
    file: &Path,
    part_size: u64,
    parallel: usize,
) -> Result<Duration> {
    let client = client(storage, manner);
    client.create_bucket().bucket(BUCKET).send().await?;
    let size = file.metadata()?.len();
    let started = Instant::now();
    let created = client.create_multipart_upload().bucket(BUCKET).key(KEY).send().await?;
    let id = created.upload_id.context("no id of the upload")?;
    let (file, next) = (file.to_owned(), AtomicU64::new(0));
    let upload = Upload { client: client.clone(), manner, id, file, size, part_size, next };
    let upload = Arc::new(upload);
    let mut lanes = JoinSet::new();
    for _ in 0..parallel {
        lanes.spawn(Arc::clone(&upload).send_parts());
    }
    let mut parts = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        parts.extend(lane??);
    }
    parts.sort_by_key(CompletedPart::part_number);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(KEY);
    complete.upload_id(&upload.id).multipart_upload(parts).send().await?;
    let elapsed = started.elapsed();
    let stored = client.head_object().bucket(BUCKET).key(KEY).send().await?;
    ensure!(stored.content_length == i64::try_from(size).ok(), "the object has another size");
    Ok(elapsed)
}

fn client(storage: &Storage, manner: Manner) -> Client {
    let keys = storage.keys();
    let credentials = Credentials::new(&keys.access, &keys.secret, None, None, "bench");
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(storage.url())
        .force_path_style(true);
    if manner == Manner::Lean {
        config = config.request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    }
    Client::from_conf(config.build())
}

impl Upload {
    /// Sends one part after the other until there are no more.
    async fn send_parts(self: Arc<Self>) -> Result<Vec<CompletedPart>> {
        let mut sent = Vec::new();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let start = index * self.part_size;
            if start >= self.size {
                return Ok(sent);
            }
            let number = i32::try_from(index + 1)?;
            let length = self.part_size.min(self.size - start);
            let stored = self.send_part(number, start, length).await?;
            sent.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(stored.e_tag)
                    .set_checksum_crc32(stored.checksum_crc32)
                    .build(),
            );
        }
    }

    async fn send_part(&self, number: i32, start: u64, length: u64) -> Result<UploadPartOutput> {
        let part = self.client.upload_part().bucket(BUCKET).key(KEY);
        let part = part.upload_id(&self.id).part_number(number);
        Ok(match self.manner {
            Manner::Lean => {
                let bytes = block_in_place(|| self.read(start, length))?;
                let part = part.body(ByteStream::from(bytes));
                part.customize().disable_payload_signing().send().await?
            }
            Manner::Defaults => {
                let body = ByteStream::read_from().path(&self.file).offset(start);
                part.body(body.length(Length::Exact(length)).build().await?).send().await?
            }
        })
    }

    fn read(&self, start: u64, length: u64) -> Result<Vec<u8>> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(usize::try_from(length)?);
        file.take(length).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == length, "the file is too short");
        Ok(bytes)
    }
}
