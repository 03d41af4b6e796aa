//! Files behind their port.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sluice_domain::{AccountId, Failure, File, FileId, FileName, FileState, Result, Timestamp};

use super::{
    Records,
    change::Change,
    completion::Step,
    file_records::{StoredFile, release_bytes, signed},
    key,
    pause::Pause,
};
use crate::ports::{FileChange, FileOrder, FilePage, FileQuery, FileStore};

#[async_trait]
impl FileStore for Records {
    async fn file(&self, owner: AccountId, id: FileId) -> Result<File> {
        Ok(self.get_file(owner, id).await?.file)
    }

    async fn files(&self, owner: AccountId, ids: Vec<FileId>) -> Result<Vec<File>> {
        let ids: Vec<_> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let found = self.find_files(owner, &ids).await?;
        Ok(found.into_iter().map(|stored| stored.file).collect())
    }

    async fn list_files(&self, owner: AccountId, query: FileQuery) -> Result<FilePage> {
        match query.order {
            FileOrder::CreateTime => self.files_by_time(owner, &query).await,
            FileOrder::Name => self.files_by_name(owner, &query).await,
        }
    }

    async fn update_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        change: FileChange,
    ) -> Result<File> {
        let mut pause = Pause::new();
        loop {
            let (mut making, stored) = self.begin_of_file(owner, id).await?;
            let mut file = stored.file.clone();
            file.check_etag(&etag)?;
            if let Some(name) = &change.name
                && *name != file.name
            {
                self.rename(&mut making, &mut file, name).await?;
            }
            file.metadata = change.metadata.clone().unwrap_or(file.metadata);
            self.save_file(&mut making, Some(&stored), &mut file).await?;
            if self.made(making).await? {
                return Ok(file);
            }
            pause.wait("a file cannot be changed").await?;
        }
    }

    async fn delete_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        now: Timestamp,
    ) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let (mut change, stored) = self.begin_of_file(owner, id).await?;
            stored.file.check_etag(&etag)?;
            let mut name = self.read_name(owner, &stored.file.name).await?;
            if name.concerns(id) {
                name.release(id);
                name.write(&mut change);
            }
            self.remove_file(&mut change, &stored, now).await?;
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("a file cannot be deleted").await?;
        }
    }

    async fn mark_ready(
        &self,
        owner: AccountId,
        id: FileId,
        blake3: [u8; 32],
        now: Timestamp,
    ) -> Result<()> {
        let mut shards = BTreeSet::new();
        let mut pause = Pause::new();
        loop {
            let Some(stored) = self.processing(owner, id).await? else { return Ok(()) };
            shards.insert(key::shard_of(stored.file.upload_id));
            let mut change = self.begin(owner, &shards).await?;
            let name = self.read_name(owner, &stored.file.name).await?;
            let mut file = stored.file.clone();
            file.checksums.blake3 = Some(blake3);
            match self.make_ready(&mut change, Some(&stored), file, name, now).await? {
                Step::Needs(shard) => {
                    shards.insert(shard);
                    continue;
                }
                Step::Done(_) => {
                    if self.made(change).await? {
                        return Ok(());
                    }
                }
            }
            pause.wait("a file cannot be made ready").await?;
        }
    }

    async fn mark_failed(&self, owner: AccountId, id: FileId, failure: Failure) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let Some(stored) = self.processing(owner, id).await? else { return Ok(()) };
            let mut file = stored.file.clone();
            let shard = key::shard_of(file.upload_id);
            let mut change = self.begin(owner, &[shard].into()).await?;
            change.shard(shard).add(-signed(file.size), 0, 0);
            let mut name = self.read_name(owner, &file.name).await?;
            name.release(id);
            name.write(&mut change);
            file.state = FileState::Failed;
            file.error = Some(failure.clone());
            self.save_file(&mut change, Some(&stored), &mut file).await?;
            release_bytes(&mut change, &file);
            if self.made(change).await? {
                return Ok(());
            }
            pause.wait("a file cannot be marked as failed").await?;
        }
    }
}

impl Records {
    /// Begins a change of a file that is there.
    async fn begin_of_file(&self, owner: AccountId, id: FileId) -> Result<(Change, StoredFile)> {
        let stored = self.get_file(owner, id).await?;
        let shard = key::shard_of(stored.file.upload_id);
        Ok((self.begin(owner, &[shard].into()).await?, stored))
    }

    async fn processing(&self, owner: AccountId, id: FileId) -> Result<Option<StoredFile>> {
        let stored = self.find_file(owner, id).await?;
        Ok(stored.filter(|stored| stored.file.state == FileState::Processing))
    }

    async fn rename(&self, change: &mut Change, file: &mut File, name: &FileName) -> Result<()> {
        let mut new = self.read_name(file.owner, name).await?;
        new.check_free()?;
        let mut old = self.read_name(file.owner, &file.name).await?;
        if old.concerns(file.id) {
            let is_holder = old.holder == Some(file.id);
            old.release(file.id);
            old.write(change);
            match is_holder {
                true => new.hold(file),
                false => new.expect(file),
            }
            new.write(change);
        }
        file.name = name.clone();
        Ok(())
    }
}
