//! How far all files are together.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time};

use crate::{terminal, units};

/// Pause between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Totals {
    pub(super) files: AtomicUsize,
    /// Counts only as long as all sizes are known.
    pub(super) bytes: AtomicU64,
    pub(super) size_unknown: bool,
    /// Whether more files may be expected at any time.
    pub(super) growing: bool,
    pub(super) files_done: AtomicUsize,
    pub(super) there: AtomicU64,
    /// What was there before the command began.
    pub(super) resumed: AtomicU64,
    /// Why something does not move.
    pub(super) trouble: Mutex<Option<String>>,
}

impl Totals {
    /// Whether there is one file and will be no other.
    pub(super) fn is_one(&self) -> bool {
        !self.growing && self.files.load(Ordering::Relaxed) == 1
    }

    pub(super) fn known_bytes(&self) -> Option<u64> {
        (!self.size_unknown).then(|| self.bytes.load(Ordering::Relaxed))
    }

    fn line(&self, elapsed: Duration) -> String {
        let there = self.there.load(Ordering::Relaxed);
        let sent = there.saturating_sub(self.resumed.load(Ordering::Relaxed));
        let files = match self.files.load(Ordering::Relaxed) {
            _ if self.is_one() => String::new(),
            // What there will be is not known.
            _ if self.growing => {
                let done = self.files_done.load(Ordering::Relaxed);
                format!("{}, ", units::count(done, "file"))
            }
            files => format!("{} of {files} files, ", self.files_done.load(Ordering::Relaxed)),
        };
        let bytes = match self.known_bytes() {
            Some(bytes) if !self.growing => format!(
                "{} % ({} of {})",
                units::percent(there, bytes),
                units::bytes(there),
                units::bytes(bytes)
            ),
            _ => units::bytes(there).to_string(),
        };
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = trouble.iter().map(|trouble| format!("; waiting: {trouble}"));
        let trouble: String = trouble.collect();
        format!("{files}{bytes}, {}{trouble}", units::rate(sent, elapsed))
    }
}

/// Prints them now and then, where there is no terminal.
pub(super) fn print_lines(totals: Arc<Totals>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let started = Instant::now();
        loop {
            time::sleep(LINE_INTERVAL).await;
            terminal::note(&totals.line(started.elapsed()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_files_bytes_and_speed() {
        let totals = Totals { files: 3.into(), bytes: 4096.into(), ..Totals::default() };
        totals.there.store(2048, Ordering::Relaxed);
        totals.resumed.store(1024, Ordering::Relaxed);
        totals.files_done.store(1, Ordering::Relaxed);
        let line = totals.line(Duration::from_secs(1));
        assert_eq!(line, "1 of 3 files, 50 % (2.00 KiB of 4.00 KiB), 1.00 KiB/s");
    }
}
