//! What became of each upload.

use super::{collect::Item, transfer::Outcome};
use crate::{
    failure::Failure,
    report::Report,
    summary::{Event, Planned, Transferred},
};

impl Report {
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
        self.told();
        Ok(())
    }
}
