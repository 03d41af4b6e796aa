//! Whether the server has a file already, before or after it was sent.

use std::time::Duration;

use sluice_sdk::{Error, File, FileChange, Reason};
use tokio::time::{self, Instant};

use super::{
    collect::{Item, Origin},
    existing::Existing,
    transfer::{LONGEST_PAUSE, SHORTEST_PAUSE, Uploader},
};
use crate::{failure::Failure, local_file::has_content_of, modified};

/// Servers sweep every half a minute what is older than ten seconds.
const SWEPT_WITHIN: Duration = Duration::from_secs(60);
/// Sending less than this costs no more than asking whether it is there.
const ASK_FROM: u64 = 128 * 1024;

impl Uploader<'_> {
    /// The file that has the name already, if it is worth while to know.
    pub(super) async fn existing(
        &self,
        item: &Item,
        known: Existing,
    ) -> Result<Option<File>, Failure> {
        match known {
            Existing::File(file) => Ok(Some(*file)),
            Existing::Free => Ok(None),
            Existing::NotAsked if item.size().is_some_and(|size| size >= ASK_FROM) => {
                self.find(item).await
            }
            Existing::NotAsked => Ok(None),
        }
    }

    pub(super) async fn find(&self, item: &Item) -> Result<Option<File>, Failure> {
        let found = self.client.find(&item.name).await;
        found.map_err(|error| Failure::from(error).about(&item.name))
    }

    pub(super) async fn is_same(&self, item: &Item, file: &File) -> bool {
        let Origin::File { path, size, modified } = &item.origin else { return false };
        if self.choices.by_time && modified::is_as_recorded(*size, *modified, file) {
            return true;
        }
        // A checksum that nobody has checked says nothing.
        let checksums = file.checksums.as_ref();
        let as_declared = self.choices.sha256.is_none_or(|declared| {
            checksums.is_some_and(|recorded| recorded.sha256[..] == declared[..])
        });
        as_declared && has_content_of(path, file).await
    }

    /// The server learns the time of a file that had to be read because of it,
    /// so that it need not be read the next time.
    pub(super) async fn note_time(&self, item: &Item, file: &File) {
        if let Some(modified) = item.modified()
            && self.choices.by_time
            && modified::recorded(file) != Some(modified)
        {
            let labels = modified::labels_with(file, modified);
            let change = FileChange::default().metadata(labels).if_etag(&file.etag);
            // Without it, nothing is worse than it was.
            let _ = self.client.update(&file.id, change).await;
        }
    }

    /// The file that is in the way, if it is the same.
    pub(super) async fn same_file(&self, item: &Item, error: &Error) -> Option<File> {
        let (Origin::File { .. }, Some(Reason::FileExists)) = (&item.origin, error.reason()) else {
            return None;
        };
        let file = self.file_in_the_way(error.metadata().get("file_id")?).await?;
        let same = file.name == item.name && self.is_same(item, &file).await;
        if same && let Some(entry) = self.entry(item) {
            entry.forget();
            self.give_up(error.upload_id()).await;
        }
        same.then_some(file)
    }

    /// A file that has a name, or will have it in a moment: a server that was
    /// killed while it completed an upload goes on with that when it sweeps.
    async fn file_in_the_way(&self, file_id: &str) -> Option<File> {
        let started = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.client.get(file_id).await {
                Ok(file) => return Some(file),
                Err(error) if error.reason() != Some(Reason::FileNotFound) => return None,
                Err(_) if started.elapsed() > SWEPT_WITHIN || self.stop.is_cancelled() => {
                    return None;
                }
                Err(_) => time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
