//! `sluice upload`: files, folders and standard input.

mod collect;
mod follow;
mod journal;
mod transfer;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum, value_parser};
use futures::{StreamExt, stream};
use sluice_sdk::OnConflict;
use tokio::sync::Semaphore;

use self::{
    collect::{Collected, Naming},
    journal::Journal,
    transfer::{Outcome, Uploader},
};
use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    interrupt,
    progress::Board,
    remote::{DEFAULT_STREAMS, RemoteArguments},
    summary::{Event, Summary, Transferred},
    terminal, units,
};

/// Files in flight, where they are small: each waits for the server's disk.
const PARALLEL: usize = 32;
/// How many mebibytes may be in flight, each file counting for
/// [`MOST_WEIGHT`] at most: so eight large files are.
const MEBIBYTES_IN_FLIGHT: usize = 64;
const MOST_WEIGHT: u32 = 8;

#[derive(Debug, Args)]
pub(crate) struct UploadArguments {
    /// Files or folders; - is standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Name of the file on the server [default: as it is called here]
    #[arg(short, long)]
    name: Option<String>,
    /// Folder on the server to put everything into
    #[arg(short, long, value_name = "FOLDER", conflicts_with = "name")]
    prefix: Option<String>,
    /// Upload folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// What to do when there is a file of that name with other content
    #[arg(long, value_name = "CHOICE", default_value = "fail")]
    on_conflict: ConflictChoice,
    /// Content type [default: by the name's extension]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A label for the files; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    metadata: Vec<(String, String)>,
    /// Size of parts, a power of two; small ones lose less on slow links [default: by size]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    part_size: Option<u64>,
    /// Parallel streams for each large file
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_STREAMS, value_parser = value_parser!(u16).range(1..=64))]
    streams: u16,
    /// Begin anew and keep no record to go on from
    #[arg(long)]
    no_resume: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What `--on-conflict` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ConflictChoice {
    // Without comments for the help, which shows them on lines of their own.
    Fail,
    Replace,
}

impl UploadArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let naming = Naming { name: self.name.as_deref(), prefix: self.prefix.as_deref() };
        let Collected { items, problems } = collect::collect(&self.paths, naming, self.recursive)?;
        let client = self.remote.connect_for(self.streams.max(DEFAULT_STREAMS)).await?;
        let sizes: Vec<_> = items.iter().map(collect::Item::size).collect();
        let board = Arc::new(Board::new(self.display.progress(), &sizes));
        let interrupted = interrupt::token();
        let stop = interrupted.child_token();
        let uploader = Uploader {
            client: &client,
            arguments: &self,
            journal: self.journal(),
            board: board.clone(),
            stop: stop.clone(),
            room: Semaphore::new(MEBIBYTES_IN_FLIGHT),
        };

        let mut summary = Summary::new("uploaded", self.display.json, self.display.quiet);
        for (name, problem) in &problems {
            board.print(|| terminal::failure(problem));
            summary.failed(name, problem)?;
        }
        let uploads = stream::iter(&items).map(async |item| (item, uploader.upload(item).await));
        let mut uploads = uploads.buffer_unordered(PARALLEL);
        while let Some((item, outcome)) = uploads.next().await {
            match outcome {
                Ok(Outcome::Uploaded(uploaded)) => {
                    let file = Transferred::new(&uploaded.file, &uploaded.statistics, None);
                    summary.transferred(&Event::Uploaded(file))?;
                }
                Ok(Outcome::AlreadyThere(file)) => summary.skipped(&file)?,
                Ok(Outcome::Stopped) => summary.stopped(),
                Err(failure) => {
                    board.print(|| terminal::failure(&failure));
                    summary.failed(&item.name, &failure)?;
                    if failure.exit.concerns_all_files() {
                        stop.cancel();
                    }
                }
            }
        }
        board.finish();
        summary.finish(board.elapsed(), interrupted.is_cancelled())
    }

    fn journal(&self) -> Option<Journal> {
        if self.no_resume { None } else { Journal::open(&self.remote.endpoint()) }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.metadata.iter().cloned().collect()
    }
}

impl From<ConflictChoice> for OnConflict {
    fn from(choice: ConflictChoice) -> Self {
        match choice {
            ConflictChoice::Fail => Self::Fail,
            ConflictChoice::Replace => Self::Replace,
        }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label looks like KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
