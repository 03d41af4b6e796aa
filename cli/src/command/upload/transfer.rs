//! The upload of one file: new, resumed, or found to be there already.

use std::{sync::Arc, time::Duration};

use sluice_sdk::{CancellationToken, Client, File, Kind, Source, Uploaded, v1::file::State};
use tokio::{sync::Semaphore, time};

use super::{
    choices::Choices,
    collect::{Item, Origin},
    existing::Existing,
    journal::Journal,
};
use crate::{exit::Exit, failure::Failure, gate::Gate, progress::Board, report::Report};

/// How many mebibytes may be in flight, each file counting for
/// [`MOST_WEIGHT`] at most: so eight large files are.
const MEBIBYTES_IN_FLIGHT: usize = 64;
const MOST_WEIGHT: u32 = 8;
/// How often to ask for a file that the server still works on.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What all uploads of a command share.
pub(crate) struct Uploader<'a> {
    pub(super) client: &'a Client,
    pub(super) choices: &'a Choices,
    pub(super) journal: Option<Journal>,
    pub(super) board: Arc<Board>,
    pub(super) stop: CancellationToken,
    gate: Gate,
    /// Mebibytes that may be in flight.
    room: Semaphore,
}

/// What became of one file.
pub(crate) enum Outcome {
    Uploaded(Box<Uploaded>),
    /// The server has a file of this name and content.
    AlreadyThere(Box<File>),
    /// It is not there, and nothing shall be done about it.
    WouldUpload,
    /// The command was stopped before it was whole.
    Stopped,
}

impl<'a> Uploader<'a> {
    pub(crate) fn new(
        client: &'a Client,
        choices: &'a Choices,
        gate: Gate,
        report: &Report,
    ) -> Self {
        Self {
            client,
            choices,
            journal: choices.journal(),
            board: report.board.clone(),
            stop: report.stop.clone(),
            gate,
            room: Semaphore::new(MEBIBYTES_IN_FLIGHT),
        }
    }

    /// Uploads a file unless the server has the same.
    pub(crate) async fn upload(&self, item: &Item, existing: Existing) -> Result<Outcome, Failure> {
        let mut pass = self.gate.enter().await;
        let weight = item.size().map_or(MOST_WEIGHT, weight);
        // Never closed.
        let _room = self.room.acquire_many(weight).await;
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let row = Arc::new(self.board.row(&item.name, item.size()));
        if let Some(file) = self.existing(item, existing).await? {
            if self.is_same(item, &file).await {
                self.note_time(item, &file).await;
                row.resumed(file.size.cast_unsigned());
                row.done(file.size.cast_unsigned());
                return Ok(Outcome::AlreadyThere(Box::new(file)));
            }
            self.choices.check_replacement(&item.name)?;
        }
        let sent = match &item.origin {
            Origin::File { path, .. } => self.upload_file(item, path, &row).await,
            Origin::Pipe(path) => self.upload_stream(item, Source::path(path), &row).await,
            Origin::StandardInput => {
                self.upload_stream(item, Source::reader(tokio::io::stdin()), &row).await
            }
        };
        let error = match sent {
            Ok(mut uploaded) => {
                if self.choices.wait {
                    uploaded.file = self.until_ready(uploaded.file).await?;
                }
                row.done(uploaded.statistics.size);
                pass.moved(uploaded.statistics.sent);
                return Ok(Outcome::Uploaded(Box::new(uploaded)));
            }
            Err(failed) => failed,
        };
        if let Some(file) = self.same_file(item, &error).await {
            row.done(file.size.cast_unsigned());
            return Ok(Outcome::AlreadyThere(Box::new(file)));
        }
        if error.kind() == Kind::Cancelled {
            return Ok(Outcome::Stopped);
        }
        Err(Failure::from(error).about(&item.name))
    }

    /// The file once it can be read, or the reason why it never will be.
    async fn until_ready(&self, mut file: File) -> Result<File, Failure> {
        let mut pause = SHORTEST_PAUSE;
        while file.state() == State::Processing && !self.stop.is_cancelled() {
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            file = self.client.get(&file.id).await?;
        }
        match (file.state(), &file.error) {
            (State::Failed | State::Quarantined, error) => {
                let why = error.as_ref().map_or("it cannot be read", |error| &error.message);
                Err(Failure::new(Exit::Corrupt, format!("{}: {why}", file.name)))
            }
            _ => Ok(file),
        }
    }

    /// What would become of a file, without doing it.
    pub(crate) async fn would_upload(
        &self,
        item: &Item,
        existing: Existing,
    ) -> Result<Outcome, Failure> {
        if self.stop.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        let existing = match existing {
            Existing::NotAsked => self.find(item).await?,
            Existing::File(file) => Some(*file),
            Existing::Free => None,
        };
        let Some(file) = existing else { return Ok(Outcome::WouldUpload) };
        if self.is_same(item, &file).await {
            return Ok(Outcome::AlreadyThere(Box::new(file)));
        }
        self.choices.check_replacement(&item.name)?;
        Ok(Outcome::WouldUpload)
    }
}

/// Of a file among those in flight, in mebibytes.
fn weight(size: u64) -> u32 {
    let mebibytes = u32::try_from(size >> 20).unwrap_or(u32::MAX);
    mebibytes.saturating_add(1).min(MOST_WEIGHT)
}
