//! Rows of parts.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sluice_domain::{ByteRange, Part, PartNumber, RangeSet, Upload, UploadId};

use super::{
    database::Outcome,
    rows::{self, PART_COLUMNS, Sql, blocks_column},
};

/// Writes a part unless it has a row. Answers whether it had none.
pub(super) fn insert(connection: &Connection, id: UploadId, part: &Part) -> Outcome<bool> {
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

/// Removes all parts of an upload.
pub(super) fn remove_all(connection: &Connection, id: UploadId) -> Outcome<()> {
    connection
        .prepare_cached("DELETE FROM parts WHERE upload_id = ?")?
        .execute(params![Sql(id)])?;
    Ok(())
}
