//! Configuration: defaults, then a file, then the environment, then flags.

mod accounts;
mod effective;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};
use sluice_domain::PartSizeLimits;

pub use self::accounts::{AccountsConfig, QuotaConfig, RatesConfig};
pub use self::effective::{EXAMPLE, Effective, ValueOrigin};
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

/// The server's sockets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What clients reach the server by, where it is not its own address.
    pub public_url: Option<String>,
    /// How long open requests may take after the server was told to stop.
    #[serde(deserialize_with = "duration")]
    pub shutdown_grace: Duration,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Origins of web pages that may call this server, such as
    /// `https://app.example.com`; those of this server's own pages need no
    /// mention.
    pub allowed_origins: Vec<String>,
    /// Proxies in front of this server, as addresses or networks: what they say
    /// in `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// How connections are secured: not at all without a certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// File of the certificate and those between it and its authority, PEM.
    pub certificate: Option<PathBuf>,
    /// File of the certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// File of the authorities that vouch for clients, PEM. With it clients show
    /// certificates.
    pub client_ca: Option<PathBuf>,
    /// Whether all of them do.
    pub client_certificates: ClientCertificates,
}

impl TlsConfig {
    /// Whether connections are secured.
    pub fn is_on(&self) -> bool {
        self.certificate.is_some() || self.key.is_some() || self.client_ca.is_some()
    }
}

/// What holds for clients without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are refused.
    Required,
    /// They are served; a certificate that is shown must be good.
    Optional,
}

/// Which engine keeps bytes and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Files and SQLite in one folder.
    Embedded,
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

/// What callers may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest file.
    #[serde(deserialize_with = "bytes")]
    pub max_file_size: u64,
    /// Smallest part size; a power of two from 1 MiB on.
    #[serde(deserialize_with = "bytes")]
    pub min_part_size: u64,
    /// Largest part size; a power of two.
    #[serde(deserialize_with = "bytes")]
    pub max_part_size: u64,
    /// How long an upload lives without activity.
    #[serde(deserialize_with = "duration")]
    pub upload_ttl: Duration,
    /// Accepted media types; empty means all.
    pub allowed_content_types: Vec<String>,
    /// Most requests that are worked on at a time, beside streams.
    pub max_requests: usize,
    /// Most streams at a time: uploads, downloads, watches.
    pub max_streams: usize,
    /// Memory for messages that have not arrived whole.
    #[serde(deserialize_with = "bytes")]
    pub message_memory: u64,
    /// How long a stream may be silent; also the span over which its rate is
    /// measured.
    #[serde(deserialize_with = "duration")]
    pub stream_idle: Duration,
    /// Least bytes in a second on a stream that has to send or to take any.
    #[serde(deserialize_with = "bytes")]
    pub stream_min_rate: u64,
}

/// Signed URLs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningConfig {
    /// How long a key signs before a new one does.
    #[serde(deserialize_with = "duration")]
    pub rotation: Duration,
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

/// Why the configuration is not usable; the text names the key and its source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Values that are missing, misspelt or of the wrong kind; one line each.
    #[error("{0}")]
    Values(String),
    /// The file is not there.
    #[error("configuration file {0} cannot be read: {1}")]
    File(PathBuf, std::io::Error),
    /// A value breaks a rule.
    #[error("configuration: {key} {rule}")]
    Rule {
        /// The key.
        key: &'static str,
        /// What must hold.
        rule: String,
    },
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
        self.limits.part_sizes()?;
        self.limits.check_load()?;
        self.server.origins()?;
        self.server.check_public_url()?;
        self.accounts.check()?;
        self.signing.check()
    }

    /// What the URLs of this server begin with, if it listens at `address`.
    pub fn public_url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_on() { "https" } else { "http" };
        self.server.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"))
    }
}

/// Says which key of which source is wrong, and how.
fn unusable(errors: figment::Error, overrides: &Overrides) -> ConfigError {
    let line = |error: figment::Error| {
        let mut path = error.path.clone();
        // Of an unknown key the path names the section only.
        if let figment::error::Kind::UnknownField(key, _) = &error.kind
            && path.last() != Some(key)
        {
            path.push(key.clone());
        }
        let key = path.join(".").to_lowercase();
        let source = match &error.metadata {
            Some(metadata) => in_source(&effective::of(metadata, &key)),
            None => String::new(),
        };
        let source = match &overrides.config_file {
            // What is no TOML at all has no key, and says its line itself.
            Some(file) if key.is_empty() && source.is_empty() => format!(" in {}", file.display()),
            _ => source,
        };
        let key = if key.is_empty() { key } else { format!(" {key}") };
        format!("configuration:{key}{source}: {}", error.kind)
    };
    ConfigError::Values(errors.into_iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Adds where the value is that breaks a rule.
fn located(error: ConfigError, figment: &Figment) -> ConfigError {
    let ConfigError::Rule { key, rule } = error else { return error };
    let source = figment.find_metadata(key).map(|it| in_source(&effective::of(it, key)));
    let source = source.unwrap_or_default();
    if source.is_empty() {
        return ConfigError::Rule { key, rule };
    }
    ConfigError::Values(format!("configuration: {key}{source}: {rule}"))
}

fn in_source(origin: &ValueOrigin) -> String {
    match origin {
        ValueOrigin::Default | ValueOrigin::Flag(_) => String::new(),
        origin => format!(" in {origin}"),
    }
}

impl ServerConfig {
    /// The allowed origins as browsers send them.
    pub fn origins(&self) -> Result<Vec<HeaderValue>, ConfigError> {
        let origin = |text: &String| {
            let uri: Option<Uri> = text.parse().ok();
            let bare = uri.is_some_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some()
                    && uri.path_and_query().is_none_or(|rest| rest == "/")
                    && !text.ends_with('/')
            });
            HeaderValue::try_from(text).ok().filter(|_| bare).ok_or_else(|| ConfigError::Rule {
                key: "server.allowed_origins",
                rule: format!("must be origins such as https://app.example.com, has {text:?}"),
            })
        };
        self.allowed_origins.iter().map(origin).collect()
    }

    fn check_public_url(&self) -> Result<(), ConfigError> {
        let Some(url) = &self.public_url else { return Ok(()) };
        let uri: Option<Uri> = url.parse().ok();
        let usable = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
        });
        if usable {
            return Ok(());
        }
        Err(ConfigError::Rule {
            key: "server.public_url",
            rule: format!("must be a URL such as https://files.example.com, is {url:?}"),
        })
    }
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

impl LimitsConfig {
    fn check_load(&self) -> Result<(), ConfigError> {
        let least = |key, value: u64, least: u64, unit: &str| {
            if value >= least {
                return Ok(());
            }
            let rule = format!("must be at least {least}{unit}, is {value}");
            Err(ConfigError::Rule { key, rule })
        };
        least("limits.max_requests", self.max_requests as u64, 1, "")?;
        least("limits.max_streams", self.max_streams as u64, 1, "")?;
        least("limits.message_memory", self.message_memory, 1024 * 1024, " bytes")?;
        least("limits.stream_idle", self.stream_idle.as_secs(), 1, " second")
    }

    fn part_sizes(&self) -> Result<PartSizeLimits, ConfigError> {
        const SMALLEST: u64 = sluice_domain::BLOCK_SIZE;
        let rule = |key, rule: String| Err(ConfigError::Rule { key, rule });
        let (min, max) = (self.min_part_size, self.max_part_size);
        if !min.is_power_of_two() || min < SMALLEST {
            return rule(
                "limits.min_part_size",
                format!("must be a power of two of at least {SMALLEST} bytes, is {min}"),
            );
        }
        if !max.is_power_of_two() || max < min {
            return rule(
                "limits.max_part_size",
                format!("must be a power of two of at least {min} bytes, is {max}"),
            );
        }
        let limits = PartSizeLimits { min, max };
        if self.max_file_size > limits.max_file_size() || self.max_file_size == 0 {
            return rule(
                "limits.max_file_size",
                format!("must be from 1 to {} bytes with these parts", limits.max_file_size()),
            );
        }
        Ok(limits)
    }

    /// The limits for the services.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        Ok(Limits {
            max_file_size: self.max_file_size,
            part_sizes: self.part_sizes()?,
            upload_ttl: self.upload_ttl,
            allowed_content_types: self.allowed_content_types.clone(),
        })
    }
}

/// A span of time such as `30s`, `15m`, `12h` or `7d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        D::Error::custom(format!("{text:?} is not a span of time such as 30s or 7d: {error}"))
    })
}

/// A number of bytes such as `1048576`, `64MiB` or `2GB`.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Number(u64),
        Text(String),
    }
    match Amount::deserialize(deserializer)? {
        Amount::Number(bytes) => Ok(bytes),
        Amount::Text(text) => {
            text.parse::<bytesize::ByteSize>().map(|size| size.as_u64()).map_err(|error| {
                D::Error::custom(format!(
                    "{text:?} is not a number of bytes such as 64MiB: {error}"
                ))
            })
        }
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
