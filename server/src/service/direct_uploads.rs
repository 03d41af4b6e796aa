//! Parts that are sent by HTTP PUT to signed URLs.

use std::{collections::BTreeMap, time::Duration};

use sluice_domain::{
    Crc32c, Epoch, Error, Part, PartNumber, Reason, Result, Timestamp, Upload, UploadId,
};

use super::{
    Caller, Context,
    completion::check_same,
    signing::link::{Grant, PartGrant},
    uploads::{self, UploadStatus},
};

/// How long the URL of a part works: long enough for a client that asked for a
/// hundred of them and has a slow line.
const PART_TTL: Duration = Duration::from_secs(60 * 60);

/// Part records that are fetched at once.
const RECORDS_PER_PAGE: u32 = 100;

/// What a caller says about a part that it sends, or has sent, to a signed URL.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredPart {
    /// Its number.
    pub number: PartNumber,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum of its bytes.
    pub crc32c: Option<Crc32c>,
}

/// Where a part can be sent.
#[derive(Debug, Clone)]
pub struct SignedPart {
    /// Its number.
    pub number: PartNumber,
    /// How many bytes must be sent.
    pub size: u64,
    /// The signed URL.
    pub url: String,
    /// When it stops working.
    pub expire_time: Timestamp,
}

/// Signs a URL for each part that is not persisted, in the order of the
/// request.
pub async fn sign(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<DeclaredPart>,
) -> Result<Vec<SignedPart>> {
    let (upload, declared) = checked(context, caller, id, epoch, parts).await?;
    context.blobs.check_health().await?;
    let persisted = persisted_of(context, &upload, &declared).await?;
    let mut signed = Vec::new();
    for (part, crc32c) in declared {
        if persisted.contains_key(&part.number) {
            continue;
        }
        let grant = PartGrant {
            owner: caller.owner,
            upload: id,
            part: part.number,
            epoch,
            size: part.size,
            crc32c,
        };
        let (url, expire_time) = context.signing.sign(Grant::Part(grant), PART_TTL).await?;
        signed.push(SignedPart { number: part.number, size: part.size, url, expire_time });
    }
    Ok(signed)
}

/// Says which of these parts are not persisted. Here the PUT itself persists a
/// part, so nothing else is left to do.
pub async fn confirm(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<DeclaredPart>,
) -> Result<(UploadStatus, Vec<PartNumber>)> {
    let (upload, declared) = checked(context, caller, id, epoch, parts).await?;
    let persisted = persisted_of(context, &upload, &declared).await?;
    let numbers = declared.iter().map(|(part, _)| part.number);
    let missing = numbers.filter(|number| !persisted.contains_key(number)).collect();
    Ok((uploads::get(context, caller, id).await?, missing))
}

/// The upload, and the parts with the checksums that all of them have.
async fn checked(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<DeclaredPart>,
) -> Result<(Upload, Vec<(DeclaredPart, Crc32c)>)> {
    caller.check_upload(id)?;
    caller.writer(Some(epoch))?;
    let upload = context.uploads.upload(caller.owner, id).await?;
    upload.check_active()?;
    upload.check_epoch(epoch)?;
    let checked = parts.into_iter().enumerate().map(|(index, part)| {
        check_size(&upload, index, part)?;
        let crc32c = part.crc32c.ok_or_else(|| {
            let message = format!("part {} has no crc32c; every part needs one", part.number);
            let start = upload.plan.start(part.number);
            Error::new(Reason::ChecksumMissing, message).with("offset", start)
        })?;
        Ok((part, crc32c))
    });
    let checked = checked.collect::<Result<Vec<_>>>()?;
    Ok((upload, checked))
}

fn check_size(upload: &Upload, index: usize, part: DeclaredPart) -> Result<()> {
    let range = upload.plan.range(part.number);
    let limit = upload.plan.size.or(upload.max_size).unwrap_or(u64::MAX);
    if range.is_empty() || range.end > limit {
        return Err(Error::invalid_field(
            format!("parts[{index}].part_number"),
            format!("part {} lies beyond the upload's {limit} bytes", part.number),
        ));
    }
    if part.size != range.len() {
        return Err(Error::invalid_field(
            format!("parts[{index}].size"),
            format!("part {} has {} bytes, not {}", part.number, range.len(), part.size),
        ));
    }
    Ok(())
}

/// The records that these parts have already; refuses if one is of other bytes.
async fn persisted_of(
    context: &Context,
    upload: &Upload,
    declared: &[(DeclaredPart, Crc32c)],
) -> Result<BTreeMap<PartNumber, Part>> {
    let wanted: BTreeMap<_, _> =
        declared.iter().map(|(part, crc32c)| (part.number, *crc32c)).collect();
    let mut found = BTreeMap::new();
    let Some((first, last)) = wanted.keys().next().zip(wanted.keys().next_back()) else {
        return Ok(found);
    };
    let mut after = PartNumber::new(first.get() - 1);
    loop {
        let page = context.uploads.parts(upload.owner, upload.id, after, RECORDS_PER_PAGE).await?;
        let end = page.last().map(|part| part.number);
        for part in page {
            if let Some(crc32c) = wanted.get(&part.number) {
                check_same(upload.plan.start(part.number), part.crc32c, *crc32c)?;
                found.insert(part.number, part);
            }
        }
        match end {
            Some(number) if number < *last => after = end,
            _ => return Ok(found),
        }
    }
}
