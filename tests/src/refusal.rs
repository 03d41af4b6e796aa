//! What the contract promises about each refusal.

use std::{collections::HashMap, fmt::Debug};

use sluice_domain::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "sluice.v1";

/// The details of one error stay below this.
const MOST_DETAIL_BYTES: usize = 4096;

/// What a refusal must look like.
struct Promise {
    code: Code,
    /// Keys that `ErrorInfo.metadata` must have.
    keys: &'static [&'static str],
    /// Whether it says how long to wait.
    retry_info: bool,
    /// Whether it names the fields at fault.
    bad_request: bool,
}

impl Promise {
    const fn new(code: Code, keys: &'static [&'static str]) -> Self {
        Self { code, keys, retry_info: false, bad_request: false }
    }

    const fn with_retry_info(mut self) -> Self {
        self.retry_info = true;
        self
    }

    const fn with_bad_request(mut self) -> Self {
        self.bad_request = true;
        self
    }
}

/// The contract's table of reasons, written down a second time on purpose: the
/// tests must not learn it from the code that they test.
fn promise(reason: Reason) -> Promise {
    use Code as C;
    use Reason as R;
    let new = Promise::new;
    match reason {
        R::InvalidField => new(C::InvalidArgument, &[]).with_bad_request(),
        R::MalformedMessage => new(C::InvalidArgument, &[]),
        R::ChecksumMissing => new(C::InvalidArgument, &["offset"]),
        R::FrameTooLarge => new(C::InvalidArgument, &["max_bytes"]),
        R::FrameCrossesPart => new(C::InvalidArgument, &["part_size"]),
        R::ChecksumMismatch => new(C::Aborted, &["offset"]),
        R::OffsetMismatch => new(C::OutOfRange, &["expected_offset", "part_size"]),
        R::SizeExceeded => new(C::OutOfRange, &["size"]),
        R::SizeMismatch => new(C::FailedPrecondition, &["expected", "actual"]),
        R::FileChecksumMismatch => new(C::FailedPrecondition, &["algorithm", "expected", "actual"]),
        R::StoredDataCorrupt => new(C::DataLoss, &["offset"]),
        R::PartsMissing => new(C::FailedPrecondition, &["ranges", "count"]),
        R::ContentConflict => new(C::FailedPrecondition, &["offset"]),
        R::StaleWriter => new(C::Aborted, &["writer_epoch"]),
        R::PartBusy => new(C::Aborted, &["offset"]).with_retry_info(),
        R::UploadNotActive | R::UploadExpired | R::FileNotReady => {
            new(C::FailedPrecondition, &["state"])
        }
        R::RequestIdReused => new(C::AlreadyExists, &[]),
        R::AccountExists => new(C::AlreadyExists, &[]),
        R::FileExists => new(C::AlreadyExists, &["file_id"]),
        R::FileTooLarge => new(C::InvalidArgument, &["max_bytes"]),
        R::ContentTypeNotAllowed => new(C::InvalidArgument, &["allowed"]),
        R::EtagMismatch => new(C::Aborted, &["etag"]),
        R::QuotaExceeded => new(C::ResourceExhausted, &["limit", "used"]),
        // `limit` and `used` only where they are known.
        R::StorageFull => new(C::ResourceExhausted, &[]),
        R::RateLimited => new(C::ResourceExhausted, &[]).with_retry_info(),
        R::Overloaded | R::ShuttingDown => new(C::Unavailable, &[]).with_retry_info(),
        R::UploadNotFound
        | R::FileNotFound
        | R::SessionNotFound
        | R::ApiKeyNotFound
        | R::AccountNotFound => new(C::NotFound, &[]),
        R::CredentialsInvalid | R::TokenExpired | R::TokenRevoked => new(C::Unauthenticated, &[]),
        R::ScopeMissing => new(C::PermissionDenied, &["scope"]),
        R::AccountSuspended => new(C::PermissionDenied, &[]),
        R::StreamIdle | R::StreamTooSlow => new(C::Aborted, &["persisted_bytes"]),
        R::DependencyUnavailable | R::StorageIo => {
            new(C::Unavailable, &["dependency"]).with_retry_info()
        }
        R::ResumeTokenInvalid => new(C::InvalidArgument, &[]),
        R::NotSupported => new(C::Unimplemented, &[]),
    }
}

/// The reason of a status that the server answered; none for one that the
/// client made up, because its connection broke for example.
pub fn reason(status: &Status) -> Option<Reason> {
    let info = status.get_details_error_info()?;
    assert_eq!(info.domain, DOMAIN, "a foreign error domain in {status:?}");
    let reason = Reason::parse(&info.reason);
    assert!(reason.is_some(), "a reason outside the contract: {status:?}");
    reason
}

/// The metadata of a refusal.
pub fn facts(status: &Status) -> HashMap<String, String> {
    let info = status.get_details_error_info();
    info.map(|info| info.metadata).unwrap_or_default()
}

/// One fact of a refusal; empty if it is not there.
pub fn fact(status: &Status, key: &str) -> String {
    facts(status).remove(key).unwrap_or_default()
}

/// Asserts that a status keeps every promise about its reason, whichever that
/// is; answers the reason.
#[track_caller]
pub fn assert_refusal(status: &Status) -> Reason {
    let Some(reason) = reason(status) else {
        panic!("an error without a reason: {status:?}");
    };
    let promise = promise(reason);
    let details = status.get_error_details();
    let metadata = facts(status);
    assert_eq!(status.code(), promise.code, "wrong code for {reason:?}: {status:?}");
    for key in promise.keys {
        assert!(
            metadata.get(*key).is_some_and(|value| !value.is_empty()),
            "{reason:?} without {key}: {status:?}"
        );
    }
    if promise.retry_info {
        let delay = details.retry_info().and_then(|info| info.retry_delay);
        assert!(
            delay.is_some_and(|delay| !delay.is_zero()),
            "{reason:?} does not say how long to wait: {status:?}"
        );
    }
    if promise.bad_request {
        let named = details.bad_request().is_some_and(|request| {
            !request.field_violations.is_empty()
                && request.field_violations.iter().all(|violation| !violation.field.is_empty())
        });
        assert!(named, "{reason:?} names no field: {status:?}");
    }
    assert!(
        status.details().len() < MOST_DETAIL_BYTES,
        "{} bytes of details for {reason:?}",
        status.details().len()
    );
    assert!(!status.message().is_empty(), "{reason:?} says nothing to people");
    reason
}

/// Asserts that a call was refused with this reason, and all that the contract
/// promises about it; answers the status.
#[track_caller]
pub fn assert_reason<T: Debug>(result: Result<T, Status>, expect: Reason) -> Status {
    let status = match result {
        Ok(answer) => panic!("expected {expect:?}, but the answer is {answer:?}"),
        Err(status) => status,
    };
    let reason = assert_refusal(&status);
    assert_eq!(reason, expect, "another reason than expected: {status:?}");
    status
}

/// The field that an `INVALID_FIELD` names first.
#[track_caller]
pub fn invalid_field<T: Debug>(result: Result<T, Status>) -> String {
    let status = assert_reason(result, Reason::InvalidField);
    let details = status.get_error_details();
    let request = details.bad_request().expect("checked with the reason");
    request.field_violations[0].field.clone()
}
