//! How far one file is.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use indicatif::ProgressBar;
use sluice_sdk::Progress;

use super::{
    Board,
    look::{FILE_BAR, Look, TROUBLE, UNKNOWN_SIZE, style},
};

/// One file on the board. Disappears when it is dropped.
pub(crate) struct Row {
    board: Arc<Board>,
    bar: Option<ProgressBar>,
    position: AtomicU64,
    resumed: AtomicU64,
    /// What is shown of [`Progress::trouble`].
    trouble: Mutex<Option<String>>,
}

impl Row {
    pub(super) fn new(board: &Arc<Board>, bar: Option<ProgressBar>) -> Self {
        Self {
            board: board.clone(),
            bar,
            position: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    /// Shows how far the file is.
    pub(crate) fn update(&self, progress: &Progress) {
        self.move_to(progress.position());
        if let Some(bar) = &self.bar {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.position());
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble != progress.trouble {
            trouble.clone_from(&progress.trouble);
            self.show_trouble(progress);
        }
    }

    /// Shows that so many bytes are done.
    pub(crate) fn at(&self, position: u64) {
        self.move_to(position);
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    fn show_trouble(&self, progress: &Progress) {
        let totals = &self.board.totals;
        totals.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&progress.trouble);
        let Some(bar) = &self.bar else { return };
        match (&progress.trouble, progress.total) {
            (Some(trouble), _) => {
                bar.set_style(style(TROUBLE));
                bar.set_message(format!("waiting: {trouble}"));
            }
            (None, Some(_)) => bar.set_style(style(FILE_BAR)),
            (None, None) => bar.set_style(style(UNKNOWN_SIZE)),
        }
    }

    /// These bytes were there already: they say nothing about the speed.
    pub(crate) fn resumed(&self, bytes: u64) {
        let before = self.resumed.swap(bytes, Ordering::Relaxed);
        let resumed = &self.board.totals.resumed;
        resumed.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        self.move_to(bytes);
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.reset_eta();
        }
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            total.reset_eta();
        }
    }

    /// The file is done, and so are all its bytes.
    pub(crate) fn done(&self, size: u64) {
        self.move_to(size);
        let files_done = self.board.totals.files_done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            let files = self.board.totals.files.load(Ordering::Relaxed);
            total.set_prefix(format!("{files_done} of {files} files"));
        }
    }

    fn move_to(&self, position: u64) {
        let totals = &self.board.totals;
        let before = self.position.swap(position, Ordering::Relaxed);
        // Wraps around and back where a position falls.
        totals.there.fetch_add(position.wrapping_sub(before), Ordering::Relaxed);
        if let Look::Bars { total: Some(total), .. } = &self.board.look {
            total.set_position(totals.there.load(Ordering::Relaxed));
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let (Some(bar), Look::Bars { all, .. }) = (&self.bar, &self.board.look) {
            bar.finish_and_clear();
            all.remove(bar);
        }
    }
}
