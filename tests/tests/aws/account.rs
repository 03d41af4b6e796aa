//! Where a test keeps its data: an account of the local AWS.

use std::{fs, path::Path};

use aws_sdk_s3::config::Credentials;
use sluice_server::{
    adapters::aws::Clients,
    config::{AwsConfig, Config, Overrides},
};
use sluice_tests::{AwsAccount, LocalAws};
use tempfile::TempDir;

/// An account with a bucket and no tables, and the configuration that leads there.
pub(crate) struct Account {
    pub(crate) config: AwsConfig,
    /// The same with everything else.
    pub(crate) server: Config,
    pub(crate) clients: Clients,
    pub(crate) bucket: String,
}

impl Account {
    pub(crate) async fn new() -> Self {
        Self::with("").await
    }

    /// With more lines in the section `[aws]`.
    pub(crate) async fn with(lines: &str) -> Self {
        let account = LocalAws::account().await;
        let endpoint = account.endpoint.clone();
        Self::at(account, &endpoint, lines).await
    }

    /// With S3 at this endpoint.
    pub(crate) async fn at(account: AwsAccount, s3_endpoint: &str, lines: &str) -> Self {
        let server = config(&account, s3_endpoint, lines);
        let config = server.aws.clone();
        let (key, secret) = (&account.access_key, &account.secret_key);
        let credentials = Credentials::new(key, secret, None, None, "test");
        let clients = Clients::with_credentials(&config, credentials).await;
        let created = clients.s3.create_bucket().bucket(&account.bucket).send().await;
        created.expect("the bucket is created");
        Self { config, server, clients, bucket: account.bucket }
    }
}

/// The configuration as an operator would write it.
fn config(account: &AwsAccount, s3_endpoint: &str, lines: &str) -> Config {
    let folder = TempDir::new().expect("a folder can be made");
    let file = folder.path().join("sluice.toml");
    let AwsAccount { endpoint, region, bucket, .. } = account;
    let text = format!(
        "[aws]\nregion = {region:?}\nbucket = {bucket:?}\ns3_endpoint = {s3_endpoint:?}\n\
         dynamodb_endpoint = {endpoint:?}\npath_style = true\n{lines}\n"
    );
    fs::write(&file, text).expect("the configuration can be written");
    let overrides = Overrides { config_file: Some(file), ..Overrides::default() };
    Config::load(&overrides, Path::new("/nowhere")).expect("the configuration is good")
}
