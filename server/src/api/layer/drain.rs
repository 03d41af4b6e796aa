//! Early refusals that browsers and other web clients can read.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::header::CONTENT_TYPE;

use crate::{
    edge::body::{DrainLimit, DrainedBody},
    tasks::Tasks,
};

/// What native clients send: they read an answer while they still write.
const NATIVE: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];

/// Reads a web request to its end whatever becomes of it. Over HTTP/1.1 nobody
/// reads an answer before; over HTTP/2 some clients, curl among them, take the
/// end of a stream that they still write to for a failure.
pub async fn check(State(tasks): State<Tasks>, mut request: Request, next: Next) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.is_some_and(|content_type| NATIVE.contains(&content_type)) {
        return next.run(request).await;
    }
    let limit = DrainLimit::default();
    request.extensions_mut().insert(limit.clone());
    let request = DrainedBody::wrap(request, limit, tasks);
    next.run(request).await
}
