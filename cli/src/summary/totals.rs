//! What became of all files together.

use std::time::Duration;

use serde::Serialize;

use crate::units;

/// Less than this has no speed worth telling.
const RATE_FROM: u64 = 1024 * 1024;

/// All files of a command together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(super) files: usize,
    pub(super) skipped: usize,
    /// Not downloaded because something was there.
    pub(super) kept: usize,
    /// Deleted; or with `--dry-run` what would be.
    pub(super) removed: usize,
    pub(super) failed: usize,
    /// Not whole because the command was stopped.
    pub(super) stopped: usize,
    pub(super) bytes: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_resent: u64,
    pub(super) bytes_resumed: u64,
    pub(super) seconds: f64,
}

impl Totals {
    /// As one line: what was done with the files, which are named if there is one.
    pub(super) fn line(&self, verb: &str, only: Option<&str>, elapsed: Duration) -> String {
        let mut line = match only {
            _ if self.files == 0 => format!("{verb} nothing"),
            Some(name) => format!("{verb} {name}: {}", units::bytes(self.bytes)),
            None => {
                let files = units::count(self.files, "file");
                format!("{verb} {files}: {}", units::bytes(self.bytes))
            }
        };
        if self.bytes_sent > 0 {
            line += &format!(" in {}", units::seconds(elapsed));
        }
        // The speed of a few bytes is that of the round trip.
        if self.bytes_sent >= RATE_FROM {
            line += &format!(", {}", units::rate(self.bytes_sent, elapsed));
        }
        for (bytes, what) in
            [(self.bytes_resumed, "were there from before"), (self.bytes_resent, "were sent again")]
        {
            if bytes > 0 {
                line += &format!("; {} {what}", units::bytes(bytes));
            }
        }
        let removed = if is_removal(verb) { 0 } else { self.removed };
        let would = verb.starts_with("would");
        for (files, what) in [
            (self.skipped, "already there with the same content"),
            (self.kept, "not replaced"),
            (removed, if would { "would be removed" } else { "removed" }),
            (self.failed, "failed"),
            (self.stopped, "not done"),
        ] {
            if files > 0 {
                line += &format!("; {files} {what}");
            }
        }
        line
    }
}

/// Whether a command that says so is there to remove files.
pub(super) fn is_removal(verb: &str) -> bool {
    verb.ends_with("removed") || verb.ends_with("remove")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_only_what_happened() {
        let line = |totals: Totals| totals.line("uploaded", None, Duration::from_secs(1));
        let totals = Totals {
            files: 3,
            failed: 1,
            bytes: 2 << 20,
            bytes_sent: 2 << 20,
            bytes_resent: 1024,
            ..Totals::default()
        };
        assert_eq!(
            line(totals),
            "uploaded 3 files: 2.00 MiB in 1.00 s, 2.00 MiB/s; 1.00 KiB were sent again; 1 failed"
        );
        assert_eq!(
            line(Totals { skipped: 2, ..Totals::default() }),
            "uploaded nothing; 2 already there with the same content"
        );
    }
}
