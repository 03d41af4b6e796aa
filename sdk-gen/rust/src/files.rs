//! Finding, renaming and deleting files.

use std::collections::BTreeMap;

use futures::Stream;
use prost_types::FieldMask;
use sluice_domain::Reason;
use sluice_proto::v1::{
    DeleteFileRequest, GetFileRequest, ListFilesRequest, UpdateFileRequest, file::State,
    list_files_request::OrderBy,
};

use crate::{Client, Error, File, Result, client::answer, error::Kind, pages::paged};

/// Entries on one page: the most that there can be.
const PAGE_SIZE: i32 = 1000;

/// Which files to list, and in which order.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ListQuery {
    request: ListFilesRequest,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all entries are files")]
pub enum Entry {
    /// A file.
    File(File),
    /// The beginning of deeper names, up to and including a `/`.
    Prefix(String),
}

/// What to change about a file.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct FileChange {
    name: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    etag: String,
}

impl Client {
    /// One file, in whatever state.
    pub async fn get(&self, file_id: &str) -> Result<File> {
        let request = GetFileRequest { file_id: file_id.into() };
        let call = move |request| async move { self.raw_files().get_file(request).await };
        let answer = self.unary(request, call).await?;
        answer.file.ok_or_else(no_file)
    }

    /// The file with this name, if there is one.
    pub async fn find(&self, name: &str) -> Result<Option<File>> {
        // Of all names that begin with it, the name itself is the first.
        let query = ListQuery::by_name().prefix(name);
        let request = ListFilesRequest { page_size: 1, ..query.request };
        let call = move |request| async move { self.raw_files().list_files(request).await };
        let answer = self.unary(request, call).await?;
        Ok(answer.files.into_iter().find(|file| file.name == name))
    }

    /// The files that the query asks for. Pages are fetched as they are needed.
    pub fn list(&self, query: ListQuery) -> impl Stream<Item = Result<Entry>> + Send + use<'_> {
        paged(move |page_token| {
            let request =
                ListFilesRequest { page_size: PAGE_SIZE, page_token, ..query.request.clone() };
            async move {
                let call = move |request| async move { self.raw_files().list_files(request).await };
                let page = self.unary(request, call).await?;
                let folded = !page.prefixes.is_empty();
                let files = page.files.into_iter().map(Entry::File);
                let prefixes = page.prefixes.into_iter().map(Entry::Prefix);
                let mut entries: Vec<_> = files.chain(prefixes).collect();
                // The page has two lists of one order.
                if folded {
                    entries.sort_by(|a, b| a.name().cmp(b.name()));
                }
                Ok((entries, page.next_page_token))
            }
        })
    }

    /// Renames a file or replaces its metadata.
    pub async fn update(&self, file_id: &str, change: FileChange) -> Result<File> {
        let paths = [
            change.name.is_some().then(|| "name".to_owned()),
            change.metadata.is_some().then(|| "metadata".to_owned()),
        ];
        let request = UpdateFileRequest {
            update_mask: Some(FieldMask { paths: paths.into_iter().flatten().collect() }),
            file: Some(File {
                id: file_id.into(),
                name: change.name.unwrap_or_default(),
                metadata: change.metadata.unwrap_or_default(),
                ..Default::default()
            }),
            etag: change.etag,
        };
        let call = move |request| async move { self.raw_files().update_file(request).await };
        let answer = self.unary(request, call).await?;
        answer.file.ok_or_else(no_file)
    }

    /// Deletes a file.
    pub async fn delete(&self, file_id: &str) -> Result<()> {
        let mut attempts = self.attempts();
        let mut first = true;
        loop {
            let request = DeleteFileRequest { file_id: file_id.into(), etag: String::new() };
            let Err(error) = answer(self.raw_files().delete_file(request)).await else {
                return Ok(());
            };
            // Gone by the attempt before, whose answer was lost.
            if !first && error.reason() == Some(Reason::FileNotFound) {
                return Ok(());
            }
            attempts.wait_after(error).await?;
            first = false;
        }
    }
}

impl ListQuery {
    /// All files, newest first.
    pub fn newest_first() -> Self {
        Self::ordered(OrderBy::CreateTime)
    }

    /// All files, by name.
    pub fn by_name() -> Self {
        Self::ordered(OrderBy::Name)
    }

    /// Only names that begin so. Needs [`ListQuery::by_name`].
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.request.name_prefix = prefix.into();
        self
    }

    /// Fold deeper names into one [`Entry::Prefix`] each, as folders are. Needs
    /// [`ListQuery::by_name`].
    pub fn folded(mut self) -> Self {
        self.request.delimiter = "/".into();
        self
    }

    /// Only files in one of these states.
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.request.states = states.into_iter().map(i32::from).collect();
        self
    }

    fn ordered(order: OrderBy) -> Self {
        Self { request: ListFilesRequest { order_by: order.into(), ..Default::default() } }
    }
}

impl Entry {
    /// The name of the file, or the beginning of deeper names.
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.name,
            Self::Prefix(prefix) => prefix,
        }
    }
}

impl FileChange {
    /// Another name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Other metadata instead of what there is.
    pub fn metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Change only the revision that was seen.
    pub fn if_etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = etag.into();
        self
    }
}

/// An answer without the resource that the contract promises.
pub(crate) fn no_file() -> Error {
    Error::new(Kind::Corrupt, "the server's answer has no file")
}
