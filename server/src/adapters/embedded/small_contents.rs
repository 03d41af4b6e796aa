//! The bytes of small files, in SQLite
//! ([ADR 7](../../../../docs/adr/0007-small-files-are-rows.md)).

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use sluice_domain::{PartPlan, Result, UploadId};

use super::{Database, database::Outcome, rows::Sql};

/// Largest file that is kept as a row, in bytes. Up to here a row is written
/// faster than a file; every byte of a row is written twice, to the log and to
/// the database.
pub(super) const LARGEST: u64 = 64 * 1024;

/// Whether an upload's bytes go into a row: it is small, and has one part.
pub(super) fn is_small(plan: PartPlan) -> bool {
    plan.size.is_some_and(|size| size <= LARGEST.min(plan.part_size))
}

/// Keeps an upload's bytes.
pub(super) fn insert(connection: &Connection, upload: UploadId, content: &[u8]) -> Outcome<()> {
    let mut statement = connection
        .prepare_cached("INSERT INTO small_contents (upload_id, content) VALUES (?, ?)")?;
    statement.execute(params![Sql(upload), content])?;
    Ok(())
}

impl Database {
    /// An upload's bytes, if they are in a row.
    pub(super) async fn small_content(&self, upload: UploadId) -> Result<Option<Bytes>> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT content FROM small_contents WHERE upload_id = ?")?;
            let content = statement.query_row(params![Sql(upload)], |row| row.get::<_, Vec<u8>>(0));
            Ok(content.optional()?.map(Bytes::from))
        })
        .await
    }

    /// How many bytes that are.
    pub(super) async fn small_length(&self, upload: UploadId) -> Result<Option<u64>> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT length(content) FROM small_contents WHERE upload_id = ?")?;
            Ok(statement.query_row(params![Sql(upload)], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Removes an upload's row, if there is one.
    pub(super) async fn delete_small_content(&self, upload: UploadId) -> Result<()> {
        if self.small_length(upload).await?.is_none() {
            return Ok(());
        }
        self.write(move |connection| {
            let mut statement =
                connection.prepare_cached("DELETE FROM small_contents WHERE upload_id = ?")?;
            statement.execute(params![Sql(upload)])?;
            Ok(())
        })
        .await
    }
}
