//! One line for each request, with an id that the caller sees too.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderName, HeaderValue};
use tonic::{Code, Status};
use tracing::Instrument;
use uuid::Uuid;

/// Names a request, here and in the logs of whoever called.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a caller.
const MAX_ID: usize = 128;

/// Gives the request an id, logs it and how it ended.
pub async fn record(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&REQUEST_ID)
        .filter(|id| id.len() <= MAX_ID && id.to_str().is_ok())
        .cloned()
        .unwrap_or_else(new_id);
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        path = request.uri().path(),
    );
    async {
        let started = tokio::time::Instant::now();
        let mut response = next.run(request).await;
        response.headers_mut().insert(REQUEST_ID, id);
        let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |it| it.code());
        let status = response.status().as_u16();
        tracing::info!(status, ?code, elapsed_ms, "answered");
        response
    }
    .instrument(span)
    .await
}

fn new_id() -> HeaderValue {
    HeaderValue::try_from(Uuid::now_v7().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
