//! The download of one file: whole, from where it was, or found to be there
//! already.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use sluice_sdk::{CancellationToken, Client, DownloadOptions, Downloaded, File, Kind};
use tokio::sync::Semaphore;

use crate::{
    exit::Exit, failure::Failure, gate::Gate, local_file::has_content_of, modified,
    progress::Board, report::Report,
};

/// How many mebibytes may be in flight, each file counting for
/// [`MOST_WEIGHT`] at most: so four large files are.
const MEBIBYTES_IN_FLIGHT: usize = 64;
const MOST_WEIGHT: u64 = 16;

/// What `--overwrite` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Overwrite {
    // Without comments for the help, which shows them on lines of their own.
    Never,
    IfDifferent,
    Always,
}

/// A file and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

/// What became of one file.
pub(crate) enum Outcome {
    Downloaded(Box<Downloaded>),
    /// The same content is there.
    AlreadyHere,
    /// Something is there and shall stay.
    Kept,
    /// It is not there, and nothing shall be done about it.
    WouldDownload,
    /// The command was stopped before it was whole.
    Stopped,
}

/// Choices about all downloads of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) overwrite: Overwrite,
    pub(crate) dry_run: bool,
    /// Whether files get the times that they had where they were uploaded.
    pub(crate) keep_time: bool,
    /// Whether what has the size and the time of a file is the same; else, and
    /// where the time differs, it is read to find out.
    pub(crate) by_time: bool,
    /// For each large file.
    pub(crate) streams: u16,
}

/// What all downloads of a command share.
pub(crate) struct Downloader<'a> {
    client: &'a Client,
    how: How,
    board: Arc<Board>,
    stop: CancellationToken,
    gate: Gate,
    /// Mebibytes that may be in flight.
    room: Semaphore,
}

impl<'a> Downloader<'a> {
    pub(crate) fn new(client: &'a Client, how: How, gate: Gate, report: &Report) -> Self {
        Self {
            client,
            how,
            board: report.board.clone(),
            stop: report.stop.clone(),
            gate,
            room: Semaphore::new(MEBIBYTES_IN_FLIGHT),
        }
    }

    /// Downloads a file unless what is there may or must stay.
    pub(crate) async fn download(&self, item: &Item) -> Result<Outcome, Failure> {
        let size = item.file.size.cast_unsigned();
        let mut pass = self.gate.enter().await;
        // Never closed.
        let _room = self.room.acquire_many(weight(size)).await;
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let row = Arc::new(self.board.row(&item.file.name, Some(size)));
        if let Some(outcome) = self.what_is_here(item).await {
            row.resumed(size);
            row.done(size);
            return Ok(outcome);
        }
        if self.how.dry_run {
            return Ok(Outcome::WouldDownload);
        }
        create_folder_of(&item.path).await?;
        let shown = row.clone();
        let options = DownloadOptions::new()
            .streams(self.how.streams.into())
            .on_progress(move |progress| shown.update(progress))
            .cancel(self.stop.clone());
        let options = match modified::recorded(&item.file).filter(|_| self.how.keep_time) {
            Some(modified) => options.modified(modified),
            None => options,
        };
        match self.client.download(&item.file.id, &item.path, options).await {
            Ok(downloaded) => {
                row.done(size);
                pass.moved(downloaded.statistics.sent);
                Ok(Outcome::Downloaded(Box::new(downloaded)))
            }
            Err(error) if error.kind() == Kind::Cancelled => Ok(Outcome::Stopped),
            Err(error) => Err(Failure::from(error).about(&item.file.name)),
        }
    }

    /// What is to be said if nothing has to be fetched.
    async fn what_is_here(&self, item: &Item) -> Option<Outcome> {
        match self.how.overwrite {
            Overwrite::Always => None,
            _ if self.is_same(item).await => Some(Outcome::AlreadyHere),
            Overwrite::IfDifferent => None,
            Overwrite::Never => {
                let there = tokio::fs::symlink_metadata(&item.path).await.is_ok();
                there.then_some(Outcome::Kept)
            }
        }
    }

    async fn is_same(&self, item: &Item) -> bool {
        (self.how.by_time && modified::is_as_recorded_at(&item.path, &item.file).await)
            || has_content_of(&item.path, &item.file).await
    }
}

async fn create_folder_of(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    tokio::fs::create_dir_all(folder).await.map_err(|error| {
        let message = format!("cannot create the folder {}: {error}", folder.display());
        Failure::new(Exit::Other, message)
    })
}

/// Of a file among those in flight, in mebibytes.
fn weight(size: u64) -> u32 {
    let mebibytes = (size >> 20).saturating_add(1).min(MOST_WEIGHT);
    u32::try_from(mebibytes).unwrap_or(u32::MAX)
}
