//! Whether an upload that goes on, goes on with the same bytes.

use std::sync::Arc;

use sluice_domain::{ByteRange, Crc32c, PartNumber, Reason, UploadState};
use sluice_proto::v1::{UploadPart, upload::State};
use tokio_util::sync::CancellationToken;

use super::{parts::Parts, reader::frames};
use crate::{
    Client, Error, File, Result, Upload, blocking::blocking, buffer_pool::BufferPool, error::Kind,
    source::Content,
};

/// The upload as the server has it, after a break. The same epoch goes on.
pub(super) async fn current(client: &Client, upload_id: &str, epoch: i64) -> Result<Upload> {
    let upload = client.get_upload(upload_id).await?;
    if upload.writer_epoch != epoch {
        let message = "another process has taken over this upload";
        return Err(sluice_domain::Error::new(Reason::StaleWriter, message).into());
    }
    active(&upload)?;
    Ok(upload)
}

/// Refuses an upload that takes no more parts.
fn active(upload: &Upload) -> Result<()> {
    let state = match upload.state() {
        State::Unspecified | State::Active => return Ok(()),
        State::Completing => UploadState::Completing,
        State::Completed => UploadState::Completed,
        State::Cancelled => UploadState::Cancelled,
        State::Expired => UploadState::Expired,
        State::Failed => UploadState::Failed,
    };
    Err(state.not_active().into())
}

/// Refuses content of another size than the upload was opened for.
pub(super) fn same_size(upload: &Upload, content: &Content) -> Result<()> {
    match upload.size.map(i64::cast_unsigned) {
        Some(size) if size != content.size() => {
            let detail = format!("it has {} bytes instead of {size}", content.size());
            Err(other_content(content, &detail))
        }
        _ => Ok(()),
    }
}

/// Compares the parts that others have sent with the content, and notes their
/// checksums.
pub(super) async fn persisted_parts(
    content: &Arc<Content>,
    parts: &Arc<Parts>,
    earlier: Vec<UploadPart>,
) -> Result<()> {
    if earlier.is_empty() {
        return Ok(());
    }
    let (content, parts) = (content.clone(), parts.clone());
    let stop = CancellationToken::new();
    let _stop_at_the_end = stop.clone().drop_guard();
    blocking(move || {
        let buffers = BufferPool::default();
        for part in earlier {
            let number = u32::try_from(part.part_number).ok().and_then(PartNumber::new);
            let number = number.ok_or_else(|| {
                Error::new(Kind::Corrupt, "the server listed a part with an impossible number")
            })?;
            let range = parts.range(number);
            let actual = checksum(&content, range, &buffers, &stop)?;
            if actual != Crc32c(part.crc32c) || range.len() != part.size.cast_unsigned() {
                return Err(other_content(&content, &format!("bytes {range} differ")));
            }
            parts.checksum(number, actual);
        }
        Ok(())
    })
    .await
}

/// Refuses content that is not that of the file.
pub(super) async fn same_content(content: Arc<Content>, file: &File) -> Result<()> {
    let expected = file.checksums.as_ref().and_then(|checksums| checksums.crc32c);
    let size = file.size.cast_unsigned();
    let stop = CancellationToken::new();
    let _stop_at_the_end = stop.clone().drop_guard();
    blocking(move || {
        let all = ByteRange { start: 0, end: content.size() };
        let same = all.end == size
            && match expected {
                Some(expected) => {
                    checksum(&content, all, &BufferPool::default(), &stop)? == Crc32c(expected)
                }
                None => true,
            };
        if same { Ok(()) } else { Err(other_content(&content, "the bytes differ")) }
    })
    .await
}

fn checksum(
    content: &Content,
    range: ByteRange,
    buffers: &BufferPool,
    stop: &CancellationToken,
) -> Result<Crc32c> {
    let mut crc32c = Crc32c::EMPTY;
    for frame in frames(content, range, buffers) {
        if stop.is_cancelled() {
            return Err(Error::cancelled());
        }
        let frame = frame?;
        crc32c = crc32c.combine(frame.crc32c, frame.len());
    }
    Ok(crc32c)
}

fn other_content(content: &Content, detail: &str) -> Error {
    let message =
        format!("{content} is not what was being uploaded: {detail}; start a new upload for it");
    Error::new(Kind::SourceChanged, message)
}
