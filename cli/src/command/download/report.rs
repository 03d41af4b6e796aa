//! What became of each download, told as it happens.

use std::sync::Arc;

use sluice_sdk::CancellationToken;

use super::transfer::{Item, Outcome};
use crate::{
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
}

impl Report {
    pub(crate) fn new(summary: Summary, board: &Arc<Board>, stop: &CancellationToken) -> Self {
        Self { summary, board: board.clone(), stop: stop.clone() }
    }

    pub(crate) fn downloaded(
        &mut self,
        item: &Item,
        outcome: Result<Outcome, Failure>,
    ) -> Result<(), Failure> {
        let path = || Some(item.path.display().to_string());
        match outcome {
            Ok(Outcome::Downloaded(downloaded)) => {
                let file = Transferred::new(&downloaded.file, &downloaded.statistics, path());
                self.summary.transferred(&Event::Downloaded(file))
            }
            Ok(Outcome::WouldDownload) => {
                let (name, file_id) = (&item.file.name, Some(item.file.id.as_str()));
                let size = Some(item.file.size.cast_unsigned());
                let planned = Planned { name, file_id, size, path: path() };
                self.board.print(|| self.summary.planned(&Event::WouldDownload(planned)))
            }
            Ok(Outcome::AlreadyHere) => self.summary.skipped(&item.file),
            Ok(Outcome::Kept) => self.summary.kept(&item.file, &item.path),
            Ok(Outcome::Stopped) => {
                self.summary.stopped();
                Ok(())
            }
            Err(failure) => self.failed(&item.file.name, &failure),
        }
    }

    /// Something did not go well.
    pub(crate) fn failed(&mut self, name: &str, failure: &Failure) -> Result<(), Failure> {
        self.board.print(|| terminal::failure(failure));
        self.summary.failed(name, failure)?;
        if failure.exit.concerns_all_files() {
            self.stop.cancel();
        }
        Ok(())
    }
}
