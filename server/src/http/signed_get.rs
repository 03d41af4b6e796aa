//! A file by HTTP GET or HEAD.

use std::time::{Duration, SystemTime};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use headers::{
    AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfMatch, IfModifiedSince,
    IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use sluice_domain::{ByteRange, ContentType, Error, File, Reason, Result};

use super::{
    byte_range::{Requested, requested},
    disposition::{content_disposition, is_shown},
    refusal::{SHOWN_POLICY, guards, refusal, with_status},
};
use crate::{
    metrics,
    ports::AnswerHeaders,
    service::{Caller, Context, files, reading, signing::link::DownloadGrant},
};

/// How long the URL of storage works that a download is sent to: time enough to
/// follow, and too little to pass it on. A download that has begun goes on.
const REDIRECT_TTL: Duration = Duration::from_secs(60);

/// Serves the file, a range of it, or what a condition asks for.
pub(super) async fn answer(context: &Context, grant: DownloadGrant, request: &Parts) -> Response {
    match serve(context, grant, request).await {
        Ok(response) => response,
        Err(error) => refusal(error),
    }
}

async fn serve(context: &Context, grant: DownloadGrant, request: &Parts) -> Result<Response> {
    let caller = Caller::of_link(grant.owner);
    let file = files::get(context, caller, grant.file).await?;
    file.check_ready()?;

    let mut headers = HeaderMap::from_iter(guards());
    let shown = is_shown(grant.disposition, file.content_type.as_str());
    let disposition = content_disposition(shown, file.name.as_str());
    if may_go_to_storage(request, shown)
        && let Some(redirect) = redirect(context, &file, &disposition).await?
    {
        return Ok(redirect);
    }
    if shown {
        headers.insert(header::CONTENT_SECURITY_POLICY, SHOWN_POLICY);
    }
    let disposition = HeaderValue::from_str(&disposition)
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.typed_insert(AcceptRanges::bytes());
    let (etag, last_modified) = (etag(&file)?, LastModified::from(last_modified(&file)));
    headers.typed_insert(etag.clone());
    headers.typed_insert(last_modified);

    match judged(&request.headers, &etag, last_modified) {
        Condition::Holds => {}
        Condition::NotModified => {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        Condition::Failed => {
            let error = Error::new(Reason::EtagMismatch, "the condition of the request is not met");
            return Ok(with_status(StatusCode::PRECONDITION_FAILED, error));
        }
    }
    let range = match wanted(request, &etag, last_modified, file.size) {
        Requested::Whole => ByteRange { start: 0, end: file.size },
        Requested::Part(range) => {
            let content_range = ContentRange::bytes(range.start..range.end, file.size);
            headers.typed_insert(content_range.map_err(|_| Error::storage_io("a wrong range"))?);
            range
        }
        Requested::Unsatisfiable => {
            let rule = format!("the file has {} bytes", file.size);
            let error = Error::invalid_field("range", rule);
            let mut response = with_status(StatusCode::RANGE_NOT_SATISFIABLE, error);
            response.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(file.size));
            return Ok(response);
        }
    };
    let is_part = headers.contains_key(header::CONTENT_RANGE);
    let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    headers.insert(header::CONTENT_TYPE, content_type(&file));
    headers.typed_insert(ContentLength(range.len()));
    if request.method == Method::HEAD {
        return Ok((status, headers, Body::empty()).into_response());
    }
    let mut chunks = reading::chunks(context.clone(), file, range)
        .map_ok(|chunk| chunk.data)
        .inspect_ok(|data| metrics::content_sent(data.len() as u64));
    // Until the first block is verified, an error can still be told. After that
    // it ends the connection: what arrived is short, and cannot look whole.
    let first = match chunks.next().await {
        Some(first) => Some(Ok(first?)),
        None => None,
    };
    let body = Body::from_stream(stream::iter(first).chain(chunks));
    Ok((status, headers, body).into_response())
}

/// Whether storage can answer a request as well as this server: it has its own
/// ETags, so it cannot judge conditions, and it sends no policy that would keep a
/// file harmless that a browser shows.
fn may_go_to_storage(request: &Parts, shown: bool) -> bool {
    let conditions = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
    ];
    let is_conditional = conditions.iter().any(|name| request.headers.contains_key(name));
    request.method == Method::GET && !shown && !is_conditional
}

/// Sends the caller to storage, where it can reach that. Ranges are asked for
/// there: whoever follows repeats the header.
async fn redirect(context: &Context, file: &File, disposition: &str) -> Result<Option<Response>> {
    let content_type = content_type(file);
    let headers = AnswerHeaders {
        content_type: content_type.to_str().unwrap_or(ContentType::DEFAULT).to_owned(),
        disposition: disposition.to_owned(),
    };
    let url = context.blobs.sign_read(file.upload_id, REDIRECT_TTL, headers).await?;
    let Some(url) = url else { return Ok(None) };
    let mut headers = HeaderMap::from_iter(guards());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let location = HeaderValue::from_str(&url)
        .map_err(|_| Error::storage_io("storage has a URL that cannot be sent"))?;
    headers.insert(header::LOCATION, location);
    metrics::download_redirected();
    Ok(Some((StatusCode::TEMPORARY_REDIRECT, headers).into_response()))
}

/// What the conditions of a request come to.
enum Condition {
    Holds,
    NotModified,
    Failed,
}

/// Judges conditions in the order of RFC 9110, section 13.2.2.
fn judged(headers: &HeaderMap, etag: &ETag, last_modified: LastModified) -> Condition {
    let modified = SystemTime::from(last_modified);
    if let Some(wanted) = headers.typed_get::<IfMatch>() {
        if !wanted.precondition_passes(etag) {
            return Condition::Failed;
        }
    } else if let Some(since) = headers.typed_get::<IfUnmodifiedSince>()
        && !since.precondition_passes(modified)
    {
        return Condition::Failed;
    }
    if let Some(known) = headers.typed_get::<IfNoneMatch>() {
        if !known.precondition_passes(etag) {
            return Condition::NotModified;
        }
    } else if let Some(since) = headers.typed_get::<IfModifiedSince>()
        && !since.is_modified(modified)
    {
        return Condition::NotModified;
    }
    Condition::Holds
}

/// What of the file is wanted. Ranges are for GET, and only if the file is
/// still what `If-Range` says.
fn wanted(request: &Parts, etag: &ETag, last_modified: LastModified, size: u64) -> Requested {
    let headers = &request.headers;
    let Some(range) = headers.get(header::RANGE).filter(|_| request.method == Method::GET) else {
        return Requested::Whole;
    };
    if headers.contains_key(header::IF_RANGE) {
        match headers.typed_get::<IfRange>() {
            Some(known) if !known.is_modified(Some(etag), Some(&last_modified)) => {}
            _ => return Requested::Whole,
        }
    }
    range.to_str().map_or(Requested::Whole, |range| requested(range, size))
}

/// Names the content: the same for all files that have it.
fn etag(file: &File) -> Result<ETag> {
    let name = match file.checksums.blake3 {
        Some(hash) => hex::encode(hash),
        // The content of a file never changes.
        None => file.id.to_string(),
    };
    format!("\"{name}\"").parse().map_err(|_| Error::storage_io("the file has no etag"))
}

fn last_modified(file: &File) -> SystemTime {
    let micros = file.ready_time.unwrap_or(file.create_time).as_micros();
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The declared type, but never one that another page could run as its script.
fn content_type(file: &File) -> HeaderValue {
    let declared = file.content_type.as_str();
    let essence = declared.split(';').next().unwrap_or_default();
    if essence.contains("javascript") || essence.contains("ecmascript") {
        return HeaderValue::from_static(ContentType::DEFAULT);
    }
    HeaderValue::from_str(declared)
        .unwrap_or_else(|_| HeaderValue::from_static(ContentType::DEFAULT))
}
