//! What one file's progress leads to: a row on the board, and the record of the
//! upload once it is open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sluice_sdk::Progress;

use super::journal::{Entry, Terms};
use crate::{
    progress::{Board, Row},
    terminal, units,
};

/// What happens with the progress of one file.
pub(super) struct Follow {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) row: Arc<Row>,
    /// Absent if nothing shall be said.
    pub(super) board: Option<Arc<Board>>,
    /// Where the upload is remembered, what it was opened with and its request
    /// id.
    pub(super) record: Option<(Entry, Terms, String)>,
}

impl Follow {
    /// For the SDK to call.
    pub(super) fn call(self) -> impl Fn(&Progress) + Send + Sync {
        let opened = AtomicBool::new(false);
        move |progress| {
            if let Some(upload_id) = &progress.upload_id
                && !opened.swap(true, Ordering::Relaxed)
            {
                self.opened(upload_id, progress);
            }
            self.row.update(progress);
        }
    }

    /// The server knows the upload; nothing was sent by this run yet.
    fn opened(&self, upload_id: &str, progress: &Progress) {
        if let Some((entry, terms, request_id)) = &self.record {
            // Without it, the request id finds the upload as well.
            let _ = entry.save(terms, request_id, Some(upload_id));
        }
        if progress.resumed == 0 {
            return;
        }
        self.row.resumed(progress.resumed);
        if let Some(board) = &self.board {
            let resuming = format!(
                "resuming {} at {} % ({} of {} are there)",
                self.name,
                units::percent(progress.resumed, self.size),
                units::bytes(progress.resumed),
                units::bytes(self.size)
            );
            board.print(|| terminal::note(&resuming));
        }
    }
}
