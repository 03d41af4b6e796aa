//! `sluice download`: files, folders, or one file to standard output.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use futures::{StreamExt, stream};
use sluice_sdk::{CancellationToken, Client, DownloadOptions, Downloaded, File, Kind};

use super::{cat::write_to_output, remove::files_in};
use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    interrupt,
    local_file::has_content_of,
    progress::Board,
    remote::RemoteArguments,
    remote_file::resolve,
    summary::{Event, Summary, Transferred},
    terminal,
};

/// Files in flight.
const PARALLEL: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct DownloadArguments {
    /// Names or ids of files; with -r, folders
    #[arg(value_name = "NAME|ID", required = true)]
    files: Vec<String>,
    /// File or folder to write to; - is standard output [default: this folder]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Download folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A file and where it goes.
struct Item {
    file: File,
    path: PathBuf,
}

enum Outcome {
    Downloaded(Box<Downloaded>),
    AlreadyHere,
    /// The command was stopped before it was whole.
    Stopped,
}

impl DownloadArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        if self.output.as_deref() == Some(Path::new("-")) {
            return self.to_standard_output(&client).await;
        }
        let mut summary = Summary::new("downloaded", self.display.json, self.display.quiet);
        let mut items = Vec::new();
        for name in &self.files {
            match self.items(&client, name).await {
                Ok(found) => items.extend(found),
                Err(failure) if failure.exit == Exit::NotFound && self.files.len() > 1 => {
                    terminal::failure(&failure);
                    summary.failed(name, &failure)?;
                }
                Err(failure) => return Err(failure),
            }
        }

        let sizes: Vec<_> = items.iter().map(|item| Some(item.file.size.cast_unsigned())).collect();
        let board = Arc::new(Board::new(self.display.progress(), &sizes));
        let interrupted = interrupt::token();
        let stop = interrupted.child_token();
        let downloads = stream::iter(&items)
            .map(async |item| (item, download(&client, item, &board, &stop).await));
        let mut downloads = downloads.buffer_unordered(PARALLEL);
        while let Some((item, outcome)) = downloads.next().await {
            match outcome {
                Ok(Outcome::Downloaded(downloaded)) => {
                    let path = Some(item.path.display().to_string());
                    let file = Transferred::new(&downloaded.file, &downloaded.statistics, path);
                    summary.transferred(&Event::Downloaded(file))?;
                }
                Ok(Outcome::AlreadyHere) => summary.skipped(&item.file)?,
                Ok(Outcome::Stopped) => summary.stopped(),
                Err(failure) => {
                    board.print(|| terminal::failure(&failure));
                    summary.failed(&item.file.name, &failure)?;
                    if failure.exit.concerns_all_files() {
                        stop.cancel();
                    }
                }
            }
        }
        board.finish();
        summary.finish(board.elapsed(), interrupted.is_cancelled())
    }

    async fn to_standard_output(&self, client: &Client) -> Result<Exit, Failure> {
        let [name] = &self.files[..] else {
            return Err(Failure::usage("only one file can go to standard output"));
        };
        if self.recursive || self.display.json {
            return Err(Failure::usage("-o - goes neither with -r nor with --json"));
        }
        let file = resolve(client, name).await?;
        write_to_output(client, &file, 0, u64::MAX).await?;
        Ok(Exit::Success)
    }

    /// What a name on the command line stands for.
    async fn items(&self, client: &Client, name: &str) -> Result<Vec<Item>, Failure> {
        let folder = self.output.clone().unwrap_or_default();
        if self.recursive {
            let files = files_in(client, name).await?;
            return Ok(files
                .into_iter()
                .map(|file| Item { path: folder.join(below_parent(&file.name, name)), file })
                .collect());
        }
        let file = resolve(client, name).await?;
        let into_folder = self.files.len() > 1
            || self.output.is_none()
            || folder.is_dir()
            || folder.as_os_str().to_string_lossy().ends_with('/');
        let last_segment = file.name.rsplit('/').next().unwrap_or_default();
        let path = if into_folder { folder.join(last_segment) } else { folder };
        Ok(vec![Item { path, file }])
    }
}

async fn download(
    client: &Client,
    item: &Item,
    board: &Arc<Board>,
    stop: &CancellationToken,
) -> Result<Outcome, Failure> {
    if stop.is_cancelled() {
        return Ok(Outcome::Stopped);
    }
    let size = item.file.size.cast_unsigned();
    let row = Arc::new(board.row(&item.file.name, Some(size)));
    if has_content_of(&item.path, &item.file).await {
        row.done(size);
        return Ok(Outcome::AlreadyHere);
    }
    if let Some(folder) = item.path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(|error| {
            let message = format!("cannot create the folder {}: {error}", folder.display());
            Failure::new(Exit::Other, message)
        })?;
    }
    let shown = row.clone();
    let options = DownloadOptions::new()
        .on_progress(move |progress| shown.update(progress))
        .cancel(stop.clone());
    match client.download(&item.file.id, &item.path, options).await {
        Ok(downloaded) => {
            row.done(size);
            Ok(Outcome::Downloaded(Box::new(downloaded)))
        }
        Err(error) if error.kind() == Kind::Cancelled => Ok(Outcome::Stopped),
        Err(error) => Err(Failure::from(error).about(&item.file.name)),
    }
}

/// The name from the last segment of its folder on, as `cp -r` makes it: a/b/c
/// of folder a/b is b/c.
fn below_parent<'a>(name: &'a str, folder: &str) -> &'a str {
    let parent = folder.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    &name[parent..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name() {
        assert_eq!(below_parent("a/b/c.txt", "a/b"), "b/c.txt");
        assert_eq!(below_parent("a/b/c.txt", "a/b/"), "b/c.txt");
        assert_eq!(below_parent("a/b/c.txt", "a"), "a/b/c.txt");
        assert_eq!(below_parent("a/b/c.txt", "/"), "a/b/c.txt");
    }
}
