//! Stored bytes, found and changed behind the server's back.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::Content;

/// How much of a content's beginning identifies it.
const MARK: u64 = 64;

/// The file within a data folder that holds a content in one piece.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    /// Where the content begins in the file.
    start: u64,
}

impl Stored {
    /// Looks for content of at least 64 bytes in a data folder; none if no file
    /// has its beginning.
    pub fn find(data_dir: &Path, content: &Content) -> Option<Self> {
        let mark = content.bytes(0..MARK);
        let files = WalkDir::new(data_dir).into_iter().filter_map(Result::ok);
        let mut paths =
            files.filter(|file| file.file_type().is_file()).map(|file| file.into_path());
        paths.find_map(|path| {
            let bytes = fs::read(&path).ok()?;
            let start = bytes.windows(MARK as usize).position(|window| window == mark)?;
            Some(Self { path, start: start as u64 })
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flips one bit of the byte at `offset` of the content; a second time puts
    /// it back.
    pub fn flip_bit(&self, offset: u64, bit: u8) {
        let file = File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .expect("the stored file can be opened");
        let position = self.start + offset;
        let mut byte = [0];
        file.read_exact_at(&mut byte, position).expect("the byte is there");
        byte[0] ^= 1 << bit;
        file.write_all_at(&byte, position).expect("the byte can be changed");
    }

    /// Cuts the file so that the content ends at `size`.
    pub fn truncate(&self, size: u64) {
        let file = File::options().write(true).open(&self.path);
        let file = file.expect("the stored file can be opened");
        file.set_len(self.start + size).expect("the file can be cut");
    }
}

/// Bytes of all files in a data folder.
pub fn bytes_on_disk(data_dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = WalkDir::new(data_dir).into_iter().filter_map(Result::ok);
    let sizes = entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.blocks() * 512);
    sizes.sum()
}
