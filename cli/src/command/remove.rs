//! `sluice rm`: deletes files.

use std::time::Instant;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_sdk::{Client, Entry, File, ListQuery};

use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    remote_file::{folder_prefix, resolve},
    summary::Summary,
    terminal,
};

/// Calls in flight.
const PARALLEL: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// Names or ids of files; with -r, folders
    #[arg(value_name = "NAME|ID", required = true)]
    files: Vec<String>,
    /// Delete everything in these folders, however deep
    #[arg(short, long)]
    recursive: bool,
    /// Only show what would be deleted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl RemoveArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let started = Instant::now();
        let client = self.remote.connect().await?;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let mut summary = Summary::new(verb, self.display.json, self.display.quiet);
        for name in &self.files {
            match self.remove(&client, name, &mut summary).await {
                Ok(()) => {}
                Err(failure) => {
                    terminal::failure(&failure);
                    summary.failed(name, &failure)?;
                    if failure.exit.concerns_all_files() {
                        break;
                    }
                }
            }
        }
        summary.finish(started.elapsed(), false)
    }

    async fn remove(
        &self,
        client: &Client,
        name: &str,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let files = match self.recursive {
            true => files_in(client, name).await?,
            false => vec![resolve(client, name).await?],
        };
        let removals = stream::iter(files).map(|file| async move {
            if !self.dry_run {
                client.delete(&file.id).await?;
            }
            Ok::<_, sluice_sdk::Error>(file)
        });
        let mut removals = removals.buffer_unordered(PARALLEL);
        while let Some(file) = removals.try_next().await? {
            if self.dry_run && !self.display.quiet && !self.display.json {
                terminal::note(&file.name);
            }
            summary.removed(&file)?;
        }
        Ok(())
    }
}

/// All files of a folder.
pub(super) async fn files_in(client: &Client, folder: &str) -> Result<Vec<File>, Failure> {
    let prefix = folder_prefix(folder);
    let entries = client.list(ListQuery::by_name().prefix(prefix));
    let files = entries.try_filter_map(|entry| async {
        Ok(match entry {
            Entry::File(file) => Some(file),
            Entry::Prefix(_) => None,
        })
    });
    let files: Vec<_> = files.try_collect().await?;
    match files.is_empty() {
        true => Err(Failure::new(Exit::NotFound, format!("there is no folder {folder}"))),
        false => Ok(files),
    }
}
