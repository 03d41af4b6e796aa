//! Nobody gets further without the credential that a call needs, and nobody
//! goes on for long after having lost it.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, header::AUTHORIZATION};
use sluice_domain::{Error, Result};

use super::{
    admission::STREAMS,
    rules::{Rule, not_offered},
};
use crate::{
    api::status::{status, trailers},
    edge::body::EndedBody,
    service::{Caller, Context, identity::access},
};

/// Finds out who calls, for the handlers, or refuses. A stream whose caller
/// loses the right to it is ended.
pub async fn check(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    // Not the request itself: its body cannot be shared between threads.
    let (path, token) = (request.uri().path(), bearer_token(request.headers()));
    let caller = match admitted(&context, path, token).await {
        Ok(Some(caller)) => caller,
        Ok(None) => return next.run(request).await,
        Err(error) => return status(error).into_http(),
    };
    request.extensions_mut().insert(caller);
    if !STREAMS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let mut revoked = Box::pin(access::revoked(context, caller));
    tokio::select! {
        biased;
        response = next.run(request) => {
            response.map(|body| Body::new(EndedBody::new(body, revoked, trailers)))
        }
        // What is persisted stays, as with a connection that is cut.
        error = &mut revoked => status(error).into_http(),
    }
}

/// The caller, where the call needs one.
async fn admitted(context: &Context, path: &str, token: Option<&str>) -> Result<Option<Caller>> {
    let rule = Rule::of(path).ok_or_else(|| -> Error { not_offered(path) })?;
    if rule == Rule::Open {
        return Ok(None);
    }
    let caller = access::authenticate(context, token).await?;
    context.rates.of_caller(caller)?;
    rule.check(caller)?;
    Ok(Some(caller))
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
