//! Where the bytes of an upload come from.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::{Error, Result, buffer_pool::BufferPool, error::Kind};

/// The bytes to upload: a file, bytes in memory, or a stream that ends when it
/// ends.
pub struct Source(Origin);

enum Origin {
    Path(PathBuf),
    Bytes(Bytes),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
}

impl Source {
    /// A file. A pipe or device is read as a stream.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Path(path.into()))
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Origin::Bytes(bytes.into()))
    }

    /// A stream of unknown size, such as standard input. It is read once; each
    /// part is kept in memory until it is known to be stored.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Origin::Reader(Box::new(reader)))
    }

    pub(crate) fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Origin::Path(path) => Some(path),
            Origin::Bytes(_) | Origin::Reader(_) => None,
        }
    }

    pub(crate) async fn open(self) -> Result<Opened> {
        let path = match self.0 {
            Origin::Bytes(bytes) => return Ok(Opened::Known(Content::Memory(bytes))),
            Origin::Reader(reader) => return Ok(Opened::Stream(reader)),
            Origin::Path(path) => path,
        };
        let fail = |error| Error::local(&path, "read", error);
        let metadata = tokio::fs::metadata(&path).await.map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(io::ErrorKind::IsADirectory.into()));
        }
        let file = tokio::fs::File::open(&path).await.map_err(fail)?;
        // Asked again, of the very file that was opened.
        let metadata = file.metadata().await.map_err(fail)?;
        if !metadata.is_file() {
            return Ok(Opened::Stream(Box::new(file)));
        }
        Ok(Opened::Known(Content::File {
            file: file.into_std().await,
            size: metadata.len(),
            modified: metadata.modified().ok(),
            path,
        }))
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::path(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Origin::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Origin::Reader(_) => f.write_str("Reader"),
        }
    }
}

/// A source that was opened.
pub(crate) enum Opened {
    Known(Content),
    Stream(Box<dyn AsyncRead + Send + Unpin>),
}

/// Bytes whose number is known and that can be read anywhere, again and again.
/// Reading a file blocks: never on an async thread.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    File { file: File, path: PathBuf, size: u64, modified: Option<SystemTime> },
}

impl Content {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Exactly `length` bytes at `offset`, both within the size.
    pub(crate) fn read(&self, offset: u64, length: usize, pool: &BufferPool) -> Result<Bytes> {
        match self {
            #[expect(clippy::cast_possible_truncation, reason = "within the bytes in memory")]
            Self::Memory(bytes) => Ok(bytes.slice(offset as usize..offset as usize + length)),
            Self::File { file, path, .. } => {
                let read = pool.fill(length, |buffer| read_exact_at(file, buffer, offset));
                read.map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => changed(path),
                    _ => Error::local(path, "read", error),
                })
            }
        }
    }

    /// Refuses if somebody wrote to the file since it was opened. A file that
    /// was put in its place does not matter: this one stays open.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let Self::File { file, path, size, modified } = self else {
            return Ok(());
        };
        let now = file.metadata().map_err(|error| Error::local(path, "read", error))?;
        if now.len() != *size || now.modified().ok() != *modified {
            return Err(changed(path));
        }
        Ok(())
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(_) => f.write_str("the content"),
            Self::File { path, .. } => path.display().fmt(f),
        }
    }
}

fn changed(path: &Path) -> Error {
    let message = format!(
        "{} has changed while it was being uploaded; nothing was published, upload it again",
        path.display()
    );
    Error::new(Kind::SourceChanged, message)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}
