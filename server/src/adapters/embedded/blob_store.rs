//! Bytes in ordinary files: one per upload, written in place. Small ones in rows
//! of the database.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use sluice_domain::{ByteRange, Epoch, Error, PartNumber, Reason, Result, UploadId};

use super::{
    Database,
    aligned::AlignedBuffers,
    disk::{Disk, DiskFile},
    io_error,
    part_writer::{BATCH, DiskPartWriter},
    small_contents::LARGEST,
    space::Room,
};
use crate::{
    adapters::claims::Claims,
    ports::{
        AnswerHeaders, BlobReader, BlobStore, ForeignPart, PartWriter, Sealed, SignedRequest,
        StoredPart,
    },
    tasks::Tasks,
};

/// Stores each upload as one file, whose name is fixed from its first byte on,
/// or as one row if it is small. The database says what of it is persisted and
/// whether it is a file that can be read; so completion renames and copies
/// nothing.
pub struct DiskBlobStore {
    shared: Arc<Shared>,
    claims: Arc<Claims>,
}

/// What the store and its writers share.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) database: Arc<Database>,
    pub(super) layout: Layout,
    pub(super) room: Arc<Room>,
    pub(super) buffers: AlignedBuffers,
    pub(super) tasks: Tasks,
    /// Uploads whose file's name this process has made durable.
    synced_entries: Mutex<HashSet<UploadId>>,
}

/// Which file holds what: `<root>/<last two hex digits>/<uuid of the upload>`.
/// The last digits of a UUIDv7 are random, so the folders fill evenly.
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    fn folder(&self, upload: UploadId) -> PathBuf {
        self.root.join(format!("{:02x}", upload.as_uuid().as_bytes()[15]))
    }

    pub(super) fn blob(&self, upload: UploadId) -> PathBuf {
        self.folder(upload).join(upload.as_uuid().as_simple().to_string())
    }
}

impl DiskBlobStore {
    /// Opens the store in `root`, whose parent exists, and creates its folders.
    /// `reserve` bytes of the disk are never used for parts. Blocks.
    pub fn open(
        disk: Arc<dyn Disk>,
        database: Arc<Database>,
        root: &Path,
        reserve: u64,
        tasks: Tasks,
    ) -> io::Result<Self> {
        disk.create_directory(root)?;
        for digits in 0..=u8::MAX {
            disk.create_directory(&root.join(format!("{digits:02x}")))?;
        }
        disk.sync_directory(root)?;
        if let Some(parent) = root.parent() {
            disk.sync_directory(parent)?;
        }
        let room = Arc::new(Room::new(Arc::clone(&disk), root.to_owned(), reserve));
        let layout = Layout { root: root.to_owned() };
        let synced_entries = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared {
                disk,
                database,
                layout,
                room,
                buffers: AlignedBuffers::new(BATCH),
                tasks,
                synced_entries,
            }),
            claims: Arc::default(),
        })
    }
}

impl Shared {
    /// Makes the name of an upload's file durable, once per process: a process
    /// cannot know whether the one before it got that far. Blocks.
    pub(super) fn sync_entry_once(&self, upload: UploadId) -> Result<()> {
        let synced = || self.synced_entries.lock().unwrap_or_else(PoisonError::into_inner);
        if synced().contains(&upload) {
            return Ok(());
        }
        self.disk
            .sync_directory(&self.layout.folder(upload))
            .map_err(|error| io_error(&error, "sync a folder"))?;
        synced().insert(upload);
        Ok(())
    }

    fn forget_entry(&self, upload: UploadId) {
        self.synced_entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload);
    }
}

#[async_trait]
impl BlobStore for DiskBlobStore {
    async fn claim_part(
        &self,
        upload: UploadId,
        epoch: Epoch,
        part: PartNumber,
    ) -> Result<Box<dyn PartWriter>> {
        let hold = self.claims.claim(upload, part, epoch).await?;
        Ok(Box::new(DiskPartWriter::new(Arc::clone(&self.shared), hold, upload, part)))
    }

    async fn fence(&self, upload: UploadId, epoch: Epoch) {
        self.claims.fence(upload, epoch).await;
    }

    async fn sign_parts(
        &self,
        _: UploadId,
        _: Vec<ForeignPart>,
        _: Duration,
    ) -> Result<Option<Vec<SignedRequest>>> {
        // Nobody but this process reaches the disk.
        Ok(None)
    }

    async fn find_parts(&self, _: UploadId, _: BTreeSet<PartNumber>) -> Result<Vec<StoredPart>> {
        Ok(Vec::new())
    }

    async fn sign_read(
        &self,
        _: UploadId,
        _: Duration,
        _: AnswerHeaders,
    ) -> Result<Option<String>> {
        Ok(None)
    }

    async fn is_sealed(&self, upload: UploadId, size: u64) -> Result<bool> {
        if size > LARGEST {
            return Ok(false);
        }
        Ok(size == 0 || self.shared.database.small_length(upload).await? == Some(size))
    }

    async fn seal(&self, upload: UploadId, size: u64) -> Result<Sealed> {
        self.shared.forget_entry(upload);
        if size == 0 {
            return Ok(Sealed::Whole);
        }
        if let Some(length) = self.shared.database.small_length(upload).await? {
            return if length == size { Ok(Sealed::Whole) } else { Err(corrupt(length.min(size))) };
        }
        let shared = Arc::clone(&self.shared);
        let sealed = move || {
            let file = shared
                .disk
                .open(&shared.layout.blob(upload))
                .map_err(|error| read_error(&error, 0))?;
            let length = file.len().map_err(|error| io_error(&error, "read a file's length"))?;
            if length < size {
                return Err(corrupt(length));
            }
            if length > size {
                // Left over from a part that was begun beyond the end. Nobody
                // reads there, so this need not survive power loss.
                file.set_len(size).map_err(|error| io_error(&error, "cut a file"))?;
            }
            Ok(Sealed::Whole)
        };
        self.shared.tasks.blocking(sealed).await
    }

    async fn open(&self, upload: UploadId) -> Result<Arc<dyn BlobReader>> {
        if let Some(content) = self.shared.database.small_content(upload).await? {
            return Ok(Arc::new(SmallReader(content)));
        }
        let shared = Arc::clone(&self.shared);
        let opened = move || {
            shared.disk.open(&shared.layout.blob(upload)).map_err(|error| read_error(&error, 0))
        };
        let file = self.shared.tasks.blocking(opened).await?;
        Ok(Arc::new(DiskBlobReader { file, tasks: self.shared.tasks.clone() }))
    }

    async fn delete(&self, upload: UploadId) -> Result<()> {
        self.shared.database.delete_small_content(upload).await?;
        let shared = Arc::clone(&self.shared);
        let deleted = move || {
            shared.forget_entry(upload);
            match shared.disk.remove_file(&shared.layout.blob(upload)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&error, "remove a file"));
                }
                _ => {}
            }
            // Else the name could come back after power loss, and nobody would
            // ask for its removal again. Also when the file is gone already: who
            // removed it may not have got this far.
            shared
                .disk
                .sync_directory(&shared.layout.folder(upload))
                .map_err(|error| io_error(&error, "sync a folder"))
        };
        self.shared.tasks.blocking(deleted).await
    }

    async fn check_health(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.blocking(move || shared.room.check()).await
    }
}

struct DiskBlobReader {
    file: Arc<dyn DiskFile>,
    tasks: Tasks,
}

#[async_trait]
impl BlobReader for DiskBlobReader {
    async fn read(&self, range: ByteRange) -> Result<Bytes> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let length = usize::try_from(range.len())
                .map_err(|_| Error::storage_io("a range too large for memory"))?;
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, range.start)
                .map_err(|error| read_error(&error, range.start))?;
            Ok(Bytes::from(buffer))
        };
        self.tasks.blocking(read).await
    }
}

/// Reads what was in a row.
struct SmallReader(Bytes);

#[async_trait]
impl BlobReader for SmallReader {
    async fn read(&self, range: ByteRange) -> Result<Bytes> {
        let length = self.0.len() as u64;
        if range.end > length {
            return Err(corrupt(length.max(range.start)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "within the bytes")]
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

fn read_error(error: &io::Error, offset: u64) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => corrupt(offset),
        _ => io_error(error, "read a file"),
    }
}

fn corrupt(offset: u64) -> Error {
    tracing::error!(offset, "stored bytes are missing");
    Error::new(Reason::StoredDataCorrupt, "stored bytes are missing; restore them from a backup")
        .with("offset", offset)
}
