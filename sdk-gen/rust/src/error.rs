//! The one error type: what a server refused, or what went wrong on this side.

use std::{collections::BTreeMap, error, fmt, io, path::Path, time::Duration};

use sluice_domain::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub use sluice_domain::FieldViolation;

/// The domain of every `google.rpc.ErrorInfo` that Sluice sends.
pub(crate) const ERROR_DOMAIN: &str = "sluice.v1";

/// Result of every call of the SDK.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The server answered with a refusal.
    Server,
    /// The connection could not be made or broke, or nothing came for too long.
    Transport,
    /// One side does not trust the certificate of the other, so that there is no
    /// connection and will be none.
    Certificate,
    /// A local file could not be read or written.
    Local,
    /// The content is not, or is no longer, what was being uploaded.
    SourceChanged,
    /// What arrived is not what the server recorded.
    Corrupt,
    /// The call was cancelled by its [`CancellationToken`].
    ///
    /// [`CancellationToken`]: tokio_util::sync::CancellationToken
    Cancelled,
    /// The SDK was asked for something that cannot be.
    Usage,
}

/// Why a call failed: decide by [`Error::reason`] and [`Error::code`], show the
/// text.
pub struct Error(Box<Details>);

struct Details {
    kind: Kind,
    message: String,
    code: Option<Code>,
    reason: Option<Reason>,
    metadata: BTreeMap<String, String>,
    violations: Vec<FieldViolation>,
    retry_after: Option<Duration>,
    upload_id: Option<String>,
    /// Whether it is about an access token, and there will be another.
    renewable: bool,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// Where the error comes from.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The gRPC code, of errors that the server or the transport gave.
    pub fn code(&self) -> Option<Code> {
        self.0.code
    }

    /// The stable reason, of errors that the server gave. Absent also for a
    /// reason that is newer than this SDK: then decide by the code.
    pub fn reason(&self) -> Option<Reason> {
        self.0.reason
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts by the names that the contract gives to each reason.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// The fields at fault, for [`Reason::InvalidField`].
    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// How long the server asked to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The upload that can be resumed or cancelled, once there is one.
    pub fn upload_id(&self) -> Option<&str> {
        self.0.upload_id.as_deref()
    }

    /// Whether the same call may succeed later. The SDK has then tried for
    /// [`give_up_after`](crate::ClientBuilder::give_up_after) already.
    pub fn is_transient(&self) -> bool {
        if self.kind() == Kind::Certificate {
            return false;
        }
        let reason_passes = match self.reason() {
            Some(
                Reason::ChecksumMismatch
                | Reason::PartBusy
                | Reason::StreamIdle
                | Reason::StreamTooSlow,
            ) => true,
            // Somebody's completion is on its way; it ends in another state.
            Some(Reason::UploadNotActive) => {
                self.metadata().get("state").is_some_and(|state| state == "COMPLETING")
            }
            _ => false,
        };
        self.kind() == Kind::Transport
            || reason_passes
            || self.is_renewable()
            || match self.code() {
                Some(Code::Unavailable) => true,
                Some(Code::ResourceExhausted) => self.retry_after().is_some(),
                _ => false,
            }
    }

    /// Whether the same call is to be made at once, with another access token.
    pub(crate) fn is_renewable(&self) -> bool {
        self.0.renewable
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            code: None,
            reason: None,
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
            upload_id: None,
            renewable: false,
            source: None,
        }))
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "cancelled")
    }

    pub(crate) fn timed_out(waited: Duration) -> Self {
        let message = format!("nothing came from the server for {} s", waited.as_secs());
        let mut error = Self::new(Kind::Transport, message);
        error.0.code = Some(Code::DeadlineExceeded);
        error
    }

    pub(crate) fn local(path: &Path, action: &str, source: io::Error) -> Self {
        let message = format!("cannot {action} {}: {source}", path.display());
        let mut error = Self::new(Kind::Local, message);
        error.0.source = Some(source.into());
        error
    }

    /// Adds the upload that the error is about, unless it is known already.
    pub(crate) fn of_upload(mut self, upload_id: Option<&str>) -> Self {
        if self.0.upload_id.is_none() {
            self.0.upload_id = upload_id.map(ToOwned::to_owned);
        }
        self
    }

    pub(crate) fn after_giving_up(mut self, waited: Duration) -> Self {
        if waited >= Duration::from_secs(1) {
            let seconds = waited.as_secs();
            self.0.message += &format!(" (gave up after {seconds} s without progress)");
        }
        self
    }
}

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
                    field: violation.field.clone(),
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

impl From<sluice_domain::Error> for Error {
    /// A rule of the contract that was broken on this side already.
    fn from(error: sluice_domain::Error) -> Self {
        let mut this = Self::new(Kind::Server, error.message);
        this.0.reason = Some(error.reason);
        this.0.metadata = error.metadata;
        this.0.violations = error.violations;
        this
    }
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("metadata", &self.0.metadata)
            .field("upload_id", &self.0.upload_id)
            .finish_non_exhaustive()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
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
        details.add_bad_request_violation("name", "too long");
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
