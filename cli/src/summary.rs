//! What became of each file, and of all together: events for programs on
//! standard output, one line for people on standard error.

use std::{io::Write, path::Path, time::Duration};

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
    /// The bytes of a file are what they should be.
    Verified {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// Size in bytes.
        size: u64,
    },
    /// `--overwrite never`: there was something at the place of a file.
    Kept {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// What was there, and still is.
        path: String,
    },
    /// A file was deleted.
    Removed {
        /// Name of the file.
        name: &'a str,
        /// Id of the file; absent for a local one.
        file_id: Option<&'a str>,
        /// Where the file was, if it was a local one.
        path: Option<String>,
    },
    /// `--dry-run`: a file would be uploaded.
    WouldUpload(Planned<'a>),
    /// `--dry-run`: a file would be downloaded.
    WouldDownload(Planned<'a>),
    /// `--dry-run`: a file would be deleted.
    WouldRemove(Planned<'a>),
    /// `--dry-run`: a file would have another name.
    WouldRename {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// The name that it would have.
        new_name: &'a str,
    },
    /// A file has another name.
    Renamed {
        /// Name that the file had.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// The name that it has.
        new_name: &'a str,
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

/// A file to which something would happen. The fields are those of the event
/// that would come.
#[derive(Debug, Serialize)]
pub(crate) struct Planned<'a> {
    pub(crate) name: &'a str,
    /// Absent where there would be a new file.
    pub(crate) file_id: Option<&'a str>,
    /// Absent where it is not known before.
    pub(crate) size: Option<u64>,
    pub(crate) path: Option<String>,
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
    /// Not downloaded because something was there.
    kept: usize,
    /// Deleted; or with `--dry-run` what would be.
    removed: usize,
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

    pub(crate) fn verified(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        if let Event::Verified { name, size, .. } = event {
            self.totals.files += 1;
            self.totals.bytes += size;
            self.only = Some((*name).to_owned()).filter(|_| self.totals.files == 1);
        }
        self.event(event)
    }

    pub(crate) fn kept(&mut self, file: &File, path: &Path) -> Result<(), Failure> {
        self.totals.kept += 1;
        let path = path.display().to_string();
        self.event(&Event::Kept { name: &file.name, file_id: &file.id, path })
    }

    /// A file on the server was deleted: the command's purpose, or its end.
    pub(crate) fn removed(&mut self, file: &File) -> Result<(), Failure> {
        self.count_removal(&file.name, file.size.cast_unsigned());
        self.event(&Event::Removed { name: &file.name, file_id: Some(&file.id), path: None })
    }

    /// A local file was deleted.
    pub(crate) fn removed_here(&mut self, name: &str, path: &Path) -> Result<(), Failure> {
        self.count_removal(name, 0);
        let path = Some(path.display().to_string());
        self.event(&Event::Removed { name, file_id: None, path })
    }

    fn count_removal(&mut self, name: &str, size: u64) {
        self.totals.removed += 1;
        if self.removes_only() {
            self.totals.files += 1;
            self.totals.bytes += size;
            self.only = Some(name.to_owned()).filter(|_| self.totals.files == 1);
        }
    }

    /// Whether the command is there to remove files.
    fn removes_only(&self) -> bool {
        self.verb.ends_with("removed") || self.verb.ends_with("remove")
    }

    /// A file has, or would have, another name.
    pub(crate) fn renamed(
        &mut self,
        file: &File,
        new_name: &str,
        dry_run: bool,
    ) -> Result<(), Failure> {
        self.totals.files += 1;
        self.totals.bytes += file.size.cast_unsigned();
        let (name, file_id) = (file.name.as_str(), file.id.as_str());
        match dry_run {
            true => {
                self.say(&format!("would rename {name} to {new_name}"))?;
                self.event(&Event::WouldRename { name, file_id, new_name })
            }
            false => self.event(&Event::Renamed { name, file_id, new_name }),
        }
    }

    /// What would happen to a file.
    pub(crate) fn planned(&mut self, event: &Event<'_>) -> Result<(), Failure> {
        let (what, file) = match event {
            Event::WouldUpload(file) => ("upload", file),
            Event::WouldDownload(file) => ("download", file),
            Event::WouldRemove(file) => ("remove", file),
            _ => return Ok(()),
        };
        if what == "remove" {
            self.count_removal(file.name, file.size.unwrap_or(0));
        } else {
            self.totals.files += 1;
            self.totals.bytes += file.size.unwrap_or(0);
            self.only = Some(file.name.to_owned()).filter(|_| self.totals.files == 1);
        }
        let size = file.size.map(|size| format!(" ({})", units::bytes(size))).unwrap_or_default();
        self.say(&format!("would {what} {}{size}", file.name))?;
        self.event(event)
    }

    /// One line of output for people.
    fn say(&self, line: &str) -> Result<(), Failure> {
        if !self.json && !self.quiet {
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        Ok(())
    }

    /// Whether nothing went wrong so far.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty()
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

    /// The same for a question rather than for work: one thing that is wrong
    /// makes the answer, however much is right.
    pub(crate) fn answer(self, elapsed: Duration, interrupted: bool) -> Result<Exit, Failure> {
        let failures = self.failures.clone();
        let exit = self.finish(elapsed, interrupted)?;
        let worst = failures.iter().find(|exit| **exit == Exit::Corrupt).or(failures.first());
        Ok(match worst {
            Some(worst) if exit == Exit::Partial => *worst,
            _ => exit,
        })
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
            false => {
                let Totals { files, skipped, kept, removed, .. } = self.totals;
                Ok(Exit::of_many(&self.failures, files + skipped + kept + removed))
            }
        }
    }

    fn event(&self, event: &Event<'_>) -> Result<(), Failure> {
        if self.json { event.print() } else { Ok(()) }
    }

    /// Whether an error message has said all there is.
    fn is_told_already(&self) -> bool {
        matches!(
            self.totals,
            Totals { files: 0, skipped: 0, removed: 0, failed: 1, stopped: 0, .. }
        )
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
        let removed = if self.removes_only() { 0 } else { totals.removed };
        let would = self.verb.starts_with("would");
        for (files, what) in [
            (totals.skipped, "already there with the same content"),
            (totals.kept, "not replaced"),
            (removed, if would { "would be removed" } else { "removed" }),
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
