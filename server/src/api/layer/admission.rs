//! How much is worked on at a time. What is too much is refused before any
//! work, so that what was taken on gets done.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{StatusCode, header};
use sluice_domain::{Error, Reason, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::is_grpc;
use crate::{api::status::status, edge::body::HeldBody, service::shutting_down};

/// RPCs that last as long as their callers like.
pub(super) const STREAMS: [&str; 4] = [
    "/sluice.v1.UploadService/WriteUpload",
    "/sluice.v1.UploadService/BidiWriteUpload",
    "/sluice.v1.FileService/ReadFile",
    "/sluice.v1.EventService/WatchEvents",
];

/// What must be answered whatever the load.
const EXEMPT: &str = "/grpc.health.v1.Health/";

/// When to try again after a refusal for load, at the earliest. Callers spread
/// over twice this time, so that they do not come back together.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Lets requests in.
#[derive(Debug, Clone)]
pub struct Admission {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    stopping: CancellationToken,
}

impl Admission {
    /// At most so many at a time, and none once the server is stopping.
    pub fn new(max_requests: usize, max_streams: usize, stopping: CancellationToken) -> Self {
        let permits = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { requests: permits(max_requests), streams: permits(max_streams), stopping }
    }

    fn admit(&self, path: &str, is_grpc: bool) -> Result<OwnedSemaphorePermit> {
        if self.stopping.is_cancelled() {
            return Err(shutting_down());
        }
        let room = if is_grpc && !STREAMS.contains(&path) { &self.requests } else { &self.streams };
        Arc::clone(room).try_acquire_owned().map_err(|_| {
            let spread = RETRY_AFTER.mul_f64(f64::from(getrandom::u32().unwrap_or(0)) / 4e9);
            Error::new(Reason::Overloaded, "the server has more to do than it can; try again soon")
                .retry_after(RETRY_AFTER + spread)
        })
    }
}

/// Takes a request in, and holds its place until its answer has been sent to
/// the end; or refuses it.
pub async fn check(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with(EXEMPT) {
        return next.run(request).await;
    }
    let is_grpc = is_grpc(request.headers());
    match admission.admit(path, is_grpc) {
        Ok(place) => next.run(request).await.map(|body| Body::new(HeldBody::new(body, place))),
        Err(error) if is_grpc => status(error).into_http(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &Error) -> Response {
    let seconds = error.retry_after.map_or(1, |delay| delay.as_secs().max(1));
    let mut response = Response::new(Body::from(format!("{error}\n")));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}
