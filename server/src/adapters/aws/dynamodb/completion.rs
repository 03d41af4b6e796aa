//! From an upload to a file: freezing and publishing.

use std::time::Duration;

use sluice_domain::{
    AccountId, Completion, Error, File, FileId, FileState, OnConflict, PartNumber, Result,
    Timestamp, Transition, Upload, UploadId, UploadState,
};

use super::{
    Records,
    change::Change,
    file_records::{StoredFile, release_bytes, signed, tell_gone},
    key,
    names::Name,
    pause::Pause,
    transaction::Before,
    upload_records::{StoredUpload, save},
};
use crate::ports::{Event, Freeze};

/// Most lost parts that are forgotten in one transaction.
const MOST_LOST: usize = 80;

/// What a change needs to go on.
pub(super) enum Step<T> {
    /// Nothing: it is decided.
    Done(T),
    /// A shard that it did not begin with.
    Needs(u8),
}

impl Records {
    /// `ACTIVE → COMPLETING`.
    pub(super) async fn freeze_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<Upload> {
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &[key::shard_of(id)].into()).await?;
            let stored = self.get_upload(owner, id).await?;
            let (upload, name) = self.frozen(&mut change, &stored, &freeze, now).await?;
            save(&mut change, &stored, &upload);
            name.write(&mut change);
            if self.made(change).await? {
                return Ok(upload);
            }
            pause.wait("an upload cannot be frozen").await?;
        }
    }

    /// `COMPLETING → COMPLETED`, or both steps if the upload is to be frozen
    /// first.
    pub(super) async fn publish_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Option<&Freeze>,
        now: Timestamp,
    ) -> Result<File> {
        let mut shards = [key::shard_of(id)].into();
        let mut pause = Pause::new();
        loop {
            let mut change = self.begin(owner, &shards).await?;
            let stored = self.get_upload(owner, id).await?;
            let (frozen, name) = match freeze {
                Some(freeze) => self.frozen(&mut change, &stored, freeze, now).await?,
                None if stored.upload.state == UploadState::Completed => {
                    return Ok(self.get_file(owner, stored.upload.file_id).await?.file);
                }
                None => {
                    let name = self.read_name(owner, &stored.upload.name).await?;
                    (stored.upload.clone(), name)
                }
            };
            match self.published(&mut change, &stored, frozen, name, now).await? {
                Step::Needs(shard) => {
                    shards.insert(shard);
                    continue;
                }
                Step::Done(file) => {
                    if self.made(change).await? {
                        return Ok(file);
                    }
                }
            }
            pause.wait("an upload cannot be published").await?;
        }
    }

    /// `COMPLETING → ACTIVE`: forgets parts whose bytes are lost.
    ///
    /// Where they are too many for one transaction, the rest follows. If that is
    /// interrupted, the next completion finds them lost again.
    pub(super) async fn reopen_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        lost: &[PartNumber],
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload> {
        let mut reopened = None;
        // An empty list reopens as well.
        let (first, rest) = lost.split_at(lost.len().min(MOST_LOST));
        for lost in [first].into_iter().chain(rest.chunks(MOST_LOST)) {
            let mut pause = Pause::new();
            reopened = loop {
                let mut change = self.begin(owner, &[key::shard_of(id)].into()).await?;
                let stored = self.get_upload(owner, id).await?;
                let mut upload = stored.upload.clone();
                match reopened.is_none() {
                    true => {
                        upload.state = upload.state.after(Transition::Reopen)?;
                        upload.completion = None;
                        let mut name = self.read_name(owner, &upload.name).await?;
                        name.release(upload.file_id);
                        name.write(&mut change);
                    }
                    false => upload.check_active()?,
                }
                for (key, tag, size) in self.find_parts(id, lost).await? {
                    upload.persisted_bytes -= size;
                    change.transaction.delete(key, Some(tag));
                }
                if upload.persisted_bytes == 0 {
                    change.transaction.delete(key::place(id), Before::Any);
                }
                upload.update_time = now;
                upload.expire_time = upload.expiry_after_touch(now, time_to_live);
                save(&mut change, &stored, &upload);
                if self.made(change).await? {
                    break Some(upload);
                }
                pause.wait("an upload cannot be reopened").await?;
            };
        }
        reopened.ok_or_else(|| Error::storage_io("the upload was not reopened"))
    }

    /// The upload as it is when it is frozen, and the name that it takes.
    async fn frozen(
        &self,
        change: &mut Change,
        stored: &StoredUpload,
        freeze: &Freeze,
        now: Timestamp,
    ) -> Result<(Upload, Name)> {
        let mut upload = stored.upload.clone();
        let state = upload.state.after(Transition::Freeze)?;
        freeze.epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
        // No part can be recorded without a change of the upload, so these are
        // all parts if this change is made.
        let persisted = self.persisted_ranges(stored).await?;
        let size = freeze.digest.size;
        upload.check_final_size(size, persisted.end())?;
        upload.check_parts_present(size, &persisted)?;
        upload.name = freeze.name.clone().unwrap_or(upload.name);
        upload.on_conflict = freeze.on_conflict.unwrap_or(upload.on_conflict);
        let mut name = self.read_name(upload.owner, &upload.name).await?;
        if upload.on_conflict == OnConflict::Fail {
            name.check_free()?;
        }
        upload.declared.sha256 = upload.declared.sha256.or(freeze.sha256);
        upload.declared.blake3 = upload.declared.blake3.or(freeze.blake3);
        upload.state = state;
        upload.plan.size = Some(size);
        shrink(change, &mut upload, size);
        upload.update_time = now;
        let sequence = name.come(upload.file_id, now);
        upload.completion = Some(Completion::new(freeze.digest, sequence));
        Ok((upload, name))
    }

    /// Makes a frozen upload the file that it becomes.
    async fn published(
        &self,
        change: &mut Change,
        stored: &StoredUpload,
        mut upload: Upload,
        name: Name,
        now: Timestamp,
    ) -> Result<Step<File>> {
        upload.state = upload.state.after(Transition::Publish)?;
        let completion =
            upload.completion.ok_or_else(|| Error::storage_io("the upload was never frozen"))?;
        upload.update_time = now;
        let size = completion.digest.size;
        close(change, &mut upload, size);
        save(change, stored, &upload);
        let mut checksums = upload.declared;
        checksums.crc32c = Some(completion.digest.crc32c);
        checksums.blake3 = completion.digest.blake3.or(checksums.blake3);
        let mut file = File {
            id: upload.file_id,
            owner: upload.owner,
            upload_id: upload.id,
            name: upload.name,
            content_type: upload.content_type,
            size,
            part_size: upload.plan.part_size,
            checksums,
            state: FileState::Processing,
            metadata: upload.metadata,
            revision: 1,
            sequence: completion.sequence,
            create_time: now,
            ready_time: None,
            error: None,
        };
        if file.checksums.sha256.is_none() && !completion.verify {
            return self.make_ready(change, None, file, name, now).await;
        }
        self.save_file(change, None, &mut file).await?;
        name.write(change);
        change.enqueue(&Event::VerifyFile { owner: file.owner, file_id: file.id }, now);
        Ok(Step::Done(file))
    }

    /// `PROCESSING → READY`: the file takes its name. Of several completions to
    /// one name the last one wins, whatever order they become ready in; so a
    /// file that comes too late is removed, as if it had been replaced at once.
    pub(super) async fn make_ready(
        &self,
        change: &mut Change,
        before: Option<&StoredFile>,
        mut file: File,
        mut name: Name,
        now: Timestamp,
    ) -> Result<Step<File>> {
        file.state = FileState::Ready;
        file.ready_time = Some(now);
        let holder = match name.holder {
            Some(holder) => self.find_file(file.owner, holder).await?,
            None => None,
        };
        if let Some(holder) = holder {
            if holder.file.sequence > file.sequence {
                name.release(file.id);
                name.write(change);
                match before {
                    Some(before) => self.remove_file(change, before, now).await?,
                    None => {
                        change.shard(key::shard_of(file.upload_id)).add(-signed(file.size), 0, 0);
                        tell_gone(change, &file, 0, now);
                        release_bytes(change, &file);
                    }
                }
                return Ok(Step::Done(file));
            }
            let shard = key::shard_of(holder.file.upload_id);
            if !change.has_shard(shard) {
                return Ok(Step::Needs(shard));
            }
            self.remove_file(change, &holder, now).await?;
        }
        name.hold(&file);
        name.write(change);
        self.save_file(change, before, &mut file).await?;
        Ok(Step::Done(file))
    }

    /// The file that an upload became.
    pub(super) async fn became(&self, owner: AccountId, id: FileId) -> Result<bool> {
        let file = self.find_file(owner, id).await?;
        Ok(file.is_some_and(|stored| stored.file.state != FileState::Failed))
    }
}

/// An open upload turns out to be no larger than this.
pub(super) fn shrink(change: &mut Change, upload: &mut Upload, size: u64) {
    reserve(change, upload, upload.reserved.min(size));
}

/// An open upload holds so many bytes from now on.
pub(super) fn reserve(change: &mut Change, upload: &mut Upload, reserved: u64) {
    if reserved != upload.reserved {
        let difference = signed(reserved) - signed(upload.reserved);
        change.shard(key::shard_of(upload.id)).add(0, difference, 0);
        upload.reserved = reserved;
    }
}

/// An open upload ends, as a file of this size if it becomes one.
pub(super) fn close(change: &mut Change, upload: &mut Upload, stored: u64) {
    let shard = change.shard(key::shard_of(upload.id));
    shard.add(signed(stored), -signed(upload.reserved), -1);
    upload.reserved = 0;
}
