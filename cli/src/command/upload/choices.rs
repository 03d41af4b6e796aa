//! What can be chosen about uploads, whichever command makes them.

use std::collections::BTreeMap;

use clap::ValueEnum;
use sluice_sdk::{Checksums, OnConflict, UploadOptions};

use super::{
    collect::Item,
    journal::{Journal, Terms},
};
use crate::{exit::Exit, failure::Failure, modified};

/// What `--on-conflict` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictChoice {
    // Without comments for the help, which shows them on lines of their own.
    Fail,
    Replace,
}

/// Choices about all uploads of a command.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    /// The server's address, if uploads shall be remembered.
    pub(crate) remember_for: Option<String>,
    pub(crate) on_conflict: ConflictChoice,
    pub(crate) content_type: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) part_size: Option<u64>,
    /// As many as help, unless set.
    pub(crate) streams: Option<u16>,
    /// Of what can be read only once.
    pub(crate) parts_in_memory: Option<u16>,
    pub(crate) quiet: bool,
    /// What the one file must have.
    pub(crate) sha256: Option<[u8; 32]>,
    /// Whether a file that has the size and the time of what the server has is
    /// the same; else, and where the time differs, it is read to find out.
    pub(crate) by_time: bool,
    /// Whether to wait until files can be read.
    pub(crate) wait: bool,
}

impl Choices {
    pub(super) fn journal(&self) -> Option<Journal> {
        Journal::open(self.remember_for.as_ref()?)
    }

    /// Refuses to replace a file with another one unless that was asked for.
    pub(super) fn check_replacement(&self, name: &str) -> Result<(), Failure> {
        match self.on_conflict {
            ConflictChoice::Replace => Ok(()),
            ConflictChoice::Fail => {
                let message = format!("{name}: the server has a file of this name, another one");
                Err(Failure::new(Exit::Refused, message)
                    .hint("replace it with --on-conflict replace, or choose another --name"))
            }
        }
    }

    /// What an upload is opened with.
    pub(super) fn terms(&self, item: &Item) -> Terms {
        let guess = || mime_guess::from_path(&item.name).first_raw().unwrap_or_default().to_owned();
        let mut metadata = self.labels.clone();
        modified::add_to(&mut metadata, item.modified());
        Terms {
            content_type: self.content_type.clone().unwrap_or_else(guess),
            metadata,
            part_size: self.part_size,
            replace: self.on_conflict == ConflictChoice::Replace,
        }
    }

    pub(super) fn options(&self, name: &str, terms: &Terms) -> UploadOptions {
        let options = UploadOptions::new()
            .name(name)
            .content_type(&terms.content_type)
            .metadata(terms.metadata.clone())
            .on_conflict(self.on_conflict.into())
            .expect(Checksums { sha256: self.sha256, ..Checksums::default() });
        let options = match self.streams {
            Some(streams) => options.streams(streams.into()),
            None => options,
        };
        let options = match self.parts_in_memory {
            Some(parts) => options.parts_in_memory(parts.into()),
            None => options,
        };
        match terms.part_size {
            Some(part_size) => options.part_size(part_size),
            None => options,
        }
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
