//! Parts that are sent by HTTP PUT to signed URLs: to this server, or past it to
//! storage ([ADR 14](../../../docs/adr/0014-parts-may-pass-the-server.md)).

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use http::header::CONTENT_LENGTH;
use sluice_domain::{
    Crc32c, Epoch, Error, Part, PartNumber, Reason, Result, Timestamp, Upload, UploadId,
    UploadState,
};

use super::{
    Caller, Context,
    completion::check_same,
    signing::link::{Grant, PartGrant},
    uploads::{self, UploadStatus},
};
use crate::{
    metrics,
    ports::{ForeignPart, Persisted, PersistedPart, Recorded, SignedRequest, StoredPart},
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
    /// The signed URL.
    pub url: String,
    /// Headers that must be sent with it, by their names in small letters.
    pub headers: Vec<(String, String)>,
    /// When it stops working.
    pub expire_time: Timestamp,
}

/// Signs a URL for each part that is not persisted, in the order of the
/// request: of storage, where callers reach it, or of this server.
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
    let missing = declared.into_iter().filter(|part| !persisted.contains_key(&part.number));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let expire_time = context.clock.now().plus(PART_TTL);
    let requests = context.blobs.sign_parts(id, missing.clone(), PART_TTL).await?;
    let Some(requests) = requests else {
        return sign_for_this_server(context, caller, id, epoch, missing).await;
    };
    if let Err(error) = still_active(context, caller, id, epoch).await {
        end_on_storage(context, caller, id).await?;
        return Err(error);
    }
    let signed = missing.into_iter().zip(requests).map(|(part, request)| {
        let SignedRequest { url, headers } = request;
        SignedPart { number: part.number, url, headers, expire_time }
    });
    Ok(signed.collect())
}

/// Signs URLs of this server, which takes the parts itself.
async fn sign_for_this_server(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<ForeignPart>,
) -> Result<Vec<SignedPart>> {
    let mut signed = Vec::with_capacity(parts.len());
    for ForeignPart { number, size, crc32c } in parts {
        let owner = caller.owner;
        let grant = PartGrant { owner, upload: id, part: number, epoch, size, crc32c };
        let (url, expire_time) = context.signing.sign(Grant::Part(grant), PART_TTL).await?;
        let headers = vec![(CONTENT_LENGTH.to_string(), size.to_string())];
        signed.push(SignedPart { number, url, headers, expire_time });
    }
    Ok(signed)
}

async fn still_active(context: &Context, caller: Caller, id: UploadId, epoch: Epoch) -> Result<()> {
    let upload = context.uploads.upload(caller.owner, id).await?;
    upload.check_active()?;
    upload.check_epoch(epoch)
}

/// The upload has ended while something of it may have begun on storage: whoever
/// ended it may not have seen that.
async fn end_on_storage(context: &Context, caller: Caller, id: UploadId) -> Result<()> {
    if !context.uploads.blob_in_use(caller.owner, id).await? {
        context.blobs.delete(id).await?;
        return context.uploads.forget_parts(caller.owner, id).await;
    }
    let upload = context.uploads.upload(caller.owner, id).await?;
    match (upload.state, upload.completion) {
        (UploadState::Completed, Some(completion)) => {
            context.blobs.seal(id, completion.digest.size).await.map(drop)
        }
        // Its end is yet to come.
        _ => Ok(()),
    }
}

/// Persists those of these parts that storage has received, and says which ones
/// are not persisted. A part that this server has taken itself is already.
pub async fn confirm(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<DeclaredPart>,
) -> Result<(UploadStatus, Vec<PartNumber>)> {
    let (upload, declared) = checked(context, caller, id, epoch, parts).await?;
    let persisted = persisted_of(context, &upload, &declared).await?;
    let mut missing: BTreeMap<_, _> = declared
        .into_iter()
        .filter(|part| !persisted.contains_key(&part.number))
        .map(|part| (part.number, part))
        .collect();
    let found = if missing.is_empty() {
        Vec::new()
    } else {
        context.blobs.find_parts(id, missing.keys().copied().collect()).await?
    };
    let found: Vec<_> = found
        .into_iter()
        .filter(|found| {
            missing.get(&found.number).is_some_and(|declared| {
                (declared.size, declared.crc32c) == (found.size, found.crc32c)
            })
        })
        .collect();
    for part in &found {
        missing.remove(&part.number);
    }
    record(context, &upload, epoch, found).await?;
    let missing = missing.into_keys().collect();
    Ok((uploads::get(context, caller, id).await?, missing))
}

/// Records parts that storage holds.
async fn record(
    context: &Context,
    upload: &Upload,
    epoch: Epoch,
    found: Vec<StoredPart>,
) -> Result<()> {
    let Some(last) = found.last() else { return Ok(()) };
    let end = upload.plan.range(last.number).end;
    if upload.plan.size.is_none() && end > upload.reserved {
        let quota = context.identity.policy.quota;
        context.uploads.reserve(upload.owner, upload.id, end, quota).await?;
    }
    let recorded = found.into_iter().map(|StoredPart { number, size, crc32c, tag }| async move {
        let record = Part { number, size, crc32c, detail: None };
        let part = PersistedPart { record, bytes: Persisted::Stored(tag) };
        let (now, ttl) = (context.clock.now(), context.limits.upload_ttl);
        let recorded =
            context.uploads.commit_part(upload.owner, upload.id, epoch, part, now, ttl).await?;
        match recorded {
            Recorded::New => {
                metrics::part_persisted(size);
                Ok(())
            }
            // Somebody else was faster.
            Recorded::Before(before) => {
                check_same(upload.plan.start(number), before.crc32c, crc32c)
            }
        }
    });
    join_all(recorded).await.into_iter().collect()
}

/// The upload, and the parts with the checksums that all of them have.
async fn checked(
    context: &Context,
    caller: Caller,
    id: UploadId,
    epoch: Epoch,
    parts: Vec<DeclaredPart>,
) -> Result<(Upload, Vec<ForeignPart>)> {
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
        Ok(ForeignPart { number: part.number, size: part.size, crc32c })
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
    declared: &[ForeignPart],
) -> Result<BTreeMap<PartNumber, Part>> {
    let wanted: BTreeMap<_, _> = declared.iter().map(|part| (part.number, part.crc32c)).collect();
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
