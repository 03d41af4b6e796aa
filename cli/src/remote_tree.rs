//! The files of a folder on the server.

use std::pin::pin;

use futures::{Stream, TryStreamExt};
use sluice_sdk::{Client, Entry, File, ListQuery};

use crate::{
    exit::Exit, failure::Failure, filter::Filter, join::Sorted, remote_file::folder_prefix,
};

impl Sorted for File {
    fn place(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// The files that a query asks for, without folders. Pages are fetched as they
/// are needed.
pub(crate) fn files(
    client: &Client,
    query: ListQuery,
) -> impl Stream<Item = Result<File, Failure>> + Send + use<'_> {
    let files = client.list(query).try_filter_map(|entry| async {
        Ok(match entry {
            Entry::File(file) => Some(file),
            Entry::Prefix(_) => None,
        })
    });
    files.map_err(Failure::from)
}

/// A file of a folder on the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileBelow {
    pub(crate) file: File,
    /// Length of the folder's name with its `/`.
    prefix: usize,
}

impl FileBelow {
    /// Its path below the folder.
    pub(crate) fn name(&self) -> &str {
        &self.file.name[self.prefix..]
    }
}

impl Sorted for FileBelow {
    fn place(&self) -> Option<&str> {
        Some(self.name())
    }
}

/// The files of a folder, sorted by name, page by page.
pub(crate) fn below<'a>(
    client: &'a Client,
    folder: &str,
) -> impl Stream<Item = Result<FileBelow, Failure>> + Send + use<'a> {
    let name = folder_prefix(folder);
    let prefix = name.len();
    let files = files(client, ListQuery::by_name().prefix(name));
    files.map_ok(move |file| FileBelow { file, prefix })
}

/// All files of a folder, sorted by name, that the filter takes; there has to
/// be one at least before the filter.
pub(crate) async fn files_in(
    client: &Client,
    folder: &str,
    filter: &Filter,
) -> Result<Vec<File>, Failure> {
    let mut listed = pin!(below(client, folder));
    let (mut taken, mut empty) = (Vec::new(), true);
    while let Some(found) = listed.try_next().await? {
        empty = false;
        if filter.takes(found.name()) {
            taken.push(found.file);
        }
    }
    match empty {
        true => Err(no_such_folder(folder)),
        false => Ok(taken),
    }
}

/// There are no files of such names.
pub(crate) fn no_such_folder(folder: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("there is no folder {folder}"))
        .hint("`sluice ls` shows what there is")
}
