//! Comparing files here with files there.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sluice_sdk::{Crc32c, File, v1::file::State};

use crate::{failure::Failure, local_tree::unreadable};

const READ_SIZE: usize = 1024 * 1024;

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) size: u64,
    pub(crate) crc32c: Crc32c,
    pub(crate) blake3: blake3::Hash,
}

/// Whether the file at `path` has the content of `file`: the same size and the
/// same CRC-32C. What cannot be read is not the same.
#[expect(clippy::disallowed_methods, reason = "reading; nothing has to wait for it")]
pub(crate) async fn has_content_of(path: &Path, file: &File) -> bool {
    let expected = file.checksums.as_ref().and_then(|checksums| checksums.crc32c);
    let (Some(expected), State::Ready | State::Processing) = (expected, file.state()) else {
        return false;
    };
    let (path, size) = (path.to_owned(), file.size.cast_unsigned());
    let compare = move || compare(path, size, Crc32c(expected)).unwrap_or(false);
    tokio::task::spawn_blocking(compare).await.unwrap_or(false)
}

/// What the bytes of the file at `path` are.
#[expect(clippy::disallowed_methods, reason = "reading; nothing has to wait for it")]
pub(crate) async fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let owned = path.to_owned();
    let read = move || {
        let mut hasher = blake3::Hasher::new();
        let (size, crc32c) = read(&owned, |bytes| {
            hasher.update(bytes);
        })?;
        Ok(Digest { size, crc32c, blake3: hasher.finalize() })
    };
    let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.into()));
    read.map_err(|error| unreadable(path, &error))
}

fn compare(path: PathBuf, size: u64, expected: Crc32c) -> io::Result<bool> {
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() || metadata.len() != size {
        return Ok(false);
    }
    Ok(read(&path, |_| {})? == (size, expected))
}

/// Reads a file to its end; answers its size and checksum.
fn read(path: &Path, mut see: impl FnMut(&[u8])) -> io::Result<(u64, Crc32c)> {
    let mut file = fs::File::open(path)?;
    // One more than there should be shows the end.
    let room = usize::try_from(file.metadata()?.len()).map_or(READ_SIZE, |size| size + 1);
    let mut buffer = vec![0; room.min(READ_SIZE)];
    let (mut size, mut crc32c) = (0, Crc32c::EMPTY);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, crc32c)),
            Ok(count) => {
                let bytes = &buffer[..count];
                see(bytes);
                size += count as u64;
                crc32c = crc32c.combine(Crc32c::of(bytes), count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_sdk::v1::ObjectChecksums;

    use super::*;

    #[tokio::test]
    async fn only_the_same_bytes_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"content").unwrap();
        let crc32c = Some(Crc32c::of(b"content").0);
        let file = File {
            size: 7,
            state: State::Ready.into(),
            checksums: Some(ObjectChecksums { crc32c, ..Default::default() }),
            ..File::default()
        };
        assert!(has_content_of(&path, &file).await);
        fs::write(&path, b"CONTENT").unwrap();
        assert!(!has_content_of(&path, &file).await);
        assert!(!has_content_of(&folder.path().join("b"), &file).await);
        let failed = File { state: State::Failed.into(), ..file };
        assert!(!has_content_of(&path, &failed).await);
    }
}
