//! Lists of uploads and files, newest first, merged from those of each state.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use sluice_domain::{
    AccountId, FileId, FileState, Result, Timestamp, Upload, UploadId, UploadState,
};
use uuid::Uuid;

use super::{
    Records,
    call::Range,
    item::{Item, unreadable},
    key::{self, UPLOAD_LISTS},
};
use crate::ports::{FilePage, FilePosition, FileQuery, UploadPage, UploadQuery};

/// What of lists is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// Only what comes after this.
    pub(super) after: Option<(Timestamp, Uuid)>,
    /// Only what is not older than this.
    pub(super) oldest: Option<Timestamp>,
    /// Only what is older than this.
    pub(super) before: Option<Timestamp>,
}

impl Window {
    fn range(&self, partition: String) -> Range {
        let mut range = Range::all(partition).descending();
        if let Some(oldest) = self.oldest {
            range = range.from(key::time(oldest));
        }
        // A time alone sorts before everything of that time.
        let before = self.before.map(key::time);
        let after = self.after.map(|(time, id)| key::time_and_id(time, &id));
        match before.into_iter().chain(after).min() {
            Some(last) => range.to(last),
            None => range,
        }
    }
}

impl Records {
    /// The newest of what is in these lists, up to `limit`. What moves from the
    /// first list to another one meanwhile is in one of them, because the first
    /// is read before the others.
    pub(super) async fn newest_first(
        &self,
        partitions: Vec<String>,
        window: Window,
        limit: usize,
    ) -> Result<Vec<(Timestamp, Uuid)>> {
        let read = |partition| async move {
            // One more, because the range includes what it begins after.
            self.query(&window.range(partition), limit + 1).await
        };
        let mut partitions = partitions.into_iter();
        let mut items = match partitions.next() {
            Some(first) => read(first).await?,
            None => Vec::new(),
        };
        items.extend(try_join_all(partitions.map(read)).await?.into_iter().flatten());
        let entry =
            |item: &Item| key::parse_time_and_id(&item.key()?.sk).ok_or_else(|| unreadable("sk"));
        let entries = items.iter().map(entry).collect::<Result<BTreeSet<_>>>()?;
        let wanted = entries.into_iter().rev().filter(|entry| Some(*entry) != window.after);
        Ok(wanted.take(limit).collect())
    }

    /// A page of uploads, newest first.
    pub(super) async fn page_of_uploads(
        &self,
        owner: AccountId,
        query: &UploadQuery,
    ) -> Result<UploadPage> {
        let wanted = |state: UploadState| query.states.is_empty() || query.states.contains(&state);
        let lists = UPLOAD_LISTS.iter().filter(|list| {
            UploadState::ALL
                .iter()
                .any(|state| key::upload_list(*state) == **list && wanted(*state))
        });
        let lists: Vec<_> = lists.map(|list| key::uploads(owner, list)).collect();
        let limit = query.limit as usize;
        let mut after = query.after.map(|(time, id)| (time, *id.as_uuid()));
        let mut uploads = Vec::<Upload>::new();
        loop {
            let asked = limit + 1 - uploads.len();
            let window = Window { after, ..Window::default() };
            let entries = self.newest_first(lists.clone(), window, asked).await?;
            let ids: Vec<_> = entries.iter().map(|(_, id)| UploadId::from_uuid(*id)).collect();
            let found = self.find_uploads(owner, &ids).await?.into_iter();
            uploads.extend(found.map(|stored| stored.upload).filter(|upload| wanted(upload.state)));
            after = entries.last().copied();
            if entries.len() < asked || uploads.len() > limit {
                break;
            }
        }
        let more = uploads.len() > limit;
        uploads.truncate(limit);
        Ok(UploadPage { uploads, more })
    }

    /// A page of files, newest first.
    pub(super) async fn files_by_time(
        &self,
        owner: AccountId,
        query: &FileQuery,
    ) -> Result<FilePage> {
        let wanted = |state: FileState| query.states.is_empty() || query.states.contains(&state);
        let states = FileState::ALL.into_iter().filter(|state| wanted(*state));
        let lists: Vec<_> = states.map(|state| key::files(owner, state)).collect();
        let limit = query.limit as usize;
        let mut after = match query.after {
            Some(FilePosition::Created(time, id)) => Some((time, *id.as_uuid())),
            _ => None,
        };
        let mut page = FilePage::default();
        loop {
            let asked = limit + 1 - page.files.len();
            let window =
                Window { after, oldest: query.created_after, before: query.created_before };
            let entries = self.newest_first(lists.clone(), window, asked).await?;
            let ids: Vec<_> = entries.iter().map(|(_, id)| FileId::from_uuid(*id)).collect();
            let found = self.find_files(owner, &ids).await?.into_iter();
            page.files.extend(found.map(|stored| stored.file).filter(|file| wanted(file.state)));
            after = entries.last().copied();
            if entries.len() < asked || page.files.len() > limit {
                break;
            }
        }
        let more = page.files.len() > limit;
        page.files.truncate(limit);
        let last = page.files.last().filter(|_| more);
        page.next = last.map(|last| FilePosition::Created(last.create_time, last.id));
        Ok(page)
    }
}
