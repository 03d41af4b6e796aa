//! How S3 and DynamoDB are called.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
};

use crate::config::AwsConfig;

/// The pause before a second attempt, at most; it doubles with each. What is
/// throttled waits longer by itself.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The longest pause before another attempt.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// The clients of one configuration; they share credentials.
#[derive(Debug, Clone)]
pub struct Clients {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    /// Prepares clients. Nothing is called yet, but where region and credentials
    /// come from may be asked.
    pub async fn new(config: &AwsConfig) -> Self {
        Self::from_sdk(config, &loader(config).load().await)
    }

    /// Prepares clients that use these credentials.
    pub async fn with_credentials(config: &AwsConfig, credentials: Credentials) -> Self {
        let provider = SharedCredentialsProvider::new(credentials);
        Self::from_sdk(config, &loader(config).credentials_provider(provider).load().await)
    }

    fn from_sdk(config: &AwsConfig, sdk: &SdkConfig) -> Self {
        let mut s3 = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(config.path_style)
            // Sluice sends checksums that it has already, and verifies what it
            // reads block by block: the SDK would read every byte once more.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let endpoint = config.s3_endpoint.as_deref().or(sdk.endpoint_url());
        s3.set_endpoint_url(endpoint.map(as_folder));
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(sdk);
        dynamodb.set_endpoint_url(
            config.dynamodb_endpoint.clone().or(sdk.endpoint_url().map(str::to_owned)),
        );
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        }
    }
}

/// The SDK appends the name of the bucket as it is: a path must end before it.
pub(super) fn as_folder(endpoint: &str) -> String {
    format!("{}/", endpoint.trim_end_matches('/'))
}

/// Nothing that decides how long a call takes is left to defaults, which change
/// with versions of the SDK.
fn loader(config: &AwsConfig) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .operation_attempt_timeout(config.attempt_timeout)
        .operation_timeout(config.operation_timeout)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(config.max_attempts.get())
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    let stalled =
        StalledStreamProtectionConfig::enabled().grace_period(config.attempt_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .app_name(AppName::new("sluice").expect("a name of letters"))
        .timeout_config(timeouts)
        .retry_config(retries)
        .stalled_stream_protection(stalled);
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader
}
