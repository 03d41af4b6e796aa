//! The engine on S3 and DynamoDB.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use http::Uri;
use serde::Deserialize;

use super::{
    ConfigError,
    units::{bytes, duration},
};

/// Anything shorter would fail calls that are on their way.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

/// Where S3 and DynamoDB are, and how they are called. Credentials are no part of
/// it: they are found where all AWS programs look for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The region, if neither environment nor profile names the right one.
    pub region: Option<String>,
    /// The bucket that holds all bytes.
    pub bucket: Option<String>,
    /// What the keys of all objects begin with.
    pub key_prefix: String,
    /// What the names of all tables begin with.
    pub table_prefix: String,
    /// Another store with the API of S3.
    pub s3_endpoint: Option<String>,
    /// Another database with the API of DynamoDB.
    pub dynamodb_endpoint: Option<String>,
    /// Whether clients may be sent to storage for bytes, by URLs that it has signed.
    pub direct_transfers: bool,
    /// What such URLs begin with, where clients know storage by another name.
    pub public_s3_endpoint: Option<String>,
    /// Whether the bucket is named in the path of URLs, not in their host.
    pub path_style: bool,
    /// The KMS key that objects are encrypted with, instead of what the bucket says.
    pub kms_key: Option<String>,
    /// Which checksums storage is asked to verify and keep.
    pub checksums: StorageChecksums,
    /// Whether the bytes of requests are part of their signature.
    pub sign_payloads: SignPayloads,
    /// Smallest part that storage takes, but for the last one of an object.
    #[serde(deserialize_with = "bytes")]
    pub min_part_size: u64,
    /// Memory for parts that are on their way to storage.
    #[serde(deserialize_with = "bytes")]
    pub part_memory: u64,
    /// Room on a disk for those that do not fit into it.
    #[serde(deserialize_with = "bytes")]
    pub spill_size: u64,
    /// The folder of that, if it is not the system's for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// How long a connection may take.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long one attempt of a call may take, beside the time for its bytes.
    #[serde(deserialize_with = "duration")]
    pub attempt_timeout: Duration,
    /// How long a call may take with all its attempts, beside the time for its
    /// bytes.
    #[serde(deserialize_with = "duration")]
    pub operation_timeout: Duration,
    /// Most attempts of one call.
    pub max_attempts: NonZeroU32,
    /// Least bytes of a part or an object in a second that are waited for.
    #[serde(deserialize_with = "bytes")]
    pub min_rate: u64,
}

/// Which checksums storage is asked to verify and keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageChecksums {
    /// CRC32C of each part and of the whole object.
    FullObject,
    /// None, because storage knows none.
    Off,
}

/// Whether the bytes of requests are part of their signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignPayloads {
    /// Unless TLS protects them.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

impl AwsConfig {
    /// The bucket, which has no default.
    pub fn bucket(&self) -> Result<&str, ConfigError> {
        self.bucket.as_deref().filter(|bucket| !bucket.is_empty()).ok_or_else(|| {
            ConfigError::Rule {
                key: "aws.bucket",
                rule: "must name the bucket that holds all bytes".to_owned(),
            }
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_endpoint("aws.s3_endpoint", self.s3_endpoint.as_deref())?;
        check_endpoint("aws.public_s3_endpoint", self.public_s3_endpoint.as_deref())?;
        check_endpoint("aws.dynamodb_endpoint", self.dynamodb_endpoint.as_deref())?;
        check_key_prefix(&self.key_prefix)?;
        check_table_prefix(&self.table_prefix)?;
        for (key, value) in [
            ("aws.connect_timeout", self.connect_timeout),
            ("aws.attempt_timeout", self.attempt_timeout),
            ("aws.operation_timeout", self.operation_timeout),
        ] {
            if value < SHORTEST_TIMEOUT {
                let rule = format!("must be at least {SHORTEST_TIMEOUT:?}, is {value:?}");
                return Err(ConfigError::Rule { key, rule });
            }
        }
        for (key, value) in
            [("aws.min_part_size", self.min_part_size), ("aws.min_rate", self.min_rate)]
        {
            if value == 0 {
                let rule = "must be more than 0".to_owned();
                return Err(ConfigError::Rule { key, rule });
            }
        }
        Ok(())
    }

    /// Whether the bytes of requests to S3 are signed. Without that, nothing but
    /// TLS keeps somebody on the way from changing them and their checksum.
    pub fn signs_payloads(&self) -> bool {
        match self.sign_payloads {
            SignPayloads::Auto => {
                self.s3_endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
            }
            SignPayloads::Always => true,
            SignPayloads::Never => false,
        }
    }
}

fn check_endpoint(key: &'static str, endpoint: Option<&str>) -> Result<(), ConfigError> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let uri: Option<Uri> = endpoint.parse().ok();
    let usable = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    });
    if usable {
        return Ok(());
    }
    let rule = format!("must be a URL such as https://storage.example.com, is {endpoint:?}");
    Err(ConfigError::Rule { key, rule })
}

/// Keys with other characters than these look different from one program to the
/// next (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
fn check_key_prefix(prefix: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let folder = prefix.is_empty() || (prefix.ends_with('/') && !prefix.starts_with('/'));
    if folder && prefix.len() <= 512 && prefix.chars().all(allowed) {
        return Ok(());
    }
    Err(ConfigError::Rule {
        key: "aws.key_prefix",
        rule: format!(
            "must be empty or end with / and have only A-Z a-z 0-9 - _ . /, is {prefix:?}"
        ),
    })
}

/// What DynamoDB allows in names of tables, with room for the rest of the name.
fn check_table_prefix(prefix: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=200).contains(&prefix.len()) && prefix.chars().all(allowed) {
        return Ok(());
    }
    Err(ConfigError::Rule {
        key: "aws.table_prefix",
        rule: format!("must have 1 to 200 of A-Z a-z 0-9 - _ . only, is {prefix:?}"),
    })
}
