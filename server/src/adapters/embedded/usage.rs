//! What accounts hold: sums that change with the records they are of.

use rusqlite::{Connection, OptionalExtension, params};
use sluice_domain::{AccountId, Quota, Upload, Usage};

use super::{database::Outcome, rows::Sql};

/// Reads what an account holds.
pub(super) fn of(connection: &Connection, owner: AccountId) -> Outcome<Usage> {
    let mut statement = connection.prepare_cached(
        "SELECT stored_bytes, reserved_bytes, active_uploads FROM usage WHERE owner = ?",
    )?;
    let usage = statement.query_row(params![Sql(owner)], |row| {
        Ok(Usage {
            stored_bytes: row.get(0)?,
            reserved_bytes: row.get(1)?,
            active_uploads: row.get(2)?,
        })
    });
    Ok(usage.optional()?.unwrap_or_default())
}

/// The account's own limits, and the server's where it has none.
pub(super) fn quota(connection: &Connection, owner: AccountId, default: Quota) -> Outcome<Quota> {
    let mut statement = connection.prepare_cached(
        "SELECT max_bytes, max_active_uploads, max_file_size FROM accounts WHERE id = ?",
    )?;
    let own = statement.query_row(params![Sql(owner)], |row| {
        Ok(Quota {
            max_bytes: row.get(0)?,
            max_active_uploads: row.get(1)?,
            max_file_size: row.get(2)?,
        })
    });
    Ok(own.optional()?.unwrap_or_default().or(default))
}

/// An upload is opened.
pub(super) fn open(connection: &Connection, upload: &Upload, default: Quota) -> Outcome<()> {
    let quota = quota(connection, upload.owner, default)?;
    let usage = of(connection, upload.owner)?;
    quota.check_file_size(upload.plan.size.unwrap_or(0))?;
    usage.check_uploads(quota)?;
    usage.check_bytes(upload.reserved, quota)?;
    add(connection, upload.owner, 0, signed(upload.reserved), 1)
}

/// An open upload of unknown size reaches `end`.
pub(super) fn lease(
    connection: &Connection,
    upload: &mut Upload,
    end: u64,
    default: Quota,
) -> Outcome<()> {
    let quota = quota(connection, upload.owner, default)?;
    let reserved = of(connection, upload.owner)?.lease(upload.reserved, end, quota)?;
    reserve(connection, upload, reserved)
}

/// An open upload turns out to be no larger than this.
pub(super) fn shrink(connection: &Connection, upload: &mut Upload, size: u64) -> Outcome<()> {
    reserve(connection, upload, upload.reserved.min(size))
}

/// An open upload ends, as a file of this size if it becomes one.
pub(super) fn close(connection: &Connection, upload: &mut Upload, stored: u64) -> Outcome<()> {
    add(connection, upload.owner, signed(stored), -signed(upload.reserved), -1)?;
    upload.reserved = 0;
    Ok(())
}

fn reserve(connection: &Connection, upload: &mut Upload, reserved: u64) -> Outcome<()> {
    if reserved != upload.reserved {
        let change = signed(reserved) - signed(upload.reserved);
        add(connection, upload.owner, 0, change, 0)?;
        upload.reserved = reserved;
    }
    Ok(())
}

/// The bytes of a file go.
pub(super) fn release(connection: &Connection, owner: AccountId, stored: u64) -> Outcome<()> {
    add(connection, owner, -signed(stored), 0, 0)
}

fn add(
    connection: &Connection,
    owner: AccountId,
    stored: i64,
    reserved: i64,
    uploads: i64,
) -> Outcome<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO usage (owner, stored_bytes, reserved_bytes, active_uploads) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (owner) DO UPDATE SET \
         stored_bytes = stored_bytes + ?2, reserved_bytes = reserved_bytes + ?3, \
         active_uploads = active_uploads + ?4",
    )?;
    statement.execute(params![Sql(owner), stored, reserved, uploads])?;
    Ok(())
}

/// Sizes are far below 2^63: the largest file is 10,000 parts of 4 GiB.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
