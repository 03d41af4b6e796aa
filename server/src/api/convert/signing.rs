//! Signed URLs.

use std::{collections::HashSet, time::Duration};

use http::Method;
use sluice_domain::{Crc32c, Epoch, Error, FileId, PartNumber, Result, UploadId};
use sluice_proto::v1::{self, sign_download_url_request::Disposition as ProtoDisposition};

use super::{size, time_span, timestamp, upload::epoch};
use crate::service::{
    direct_uploads::{DeclaredPart, SignedPart},
    signing::link::Disposition,
};

/// Most parts in one request.
const MOST_PARTS: usize = 100;

/// How long a download link works when the caller does not say.
const DEFAULT_TTL: Duration = Duration::from_secs(60 * 60);

/// Parts that are sent, or were sent, to signed URLs: of which upload, at which
/// epoch.
pub(in crate::api) fn declared_parts(
    upload_id: &str,
    writer_epoch: i64,
    parts: Vec<v1::DeclaredPart>,
) -> Result<(UploadId, Epoch, Vec<DeclaredPart>)> {
    let id = UploadId::parse(upload_id, "upload_id")?;
    let epoch = epoch(writer_epoch)?;
    if parts.is_empty() || parts.len() > MOST_PARTS {
        let rule = format!("must be from 1 to {MOST_PARTS}, are {}", parts.len());
        return Err(Error::invalid_field("parts", rule));
    }
    let mut numbers = HashSet::new();
    let declared = parts.into_iter().enumerate().map(|(index, part)| {
        let field = |name: &str| format!("parts[{index}].{name}");
        let value = part.part_number;
        let number = u32::try_from(value).ok().and_then(PartNumber::new).ok_or_else(|| {
            let rule = format!("must be the number of a part, from 1 on, is {value}");
            Error::invalid_field(field("part_number"), rule)
        })?;
        if !numbers.insert(number) {
            let rule = format!("part {number} is named twice");
            return Err(Error::invalid_field(field("part_number"), rule));
        }
        let size = size(part.size, &field("size"))?;
        Ok(DeclaredPart { number, size, crc32c: part.crc32c.map(Crc32c) })
    });
    Ok((id, epoch, declared.collect::<Result<_>>()?))
}

/// Where a part can be sent.
pub(in crate::api) fn signed_part(part: SignedPart) -> v1::SignedPart {
    v1::SignedPart {
        part_number: part_number(part.number),
        url: part.url,
        method: Method::PUT.to_string(),
        headers: part.headers.into_iter().collect(),
        expire_time: Some(timestamp(part.expire_time)),
    }
}

/// The number of a part.
pub(in crate::api) fn part_number(number: PartNumber) -> i32 {
    i32::try_from(number.get()).unwrap_or(i32::MAX)
}

/// A request for a download link: of which file, for how long, and how a
/// browser treats it.
pub(in crate::api) fn sign_download_url(
    request: v1::SignDownloadUrlRequest,
) -> Result<(FileId, Duration, Disposition)> {
    let id = FileId::parse(&request.file_id, "file_id")?;
    let ttl = match request.ttl {
        None => DEFAULT_TTL,
        Some(ttl) => time_span(ttl).ok_or_else(|| {
            Error::invalid_field("ttl", "must be a span of time of more than zero")
        })?,
    };
    let disposition = match ProtoDisposition::try_from(request.disposition) {
        Ok(ProtoDisposition::Unspecified | ProtoDisposition::Attachment) => Disposition::Attachment,
        Ok(ProtoDisposition::Inline) => Disposition::Inline,
        Err(_) => {
            let rule = format!("{} is not a value of Disposition", request.disposition);
            return Err(Error::invalid_field("disposition", rule));
        }
    };
    Ok((id, ttl, disposition))
}
