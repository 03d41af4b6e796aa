//! `sluice download`: files, folders, or one file to standard output.

mod report;
mod transfer;

use std::path::{Path, PathBuf};

use clap::Args;
use futures::{StreamExt, stream};
use sluice_sdk::{Client, File};

pub(crate) use self::transfer::{Downloader, How, Item, Outcome, Overwrite};
use super::cat::write_to_output;
use crate::{
    exit::Exit,
    failure::Failure,
    filter::Filter,
    progress::Board,
    remote_file::{place_below, resolve},
    remote_tree::files_in,
    report::Report,
    transfer_arguments::TransferArguments,
};

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
    /// What to do when there is something at the place of a file
    #[arg(long, value_name = "CHOICE", default_value = "if-different")]
    overwrite: Overwrite,
    /// Only show what would be downloaded
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) transfer: TransferArguments,
}

impl DownloadArguments {
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        self.transfer = self.transfer.settled()?;
        let TransferArguments { filter, speed, display, .. } = &self.transfer;
        filter.only_with(self.recursive)?;
        let filter = filter.compile()?;
        let client = self.transfer.connect().await?;
        if self.output.as_deref() == Some(Path::new("-")) {
            return self.to_standard_output(&client).await;
        }
        let mut items = Vec::new();
        let mut missing = Vec::new();
        for name in &self.files {
            match self.items(&client, name, &filter).await {
                Ok(found) => items.extend(found),
                Err(failure) if failure.exit == Exit::NotFound && self.files.len() > 1 => {
                    missing.push((name, failure));
                }
                Err(failure) => return Err(failure),
            }
        }

        let sizes: Vec<_> = items.iter().map(|item| Some(item.file.size.cast_unsigned())).collect();
        let verb = if self.dry_run { "would download" } else { "downloaded" };
        let mut report = Report::begin(verb, display, Board::new(display.progress(), &sizes));
        for (name, failure) in missing {
            report.failed(name, &failure)?;
        }
        let how = How {
            overwrite: self.overwrite,
            dry_run: self.dry_run,
            keep_time: false,
            by_time: false,
            streams: speed.streams(),
        };
        let downloader = Downloader::new(&client, how, speed.gate(&client), &report);
        let downloads =
            stream::iter(&items).map(async |item| (item, downloader.download(item).await));
        let mut downloads = speed.work_on(downloads, self.dry_run);
        while let Some((item, outcome)) = downloads.next().await {
            report.downloaded(item, outcome)?;
        }
        drop(downloads);
        report.finish()
    }

    async fn to_standard_output(&self, client: &Client) -> Result<Exit, Failure> {
        let [name] = &self.files[..] else {
            return Err(Failure::usage("only one file can go to standard output"));
        };
        if self.recursive || self.transfer.display.json || self.dry_run {
            return Err(Failure::usage("-o - goes with none of -r, --json and --dry-run"));
        }
        let file = resolve(client, name).await?;
        write_to_output(client, &file, 0, u64::MAX).await?;
        Ok(Exit::Success)
    }

    /// What a name on the command line stands for.
    async fn items(
        &self,
        client: &Client,
        name: &str,
        filter: &Filter,
    ) -> Result<Vec<Item>, Failure> {
        let folder = self.output.clone().unwrap_or_default();
        if self.recursive {
            let files = files_in(client, name, filter).await?;
            let item = |file: File| {
                let path = place_below(&folder, below_parent(&file.name, name))?;
                Ok(Item { path, file })
            };
            return files.into_iter().map(item).collect();
        }
        let file = resolve(client, name).await?;
        let into_folder = self.files.len() > 1
            || self.output.is_none()
            || folder.is_dir()
            || folder.as_os_str().to_string_lossy().ends_with('/');
        let last_segment = file.name.rsplit('/').next().unwrap_or_default();
        let path = if into_folder { place_below(&folder, last_segment)? } else { folder };
        Ok(vec![Item { path, file }])
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
