//! Sockets and how they are secured.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::{HeaderValue, Uri};
use ipnet::IpNet;
use serde::Deserialize;

use super::{ConfigError, units::duration};

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

    /// The origin of this server's own pages, if it is known: as browsers say it,
    /// without a path and without the scheme's own port.
    pub fn public_origin(&self) -> Option<String> {
        let uri: Uri = self.public_url.as_ref()?.parse().ok()?;
        let (scheme, host) = (uri.scheme_str()?, uri.host()?.to_lowercase());
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = uri.port_u16().filter(|port| *port != usual);
        Some(port.map_or(format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}")))
    }

    pub(super) fn check_public_url(&self) -> Result<(), ConfigError> {
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
