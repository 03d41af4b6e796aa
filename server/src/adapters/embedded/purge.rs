//! Removing what a deleted account owned, a batch at a time.

use rusqlite::{Connection, params};
use sluice_domain::{AccountId, Timestamp, UploadId};

use super::{
    accounts,
    database::Outcome,
    events::enqueue,
    files, parts,
    rows::{self, FILE_COLUMNS, Sql},
};
use crate::ports::Event;

/// Accounts that this process has purged, for [`check_not_deleted`]. A request
/// that was let in before its account was deleted may come as late as it likes,
/// but it ends with the process, and so does this table.
pub(super) const PURGED: &str = "CREATE TEMP TABLE purged_accounts (id BLOB PRIMARY KEY) \
     WITHOUT ROWID";

/// Refuses to add to what a deleted account owned.
pub(super) fn check_not_deleted(connection: &Connection, owner: AccountId) -> Outcome<()> {
    let deleted: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ?1 AND status = 'DELETED') \
             OR EXISTS (SELECT 1 FROM purged_accounts WHERE id = ?1)",
        )?
        .query_row(params![Sql(owner)], |row| row.get(0))?;
    if deleted { Err(accounts::not_found(owner).into()) } else { Ok(()) }
}

/// Removes a batch; answers whether something is left. Nobody adds to it any
/// more.
pub(super) fn purge(
    connection: &Connection,
    owner: AccountId,
    limit: u32,
    now: Timestamp,
) -> Outcome<bool> {
    let deleted: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND status = 'DELETED')",
        )?
        .query_row(params![Sql(owner)], |row| row.get(0))?;
    if !deleted {
        return Ok(false);
    }
    if files(connection, owner, limit, now)? || uploads(connection, owner, limit, now)? {
        return Ok(true);
    }
    // Nobody is left to watch them, so that the feed forgets nothing for others.
    let gone = connection.execute(
        "DELETE FROM gone_files WHERE (owner, change) IN \
         (SELECT owner, change FROM gone_files WHERE owner = ? LIMIT ?)",
        params![Sql(owner), limit],
    )?;
    if gone > 0 {
        return Ok(true);
    }
    connection.execute("DELETE FROM usage WHERE owner = ?", params![Sql(owner)])?;
    connection.execute("DELETE FROM accounts WHERE id = ?", params![Sql(owner)])?;
    connection.execute("INSERT INTO purged_accounts (id) VALUES (?)", params![Sql(owner)])?;
    Ok(false)
}

fn files(connection: &Connection, owner: AccountId, limit: u32, now: Timestamp) -> Outcome<bool> {
    let sql = format!("SELECT {FILE_COLUMNS} FROM files WHERE owner = ? LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let batch = statement.query_map(params![Sql(owner), limit], rows::file)?;
    let batch = batch.collect::<rusqlite::Result<Vec<_>>>()?;
    for file in &batch {
        files::remove(connection, file, now)?;
    }
    Ok(!batch.is_empty())
}

fn uploads(connection: &Connection, owner: AccountId, limit: u32, now: Timestamp) -> Outcome<bool> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE owner = ? LIMIT ?) \
         RETURNING id",
    )?;
    let batch = statement.query_map(params![Sql(owner), limit], |row| row.get(0))?;
    let batch = batch.collect::<rusqlite::Result<Vec<Sql<UploadId>>>>()?;
    for Sql(id) in &batch {
        parts::remove_all(connection, *id)?;
        enqueue(connection, &Event::DeleteBlob { owner, upload_id: *id }, now)?;
    }
    Ok(!batch.is_empty())
}
