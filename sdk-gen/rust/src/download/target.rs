//! The file that a download becomes.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use sluice_domain::Crc32c;
use tokio::sync::mpsc;

use crate::{Error, File, Result, error::Kind, write_stream::FileFrame};

/// Bytes read at once where what is there already is verified.
const READ_SIZE: usize = 1024 * 1024;

/// Where a download goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    path: PathBuf,
    pub(super) partial: PathBuf,
    pub(super) from_scratch: bool,
}

impl Target {
    pub(super) fn beside(path: &Path) -> Self {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        Self { path: path.to_owned(), partial: partial.into(), from_scratch: false }
    }

    /// Opens the partial file for this process alone; answers how much of it
    /// is of use.
    pub(super) fn open(&self, size: u64) -> Result<(fs::File, u64)> {
        let fail = |error| Error::local(&self.partial, "write", error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.partial)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                let message = format!("another process is downloading to {path} already");
                return Err(Error::new(Kind::Local, message));
            }
            // A file system without locks: as good as nobody else.
            Err(TryLockError::Error(_)) => {}
        }
        let there = file.metadata().map_err(fail)?.len();
        let of_use = if there > size || self.from_scratch { 0 } else { there };
        file.set_len(of_use).map_err(fail)?;
        Ok((file, of_use))
    }

    /// Hashes what is there, then writes frames until no more come.
    pub(super) fn write(
        &self,
        mut file: fs::File,
        resumed: u64,
        mut frames: mpsc::Receiver<FileFrame>,
        there: &AtomicU64,
    ) -> Result<(fs::File, Digest)> {
        let fail = |error| Error::local(&self.partial, "write", error);
        let mut digest = Digest::default();
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut buffer = vec![0; READ_SIZE];
        let mut left = resumed;
        while left > 0 {
            let count = (&mut file).take(left).read(&mut buffer).map_err(fail)?;
            if count == 0 {
                return Err(fail(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = &buffer[..count];
            digest.add(bytes, Crc32c::of(bytes));
            left -= count as u64;
        }
        while let Some(frame) = frames.blocking_recv() {
            file.write_all(&frame.content).map_err(fail)?;
            digest.add(&frame.content, frame.crc32c);
            there.fetch_add(frame.len(), Ordering::Relaxed);
        }
        Ok((file, digest))
    }

    /// Makes the partial file durable under its name.
    pub(super) fn publish(&self, partial: &fs::File, modified: Option<SystemTime>) -> Result<()> {
        let fail = |error| Error::local(&self.path, "write", error);
        if let Some(modified) = modified {
            // Before it has its name: then whoever changes it changes its time. The
            // bytes are there, whether or not a file system keeps times.
            let _ = partial.set_modified(modified);
        }
        partial.sync_all().map_err(fail)?;
        fs::rename(&self.partial, &self.path).map_err(fail)?;
        sync_folder_of(&self.path).map_err(fail)
    }
}

/// What a file consists of.
#[derive(Default)]
pub(super) struct Digest {
    size: u64,
    crc32c: Option<Crc32c>,
    blake3: blake3::Hasher,
}

impl Digest {
    fn add(&mut self, bytes: &[u8], crc32c: Crc32c) {
        let length = bytes.len() as u64;
        self.size += length;
        self.crc32c = Some(self.crc32c.unwrap_or(Crc32c::EMPTY).combine(crc32c, length));
        self.blake3.update(bytes);
    }

    pub(super) fn is_of(&self, file: &File) -> bool {
        let expected = file.checksums.clone().unwrap_or_default();
        let crc32c = self.crc32c.unwrap_or(Crc32c::EMPTY);
        self.size == file.size.cast_unsigned()
            && expected.crc32c.is_none_or(|expected| Crc32c(expected) == crc32c)
            && (expected.blake3.is_empty()
                || expected.blake3[..] == self.blake3.finalize().as_bytes()[..])
    }
}

/// A rename is durable once the folder is.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> std::io::Result<()> {
    Ok(())
}
