//! The public keys of tokens, for whoever checks them without asking.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

use super::refusal::refusal;
use crate::service::Context;

/// Keys are asked for again after so long. It is less than a new key needs to
/// have been seen by everybody, because tokens name their key.
const FRESH: &str = "public, max-age=300";

/// `/.well-known/jwks.json` (RFC 7517).
pub fn routes(context: Context) -> Router {
    Router::new().route("/.well-known/jwks.json", get(key_set)).with_state(context)
}

async fn key_set(State(context): State<Context>) -> Response {
    match context.identity.tokens.key_set().await {
        Ok(keys) => ([(header::CACHE_CONTROL, FRESH)], Json(keys)).into_response(),
        Err(error) => refusal(error),
    }
}
