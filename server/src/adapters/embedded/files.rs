//! Records of files in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, named_params, params};
use sluice_domain::{
    AccountId, Error, Failure, File, FileId, FileName, FileState, Reason, Result, Timestamp,
};

use super::{
    Database, changes,
    database::Outcome,
    events::enqueue,
    parts,
    rows::{self, FILE_COLUMNS, Sql},
    usage,
};
use crate::ports::{
    Event, FileChange, FileOrder, FilePage, FilePosition, FileQuery, FileStore,
    file_store::after_prefix,
};

#[async_trait]
impl FileStore for Database {
    async fn file(&self, owner: AccountId, id: FileId) -> Result<File> {
        self.read(move |connection| get(connection, owner, id)).await
    }

    async fn files(&self, owner: AccountId, ids: Vec<FileId>) -> Result<Vec<File>> {
        self.read(move |connection| {
            let found = ids.into_iter().map(|id| find(connection, owner, id));
            found.filter_map(Outcome::transpose).collect()
        })
        .await
    }

    async fn list_files(&self, owner: AccountId, query: FileQuery) -> Result<FilePage> {
        self.read(move |connection| match query.order {
            FileOrder::CreateTime => list_by_time(connection, owner, &query),
            FileOrder::Name => list_by_name(connection, owner, &query),
        })
        .await
    }

    async fn update_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        change: FileChange,
    ) -> Result<File> {
        self.write_of(owner, move |connection| {
            let mut file = get(connection, owner, id)?;
            file.check_etag(&etag)?;
            if let Some(name) = change.name
                && name != file.name
            {
                rename(connection, &mut file, name)?;
            }
            file.metadata = change.metadata.unwrap_or(file.metadata);
            save(connection, &mut file)?;
            Ok(file)
        })
        .await
    }

    async fn delete_file(
        &self,
        owner: AccountId,
        id: FileId,
        etag: String,
        now: Timestamp,
    ) -> Result<()> {
        self.write_of(owner, move |connection| {
            let file = get(connection, owner, id)?;
            file.check_etag(&etag)?;
            remove(connection, &file, now)
        })
        .await
    }

    async fn mark_ready(
        &self,
        owner: AccountId,
        id: FileId,
        blake3: [u8; 32],
        now: Timestamp,
    ) -> Result<()> {
        self.write_of(owner, move |connection| {
            if let Some(mut file) = processing(connection, owner, id)? {
                file.checksums.blake3 = Some(blake3);
                make_ready(connection, file, now)?;
            }
            Ok(())
        })
        .await
    }

    async fn mark_failed(&self, owner: AccountId, id: FileId, failure: Failure) -> Result<()> {
        self.write_of(owner, move |connection| {
            let Some(mut file) = processing(connection, owner, id)? else { return Ok(()) };
            usage::release(connection, owner, file.size)?;
            file.state = FileState::Failed;
            file.error = Some(failure);
            save(connection, &mut file)?;
            remove_bytes(connection, &file)
        })
        .await
    }
}

/// Reads a file.
pub(super) fn get(connection: &Connection, owner: AccountId, id: FileId) -> Outcome<File> {
    find(connection, owner, id)?.ok_or_else(|| {
        Error::new(Reason::FileNotFound, format!("there is no file {id} of this account")).into()
    })
}

fn find(connection: &Connection, owner: AccountId, id: FileId) -> Outcome<Option<File>> {
    let sql = format!("SELECT {FILE_COLUMNS} FROM files WHERE id = ? AND owner = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![Sql(id), Sql(owner)], rows::file).optional()?)
}

fn processing(connection: &Connection, owner: AccountId, id: FileId) -> Outcome<Option<File>> {
    let file = find(connection, owner, id)?;
    Ok(file.filter(|file| file.state == FileState::Processing))
}

/// Writes a new file.
pub(super) fn insert(connection: &Connection, file: &File) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO files (id, owner, upload_id, name, content_type, size, part_size, crc32c, sha256, \
         blake3, state, metadata, revision, sequence, create_time, ready_time, error, change) \
         VALUES \
         (:id, :owner, :upload_id, :name, :content_type, :size, :part_size, :crc32c, :sha256, :blake3, \
         :state, :metadata, :revision, :sequence, :create_time, :ready_time, :error, \
         :change)",
    )?;
    statement.execute(named_params! {
        ":id": Sql(file.id),
        ":owner": Sql(file.owner),
        ":upload_id": Sql(file.upload_id),
        ":name": file.name.as_str(),
        ":content_type": file.content_type.as_str(),
        ":size": file.size,
        ":part_size": file.part_size,
        ":crc32c": file.checksums.crc32c.map(|crc| crc.0),
        ":sha256": file.checksums.sha256,
        ":blake3": file.checksums.blake3,
        ":state": file.state.as_str(),
        ":metadata": Sql(&file.metadata),
        ":revision": file.revision,
        ":sequence": file.sequence,
        ":create_time": Sql(file.create_time),
        ":ready_time": file.ready_time.map(Sql),
        ":error": file.error.as_ref().map(Sql),
        ":change": changes::next(connection)?,
    })?;
    Ok(())
}

/// Writes back what can change of a file, as its next revision.
fn save(connection: &Connection, file: &mut File) -> Outcome<()> {
    file.revision += 1;
    let mut statement = connection.prepare_cached(
        "UPDATE files SET name = :name, state = :state, metadata = :metadata, blake3 = :blake3, \
         revision = :revision, ready_time = :ready_time, error = :error, change = :change \
         WHERE id = :id",
    )?;
    statement.execute(named_params! {
        ":id": Sql(file.id),
        ":name": file.name.as_str(),
        ":state": file.state.as_str(),
        ":metadata": Sql(&file.metadata),
        ":blake3": file.checksums.blake3,
        ":revision": file.revision,
        ":ready_time": file.ready_time.map(Sql),
        ":error": file.error.as_ref().map(Sql),
        ":change": changes::next(connection)?,
    })?;
    Ok(())
}

/// `PROCESSING → READY`: the file takes its name. Of several completions to one
/// name the last one wins, whatever order they become ready in; so a file that
/// comes too late is removed, as if it had been replaced at once.
pub(super) fn make_ready(connection: &Connection, mut file: File, now: Timestamp) -> Outcome<File> {
    file.state = FileState::Ready;
    file.ready_time = Some(now);
    let holder = match holder_of(connection, file.owner, &file.name)? {
        Some(id) => find(connection, file.owner, id)?,
        None => None,
    };
    match holder {
        Some(holder) if holder.sequence > file.sequence => {
            remove(connection, &file, now)?;
            return Ok(file);
        }
        Some(holder) => remove(connection, &holder, now)?,
        None => {}
    }
    save(connection, &mut file)?;
    take_name(connection, &file)?;
    Ok(file)
}

fn rename(connection: &Connection, file: &mut File, name: FileName) -> Outcome<()> {
    check_name_free(connection, file.owner, &name)?;
    let has_name = holder_of(connection, file.owner, &file.name)? == Some(file.id);
    if has_name {
        release_name(connection, file)?;
    }
    file.name = name;
    if has_name {
        take_name(connection, file)?;
    }
    Ok(())
}

/// Removes a file's record and lets go of its bytes.
pub(super) fn remove(connection: &Connection, file: &File, now: Timestamp) -> Outcome<()> {
    // The bytes of a failed file went when it failed.
    if file.state != FileState::Failed {
        usage::release(connection, file.owner, file.size)?;
    }
    changes::file_gone(connection, file, now)?;
    connection.prepare_cached("DELETE FROM files WHERE id = ?")?.execute(params![Sql(file.id)])?;
    remove_bytes(connection, file)
}

fn remove_bytes(connection: &Connection, file: &File) -> Outcome<()> {
    release_name(connection, file)?;
    parts::remove_all(connection, file.upload_id)?;
    let event = Event::DeleteBlob { owner: file.owner, upload_id: file.upload_id };
    enqueue(connection, &event, file.create_time)
}

fn holder_of(
    connection: &Connection,
    owner: AccountId,
    name: &FileName,
) -> Outcome<Option<FileId>> {
    let mut statement =
        connection.prepare_cached("SELECT file_id FROM names WHERE owner = ? AND name = ?")?;
    let holder: Option<Sql<FileId>> =
        statement.query_row(params![Sql(owner), name.as_str()], |row| row.get(0)).optional()?;
    Ok(holder.map(|holder| holder.0))
}

fn take_name(connection: &Connection, file: &File) -> Outcome<()> {
    connection
        .prepare_cached("INSERT INTO names (owner, name, file_id) VALUES (?, ?, ?)")?
        .execute(params![Sql(file.owner), file.name.as_str(), Sql(file.id)])?;
    Ok(())
}

fn release_name(connection: &Connection, file: &File) -> Outcome<()> {
    connection
        .prepare_cached("DELETE FROM names WHERE owner = ? AND name = ? AND file_id = ?")?
        .execute(params![Sql(file.owner), file.name.as_str(), Sql(file.id)])?;
    Ok(())
}

/// Refuses when a file has the name, or will have it as soon as it is ready.
pub(super) fn check_name_free(
    connection: &Connection,
    owner: AccountId,
    name: &FileName,
) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "SELECT file_id FROM names WHERE owner = ?1 AND name = ?2 \
         UNION ALL SELECT id FROM files WHERE owner = ?1 AND name = ?2 AND state = 'PROCESSING' \
         UNION ALL SELECT file_id FROM uploads \
                   WHERE owner = ?1 AND name = ?2 AND state = 'COMPLETING' LIMIT 1",
    )?;
    let taken: Option<Sql<FileId>> =
        statement.query_row(params![Sql(owner), name.as_str()], |row| row.get(0)).optional()?;
    match taken {
        None => Ok(()),
        Some(file) => Err(name_taken(name, file.0).into()),
    }
}

/// The refusal for a name that a file has.
fn name_taken(name: &FileName, file: FileId) -> Error {
    Error::new(
        Reason::FileExists,
        format!("there is a file {name} already; choose another name, or replace it"),
    )
    .with("file_id", file)
}

fn list_by_time(connection: &Connection, owner: AccountId, query: &FileQuery) -> Outcome<FilePage> {
    let states = rows::in_list(query.states.iter().map(|state| state.as_str()));
    let sql = format!(
        "SELECT {FILE_COLUMNS} FROM files WHERE owner = :owner AND {states} \
         AND (:after IS NULL OR create_time >= :after) \
         AND (:before IS NULL OR create_time < :before) \
         AND (:time IS NULL OR (create_time, id) < (:time, :id)) \
         ORDER BY create_time DESC, id DESC LIMIT :limit"
    );
    let (time, id) = match query.after {
        Some(FilePosition::Created(time, id)) => (Some(Sql(time)), Some(Sql(id))),
        _ => (None, None),
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let files = statement.query_map(
        named_params! {
            ":owner": Sql(owner),
            ":after": query.created_after.map(Sql),
            ":before": query.created_before.map(Sql),
            ":time": time,
            ":id": id,
            ":limit": query.limit + 1,
        },
        rows::file,
    )?;
    let mut files = files.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = files.len() > query.limit as usize;
    files.truncate(query.limit as usize);
    let next =
        files.last().filter(|_| more).map(|last| FilePosition::Created(last.create_time, last.id));
    Ok(FilePage { files, prefixes: Vec::new(), next })
}

/// Walks the index by name. A folded prefix is skipped as a whole, so a folder
/// view costs as many look-ups as it has entries, whatever lies below them.
fn list_by_name(connection: &Connection, owner: AccountId, query: &FileQuery) -> Outcome<FilePage> {
    let states = rows::in_list(query.states.iter().map(|state| state.as_str()));
    let sql = format!(
        "SELECT {FILE_COLUMNS} FROM files WHERE owner = :owner AND {states} \
         AND (name, id) > (:name, :id) AND name >= :prefix ORDER BY name, id LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut page = FilePage::default();
    let mut position = query.after.clone();
    loop {
        let (name, id) = match &position {
            Some(FilePosition::Named(name, id)) => (name.clone(), Some(*id)),
            Some(FilePosition::Prefix(prefix)) => (after_prefix(prefix), None),
            _ => (String::new(), None),
        };
        let next = statement
            .query_row(
                named_params! {
                    ":owner": Sql(owner),
                    ":name": name,
                    // An empty blob sorts before every id.
                    ":id": id.map_or(Vec::new(), |id| id.as_uuid().as_bytes().to_vec()),
                    ":prefix": query.name_prefix,
                },
                rows::file,
            )
            .optional()?
            .filter(|file| file.name.as_str().starts_with(&query.name_prefix));
        let Some(file) = next else {
            page.next = None;
            return Ok(page);
        };
        if page.files.len() + page.prefixes.len() == query.limit as usize {
            page.next = position;
            return Ok(page);
        }
        match query.folded(file.name.as_str()) {
            Some(prefix) => {
                position = Some(FilePosition::Prefix(prefix.to_owned()));
                page.prefixes.push(prefix.to_owned());
            }
            None => {
                position = Some(FilePosition::Named(file.name.as_str().to_owned(), file.id));
                page.files.push(file);
            }
        }
    }
}
