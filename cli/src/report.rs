//! What becomes of the files of one command, told as it happens.

use std::sync::Arc;

use sluice_sdk::CancellationToken;

use crate::{
    display::DisplayArguments, exit::Exit, failure::Failure, interrupt, progress::Board,
    summary::Summary, terminal,
};

/// Tells people and programs, and stops everything when there is no point in
/// going on.
pub(crate) struct Report {
    pub(crate) summary: Summary,
    pub(crate) board: Arc<Board>,
    /// Ends all work: because of Ctrl-C, or because of a failure that concerns
    /// all files.
    pub(crate) stop: CancellationToken,
    interrupted: CancellationToken,
    /// Files that something was told about.
    told: usize,
}

impl Report {
    /// The beginning of a command that does this with files: `uploaded`.
    pub(crate) fn begin(verb: &'static str, display: &DisplayArguments, board: Board) -> Self {
        let interrupted = interrupt::token();
        Self {
            summary: Summary::new(verb, display.json, display.quiet),
            board: Arc::new(board),
            stop: interrupted.child_token(),
            interrupted,
            told: 0,
        }
    }

    /// One more file was told about.
    pub(crate) fn told(&mut self) {
        self.told += 1;
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

    /// Of so many files, those that nothing was told about were never begun.
    pub(crate) fn of(mut self, files: usize) -> Self {
        for _ in self.told..files {
            self.summary.stopped();
        }
        self
    }

    /// The end.
    pub(crate) fn finish(self) -> Result<Exit, Failure> {
        self.board.finish();
        self.summary.finish(self.board.elapsed(), self.interrupted.is_cancelled())
    }

    /// The end of a question rather than of work.
    pub(crate) fn answer(self) -> Result<Exit, Failure> {
        self.board.finish();
        self.summary.answer(self.board.elapsed(), self.interrupted.is_cancelled())
    }
}
