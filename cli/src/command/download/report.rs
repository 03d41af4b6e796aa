//! What became of each download.

use super::transfer::{Item, Outcome};
use crate::{
    failure::Failure,
    report::Report,
    summary::{Event, Planned, Transferred},
};

impl Report {
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
}
