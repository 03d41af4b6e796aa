//! From a local folder to the server.

use std::{collections::BTreeMap, fs, path::Path};

use futures::{StreamExt, TryStreamExt, stream};
use sluice_sdk::File;

use super::Run;
use crate::{
    command::upload::{Choices, ConflictChoice, Existing, Item, Outcome, Uploader},
    exit::Exit,
    failure::Failure,
    join::{Joined, join},
    local_tree::{self, Found, unreadable},
    remote_file::folder_prefix,
    remote_tree::{FileBelow, below},
    report::Report,
    summary::{Event, Planned},
    terminal,
};

/// Deletions in flight.
const PARALLEL_DELETIONS: usize = 8;

/// What became of one name.
enum Step {
    Uploaded(Item, Result<Outcome, Failure>),
    /// Only the server has it.
    Surplus(Box<File>),
    LeftOut(String),
    Problem(String, Failure),
}

/// Refuses what is no folder before anything else happens.
pub(super) fn check(folder: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(folder).map_err(|error| unreadable(folder, &error))?;
    match metadata.is_dir() {
        true => Ok(()),
        false => Err(Failure::usage(format!("{} is no folder", folder.display()))
            .hint("`sluice upload` sends single files")),
    }
}

impl Run<'_> {
    /// Makes the folder on the server equal to the local one. Both are gone
    /// through once, side by side, in the order of their names.
    pub(super) async fn up(
        &self,
        folder: &Path,
        name: &str,
        mut report: Report,
    ) -> Result<Exit, Failure> {
        let speed = &self.arguments.transfer.speed;
        let choices = self.choices();
        let uploader = Uploader::new(self.client, &choices, speed.gate(self.client), &report);
        let prefix = folder_prefix(name);

        let here = local_tree::stream(folder, self.filter.clone()).map(Ok);
        let there = below(self.client, name)
            .try_filter(|file| std::future::ready(self.filter.takes(file.name())));
        let steps = join(here, there).take_until(self.stop.cancelled());
        let steps = steps
            .map(async |joined| Ok::<_, Failure>(self.step(&uploader, &prefix, joined?).await));
        let mut steps = speed.work_on(steps, self.arguments.dry_run);
        let mut surplus = Vec::new();
        while let Some(step) = steps.next().await {
            match step {
                Ok(Step::Uploaded(item, outcome)) => report.uploaded(&item, outcome)?,
                Ok(Step::Surplus(file)) if self.arguments.delete => surplus.push(*file),
                Ok(Step::Surplus(_)) => {}
                Ok(Step::LeftOut(why)) => self.board.print(|| terminal::warning(&why)),
                Ok(Step::Problem(path, failure)) => report.failed(&path, &failure)?,
                Err(failure) => report.listing_failed(&failure)?,
            }
        }
        drop(steps);
        if self.may_delete(&report.summary, surplus.len()) {
            self.delete_there(surplus, &mut report).await?;
        }
        report.finish()
    }

    async fn step(
        &self,
        uploader: &Uploader<'_>,
        prefix: &str,
        joined: Joined<Found, FileBelow>,
    ) -> Step {
        let (found, existing) = match joined {
            Joined::Left(found) => (found, Existing::Free),
            Joined::Both(found, there) => (found, Existing::File(Box::new(there.file))),
            Joined::Right(there) => return Step::Surplus(Box::new(there.file)),
        };
        let file = match found {
            Found::File(file) => file,
            Found::LeftOut(why) => return Step::LeftOut(why),
            Found::Problem(path, failure) => {
                return Step::Problem(path.display().to_string(), failure);
            }
        };
        self.board.expect(file.size);
        let item = Item::of_folder(file, prefix);
        let outcome = match self.arguments.dry_run {
            true => uploader.would_upload(&item, existing).await,
            false => uploader.upload(&item, existing).await,
        };
        Step::Uploaded(item, outcome)
    }

    /// Deletes files on the server. Each is deleted by its id, so that a file
    /// that somebody has put in its place meanwhile stays.
    async fn delete_there(&self, files: Vec<File>, report: &mut Report) -> Result<(), Failure> {
        if self.arguments.dry_run {
            for file in &files {
                let (name, size) = (&file.name, Some(file.size.cast_unsigned()));
                let planned = Planned { name, file_id: Some(&file.id), size, path: None };
                self.board.print(|| report.summary.planned(&Event::WouldRemove(planned)))?;
            }
            return Ok(());
        }
        let deletions = stream::iter(files).take_until(self.stop.cancelled());
        let deletions = deletions.map(async |file| {
            let deleted = self.client.delete(&file.id).await;
            (file, deleted)
        });
        let mut deletions = Box::pin(deletions.buffer_unordered(PARALLEL_DELETIONS));
        while let Some((file, deleted)) = deletions.next().await {
            match deleted {
                Ok(()) => report.summary.removed(&file)?,
                Err(error) => {
                    report.failed(&file.name, &Failure::from(error).about(&file.name))?;
                }
            }
        }
        Ok(())
    }

    fn choices(&self) -> Choices {
        Choices {
            // What is not right with it was told when the connection was made.
            remember_for: self.arguments.transfer.remote.endpoint().ok(),
            on_conflict: ConflictChoice::Replace,
            content_type: None,
            labels: BTreeMap::new(),
            part_size: self.arguments.part_size,
            streams: Some(self.arguments.transfer.speed.streams()),
            parts_in_memory: None,
            quiet: self.arguments.transfer.display.quiet,
            sha256: None,
            by_time: !self.arguments.checksum,
            wait: false,
        }
    }
}
