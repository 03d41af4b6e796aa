//! What became of each upload, told as it happens.

use std::sync::Arc;

use sluice_sdk::CancellationToken;

use super::{collect::Item, transfer::Outcome};
use crate::{
    exit::Exit,
    failure::Failure,
    progress::Board,
    summary::{Event, Planned, Summary, Transferred},
    terminal,
};

/// Tells people and programs, and stops everything when there is no point in
/// going on.
pub(crate) struct Report {
    pub(crate) summary: Summary,
    board: Arc<Board>,
    stop: CancellationToken,
    /// Files that something was told about.
    told: usize,
}

impl Report {
    pub(crate) fn new(summary: Summary, board: &Arc<Board>, stop: &CancellationToken) -> Self {
        Self { summary, board: board.clone(), stop: stop.clone(), told: 0 }
    }

    pub(crate) fn uploaded(
        &mut self,
        item: &Item,
        outcome: Result<Outcome, Failure>,
    ) -> Result<(), Failure> {
        match outcome {
            Ok(Outcome::Uploaded(uploaded)) => {
                let file = Transferred::new(&uploaded.file, &uploaded.statistics, None);
                self.summary.transferred(&Event::Uploaded(file))?;
            }
            Ok(Outcome::WouldUpload) => {
                let path = item.path().map(|path| path.display().to_string());
                let planned = Planned { name: &item.name, file_id: None, size: item.size(), path };
                self.board.print(|| self.summary.planned(&Event::WouldUpload(planned)))?;
            }
            Ok(Outcome::AlreadyThere(file)) => self.summary.skipped(&file)?,
            // Counted at the end, as what was never begun.
            Ok(Outcome::Stopped) => return Ok(()),
            Err(failure) => return self.failed(&item.name, &failure),
        }
        self.told += 1;
        Ok(())
    }

    /// Something did not go well.
    pub(crate) fn failed(&mut self, name: &str, failure: &Failure) -> Result<(), Failure> {
        self.told += 1;
        self.board.print(|| terminal::failure(failure));
        self.summary.failed(name, failure)?;
        if failure.exit.concerns_all_files() {
            self.stop.cancel();
        }
        Ok(())
    }

    /// It cannot be found out what there is to do.
    pub(crate) fn listing_failed(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.failed("the list of files", failure)?;
        self.told -= 1;
        self.stop.cancel();
        Ok(())
    }

    /// The end, when there were so many files.
    pub(crate) fn finish(mut self, files: usize, interrupted: bool) -> Result<Exit, Failure> {
        for _ in self.told..files {
            self.summary.stopped();
        }
        self.board.finish();
        self.summary.finish(self.board.elapsed(), interrupted)
    }
}
