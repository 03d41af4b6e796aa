//! How far an upload of unknown size is, as its lanes and its reader see it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Progress;

/// Shared by all that work on the upload.
#[derive(Default)]
pub(super) struct Tally(Mutex<Progress>);

impl Tally {
    pub(super) fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// The input has ended after so many bytes.
    pub(super) fn ended(&self, size: u64) {
        self.lock().total = Some(size);
    }

    /// Bytes were handed to the transport, some of them again.
    pub(super) fn sent(&self, bytes: u64, again: u64) {
        let mut progress = self.lock();
        progress.sent += bytes;
        progress.resent += again;
        progress.in_flight += bytes;
        progress.trouble = None;
    }

    /// Bytes that were under way are not any more.
    pub(super) fn lost(&self, bytes: u64) {
        self.lock().in_flight -= bytes;
    }

    /// A part is persisted, of which so many bytes were under way.
    pub(super) fn persisted(&self, bytes: u64, under_way: u64) {
        let mut progress = self.lock();
        progress.persisted += bytes;
        progress.in_flight -= under_way;
    }

    /// Something failed and will be tried again.
    pub(super) fn trouble(&self, message: &str) {
        self.lock().trouble = Some(message.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
