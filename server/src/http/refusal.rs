//! Refusals as HTTP answers.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sluice_domain::{Error, Reason};

/// What is wrong, for programs and for people.
#[derive(Debug, Serialize)]
struct Body {
    reason: &'static str,
    message: String,
}

/// The HTTP status of each reason.
fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::InvalidField
        | Reason::MalformedMessage
        | Reason::ChecksumMissing
        | Reason::FrameCrossesPart
        | Reason::OffsetMismatch
        | Reason::ChecksumMismatch
        | Reason::ResumeTokenInvalid => StatusCode::BAD_REQUEST,
        Reason::CredentialsInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::ScopeMissing
        | Reason::AccountSuspended => StatusCode::FORBIDDEN,
        Reason::UploadNotFound
        | Reason::FileNotFound
        | Reason::SessionNotFound
        | Reason::ApiKeyNotFound
        | Reason::AccountNotFound => StatusCode::NOT_FOUND,
        Reason::StreamIdle | Reason::StreamTooSlow => StatusCode::REQUEST_TIMEOUT,
        Reason::SizeMismatch
        | Reason::FileChecksumMismatch
        | Reason::PartsMissing
        | Reason::ContentConflict
        | Reason::StaleWriter
        | Reason::PartBusy
        | Reason::UploadNotActive
        | Reason::RequestIdReused
        | Reason::FileExists
        | Reason::AccountExists
        | Reason::FileNotReady => StatusCode::CONFLICT,
        Reason::UploadExpired => StatusCode::GONE,
        Reason::EtagMismatch => StatusCode::PRECONDITION_FAILED,
        Reason::FrameTooLarge | Reason::SizeExceeded | Reason::FileTooLarge => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Reason::ContentTypeNotAllowed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::StoredDataCorrupt => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::NotSupported => StatusCode::NOT_IMPLEMENTED,
        Reason::Overloaded
        | Reason::DependencyUnavailable
        | Reason::StorageIo
        | Reason::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Reason::QuotaExceeded | Reason::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// A refusal as an answer: `{"reason": …, "message": …}`.
pub(crate) fn refusal(error: Error) -> Response {
    with_status(status(error.reason), error)
}

/// The same with a status that says more than the reason does.
pub(super) fn with_status(status: StatusCode, error: Error) -> Response {
    let retry_after = error.retry_after.map(|delay| delay.as_secs().max(1));
    let body = Body { reason: error.reason.as_str(), message: error.message };
    let mut response = (status, guards(), Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What makes an answer harmless in a browser, whatever is in it, and keeps the
/// link secret: no script runs and nothing is loaded, the type is not guessed,
/// other pages are not told the address, and no cache may give it away or
/// outlive the link.
///
/// Pages of other origins may embed the answer, for who has the link has the
/// right to read.
pub(super) fn guards() -> [(HeaderName, HeaderValue); 5] {
    [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "sandbox; default-src 'none'; form-action 'none'; base-uri 'none'",
            ),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        ),
    ]
}

/// The policy for what browsers show: media load themselves, from the origin of
/// the link, and are styled by the browser. Script still cannot run.
pub(super) const SHOWN_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox allow-same-origin; default-src 'none'; img-src 'self'; media-src 'self'; \
     style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'",
);
