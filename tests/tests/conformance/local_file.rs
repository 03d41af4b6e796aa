//! The file that a driver uploads.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

use sha2::{Digest, Sha256};
use sluice_tests::{Client, Content};

use crate::scenario::LocalFile;

/// What content that repeats itself consists of.
pub(crate) const PATTERN: &[u8; 64] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";

impl LocalFile {
    fn content(&self) -> Content {
        Content::new(1, self.size).variant(self.variant)
    }

    /// Writes it.
    pub(crate) fn write_to(&self, path: &Path) {
        if !self.repeats {
            return self.content().write_to(path);
        }
        let mut file = fs::File::create(path).expect("the file can be made");
        let block = PATTERN.repeat(1024);
        let mut left = usize::try_from(self.size).expect("fits in memory");
        while left > 0 {
            let length = left.min(block.len());
            file.write_all(&block[..length]).expect("the file can be written");
            left -= length;
        }
    }

    /// SHA-256 of a file, in lower-case hexadecimal digits.
    pub(crate) fn sha256(path: &Path) -> String {
        let mut hasher = Sha256::new();
        let mut file = fs::File::open(path).expect("the file can be opened");
        let mut buffer = vec![0; 1024 * 1024];
        loop {
            match file.read(&mut buffer).expect("the file can be read") {
                0 => break,
                length => hasher.update(&buffer[..length]),
            }
        }
        hex::encode(hasher.finalize())
    }

    /// Whether a file on the server has the same bytes.
    pub(crate) async fn is_stored_as(
        &self,
        client: &Client,
        file_id: &str,
        path: &Path,
    ) -> Result<(), String> {
        let mut hasher = Sha256::new();
        let mut size = 0;
        let read = client.read_each(file_id, 0, 0, |_, bytes| {
            hasher.update(bytes);
            size += bytes.len() as u64;
        });
        read.await.map_err(|status| format!("{file_id} cannot be read: {status:?}"))?;
        if size != self.size || hex::encode(hasher.finalize()) != Self::sha256(path) {
            return Err(format!("{file_id} is not what was uploaded"));
        }
        Ok(())
    }
}

/// Changes a byte in the last part of a file, and its time.
pub(crate) fn change(path: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().read(true).write(true).open(path).expect("it can be opened");
    let metadata = file.metadata().expect("it has metadata");
    let size = metadata.len();
    let mut byte = [0];
    file.read_exact_at(&mut byte, size - 1).expect("it can be read");
    file.write_all_at(&[byte[0] ^ 1], size - 1).expect("it can be written");
    let modified = metadata.modified().expect("it has a time");
    file.set_modified(modified + Duration::from_secs(3)).expect("its time can be set");
}
