//! How records are written into rows and read from them.

use std::collections::BTreeMap;

use rusqlite::{
    Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef},
};
use serde::{Deserialize, Serialize};
use sluice_domain::{
    AccountId, ApiKeyId, Checksums, Completion, ContentType, Crc32c, Epoch, Failure, File,
    FileDigest, FileId, FileName, FileState, Metadata, OnConflict, Part, PartDetail, PartNumber,
    PartPlan, Reason, SessionId, Timestamp, Upload, UploadId, UploadState,
};
use uuid::Uuid;

/// A value as SQLite keeps it. The domain knows nothing of SQLite, so its types
/// are wrapped where they meet it.
pub(super) struct Sql<T>(pub(super) T);

macro_rules! sql_id {
    ($($id:ident),+) => {$(
        impl ToSql for Sql<$id> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0.as_uuid().as_bytes().as_slice()))
            }
        }

        impl FromSql for Sql<$id> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = <[u8; 16]>::column_result(value)?;
                Ok(Self($id::from_uuid(Uuid::from_bytes(bytes))))
            }
        }
    )+};
}
sql_id!(AccountId, ApiKeyId, FileId, SessionId, UploadId);

impl ToSql for Sql<Timestamp> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_micros().into())
    }
}

impl FromSql for Sql<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(Timestamp::from_micros(i64::column_result(value)?)))
    }
}

impl ToSql for Sql<&Metadata> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(json(self.0.entries())?.into())
    }
}

impl FromSql for Sql<Metadata> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let entries: BTreeMap<String, String> = from_json(value.as_str()?)?;
        Metadata::parse(entries, "metadata").map(Self).map_err(invalid)
    }
}

/// A failure as JSON.
#[derive(Serialize, Deserialize)]
struct FailureRow {
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
}

impl ToSql for Sql<&Failure> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let row = FailureRow {
            reason: self.0.reason.as_str().to_owned(),
            message: self.0.message.clone(),
            metadata: self.0.metadata.clone(),
        };
        Ok(json(&row)?.into())
    }
}

impl FromSql for Sql<Failure> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let row: FailureRow = from_json(value.as_str()?)?;
        let reason = Reason::parse(&row.reason).ok_or(FromSqlError::InvalidType)?;
        Ok(Self(Failure { reason, message: row.message, metadata: row.metadata }))
    }
}

/// The columns that [`upload`] reads, in order.
pub(super) const UPLOAD_COLUMNS: &str = "id, file_id, owner, state, name, content_type, size, \
     max_size, part_size, persisted_bytes, epoch, declared_crc32c, declared_sha256, \
     declared_blake3, metadata, replaces, create_time, update_time, expire_time, file_size, \
     file_crc32c, file_blake3, sequence, error, reserved, verify";

/// Reads an upload from a row of [`UPLOAD_COLUMNS`].
pub(super) fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let completion = match row.get::<_, Option<u64>>(22)? {
        None => None,
        Some(sequence) => Some(Completion {
            digest: FileDigest {
                size: row.get(19)?,
                crc32c: Crc32c(row.get(20)?),
                blake3: row.get(21)?,
            },
            sequence,
            verify: row.get(25)?,
        }),
    };
    Ok(Upload {
        id: row.get::<_, Sql<_>>(0)?.0,
        file_id: row.get::<_, Sql<_>>(1)?.0,
        owner: row.get::<_, Sql<_>>(2)?.0,
        state: parsed(row, 3, UploadState::parse)?,
        name: parsed(row, 4, |text| FileName::parse(text, "name").ok())?,
        content_type: parsed(row, 5, |text| ContentType::parse(text, "content_type").ok())?,
        plan: PartPlan { size: row.get(6)?, part_size: row.get(8)? },
        max_size: row.get(7)?,
        persisted_bytes: row.get(9)?,
        reserved: row.get(24)?,
        epoch: Epoch(row.get(10)?),
        declared: checksums(row, 11)?,
        metadata: row.get::<_, Sql<_>>(14)?.0,
        on_conflict: if row.get(15)? { OnConflict::Replace } else { OnConflict::Fail },
        create_time: row.get::<_, Sql<_>>(16)?.0,
        update_time: row.get::<_, Sql<_>>(17)?.0,
        expire_time: row.get::<_, Sql<_>>(18)?.0,
        completion,
        error: row.get::<_, Option<Sql<_>>>(23)?.map(|error| error.0),
    })
}

/// The columns that [`file`] reads, in order.
pub(super) const FILE_COLUMNS: &str = "id, owner, upload_id, name, content_type, size, crc32c, \
     sha256, blake3, state, metadata, revision, sequence, create_time, ready_time, error, part_size";

/// Reads a file from a row of [`FILE_COLUMNS`].
pub(super) fn file(row: &Row<'_>) -> rusqlite::Result<File> {
    Ok(File {
        id: row.get::<_, Sql<_>>(0)?.0,
        owner: row.get::<_, Sql<_>>(1)?.0,
        upload_id: row.get::<_, Sql<_>>(2)?.0,
        name: parsed(row, 3, |text| FileName::parse(text, "name").ok())?,
        content_type: parsed(row, 4, |text| ContentType::parse(text, "content_type").ok())?,
        size: row.get(5)?,
        part_size: row.get(16)?,
        checksums: checksums(row, 6)?,
        state: parsed(row, 9, FileState::parse)?,
        metadata: row.get::<_, Sql<_>>(10)?.0,
        revision: row.get(11)?,
        sequence: row.get(12)?,
        create_time: row.get::<_, Sql<_>>(13)?.0,
        ready_time: row.get::<_, Option<Sql<_>>>(14)?.map(|time| time.0),
        error: row.get::<_, Option<Sql<_>>>(15)?.map(|error| error.0),
    })
}

/// The columns that [`part`] reads, in order.
pub(super) const PART_COLUMNS: &str = "number, size, crc32c, blocks, chaining_value, root";

/// Reads a part from a row of [`PART_COLUMNS`].
pub(super) fn part(row: &Row<'_>) -> rusqlite::Result<Part> {
    Ok(Part {
        number: PartNumber::new(row.get(0)?).ok_or_else(|| conversion(0, Type::Integer))?,
        size: row.get(1)?,
        crc32c: Crc32c(row.get(2)?),
        detail: detail(row)?,
    })
}

fn detail(row: &Row<'_>) -> rusqlite::Result<Option<PartDetail>> {
    let Some(blocks) = row.get_ref(3)?.as_blob_or_null()? else { return Ok(None) };
    let (blocks, rest) = blocks.as_chunks();
    if !rest.is_empty() {
        return Err(conversion(3, Type::Blob));
    }
    Ok(Some(PartDetail {
        blocks: blocks.iter().map(|block| Crc32c(u32::from_le_bytes(*block))).collect(),
        chaining_value: row.get(4)?,
        root: row.get(5)?,
    }))
}

/// The column `blocks` of a part that was read.
pub(super) fn blocks_column(detail: &PartDetail) -> Vec<u8> {
    detail.blocks.iter().flat_map(|block| block.0.to_le_bytes()).collect()
}

fn checksums(row: &Row<'_>, first: usize) -> rusqlite::Result<Checksums> {
    Ok(Checksums {
        crc32c: row.get::<_, Option<u32>>(first)?.map(Crc32c),
        sha256: row.get(first + 1)?,
        blake3: row.get(first + 2)?,
    })
}

fn parsed<T>(
    row: &Row<'_>,
    index: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(index)?.as_str()?).ok_or_else(|| conversion(index, Type::Text))
}

pub(super) fn conversion(index: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, kind, "not a value of this program".into())
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: for<'a> Deserialize<'a>>(text: &str) -> FromSqlResult<T> {
    serde_json::from_str(text).map_err(invalid)
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> FromSqlError {
    FromSqlError::other(error)
}

/// The condition that the column `state` has one of these values; none of them
/// means all. The values are names of this program's own states, never input.
pub(super) fn in_list<'a>(states: impl Iterator<Item = &'a str>) -> String {
    let listed: Vec<_> = states.map(|state| format!("'{state}'")).collect();
    match &listed[..] {
        [] => "TRUE".into(),
        // Written so, an index of rows in this state is used.
        [only] => format!("state = {only}"),
        several => format!("state IN ({})", several.join(", ")),
    }
}
