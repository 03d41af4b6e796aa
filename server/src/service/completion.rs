//! Turning an upload into a file.
//!
//! The call, the sweeper and later storage events all end in [`finish`], which
//! may run any number of times and from any step on.

use sluice_domain::{
    AccountId, Checksums, Crc32c, Epoch, Error, File, FileDigest, FileName, OnConflict, Part,
    Reason, Result, Upload, UploadId, UploadState,
};

use super::{Caller, Context};
use crate::{
    ports::{Freeze, Sealed},
    tasks::joined,
};

/// Parts that are read from the store at once.
const PARTS_PER_PAGE: u32 = 512;

/// How often stored parts may turn out to have changed while they are sealed.
const MOST_CHANGES: u32 = 5;

/// What a caller says when completing an upload.
#[derive(Debug, Clone, Default)]
pub struct CompleteUpload {
    /// Only if this is still the current writer.
    pub epoch: Option<Epoch>,
    /// The final size.
    pub size: Option<u64>,
    /// What the whole file must have.
    pub expected: Checksums,
    /// Another name than the upload has.
    pub name: Option<FileName>,
    /// Another rule than the upload has.
    pub on_conflict: Option<OnConflict>,
}

/// Completes an upload and answers the file. A repeat answers the same.
pub async fn complete(
    context: &Context,
    caller: Caller,
    id: UploadId,
    mut request: CompleteUpload,
) -> Result<File> {
    caller.check_upload(id)?;
    request.epoch = caller.writer(request.epoch)?;
    let (upload, persisted) = context.uploads.persisted(caller.owner, id).await?;
    match upload.state {
        UploadState::Active => {}
        UploadState::Completing | UploadState::Completed => {
            return finish_checked(context, &upload, &request).await;
        }
        UploadState::Failed => return Err(failure_of(upload)),
        UploadState::Cancelled | UploadState::Expired => return Err(upload.state.not_active()),
    }
    request.epoch.map_or(Ok(()), |epoch| upload.check_epoch(epoch))?;
    let size = request.size.or(upload.plan.size).unwrap_or_else(|| persisted.end());
    upload.check_final_size(size, persisted.end())?;
    upload.check_parts_present(size, &persisted)?;

    let digest = digest(context, caller.owner, id).await?;
    check_digest(&request.expected, &digest)?;
    if let Err(error) = check_digest(&upload.declared, &digest) {
        let now = context.clock.now();
        context.uploads.fail_upload(caller.owner, id, error.clone().into(), now).await?;
        context.blobs.fence(id, Epoch::LAST).await;
        return Err(error);
    }
    check_declarations(&request.expected, &upload.declared)?;
    let freeze = Freeze {
        epoch: request.epoch,
        digest,
        sha256: request.expected.sha256,
        blake3: request.expected.blake3.filter(|_| digest.blake3.is_none()),
        name: request.name.clone(),
        on_conflict: request.on_conflict,
    };
    let frozen = {
        let (context, owner) = (context.clone(), caller.owner);
        // What is frozen holds its name: it is finished even if the caller goes
        // away in between.
        async move {
            let now = context.clock.now();
            if context.blobs.is_sealed(id, freeze.digest.size).await? {
                return context.uploads.freeze_and_publish(owner, id, freeze, now).await;
            }
            let upload = context.uploads.freeze(owner, id, freeze, now).await?;
            publish(&context, &upload).await
        }
    };
    match joined(context.tasks.spawn(frozen).await) {
        Ok(file) => Ok(file),
        // Another call was faster: the answer is the same file.
        Err(error) if error.reason == Reason::UploadNotActive => {
            let upload = context.uploads.upload(caller.owner, id).await?;
            match upload.state {
                UploadState::Completing | UploadState::Completed => {
                    finish_checked(context, &upload, &request).await
                }
                UploadState::Failed => Err(failure_of(upload)),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Finishes what was frozen: makes the bytes a file on storage, then creates
/// its record. Runs to its end even if the caller goes away.
pub async fn finish(context: &Context, owner: AccountId, id: UploadId) -> Result<File> {
    let work = {
        let context = context.clone();
        async move {
            let upload = context.uploads.upload(owner, id).await?;
            publish(&context, &upload).await
        }
    };
    joined(context.tasks.spawn(work).await)
}

async fn publish(context: &Context, upload: &Upload) -> Result<File> {
    if let (UploadState::Completing, Some(completion)) = (upload.state, &upload.completion) {
        seal(context, upload, completion.digest.size).await?;
    }
    context.uploads.publish(upload.owner, upload.id, context.clock.now()).await
}

/// Makes the bytes a file on storage. Where storage does not hold them any more,
/// the upload takes them again.
async fn seal(context: &Context, upload: &Upload, size: u64) -> Result<()> {
    for _ in 0..MOST_CHANGES {
        match context.blobs.seal(upload.id, size).await? {
            Sealed::Whole => return Ok(()),
            Sealed::Changed(tags) => {
                tracing::warn!(upload = %upload.id, parts = tags.len(), "parts were written late");
                context.uploads.retag_parts(upload.owner, upload.id, tags).await?;
            }
            Sealed::Lost(parts) => {
                tracing::warn!(upload = %upload.id, parts = parts.len(), "parts are lost");
                let (now, ttl) = (context.clock.now(), context.limits.upload_ttl);
                context.uploads.reopen(upload.owner, upload.id, parts, now, ttl).await?;
                let (upload, persisted) =
                    context.uploads.persisted(upload.owner, upload.id).await?;
                upload.check_active()?;
                return upload.check_parts_present(size, &persisted);
            }
        }
    }
    Err(Error::storage_io("stale writers keep changing stored parts; try again"))
}

/// Answers the file of an upload that was frozen before, if it is what this
/// caller expects.
async fn finish_checked(
    context: &Context,
    upload: &Upload,
    request: &CompleteUpload,
) -> Result<File> {
    if let Some(completion) = upload.completion {
        if let Some(size) = request.size {
            upload.check_final_size(size, completion.digest.size)?;
        }
        check_digest(&request.expected, &completion.digest)?;
        check_declarations(&request.expected, &upload.declared)?;
    }
    let file = finish(context, upload.owner, upload.id).await?;
    check_declarations(&request.expected, &file.checksums)?;
    Ok(file)
}

/// The whole file's checksums, from its parts.
async fn digest(context: &Context, owner: AccountId, id: UploadId) -> Result<FileDigest> {
    let mut parts = Vec::new();
    loop {
        let after = parts.last().map(|part: &Part| part.number);
        let page = context.uploads.parts(owner, id, after, PARTS_PER_PAGE).await?;
        let last = page.len() < PARTS_PER_PAGE as usize;
        // Block checksums are for reading; ten thousand parts may hold many.
        parts.extend(page.into_iter().map(Part::without_blocks));
        if last {
            return Ok(FileDigest::of(&parts));
        }
    }
}

fn check_digest(expected: &Checksums, digest: &FileDigest) -> Result<()> {
    if let Some(crc32c) = expected.crc32c
        && crc32c != digest.crc32c
    {
        return Err(mismatch("crc32c", &crc32c.0.to_be_bytes(), &digest.crc32c.0.to_be_bytes()));
    }
    // Of parts that nobody has read it is for the worker to find out.
    check_same_hash("blake3", expected.blake3, digest.blake3)
}

/// Two declarations of one file must agree; what the file really has is for the
/// worker to find out.
fn check_declarations(expected: &Checksums, declared: &Checksums) -> Result<()> {
    check_same_hash("sha256", expected.sha256, declared.sha256)?;
    check_same_hash("blake3", expected.blake3, declared.blake3)
}

/// Refuses two hashes that differ, if both are known.
pub fn check_same_hash(
    algorithm: &'static str,
    expected: Option<[u8; 32]>,
    actual: Option<[u8; 32]>,
) -> Result<()> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => {
            Err(mismatch(algorithm, &expected, &actual))
        }
        _ => Ok(()),
    }
}

/// `FILE_CHECKSUM_MISMATCH`.
fn mismatch(algorithm: &'static str, expected: &[u8], actual: &[u8]) -> Error {
    let (expected, actual) = (hex::encode(expected), hex::encode(actual));
    Error::new(
        Reason::FileChecksumMismatch,
        format!("the file's {algorithm} is {actual}, not {expected}"),
    )
    .with("algorithm", algorithm)
    .with("expected", expected)
    .with("actual", actual)
}

/// The failure that a failed upload answers for ever.
pub fn failure_of(upload: Upload) -> Error {
    upload.error.map_or_else(|| upload.state.not_active(), Error::from)
}

/// The checksum of a part that was sent again, against its record.
pub fn check_same(offset: u64, recorded: Crc32c, sent: Crc32c) -> Result<()> {
    if recorded == sent {
        return Ok(());
    }
    Err(Error::new(
        Reason::ContentConflict,
        format!("the part at offset {offset} is persisted with other bytes; is it the same file?"),
    )
    .with("offset", offset))
}
