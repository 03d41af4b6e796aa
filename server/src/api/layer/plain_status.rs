//! Statuses that tonic makes by itself, in the words of the contract.

use axum::{extract::Request, middleware::Next, response::Response};
use sluice_domain::{Error, Reason};
use tonic::{Code, Status};

use crate::api::status::{status, unreadable};

/// Replaces a bare INTERNAL, UNKNOWN, OUT_OF_RANGE, RESOURCE_EXHAUSTED or
/// UNIMPLEMENTED, which has no details and so was not made by this program.
pub async fn check(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(bare) = Status::from_header_map(response.headers()) else { return response };
    if !bare.details().is_empty() {
        return response;
    }
    match bare.code() {
        Code::Internal | Code::Unknown | Code::OutOfRange | Code::ResourceExhausted => {
            status(unreadable(&bare)).into_http()
        }
        Code::Unimplemented => {
            let error = Error::new(Reason::NotSupported, "there is no such method here");
            status(error).into_http()
        }
        _ => response,
    }
}
