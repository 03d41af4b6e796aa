//! From the server to a local folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt, TryStreamExt, future::Either, stream};

use super::Run;
use crate::{
    command::download::{Downloader, How, Item, Outcome, Overwrite},
    exit::Exit,
    failure::Failure,
    join::{Joined, join},
    local_tree::{self, Found, LocalFile, unreadable},
    remote_file::{folder_prefix, place_below},
    remote_tree::{FileBelow, below, no_such_folder},
    report::Report,
    summary::{Event, Planned},
};

/// What downloads that are not whole end with.
const PARTIAL: &str = ".part";

/// What became of one name.
enum Step {
    Downloaded(Box<Item>, Result<Outcome, Failure>),
    /// Only this machine has it.
    Surplus(LocalFile),
    /// Nothing that concerns the server.
    Nothing,
    Problem(PathBuf, Failure),
}

/// Refuses what is no folder before anything else happens.
pub(super) fn check(folder: &Path) -> Result<(), Failure> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(Failure::usage(format!("{} is no folder", folder.display()))
            .hint("`sluice download` fetches single files")),
        // It will be made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unreadable(folder, &error)),
    }
}

impl Run<'_> {
    /// Makes the local folder equal to the one on the server. Both are gone
    /// through once, side by side, in the order of their names.
    pub(super) async fn down(
        &self,
        name: &str,
        folder: &Path,
        mut report: Report,
    ) -> Result<Exit, Failure> {
        let speed = &self.arguments.transfer.speed;
        let how = How {
            overwrite: Overwrite::IfDifferent,
            dry_run: self.arguments.dry_run,
            keep_time: true,
            by_time: !self.arguments.checksum,
            streams: speed.streams(),
        };
        let downloader = Downloader::new(self.client, how, speed.gate(self.client), &report);

        let here = match folder.exists() {
            true => Either::Left(local_tree::stream(folder, self.filter.clone()).map(Ok)),
            false => Either::Right(stream::empty()),
        };
        let anything = AtomicBool::new(false);
        let there = below(self.client, name).try_filter(|file| {
            anything.store(true, Ordering::Relaxed);
            std::future::ready(self.filter.takes(file.name()))
        });
        let steps = join(here, there).take_until(self.stop.cancelled());
        let steps = steps
            .map(async |joined| Ok::<_, Failure>(self.fetch(&downloader, folder, joined?).await));
        let mut steps = speed.work_on(steps, self.arguments.dry_run);
        let mut surplus = Vec::new();
        while let Some(step) = steps.next().await {
            match step {
                Ok(Step::Downloaded(item, outcome)) => report.downloaded(&item, outcome)?,
                Ok(Step::Surplus(file)) if self.arguments.delete => surplus.push(file),
                Ok(Step::Surplus(_) | Step::Nothing) => {}
                Ok(Step::Problem(path, failure)) => {
                    report.failed(&path.display().to_string(), &failure)?;
                }
                Err(failure) => report.listing_failed(&failure)?,
            }
        }
        drop(steps);
        if report.summary.is_good() && !self.stop.is_cancelled() && !anything.into_inner() {
            // A name with a mistake in it must not empty a folder here.
            self.board.finish();
            return Err(no_such_folder(&format!("{name} on the server")));
        }
        if self.may_delete(&report.summary, surplus.len()) {
            self.delete_here(surplus, folder, &folder_prefix(name), &mut report).await?;
        }
        report.finish()
    }

    async fn fetch(
        &self,
        downloader: &Downloader<'_>,
        folder: &Path,
        joined: Joined<Found, FileBelow>,
    ) -> Step {
        let there = match joined {
            Joined::Both(_, there) | Joined::Right(there) => there,
            Joined::Left(Found::File(file)) => return Step::Surplus(file),
            Joined::Left(Found::LeftOut(_)) => return Step::Nothing,
            Joined::Left(Found::Problem(path, failure)) => return Step::Problem(path, failure),
        };
        self.board.expect(there.file.size.cast_unsigned());
        let path = match place_below(folder, there.name()) {
            Ok(path) => path,
            Err(failure) => return Step::Problem(there.file.name.into(), failure),
        };
        let item = Item { path, file: there.file };
        let outcome = downloader.download(&item).await;
        Step::Downloaded(Box::new(item), outcome)
    }

    async fn delete_here(
        &self,
        files: Vec<LocalFile>,
        folder: &Path,
        prefix: &str,
        report: &mut Report,
    ) -> Result<(), Failure> {
        for file in files {
            if self.stop.is_cancelled() {
                break;
            }
            if self.is_unfinished(&file.name, prefix).await? {
                continue;
            }
            if self.arguments.dry_run {
                let path = Some(file.path.display().to_string());
                let planned =
                    Planned { name: &file.name, file_id: None, size: Some(file.size), path };
                self.board.print(|| report.summary.planned(&Event::WouldRemove(planned)))?;
                continue;
            }
            match tokio::fs::remove_file(&file.path).await {
                Ok(()) => {
                    report.summary.removed_here(&file.name, &file.path)?;
                    remove_empty_folders(&file.path, folder).await;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("cannot delete {}: {error}", file.path.display());
                    report.failed(&file.name, &Failure::new(Exit::Other, message))?;
                }
            }
        }
        Ok(())
    }

    /// Whether this is a download that another command will go on with.
    async fn is_unfinished(&self, name: &str, prefix: &str) -> Result<bool, Failure> {
        let Some(whole) = name.strip_suffix(PARTIAL) else { return Ok(false) };
        Ok(self.client.find(&format!("{prefix}{whole}")).await?.is_some())
    }
}

/// Folders that hold nothing any more go with their last file.
async fn remove_empty_folders(file: &Path, root: &Path) {
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != root) {
        if tokio::fs::remove_dir(folder).await.is_err() {
            break;
        }
    }
}
