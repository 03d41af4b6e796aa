//! What became of each file, and of all together: events for programs on
//! standard output, one line for people on standard error.

mod event;
mod totals;

use std::{io::Write, path::Path, time::Duration};

use sluice_sdk::File;

pub(crate) use self::event::{Event, Planned, Transferred};
use self::totals::{Totals, is_removal};
use crate::{exit::Exit, failure::Failure, terminal, units};

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
        if is_removal(self.verb) {
            self.totals.files += 1;
            self.totals.bytes += size;
            self.only = Some(name.to_owned()).filter(|_| self.totals.files == 1);
        }
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
            terminal::note(&format!(
                "{interrupted}{}",
                self.totals.line(self.verb, self.only.as_deref(), elapsed)
            ));
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
}
