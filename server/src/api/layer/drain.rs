//! Early refusals that browsers and other web clients can read.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{Version, header::CONTENT_TYPE};
use tokio_util::task::TaskTracker;

use crate::{
    edge::body::{DrainLimit, DrainedBody},
    tasks::Tasks,
};

/// What native clients send: they read an answer while they still write.
const NATIVE: [&[u8]; 2] = [b"application/grpc", b"application/grpc+proto"];

/// Reads a web request to its end whatever becomes of it. Over HTTP/1.1 nobody
/// reads an answer before. Over HTTP/2 some clients, curl among them, fail or
/// hang when an answer ends before their request does: there it has to wait.
pub async fn check(State(tasks): State<Tasks>, mut request: Request, next: Next) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    if content_type.is_some_and(|content_type| NATIVE.contains(&content_type)) {
        return next.run(request).await;
    }
    let limit = DrainLimit::default();
    request.extensions_mut().insert(limit.clone());
    let draining = TaskTracker::new();
    let answer_waits = request.version() == Version::HTTP_2;
    let request = DrainedBody::wrap(request, limit, tasks, draining.clone());
    let response = next.run(request).await;
    if answer_waits {
        draining.close();
        draining.wait().await;
    }
    response
}
