//! `sluice rm`: deletes files.

use std::time::Instant;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_sdk::Client;

use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    filter::{Filter, FilterArguments},
    remote::RemoteArguments,
    remote_file::resolve,
    remote_tree::files_in,
    summary::{Event, Planned, Summary},
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
    filter: FilterArguments,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl RemoveArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let started = Instant::now();
        self.filter.only_with(self.recursive)?;
        let filter = self.filter.compile()?;
        let client = self.remote.connect().await?;
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let mut summary = Summary::new(verb, self.display.json, self.display.quiet);
        for name in &self.files {
            match self.remove(&client, name, &filter, &mut summary).await {
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
        filter: &Filter,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let files = match self.recursive {
            true => files_in(client, name, filter).await?,
            false => vec![resolve(client, name).await?],
        };
        if self.dry_run {
            for file in &files {
                let (name, size) = (&file.name, Some(file.size.cast_unsigned()));
                let planned = Planned { name, file_id: Some(&file.id), size, path: None };
                summary.planned(&Event::WouldRemove(planned))?;
            }
            return Ok(());
        }
        let removals = stream::iter(files).map(|file| async move {
            client.delete(&file.id).await?;
            Ok::<_, sluice_sdk::Error>(file)
        });
        let mut removals = removals.buffer_unordered(PARALLEL);
        while let Some(file) = removals.try_next().await? {
            summary.removed(&file)?;
        }
        Ok(())
    }
}
