//! Files.

use serde::{Deserialize, Serialize};
use sluice_domain::{Error, File, FileId, FileName, FileState, Metadata, Result, Timestamp};
use sluice_proto::v1::{self, list_files_request::OrderBy};
use uuid::Uuid;

use super::{failure, int64, object_checksums, states, time, timestamp};
use crate::ports::{FileChange, FileOrder, FilePosition, FileQuery};

/// A file.
pub(in crate::api) fn file(file: &File) -> v1::File {
    v1::File {
        id: file.id.to_string(),
        upload_id: file.upload_id.to_string(),
        name: file.name.to_string(),
        content_type: file.content_type.as_str().to_owned(),
        detected_content_type: String::new(),
        size: int64(file.size),
        checksums: object_checksums(file.checksums),
        state: file_state(file.state).into(),
        metadata: file.metadata.entries().clone(),
        etag: file.etag(),
        create_time: Some(timestamp(file.create_time)),
        ready_time: file.ready_time.map(timestamp),
        error: file.error.as_ref().map(failure),
    }
}

fn file_state(state: FileState) -> v1::file::State {
    match state {
        FileState::Processing => v1::file::State::Processing,
        FileState::Ready => v1::file::State::Ready,
        FileState::Quarantined => v1::file::State::Quarantined,
        FileState::Failed => v1::file::State::Failed,
    }
}

fn parse_file_state(value: i32) -> Option<FileState> {
    let wanted = v1::file::State::try_from(value).ok()?;
    FileState::ALL.into_iter().find(|state| file_state(*state) == wanted)
}

/// A listing, from where a page begins on.
pub(in crate::api) fn file_query(
    request: &v1::ListFilesRequest,
    after: Option<Position>,
    limit: u32,
) -> Result<FileQuery> {
    let order = match OrderBy::try_from(request.order_by) {
        Ok(OrderBy::Unspecified | OrderBy::CreateTime) => FileOrder::CreateTime,
        Ok(OrderBy::Name) => FileOrder::Name,
        Err(_) => {
            let description = format!("{} is not a value of OrderBy", request.order_by);
            return Err(Error::invalid_field("order_by", description));
        }
    };
    if !matches!(request.delimiter.as_str(), "" | "/") {
        return Err(Error::invalid_field("delimiter", "must be empty or \"/\""));
    }
    Ok(FileQuery {
        order,
        name_prefix: request.name_prefix.clone(),
        delimiter: request.delimiter.clone(),
        states: states(&request.states, "states", parse_file_state)?,
        created_after: time(request.created_after, "created_after")?,
        created_before: time(request.created_before, "created_before")?,
        after: after.map(FilePosition::from),
        limit,
    })
}

/// A change of a file's record.
pub(in crate::api) fn update_file(
    request: v1::UpdateFileRequest,
) -> Result<(FileId, String, FileChange)> {
    let file = request.file.unwrap_or_default();
    let id = FileId::parse(&file.id, "file.id")?;
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let (mut name, mut metadata) = (false, false);
    for path in &paths {
        match path.as_str() {
            "name" => name = true,
            "metadata" => metadata = true,
            "*" => (name, metadata) = (true, true),
            _ => {
                return Err(Error::invalid_field(
                    "update_mask",
                    "may name \"name\", \"metadata\" or \"*\", nothing else",
                ));
            }
        }
    }
    if paths.is_empty() {
        (name, metadata) = (!file.name.is_empty(), !file.metadata.is_empty());
    }
    let change = FileChange {
        name: name.then(|| FileName::parse(&file.name, "file.name")).transpose()?,
        metadata: metadata.then(|| Metadata::parse(file.metadata, "file.metadata")).transpose()?,
    };
    Ok((id, request.etag, change))
}

/// Where a page of files begins, as a page token keeps it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum Position {
    Created(i64, Uuid),
    Named(String, Uuid),
    Prefix(String),
}

impl From<FilePosition> for Position {
    fn from(position: FilePosition) -> Self {
        match position {
            FilePosition::Created(time, id) => Self::Created(time.as_micros(), *id.as_uuid()),
            FilePosition::Named(name, id) => Self::Named(name, *id.as_uuid()),
            FilePosition::Prefix(prefix) => Self::Prefix(prefix),
        }
    }
}

impl From<Position> for FilePosition {
    fn from(position: Position) -> Self {
        match position {
            Position::Created(time, id) => {
                Self::Created(Timestamp::from_micros(time), FileId::from_uuid(id))
            }
            Position::Named(name, id) => Self::Named(name, FileId::from_uuid(id)),
            Position::Prefix(prefix) => Self::Prefix(prefix),
        }
    }
}
