//! A part by HTTP PUT.

use axum::{extract::Request, response::IntoResponse, response::Response};
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use sluice_domain::{Error, Reason};

use super::refusal::{refusal, with_status};
use crate::{
    edge::body::{DrainLimit, cut_reason},
    metrics,
    service::{Context, ingest, signing::link::PartGrant},
};

/// Persists the part that the body is, and says so with 200.
pub(super) async fn answer(context: &Context, grant: PartGrant, request: Request) -> Response {
    if let Some(limit) = request.extensions().get::<DrainLimit>() {
        limit.allow_part(grant.size);
    }
    let length = match content_length(request.headers()) {
        Ok(length) => length,
        Err(refused) => return *refused,
    };
    if length != grant.size {
        let rule = format!("must be {}, as it was signed, is {length}", grant.size);
        return refusal(Error::invalid_field("content-length", rule));
    }
    let body = request.into_body().into_data_stream();
    let body = body.map(|piece| piece.map_err(cut));
    let body = body.inspect_ok(|piece| metrics::content_received(piece.len() as u64));
    match ingest::put(context, grant, body).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refusal(error),
    }
}

/// The length that the caller declares. A body of a length that nobody knows
/// cannot be the one that was signed.
fn content_length(headers: &HeaderMap) -> Result<u64, Box<Response>> {
    let needed = || {
        let message = "the header content-length is needed, as it was signed";
        let error = Error::new(Reason::InvalidField, message);
        Box::new(with_status(StatusCode::LENGTH_REQUIRED, error))
    };
    let value = headers.get(CONTENT_LENGTH).ok_or_else(needed)?;
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(needed)
}

/// The body did not come to its end.
fn cut(error: axum::Error) -> Error {
    if let Some(reason) = cut_reason(&error) {
        return reason;
    }
    tracing::debug!(%error, "the body of a part was cut");
    Error::new(Reason::MalformedMessage, "the body was cut before its end; send it again")
}
