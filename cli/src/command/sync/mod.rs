//! `sluice sync`: makes a folder on one side equal to a folder on the other.

mod down;
mod up;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, value_parser};
use sluice_sdk::{CancellationToken, Client};

use crate::{
    exit::Exit, failure::Failure, filter::Filter, progress::Board, report::Report,
    summary::Summary, transfer_arguments::TransferArguments, units,
};

/// What `--help` says at the top.
pub(crate) const ABOUT: &str = "\
Make a folder here and a folder on the server equal.

One of the two folders is on the server and is written server:FOLDER; server: alone is everything there. \
A local path that begins like this is written ./server:…. What is in SOURCE comes to be in TARGET, so \
that `sluice sync photos server:photos` makes the two equal; a / at the end changes nothing.

A file whose size and time of change are those that were recorded when it was uploaded is taken for the \
same. Where only the time differs, or none was recorded, it is read and its CRC-32C decides; with \
--checksum always. Only what differs is transferred, and downloaded files get the recorded time. Transfers that were cut off go on where they were. Nothing is deleted without --delete, \
and then only after everything else went well. What filters leave out is neither transferred nor \
deleted.";

/// What a folder on the server begins with.
const SERVER: &str = "server:";

#[derive(Debug, Args)]
pub(crate) struct SyncArguments {
    /// Folder to take files from: a path here, or server:FOLDER
    #[arg(value_name = "SOURCE", value_parser = value_parser!(OsString))]
    source: OsString,
    /// Folder that shall become equal: server:FOLDER, or a path here
    #[arg(value_name = "TARGET", value_parser = value_parser!(OsString))]
    target: OsString,
    /// Delete what is in TARGET and not in SOURCE
    #[arg(long)]
    delete: bool,
    /// Read all files that both sides have, also those whose size and time are the same
    #[arg(long)]
    checksum: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Size of parts, a power of two; small ones lose less on slow links [default: by size]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    part_size: Option<u64>,
    #[command(flatten)]
    pub(super) transfer: TransferArguments,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Here(PathBuf),
    Server(String),
}

/// What both directions need.
struct Run<'a> {
    arguments: &'a SyncArguments,
    client: &'a Client,
    filter: Filter,
    board: Arc<Board>,
    stop: CancellationToken,
}

impl SyncArguments {
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        self.transfer = self.transfer.settled()?;
        let sides = (Place::parse(&self.source), Place::parse(&self.target));
        let filter = self.transfer.filter.compile()?;
        match sides {
            (Place::Here(folder), Place::Server(name)) => {
                up::check(&folder)?;
                let client = self.transfer.connect().await?;
                let (run, report) = self.start(&client, filter, ["uploaded", "would upload"]);
                run.up(&folder, &name, report).await
            }
            (Place::Server(name), Place::Here(folder)) => {
                down::check(&folder)?;
                let client = self.transfer.connect().await?;
                let (run, report) = self.start(&client, filter, ["downloaded", "would download"]);
                run.down(&name, &folder, report).await
            }
            (Place::Here(_), Place::Here(target)) => {
                let hint = format!(
                    "to upload, say {SERVER}{}; to download, let SOURCE begin with {SERVER}",
                    target.display()
                );
                Err(Failure::usage("both folders are on this machine").hint(hint))
            }
            (Place::Server(_), Place::Server(_)) => {
                Err(Failure::usage("both folders are on the server")
                    .hint("one of them has to be a path on this machine; `sluice mv` renames"))
            }
        }
    }

    /// The verbs say what happens to files, and what would with `--dry-run`.
    fn start<'a>(
        &'a self,
        client: &'a Client,
        filter: Filter,
        [verb, would]: [&'static str; 2],
    ) -> (Run<'a>, Report) {
        let display = &self.transfer.display;
        let verb = if self.dry_run { would } else { verb };
        let report = Report::begin(verb, display, Board::growing(display.progress()));
        let (board, stop) = (report.board.clone(), report.stop.clone());
        (Run { arguments: self, client, filter, board, stop }, report)
    }
}

impl Place {
    pub(super) fn parse(text: &OsStr) -> Self {
        match text.to_str().and_then(|text| text.strip_prefix(SERVER)) {
            Some(name) => Self::Server(name.to_owned()),
            None => Self::Here(text.into()),
        }
    }
}

impl Run<'_> {
    /// Whether what is only in the target is to be deleted, now that all else
    /// is done. Nothing is when something went wrong: then it is not certain
    /// what the source has.
    fn may_delete(&self, summary: &Summary, candidates: usize) -> bool {
        if candidates == 0 || self.stop.is_cancelled() {
            return false;
        }
        if !summary.is_good() && !self.arguments.transfer.display.quiet {
            let files = units::count(candidates, "file");
            let message = format!("{files} not deleted, because not everything went well");
            self.board.print(|| crate::terminal::warning(&message));
        }
        summary.is_good()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_server_is_there_and_all_else_is_here() {
        for (text, place) in [
            ("server:photos", Place::Server("photos".into())),
            ("server:", Place::Server(String::new())),
            ("./server:photos", Place::Here("./server:photos".into())),
            ("photos", Place::Here("photos".into())),
            ("C:photos", Place::Here("C:photos".into())),
        ] {
            assert_eq!(Place::parse(OsStr::new(text)), place);
        }
    }
}
