//! What every call of S3 and DynamoDB has in common: when it is made, and what
//! its failure means.

use std::fmt::Debug;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use sluice_domain::{Error, Result};

use super::breaker::Breaker;

/// Why a call was not answered with success.
#[derive(Debug)]
pub(super) enum Fault {
    /// The service has answered: it will not do this.
    Refused {
        /// What it calls the reason, such as `NoSuchKey`.
        code: String,
        /// The whole story, for the log.
        story: String,
    },
    /// The service could not be reached, or not do it; it may have done it.
    Unavailable(Error),
}

impl Fault {
    /// Whether this is the service's answer.
    pub(super) fn is(&self, answer: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == answer)
    }

    /// The error for a caller, where the service should not have refused.
    pub(super) fn unexpected(self, operation: &'static str) -> Error {
        match self {
            Self::Unavailable(error) => error,
            Self::Refused { code, story } => {
                tracing::error!(operation, code, story, "storage has refused a call");
                Error::storage_io("the server's storage has refused to do this; try again")
            }
        }
    }
}

/// Makes a call unless the dependency is down.
pub(super) async fn call<T, E, R>(
    breaker: &Breaker,
    operation: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T, Fault>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: HasStatus + Debug + Send + Sync + 'static,
{
    breaker.check().map_err(Fault::Unavailable)?;
    let error = match send.await {
        Ok(answer) => {
            breaker.succeeded();
            return Ok(answer);
        }
        Err(error) => error,
    };
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
    let story = DisplayErrorContext(&error).to_string();
    let refused = match &error {
        SdkError::ServiceError(answer) => {
            // A store that does not know a call is well.
            let status = answer.raw().status();
            let is_answer = status < 500 || status == 501;
            is_answer && !is_transient(code.as_deref().unwrap_or_default())
        }
        _ => false,
    };
    if refused {
        breaker.succeeded();
        return Err(Fault::Refused { code: code.unwrap_or_default(), story });
    }
    tracing::warn!(operation, code, story, "storage has not done a call");
    breaker.failed();
    Err(Fault::Unavailable(breaker.unavailable()))
}

/// Answers below 500, or within a 200, that ask to come again.
fn is_transient(code: &str) -> bool {
    matches!(
        code,
        "InternalError"
            | "ServiceUnavailable"
            | "SlowDown"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "ThrottlingException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "TransactionInProgressException"
    )
}

/// An answer over HTTP.
pub(super) trait HasStatus {
    /// Its status.
    fn status(&self) -> u16;
}

impl HasStatus for aws_sdk_s3::config::http::HttpResponse {
    fn status(&self) -> u16 {
        Self::status(self).as_u16()
    }
}
