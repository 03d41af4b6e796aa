//! Everything as it is when a caller begins to watch, page by page.

use std::collections::VecDeque;

use sluice_domain::{File, FileId, FileState, Result, Timestamp, Upload, UploadId, UploadState};

use super::{Caller, Context, PAGE, Selection, WatchEvent};
use crate::ports::{FileOrder, FilePosition, FileQuery, UploadQuery};

/// What of the snapshot is still to come.
pub(super) enum Snapshot {
    /// Open uploads after this one.
    OpenUploads(Option<(Timestamp, UploadId)>),
    /// Files that are being processed after this one.
    ProcessingFiles(Option<FilePosition>),
    /// Those that were named.
    Named { uploads: VecDeque<UploadId>, files: VecDeque<FileId> },
    /// Nothing.
    Done,
}

impl Snapshot {
    /// Refuses ids of nothing.
    pub(super) async fn new(
        context: &Context,
        caller: Caller,
        selection: &Selection,
    ) -> Result<Self> {
        if selection.is_everything() {
            return Ok(Self::OpenUploads(None));
        }
        let mut uploads: VecDeque<_> = selection.uploads.iter().copied().collect();
        let mut files: VecDeque<_> = selection.files.iter().copied().collect();
        let snapshot = Self::Named { uploads: uploads.clone(), files: files.clone() };
        while let Some(ids) = page_of(&mut uploads) {
            let found = context.uploads.uploads(caller.owner, ids.clone()).await?;
            if let Some(id) = ids.iter().find(|id| !found.iter().any(|it| it.id == **id)) {
                // It says so itself.
                context.uploads.upload(caller.owner, *id).await?;
            }
        }
        while let Some(ids) = page_of(&mut files) {
            let found = context.files.files(caller.owner, ids.clone()).await?;
            if let Some(id) = ids.iter().find(|id| !found.iter().any(|it| it.id == **id)) {
                context.files.file(caller.owner, *id).await?;
            }
        }
        Ok(snapshot)
    }

    /// The next events; none when the snapshot is whole.
    pub(super) async fn page(
        &mut self,
        context: &Context,
        caller: Caller,
    ) -> Result<Option<std::vec::IntoIter<WatchEvent>>> {
        let events: Vec<_> = match self {
            Self::OpenUploads(after) => {
                let states = vec![UploadState::Active, UploadState::Completing];
                let query = UploadQuery { states, after: *after, limit: PAGE };
                let page = context.uploads.list_uploads(caller.owner, query).await?;
                let last = page.uploads.last().filter(|_| page.more);
                *self = match last.map(|last| (last.create_time, last.id)) {
                    Some(next) => Self::OpenUploads(Some(next)),
                    None => Self::ProcessingFiles(None),
                };
                page.uploads.into_iter().map(of_upload).collect()
            }
            Self::ProcessingFiles(after) => {
                let page = context.files.list_files(caller.owner, processing(after.take())).await?;
                *self = match page.next {
                    Some(next) => Self::ProcessingFiles(Some(next)),
                    None => Self::Done,
                };
                page.files.into_iter().map(of_file).collect()
            }
            Self::Named { uploads, files } => {
                if let Some(ids) = page_of(uploads) {
                    let found = context.uploads.uploads(caller.owner, ids).await?;
                    // What they have become is asked for with them.
                    let become_files = found.iter().filter(|it| it.state == UploadState::Completed);
                    files.extend(become_files.map(|upload| upload.file_id));
                    found.into_iter().map(of_upload).collect()
                } else if let Some(ids) = page_of(files) {
                    let found = context.files.files(caller.owner, ids).await?;
                    found.into_iter().map(of_file).collect()
                } else {
                    *self = Self::Done;
                    Vec::new()
                }
            }
            Self::Done => return Ok(None),
        };
        Ok(Some(events.into_iter()))
    }
}

fn processing(after: Option<FilePosition>) -> FileQuery {
    FileQuery {
        order: FileOrder::CreateTime,
        name_prefix: String::new(),
        delimiter: String::new(),
        states: vec![FileState::Processing],
        created_after: None,
        created_before: None,
        after,
        limit: PAGE,
    }
}

fn page_of<T>(ids: &mut VecDeque<T>) -> Option<Vec<T>> {
    let count = ids.len().min(PAGE as usize);
    (count > 0).then(|| ids.drain(..count).collect())
}

fn of_upload(upload: Upload) -> WatchEvent {
    WatchEvent::Upload(Box::new(upload))
}

fn of_file(file: File) -> WatchEvent {
    WatchEvent::File(Box::new(file))
}
