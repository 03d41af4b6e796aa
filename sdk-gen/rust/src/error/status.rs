//! What a call ended with, as an error.

use std::{error, fmt};

use sluice_domain::{FieldViolation, Reason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{ERROR_DOMAIN, Error, Kind};

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        if let Some(problem) = marked::<NotKept>(&status) {
            return Self::new(Kind::Local, format!("cannot keep the session: {}", problem.0));
        }
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN);
        // What tonic and proxies make of a broken connection has no ErrorInfo.
        let broken = info.is_none()
            && matches!(
                status.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Cancelled
                    | Code::Internal
                    | Code::DeadlineExceeded
            );
        let (kind, message) = if !broken {
            (Kind::Server, status.message().to_owned())
        } else {
            let cause = deepest_cause(&status);
            let kind = match is_about_certificates(&cause) {
                true => Kind::Certificate,
                false => Kind::Transport,
            };
            (kind, format!("no connection to the server: {cause}"))
        };
        let mut error = Self::new(kind, message);
        let inner = &mut *error.0;
        inner.code = Some(status.code());
        if let Some(info) = info {
            inner.reason = Reason::parse(&info.reason);
            inner.metadata = info.metadata.clone().into_iter().collect();
            inner.upload_id = info.metadata.get("upload_id").cloned();
        }
        if let Some(request) = details.bad_request() {
            let violations = request.field_violations.iter();
            inner.violations = violations
                .map(|violation| FieldViolation {
                    // Whether an upload is opened by a call of its own is no matter of
                    // the caller's.
                    field: violation.field.trim_start_matches("create_upload.").to_owned(),
                    description: violation.description.clone(),
                })
                .collect();
        }
        inner.renewable = marked::<Renewable>(&status).is_some();
        inner.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        inner.source = Some(status.into());
        error
    }
}

/// The source of a status that a call in a session ends with when its access
/// token has expired and another one may help.
#[derive(Debug)]
pub(crate) struct Renewable;

/// The source of a status that this side has made because tokens cannot be
/// read or kept: why.
#[derive(Debug)]
pub(crate) struct NotKept(pub(crate) String);

fn marked<E: error::Error + 'static>(status: &Status) -> Option<&E> {
    error::Error::source(status)?.downcast_ref()
}

impl fmt::Display for Renewable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access token has expired")
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Renewable {}

impl error::Error for NotKept {}

/// The reason of the contract that a status has.
pub(crate) fn reason_of(status: &Status) -> Option<Reason> {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
    Reason::parse(&info.reason)
}

/// tonic says "transport error" and keeps what happened in the chain of causes.
fn deepest_cause(status: &Status) -> String {
    let mut cause = error::Error::source(status);
    let mut deepest = None;
    while let Some(error) = cause {
        deepest = Some(error.to_string());
        cause = error.source();
    }
    deepest.unwrap_or_else(|| status.message().to_owned())
}

/// How rustls says that a certificate was refused, by this side or by the
/// server. Its error type does not survive the way through HTTP/2.
fn is_about_certificates(cause: &str) -> bool {
    const ALERTS: [&str; 7] = [
        "AccessDenied",
        "BadCertificate",
        "CertificateExpired",
        "CertificateRequired",
        "CertificateUnknown",
        "UnknownCA",
        "UnsupportedCertificate",
    ];
    let alert = cause.split("received fatal alert: ").nth(1);
    cause.contains("invalid peer certificate")
        || alert.is_some_and(|alert| ALERTS.iter().any(|name| alert.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use tonic_types::ErrorDetails;

    use super::*;

    fn refusal(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Error {
        let metadata = metadata.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let details = ErrorDetails::with_error_info(
            reason,
            ERROR_DOMAIN,
            metadata.collect::<std::collections::HashMap<String, String>>(),
        );
        Status::with_error_details(code, "refused", details).into()
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_facts() {
        let error = refusal(
            Code::AlreadyExists,
            "FILE_EXISTS",
            &[("file_id", "file_1"), ("upload_id", "upl_1")],
        );
        assert_eq!(error.kind(), Kind::Server);
        assert_eq!(error.reason(), Some(Reason::FileExists));
        assert_eq!(error.metadata()["file_id"], "file_1");
        assert_eq!(error.upload_id(), Some("upl_1"));
        assert!(!error.is_transient());
    }

    #[test]
    fn field_violations_and_delays_are_decoded() {
        let mut details = ErrorDetails::with_error_info(
            "INVALID_FIELD",
            ERROR_DOMAIN,
            std::collections::HashMap::new(),
        );
        details.add_bad_request_violation("create_upload.name", "too long");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let error: Error =
            Status::with_error_details(Code::InvalidArgument, "refused", details).into();
        assert_eq!(error.violations()[0].field, "name");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        for (code, reason, transient) in [
            (Code::Aborted, "CHECKSUM_MISMATCH", true),
            (Code::Aborted, "PART_BUSY", true),
            (Code::Aborted, "STREAM_IDLE", true),
            (Code::Aborted, "STREAM_TOO_SLOW", true),
            (Code::Aborted, "STALE_WRITER", false),
            (Code::Unavailable, "SHUTTING_DOWN", true),
            (Code::Unavailable, "A_REASON_FROM_THE_FUTURE", true),
            (Code::Aborted, "A_REASON_FROM_THE_FUTURE", false),
            (Code::ResourceExhausted, "STORAGE_FULL", false),
            (Code::Internal, "A_REASON_FROM_THE_FUTURE", false),
        ] {
            assert_eq!(refusal(code, reason, &[]).is_transient(), transient, "{reason}");
        }
        let state =
            |state| refusal(Code::FailedPrecondition, "UPLOAD_NOT_ACTIVE", &[("state", state)]);
        assert!(state("COMPLETING").is_transient());
        assert!(!state("CANCELLED").is_transient());

        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        details.set_error_info("RATE_LIMITED", ERROR_DOMAIN, std::collections::HashMap::new());
        let limited: Error =
            Status::with_error_details(Code::ResourceExhausted, "slow down", details).into();
        assert!(limited.is_transient());
    }

    #[test]
    fn a_certificate_that_is_refused_will_not_be_taken_later() {
        for (cause, kind) in [
            ("invalid peer certificate: UnknownIssuer", Kind::Certificate),
            ("received fatal alert: CertificateRequired", Kind::Certificate),
            ("received fatal alert: InternalError", Kind::Transport),
            ("connection reset by peer", Kind::Transport),
        ] {
            let error: Error = Status::from_error(Box::new(io::Error::other(cause))).into();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.is_transient(), kind == Kind::Transport, "{error}");
        }
    }

    #[test]
    fn a_status_without_details_is_a_broken_connection() {
        for code in [
            Code::Unavailable,
            Code::Unknown,
            Code::Cancelled,
            Code::Internal,
            Code::DeadlineExceeded,
        ] {
            let error: Error = Status::new(code, "h2 protocol error").into();
            assert_eq!(error.kind(), Kind::Transport);
            assert!(error.is_transient(), "{code:?}");
        }
        let error: Error = Status::new(Code::Unauthenticated, "who are you").into();
        assert!(!error.is_transient());
    }
}
