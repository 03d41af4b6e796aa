//! Opening, resuming, listing and giving up uploads.

use sluice_domain::{
    Checksums, ContentType, Epoch, Error, FileId, FileName, Metadata, OnConflict, Part, PartNumber,
    PartPlan, RangeSet, Result, Upload, UploadId, UploadState,
};

use super::{Caller, Context};
use crate::ports::{Created, NewUpload, RequestKey, UploadPage, UploadQuery};

/// What a caller asks for when opening an upload.
#[derive(Debug, Clone)]
pub struct CreateUpload {
    /// Makes the call idempotent.
    pub request: Option<RequestKey>,
    /// The file's name.
    pub name: FileName,
    /// The file's type.
    pub content_type: ContentType,
    /// The file's size, if it is known.
    pub size: Option<u64>,
    /// Upper bound for a size that is not known.
    pub max_size: Option<u64>,
    /// The part size that the caller would like.
    pub preferred_part_size: Option<u64>,
    /// What the whole file must have.
    pub declared: Checksums,
    /// The caller's key-value pairs.
    pub metadata: Metadata,
    /// What happens when the name is taken.
    pub on_conflict: OnConflict,
}

/// An upload and which of its bytes are persisted.
#[derive(Debug, Clone)]
pub struct UploadStatus {
    /// The record.
    pub upload: Upload,
    /// The persisted bytes.
    pub persisted: RangeSet,
}

/// Opens an upload, or answers the one that the same request opened before.
pub async fn create(
    context: &Context,
    caller: Caller,
    request: CreateUpload,
) -> Result<UploadStatus> {
    let limits = &context.limits;
    request.content_type.check_allowed(&limits.allowed_content_types)?;
    if let Some(size) = request.size.max(request.max_size) {
        limits.check_file_size(size)?;
    }
    if let (Some(size), Some(max_size)) = (request.size, request.max_size)
        && max_size < size
    {
        return Err(Error::invalid_field(
            "max_size",
            format!("must not be less than size, {size}, is {max_size}"),
        ));
    }
    let part_size =
        limits.part_sizes.choose(request.size, request.max_size, request.preferred_part_size)?;
    let quota = context.identity.policy.quota;
    context.blobs.check_health().await?;

    let now = context.clock.now();
    let upload = Upload {
        id: UploadId::from_uuid(context.new_uuid(now)),
        file_id: FileId::from_uuid(context.new_uuid(now)),
        owner: caller.owner,
        state: UploadState::Active,
        name: request.name,
        content_type: request.content_type,
        plan: PartPlan { part_size, size: request.size },
        max_size: Some(request.max_size.unwrap_or(limits.max_file_size)),
        persisted_bytes: 0,
        reserved: request.size.unwrap_or(0),
        epoch: Epoch::FIRST,
        declared: request.declared,
        metadata: request.metadata,
        on_conflict: request.on_conflict,
        create_time: now,
        update_time: now,
        expire_time: now.plus(limits.upload_ttl.min(Upload::MAX_LIFETIME)),
        completion: None,
        error: None,
    };
    let new = NewUpload { upload: upload.clone(), request: request.request, quota };
    match context.uploads.create_upload(new).await? {
        Created::New => Ok(UploadStatus { upload, persisted: RangeSet::default() }),
        Created::Before(before) => get(context, caller, before.id).await,
    }
}

/// Takes a new writer epoch. When it returns, no older writer can change a
/// record, nor a byte where the store can promise that.
pub async fn resume(context: &Context, caller: Caller, id: UploadId) -> Result<UploadStatus> {
    let now = context.clock.now();
    let upload =
        context.uploads.advance_epoch(caller.owner, id, now, context.limits.upload_ttl).await?;
    context.blobs.fence(id, upload.epoch).await;
    get(context, caller, id).await
}

/// Reads an upload.
pub async fn get(context: &Context, caller: Caller, id: UploadId) -> Result<UploadStatus> {
    caller.check_upload(id)?;
    let (upload, persisted) = context.uploads.persisted(caller.owner, id).await?;
    Ok(UploadStatus { upload, persisted })
}

/// Lists uploads, newest first.
pub async fn list(context: &Context, caller: Caller, query: UploadQuery) -> Result<UploadPage> {
    context.uploads.list_uploads(caller.owner, query).await
}

/// Lists persisted parts by number; answers the upload for its part size, and
/// at most `limit` parts.
pub async fn parts(
    context: &Context,
    caller: Caller,
    id: UploadId,
    after: Option<PartNumber>,
    limit: u32,
) -> Result<(Upload, Vec<Part>)> {
    caller.check_upload(id)?;
    let upload = context.uploads.upload(caller.owner, id).await?;
    Ok((upload, context.uploads.parts(caller.owner, id, after, limit).await?))
}

/// Gives an upload up.
pub async fn cancel(context: &Context, caller: Caller, id: UploadId) -> Result<Upload> {
    let upload = context.uploads.cancel(caller.owner, id, context.clock.now()).await?;
    context.blobs.fence(id, Epoch::LAST).await;
    Ok(upload)
}
