//! The file operations that durability rests on, as a trait, so that tests can
//! put a disk underneath that loses what was not synced, fills up or fails.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use rustix::fs::OFlags;

use super::aligned::ALIGNMENT;

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this process may still take.
    pub available: u64,
}

/// A file system. Calls block.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for reading and writing, creating it if it is not there.
    /// Every call gives a file description of its own: Linux reports a failed
    /// write-back once per description, so two writers that shared one could
    /// hide an error from each other.
    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory if it is not there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive power loss.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Room on the disk that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file. Calls block.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at an offset. Long ones are best in aligned memory and
    /// at an aligned offset.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads as many bytes as the buffer has.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes the bytes survive power loss, and the length that leads to them.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// The file's length.
    fn len(&self) -> io::Result<u64>;
}

/// Fewer bytes go through the page cache, which writes them together.
const DIRECT_FROM: usize = 256 * 1024;

/// The operating system's file systems.
#[derive(Debug, Clone, Copy)]
pub struct OsDisk {
    /// Whether long writes go past the page cache, where the file system can:
    /// a part is synced right after it was written, so that the cache would
    /// only cost a copy and the memory for it
    /// ([ADR 8](../../../../docs/adr/0008-parts-are-written-past-the-page-cache.md)).
    pub direct_io: bool,
}

impl Disk for OsDisk {
    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let flags = OFlags::DIRECT.bits().cast_signed();
        let direct = OpenOptions::new().write(true).custom_flags(flags).open(path);
        // Not every file system can.
        let direct = direct.ok().filter(|_| self.direct_io);
        Ok(Arc::new(OsFile { file, direct }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(OsFile { file, direct: None }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stats = fs4::statvfs(path)?;
        Ok(Space { total: stats.total_space(), available: stats.available_space() })
    }
}

/// An open file, and the same once more for writes past the page cache.
struct OsFile {
    file: File,
    direct: Option<File>,
}

impl OsFile {
    /// Writes what can go past the page cache, and answers how much that was:
    /// whole aligned blocks, if they are many.
    fn write_direct(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let length = bytes.len() / ALIGNMENT * ALIGNMENT;
        let aligned =
            bytes.as_ptr().align_offset(ALIGNMENT) == 0 && offset.is_multiple_of(ALIGNMENT as u64);
        let Some(direct) = self.direct.as_ref().filter(|_| aligned && length >= DIRECT_FROM) else {
            return Ok(0);
        };
        match direct.write_all_at(&bytes[..length], offset) {
            Ok(()) => Ok(length),
            // The file system takes the flag, but not such a write.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl DiskFile for OsFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = self.write_direct(bytes, offset)?;
        self.file.write_all_at(&bytes[written..], offset + written as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{super::aligned::AlignedBuffers, *};

    /// Whatever way the bytes take, they are where they belong.
    #[test]
    fn direct_and_other_writes_make_one_file() {
        let folder = tempfile::tempdir().unwrap();
        for direct_io in [true, false] {
            let path = folder.path().join(direct_io.to_string());
            let file = OsDisk { direct_io }.open_or_create(&path).unwrap();
            let buffers = AlignedBuffers::new(1 << 20);
            let mut expected = vec![0; 3 << 20];
            for (round, (offset, length)) in [
                (0, 1 << 20),
                (1 << 20, DIRECT_FROM + 1),
                ((1 << 20) + DIRECT_FROM + 1, 1 << 20),
                (2 << 20, 1 << 20),
                (ALIGNMENT, DIRECT_FROM - 1),
                ((2 << 20) - 3, 7),
                (1 << 20, DIRECT_FROM),
            ]
            .into_iter()
            .enumerate()
            {
                let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + round) as u8).collect();
                expected[offset..offset + length].copy_from_slice(&bytes);
                let aligned = buffers.gather(&mut [Bytes::from(bytes)].into());
                file.write_all_at(aligned.as_ref(), offset as u64).unwrap();
            }
            file.sync_data().unwrap();
            let mut found = vec![0; expected.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            assert!(found == expected, "direct_io: {direct_io}");
            assert!(std::fs::read(&path).unwrap() == expected);
        }
    }
}
