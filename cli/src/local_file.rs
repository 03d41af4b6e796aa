//! Comparing files here with files there.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sluice_sdk::{Crc32c, File, v1::file::State};

const READ_SIZE: usize = 1024 * 1024;

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

fn compare(path: PathBuf, size: u64, expected: Crc32c) -> io::Result<bool> {
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() || metadata.len() != size {
        return Ok(false);
    }
    let mut file = fs::File::open(&path)?;
    let mut buffer = vec![0; READ_SIZE];
    let mut crc32c = Crc32c::EMPTY;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(crc32c == expected),
            Ok(count) => crc32c = crc32c.combine(Crc32c::of(&buffer[..count]), count as u64),
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
