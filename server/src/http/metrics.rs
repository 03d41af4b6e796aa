//! Metrics for whoever collects them.

use std::sync::Arc;

use axum::{
    Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};

use crate::{
    edge::body::MessageMemory,
    metrics::{self, Metrics},
    service::Context,
};

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What `/metrics` needs to know.
#[derive(Clone)]
pub struct Sources {
    /// Where the queue is.
    pub context: Context,
    /// What was counted.
    pub metrics: Metrics,
    /// What streams share.
    pub memory: Arc<MessageMemory>,
}

/// `/metrics`, for everybody who reaches the port: it shows numbers, and nothing
/// of anybody's files.
pub fn routes(sources: Sources) -> Router {
    Router::new().route("/metrics", get(show)).with_state(sources)
}

async fn show(State(sources): State<Sources>) -> impl IntoResponse {
    let now = sources.context.clock.now();
    match sources.context.events.backlog(now).await {
        Ok(backlog) => metrics::queue(&backlog),
        Err(error) => tracing::warn!(%error, "the queue cannot be counted"),
    }
    metrics::message_memory(sources.memory.used(), sources.memory.limit());
    ([(CONTENT_TYPE, TEXT_FORMAT)], sources.metrics.render())
}
