//! What became of each file, and of all together: events for programs on
//! standard output, one line for people on standard error.

use std::time::Duration;

use serde::Serialize;
use sluice_sdk::{File, Statistics};

use crate::{event::print_json, exit::Exit, failure::Failure, terminal, units};

/// Less than this has no speed worth telling.
const RATE_FROM: u64 = 1024 * 1024;

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// A file was uploaded.
    Uploaded(Transferred<'a>),
    /// A file was downloaded.
    Downloaded(Transferred<'a>),
    /// A file was there already, with the same content.
    Skipped {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// Size in bytes.
        size: u64,
    },
    /// A file was deleted.
    Removed {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
    },
    /// It did not go well.
    Failed {
        /// Name of the file, or what the command line called it.
        name: &'a str,
        /// What happened.
        message: &'a str,
        /// The exit code that this failure has.
        code: u8,
    },
    /// The last line.
    Summary(&'a Totals),
}

impl<'a> Event<'a> {
    pub(crate) fn failed(name: &'a str, failure: &'a Failure) -> Self {
        Self::Failed { name, message: &failure.message, code: failure.exit as u8 }
    }

    pub(crate) fn print(&self) -> Result<(), Failure> {
        print_json(self)
    }
}

/// A file that went over the network.
#[derive(Debug, Serialize)]
pub(crate) struct Transferred<'a> {
    name: &'a str,
    file_id: &'a str,
    size: u64,
    crc32c: Option<String>,
    blake3: Option<String>,
    bytes_sent: u64,
    bytes_resent: u64,
    bytes_resumed: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl<'a> Transferred<'a> {
    pub(crate) fn new(file: &'a File, statistics: &Statistics, path: Option<String>) -> Self {
        let checksums = file.checksums.as_ref();
        Self {
            name: &file.name,
            file_id: &file.id,
            size: statistics.size,
            crc32c: checksums.and_then(|sums| sums.crc32c).map(|crc| format!("{crc:08x}")),
            blake3: checksums
                .filter(|sums| !sums.blake3.is_empty())
                .map(|sums| hex::encode(&sums.blake3)),
            bytes_sent: statistics.sent,
            bytes_resent: statistics.resent,
            bytes_resumed: statistics.resumed,
            seconds: statistics.elapsed.as_secs_f64(),
            path,
        }
    }
}

/// All files of a command together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    files: usize,
    skipped: usize,
    failed: usize,
    /// Not whole because the command was stopped.
    stopped: usize,
    bytes: u64,
    bytes_sent: u64,
    bytes_resent: u64,
    bytes_resumed: u64,
    seconds: f64,
}

/// Collects what becomes of the files of one command.
pub(crate) struct Summary {
    verb: &'static str,
    json: bool,
    quiet: bool,
    totals: Totals,
    failures: Vec<Exit>,
    /// The only file, as it is told about.
    only: Option<String>,
}

impl Summary {
    /// `verb` is what happened to the files: `uploaded`.
    pub(crate) fn new(verb: &'static str, json: bool, quiet: bool) -> Self {
        Self { verb, json, quiet, totals: Totals::default(), failures: Vec::new(), only: None }
    }

    pub(crate) fn transferred(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if let Event::Uploaded(file) | Event::Downloaded(file) = event {
            self.totals.files += 1;
            self.totals.bytes += file.size;
            self.totals.bytes_sent += file.bytes_sent;
            self.totals.bytes_resent += file.bytes_resent;
            self.totals.bytes_resumed += file.bytes_resumed;
            self.only = Some(file.name.to_owned()).filter(|_| self.totals.files == 1);
        }
        self.event(event)
    }

    pub(crate) fn skipped(&mut self, file: &File) -> Result<(), Failure> {
        self.totals.skipped += 1;
        let size = file.size.cast_unsigned();
        self.event(&Event::Skipped { name: &file.name, file_id: &file.id, size })
    }

    pub(crate) fn removed(&mut self, file: &File) -> Result<(), Failure> {
        self.totals.files += 1;
        self.totals.bytes += file.size.cast_unsigned();
        self.only = Some(file.name.clone()).filter(|_| self.totals.files == 1);
        self.event(&Event::Removed { name: &file.name, file_id: &file.id })
    }

    /// A file was not tried, or given up in its middle.
    pub(crate) fn stopped(&mut self) {
        self.totals.stopped += 1;
    }

    /// Notes a failure; the caller shows it to people.
    pub(crate) fn failed(&mut self, name: &str, failure: &Failure) -> Result<(), Failure> {
        self.totals.failed += 1;
        self.failures.push(failure.exit);
        self.event(&Event::failed(name, failure))
    }

    /// Tells about all files and answers how the process ends.
    pub(crate) fn finish(mut self, elapsed: Duration, interrupted: bool) -> Result<Exit, Failure> {
        self.totals.seconds = elapsed.as_secs_f64();
        self.event(&Event::Summary(&self.totals))?;
        if !self.quiet && !self.json && !self.is_told_already() {
            let interrupted = if interrupted { "interrupted: " } else { "" };
            terminal::note(&format!("{interrupted}{}", self.line(elapsed)));
        }
        match interrupted {
            true => Ok(Exit::Interrupted),
            false => Ok(Exit::of_many(&self.failures, self.totals.files + self.totals.skipped)),
        }
    }

    fn event(&self, event: &Event<'_>) -> Result<(), Failure> {
        if self.json { event.print() } else { Ok(()) }
    }

    /// Whether an error message has said all there is.
    fn is_told_already(&self) -> bool {
        matches!(self.totals, Totals { files: 0, skipped: 0, failed: 1, stopped: 0, .. })
    }

    fn line(&self, elapsed: Duration) -> String {
        let totals = &self.totals;
        let mut line = match &self.only {
            _ if totals.files == 0 => format!("{} nothing", self.verb),
            Some(name) => format!("{} {name}: {}", self.verb, units::bytes(totals.bytes)),
            None => {
                let files = units::count(totals.files, "file");
                format!("{} {files}: {}", self.verb, units::bytes(totals.bytes))
            }
        };
        if totals.bytes_sent > 0 {
            line += &format!(" in {}", units::seconds(elapsed));
        }
        // The speed of a few bytes is that of the round trip.
        if totals.bytes_sent >= RATE_FROM {
            line += &format!(", {}", units::rate(totals.bytes_sent, elapsed));
        }
        for (bytes, what) in [
            (totals.bytes_resumed, "were there from before"),
            (totals.bytes_resent, "were sent again"),
        ] {
            if bytes > 0 {
                line += &format!("; {} {what}", units::bytes(bytes));
            }
        }
        for (files, what) in [
            (totals.skipped, "already there with the same content"),
            (totals.failed, "failed"),
            (totals.stopped, "not done"),
        ] {
            if files > 0 {
                line += &format!("; {files} {what}");
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File { id: "file_1".into(), name: "a/b.txt".into(), size: 7, ..File::default() }
    }

    #[test]
    fn events_are_flat_and_tagged() {
        let file = file();
        let mut statistics = Statistics::default();
        statistics.size = 7;
        let event = Event::Uploaded(Transferred::new(&file, &statistics, None));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], "uploaded");
        assert_eq!(json["name"], "a/b.txt");
        assert_eq!(json["size"], 7);
        assert_eq!(json["bytes_resent"], 0);
        let json = serde_json::to_value(Event::Summary(&Totals::default())).unwrap();
        assert_eq!((&json["event"], &json["files"]), (&"summary".into(), &0.into()));
    }

    #[test]
    fn the_last_line_says_only_what_happened() {
        let mut summary = Summary::new("uploaded", false, false);
        summary.totals = Totals {
            files: 3,
            failed: 1,
            bytes: 2 << 20,
            bytes_sent: 2 << 20,
            bytes_resent: 1024,
            ..Totals::default()
        };
        assert_eq!(
            summary.line(Duration::from_secs(1)),
            "uploaded 3 files: 2.00 MiB in 1.00 s, 2.00 MiB/s; 1.00 KiB were sent again; 1 failed"
        );
        summary.totals = Totals { skipped: 2, ..Totals::default() };
        assert_eq!(
            summary.line(Duration::from_secs(1)),
            "uploaded nothing; 2 already there with the same content"
        );
    }
}
