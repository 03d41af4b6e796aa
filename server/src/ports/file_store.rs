//! The records of files.

use async_trait::async_trait;
use sluice_domain::{
    AccountId, Failure, File, FileId, FileName, FileState, Metadata, Result, Timestamp,
};

/// How files are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOrder {
    /// Newest first.
    CreateTime,
    /// By the bytes of the name.
    Name,
}

/// Where a page of files begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePosition {
    /// After this file, by creation.
    Created(Timestamp, FileId),
    /// After this file, by name.
    Named(String, FileId),
    /// After every name that begins with this prefix.
    Prefix(String),
}

/// Which files to list.
#[derive(Debug, Clone)]
pub struct FileQuery {
    /// How they are sorted.
    pub order: FileOrder,
    /// Only names that begin so; needs the order by name.
    pub name_prefix: String,
    /// Folds names that have this text after the prefix; needs the order by
    /// name; empty means no folding.
    pub delimiter: String,
    /// Only these states; empty means all.
    pub states: Vec<FileState>,
    /// Only files created at or after this time; needs the order by time.
    pub created_after: Option<Timestamp>,
    /// Only files created before this time; needs the order by time.
    pub created_before: Option<Timestamp>,
    /// Where the page begins.
    pub after: Option<FilePosition>,
    /// Most files and prefixes to answer.
    pub limit: u32,
}

impl FileQuery {
    /// The part of a name up to and including the first delimiter after the
    /// prefix, if it is folded.
    pub fn folded<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = &name[self.name_prefix.len()..];
        let end = rest.find(&self.delimiter)? + self.delimiter.len();
        Some(&name[..self.name_prefix.len() + end])
    }
}

/// The smallest text that sorts after every name with this folded prefix: the
/// prefix with its last character replaced by the next one.
pub fn after_prefix(prefix: &str) -> String {
    let mut text = prefix.to_owned();
    // Not every number between two characters is one.
    let next = text.pop().and_then(|last| (last..=char::MAX).nth(1));
    text.push(next.unwrap_or(char::MAX));
    text
}

/// One page of files.
#[derive(Debug, Clone, Default)]
pub struct FilePage {
    /// The files.
    pub files: Vec<File>,
    /// The folded prefixes, up to and including the delimiter.
    pub prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<FilePosition>,
}

/// A change of a file's record; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct FileChange {
    /// The new name.
    pub name: Option<FileName>,
    /// The new key-value pairs.
    pub metadata: Option<Metadata>,
}

/// Stores files. The promises of [`super::UploadStore`] hold here too; a file
/// of another owner is `FILE_NOT_FOUND`.
#[async_trait]
pub trait FileStore: Send + Sync + 'static {
    /// Reads a file.
    async fn file(&self, owner: AccountId, id: FileId) -> Result<File>;

    /// Reads several files, in any order; leaves out those that are not there.
    async fn files(&self, owner: AccountId, ids: Vec<FileId>) -> Result<Vec<File>>;

    /// Lists files.
    async fn list_files(&self, owner: AccountId, query: FileQuery) -> Result<FilePage>;

    /// Changes a file's record; a taken name is `FILE_EXISTS`, another etag is
    /// `ETAG_MISMATCH`.
    async fn update_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        change: FileChange,
    ) -> Result<File>;

    /// Removes a file's record, and its bytes are to be deleted.
    async fn delete_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        now: Timestamp,
    ) -> Result<()>;

    /// `PROCESSING → READY`, with the BLAKE3 of the bytes that were read. The file
    /// takes its name; the file that had it, if it completed earlier, is removed. A
    /// file that is not `PROCESSING`, or is gone, stays as it is.
    async fn mark_ready(
        &self,
        owner: AccountId,
        id: FileId,
        blake3: [u8; 32],
        now: Timestamp,
    ) -> Result<()>;

    /// `PROCESSING → FAILED`, and its bytes are to be deleted. A file that is
    /// not `PROCESSING`, or is gone, stays as it is.
    async fn mark_failed(&self, owner: AccountId, id: FileId, failure: Failure) -> Result<()>;
}
