//! The one error type: what a server refused, or what went wrong on this side.

mod status;

use std::{collections::BTreeMap, error, fmt, io, path::Path, time::Duration};

use sluice_domain::Reason;
use tonic::Code;

pub use sluice_domain::FieldViolation;

pub(crate) use self::status::{NotKept, Renewable, reason_of};

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
