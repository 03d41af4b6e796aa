//! The one place where refusals become gRPC statuses.

use std::collections::HashMap;

use http::HeaderMap;
use sluice_domain::{Error, MAX_FRAME_SIZE, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, QuotaViolation, StatusExt};

use crate::edge::body::cut_reason;

/// The domain of `google.rpc.ErrorInfo` in every error.
const DOMAIN: &str = "sluice.v1";

/// The gRPC code of each reason, as the contract's table has it.
fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidField
        | Reason::MalformedMessage
        | Reason::ChecksumMissing
        | Reason::FrameTooLarge
        | Reason::FrameCrossesPart
        | Reason::FileTooLarge
        | Reason::ContentTypeNotAllowed
        | Reason::ResumeTokenInvalid => Code::InvalidArgument,
        Reason::ChecksumMismatch
        | Reason::StaleWriter
        | Reason::PartBusy
        | Reason::EtagMismatch
        | Reason::StreamIdle
        | Reason::StreamTooSlow => Code::Aborted,
        Reason::OffsetMismatch | Reason::SizeExceeded => Code::OutOfRange,
        Reason::SizeMismatch
        | Reason::FileChecksumMismatch
        | Reason::PartsMissing
        | Reason::ContentConflict
        | Reason::UploadNotActive
        | Reason::UploadExpired
        | Reason::FileNotReady => Code::FailedPrecondition,
        Reason::StoredDataCorrupt => Code::DataLoss,
        Reason::RequestIdReused | Reason::FileExists | Reason::AccountExists => Code::AlreadyExists,
        Reason::QuotaExceeded | Reason::StorageFull | Reason::RateLimited => {
            Code::ResourceExhausted
        }
        Reason::Overloaded
        | Reason::DependencyUnavailable
        | Reason::StorageIo
        | Reason::ShuttingDown => Code::Unavailable,
        Reason::UploadNotFound
        | Reason::FileNotFound
        | Reason::SessionNotFound
        | Reason::ApiKeyNotFound
        | Reason::AccountNotFound => Code::NotFound,
        Reason::CredentialsInvalid | Reason::TokenExpired | Reason::TokenRevoked => {
            Code::Unauthenticated
        }
        Reason::ScopeMissing | Reason::AccountSuspended => Code::PermissionDenied,
        Reason::NotSupported => Code::Unimplemented,
    }
}

/// A refusal as a status with `google.rpc` details.
pub(super) fn status(error: Error) -> Status {
    let mut details = ErrorDetails::new();
    let metadata: HashMap<_, _> = error.metadata.into_iter().collect();
    details.set_error_info(error.reason.as_str(), DOMAIN, metadata);
    if !error.violations.is_empty() {
        let violations = error.violations.into_iter();
        details.set_bad_request(
            violations.map(|it| FieldViolation::new(it.field, it.description)).collect::<Vec<_>>(),
        );
    }
    if error.reason == Reason::QuotaExceeded {
        details.set_quota_failure(vec![QuotaViolation::new("account", error.message.clone())]);
    }
    if error.retry_after.is_some() {
        details.set_retry_info(error.retry_after);
    }
    Status::with_error_details(code(error.reason), error.message, details)
}

/// A refusal as the trailers of an answer that has begun.
pub(super) fn trailers(error: &Error) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    status(error.clone()).add_header(&mut trailers).ok()?;
    Some(trailers)
}

/// What tonic says of a message that it could not read, as a refusal of the
/// contract. It answers INTERNAL or UNKNOWN to undecodable bytes, wrong framing
/// and early ends, and OUT_OF_RANGE to messages over the limit.
/// A stream that was cut off has its reason as the source.
pub(super) fn unreadable(status: &Status) -> Error {
    if let Some(reason) = cut_reason(status) {
        return reason;
    }
    match status.code() {
        // The second is what a compressed message grew to.
        Code::OutOfRange | Code::ResourceExhausted => Error::new(
            Reason::FrameTooLarge,
            format!(
                "the message is larger than allowed; a frame holds at most {MAX_FRAME_SIZE} bytes"
            ),
        )
        .with("max_bytes", MAX_FRAME_SIZE),
        Code::Unimplemented => {
            Error::new(Reason::NotSupported, "this compression is not offered here")
        }
        _ => Error::new(
            Reason::MalformedMessage,
            format!("the message cannot be read: {}", status.message()),
        ),
    }
}
