//! Rows of parts.

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use sluice_domain::{ByteRange, Crc32c, Part, PartNumber, RangeSet, Upload, UploadId};

use super::{
    database::Outcome,
    rows::{self, PART_COLUMNS, Sql, blocks_column, conversion},
};
use crate::ports::{StorageTag, StoredPart};

/// Writes a part unless it has a row. Answers whether it had none.
pub(super) fn insert(
    connection: &Connection,
    id: UploadId,
    part: &Part,
    tag: Option<&StorageTag>,
) -> Outcome<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO parts (upload_id, number, size, crc32c, blocks, chaining_value, root, tag) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let inserted = statement.execute(params![
        Sql(id),
        part.number.get(),
        part.size,
        part.crc32c.0,
        part.detail.as_ref().map(blocks_column),
        part.detail.as_ref().map(|detail| detail.chaining_value),
        part.detail.as_ref().and_then(|detail| detail.root),
        tag.map(|tag| &tag.0),
    ])?;
    Ok(inserted == 1)
}

/// Adds what reading a part has found, unless that is known. Answers whether its
/// row is of the same bytes.
pub(super) fn add_detail(connection: &Connection, id: UploadId, part: &Part) -> Outcome<bool> {
    let Some(recorded) = get(connection, id, part.number)? else { return Ok(false) };
    if (recorded.size, recorded.crc32c) != (part.size, part.crc32c) {
        return Ok(false);
    }
    if let Some(detail) = part.detail.as_ref().filter(|_| recorded.detail.is_none()) {
        let mut statement = connection.prepare_cached(
            "UPDATE parts SET blocks = ?, chaining_value = ?, root = ? \
             WHERE upload_id = ? AND number = ?",
        )?;
        let (blocks, value) = (blocks_column(detail), detail.chaining_value);
        statement.execute(params![blocks, value, detail.root, Sql(id), part.number.get()])?;
    }
    Ok(true)
}

/// Reads a part.
pub(super) fn get(
    connection: &Connection,
    id: UploadId,
    number: PartNumber,
) -> Outcome<Option<Part>> {
    let sql = format!("SELECT {PART_COLUMNS} FROM parts WHERE upload_id = ? AND number = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params![Sql(id), number.get()], rows::part).optional()?)
}

/// Which bytes of an upload have parts.
pub(super) fn persisted_ranges(connection: &Connection, upload: &Upload) -> Outcome<RangeSet> {
    let part_size = upload.plan.part_size;
    let range = |row: &Row<'_>| {
        let start = (row.get::<_, u64>(0)? - 1) * part_size;
        Ok(ByteRange { start, end: start + row.get::<_, u64>(1)? })
    };
    // Where the last part ends at the number of all bytes, no part is missing
    // before it, and ten thousand need not be read to know that.
    let last = connection
        .prepare_cached(
            "SELECT number, size FROM parts WHERE upload_id = ? ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![Sql(upload.id)], range)
        .optional()?;
    if let Some(last) = last
        && last.end == upload.persisted_bytes
    {
        return Ok(RangeSet::from_sorted(vec![ByteRange { start: 0, end: last.end }]));
    }
    let mut statement = connection
        .prepare_cached("SELECT number, size FROM parts WHERE upload_id = ? ORDER BY number")?;
    let ranges = statement.query_map(params![Sql(upload.id)], range)?;
    Ok(RangeSet::from_sorted(ranges.collect::<rusqlite::Result<Vec<_>>>()?))
}

/// Reads the parts after `after`, by number.
pub(super) fn list(
    connection: &Connection,
    id: UploadId,
    after: Option<PartNumber>,
    limit: u32,
) -> Outcome<Vec<Part>> {
    let sql = format!(
        "SELECT {PART_COLUMNS} FROM parts WHERE upload_id = ? AND number > ? \
         ORDER BY number LIMIT ?"
    );
    let after = after.map_or(0, PartNumber::get);
    let mut statement = connection.prepare_cached(&sql)?;
    let parts = statement.query_map(params![Sql(id), after, limit], rows::part)?;
    Ok(parts.collect::<rusqlite::Result<_>>()?)
}

/// Reads what storage knows of the parts after `after`, by number.
pub(super) fn list_stored(
    connection: &Connection,
    id: UploadId,
    after: Option<PartNumber>,
    limit: u32,
) -> Outcome<Vec<StoredPart>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, size, crc32c, tag FROM parts WHERE upload_id = ? AND number > ? \
         ORDER BY number LIMIT ?",
    )?;
    let after = after.map_or(0, PartNumber::get);
    let parts = statement.query_map(params![Sql(id), after, limit], |row| {
        Ok(StoredPart {
            number: PartNumber::new(row.get(0)?).ok_or_else(|| conversion(0, Type::Integer))?,
            size: row.get(1)?,
            crc32c: Crc32c(row.get(2)?),
            tag: row.get::<_, Option<String>>(3)?.map(StorageTag),
        })
    })?;
    Ok(parts.collect::<rusqlite::Result<_>>()?)
}

/// Gives a part another tag.
pub(super) fn retag(
    connection: &Connection,
    id: UploadId,
    number: PartNumber,
    tag: &StorageTag,
) -> Outcome<()> {
    connection
        .prepare_cached("UPDATE parts SET tag = ? WHERE upload_id = ? AND number = ?")?
        .execute(params![tag.0, Sql(id), number.get()])?;
    Ok(())
}

/// Removes a part. Answers how many bytes it had.
pub(super) fn remove(connection: &Connection, id: UploadId, number: PartNumber) -> Outcome<u64> {
    let mut statement = connection
        .prepare_cached("DELETE FROM parts WHERE upload_id = ? AND number = ? RETURNING size")?;
    let size = statement.query_row(params![Sql(id), number.get()], |row| row.get(0));
    Ok(size.optional()?.unwrap_or(0))
}

/// Removes all parts of an upload.
pub(super) fn remove_all(connection: &Connection, id: UploadId) -> Outcome<()> {
    connection
        .prepare_cached("DELETE FROM parts WHERE upload_id = ?")?
        .execute(params![Sql(id)])?;
    Ok(())
}
