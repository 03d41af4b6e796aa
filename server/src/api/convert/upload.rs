//! Uploads.

use prost::Message;
use sha2::{Digest, Sha256};
use sluice_domain::{
    ByteRange, ContentType, Crc32c, Epoch, Error, FileName, Metadata, Part, PartPlan, Reason,
    RequestId, Result, Upload, UploadId, UploadState,
};
use sluice_proto::v1::{self, write_upload_request::FirstMessage};

use super::{
    checksums, failure, int64, object_checksums, on_conflict, optional_size, size, timestamp,
};
use crate::{
    ports::RequestKey,
    service::{
        completion::CompleteUpload,
        ingest::{Reply, Target, WriteMessage},
        uploads::{CreateUpload, UploadStatus},
    },
};

/// A request to open an upload.
pub(in crate::api) fn create_upload(mut request: v1::CreateUploadRequest) -> Result<CreateUpload> {
    let request_id = RequestId::parse(&request.request_id, "request_id")?;
    request.request_id.clear();
    let request_key = request_id
        .map(|id| RequestKey { id, fingerprint: Sha256::digest(request.encode_to_vec()).into() });
    Ok(CreateUpload {
        request: request_key,
        name: FileName::parse(&request.name, "name")?,
        content_type: ContentType::parse(&request.content_type, "content_type")?,
        size: optional_size(request.size, "size")?,
        max_size: optional_size(request.max_size, "max_size")?,
        preferred_part_size: optional_size(request.preferred_part_size, "preferred_part_size")?,
        declared: checksums(request.expected_checksums, "expected_checksums")?,
        metadata: Metadata::parse(request.metadata, "metadata")?,
        on_conflict: on_conflict(request.on_conflict, "on_conflict")?,
    })
}

/// A request to complete an upload.
pub(in crate::api) fn complete_upload(
    request: v1::CompleteUploadRequest,
) -> Result<(UploadId, CompleteUpload)> {
    let id = UploadId::parse(&request.upload_id, "upload_id")?;
    let name = request.name.as_deref();
    let complete = CompleteUpload {
        epoch: request.writer_epoch.map(epoch).transpose()?,
        size: optional_size(request.size, "size")?,
        expected: checksums(request.expected_checksums, "expected_checksums")?,
        name: name.map(|name| FileName::parse(name, "name")).transpose()?,
        on_conflict: request
            .on_conflict
            .map(|value| on_conflict(value, "on_conflict"))
            .transpose()?,
    };
    Ok((id, complete))
}

/// The first message of a write stream.
pub(in crate::api) fn first_message(
    mut request: v1::WriteUploadRequest,
) -> Result<(Target, WriteMessage)> {
    let target = match request.first_message.take() {
        Some(FirstMessage::UploadId(id)) => Target::Existing {
            id: UploadId::parse(&id, "upload_id")?,
            epoch: epoch(request.writer_epoch)?,
        },
        Some(FirstMessage::CreateUpload(create)) => {
            if create.request_id.is_empty() {
                return Err(Error::invalid_field(
                    "create_upload.request_id",
                    "is required, so that the stream can be sent again after a lost reply",
                ));
            }
            if !(0..=1).contains(&request.writer_epoch) {
                return Err(Error::invalid_field("writer_epoch", "must be 0 or 1 here"));
            }
            Target::Create(create_upload(create).map_err(|error| error.within("create_upload"))?)
        }
        None => {
            return Err(Error::invalid_field(
                "first_message",
                "the first message must have upload_id or create_upload",
            ));
        }
    };
    Ok((target, message(request)?))
}

/// A later message of a write stream, whose writer has `epoch`.
pub(in crate::api) fn next_message(
    request: v1::WriteUploadRequest,
    epoch: i64,
) -> Result<WriteMessage> {
    if request.first_message.is_some() {
        return Err(Error::invalid_field(
            "first_message",
            "only the first message may have upload_id or create_upload",
        ));
    }
    if request.writer_epoch != 0 && request.writer_epoch != epoch {
        return Err(Error::invalid_field(
            "writer_epoch",
            format!("must be 0 or {epoch}, as in the first message"),
        ));
    }
    message(request)
}

fn message(request: v1::WriteUploadRequest) -> Result<WriteMessage> {
    if request.expected_checksums.is_some() && !request.complete {
        return Err(Error::invalid_field("expected_checksums", "is only allowed with complete"));
    }
    let frame = request.checksummed_data.unwrap_or_default();
    Ok(WriteMessage {
        offset: size(request.write_offset, "write_offset")?,
        data: frame.content,
        crc32c: frame.crc32c.map(Crc32c),
        final_size: optional_size(request.final_size, "final_size")?,
        complete: request.complete,
        expected: checksums(request.expected_checksums, "expected_checksums")?,
        state_lookup: false,
    })
}

/// A message of a bidirectional stream: what it has in common with the other
/// kind, and whether it asks for the state.
pub(in crate::api) fn split_bidi(
    request: v1::BidiWriteUploadRequest,
) -> (v1::WriteUploadRequest, bool) {
    use v1::bidi_write_upload_request::FirstMessage as Bidi;
    let common = v1::WriteUploadRequest {
        first_message: request.first_message.map(|first| match first {
            Bidi::UploadId(id) => FirstMessage::UploadId(id),
            Bidi::CreateUpload(create) => FirstMessage::CreateUpload(create),
        }),
        writer_epoch: request.writer_epoch,
        write_offset: request.write_offset,
        checksummed_data: request.checksummed_data,
        final_size: request.final_size,
        complete: request.complete,
        expected_checksums: request.expected_checksums,
    };
    (common, request.state_lookup)
}

/// Something said on an open stream.
pub(in crate::api) fn reply(reply: Reply) -> v1::BidiWriteUploadResponse {
    use v1::bidi_write_upload_response::{FrameError, Response};
    let response = match reply {
        Reply::State(status) => Response::Upload(upload_status(&status)),
        Reply::Persisted(range) => Response::Persisted(byte_range(range)),
        Reply::Damaged { offset, part_offset } => Response::FrameError(FrameError {
            offset: int64(offset),
            part_offset: int64(part_offset),
        }),
    };
    v1::BidiWriteUploadResponse { response: Some(response) }
}

fn byte_range(range: ByteRange) -> v1::ByteRange {
    v1::ByteRange { start: int64(range.start), end: int64(range.end) }
}

pub(super) fn epoch(value: i64) -> Result<Epoch> {
    match u64::try_from(value) {
        Ok(epoch) if epoch > 0 => Ok(Epoch(epoch)),
        _ => Err(Error::invalid_field(
            "writer_epoch",
            format!("must be an epoch from CreateUpload or ResumeUpload, is {value}"),
        )),
    }
}

/// An upload with its persisted ranges.
pub(in crate::api) fn upload_status(status: &UploadStatus) -> v1::Upload {
    let ranges = status.persisted.ranges().iter();
    v1::Upload {
        persisted_ranges: ranges.map(|range| byte_range(*range)).collect(),
        ..upload(&status.upload)
    }
}

/// An upload as it stands in lists.
pub(in crate::api) fn upload(upload: &Upload) -> v1::Upload {
    v1::Upload {
        id: upload.id.to_string(),
        file_id: upload.file_id.to_string(),
        state: upload_state(upload.state).into(),
        name: upload.name.to_string(),
        content_type: upload.content_type.as_str().to_owned(),
        size: upload.plan.size.map(int64),
        part_size: int64(upload.plan.part_size),
        persisted_bytes: int64(upload.persisted_bytes),
        persisted_ranges: Vec::new(),
        writer_epoch: int64(upload.epoch.0),
        expected_checksums: object_checksums(upload.declared),
        metadata: upload.metadata.entries().clone(),
        data_endpoint: String::new(),
        create_time: Some(timestamp(upload.create_time)),
        update_time: Some(timestamp(upload.update_time)),
        expire_time: Some(timestamp(upload.expire_time)),
        error: upload.error.as_ref().map(failure),
    }
}

fn upload_state(state: UploadState) -> v1::upload::State {
    match state {
        UploadState::Active => v1::upload::State::Active,
        UploadState::Completing => v1::upload::State::Completing,
        UploadState::Completed => v1::upload::State::Completed,
        UploadState::Cancelled => v1::upload::State::Cancelled,
        UploadState::Expired => v1::upload::State::Expired,
        UploadState::Failed => v1::upload::State::Failed,
    }
}

/// A state to filter by.
pub(in crate::api) fn parse_upload_state(value: i32) -> Option<UploadState> {
    let wanted = v1::upload::State::try_from(value).ok()?;
    UploadState::ALL.into_iter().find(|state| upload_state(*state) == wanted)
}

/// A persisted part.
pub(in crate::api) fn upload_part(plan: PartPlan, part: &Part) -> v1::UploadPart {
    v1::UploadPart {
        part_number: i32::try_from(part.number.get()).unwrap_or(i32::MAX),
        offset: int64(plan.start(part.number)),
        size: int64(part.size),
        crc32c: part.crc32c.0,
    }
}

/// The refusal of a stream that ended before its first message.
pub(in crate::api) fn no_first_message() -> Error {
    Error::new(Reason::MalformedMessage, "the stream ended without a message")
}
