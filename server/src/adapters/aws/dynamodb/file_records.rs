//! Items of files, and of the lists that they are in.

use std::collections::BTreeSet;

use sluice_domain::{
    AccountId, Checksums, Error, File, FileId, FileState, Reason, Result, Timestamp,
};

use super::{
    Records,
    change::Change,
    item::Item,
    key::{self, Key, Sweep},
    transaction::{Before, Tag},
};
use crate::ports::{Changed, Event};

/// A file as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    pub(super) file: File,
    /// Who wrote it last.
    pub(super) tag: Tag,
    /// Its place in the feed.
    pub(super) at: u64,
}

fn item(file: &File, at: u64) -> Item {
    Item::default()
        .with("upload", file.upload_id)
        .with("name", file.name.clone())
        .with("content_type", file.content_type.clone())
        .with("size", file.size)
        .with("part_size", file.part_size)
        .with("crc32c", file.checksums.crc32c)
        .with("sha256", file.checksums.sha256)
        .with("blake3", file.checksums.blake3)
        .with("state", file.state)
        .with("metadata", file.metadata.clone())
        .with("revision", file.revision)
        .with("sequence", file.sequence)
        .with("create_time", file.create_time)
        .with("ready_time", file.ready_time)
        .with("error", file.error.clone())
        .with("at", at)
}

fn read(owner: AccountId, id: FileId, item: &Item) -> Result<StoredFile> {
    let file = File {
        id,
        owner,
        upload_id: item.get("upload")?,
        name: item.get("name")?,
        content_type: item.get("content_type")?,
        size: item.get("size")?,
        part_size: item.get("part_size")?,
        checksums: Checksums {
            crc32c: item.get("crc32c")?,
            sha256: item.get("sha256")?,
            blake3: item.get("blake3")?,
        },
        state: item.get("state")?,
        metadata: item.get("metadata")?,
        revision: item.get("revision")?,
        sequence: item.get("sequence")?,
        create_time: item.get("create_time")?,
        ready_time: item.get("ready_time")?,
        error: item.get("error")?,
    };
    Ok(StoredFile { file, tag: Tag::of(item)?, at: item.get("at")? })
}

fn changed(file: &File) -> Changed {
    Changed::File { id: file.id, upload: file.upload_id }
}

fn listed(file: &File) -> Key {
    key::listed_file(file.owner, file.state, file.create_time, file.id)
}

/// The item of a file's name in the list of its state. Readable files are in
/// the list of names themselves.
#[derive(PartialEq)]
struct Named {
    key: Key,
    is_own: bool,
}

fn named(file: &File) -> Option<Named> {
    if file.state == FileState::Ready {
        return None;
    }
    let (sk, is_own) = key::name_and_id(file.name.as_str(), file.id);
    Some(Named { key: Key { pk: key::named(file.owner, file.state), sk }, is_own })
}

impl Records {
    /// Changes the lists that a file is in, from those of `before` to those of
    /// `after`.
    async fn move_lists(
        &self,
        change: &mut Change,
        before: Option<&File>,
        after: Option<&File>,
    ) -> Result<()> {
        let (was, is) = (before.map(listed), after.map(listed));
        if was != is {
            if let Some(was) = was {
                change.transaction.delete(was, Before::Any);
            }
            if let Some(is) = is {
                change.transaction.put(is, Before::Any, Item::default());
            }
        }
        let (was, is) = (before.and_then(named), after.and_then(named));
        if was != is {
            if let Some((was, file)) = was.zip(before) {
                self.leave_name(change, was, file.id).await?;
            }
            if let Some((is, file)) = is.zip(after) {
                self.join_name(change, is, file.id).await?;
            }
        }
        Ok(())
    }

    async fn join_name(&self, change: &mut Change, named: Named, id: FileId) -> Result<()> {
        if named.is_own {
            change.transaction.put(named.key, Before::Any, Item::default());
            return Ok(());
        }
        let item = self.get(&named.key).await?;
        let mut ids: BTreeSet<FileId> = item.clone().unwrap_or_default().get("ids")?;
        ids.insert(id);
        let tag = super::transaction::tag_of(item.as_ref())?;
        change.transaction.put(named.key, tag, Item::default().with("ids", ids));
        Ok(())
    }

    async fn leave_name(&self, change: &mut Change, named: Named, id: FileId) -> Result<()> {
        if named.is_own {
            change.transaction.delete(named.key, Before::Any);
            return Ok(());
        }
        let Some(item) = self.get(&named.key).await? else { return Ok(()) };
        let mut ids: BTreeSet<FileId> = item.get("ids")?;
        ids.remove(&id);
        let tag = Some(Tag::of(&item)?);
        match ids.is_empty() {
            true => change.transaction.delete(named.key, tag),
            false => change.transaction.put(named.key, tag, Item::default().with("ids", ids)),
        }
        Ok(())
    }

    /// Adds a file, or writes it back as its next revision.
    pub(super) async fn save_file(
        &self,
        change: &mut Change,
        before: Option<&StoredFile>,
        file: &mut File,
    ) -> Result<()> {
        if before.is_some() {
            file.revision += 1;
        }
        let at = before.map_or(0, |before| before.at);
        let at = change.tell(key::shard_of(file.upload_id), changed(file), at);
        self.move_lists(change, before.map(|before| &before.file), Some(file)).await?;
        let key = key::file(file.owner, file.id);
        change.transaction.put(key, before.map(|before| before.tag), item(file, at));
        Ok(())
    }

    /// Removes a file, but for its name, and lets go of its bytes.
    pub(super) async fn remove_file(
        &self,
        change: &mut Change,
        stored: &StoredFile,
        now: Timestamp,
    ) -> Result<()> {
        let file = &stored.file;
        // The bytes of a failed file went when it failed.
        if file.state != FileState::Failed {
            change.shard(key::shard_of(file.upload_id)).add(-signed(file.size), 0, 0);
        }
        tell_gone(change, file, stored.at, now);
        self.move_lists(change, Some(file), None).await?;
        change.transaction.delete(key::file(file.owner, file.id), Some(stored.tag));
        release_bytes(change, file);
        Ok(())
    }

    /// Removes a file of an account that is deleted: nobody is left to be told,
    /// and what the account holds goes as a whole.
    pub(super) async fn purge_file(&self, change: &mut Change, stored: &StoredFile) -> Result<()> {
        self.move_lists(change, Some(&stored.file), None).await?;
        let file = &stored.file;
        change.transaction.delete(key::file(file.owner, file.id), Some(stored.tag));
        release_bytes(change, file);
        Ok(())
    }

    /// Reads a file, if there is such a one.
    pub(super) async fn find_file(
        &self,
        owner: AccountId,
        id: FileId,
    ) -> Result<Option<StoredFile>> {
        let item = self.get(&key::file(owner, id)).await?;
        item.map(|item| read(owner, id, &item)).transpose()
    }

    /// Reads a file.
    pub(super) async fn get_file(&self, owner: AccountId, id: FileId) -> Result<StoredFile> {
        self.find_file(owner, id).await?.ok_or_else(|| {
            Error::new(Reason::FileNotFound, format!("there is no file {id} of this account"))
        })
    }

    /// Reads files in the order of their ids; leaves out those that are not
    /// there.
    pub(super) async fn find_files(
        &self,
        owner: AccountId,
        ids: &[FileId],
    ) -> Result<Vec<StoredFile>> {
        let keys = ids.iter().map(|id| key::file(owner, *id)).collect();
        let items = self.get_all(keys).await?;
        let found = ids
            .iter()
            .filter_map(|id| items.get(&key::file(owner, *id)).map(|item| read(owner, *id, item)));
        found.collect()
    }
}

/// A file is gone: those who watch are told, and the sweeper forgets it later.
pub(super) fn tell_gone(change: &mut Change, file: &File, before: u64, now: Timestamp) {
    let what = Changed::FileGone { id: file.id, upload: file.upload_id };
    let at = change.tell(key::shard_of(file.upload_id), what, before);
    let key = key::swept(Sweep::Gone, now, file.owner, file.id.as_uuid());
    let item = Item::default().with("upload", file.upload_id).with("at", at);
    change.transaction.put(key, Before::Any, item);
}

/// Lets go of a file's bytes.
pub(super) fn release_bytes(change: &mut Change, file: &File) {
    let event = Event::DeleteBlob { owner: file.owner, upload_id: file.upload_id };
    change.enqueue(&event, file.create_time);
    change.let_go(file.upload_id);
}

/// Sizes are far below 2^63: the largest file is 10,000 parts of 4 GiB.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
