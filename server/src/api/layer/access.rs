//! Nobody gets further without a credential.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    api::status::status,
    service::{Context, access},
};

/// What needs no credential: finding out what the server offers, and whether it
/// is well.
const OPEN: [&str; 4] = [
    "/sluice.v1.CapabilitiesService/GetCapabilities",
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Finds out who calls, for the handlers, or refuses.
pub async fn check(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    if OPEN.iter().any(|open| request.uri().path().starts_with(open)) {
        return next.run(request).await;
    }
    match access::authenticate(&context, bearer_token(request.headers())).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => status(error).into_http(),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
