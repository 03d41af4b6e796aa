//! Items of names: which file can be read under a name, and which files will
//! have it.

use std::collections::BTreeSet;

use sluice_domain::{AccountId, Error, File, FileId, FileName, Reason, Result, Timestamp};

use super::{
    Records,
    change::Change,
    item::Item,
    key::{self, Key},
    shard::feed_time,
    transaction::{Tag, tag_of},
};

/// One name of an account.
#[derive(Debug)]
pub(super) struct Name {
    key: Key,
    name: FileName,
    tag: Option<Tag>,
    /// The file that can be read under it.
    pub(super) holder: Option<FileId>,
    /// The files that are being completed or checked.
    pub(super) coming: BTreeSet<FileId>,
    /// The highest number that a completion to this name has.
    sequence: u64,
}

impl Name {
    /// Refuses when a file has the name, or will have it as soon as it is ready.
    pub(super) fn check_free(&self) -> Result<()> {
        match self.holder.or(self.coming.first().copied()) {
            None => Ok(()),
            Some(file) => Err(taken(&self.name, file)),
        }
    }

    /// A completion to this name begins; answers its number, which is higher
    /// than all before.
    pub(super) fn come(&mut self, file: FileId, now: Timestamp) -> u64 {
        self.coming.insert(file);
        self.sequence = feed_time(now).max(self.sequence + 1);
        self.sequence
    }

    /// Whether the file has the name, or will have it.
    pub(super) fn concerns(&self, file: FileId) -> bool {
        self.holder == Some(file) || self.coming.contains(&file)
    }

    /// A file that is being checked will have the name.
    pub(super) fn expect(&mut self, file: &File) {
        self.coming.insert(file.id);
        self.sequence = self.sequence.max(file.sequence);
    }

    /// The file can be read under the name from now on.
    pub(super) fn hold(&mut self, file: &File) {
        self.coming.remove(&file.id);
        self.holder = Some(file.id);
        self.sequence = self.sequence.max(file.sequence);
    }

    /// The file neither has the name nor will have it.
    pub(super) fn release(&mut self, file: FileId) {
        self.coming.remove(&file);
        self.holder = self.holder.filter(|holder| *holder != file);
    }

    /// Writes it back; a name that nobody has needs no item.
    pub(super) fn write(self, change: &mut Change) {
        if self.holder.is_none() && self.coming.is_empty() {
            if let Some(tag) = self.tag {
                change.transaction.delete(self.key, Some(tag));
            }
            return;
        }
        let item = Item::default()
            .with("holder", self.holder)
            .with("coming", self.coming)
            .with("sequence", self.sequence);
        change.transaction.put(self.key, self.tag, item);
    }
}

impl Records {
    /// Reads a name.
    pub(super) async fn read_name(&self, owner: AccountId, name: &FileName) -> Result<Name> {
        let key = key::name(owner, name);
        let item = self.get(&key).await?;
        let tag = tag_of(item.as_ref())?;
        let item = item.unwrap_or_default();
        Ok(Name {
            key,
            name: name.clone(),
            tag,
            holder: item.get("holder")?,
            coming: item.get("coming")?,
            sequence: item.get::<Option<_>>("sequence")?.unwrap_or(0),
        })
    }
}

/// The refusal for a name that a file has.
fn taken(name: &FileName, file: FileId) -> Error {
    Error::new(
        Reason::FileExists,
        format!("there is a file {name} already; choose another name, or replace it"),
    )
    .with("file_id", file)
}
