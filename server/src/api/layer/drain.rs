//! Early refusals that HTTP/1.1 clients can read.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{Version, header::EXPECT};

use crate::{
    edge::body::{DrainLimit, DrainedBody},
    tasks::Tasks,
};

/// Reads an HTTP/1.1 request to its end whatever becomes of it. HTTP/2 tells
/// its clients to stop instead.
pub async fn check(State(tasks): State<Tasks>, mut request: Request, next: Next) -> Response {
    if request.version() == Version::HTTP_2 {
        return next.run(request).await;
    }
    let limit = DrainLimit::default();
    request.extensions_mut().insert(limit.clone());
    let waits = request.headers().contains_key(EXPECT);
    let request = request.map(|body| Body::new(DrainedBody::new(body, limit, tasks, waits)));
    next.run(request).await
}
