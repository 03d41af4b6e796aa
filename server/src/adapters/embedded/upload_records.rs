//! Rows of uploads.

use rusqlite::{Connection, OptionalExtension, named_params, params};
use sluice_domain::{AccountId, Error, OnConflict, Reason, Timestamp, Upload, UploadId};

use super::{
    changes,
    database::Outcome,
    files, purge,
    rows::{self, Sql, UPLOAD_COLUMNS},
    usage,
};
use crate::ports::{Created, NewUpload, StorageTag, UploadPage, UploadQuery};

/// Writes a new upload, unless the same request did before.
pub(super) fn create(connection: &Connection, new: &NewUpload) -> Outcome<Created> {
    let upload = &new.upload;
    purge::check_not_deleted(connection, upload.owner)?;
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
    usage::open(connection, upload, new.quota)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO uploads (id, file_id, owner, state, name, content_type, size, max_size, \
         part_size, persisted_bytes, epoch, declared_crc32c, declared_sha256, declared_blake3, \
         metadata, replaces, create_time, update_time, expire_time, request_id, \
         request_fingerprint, reserved, change) VALUES (:id, :file_id, :owner, :state, :name, :content_type, :size, \
         :max_size, :part_size, :persisted_bytes, :epoch, :declared_crc32c, :declared_sha256, \
         :declared_blake3, :metadata, :replaces, :create_time, :update_time, :expire_time, \
         :request_id, :request_fingerprint, :reserved, :change)",
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
        ":reserved": upload.reserved,
        ":change": changes::next(connection)?,
    })?;
    Ok(Created::New)
}

/// Reads an upload.
pub(super) fn get(connection: &Connection, owner: AccountId, id: UploadId) -> Outcome<Upload> {
    find(connection, owner, id)?.ok_or_else(|| {
        Error::new(Reason::UploadNotFound, format!("there is no upload {id} of this account"))
            .into()
    })
}

/// Reads an upload, if there is such a one.
pub(super) fn find(
    connection: &Connection,
    owner: AccountId,
    id: UploadId,
) -> Outcome<Option<Upload>> {
    let sql = format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ? AND owner = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![Sql(id), Sql(owner)], rows::upload).optional()?)
}

/// Writes back what can change of an upload.
pub(super) fn save(connection: &Connection, upload: &Upload) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE uploads SET state = :state, name = :name, size = :size, \
         persisted_bytes = :persisted_bytes, epoch = :epoch, \
         declared_sha256 = :declared_sha256, declared_blake3 = :declared_blake3, \
         replaces = :replaces, \
         update_time = :update_time, expire_time = :expire_time, file_size = :file_size, \
         file_crc32c = :file_crc32c, file_blake3 = :file_blake3, sequence = :sequence, \
         error = :error, reserved = :reserved, verify = :verify, change = :change \
         WHERE id = :id",
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
        ":declared_blake3": upload.declared.blake3,
        ":replaces": upload.on_conflict == OnConflict::Replace,
        ":update_time": Sql(upload.update_time),
        ":expire_time": Sql(upload.expire_time),
        ":file_size": digest.map(|digest| digest.size),
        ":file_crc32c": digest.map(|digest| digest.crc32c.0),
        ":file_blake3": digest.and_then(|digest| digest.blake3),
        ":sequence": upload.completion.map(|completion| completion.sequence),
        ":error": upload.error.as_ref().map(Sql),
        ":reserved": upload.reserved,
        ":verify": upload.completion.is_some_and(|completion| completion.verify),
        ":change": changes::next(connection)?,
    })?;
    Ok(())
}

/// Writes back what a part changes. It happens for every part, so it touches
/// no more indexes than it must.
pub(super) fn save_progress(connection: &Connection, upload: &Upload) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE uploads SET persisted_bytes = ?, update_time = ?, expire_time = ?, change = ? \
         WHERE id = ?",
    )?;
    statement.execute(params![
        upload.persisted_bytes,
        Sql(upload.update_time),
        Sql(upload.expire_time),
        changes::next(connection)?,
        Sql(upload.id),
    ])?;
    Ok(())
}

/// Writes back what an upload has reserved.
pub(super) fn save_reserved(connection: &Connection, upload: &Upload) -> Outcome<()> {
    let mut statement =
        connection.prepare_cached("UPDATE uploads SET reserved = ? WHERE id = ?")?;
    statement.execute(params![upload.reserved, Sql(upload.id)])?;
    Ok(())
}

/// Keeps where storage puts the parts, unless that is known. Answers what is kept.
pub(super) fn keep_place(
    connection: &Connection,
    id: UploadId,
    place: &StorageTag,
) -> Outcome<StorageTag> {
    let mut statement = connection.prepare_cached(
        "UPDATE uploads SET place = COALESCE(place, ?) WHERE id = ? RETURNING place",
    )?;
    let kept = statement.query_row(params![place.0, Sql(id)], |row| row.get(0)).optional()?;
    kept.map(StorageTag).ok_or_else(|| {
        Error::new(Reason::UploadNotFound, format!("there is no upload {id} any more")).into()
    })
}

/// Where storage puts the parts, if that is known.
pub(super) fn place(connection: &Connection, id: UploadId) -> Outcome<Option<StorageTag>> {
    let mut statement = connection.prepare_cached("SELECT place FROM uploads WHERE id = ?")?;
    let place = statement.query_row(params![Sql(id)], |row| row.get::<_, Option<String>>(0));
    Ok(place.optional()?.flatten().map(StorageTag))
}

/// Forgets where storage puts the parts: there are none.
pub(super) fn forget_place(connection: &Connection, id: UploadId) -> Outcome<()> {
    connection
        .prepare_cached("UPDATE uploads SET place = NULL WHERE id = ?")?
        .execute(params![Sql(id)])?;
    Ok(())
}

/// Reads a page of uploads, newest first.
pub(super) fn list(
    connection: &Connection,
    owner: AccountId,
    query: &UploadQuery,
) -> Outcome<UploadPage> {
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

/// Reads owners and ids; `sql` takes a time and a limit.
pub(super) fn owners_and_ids(
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
