//! What a bucket and a table must be like, how that is found out, and how it is
//! made so.

mod bucket;
mod cors;
mod lifecycle;
mod table;
mod trial;

use std::fmt::Debug;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{Clients, calls::HasStatus, dynamodb};
use crate::config::{Config, ConfigError, StorageChecksums};

/// Something that must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The bucket is there.
    Bucket,
    /// Nobody can make what is in it public.
    PublicAccess,
    /// What is in it is encrypted.
    Encryption,
    /// Web pages may send parts to it.
    Cors,
    /// It gives up uploads that nobody will complete.
    Lifecycle,
    /// The table is there.
    Table,
    /// It forgets what has expired.
    TimeToLive,
}

/// Whether something is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is, in these words.
    Met(String),
    /// It is not.
    Unmet,
    /// This store has no such thing.
    Unknown(String),
}

/// Why nobody knows whether something is so, or why it could not be made so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{story}")]
pub struct Problem {
    /// What happened.
    pub story: String,
    /// What somebody can do about it.
    pub hint: String,
    /// Whether waiting may help.
    pub passes: bool,
}

/// The bucket and the table of a configuration.
pub struct Setup {
    clients: Clients,
    region: Option<String>,
    bucket: String,
    table: String,
    kms_key: Option<String>,
    key_prefix: String,
    origins: Vec<String>,
    checksums: StorageChecksums,
}

impl Requirement {
    /// All of them; each may need those before it.
    pub const ALL: [Self; 7] = [
        Self::Bucket,
        Self::PublicAccess,
        Self::Encryption,
        Self::Cors,
        Self::Lifecycle,
        Self::Table,
        Self::TimeToLive,
    ];

    /// Its name in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::PublicAccess => "public access",
            Self::Encryption => "encryption",
            Self::Cors => "cors",
            Self::Lifecycle => "lifecycle",
            Self::Table => "table",
            Self::TimeToLive => "time to live",
        }
    }

    /// What has to be there before this can be looked at.
    pub fn needs(self) -> Option<Self> {
        match self {
            Self::Bucket | Self::Table => None,
            Self::TimeToLive => Some(Self::Table),
            _ => Some(Self::Bucket),
        }
    }
}

impl Setup {
    /// The one of this configuration. Nothing is called yet.
    pub async fn new(config: &Config) -> Result<Self, ConfigError> {
        let clients = Clients::new(&config.aws).await;
        let mut origins = config.server.allowed_origins.clone();
        // The server's own pages send parts as well, where these may pass it.
        if config.aws.direct_transfers {
            let own = config.server.public_origin();
            origins.extend(own.filter(|own| !config.server.allowed_origins.contains(own)));
        }
        Ok(Self {
            region: clients.s3.config().region().map(|region| region.as_ref().to_owned()),
            clients,
            bucket: config.aws.bucket()?.to_owned(),
            table: dynamodb::table::name(&config.aws.table_prefix),
            kms_key: config.aws.kms_key.clone(),
            key_prefix: config.aws.key_prefix.clone(),
            origins,
            checksums: config.aws.checksums,
        })
    }

    /// What has to be done where something is not so.
    pub fn aim(&self, requirement: Requirement) -> String {
        match requirement {
            Requirement::Bucket => {
                let region = self.region.as_deref().unwrap_or(bucket::FIRST_REGION);
                format!("create {} in {region}", self.bucket)
            }
            Requirement::PublicAccess => "block all public access".to_owned(),
            Requirement::Encryption => match &self.kms_key {
                Some(key) => format!("encrypt with the key {key}"),
                None => "encrypt with keys of S3".to_owned(),
            },
            Requirement::Cors if self.origins.is_empty() => {
                "close it: there are no pages that need it".to_owned()
            }
            Requirement::Cors => format!("open it for {}", self.origins.join(", ")),
            Requirement::Lifecycle => {
                format!("abort incomplete uploads after {} days", lifecycle::DAYS)
            }
            Requirement::Table => format!("create {}", self.table),
            Requirement::TimeToLive => "remove what has expired".to_owned(),
        }
    }

    /// Finds out whether something is so; changes nothing.
    pub async fn look(&self, requirement: Requirement) -> Result<State, Problem> {
        match requirement {
            Requirement::Bucket => self.look_at_bucket().await,
            Requirement::PublicAccess => self.look_at_public_access().await,
            Requirement::Encryption => self.look_at_encryption().await,
            Requirement::Cors => self.look_at_cors().await,
            Requirement::Lifecycle => self.look_at_lifecycle().await,
            Requirement::Table => self.look_at_table().await,
            Requirement::TimeToLive => self.look_at_time_to_live().await,
        }
    }

    /// Makes it so. What others have set up beside it stays.
    pub async fn mend(&self, requirement: Requirement) -> Result<(), Problem> {
        match requirement {
            Requirement::Bucket => self.create_bucket().await,
            Requirement::PublicAccess => self.block_public_access().await,
            Requirement::Encryption => self.encrypt().await,
            Requirement::Cors => self.allow_origins().await,
            Requirement::Lifecycle => self.add_lifecycle().await,
            Requirement::Table => self.create_table().await,
            Requirement::TimeToLive => self.enable_time_to_live().await,
        }
    }
}

/// Why a call was not answered with success.
fn problem<E, R>(call: &str, error: &SdkError<E, R>) -> Problem
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: HasStatus + Debug + Send + Sync + 'static,
{
    let hint = |hint: &str| hint.to_owned();
    let (story, hint, passes) = match error {
        SdkError::ServiceError(refusal) => {
            let code = refusal.err().code().unwrap_or("no reason");
            let message = refusal.err().message().unwrap_or("nothing more is said");
            let status = refusal.raw().status();
            let advice = match status {
                301 | 307 | 400 => hint("check aws.region and the endpoints"),
                401 | 403 => format!(
                    "the credentials that were found may not do this: see docs/s3.md and \
                     docs/dynamodb.md for the rights that are needed, {call} among them"
                ),
                _ => hint("try again; the service itself is not well"),
            };
            (format!("{call}: {code} ({message})"), advice, status >= 500)
        }
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            let advice = hint("check the network, aws.region and the endpoints");
            (format!("{call}: {}", DisplayErrorContext(error)), advice, true)
        }
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            let advice = hint("check the network, and what is in between");
            (format!("{call}: {}", DisplayErrorContext(error)), advice, true)
        }
        _ => {
            let advice = hint(
                "set AWS_REGION and credentials as for all AWS programs: environment, profile, \
                 web identity, container or instance",
            );
            (format!("{call}: {}", DisplayErrorContext(error)), advice, false)
        }
    };
    Problem { story, hint, passes }
}

/// Whether a store says that it has no such thing at all.
fn is_unsupported<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
    R: HasStatus,
{
    let SdkError::ServiceError(refusal) = error else { return false };
    let code = refusal.err().code().unwrap_or_default();
    refusal.raw().status() == 501 || matches!(code, "NotImplemented" | "MethodNotAllowed")
}

/// Whether a service has answered so.
fn answers<E, R>(error: &SdkError<E, R>, code: &str) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

/// What is said of what a store does not have.
fn unknown() -> State {
    State::Unknown("this store has no such setting".to_owned())
}
