//! Both directions of a stream keep to a pace, and to the memory.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use sluice_domain::Error;
use tonic::Status;

use super::is_grpc;
use crate::{
    api::status::{status, trailers},
    edge::body::{GuardedBody, MessageMemory, Pace, PacedBody},
    tasks::Tasks,
};

/// What streams must keep to.
#[derive(Clone)]
pub struct Limits {
    /// How slow they may be.
    pub pace: Pace,
    /// What they share.
    pub memory: Arc<MessageMemory>,
    /// Where readers are watched.
    pub tasks: Tasks,
}

/// Guards the request's body and watches the reader of the response's. A
/// request that was cut off before it had an answer gets the reason for it.
pub async fn guard(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let is_grpc = is_grpc(request.headers());
    let memory = is_grpc.then(|| Arc::clone(&limits.memory));
    let (parts, body) = request.into_parts();
    let guarded = GuardedBody::new(body, limits.pace, memory);
    let cut = guarded.cut();
    let response = next.run(Request::from_parts(parts, Body::new(guarded))).await;
    if let Some(error) = cut.get()
        && Status::from_header_map(response.headers()).is_some_and(|it| it.details().is_empty())
    {
        return status(error.clone()).into_http();
    }
    let last_words = if is_grpc { trailers } else { |_: &Error| None };
    response
        .map(|body| Body::new(PacedBody::new(body, limits.pace, limits.tasks.clone(), last_words)))
}
