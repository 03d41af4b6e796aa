//! Records of uploads and parts in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, named_params, params};
use sluice_domain::{
    AccountId, ByteRange, Completion, Epoch, Error, Failure, File, FileId, FileState, OnConflict,
    Part, PartNumber, RangeSet, Reason, Result, Timestamp, Transition, Upload, UploadId,
    UploadState,
};

use super::{
    Database,
    database::{Fault, Outcome},
    events::enqueue,
    files,
    rows::{self, PART_COLUMNS, Sql, UPLOAD_COLUMNS, blocks_column},
};
use crate::ports::{
    Created, Event, Freeze, NewUpload, UploadPage, UploadQuery, UploadStore, Written,
};

#[async_trait]
impl UploadStore for Database {
    async fn create_upload(&self, new: NewUpload) -> Result<Created> {
        self.write(move |connection| create(connection, &new)).await
    }

    async fn upload(&self, owner: AccountId, id: UploadId) -> Result<Upload> {
        self.read(move |connection| get(connection, owner, id)).await
    }

    async fn written(&self, owner: AccountId, id: UploadId, part: PartNumber) -> Result<Written> {
        self.read(move |connection| {
            let upload = get(connection, owner, id)?;
            Ok(Written { upload, part: get_part(connection, id, part)? })
        })
        .await
    }

    async fn persisted(&self, owner: AccountId, id: UploadId) -> Result<(Upload, RangeSet)> {
        self.read(move |connection| {
            let upload = get(connection, owner, id)?;
            let ranges = persisted_ranges(connection, &upload)?;
            Ok((upload, ranges))
        })
        .await
    }

    async fn parts(
        &self,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {PART_COLUMNS} FROM parts WHERE upload_id = ? AND number > ? \
                 ORDER BY number LIMIT ?"
            );
            let after = after.map_or(0, PartNumber::get);
            let mut statement = connection.prepare_cached(&sql)?;
            let parts = statement.query_map(params![Sql(id), after, limit], rows::part)?;
            Ok(parts.collect::<rusqlite::Result<_>>()?)
        })
        .await
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
        self.write(move |connection| {
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
        part: Part,
        now: Timestamp,
        time_to_live: Duration,
    ) -> Result<()> {
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            upload.check_epoch(epoch)?;
            let range = upload.plan.range(part.number);
            if range.len() != part.size {
                // The size was fixed after this part was begun.
                let end = range.start + part.size;
                return Err(upload.check_final_size(range.end, end).err().map_or_else(
                    || Fault::from(Error::storage_io("a part of the wrong size")),
                    Fault::from,
                ));
            }
            if insert_part(connection, id, &part)? {
                upload.persisted_bytes += part.size;
            }
            touch(&mut upload, now, time_to_live);
            save(connection, &upload)
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
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.check_active()?;
            epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
            let persisted_end = persisted_ranges(connection, &upload)?.end();
            upload.check_final_size(size, persisted_end)?;
            if upload.plan.size.is_none() {
                upload.plan.size = Some(size);
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
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            let state = upload.state.after(Transition::Freeze)?;
            freeze.epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
            let persisted = persisted_ranges(connection, &upload)?;
            let size = freeze.digest.size;
            upload.check_final_size(size, persisted.end())?;
            upload.check_parts_present(size, &persisted)?;
            upload.name = freeze.name.unwrap_or(upload.name);
            upload.on_conflict = freeze.on_conflict.unwrap_or(upload.on_conflict);
            if upload.on_conflict == OnConflict::Fail {
                files::check_name_free(connection, owner, &upload.name)?;
            }
            upload.declared.sha256 = upload.declared.sha256.or(freeze.sha256);
            upload.state = state;
            upload.plan.size = Some(size);
            upload.update_time = now;
            let sequence = next_sequence(connection)?;
            upload.completion = Some(Completion { digest: freeze.digest, sequence });
            save(connection, &upload)?;
            Ok(upload)
        })
        .await
    }

    async fn publish(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<File> {
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            if upload.state == UploadState::Completed {
                return files::get(connection, owner, upload.file_id);
            }
            upload.state = upload.state.after(Transition::Publish)?;
            upload.update_time = now;
            save(connection, &upload)?;
            publish(connection, upload, now)
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
        self.write(move |connection| {
            let mut upload = get(connection, owner, id)?;
            upload.error = Some(failure);
            end(connection, &mut upload, Transition::Fail, now)
        })
        .await
    }

    async fn cancel(&self, owner: AccountId, id: UploadId, now: Timestamp) -> Result<Upload> {
        self.write(move |connection| {
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
        self.write(move |connection| {
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
                 WHERE state NOT IN ('ACTIVE', 'COMPLETING') AND update_time < ? LIMIT ?)",
            )?;
            Ok(u32::try_from(statement.execute(params![Sql(before), limit])?).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn blob_in_use(&self, id: UploadId) -> Result<bool> {
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

    async fn file_of_upload(&self, owner: AccountId, file_id: FileId) -> Result<File> {
        self.read(move |connection| files::get(connection, owner, file_id)).await
    }
}

fn create(connection: &Connection, new: &NewUpload) -> Outcome<Created> {
    let upload = &new.upload;
    if let Some(request) = &new.request {
        let sql = format!(
            "SELECT {UPLOAD_COLUMNS}, request_fingerprint FROM uploads \
             WHERE owner = ? AND request_id = ?"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let before = statement
            .query_row(params![Sql(upload.owner), request.id.as_str()], |row| {
                Ok((rows::upload(row)?, row.get::<_, [u8; 32]>("request_fingerprint")?))
            })
            .optional()?;
        if let Some((before, fingerprint)) = before {
            if fingerprint == request.fingerprint {
                return Ok(Created::Before(before));
            }
            return Err(Error::new(
                Reason::RequestIdReused,
                "this request_id belongs to another upload; use a new one",
            )
            .into());
        }
    }
    if upload.on_conflict == OnConflict::Fail {
        files::check_name_free(connection, upload.owner, &upload.name)?;
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO uploads (id, file_id, owner, state, name, content_type, size, max_size, \
         part_size, persisted_bytes, epoch, declared_crc32c, declared_sha256, declared_blake3, \
         metadata, replaces, create_time, update_time, expire_time, request_id, \
         request_fingerprint) VALUES (:id, :file_id, :owner, :state, :name, :content_type, :size, \
         :max_size, :part_size, :persisted_bytes, :epoch, :declared_crc32c, :declared_sha256, \
         :declared_blake3, :metadata, :replaces, :create_time, :update_time, :expire_time, \
         :request_id, :request_fingerprint)",
    )?;
    statement.execute(named_params! {
        ":id": Sql(upload.id),
        ":file_id": Sql(upload.file_id),
        ":owner": Sql(upload.owner),
        ":state": upload.state.as_str(),
        ":name": upload.name.as_str(),
        ":content_type": upload.content_type.as_str(),
        ":size": upload.plan.size,
        ":max_size": upload.max_size,
        ":part_size": upload.plan.part_size,
        ":persisted_bytes": upload.persisted_bytes,
        ":epoch": upload.epoch.0,
        ":declared_crc32c": upload.declared.crc32c.map(|crc| crc.0),
        ":declared_sha256": upload.declared.sha256,
        ":declared_blake3": upload.declared.blake3,
        ":metadata": Sql(&upload.metadata),
        ":replaces": upload.on_conflict == OnConflict::Replace,
        ":create_time": Sql(upload.create_time),
        ":update_time": Sql(upload.update_time),
        ":expire_time": Sql(upload.expire_time),
        ":request_id": new.request.as_ref().map(|request| request.id.as_str()),
        ":request_fingerprint": new.request.as_ref().map(|request| request.fingerprint),
    })?;
    Ok(Created::New)
}

fn get(connection: &Connection, owner: AccountId, id: UploadId) -> Outcome<Upload> {
    let sql = format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ? AND owner = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let upload = statement.query_row(params![Sql(id), Sql(owner)], rows::upload).optional()?;
    upload.ok_or_else(|| {
        Error::new(Reason::UploadNotFound, format!("there is no upload {id} of this account"))
            .into()
    })
}

/// Writes back what can change of an upload.
fn save(connection: &Connection, upload: &Upload) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE uploads SET state = :state, name = :name, size = :size, \
         persisted_bytes = :persisted_bytes, epoch = :epoch, \
         declared_sha256 = :declared_sha256, replaces = :replaces, \
         update_time = :update_time, expire_time = :expire_time, file_size = :file_size, \
         file_crc32c = :file_crc32c, file_blake3 = :file_blake3, sequence = :sequence, \
         error = :error WHERE id = :id",
    )?;
    let digest = upload.completion.map(|completion| completion.digest);
    statement.execute(named_params! {
        ":id": Sql(upload.id),
        ":state": upload.state.as_str(),
        ":name": upload.name.as_str(),
        ":size": upload.plan.size,
        ":persisted_bytes": upload.persisted_bytes,
        ":epoch": upload.epoch.0,
        ":declared_sha256": upload.declared.sha256,
        ":replaces": upload.on_conflict == OnConflict::Replace,
        ":update_time": Sql(upload.update_time),
        ":expire_time": Sql(upload.expire_time),
        ":file_size": digest.map(|digest| digest.size),
        ":file_crc32c": digest.map(|digest| digest.crc32c.0),
        ":file_blake3": digest.map(|digest| digest.blake3),
        ":sequence": upload.completion.map(|completion| completion.sequence),
        ":error": upload.error.as_ref().map(Sql),
    })?;
    Ok(())
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
    save(connection, upload)?;
    connection
        .prepare_cached("DELETE FROM parts WHERE upload_id = ?")?
        .execute(params![Sql(upload.id)])?;
    enqueue(connection, &Event::DeleteBlob { upload_id: upload.id }, now)
}

/// Creates the file of an upload that has just completed.
fn publish(connection: &Connection, upload: Upload, now: Timestamp) -> Outcome<File> {
    let completion =
        upload.completion.ok_or_else(|| Error::storage_io("the upload was never frozen"))?;
    let mut checksums = upload.declared;
    checksums.crc32c = Some(completion.digest.crc32c);
    checksums.blake3 = Some(completion.digest.blake3);
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
    if file.checksums.sha256.is_some() {
        let event = Event::VerifyFile { owner: file.owner, file_id: file.id };
        enqueue(connection, &event, now)?;
        return Ok(file);
    }
    files::make_ready(connection, file, now)
}

fn insert_part(connection: &Connection, id: UploadId, part: &Part) -> Outcome<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO parts (upload_id, number, size, crc32c, blocks, chaining_value, root) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let inserted = statement.execute(params![
        Sql(id),
        part.number.get(),
        part.size,
        part.crc32c.0,
        blocks_column(part),
        part.chaining_value,
        part.root,
    ])?;
    Ok(inserted == 1)
}

fn get_part(connection: &Connection, id: UploadId, number: PartNumber) -> Outcome<Option<Part>> {
    let sql = format!("SELECT {PART_COLUMNS} FROM parts WHERE upload_id = ? AND number = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![Sql(id), number.get()], rows::part).optional()?)
}

fn persisted_ranges(connection: &Connection, upload: &Upload) -> Outcome<RangeSet> {
    let mut statement = connection
        .prepare_cached("SELECT number, size FROM parts WHERE upload_id = ? ORDER BY number")?;
    let part_size = upload.plan.part_size;
    let ranges = statement.query_map(params![Sql(upload.id)], |row| {
        let start = (row.get::<_, u64>(0)? - 1) * part_size;
        Ok(ByteRange { start, end: start + row.get::<_, u64>(1)? })
    })?;
    Ok(RangeSet::from_sorted(ranges.collect::<rusqlite::Result<Vec<_>>>()?))
}

fn list(connection: &Connection, owner: AccountId, query: &UploadQuery) -> Outcome<UploadPage> {
    let states = rows::in_list(query.states.iter().map(|state| state.as_str()));
    let sql = format!(
        "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE owner = :owner AND {states} \
         AND (:time IS NULL OR (create_time, id) < (:time, :id)) \
         ORDER BY create_time DESC, id DESC LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let uploads = statement.query_map(
        named_params! {
            ":owner": Sql(owner),
            ":time": query.after.map(|(time, _)| Sql(time)),
            ":id": query.after.map(|(_, id)| Sql(id)),
            ":limit": query.limit + 1,
        },
        rows::upload,
    )?;
    let mut uploads = uploads.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = uploads.len() > query.limit as usize;
    uploads.truncate(query.limit as usize);
    Ok(UploadPage { uploads, more })
}

fn next_sequence(connection: &Connection) -> Outcome<u64> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO settings (name, value) VALUES ('completions', 1) \
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
    )?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn owners_and_ids(
    connection: &Connection,
    sql: &str,
    time: Timestamp,
    limit: u32,
) -> Outcome<Vec<(AccountId, UploadId)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(params![Sql(time), limit], |row| {
        Ok((row.get::<_, Sql<_>>(0)?.0, row.get::<_, Sql<_>>(1)?.0))
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
