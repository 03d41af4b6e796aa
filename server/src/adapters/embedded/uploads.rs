//! Records of uploads and parts in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sluice_domain::{
    AccountId, Completion, Epoch, Error, Failure, File, FileId, FileState, OnConflict, Part,
    PartNumber, Quota, RangeSet, Result, Timestamp, Transition, Upload, UploadId, UploadState,
};

use super::{
    Database, changes,
    database::{Fault, Outcome},
    events::enqueue,
    files, parts,
    rows::Sql,
    small_contents,
    upload_records::{
        self, create, find, get, list, owners_and_ids, save, save_progress, save_reserved,
    },
    usage,
};
use crate::ports::{
    BlobRecords, Created, Event, Freeze, NewUpload, Persisted, PersistedPart, Recorded, StorageTag,
    StoredPart, UploadPage, UploadQuery, UploadStore, Written,
};

#[async_trait]
impl UploadStore for Database {
    async fn check_health(&self) -> Result<()> {
        self.read(|connection| Ok(connection.execute_batch("SELECT 1 FROM settings LIMIT 0")?))
            .await
    }

    async fn create_upload(&self, new: NewUpload) -> Result<Created> {
        self.write_of(new.upload.owner, move |connection| create(connection, &new)).await
    }

    async fn upload(&self, owner: AccountId, id: UploadId) -> Result<Upload> {
        self.read(move |connection| get(connection, owner, id)).await
    }

    async fn uploads(&self, owner: AccountId, ids: Vec<UploadId>) -> Result<Vec<Upload>> {
        self.read(move |connection| {
            let found = ids.into_iter().map(|id| find(connection, owner, id));
            found.filter_map(Outcome::transpose).collect()
        })
        .await
    }

    async fn written(&self, owner: AccountId, id: UploadId, part: PartNumber) -> Result<Written> {
        self.read(move |connection| {
            let upload = get(connection, owner, id)?;
            Ok(Written { upload, part: parts::get(connection, id, part)? })
        })
        .await
    }

    async fn persisted(&self, owner: AccountId, id: UploadId) -> Result<(Upload, RangeSet)> {
        self.read(move |connection| {
            let upload = get(connection, owner, id)?;
            let ranges = parts::persisted_ranges(connection, &upload)?;
            Ok((upload, ranges))
        })
        .await
    }

    async fn parts(
        &self,
        _owner: AccountId,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>> {
        self.read(move |connection| parts::list(connection, id, after, limit)).await
    }

    async fn list_uploads(&self, owner: AccountId, query: UploadQuery) -> Result<UploadPage> {
        self.read(move |connection| list(connection, owner, &query)).await
    }

    async fn advance_epoch(
        &self,
        owner: AccountId,
        id: UploadId,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            upload.epoch = Epoch(upload.epoch.0 + 1);
            touch(&mut upload, now, time_to_live);
            save(connection, &upload)?;
            Ok(upload)
        })
        .await
    }

    async fn commit_part(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Epoch,
        part: PersistedPart,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Recorded> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            upload.check_epoch(epoch)?;
            let PersistedPart { record, bytes } = part;
            let range = upload.plan.range(record.number);
            if range.len() != record.size {
                // The size was fixed after this part was begun.
                let end = range.start + record.size;
                return Err(upload.check_final_size(range.end, end).err().map_or_else(
                    || Fault::from(Error::storage_io("a part of the wrong size")),
                    Fault::from,
                ));
            }
            let (tag, content) = match bytes {
                Persisted::Stored(tag) => (tag, None),
                Persisted::WithRecord(content) => (None, Some(content)),
            };
            let mut recorded = Recorded::New;
            if parts::insert(connection, id, &record, tag.as_ref())? {
                upload.persisted_bytes += record.size;
                if let Some(content) = content {
                    small_contents::insert(connection, id, &content)?;
                }
            } else if let Some(before) = parts::get(connection, id, record.number)? {
                recorded = Recorded::Before(before);
            }
            touch(&mut upload, now, time_to_live);
            save_progress(connection, &upload)?;
            Ok(recorded)
        })
        .await
    }

    async fn add_detail(&self, _owner: AccountId, id: UploadId, part: Part) -> Result<bool> {
        self.write(move |connection| parts::add_detail(connection, id, &part)).await
    }

    async fn reserve(
        &self,
        owner: AccountId,
        id: UploadId,
        end: u64,
        default: Quota,
    ) -> Result<()> {
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            // Once the size is known, that is what it holds.
            if upload.plan.size.is_none() {
                usage::lease(connection, &mut upload, end, default)?;
                save_reserved(connection, &upload)?;
            }
            Ok(())
        })
        .await
    }

    async fn fix_size(
        &self,
        owner: AccountId,
        id: UploadId,
        epoch: Option<Epoch>,
        size: u64,
        now: Timestamp,
    ) -> Result<()> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
            let persisted_end = parts::persisted_ranges(connection, &upload)?.end();
            upload.check_final_size(size, persisted_end)?;
            if upload.plan.size.is_none() {
                upload.plan.size = Some(size);
                usage::shrink(connection, &mut upload, size)?;
                upload.update_time = now;
                save(connection, &upload)?;
            }
            Ok(())
        })
        .await
    }

    async fn freeze(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<Upload> {
        self.write_of(owner, move |connection| freeze_upload(connection, owner, id, freeze, now))
            .await
    }

    async fn retag_parts(
        &self,
        owner: AccountId,
        id: UploadId,
        tags: Vec<(PartNumber, StorageTag)>,
    ) -> Result<()> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            let Some(completion) =
                upload.completion.as_mut().filter(|_| upload.state == UploadState::Completing)
            else {
                return Err(upload.state.not_active().into());
            };
            completion.verify = true;
            save(connection, &upload)?;
            tags.iter().try_for_each(|(number, tag)| parts::retag(connection, id, *number, tag))
        })
        .await
    }

    async fn reopen(
        &self,
        owner: AccountId,
        id: UploadId,
        lost: Vec<PartNumber>,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<Upload> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.state = upload.state.after(Transition::Reopen)?;
            upload.completion = None;
            for number in lost {
                upload.persisted_bytes -= parts::remove(connection, id, number)?;
            }
            touch(&mut upload, now, time_to_live);
            save(connection, &upload)?;
            if upload.persisted_bytes == 0 {
                upload_records::forget_place(connection, id)?;
            }
            Ok(upload)
        })
        .await
    }

    async fn publish(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<File> {
        self.write_of(owner, move |connection| publish_upload(connection, owner, id, now)).await
    }

    async fn freeze_and_publish(
        &self,
        owner: AccountId,
        id: UploadId,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<File> {
        self.write_of(owner, move |connection| {
            freeze_upload(connection, owner, id, freeze, now)?;
            publish_upload(connection, owner, id, now)
        })
        .await
    }

    async fn fail_upload(
        &self,
        owner: AccountId,
        id: UploadId,
        failure: Failure,
        now: Timestamp,
    ) -> Result<()> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.error = Some(failure);
            end(connection, &mut upload, Transition::Fail, now)
        })
        .await
    }

    async fn cancel(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<Upload> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            if matches!(
                upload.state,
                UploadState::Cancelled | UploadState::Expired | UploadState::Failed
            ) {
                return Ok(upload);
            }
            end(connection, &mut upload, Transition::Cancel, now)?;
            Ok(upload)
        })
        .await
    }

    async fn expire(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<bool> {
        self.write_of(owner, move |connection| {
            let mut upload = get(connection, owner, id)?;
            if upload.state != UploadState::Active || now < upload.expire_time {
                return Ok(false);
            }
            end(connection, &mut upload, Transition::Expire, now)?;
            Ok(true)
        })
        .await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<(AccountId, UploadId)>> {
        let sql = "SELECT owner, id FROM uploads WHERE state = 'ACTIVE' AND expire_time <= ? \
                   ORDER BY expire_time LIMIT ?";
        self.read(move |connection| owners_and_ids(connection, sql, now, limit)).await
    }

    async fn completing(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(AccountId, UploadId)>> {
        let sql = "SELECT owner, id FROM uploads WHERE state = 'COMPLETING' AND update_time < ? \
                   LIMIT ?";
        self.read(move |connection| owners_and_ids(connection, sql, before, limit)).await
    }

    async fn forget_ended(&self, before: Timestamp, limit: u32) -> Result<u32> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached(
                "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads \
                 WHERE state NOT IN ('ACTIVE', 'COMPLETING') AND update_time < ? LIMIT ?) \
                 RETURNING change",
            )?;
            let ended = statement.query_map(params![Sql(before), limit], |row| row.get(0))?;
            changes::forgotten(connection, &ended.collect::<rusqlite::Result<Vec<_>>>()?)
        })
        .await
    }

    async fn blob_in_use(&self, _owner: AccountId, id: UploadId) -> Result<bool> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM files WHERE upload_id = ?1 AND state <> 'FAILED') \
                 OR EXISTS (SELECT 1 FROM uploads WHERE id = ?1 \
                            AND state IN ('ACTIVE', 'COMPLETING'))",
            )?;
            Ok(statement.query_row(params![Sql(id)], |row| row.get(0))?)
        })
        .await
    }

    async fn forget_parts(&self, _owner: AccountId, _id: UploadId) -> Result<()> {
        // They went in the transaction that let go of the bytes.
        Ok(())
    }

    async fn file_of_upload(&self, owner: AccountId, file_id: FileId) -> Result<File> {
        self.read(move |connection| files::get(connection, owner, file_id)).await
    }
}

#[async_trait]
impl BlobRecords for Database {
    async fn keep_place(&self, upload: UploadId, place: StorageTag) -> Result<StorageTag> {
        self.write(move |connection| upload_records::keep_place(connection, upload, &place)).await
    }

    async fn place(&self, upload: UploadId) -> Result<Option<StorageTag>> {
        self.read(move |connection| upload_records::place(connection, upload)).await
    }

    async fn stored_parts(
        &self,
        upload: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<StoredPart>> {
        self.read(move |connection| parts::list_stored(connection, upload, after, limit)).await
    }
}

/// `ACTIVE → COMPLETING`.
fn freeze_upload(
    connection: &Connection,
    owner: AccountId,
    id: UploadId,
    freeze: Freeze,
    now: Timestamp,
) -> Outcome<Upload> {
    let mut upload = get(connection, owner, id)?;
    let state = upload.state.after(Transition::Freeze)?;
    freeze.epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
    let persisted = parts::persisted_ranges(connection, &upload)?;
    let size = freeze.digest.size;
    upload.check_final_size(size, persisted.end())?;
    upload.check_parts_present(size, &persisted)?;
    upload.name = freeze.name.unwrap_or(upload.name);
    upload.on_conflict = freeze.on_conflict.unwrap_or(upload.on_conflict);
    if upload.on_conflict == OnConflict::Fail {
        files::check_name_free(connection, owner, &upload.name)?;
    }
    upload.declared.sha256 = upload.declared.sha256.or(freeze.sha256);
    upload.declared.blake3 = upload.declared.blake3.or(freeze.blake3);
    upload.state = state;
    upload.plan.size = Some(size);
    usage::shrink(connection, &mut upload, size)?;
    upload.update_time = now;
    let sequence = next_sequence(connection)?;
    upload.completion = Some(Completion::new(freeze.digest, sequence));
    save(connection, &upload)?;
    Ok(upload)
}

/// `COMPLETING → COMPLETED`.
fn publish_upload(
    connection: &Connection,
    owner: AccountId,
    id: UploadId,
    now: Timestamp,
) -> Outcome<File> {
    let mut upload = get(connection, owner, id)?;
    if upload.state == UploadState::Completed {
        return files::get(connection, owner, upload.file_id);
    }
    upload.state = upload.state.after(Transition::Publish)?;
    upload.update_time = now;
    let size = upload.completion.map_or(0, |completion| completion.digest.size);
    usage::close(connection, &mut upload, size)?;
    save(connection, &upload)?;
    publish(connection, upload, now)
}

fn touch(upload: &mut Upload, now: Timestamp, time_to_live: Duration) {
    upload.update_time = now;
    upload.expire_time = upload.expiry_after_touch(now, time_to_live);
}

/// Ends an upload without a file.
fn end(
    connection: &Connection,
    upload: &mut Upload,
    transition: Transition,
    now: Timestamp,
) -> Outcome<()> {
    upload.state = upload.state.after(transition)?;
    upload.update_time = now;
    upload.persisted_bytes = 0;
    usage::close(connection, upload, 0)?;
    save(connection, upload)?;
    parts::remove_all(connection, upload.id)?;
    let event = Event::DeleteBlob { owner: upload.owner, upload_id: upload.id };
    enqueue(connection, &event, now)
}

/// Creates the file of an upload that has just completed.
fn publish(connection: &Connection, upload: Upload, now: Timestamp) -> Outcome<File> {
    let completion =
        upload.completion.ok_or_else(|| Error::storage_io("the upload was never frozen"))?;
    let mut checksums = upload.declared;
    checksums.crc32c = Some(completion.digest.crc32c);
    checksums.blake3 = completion.digest.blake3.or(checksums.blake3);
    let file = File {
        id: upload.file_id,
        owner: upload.owner,
        upload_id: upload.id,
        name: upload.name,
        content_type: upload.content_type,
        size: completion.digest.size,
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
    files::insert(connection, &file)?;
    if completion.verify || file.checksums.sha256.is_some() {
        let event = Event::VerifyFile { owner: file.owner, file_id: file.id };
        enqueue(connection, &event, now)?;
        return Ok(file);
    }
    files::make_ready(connection, file, now)
}

fn next_sequence(connection: &Connection) -> Outcome<u64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO settings (name, value) VALUES ('completions', 1) \
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
