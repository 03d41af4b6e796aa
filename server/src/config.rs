//! Configuration: defaults, then a file, then the environment, then flags.

mod accounts;
mod aws;
mod effective;
mod error;
mod limits;
mod server;
mod units;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::Deserialize;
use sluice_domain::PartSizeLimits;

pub use self::{
    accounts::{AccountsConfig, QuotaConfig, RatesConfig},
    aws::{AwsConfig, SignPayloads, StorageChecksums},
    effective::{EXAMPLE, Effective, ValueOrigin},
    error::ConfigError,
    limits::LimitsConfig,
    server::{ClientCertificates, ServerConfig, TlsConfig},
};
use self::{
    error::{located, unusable},
    units::{bytes, duration},
};
use crate::service::Limits;

/// What holds when nobody says otherwise; also the example that is shown.
const DEFAULTS: &str = include_str!("defaults.toml");

/// Prefix of environment variables: `SLUICE__SECTION__KEY`.
const ENVIRONMENT_PREFIX: &str = "SLUICE__";

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's sockets.
    pub server: ServerConfig,
    /// How connections are secured.
    pub tls: TlsConfig,
    /// Where bytes and records are kept.
    pub storage: StorageConfig,
    /// S3 and DynamoDB.
    pub aws: AwsConfig,
    /// What callers may do.
    pub limits: LimitsConfig,
    /// Who may register and sign in.
    pub accounts: AccountsConfig,
    /// What accounts may hold.
    pub quota: QuotaConfig,
    /// How often somebody may ask for something.
    pub rates: RatesConfig,
    /// Signed URLs.
    pub signing: SigningConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Background work.
    pub worker: WorkerConfig,
}

/// Which engine keeps bytes and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Files and SQLite in one folder.
    Embedded,
    /// S3 and DynamoDB.
    Aws,
}

/// Where bytes and records are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// The engine.
    pub engine: Engine,
    /// The folder of the embedded engine.
    pub data_dir: PathBuf,
    /// Room on the disk that uploads never take, so that the database can always
    /// grow; in bytes or with a unit.
    #[serde(deserialize_with = "bytes")]
    pub reserve: u64,
    /// Whether parts are written past the system's page cache, where the file
    /// system can.
    pub direct_io: bool,
}

/// Signed URLs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningConfig {
    /// How long a key signs before a new one does.
    #[serde(deserialize_with = "duration")]
    pub rotation: Duration,
}

impl SigningConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if self.rotation >= Duration::from_secs(1) {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "signing.rotation",
            rule: format!("must be at least 1s, is {:?}", self.rotation),
        })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A level or a filter such as `info,sluice_server=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// Background work.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Pause between two sweeps.
    #[serde(deserialize_with = "duration")]
    pub sweep_interval: Duration,
}

/// What the command line says; it wins over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// A configuration file.
    pub config_file: Option<PathBuf>,
    /// `storage.data_dir`.
    pub data_dir: Option<PathBuf>,
    /// `server.listen`.
    pub listen: Option<SocketAddr>,
    /// `log.level`.
    pub log_level: Option<String>,
}

impl Config {
    /// Reads the configuration. `default_data_dir` is used when nothing names
    /// another folder.
    pub fn load(overrides: &Overrides, default_data_dir: &Path) -> Result<Self, ConfigError> {
        let figment = Self::sources(overrides, default_data_dir)?;
        let config: Self = figment.extract().map_err(|error| unusable(error, overrides))?;
        config.check().map_err(|error| located(error, &figment))?;
        Ok(config)
    }

    /// What says what holds, the last one winning.
    fn sources(overrides: &Overrides, default_data_dir: &Path) -> Result<Figment, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS))
            .join(Serialized::default("storage.data_dir", default_data_dir));
        if let Some(path) = &overrides.config_file {
            std::fs::File::open(path).map_err(|error| ConfigError::File(path.clone(), error))?;
            figment = figment.merge(Toml::file_exact(path));
        }
        figment = figment.merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"));
        if let Some(data_dir) = &overrides.data_dir {
            figment = figment.merge(Serialized::default("storage.data_dir", data_dir));
        }
        if let Some(listen) = &overrides.listen {
            figment = figment.merge(Serialized::default("server.listen", listen));
        }
        if let Some(level) = &overrides.log_level {
            figment = figment.merge(Serialized::default("log.level", level));
        }
        Ok(figment)
    }

    /// The rules that values keep together.
    fn check(&self) -> Result<(), ConfigError> {
        self.part_sizes()?;
        self.limits.check_load()?;
        self.server.origins()?;
        self.server.check_public_url()?;
        self.accounts.check()?;
        self.aws.check()?;
        if self.storage.engine == Engine::Aws {
            self.aws.bucket()?;
        }
        self.signing.check()
    }

    /// The limits for the services.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        Ok(Limits {
            max_file_size: self.limits.max_file_size,
            part_sizes: self.part_sizes()?,
            upload_ttl: self.limits.upload_ttl,
            allowed_content_types: self.limits.allowed_content_types.clone(),
        })
    }

    /// The part sizes that are offered: those that storage takes, too.
    fn part_sizes(&self) -> Result<PartSizeLimits, ConfigError> {
        let limits = self.limits.part_sizes()?;
        let least = match self.storage.engine {
            Engine::Embedded => limits.min,
            Engine::Aws => limits.min.max(self.aws.min_part_size),
        };
        match least.checked_next_power_of_two() {
            Some(min) if min <= limits.max => Ok(PartSizeLimits { min, ..limits }),
            _ => Err(ConfigError::Rule {
                key: "aws.min_part_size",
                rule: format!(
                    "must be at most limits.max_part_size, {} bytes, is {least}",
                    limits.max
                ),
            }),
        }
    }

    /// What the URLs of this server begin with, if it listens at `address`.
    pub fn public_url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_on() { "https" } else { "http" };
        self.server.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice.toml");
        std::fs::write(&path, file).unwrap();
        let overrides = Overrides { config_file: Some(path), ..Overrides::default() };
        Config::load(&overrides, Path::new("/data"))
    }

    #[test]
    fn defaults_are_complete_and_loopback() {
        let config = load("").unwrap();
        assert!(config.server.listen.ip().is_loopback());
        assert_eq!(config.storage.data_dir, Path::new("/data"));
        assert_eq!(config.limits.upload_ttl, Duration::from_secs(7 * 24 * 60 * 60));
        assert_eq!(config.limits.min_part_size, 1 << 20);
    }

    #[test]
    fn flags_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice.toml");
        std::fs::write(
            &path,
            "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\nupload_ttl = \"2h\"\n",
        )
        .unwrap();
        let overrides = Overrides {
            config_file: Some(path),
            listen: Some("127.0.0.1:2".parse().unwrap()),
            ..Overrides::default()
        };
        let config = Config::load(&overrides, Path::new("/data")).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.limits.upload_ttl, Duration::from_secs(2 * 60 * 60));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_file() {
        for (file, key) in [
            ("[limits]\nupload_ttl = \"7x\"", "limits.upload_ttl"),
            ("[limits]\nuplod_ttl = \"7d\"", "limits.uplod_ttl"),
            ("[limits]\nmin_part_size = \"3MiB\"", "limits.min_part_size"),
            ("[limits]\nmax_part_size = 1024", "limits.max_part_size"),
            ("[limits]\nmax_file_size = 0", "limits.max_file_size"),
            ("[storage]\nengine = \"tape\"", "storage.engine"),
            ("[aws]\nmin_part_size = \"8GiB\"\n[storage]\nengine = \"aws\"", "aws.min_part_size"),
            ("[aws]\ns3_endpoint = \"storage:9000\"", "aws.s3_endpoint"),
            ("[aws]\npublic_s3_endpoint = \"ftp://x\"", "aws.public_s3_endpoint"),
            ("[aws]\nkey_prefix = \"no-folder\"", "aws.key_prefix"),
            ("[aws]\ntable_prefix = \"\"", "aws.table_prefix"),
            ("[aws]\nmax_attempts = 0", "aws.max_attempts"),
            ("[aws]\nattempt_timeout = \"0s\"", "aws.attempt_timeout"),
            ("[aws]\nmin_rate = 0", "aws.min_rate"),
            ("[server]\nlisten = \"nowhere\"", "server.listen"),
            ("[server]\npublic_url = \"files.example.com\"", "server.public_url"),
            ("[signing]\nrotation = \"0s\"", "signing.rotation"),
        ] {
            let error = load(file).unwrap_err().to_string();
            assert!(error.contains(key), "{file:?} gives {error:?}");
            assert!(error.contains("sluice.toml:2"), "{file:?} gives {error:?}");
        }
    }
}
