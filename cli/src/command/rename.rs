//! `sluice mv`: another name for a file, or for all files of a folder.

use std::time::Instant;

use clap::Args;
use futures::{StreamExt, stream};
use sluice_sdk::{Client, File, FileChange};

use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    filter::FilterArguments,
    remote::RemoteArguments,
    remote_file::{folder_prefix, resolve},
    remote_tree::files_in,
    summary::Summary,
    terminal,
};

/// Calls in flight.
const PARALLEL: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct RenameArguments {
    /// Name or id of the file; with -r, a folder
    #[arg(value_name = "NAME|ID")]
    file: String,
    /// Its new name; with a / at the end, the folder to move it to
    #[arg(value_name = "NEW NAME")]
    new_name: String,
    /// Rename a folder: every file in it, one by one. After a failure, the same command goes on
    #[arg(short, long)]
    recursive: bool,
    /// Only show what would be renamed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl RenameArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        if self.recursive {
            return self.folder().await;
        }
        let client = self.remote.connect().await?;
        let file = resolve(&client, &self.file).await?;
        let name = placed(&self.new_name, &file.name);
        let mut summary = Summary::new("renamed", self.display.json, self.display.quiet);
        if !self.dry_run {
            rename(&client, &file, &name).await?;
            if !self.display.json && !self.display.quiet {
                terminal::note(&format!("{} is now {name}", file.name));
            }
        }
        summary.renamed(&file, &name, self.dry_run)?;
        Ok(Exit::Success)
    }

    async fn folder(&self) -> Result<Exit, Failure> {
        let started = Instant::now();
        let from = folder_prefix(&self.file);
        let to = folder_prefix(&placed(&self.new_name, from.trim_end_matches('/')));
        if from.is_empty() {
            return Err(Failure::usage("everything together has no name that could change"));
        }
        if to.starts_with(&from) {
            let message = format!("{} cannot be moved into itself", self.file);
            return Err(Failure::usage(message));
        }
        let client = self.remote.connect().await?;
        let everything = FilterArguments::default().compile()?;
        let files = files_in(&client, &self.file, &everything).await?;
        let verb = if self.dry_run { "would rename" } else { "renamed" };
        let mut summary = Summary::new(verb, self.display.json, self.display.quiet);
        let renames = stream::iter(files).map(async |file| {
            let name = format!("{to}{}", &file.name[from.len()..]);
            let done = match self.dry_run {
                true => Ok(()),
                false => rename(&client, &file, &name).await,
            };
            (file, name, done)
        });
        let mut renames = Box::pin(renames.buffered(PARALLEL));
        while let Some((file, name, done)) = renames.next().await {
            match done {
                Ok(()) => summary.renamed(&file, &name, self.dry_run)?,
                Err(failure) => {
                    terminal::failure(&failure);
                    summary.failed(&file.name, &failure)?;
                    if failure.exit.concerns_all_files() {
                        break;
                    }
                }
            }
        }
        summary.finish(started.elapsed(), false)
    }
}

/// The new name of something that is called `old`.
fn placed(new: &str, old: &str) -> String {
    let last_segment = old.rsplit('/').next().unwrap_or_default();
    match new.strip_suffix('/') {
        Some("") => last_segment.to_owned(),
        Some(folder) => format!("{folder}/{last_segment}"),
        None => new.to_owned(),
    }
}

async fn rename(client: &Client, file: &File, name: &str) -> Result<(), Failure> {
    let change = FileChange::default().name(name).if_etag(&file.etag);
    let renamed = client.update(&file.id, change).await;
    renamed.map(drop).map_err(|error| {
        let failure = Failure::from(error).about(name);
        // The hint for uploads names options that this command lacks.
        Failure { hint: None, ..failure }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_means_into_that_folder() {
        assert_eq!(placed("new", "a/old"), "new");
        assert_eq!(placed("b/", "a/old"), "b/old");
        assert_eq!(placed("/", "a/old"), "old");
    }
}
